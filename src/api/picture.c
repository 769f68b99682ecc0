/*
 * picture.c - pictures in files, and how they were made
 *
 * A picture carries its recipe twice: as the line of parameters that people and their tools know
 * from other programs, and as JSON, which is read back.  The recipe names the model by its content,
 * so that a picture asked for again either has the same bytes or the reason why not is known.
 */
#include "api/api.h"

#include "data/listing.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "io/image.h"
#include "pipeline/pair.h"
#include "pipeline/picture.h"
#include "sampler/start.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct image api_image(const struct imgen_image *im)
{
    return (struct image){im->height, im->width, im->channels, im->pixels};
}

void api_image_out(struct imgen_image *out, const struct image *im)
{
    *out = (struct imgen_image){im->height, im->width, im->channels, im->pixels};
}

enum imgen_status imgen_image_read(struct imgen_image *out, const char *path,
                                   struct imgen_error *err)
{
    struct error e = {0};
    struct image im = {0};
    enum status st = image_read(&im, path, &e);

    api_image_out(out, &im);
    return api_status(err, &e, st);
}

enum imgen_status imgen_image_write(const char *path, const struct imgen_image *image,
                                    struct imgen_error *err)
{
    struct error e = {0};
    struct image im = api_image(image);

    return api_status(err, &e, image_write(path, &im, NULL, 0, &e));
}

void imgen_image_release(struct imgen_image *image)
{
    struct image im = api_image(image);

    image_release(&im);
    api_image_out(image, &im);
}

enum imgen_status imgen_sheet_draw(struct imgen_image *out, const float *x,
                                   const struct imgen_sheet *s, struct imgen_error *err)
{
    struct sheet sheet = {s->rows,     s->columns, s->height, s->width,
                          s->channels, s->gap,     s->zoom,   (uint8_t)s->ground};
    struct error e = {0};
    struct image im = {0};
    enum status st = picture_sheet(&im, x, &sheet, &e);

    api_image_out(out, &im);
    return api_status(err, &e, st);
}

enum { PATH_ROOM = 4096 };

/* --- recipes ------------------------------------------------------------------------------------
 */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void put(char *to, size_t room, const char *text)
{
    struct text t;

    text_init(&t, to, room);
    text_add(&t, "%s", text ? text : "");
}

/* The label is the model's, or the classifier's where the model has none; or it is a prompt. */
static void put_label(struct imgen_recipe *out, const struct imgen_model *model,
                      const struct imgen_request *r, int label)
{
    const bool own = model->model->network->io.n_classes || !r->classifier;
    const char *name = imgen_model_label(own ? model : r->classifier, label);
    struct text t;

    if (model->model->network->io.text_length || model->model->network->io.context_width)
        name = label < 0 ? "" : r->prompts[label];

    text_init(&t, out->label, sizeof out->label);
    if (name)
        text_add(&t, "%s", name);
    else if (label == model->model->network->io.null_label || label < 0)
        text_add(&t, "none");
    else
        text_add(&t, "%d", label);
}

/* The file that says which model it is: of a folder that with its network's weights, or their
 * index. */
static void file_of(char out[PATH_ROOM], const struct imgen_model *model)
{
    static const char *const inside[] = {
        "/transformer/diffusion_pytorch_model.safetensors",
        "/transformer/diffusion_pytorch_model.fp16.safetensors",
        "/transformer/diffusion_pytorch_model.safetensors.index.json"};

    snprintf(out, PATH_ROOM, "%s", model->path);
    for (size_t i = 0; i < sizeof inside / sizeof *inside && !path_is_file(out); i++)
        snprintf(out, PATH_ROOM, "%s%s", model->path, inside[i]);
}

static enum status hash_of(char *out, size_t room, struct imgen_model *model, struct error *err)
{
    char path[PATH_ROOM];
    enum status st = OK;

    file_of(path, model);
    if (!model->hash[0])
        st = hash_file(model->hash, path, err);

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

static enum status put_numbers(struct imgen_recipe *out, const struct imgen_request *r,
                               struct error *err)
{
    const int most = sizeof out->numbers / sizeof out->numbers[0];

    if (r->n_numbers > most)
        return fail(err, E_ARG, "a recipe holds %d numbers, and there are %d", most, r->n_numbers);
    for (int k = 0; k < r->n_numbers; k++) {
        if (strlen(r->numbers[k]) >= sizeof out->numbers[k])
            return fail(err, E_ARG, "a recipe has no room for '%.40s...'", r->numbers[k]);
        put(out->numbers[out->n_numbers++], sizeof out->numbers[k], r->numbers[k]);
    }
    return OK;
}

enum imgen_status imgen_recipe_make(struct imgen_recipe *out, struct imgen_model *model,
                                    const struct imgen_request *r, int64_t i,
                                    struct imgen_error *err)
{
    struct error e = {0};
    enum status st = OK;

    memset(out, 0, sizeof *out);
    if ((st = hash_of(out->hash, sizeof out->hash, model, &e)) ||
        (st = put_classifier(out, r, &e)) || (st = put_guide(out, r, &e)) ||
        (st = put_numbers(out, r, &e)))
        return api_status(err, &e, st);
    put(out->model, sizeof out->model, last_part(model->path));
    put_label(out, model, r, r->items[i].label);
    out->item = r->items[i];
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

static bool is_own_rng(const struct imgen_recipe *r)
{
    return !r->rng[0] || !strcmp(r->rng, start_rng_at(START_IMGEN)->name);
}

/* Seeds take all 64 bits, which JSON numbers do not: written as text. */
static enum status recipe_json(char **out, const struct imgen_recipe *r, struct error *err)
{
    char seed[24];
    enum status st;
    json_t *root;

    snprintf(seed, sizeof seed, "%" PRIu64, r->item.seed);
    root =
        json_pack("{ss ss ss ss si sf ss ss ss ss ss ss sf si so}", "version", IMGEN_VERSION,
                  "model", r->model, "hash", r->hash, "label", r->label, "label_number",
                  r->item.label, "cfg_scale", r->item.cfg_scale, "seed", seed, "sampling_method",
                  r->sampler, "schedule", r->schedule, "precision", r->precision, "heads", r->heads,
                  "clip", r->clip, "shift", r->shift, "steps", r->steps, "times", times_json(r));
    if (!root ||
        (r->classifier[0] &&
         (json_object_set_new(root, "classifier", json_string(r->classifier)) ||
          json_object_set_new(root, "classifier_hash", json_string(r->classifier_hash)) ||
          json_object_set_new(root, "classifier_scale", json_real(r->classifier_scale)))) ||
        (r->guide[0] && (json_object_set_new(root, "guide", json_string(r->guide)) ||
                         json_object_set_new(root, "guide_hash", json_string(r->guide_hash)) ||
                         json_object_set_new(root, "guide_label", json_string(r->guide_label)))) ||
        (!is_own_rng(r) && json_object_set_new(root, "rng", json_string(r->rng))) ||
        (r->n_numbers && json_object_set_new(root, "numbers", numbers_json(r)))) {
        json_decref(root);
        return fail(err, E_MEMORY, "no memory to describe a picture");
    }
    st = config_dump(out, root, err);
    json_decref(root);
    return st;
}

static void recipe_line(struct text *t, const struct imgen_image *im, const struct imgen_recipe *r)
{
    char cfg[TEXT_REAL], scale[TEXT_REAL];

    text_add(t,
             "%s\nSteps: %d, Sampler: %s, Schedule type: %s, CFG scale: %s, Seed: %" PRIu64
             ", Size: %" PRId64 "x%" PRId64 ", Model hash: %.10s, Model: %s, Version: imgen %s",
             r->label, r->steps, r->sampler, r->schedule, text_from_real(cfg, r->item.cfg_scale),
             r->item.seed, im->width, im->height, r->hash, r->model, IMGEN_VERSION);
    if (!is_own_rng(r)) /* as other programs put it */
        text_add(t, ", RNG: CPU");
    if (r->classifier[0])
        text_add(t, ", Classifier: %s, Classifier hash: %.10s, Classifier scale: %s", r->classifier,
                 r->classifier_hash, text_from_real(scale, r->classifier_scale));
    if (r->guide[0])
        text_add(t, ", Guide: %s, Guide hash: %.10s, Guide label: %s", r->guide, r->guide_hash,
                 r->guide_label);
}

enum imgen_status imgen_picture_write(const char *path, const struct imgen_image *image,
                                      const struct imgen_recipe *recipe, struct imgen_error *err)
{
    struct image im = api_image(image);
    struct error e = {0};
    char line[2048], *json = NULL;
    struct text t;
    enum status st;

    text_init(&t, line, sizeof line);
    recipe_line(&t, image, recipe);
    if (!(st = recipe_json(&json, recipe, &e)))
        st = image_write(path, &im, (struct image_text[]){{"parameters", line}, {"imgen", json}}, 2,
                         &e);
    free(json);
    return api_status(err, &e, st);
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
    const size_t most = sizeof out->numbers / sizeof out->numbers[0];
    json_t *list;
    enum status st;

    if (!json_object_get(root, "numbers"))
        return OK;
    if ((st = config_array(&list, root, "numbers", err)))
        return st;
    if (json_array_size(list) > most)
        return fail(err, E_FORMAT, "%zu numbers are more than %zu", json_array_size(list), most);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (!text || strlen(text) >= sizeof out->numbers[i])
            return fail(err, E_FORMAT, "number %zu of the recipe is no SECTION.NAME=VALUE", i);
        put(out->numbers[out->n_numbers++], sizeof out->numbers[i], text);
    }
    return OK;
}

/* The other models that had a part in it. */
static enum status read_guides(struct imgen_recipe *out, const json_t *root, struct error *err)
{
    const char *by, *by_hash, *guide, *guide_hash, *guide_label;
    enum status st;

    if ((st = config_text(&by, root, "classifier", "", err)) ||
        (st = config_text(&by_hash, root, "classifier_hash", "", err)) ||
        (st = config_double(&out->classifier_scale, root, "classifier_scale", 0, 0, 1e9, err)) ||
        (st = config_text(&guide, root, "guide", "", err)) ||
        (st = config_text(&guide_hash, root, "guide_hash", "", err)) ||
        (st = config_text(&guide_label, root, "guide_label", "", err)))
        return st;
    put(out->classifier, sizeof out->classifier, by);
    put(out->classifier_hash, sizeof out->classifier_hash, by_hash);
    put(out->guide, sizeof out->guide, guide);
    put(out->guide_hash, sizeof out->guide_hash, guide_hash);
    put(out->guide_label, sizeof out->guide_label, guide_label);
    return OK;
}

static enum status read_recipe(struct imgen_recipe *out, const json_t *root, struct error *err)
{
    const char *model, *hash, *label, *seed, *sampler, *schedule, *precision;
    const char *heads, *clip, *rng;
    int64_t number, steps;
    enum status st;

    if ((st = config_text(&model, root, "model", "", err)) ||
        (st = config_text(&hash, root, "hash", "", err)) ||
        (st = config_text(&label, root, "label", "none", err)) ||
        (st = read_guides(out, root, err)) || (st = config_text(&seed, root, "seed", "0", err)) ||
        (st = config_text(&sampler, root, "sampling_method", "", err)) ||
        (st = config_text(&schedule, root, "schedule", "", err)) ||
        (st = config_text(&precision, root, "precision", "float32", err)) ||
        (st = config_text(&heads, root, "heads", use_heads_name(HEADS_BOTH), err)) ||
        (st = config_text(&rng, root, "rng", start_rng_at(START_IMGEN)->name, err)) ||
        (st = config_text(&clip, root, "clip", clip_when_name(CLIP_AUTO), err)) ||
        (st = config_int(&number, root, "label_number", -1, -1, INT32_MAX, err)) ||
        (st = config_int(&steps, root, "steps", 1, 1, STEPS_MAX, err)) ||
        (st = config_double(&out->shift, root, "shift", 1, 0, 1000, err)) ||
        (st = config_double(&out->item.cfg_scale, root, "cfg_scale", 1, 0, 1e9, err)) ||
        (st = read_times(out, root, err)) || (st = read_numbers(out, root, err)))
        return st;
    if (!text_to_seed(seed, &out->item.seed))
        return fail(err, E_FORMAT, "the seed '%.40s' is no number", seed);
    put(out->model, sizeof out->model, model);
    put(out->hash, sizeof out->hash, hash);
    put(out->label, sizeof out->label, label);
    put(out->sampler, sizeof out->sampler, sampler);
    put(out->schedule, sizeof out->schedule, schedule);
    put(out->precision, sizeof out->precision, precision);
    put(out->heads, sizeof out->heads, heads);
    put(out->clip, sizeof out->clip, clip);
    put(out->rng, sizeof out->rng, rng);
    out->item.label = (int)number;
    out->steps = (int)steps;
    return OK;
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
    if (!text) {
        st = fail(&e, E_FORMAT, "%s: the picture holds no recipe", path);
        goto out;
    }
    if (!(st = config_parse(&root, text, strlen(text), 1 << 20, path, &e)) &&
        (st = read_recipe(out, root, &e)))
        fail_under(&e, "%s", path);
out:
    json_decref(root);
    free(text);
    return api_status(err, &e, st);
}
