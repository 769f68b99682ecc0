/*
 * recipe.c - how a picture was made, inside the picture
 *
 * A picture carries its recipe twice: as the line of parameters that people and their tools know
 * from other programs (recipe_line.c), and as JSON, which is read back.  The recipe names the
 * model, and all that had a part in the picture besides, by name and content, so that a picture
 * asked for again either has the same bytes or the reason why not is known.
 *
 * The negative prompt stands apart from the other numbers of a request: it may be as long as a
 * prompt, and other programs know it by a name of its own.
 */
#include "api/recipe.h"

#include "api/api.h"
#include "base/hash.h"
#include "base/json.h"
#include "data/listing.h"
#include "io/clip.h"
#include "pipeline/condition.h"
#include "pipeline/pair.h"
#include "pipeline/settings.h"
#include "pipeline/windows.h"
#include "sampler/start.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)IMGEN_PROMPT == (int)SETTINGS_LABEL, "prompts have one length");

static const char negative_key[] = "guidance.negative";

bool recipe_own_rng(const struct imgen_recipe *r)
{
    return !r->rng[0] || !strcmp(r->rng, start_rng_at(START_IMGEN)->name);
}

enum status recipe_put(char *out, size_t room, const char *what, const char *text,
                       struct error *err)
{
    if (strlen(text) >= room)
        return fail(err, E_FORMAT, "%s: %zu letters, and a recipe has room for %zu: '%.40s...'",
                    what, strlen(text), room - 1, text);
    memcpy(out, text, strlen(text) + 1);
    return OK;
}

/* ---- Of a request ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* A name, cut where it is longer than names of files are. */
static void put(char *to, size_t room, const char *text)
{
    struct text t;

    text_init(&t, to, room);
    text_add(&t, "%s", text ? text : "");
}

/* The label is the model's, or the classifier's where the model has none; or it is a prompt. */
static enum status put_label(struct imgen_recipe *out, const struct imgen_model *model,
                             const struct imgen_request *r, int label, struct error *err)
{
    const bool own = model->model->network->io.n_classes || !r->classifier;
    const char *name = imgen_model_label(own ? model : r->classifier, label);
    struct text t;

    if (model->model->network->io.text_length || model->model->network->io.context_width)
        name = label < 0 ? "" : r->prompts[label];
    if (name && strlen(name) >= sizeof out->label)
        return fail(err, E_ARG, "the prompt '%.40s...' of %zu letters: a recipe has room for %zu",
                    name, strlen(name), sizeof out->label - 1);
    text_init(&t, out->label, sizeof out->label);
    if (name)
        text_add(&t, "%s", name);
    else if (label == model->model->network->io.null_label || label < 0)
        text_add(&t, "none");
    else
        text_add(&t, "%d", label);
    return OK;
}

/* Of a file its SHA-256, which other programs print too; of a folder that of its network. */
static enum status hash_of(char *out, size_t room, struct imgen_model *model, struct error *err)
{
    enum status st = OK;

    if (!model->hash[0])
        st = path_is_folder(model->path) ? folder_fingerprint(model->hash, model->path, err)
                                         : hash_file(model->hash, model->path, err);
    if (!st)
        put(out, room, model->hash);
    return st;
}

static enum status put_classifier(struct imgen_recipe *out, const struct imgen_request *r,
                                  struct error *err)
{
    if (!r->classifier)
        return OK;
    put(out->classifier, sizeof out->classifier, last_part(r->classifier->path));
    out->classifier_scale = r->classifier_scale;
    return hash_of(out->classifier_hash, sizeof out->classifier_hash, r->classifier, err);
}

static enum status put_guide(struct imgen_recipe *out, const struct imgen_request *r,
                             struct error *err)
{
    if (!r->guide)
        return OK;
    put(out->guide, sizeof out->guide, last_part(r->guide->path));
    put(out->guide_label, sizeof out->guide_label,
        r->guide_label ? r->guide_label : guide_label_name(GUIDE_NONE));
    return hash_of(out->guide_hash, sizeof out->guide_hash, r->guide, err);
}

static void put_loras(struct imgen_recipe *out, const struct imgen_model *m)
{
    for (int i = 0; i < m->n_loras; i++) {
        struct imgen_recipe_lora *to = &out->lora[out->n_loras++];

        put(to->file, sizeof to->file, last_part(m->lora[i].path));
        put(to->hash, sizeof to->hash, m->lora[i].hash);
        to->weight = m->lora[i].weight;
    }
}

static void hash_image(char out[HASH_TEXT], const struct imgen_image *im)
{
    char line[96];
    struct hash h;

    snprintf(line, sizeof line, "image %" PRId64 " %" PRId64 " %" PRId64 "\n", im->height,
             im->width, im->channels);
    hash_begin(&h);
    hash_add(&h, line, strlen(line));
    hash_add(&h, im->pixels, (uint64_t)(im->height * im->width * im->channels));
    hash_end(&h, out);
}

/* As that of a picture with all frames below one another, which a single frame is. */
static void hash_clip(char out[HASH_TEXT], const struct imgen_clip *c)
{
    const struct imgen_image frames = {c->frames * c->height, c->width, c->channels,
                                       (uint8_t *)(uintptr_t)c->pixels};

    hash_image(out, &frames);
}

/* Of what the model is told beforehand nothing is left to begin with: strength 1. */
static void put_init(struct imgen_recipe *out, const struct model *m, const struct imgen_request *r)
{
    if (!r->init && !r->init_clip)
        return;
    put(out->init, sizeof out->init, last_part(r->init_name ? r->init_name : ""));
    if (r->init_clip)
        hash_clip(out->init_hash, r->init_clip);
    else
        hash_image(out->init_hash, r->init);
    out->strength = condition_is_made(condition_kind_of(&m->network->io)) ? 1 : r->strength;
    if (!r->mask)
        return;
    put(out->mask, sizeof out->mask, last_part(r->mask_name ? r->mask_name : ""));
    hash_image(out->mask_hash, r->mask);
}

/* The value of "guidance.negative=VALUE"; NULL: another number. */
static const char *negative_of(const char *number)
{
    number += strspn(number, " \t");
    if (strncmp(number, negative_key, strlen(negative_key)) != 0)
        return NULL;
    number += strlen(negative_key);
    number += strspn(number, " \t");
    return *number == '=' ? number + 1 + strspn(number + 1, " \t") : NULL;
}

/* A number of a request; the last of several negative prompts holds. */
static enum status add_number(struct imgen_recipe *out, const char *number, struct error *err)
{
    const int most = sizeof out->numbers / sizeof out->numbers[0];
    const char *negative = negative_of(number);

    if (negative && strlen(negative) >= sizeof out->negative)
        return fail(err, E_ARG, "%s: %zu letters, and a recipe has room for %zu", negative_key,
                    strlen(negative), sizeof out->negative - 1);
    if (negative) {
        put(out->negative, sizeof out->negative, negative);
        return OK;
    }
    if (out->n_numbers == most)
        return fail(err, E_ARG, "a recipe holds %d numbers, and there are more", most);
    if (strlen(number) >= sizeof out->numbers[0])
        return fail(err, E_ARG, "a recipe has no room for '%.40s...'", number);
    put(out->numbers[out->n_numbers++], sizeof out->numbers[0], number);
    return OK;
}

enum imgen_status imgen_recipe_make(struct imgen_recipe *out, struct imgen_model *model,
                                    const struct imgen_request *r, int64_t i,
                                    struct imgen_error *err)
{
    const struct view_shape shape = view_shape(model->model, false);
    struct error e = {0};
    enum status st = OK;

    memset(out, 0, sizeof *out);
    for (int k = 0; k < r->n_numbers && !st; k++)
        st = add_number(out, r->numbers[k], &e);
    if (st || (st = put_label(out, model, r, r->items[i].label, &e)) ||
        (st = hash_of(out->hash, sizeof out->hash, model, &e)) ||
        (st = recipe_put_parts(out, model, &e)) || (st = put_classifier(out, r, &e)) ||
        (st = put_guide(out, r, &e)))
        return api_status(err, &e, st);
    put_init(out, model->model, r);
    put_loras(out, model);
    put(out->model, sizeof out->model, last_part(model->path));
    out->item = r->items[i];
    out->width = (int)shape.width;
    out->height = (int)shape.height;
    out->frames = shape.frames > 1 ? (int)shape.frames : 0;
    out->tiled = windows_count(model->model) > 1;
    out->tile_overlap = out->tiled ? model->model->window.overlap : 0;
    put(out->sampler, sizeof out->sampler, r->sampler);
    put(out->schedule, sizeof out->schedule, r->schedule);
    put(out->precision, sizeof out->precision, r->precision ? r->precision : "float32");
    put(out->rng, sizeof out->rng, r->rng ? r->rng : start_rng_at(START_IMGEN)->name);
    put(out->heads, sizeof out->heads, r->heads ? r->heads : use_heads_name(HEADS_BOTH));
    put(out->clip, sizeof out->clip, r->clip ? r->clip : clip_when_name(CLIP_AUTO));
    out->shift = r->shift;
    out->steps = r->steps;
    for (int k = 0; r->times && k < r->n_times && k < STEPS_MAX + 1; k++)
        out->times[out->n_times++] = r->times[k];
    return api_status(err, &e, st);
}

/* ---- As JSON ---- */

/* A text of the recipe under its key; those that are not for all pictures are left out when empty.
 */
static const struct recipe_text {
    const char *key;
    size_t offset, room;
    bool of_all;
} texts[] = {
#define TEXT(key, member, of_all)                                  \
    {                                                              \
        key, offsetof(struct imgen_recipe, member),                \
            sizeof((const struct imgen_recipe *)0)->member, of_all \
    }
    TEXT("model", model, true),
    TEXT("hash", hash, true),
    TEXT("label", label, true),
    TEXT("negative", negative, false),
    TEXT("sampling_method", sampler, true),
    TEXT("schedule", schedule, true),
    TEXT("precision", precision, true),
    TEXT("heads", heads, true),
    TEXT("clip", clip, true),
    TEXT("rng", rng, false),
    TEXT("init", init, false),
    TEXT("init_hash", init_hash, false),
    TEXT("mask", mask, false),
    TEXT("mask_hash", mask_hash, false),
    TEXT("classifier", classifier, false),
    TEXT("classifier_hash", classifier_hash, false),
    TEXT("guide", guide, false),
    TEXT("guide_hash", guide_hash, false),
    TEXT("guide_label", guide_label, false),
#undef TEXT
};
enum { TEXTS = sizeof texts / sizeof *texts };

/* NULL without memory, which json_pack then refuses. */
static json_t *times_json(const struct imgen_recipe *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->n_times; i++) {
        if (json_array_append_new(list, json_real(r->times[i]))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *numbers_json(const struct imgen_recipe *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->n_numbers; i++) {
        if (json_array_append_new(list, json_string(r->numbers[i]))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* The same. */
static json_t *loras_json(const struct imgen_recipe *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->n_loras; i++) {
        const struct imgen_recipe_lora *l = &r->lora[i];

        if (json_array_append_new(list, json_pack("{ss ss sf}", "file", l->file, "hash", l->hash,
                                                  "weight", l->weight))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Nonzero without memory. */
static int set_texts(json_t *root, const struct imgen_recipe *r)
{
    for (int i = 0; i < TEXTS; i++) {
        const char *text = (const char *)r + texts[i].offset;
        bool left_out = text == r->rng ? recipe_own_rng(r) : !text[0] && !texts[i].of_all;

        if (!left_out && json_object_set_new(root, texts[i].key, json_string(text)))
            return -1;
    }
    return 0;
}

/* Seeds take all 64 bits, which JSON numbers do not: written as text. */
static enum status recipe_json(char **out, const struct imgen_recipe *r, struct error *err)
{
    char seed[24];
    enum status st;
    json_t *root;

    snprintf(seed, sizeof seed, "%" PRIu64, r->item.seed);
    root = json_pack("{ss si sf ss sf si si si so}", "version", IMGEN_VERSION, "label_number",
                     r->item.label, "cfg_scale", r->item.cfg_scale, "seed", seed, "shift", r->shift,
                     "steps", r->steps, "width", r->width, "height", r->height, "times",
                     times_json(r));
    if (!root || set_texts(root, r) ||
        (r->classifier[0] &&
         json_object_set_new(root, "classifier_scale", json_real(r->classifier_scale))) ||
        (r->frames && json_object_set_new(root, "frames", json_integer(r->frames))) ||
        (r->tiled && json_object_set_new(root, "tile_overlap", json_real(r->tile_overlap))) ||
        (r->init_hash[0] && json_object_set_new(root, "strength", json_real(r->strength))) ||
        (r->n_loras && json_object_set_new(root, "loras", loras_json(r))) ||
        (r->n_parts && json_object_set_new(root, "parts", recipe_parts_json(r))) ||
        (r->n_numbers && json_object_set_new(root, "numbers", numbers_json(r)))) {
        json_decref(root);
        return fail(err, E_MEMORY, "no memory to describe a picture");
    }
    st = config_dump(out, root, err);
    json_decref(root);
    return st;
}

static enum status read_times(struct imgen_recipe *out, const json_t *root, struct error *err)
{
    json_t *list;
    enum status st;

    if ((st = config_array(&list, root, "times", err)))
        return st;
    if (json_array_size(list) > STEPS_MAX + 1)
        return fail(err, E_FORMAT, "%zu times are more than %d", json_array_size(list),
                    STEPS_MAX + 1);
    for (size_t i = 0; i < json_array_size(list); i++)
        out->times[out->n_times++] = json_number_value(json_array_get(list, i));
    return OK;
}

static enum status read_numbers(struct imgen_recipe *out, const json_t *root, struct error *err)
{
    json_t *list;
    enum status st;

    if (!json_object_get(root, "numbers"))
        return OK;
    if ((st = config_array(&list, root, "numbers", err)))
        return st;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct error why = {0};

        if (!text || add_number(out, text, &why))
            return fail(err, E_FORMAT, "number %zu of the recipe is no SECTION.NAME=VALUE%s%s", i,
                        text ? ": " : "", why.text);
    }
    return OK;
}

static enum status read_loras(struct imgen_recipe *out, const json_t *root, struct error *err)
{
    json_t *list;
    enum status st;

    if ((st = config_array(&list, root, "loras", err)))
        return st;
    if (json_array_size(list) > IMGEN_LORAS)
        return fail(err, E_FORMAT, "%zu adapters are more than %d", json_array_size(list),
                    IMGEN_LORAS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct imgen_recipe_lora *to = &out->lora[i];
        const char *file;

        if ((st = config_need(one, "file", err)) ||
            (st = config_text(&file, one, "file", "", err)) ||
            (st = recipe_put(to->file, sizeof to->file, "file", file, err)) ||
            (st = config_hash(to->hash, one, "hash", err)) ||
            (st = config_double(&to->weight, one, "weight", 1, -1e6, 1e6, err)))
            return st;
        out->n_loras++;
    }
    return OK;
}

/* Over what stands there already, for keys that are missing. */
static enum status read_texts(struct imgen_recipe *out, const json_t *root, struct error *err)
{
    for (int i = 0; i < TEXTS; i++) {
        char *now = (char *)out + texts[i].offset;
        const char *text;
        enum status st;

        if ((st = config_text(&text, root, texts[i].key, now, err)) ||
            (text != now && (st = recipe_put(now, texts[i].room, texts[i].key, text, err))))
            return st;
    }
    return OK;
}

static enum status read_recipe(struct imgen_recipe *out, const json_t *root, struct error *err)
{
    int64_t number, steps, width, height, frames;
    const char *seed;
    enum status st;

    put(out->label, sizeof out->label, "none");
    put(out->precision, sizeof out->precision, precision_name(PRECISION_FLOAT32));
    put(out->heads, sizeof out->heads, use_heads_name(HEADS_BOTH));
    put(out->clip, sizeof out->clip, clip_when_name(CLIP_AUTO));
    put(out->rng, sizeof out->rng, start_rng_at(START_IMGEN)->name);
    if ((st = read_texts(out, root, err)) || (st = config_text(&seed, root, "seed", "0", err)) ||
        (st = config_int(&number, root, "label_number", -1, -1, INT32_MAX, err)) ||
        (st = config_int(&steps, root, "steps", 1, 1, STEPS_MAX, err)) ||
        (st = config_int(&width, root, "width", 0, 0, INT32_MAX, err)) ||
        (st = config_int(&height, root, "height", 0, 0, INT32_MAX, err)) ||
        (st = config_int(&frames, root, "frames", 0, 0, INT32_MAX, err)) ||
        (st = config_double(&out->tile_overlap, root, "tile_overlap", 0, 0, 1, err)) ||
        (st = config_double(&out->shift, root, "shift", 1, 0, 1000, err)) ||
        (st = config_double(&out->strength, root, "strength", 0, 0, 1, err)) ||
        (st = config_double(&out->item.cfg_scale, root, "cfg_scale", 1, 0, 1e9, err)) ||
        (st = config_double(&out->classifier_scale, root, "classifier_scale", 0, 0, 1e9, err)) ||
        (st = read_times(out, root, err)) || (st = read_numbers(out, root, err)) ||
        (st = read_loras(out, root, err)) || (st = recipe_read_parts(out, root, err)))
        return st;
    if (!text_to_seed(seed, &out->item.seed))
        return fail(err, E_FORMAT, "the seed '%.40s' is no number", seed);
    out->item.label = (int)number;
    out->steps = (int)steps;
    out->width = (int)width;
    out->height = (int)height;
    out->frames = (int)frames;
    out->tiled = json_object_get(root, "tile_overlap") != NULL;
    return OK;
}

/* ---- In files ---- */

/* The recipe as texts of a file, their values heap. */
enum { RECIPE_TEXTS = 2 };

static enum status make_texts(struct image_text out[RECIPE_TEXTS],
                              const struct imgen_recipe *recipe, int64_t width, int64_t height,
                              struct error *err)
{
    char *json = NULL;
    struct text t;
    enum status st;

    text_init(&t, NULL, 0);
    recipe_line_write(&t, recipe, width, height);
    out[0] = (struct image_text){"parameters", text_take(&t)};
    if (!out[0].value)
        return fail(err, E_MEMORY, "no memory to describe a picture");
    st = recipe_json(&json, recipe, err);
    out[1] = (struct image_text){"imgen", json};
    return st;
}

static void free_texts(struct image_text said[RECIPE_TEXTS])
{
    for (int i = 0; i < RECIPE_TEXTS; i++)
        free((void *)(uintptr_t)said[i].value);
}

enum imgen_status imgen_picture_write(const char *path, const struct imgen_image *image,
                                      const struct imgen_recipe *recipe, struct imgen_error *err)
{
    struct image_text said[RECIPE_TEXTS] = {0};
    struct image im = api_image(image);
    struct error e = {0};
    enum status st;

    if (!(st = make_texts(said, recipe, image->width, image->height, &e)))
        st = image_write(path, &im, said, RECIPE_TEXTS, &e);
    free_texts(said);
    return api_status(err, &e, st);
}

enum imgen_status imgen_clip_write(const char *path, const struct imgen_clip *clip,
                                   const struct imgen_recipe *recipe, struct imgen_error *err)
{
    struct image_text said[RECIPE_TEXTS] = {0};
    struct clip c = api_clip(clip);
    struct error e = {0};
    enum status st = OK;

    if (recipe && !(st = make_texts(said, recipe, clip->width, clip->height, &e))) {
        c.texts = said;
        c.n_texts = RECIPE_TEXTS;
    }
    if (!st)
        st = clip_writable(path) ? clip_write(path, &c, CLIP_LOSSLESS, &e)
                                 : clip_write_frames(path, &c, &e);
    free_texts(said);
    return api_status(err, &e, st);
}

enum imgen_status imgen_clip_check(const char *path, struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, clip_check_name(path, &e));
}

int imgen_clip_named(const char *path)
{
    return clip_writable(path);
}

/* Of a picture without a recipe of ours. */
static enum status read_line(struct imgen_recipe *out, const char *path, struct error *err)
{
    char *text = NULL;
    enum status st = png_read_text(&text, path, "parameters", err);

    if (!st && !text)
        st = fail(err, E_FORMAT, "%s: the picture holds no recipe", path);
    else if (!st && (st = recipe_line_read(out, text, strlen(text), err)))
        fail_under(err, "%s", path);
    free(text);
    return st;
}

enum imgen_status imgen_recipe_read(struct imgen_recipe *out, const char *path,
                                    struct imgen_error *err)
{
    struct error e = {0};
    char *text = NULL;
    json_t *root = NULL;
    enum status st;

    memset(out, 0, sizeof *out);
    if ((st = png_read_text(&text, path, "imgen", &e)))
        goto out;
    if (!text)
        st = read_line(out, path, &e);
    else if (!(st = config_parse(&root, text, strlen(text), 1 << 20, path, &e)) &&
             (st = read_recipe(out, root, &e)))
        fail_under(&e, "%s", path);
out:
    json_decref(root);
    free(text);
    return api_status(err, &e, st);
}
