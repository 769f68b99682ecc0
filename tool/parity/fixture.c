/*
 * fixture.c - opening a fixture and taking numbers out of it
 *
 * Fixtures come from outside: a truncated file, a missing tensor or a shape of nine dimensions is a
 * sentence in the report, not a crash.  All memory a checker asks for hangs on the fixture in one
 * list and goes when the fixture is closed, so that checkers, which are long sequences of "load
 * this, compare that", need no clean-up of their own.
 *
 * Files hold the public layouts, channels second (pictures NCHW, convolutions OIHW); the library
 * holds channels last.  For both that is the same move of axis 1 to the end, whatever the rank, and
 * it is the references that are moved, so that comparisons happen in the library's own layout.
 */
#include "parity.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct parity_block {
    struct parity_block *next;
    void *data;
};

enum status fixture_new(struct parity_fixture *f, void **out, uint64_t count, uint64_t size,
                        struct error *err)
{
    struct parity_block *block = NULL;
    enum status st;

    if ((st = mem_new((void **)&block, 1, sizeof(*block), "a list entry", err)))
        return st;
    if ((st = mem_new(&block->data, count, size, f->name, err))) {
        free(block);
        return st;
    }
    block->next = f->blocks;
    f->blocks = block;
    *out = block->data;
    return OK;
}

static void blocks_free(struct parity_fixture *f)
{
    while (f->blocks) {
        struct parity_block *next = f->blocks->next;

        free(f->blocks->data);
        free(f->blocks);
        f->blocks = next;
    }
}

/* --- opening ------------------------------------------------------------------------------ */

/* Unlike configurations, texts for tokenizers may hold a NUL. */
static enum status json_open(struct parity_part *part, const char **kind, struct error *err)
{
    const struct parity_checker *c;
    uint8_t *text = NULL;
    enum status st;
    json_error_t why;
    uint64_t n;

    if ((st = file_read(&text, &n, part->path, CONFIG_BYTES, err)))
        return st;
    part->json = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    free(text);
    if (!part->json)
        return fail(err, E_FORMAT, "%s: JSON line %d, column %d: %s", part->path, why.line,
                    why.column, why.text);
    *kind = json_string_value(json_object_get(part->json, "kind"));
    c = *kind ? NULL : checker_knowing(part->json);
    if (c)
        *kind = c->kind;
    return OK;
}

static enum status part_open(struct parity_part *part, const char **kind, struct error *err)
{
    size_t n = strlen(part->path);
    const struct parity_checker *c;
    enum status st;

    *kind = NULL;
    if (n > 5 && strcmp(part->path + n - 5, ".json") == 0 && strcmp(part->suffix, "model") != 0)
        return json_open(part, kind, err);
    if ((st = weights_open(&part->file, part->path, err)))
        return st;
    *kind = weights_metadata(part->file, "kind");
    c = *kind || part->suffix[0] ? NULL : checker_knowing_tensors(part->file);
    if (c)
        *kind = c->kind;
    return OK;
}

static enum status parts_open(struct parity_fixture *f, struct error *err)
{
    const char *kind;
    enum status st;

    for (int k = 0; k < f->n_parts; k++) {
        if ((st = part_open(&f->parts[k], &kind, err)))
            return st;
        if (k == 0 && kind && (st = mem_text(&f->kind, kind, err)))
            return st;
        if (strcmp(kind ? kind : "", f->kind ? f->kind : "") != 0)
            return fail(err, E_FORMAT, "the part \"%s\" says kind %s, the part \"%s\" %s",
                        f->parts[k].suffix, kind ? kind : "nothing", f->parts[0].suffix,
                        f->kind ? f->kind : "nothing");
    }
    return OK;
}

/* The class that a configuration names, one for CLIP with and without a projection; those of the
 * original code name none and are known by a key. */
static const char *class_of(const json_t *config)
{
    const char *class = json_string_value(json_object_get(config, "_class_name"));

    if (!class)
        class = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    if (class && strcmp(class, "CLIPTextModel") == 0)
        class = "CLIPTextModelWithProjection";
    if (!class && json_object_get(config, "pos_embed_max_size"))
        class = "SD3Transformer2DModel";
    return class;
}

static enum status folder_kind(struct parity_fixture *f, struct error *err)
{
    json_t *config = NULL;
    const char *class;
    enum status st;

    if (weights_metadata(fixture_part(f, "model")->file, "config"))
        st = fixture_metadata(&config, fixture_part(f, "model"), "config", err);
    else
        st = fixture_json(&config, f, "config.json", err);
    class = st ? NULL : class_of(config);
    if (class)
        st = mem_text(&f->kind, class, err);
    json_decref(config);
    return st;
}

enum status fixture_open(struct parity_fixture *f, struct error *err)
{
    struct error why = {0};

    if (f->broken || (!parts_open(f, &why) && (f->kind || !f->folder || !folder_kind(f, &why))))
        return OK;
    return mem_text(&f->broken, why.text, err);
}

void fixture_close(struct parity_fixture *f)
{
    for (int k = 0; k < f->n_parts; k++) {
        weights_close(f->parts[k].file);
        json_decref(f->parts[k].json);
        f->parts[k].file = NULL;
        f->parts[k].json = NULL;
    }
    blocks_free(f);
}

const struct parity_part *fixture_part(const struct parity_fixture *f, const char *suffix)
{
    for (int k = 0; k < f->n_parts; k++)
        if (strcmp(f->parts[k].suffix, suffix) == 0)
            return &f->parts[k];
    return NULL;
}

enum status fixture_metadata(json_t **out, const struct parity_part *part, const char *key,
                             struct error *err)
{
    const char *text = weights_metadata(part->file, key);

    *out = NULL;
    if (!text)
        return fail(err, E_FORMAT, "%s has no metadata \"%s\"", part->path, key);
    return config_parse(out, text, strlen(text), CONFIG_BYTES, key, err);
}

enum status fixture_json(json_t **out, const struct parity_fixture *f, const char *path,
                         struct error *err)
{
    char whole[4096];
    uint8_t *text = NULL;
    struct stat is;
    uint64_t n;
    enum status st;

    *out = NULL;
    if (snprintf(whole, sizeof(whole), "%s/%s", f->folder, path) >= (int)sizeof(whole))
        return fail(err, E_ARG, "%s/%s: the path is too long", f->folder, path);
    if (stat(whole, &is))
        return OK;
    if ((st = file_read(&text, &n, whole, CONFIG_BYTES, err)))
        return st;
    st = config_parse(out, (const char *)text, n, CONFIG_BYTES, whole, err);
    free(text);
    return st;
}

/* --- numbers ------------------------------------------------------------------------------ */

static enum status tensor_find(const struct file_tensor **out, const struct parity_part *part,
                               const char *name, struct error *err)
{
    *out = part->file ? weights_find(part->file, name) : NULL;
    if (!*out)
        return fail(err, E_FORMAT, "%s has no tensor %s", part->path, name);
    return OK;
}

enum status fixture_f32(struct parity_fixture *f, struct parity_array *out,
                        const struct parity_part *part, const char *name, struct error *err)
{
    const struct file_tensor *t;
    enum status st;

    memset(out, 0, sizeof(*out));
    if ((st = tensor_find(&t, part, name, err)))
        return st;
    if (t->rank > SHAPE_RANK)
        return fail(err, E_FORMAT, "%s: %s has %d dimensions, at most %d are read", part->path,
                    name, t->rank, SHAPE_RANK);
    out->n = file_tensor_count(t);
    out->shape.rank = t->rank;
    for (int k = 0; k < t->rank; k++)
        out->shape.dim[k] = t->dim[k];
    if ((st = fixture_new(f, (void **)&out->v, (uint64_t)out->n, sizeof(float), err)))
        return st;
    return file_tensor_f32(t, out->v, err);
}

enum status fixture_f64(struct parity_fixture *f, double **out, int64_t *n,
                        const struct parity_part *part, const char *name, struct error *err)
{
    const struct file_tensor *t;
    enum status st;

    *out = NULL;
    *n = 0;
    if ((st = tensor_find(&t, part, name, err)))
        return st;
    *n = file_tensor_count(t);
    if ((st = fixture_new(f, (void **)out, (uint64_t)*n, sizeof(double), err)))
        return st;
    return file_tensor_f64(t, *out, err);
}

enum status fixture_i32(struct parity_fixture *f, int32_t **out, int64_t *n,
                        const struct parity_part *part, const char *name, struct error *err)
{
    const struct file_tensor *t;
    int64_t *wide;
    enum status st;

    *out = NULL;
    *n = 0;
    if ((st = tensor_find(&t, part, name, err)))
        return st;
    *n = file_tensor_count(t);
    if ((st = fixture_new(f, (void **)out, (uint64_t)*n, sizeof(int32_t), err)) ||
        (st = fixture_new(f, (void **)&wide, (uint64_t)*n, sizeof(int64_t), err)) ||
        (st = file_tensor_i64(t, wide, err)))
        return st;
    for (int64_t i = 0; i < *n; i++) {
        if (wide[i] < INT32_MIN || wide[i] > INT32_MAX)
            return fail(err, E_FORMAT, "%s: %s[%lld] is %lld, which is no 32-bit number",
                        part->path, name, (long long)i, (long long)wide[i]);
        (*out)[i] = (int32_t)wide[i];
    }
    return OK;
}

/* --- layouts ------------------------------------------------------------------------------ */

/* [outer, a, b] -> [outer, b, a]: moving an axis past all inner ones is a transposition of what
 * lies inside the first dimension. */
static void transpose_inner(float *out, const float *in, int64_t outer, int64_t a, int64_t b)
{
    for (int64_t n = 0; n < outer; n++)
        for (int64_t i = 0; i < a; i++)
            for (int64_t j = 0; j < b; j++)
                out[(n * b + j) * a + i] = in[(n * a + i) * b + j];
}

enum status channels_last(struct parity_fixture *f, struct parity_array *out,
                          const struct parity_array *in, struct error *err)
{
    int rank = in->shape.rank;
    int64_t channels;
    enum status st;

    *out = *in;
    if (rank < 3)
        return OK;
    if ((st = fixture_new(f, (void **)&out->v, (uint64_t)in->n, sizeof(float), err)))
        return st;
    channels = in->shape.dim[1];
    for (int k = 1; k + 1 < rank; k++)
        out->shape.dim[k] = in->shape.dim[k + 1];
    out->shape.dim[rank - 1] = channels;
    if (in->n > 0)
        transpose_inner(out->v, in->v, in->shape.dim[0], channels,
                        in->n / in->shape.dim[0] / channels);
    return OK;
}
