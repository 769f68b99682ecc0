/*
 * cmd_info.c - look inside a file: a model, any file of tensors, or a picture with its recipe
 *
 * What a file is, its first bytes say and not its name.  A model is a safetensors file whose
 * metadata the library understands; one that it does not is still shown as tensors and texts, with
 * the reason why it is no model where it claims to be one.  A published model, in one file, in
 * several or as GGUF, is shown by its parts and the types of its numbers.
 */
#include "cli.h"
#include "json_out.h"
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct info_options {
    bool help, verify, json, tensors;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"verify", "read every number and fail where one is not finite", IMGEN_OPTION_BOOL,
     offsetof(struct info_options, verify), .letter = 0},
    {"tensors", "list every tensor", IMGEN_OPTION_BOOL, offsetof(struct info_options, tensors),
     .letter = 0},
    {"json", "print as JSON, tensors included", IMGEN_OPTION_BOOL,
     offsetof(struct info_options, json), .letter = 0},
    {0},
};

/* Texts of a stranger's file, without the letters that steer a terminal. */
static void print_plain(const char *s)
{
    for (; *s; s++)
        putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

/* The text of a configuration, an object's members each on a line, lists on one.  It is only looked
 * at letter by letter: whatever it holds is printed, well formed or not. */
static void print_indented(const char *s)
{
    bool quoted = false;
    int depth = 1, lists = 0;
    char was = '\0';

    printf("    ");
    for (; *s; was = *s++) {
        bool empty = (s[0] == '{' && s[1] == '}') || (*s == '}' && was == '{');
        bool breaks = !quoted && !empty && (*s == '{' || *s == '}' || (*s == ',' && !lists));

        if (!quoted && strchr(" \t\r\n", *s))
            continue;
        depth += breaks && *s == '{' ? 1 : breaks && *s == '}' && depth > 1 ? -1 : 0;
        lists += quoted ? 0 : *s == '[' ? 1 : *s == ']' && lists ? -1 : 0;
        if (breaks && *s == '}')
            printf("\n%*s", 4 * depth, "");
        print_plain((const char[]){*s, '\0'});
        if (breaks && *s != '}')
            printf("\n%*s", 4 * depth, "");
        else if (!quoted && (*s == ':' || *s == ','))
            putchar(' ');
        if (quoted && *s == '\\' && s[1])
            print_plain((const char[]){*++s, '\0'});
        else if (*s == '"')
            quoted = !quoted;
    }
    putchar('\n');
}

/* ---- Pictures ---- */

static void print_field(const char *name, const char *value)
{
    printf("  %-16s ", name);
    print_plain(value);
    printf("\n");
}

/* What a picture of another program may not say. */
static void print_known(const char *name, const char *value)
{
    if (*value)
        print_field(name, value);
}

static void print_init(const struct imgen_recipe *r)
{
    if (r->init_hash[0]) {
        print_field("made of", r->init);
        print_field("its sha256", r->init_hash);
    }
    if (r->mask_hash[0]) {
        print_field("under the mask", r->mask);
        print_field("its sha256", r->mask_hash);
    }
    if (r->init_hash[0] || r->strength > 0)
        printf("  strength         %g\n", r->strength);
}

static void print_recipe(const char *path, const struct imgen_recipe *r)
{
    printf("%s: a picture with its recipe%s\n", path, r->foreign ? ", by another program" : "");
    print_known("model", r->model);
    print_known("sha256", r->hash);
    print_field("label", r->label);
    print_known("negative", r->negative);
    printf("  seed             %" PRIu64 "\n", r->item.seed);
    if (r->item.cfg_scale >= 0)
        printf("  cfg scale        %g\n", r->item.cfg_scale);
    if (r->width)
        printf("  size             %d x %d\n", r->width, r->height);
    print_init(r);
    if (r->classifier[0]) {
        print_field("classifier", r->classifier);
        print_field("its sha256", r->classifier_hash);
        printf("  its scale        %g\n", r->classifier_scale);
    }
    if (r->guide[0]) {
        print_field("guide", r->guide);
        print_field("its sha256", r->guide_hash);
        print_field("its label", r->guide_label);
    }
    print_known("sampling method", r->sampler);
    if (r->n_times) {
        printf("  times            %d, from %g to %g\n", r->n_times, r->times[0],
               r->times[r->n_times - 1]);
    } else {
        print_known("schedule", r->schedule);
        if (!r->foreign)
            printf("  shift            %g\n", r->shift);
        printf("  steps            %d\n", r->steps);
    }
    print_known("precision", r->precision);
    if (strcmp(r->rng, "imgen") != 0)
        print_known("rng", r->rng);
    if (strcmp(r->heads, "both") != 0)
        print_known("heads", r->heads);
    if (strcmp(r->clip, "auto") != 0)
        print_known("clip", r->clip);
    for (int i = 0; i < r->n_numbers; i++)
        print_field(i ? "" : "numbers", r->numbers[i]);
    if (r->foreign)
        printf("\nA relative of it:  imgen sample --from %s MODEL\n", path);
    else
        printf("\nThe same again:    imgen sample --from %s\n", path);
}

static void print_recipe_json(const char *path, const struct imgen_recipe *r)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "path", path);
    json_out_text(&j, "kind", "picture");
    json_out_text(&j, "model", r->model);
    json_out_text(&j, "hash", r->hash);
    json_out_bool(&j, "foreign", r->foreign);
    json_out_text(&j, "label", r->label);
    json_out_text(&j, "negative", r->negative);
    json_out_seed(&j, "seed", r->item.seed);
    json_out_real(&j, "cfg_scale", r->item.cfg_scale);
    json_out_int(&j, "width", r->width);
    json_out_int(&j, "height", r->height);
    if (r->init_hash[0]) {
        json_out_text(&j, "init", r->init);
        json_out_text(&j, "init_hash", r->init_hash);
    }
    if (r->mask_hash[0]) {
        json_out_text(&j, "mask", r->mask);
        json_out_text(&j, "mask_hash", r->mask_hash);
    }
    if (r->init_hash[0] || r->strength > 0)
        json_out_real(&j, "strength", r->strength);
    if (r->classifier[0]) {
        json_out_text(&j, "classifier", r->classifier);
        json_out_text(&j, "classifier_hash", r->classifier_hash);
        json_out_real(&j, "classifier_scale", r->classifier_scale);
    }
    if (r->guide[0]) {
        json_out_text(&j, "guide", r->guide);
        json_out_text(&j, "guide_hash", r->guide_hash);
        json_out_text(&j, "guide_label", r->guide_label);
    }
    json_out_text(&j, "sampling_method", r->sampler);
    json_out_text(&j, "schedule", r->schedule);
    json_out_text(&j, "precision", r->precision);
    json_out_text(&j, "rng", r->rng);
    json_out_text(&j, "heads", r->heads);
    json_out_text(&j, "clip", r->clip);
    json_out_real(&j, "shift", r->shift);
    json_out_int(&j, "steps", r->steps);
    json_out_open(&j, "times", '[');
    for (int i = 0; i < r->n_times; i++)
        json_out_real(&j, NULL, r->times[i]);
    json_out_close(&j);
    json_out_open(&j, "numbers", '[');
    for (int i = 0; i < r->n_numbers; i++)
        json_out_text(&j, NULL, r->numbers[i]);
    json_out_close(&j);
    json_out_close(&j);
}

static int show_picture(const char *path, const struct info_options *o)
{
    struct imgen_image image = {0};
    struct imgen_recipe recipe;
    struct imgen_error err;

    if (o->verify && imgen_image_read(&image, path, &err))
        return command_failed(&command_info, &err);
    imgen_image_release(&image);
    if (imgen_recipe_read(&recipe, path, &err))
        return command_failed(&command_info, &err);
    if (o->json)
        print_recipe_json(path, &recipe);
    else
        print_recipe(path, &recipe);
    return EXIT_DONE;
}

/* ---- Files of weights ---- */

enum { GROUPS = 64 };

/* Tensors that belong together by one word: a type of elements, or a part of a published model. */
struct group {
    const char *name;
    int64_t tensors;
    double numbers, bytes;
};

struct totals {
    struct group all, type[GROUPS], part[GROUPS]; /* ended by one without tensors */
};

static void add(struct group *group, const char *name, const struct imgen_file_tensor *t)
{
    double numbers = 1;

    while (group->tensors && strcmp(group->name, name) != 0)
        group++;
    for (int k = 0; k < t->rank; k++)
        numbers *= (double)t->dim[k];
    group->name = name;
    group->tensors++;
    group->numbers += numbers;
    group->bytes += (double)t->bytes + (double)t->scales * (double)sizeof(float);
}

/* There are far fewer types, and parts, than GROUPS. */
static void count(struct totals *sum, const struct imgen_file *file)
{
    struct imgen_file_tensor t;

    *sum = (struct totals){0};
    for (int64_t i = 0; imgen_file_tensor(file, i, &t); i++) {
        add(&sum->all, "", &t);
        add(sum->type, t.dtype, &t);
        add(sum->part, t.part ? t.part : "other", &t);
    }
}

static void print_path(const struct imgen_model_info *m)
{
    printf("  path           %s, predicts %s", m->path,
           m->classifies ? "the label" : m->prediction);
    printf("%s%s\n", strcmp(m->second, "none") ? " and " : "",
           strcmp(m->second, "none") ? m->second : "");
}

static void print_numbers(const char *name, const double *value, int n)
{
    printf("  %-14s ", name);
    for (int i = 0; i < n; i++)
        printf("%s%.4g", i == 0 ? "" : i % 8 == 0 ? ",\n                 " : ", ", value[i]);
    printf("\n");
}

static void print_autoencoder(const struct imgen_model_info *m)
{
    printf("  latents        %d x %d x %d, for imgen encode and decode\n", m->width / m->factor,
           m->height / m->factor, m->code_channels);
    print_numbers("scale", m->latent_scale, m->n_latent_scale);
    print_numbers("shift", m->latent_shift, m->n_latent_shift);
    if (m->n_latent_preview)
        printf("  preview        linear, %d x %d numbers\n", m->code_channels + 1, m->channels);
    else
        printf("  preview        none\n");
}

/* Of a model that works on latents; without the autoencoder nobody knows the size of pictures. */
static void print_latents(const struct imgen_model_info *m)
{
    printf("  latents        %d x %d, %d channels, of the autoencoder\n", m->latent_width,
           m->latent_height, m->latent_channels);
    printf("                 ");
    print_plain(m->autoencoder ? m->autoencoder : "without a name");
    printf("%s\n                 sha256 %s\n", m->height ? "" : ", which was not found",
           m->autoencoder_hash);
}

static void print_model(const struct imgen_model *model)
{
    struct imgen_model_info m;
    char weights[UNITS_ROOM];

    imgen_model_info(model, &m);
    printf("  network        %s, %s weights, %" PRId64 " steps of training\n", m.network,
           units_si(weights, (double)m.weights, ""), m.step);
    if (m.height)
        printf("  pictures       %d x %d, %d channel%s\n", m.width, m.height, m.channels,
               m.channels == 1 ? "" : "s");
    if (m.autoencoder_hash)
        print_latents(&m);
    if (m.about) {
        printf("  trained on     ");
        print_plain(m.about);
        printf("\n");
    }
    if (m.factor) {
        print_autoencoder(&m);
        return;
    }
    if (!m.clean)
        print_path(&m);
    if (!m.classifies)
        printf("  made by        %s, %d steps, schedule %s\n", m.sampler, m.steps, m.schedule);
    if (m.clean)
        printf("  classifies     pictures without noise, for imgen eval\n");
    else if (m.classifies)
        printf("  guidance       of a model on the same path, by imgen sample --classifier\n");
    else if (m.guided)
        printf("  guidance       any scale, %g unless told\n", m.cfg_scale);
    else
        printf("  guidance       none\n");
    if (!m.classifies && m.n_attention)
        printf("  attention      layers 0 to %d, in the middle %d%s\n", m.n_attention - 1, m.middle,
               m.n_middle > 1 ? " and the next" : "");
    printf("  labels         %d", m.n_labels);
    for (int i = 0; i < m.n_labels && imgen_model_label(model, i); i++) {
        printf("%s", i == 0 ? ": " : i % 6 == 0 ? ",\n                 " : ", ");
        print_plain(imgen_model_label(model, i));
    }
    printf("\n");
}

static void print_shape(const struct imgen_file_tensor *t)
{
    char shape[8 * 24] = "[";
    size_t n = 1;

    for (int k = 0; k < t->rank; k++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%" PRId64, k ? ", " : "", t->dim[k]);
    printf("%s]%*s", shape, n < 24 ? (int)(24 - n) : 1, "");
}

static void print_groups(const char *title, const struct group *group)
{
    char numbers[UNITS_ROOM], bytes[UNITS_ROOM];

    for (; group->tensors; group++, title = "")
        printf("  %-14s %-11s %" PRId64 " tensor%s, %s numbers, %s\n", title, group->name,
               group->tensors, group->tensors == 1 ? "" : "s",
               units_si(numbers, group->numbers, ""), units_bytes(bytes, group->bytes));
}

static void print_totals(const struct imgen_file *file)
{
    struct totals sum;
    char bytes[UNITS_ROOM];
    int files = imgen_file_count(file);

    count(&sum, file);
    printf("  format         %s", imgen_file_format(file));
    if (files > 1)
        printf(", %d files", files);
    printf("\n  tensors        %" PRId64 ", %s\n", sum.all.tensors,
           units_bytes(bytes, sum.all.bytes));
    print_groups("types", sum.type);
    if (sum.part[0].tensors && (sum.part[1].tensors || strcmp(sum.part[0].name, "other") != 0))
        print_groups("parts", sum.part);
}

static void print_file(const char *path, const struct imgen_file *file,
                       const struct imgen_model *model, const struct info_options *o)
{
    struct imgen_file_tensor t;
    const char *key, *value;

    printf("%s: %s\n", path, model ? "a model" : "a file of tensors");
    if (model)
        print_model(model);
    print_totals(file);
    for (int64_t i = 0; imgen_file_metadata(file, i, &key, &value); i++) {
        printf("\n");
        print_plain(key);
        printf("\n");
        print_indented(value);
    }
    if (!o->tensors)
        return;
    printf("\n");
    for (int64_t i = 0; imgen_file_tensor(file, i, &t); i++) {
        printf("  %-7s ", t.dtype);
        print_shape(&t);
        print_plain(t.name);
        printf("\n");
    }
}

static void numbers_json(struct json_out *j, const char *name, const double *value, int n)
{
    json_out_open(j, name, '[');
    for (int i = 0; i < n; i++)
        json_out_real(j, NULL, value[i]);
    json_out_close(j);
}

static void model_json(struct json_out *j, const struct imgen_model *model)
{
    struct imgen_model_info m;

    imgen_model_info(model, &m);
    json_out_open(j, "model", '{');
    json_out_text(j, "network", m.network);
    json_out_int(j, "weights", m.weights);
    json_out_int(j, "step", m.step);
    json_out_int(j, "height", m.height);
    json_out_int(j, "width", m.width);
    json_out_int(j, "channels", m.channels);
    if (m.autoencoder_hash) {
        json_out_open(j, "latents", '{');
        json_out_int(j, "height", m.latent_height);
        json_out_int(j, "width", m.latent_width);
        json_out_int(j, "channels", m.latent_channels);
        json_out_text(j, "autoencoder", m.autoencoder);
        json_out_text(j, "hash", m.autoencoder_hash);
        json_out_bool(j, "found", m.height > 0);
        json_out_close(j);
    }
    json_out_text(j, "about", m.about);
    json_out_text(j, "path", m.path);
    json_out_text(j, "prediction", m.classifies ? "label" : m.prediction);
    json_out_text(j, "second", m.second);
    json_out_text(j, "sampling_method", m.sampler);
    json_out_text(j, "schedule", m.schedule);
    json_out_real(j, "shift", m.shift);
    json_out_int(j, "steps", m.steps);
    json_out_bool(j, "guided", m.guided);
    json_out_real(j, "cfg_scale", m.cfg_scale);
    if (m.factor) {
        json_out_int(j, "factor", m.factor);
        json_out_int(j, "latent_channels", m.code_channels);
        numbers_json(j, "latent_scale", m.latent_scale, m.n_latent_scale);
        numbers_json(j, "latent_shift", m.latent_shift, m.n_latent_shift);
        numbers_json(j, "latent_preview", m.latent_preview, m.n_latent_preview);
    }
    json_out_int(j, "n_labels", m.n_labels);
    json_out_open(j, "labels", '[');
    for (int i = 0; i < m.n_labels && imgen_model_label(model, i); i++)
        json_out_text(j, NULL, imgen_model_label(model, i));
    json_out_close(j);
    json_out_close(j);
}

static void groups_json(struct json_out *j, const char *name, const struct group *group)
{
    json_out_open(j, name, '[');
    for (; group->tensors; group++) {
        json_out_open(j, NULL, '{');
        json_out_text(j, "name", group->name);
        json_out_int(j, "tensors", group->tensors);
        json_out_int(j, "numbers", (int64_t)group->numbers);
        json_out_int(j, "bytes", (int64_t)group->bytes);
        json_out_close(j);
    }
    json_out_close(j);
}

static void print_file_json(const char *path, const struct imgen_file *file,
                            const struct imgen_model *model, bool verified)
{
    struct imgen_file_tensor t;
    const char *key, *value;
    struct totals sum;
    struct json_out j;

    count(&sum, file);
    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "path", path);
    json_out_text(&j, "kind", model ? "model" : "tensors");
    json_out_bool(&j, "verified", verified);
    if (model)
        model_json(&j, model);
    json_out_text(&j, "format", imgen_file_format(file));
    json_out_int(&j, "files", imgen_file_count(file));
    json_out_int(&j, "bytes", (int64_t)sum.all.bytes);
    groups_json(&j, "types", sum.type);
    groups_json(&j, "parts", sum.part);
    json_out_open(&j, "metadata", '{');
    for (int64_t i = 0; imgen_file_metadata(file, i, &key, &value); i++)
        json_out_text(&j, key, value);
    json_out_close(&j);
    json_out_open(&j, "tensors", '[');
    for (int64_t i = 0; imgen_file_tensor(file, i, &t); i++) {
        json_out_open(&j, NULL, '{');
        json_out_text(&j, "name", t.name);
        json_out_text(&j, "dtype", t.dtype);
        json_out_open(&j, "shape", '[');
        for (int k = 0; k < t.rank; k++)
            json_out_int(&j, NULL, t.dim[k]);
        json_out_close(&j);
        json_out_int(&j, "bytes", (int64_t)t.bytes);
        if (t.scales)
            json_out_int(&j, "scales", t.scales);
        if (t.part)
            json_out_text(&j, "part", t.part);
        json_out_close(&j);
    }
    json_out_close(&j);
    json_out_close(&j);
}

/* Whether the file says of itself that it is a model. */
static bool claims_model(const struct imgen_file *file)
{
    const char *key, *value;

    for (int64_t i = 0; imgen_file_metadata(file, i, &key, &value); i++)
        if (!strcmp(key, "imgen"))
            return true;
    return false;
}

static int show_file(const char *path, const struct info_options *o)
{
    struct imgen_file *file = NULL;
    struct imgen_model *model = NULL;
    struct imgen_error err;
    int code = EXIT_DONE;

    if (imgen_file_open(&file, path, &err))
        return command_failed(&command_info, &err);
    if (claims_model(file) && imgen_model_open(&model, path, &err))
        code = command_failed(&command_info, &err);
    if (o->verify && imgen_file_verify(file, &err))
        code = command_failed(&command_info, &err);
    if (o->json)
        print_file_json(path, file, model, o->verify && !code);
    else
        print_file(path, file, model, o);
    if (o->verify && !o->json && !code)
        printf("\nverified: every number was read and is finite\n");
    imgen_model_close(model);
    imgen_file_close(file);
    return code;
}

/* ---- Which of the two ---- */

static int show(const char *path, const struct info_options *o)
{
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char first[8];
    FILE *f = fopen(path, "rb");
    size_t n;

    /* Of a folder nothing is read; which file in it is meant, the library finds. */
    if (!f)
        return command_broken(&command_info, "%s: %s", path, strerror(errno));
    n = fread(first, 1, sizeof first, f);
    fclose(f);
    if (n == sizeof png && !memcmp(first, png, sizeof png))
        return show_picture(path, o);
    return show_file(path, o);
}

static int cmd_info(int argc, char **argv)
{
    struct info_options o = {0};
    int n_words, code;
    bool go = command_read(&command_info, &o, NULL, argc, argv, &n_words, &code);

    imgen_options_release(rows, &o);
    if (!go)
        return code;
    if (n_words != 1)
        return command_misused(&command_info, n_words ? "one file at a time" : "which file?");
    return show(argv[1], &o);
}

const struct command command_info = {
    .is = {"info", "FILE [flags]", "look inside a model, a file of tensors or a picture", rows},
    .details = "Shows what a model is and can be asked for, the tensors and texts of any\n"
               "safetensors or GGUF file (of one in several files its index or folder), or the\n"
               "recipe that a picture made by imgen carries.",
    .run = cmd_info,
};
