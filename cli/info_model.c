/*
 * info_model.c - what a model is and can be asked for, for `imgen info`
 *
 * A published model is spread over files that people collect one by one.  So its parts are listed
 * with what stands for those that are missing, and what has to be found before there is a picture.
 */
#include "info.h"

#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    info_plain(m->autoencoder ? m->autoencoder : "without a name");
    printf("%s\n", m->height ? "" : ", which was not found");
    if (strspn(m->autoencoder_hash, "0") < strlen(m->autoencoder_hash)) /* known by its hash */
        printf("                 sha256 %s\n", m->autoencoder_hash);
}

/* Parts that people know by other names than recipes do. */
static const struct part_name {
    const char *role, *shown, *stands_in;
} part_names[] = {
    {"clip_l", "CLIP-L", "zeros stand for it"}, {"clip_g", "CLIP bigG", "zeros stand for it"},
    {"t5xxl", "T5-XXL", "zeros stand for it"},  {"no_t5", "T5-XXL", "left out"},
    {"merges", "CLIP's words", NULL},           {"spiece", "T5's words", NULL},
};
enum { PART_NAMES = sizeof part_names / sizeof *part_names, ENCODERS = 4 };

static const struct part_name *name_of(const char *role, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(part_names[i].role, role))
            return &part_names[i];
    return NULL;
}

static bool published(const struct imgen_model *model)
{
    struct imgen_model_part part;

    return imgen_model_part(model, 0, &part) && !strcmp(part.role, "autoencoder");
}

/* What has to be found before there is a picture: any encoder, and the words of those there are. */
static void print_missing(const struct imgen_model *model)
{
    struct imgen_model_part part;
    bool reads = false, any = false;

    for (int i = 0; imgen_model_part(model, i, &part); i++) {
        any |= name_of(part.role, PART_NAMES) != NULL;
        reads |= name_of(part.role, ENCODERS) && part.path;
    }
    if (any && !reads)
        printf("  missing        a text encoder: imgen sample --clip-l, --clip-g, --t5xxl name "
               "them\n");
    for (int i = 0; imgen_model_part(model, i, &part); i++)
        if (!part.path && !strcmp(part.role, "merges"))
            printf("  missing        the vocabulary of CLIP, merges.txt: imgen sample --merges\n");
        else if (!part.path && !strcmp(part.role, "spiece"))
            printf("  missing        the vocabulary of T5, spiece.model: imgen sample --spiece\n");
}

static void print_reading(const struct imgen_model *model, int bytes)
{
    struct imgen_model_part part;
    bool any = false;

    printf("  reads          prompts of up to %d bytes", bytes);
    for (int i = 0; imgen_model_part(model, i, &part); i++) {
        const struct part_name *name = name_of(part.role, PART_NAMES);

        if (!name || (!part.path && !name->stands_in))
            continue;
        printf("%s\n                 %-13s ", any ? "" : ", by", name->shown);
        info_plain(part.path ? part.path : "none, ");
        printf("%s", part.path ? "" : name->stands_in);
        any = true;
    }
    printf("\n");
    print_missing(model);
}

static void parts_json(struct json_out *j, const struct imgen_model *model, int bytes)
{
    struct imgen_model_part part;

    json_out_int(j, "text_bytes", bytes);
    json_out_open(j, "parts", '[');
    for (int i = 0; imgen_model_part(model, i, &part); i++) {
        json_out_open(j, NULL, '{');
        json_out_text(j, "part", part.role);
        json_out_text(j, "path", part.path);
        json_out_close(j);
    }
    json_out_close(j);
}

void info_model(const struct imgen_model *model)
{
    struct imgen_model_info m;
    char weights[UNITS_ROOM];

    imgen_model_info(model, &m);
    printf("  network        %s, %s weights", m.network, units_si(weights, (double)m.weights, ""));
    if (m.step || !published(model))
        printf(", %" PRId64 " steps of training", m.step);
    printf("\n");
    if (m.height && m.frames > 1)
        printf("  clips          %d frames of %d x %d, %d channel%s\n", m.frames, m.width, m.height,
               m.channels, m.channels == 1 ? "" : "s");
    else if (m.height)
        printf("  pictures       %d x %d, %d channel%s\n", m.width, m.height, m.channels,
               m.channels == 1 ? "" : "s");
    if (m.first_frame)
        printf("  begins with    a first frame, where --init-img gives one\n");
    if (m.upscale)
        printf("  makes larger   a clip that --init-img gives, %d times\n", m.upscale);
    if (m.autoencoder_hash)
        print_latents(&m);
    if (m.about) {
        printf("  trained on     ");
        info_plain(m.about);
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
    if (m.n_skippable)
        printf("  blocks         0 to %d can be left out, by imgen sample --skip-layers\n",
               m.n_skippable - 1);
    if (m.text_bytes) {
        print_reading(model, m.text_bytes);
        return;
    }
    printf("  labels         %d", m.n_labels);
    for (int i = 0; i < m.n_labels && imgen_model_label(model, i); i++) {
        printf("%s", i == 0 ? ": " : i % 6 == 0 ? ",\n                 " : ", ");
        info_plain(imgen_model_label(model, i));
    }
    printf("\n");
}

static void numbers_json(struct json_out *j, const char *name, const double *value, int n)
{
    json_out_open(j, name, '[');
    for (int i = 0; i < n; i++)
        json_out_real(j, NULL, value[i]);
    json_out_close(j);
}

void info_model_json(struct json_out *j, const struct imgen_model *model)
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
    json_out_bool(j, "first_frame", m.first_frame);
    json_out_int(j, "upscale", m.upscale);
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
    json_out_int(j, "n_skippable", m.n_skippable);
    if (m.factor) {
        json_out_int(j, "factor", m.factor);
        json_out_int(j, "latent_channels", m.code_channels);
        numbers_json(j, "latent_scale", m.latent_scale, m.n_latent_scale);
        numbers_json(j, "latent_shift", m.latent_shift, m.n_latent_shift);
        numbers_json(j, "latent_preview", m.latent_preview, m.n_latent_preview);
    }
    parts_json(j, model, m.text_bytes);
    json_out_int(j, "n_labels", m.n_labels);
    json_out_open(j, "labels", '[');
    for (int i = 0; i < m.n_labels && imgen_model_label(model, i); i++)
        json_out_text(j, NULL, imgen_model_label(model, i));
    json_out_close(j);
    json_out_close(j);
}
