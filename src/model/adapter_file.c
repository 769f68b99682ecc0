/*
 * adapter_file.c - adapters in files, by the names that other programs give them
 *
 * The same matrices go around under many names: the trainers of diffusers write the folder layout's
 * with dots, kohya's write names with underscores in the place of all dots, and either may put one
 * of several words in front.  None of that is information.  So a tensor's name is cut into a known
 * beginning, a known end, and the layer between them, and layers are compared with their dots as
 * underscores; a sorted list of all places finds each in a few comparisons, whatever a hostile file
 * repeats.
 *
 * What no layer is meant by is an error and never passed over: an adapter that is applied in part
 * makes pictures that are wrong without a sign of it.
 *
 * An adapter says how much it counts by alpha / rank, and readers disagree where alpha stands: in a
 * tensor beside each pair, in metadata, nowhere.  Some refuse a file with a tensor that is no
 * matrix of a pair.  Where nothing is said, all take alpha to be the rank; so what is written here
 * has alpha / rank multiplied into B, and is then the same to all of them.
 */
#include "model/adapter_parts.h"

#include "base/json.h"
#include "base/memory.h"
#include "io/safetensors.h"
#include "nn/mismatch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum role { ROLE_A, ROLE_B, ROLE_ALPHA, ROLES };

static const struct ending {
    const char *text;
    enum role role;
    const char *other; /* what the partner's name ends in */
} endings[] = {
    {".lora_A.weight", ROLE_A, ".lora_B.weight"},
    {".lora_B.weight", ROLE_B, ".lora_A.weight"},
    {".lora_down.weight", ROLE_A, ".lora_up.weight"},
    {".lora_up.weight", ROLE_B, ".lora_down.weight"},
    {".lora.down.weight", ROLE_A, ".lora.up.weight"},
    {".lora.up.weight", ROLE_B, ".lora.down.weight"},
    {".alpha", ROLE_ALPHA, ""},
};

static const char *const beginnings[] = {
    "transformer.",
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "lora_unet_",
    "lora_transformer_",
    "",
};

/* --- finding layers -----------------------------------------------------------------------------
 */

/* A name of a place, in the order of the names. */
struct entry {
    char key[PARAM_NAME];
    int64_t place;
};

struct reading {
    const struct weights *f;
    struct places all;
    struct entry *entry; /* [all.n], sorted                                 */
    struct {
        const struct file_tensor *tensor[ROLES];
        const struct ending *ending; /* of one of them */
    } * found;                       /* [all.n]                           */
    struct mismatch mismatch;
    double alpha; /* of all layers, by the metadata; 0: not said */
    bool root;    /* of the rank, not the rank: "rslora"         */
};

static void make_key(char out[PARAM_NAME], const char *name, size_t n)
{
    n = n < PARAM_NAME ? n : PARAM_NAME - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(name[i] == '.' ? '_' : name[i]);
    out[n] = 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static enum status list_entries(struct reading *r, const struct network *net, struct error *err)
{
    enum status st;

    if ((st = places_list(&r->all, net, err)) ||
        (st = mem_new((void **)&r->entry, (uint64_t)r->all.n, sizeof *r->entry, "names of layers",
                      err)) ||
        (st = mem_new((void **)&r->found, (uint64_t)r->all.n, sizeof *r->found, "layers", err)))
        return st;
    for (int64_t i = 0; i < r->all.n; i++) {
        make_key(r->entry[i].key, r->all.at[i].name, strlen(r->all.at[i].name));
        r->entry[i].place = i;
    }
    qsort(r->entry, (size_t)r->all.n, sizeof *r->entry, compare);
    return OK;
}

static const struct ending *ending_of(const char *name, size_t *n)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t end = strlen(endings[i].text);

        if (*n > end && !strcmp(name + *n - end, endings[i].text)) {
            *n -= end;
            return &endings[i];
        }
    }
    return NULL;
}

/* The place of the layer that n letters name, with a beginning or without; -1: there is none. */
static int64_t place_named(const struct reading *r, const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        size_t begin = strlen(beginnings[i]);
        const struct entry *found;
        struct entry wanted;

        if (begin >= n || n - begin >= PARAM_NAME || strncmp(name, beginnings[i], begin) != 0)
            continue;
        make_key(wanted.key, name + begin, n - begin);
        found = bsearch(&wanted, r->entry, (size_t)r->all.n, sizeof wanted, compare);
        if (found)
            return found->place;
    }
    return -1;
}

static enum status take_tensor(struct reading *r, const struct file_tensor *t, struct error *err)
{
    size_t n = strlen(t->name);
    const struct ending *end = ending_of(t->name, &n);
    int64_t i = end ? place_named(r, t->name, n) : -1;

    if (i < 0) {
        mismatch_add(&r->mismatch, MISMATCH_UNEXPECTED, t->name, "");
        return OK;
    }
    if (r->found[i].tensor[end->role])
        return fail(err, E_FORMAT, "the layer %s is there twice: as %.80s and as %.80s",
                    r->all.at[i].name, r->found[i].tensor[end->role]->name, t->name);
    r->found[i].tensor[end->role] = t;
    if (!r->found[i].ending || end->role != ROLE_ALPHA)
        r->found[i].ending = end;
    return OK;
}

/* --- what is there ------------------------------------------------------------------------------
 */

/* The two dimensions of a matrix; others are 1, as a convolution has them. */
static bool matrix_dims(const struct file_tensor *t, int64_t dim[2])
{
    if (t->rank < 2)
        return false;
    for (int k = 2; k < t->rank; k++)
        if (t->dim[k] != 1)
            return false;
    dim[0] = t->dim[0];
    dim[1] = t->dim[1];
    return true;
}

static void complain_shape(struct mismatch *m, const struct file_tensor *t, int64_t rows,
                           int64_t cols)
{
    char detail[MISMATCH_DETAIL], found[SHAPE_TEXT], want[2][24] = {"rank", "rank"};
    struct shape s = {.rank = t->rank < SHAPE_RANK ? t->rank : SHAPE_RANK};

    for (int k = 0; k < s.rank; k++)
        s.dim[k] = t->dim[k];
    if (rows)
        snprintf(want[0], sizeof want[0], "%" PRId64, rows);
    if (cols)
        snprintf(want[1], sizeof want[1], "%" PRId64, cols);
    snprintf(detail, sizeof detail, " is %s, not [%s, %s]", shape_text(found, s), want[0], want[1]);
    mismatch_add(m, MISMATCH_SHAPE, t->name, detail);
}

/* Of a layer with tensors: whether all of them are there, and of its shape.  Its rank. */
static int64_t check_layer(struct reading *r, int64_t i)
{
    const struct file_tensor *a = r->found[i].tensor[ROLE_A], *b = r->found[i].tensor[ROLE_B];
    const struct place *p = &r->all.at[i];
    int64_t in = shape_last(p->of->shape), rows = p->runs * p->rows, d[2], rank;
    char name[2 * PARAM_NAME];

    if (!a || !b) {
        const char *end = r->found[i].ending->role == ROLE_ALPHA ? ".lora_down.weight"
                                                                 : r->found[i].ending->other;

        snprintf(name, sizeof name, "%s%s", p->name, end);
        mismatch_add(&r->mismatch, MISMATCH_MISSING, name, "");
        return 0;
    }
    if (!matrix_dims(a, d) || d[1] != in || d[0] < 1) {
        complain_shape(&r->mismatch, a, 0, in);
        return 0;
    }
    rank = d[0];
    if (!matrix_dims(b, d) || d[0] != rows || d[1] != rank) {
        complain_shape(&r->mismatch, b, rows, rank);
        return 0;
    }
    return rank;
}

/* What the file says of itself; *out NULL: nothing. */
static enum status read_metadata(struct reading *r, struct error *err)
{
    static const char key[] = "lora_adapter_metadata";
    const char *text = weights_metadata(r->f, key);
    json_t *root = NULL, *pattern = NULL;
    bool dora = false;
    enum status st;

    if (!text)
        return OK;
    if (!(st = config_parse(&root, text, strlen(text), CONFIG_BYTES, key, err)) &&
        !(st = config_double(&r->alpha, root, "transformer.lora_alpha", 0, 0, 1e9, err)) &&
        !(st = config_bool(&r->root, root, "transformer.use_rslora", false, err)) &&
        !(st = config_bool(&dora, root, "transformer.use_dora", false, err)))
        st = config_object(&pattern, root, "transformer.alpha_pattern", err);
    if (!st && (dora || json_object_size(pattern)))
        st = fail(err, E_UNSUPPORTED, "%s: %s is not supported", key,
                  dora ? "use_dora" : "alpha_pattern");
    json_decref(root);
    return st;
}

/* How often a layer of this rank counts, at a weight of 1. */
static enum status scale_of(double *out, const struct reading *r, int64_t i, int64_t rank,
                            struct error *err)
{
    const struct file_tensor *t = r->found[i].tensor[ROLE_ALPHA];
    double alpha = r->alpha > 0 ? r->alpha : (double)rank;
    enum status st;

    if (t) {
        if (file_tensor_count(t) != 1)
            return fail(err, E_FORMAT, "%s: %" PRId64 " numbers, where one is wanted", t->name,
                        file_tensor_count(t));
        if ((st = file_tensor_f64(t, &alpha, err)))
            return st;
        if (!isfinite(alpha))
            return fail(err, E_FORMAT, "%s is no number", t->name);
    }
    *out = alpha / (r->root && !t ? sqrt((double)rank) : (double)rank);
    return OK;
}

static enum status find_layers(struct adapter *a, struct reading *r, struct error *err)
{
    enum status st;

    for (int64_t i = 0; i < weights_count(r->f); i++)
        if ((st = take_tensor(r, weights_at(r->f, i), err)))
            return st;
    if ((st = mem_new((void **)&a->module, (uint64_t)r->all.n, sizeof *a->module, "an adapter",
                      err)))
        return st;
    for (int64_t i = 0; i < r->all.n; i++) {
        if (!r->found[i].ending)
            continue;
        a->module[a->n_modules++] =
            (struct adapter_module){.place = r->all.at[i], .rank = check_layer(r, i)};
    }
    if ((st = mismatch_status(&r->mismatch, err)))
        return st;
    return a->n_modules ? OK : fail(err, E_FORMAT, "there is no adapter in the file");
}

/* --- values -------------------------------------------------------------------------------------
 */

static enum status fill_module(const struct adapter_module *m, const struct file_tensor *down,
                               const struct file_tensor *up, double scale, struct error *err)
{
    int64_t in = shape_last(m->down->shape), n = m->place.rows * m->rank;
    float *all = NULL;
    enum status st;

    if ((st = file_tensor_f32(down, m->down->own + m->column * in, err)) ||
        (st = mem_new((void **)&all, (uint64_t)(m->place.runs * n), sizeof *all, up->name, err)) ||
        (st = file_tensor_f32(up, all, err)))
        goto out;
    for (int k = 0; k < m->place.runs; k++)
        for (int64_t i = 0; i < n; i++)
            m->up[k]->own[i] = (float)(scale * (double)all[m->place.part[k] * n + i]);
out:
    free(all);
    return st;
}

static enum status fill(struct adapter *a, const struct reading *r, double weight,
                        struct error *err)
{
    enum status st = OK;

    for (int64_t i = 0, m = 0; i < r->all.n && !st; i++) {
        double scale = 1;

        if (!r->found[i].ending)
            continue;
        if (!(st = scale_of(&scale, r, i, a->module[m].rank, err)))
            st = fill_module(&a->module[m], r->found[i].tensor[ROLE_A], r->found[i].tensor[ROLE_B],
                             weight * scale, err);
        m++;
    }
    return st;
}

enum status adapter_read(struct adapter **out, struct network *net, const struct weights *f,
                         double weight, struct error *err)
{
    struct reading r = {.f = f};
    struct adapter *a = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&a, 1, sizeof *a, "an adapter", err)))
        return st;
    a->scale = 1;
    if ((st = list_entries(&r, net, err)) || (st = read_metadata(&r, err)) ||
        (st = find_layers(a, &r, err)) || (st = adapter_build(a, false, err)) ||
        (st = fill(a, &r, weight, err)))
        goto out;
    *out = a;
    a = NULL;
out:
    adapter_free(a);
    places_release(&r.all);
    free(r.entry);
    free(r.found);
    return st;
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* A pair as it is written. */
struct written {
    char down[PARAM_NAME + 48], up[PARAM_NAME + 48];
};

static void describe(struct save_tensor *out, const char *name, int64_t rows, int64_t cols,
                     const float *values)
{
    *out = (struct save_tensor){
        .name = name, .dtype = FILE_F32, .rank = 2, .dim = {rows, cols}, .bytes = values};
}

/* B of a module as files have it, times alpha / rank; the end of it. */
static float *put_up(float *to, const struct adapter *a, const struct adapter_module *m,
                     const float *values)
{
    int64_t n = m->place.rows * m->rank;

    for (int k = 0; k < m->place.runs; k++) {
        const float *from = values ? values + m->up[k]->offset : m->up[k]->own;

        for (int64_t i = 0; i < n; i++)
            to[m->place.part[k] * n + i] = (float)(a->scale * (double)from[i]);
    }
    return to + m->place.runs * n;
}

enum status adapter_save(const struct adapter *a, const char *path, const float *values,
                         const struct save_text *texts, int n_texts, struct error *err)
{
    struct save_tensor *tensors = NULL;
    struct written *names = NULL;
    float *up = NULL, *at;
    enum status st;

    if ((st = mem_new((void **)&tensors, 2 * (uint64_t)a->n_modules, sizeof *tensors,
                      "a list of tensors", err)) ||
        (st = mem_new((void **)&names, (uint64_t)a->n_modules, sizeof *names, "names", err)) ||
        (st = mem_new((void **)&up, (uint64_t)params_n_values(a->params), sizeof *up, "an adapter",
                      err)))
        goto out;
    at = up;
    for (int64_t i = 0; i < a->n_modules; i++) {
        const struct adapter_module *m = &a->module[i];
        const char *begin = m->place.theirs ? "transformer." : "base_model.model.";
        int64_t in = shape_last(m->down->shape);
        const float *down = values ? values + m->down->offset : m->down->own;

        snprintf(names[i].down, sizeof names[i].down, "%s%s.lora_A.weight", begin, m->place.name);
        snprintf(names[i].up, sizeof names[i].up, "%s%s.lora_B.weight", begin, m->place.name);
        describe(&tensors[2 * i], names[i].down, m->rank, in, down + m->column * in);
        describe(&tensors[2 * i + 1], names[i].up, m->place.runs * m->place.rows, m->rank, at);
        at = put_up(at, a, m, values);
    }
    st = safetensors_save(path, tensors, 2 * a->n_modules, texts, n_texts, err);
out:
    free(tensors);
    free(names);
    free(up);
    return st;
}
