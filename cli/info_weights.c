/*
 * info_weights.c - files of tensors, models or not, for `imgen info`
 *
 * A model is a safetensors file whose metadata the library understands; one that it does not is
 * still shown as tensors and texts, with the reason why it is no model where it claims to be one.
 * A published model, in one file, in several or as GGUF, is shown by its parts and the types of its
 * numbers.
 */
#include "info.h"

#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
        info_plain((const char[]){*s, '\0'});
        if (breaks && *s != '}')
            printf("\n%*s", 4 * depth, "");
        else if (!quoted && (*s == ':' || *s == ','))
            putchar(' ');
        if (quoted && *s == '\\' && s[1])
            info_plain((const char[]){*++s, '\0'});
        else if (*s == '"')
            quoted = !quoted;
    }
    putchar('\n');
}

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

/* What the numbers of each part are, where it has a file or folder of its own. */
static void show_part(const char *role, const char *path)
{
    struct imgen_file *file = NULL;
    char numbers[UNITS_ROOM], bytes[UNITS_ROOM];
    struct totals sum;

    if (imgen_file_open(&file, path, NULL))
        return;
    count(&sum, file);
    printf("  %-14s %s, %" PRId64 " tensors, %s numbers, %s", role, imgen_file_format(file),
           sum.all.tensors, units_si(numbers, sum.all.numbers, ""),
           units_bytes(bytes, sum.all.bytes));
    for (const struct group *t = sum.type; t->tensors; t++)
        printf("%s%s", t == sum.type ? ": " : ", ", t->name);
    printf("\n");
    imgen_file_close(file);
}

static void show_parts(const char *path, const struct imgen_model *model)
{
    struct imgen_model_part part;
    char network[4096];

    snprintf(network, sizeof network, "%s/transformer", path);
    show_part("network", network);
    for (int i = 0; imgen_model_part(model, i, &part); i++)
        if (part.path && strcmp(part.role, "merges") != 0 && strcmp(part.role, "spiece") != 0)
            show_part(part.role, part.path);
}

static void print_file(const char *path, const struct imgen_file *file,
                       const struct imgen_model *model, const char *incomplete,
                       const struct info_options *o)
{
    struct imgen_file_tensor t;
    const char *key, *value;

    printf("%s: %s\n", path, model ? "a model" : "a file of tensors");
    if (model)
        info_model(model);
    if (incomplete)
        printf("  no pictures    %s\n", incomplete);
    print_totals(file);
    for (int64_t i = 0; imgen_file_metadata(file, i, &key, &value); i++) {
        printf("\n");
        info_plain(key);
        printf("\n");
        print_indented(value);
    }
    if (!o->tensors)
        return;
    printf("\n");
    for (int64_t i = 0; imgen_file_tensor(file, i, &t); i++) {
        printf("  %-7s ", t.dtype);
        print_shape(&t);
        info_plain(t.name);
        printf("\n");
    }
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
        info_model_json(&j, model);
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

/* Whether it holds the network of Stable Diffusion 3, under any of its names. */
static bool holds_published(const struct imgen_file *file)
{
    static const char *const endings[] = {"joint_blocks.0.x_block.attn.qkv.weight",
                                          "transformer_blocks.0.attn.add_q_proj.weight"};
    struct imgen_file_tensor t;

    for (int64_t i = 0; imgen_file_tensor(file, i, &t); i++)
        for (int k = 0; k < 2; k++) {
            size_t n = strlen(t.name), m = strlen(endings[k]);

            if (n >= m && !strcmp(t.name + n - m, endings[k]))
                return true;
        }
    return false;
}

/* A folder with a published model: nothing in it is the file that was meant. */
static bool is_published_folder(const char *path)
{
    char name[4096];

    snprintf(name, sizeof name, "%s/model_index.json", path);
    return !access(name, R_OK);
}

static int show_folder(const char *path, const struct info_options *o)
{
    struct imgen_model *model = NULL;
    struct imgen_error err;
    struct json_out j;

    if (o->verify || o->tensors)
        return command_misused(&command_info,
                               "--%s: %s is a folder of several parts: name one of them, as "
                               "%s/transformer",
                               o->verify ? "verify" : "tensors", path, path);
    if (imgen_model_open(&model, path, &err))
        return command_failed(&command_info, &err);
    if (o->json) {
        json_out_begin(&j, stdout);
        json_out_open(&j, NULL, '{');
        json_out_text(&j, "path", path);
        json_out_text(&j, "kind", "model");
        info_model_json(&j, model);
        json_out_close(&j);
    } else {
        printf("%s: a published model, in a folder\n", path);
        info_model(model);
        show_parts(path, model);
    }
    imgen_model_close(model);
    return EXIT_DONE;
}

int info_weights(const char *path, const struct info_options *o)
{
    struct imgen_file *file = NULL;
    struct imgen_model *model = NULL;
    struct imgen_error err, why;
    const char *incomplete = NULL; /* why there are no pictures of it yet */
    int code = EXIT_DONE;

    if (is_published_folder(path))
        return show_folder(path, o);
    if (imgen_file_open(&file, path, &err))
        return command_failed(&command_info, &err);
    if (claims_model(file) && imgen_model_open(&model, path, &err))
        code = command_failed(&command_info, &err);
    else if (!model && holds_published(file) && imgen_model_open(&model, path, &why))
        incomplete = why.text;
    if (o->verify && imgen_file_verify(file, &err))
        code = command_failed(&command_info, &err);
    if (o->json)
        print_file_json(path, file, model, o->verify && !code);
    else
        print_file(path, file, model, incomplete, o);
    if (o->verify && !o->json && !code)
        printf("\nverified: every number was read and is finite\n");
    imgen_model_close(model);
    imgen_file_close(file);
    return code;
}
