/*
 * params_file.c - parameters to and from files of tensors
 *
 * Public checkpoints are channels-first: a convolution's weight is [O, I, H, W] there and [O, H, W,
 * I] here, and the change is made once, on the way in and out, by one walk that knows any order of
 * dimensions.  A mismatch is not the first wrong
 * key but the list of them: whoever opens a checkpoint of another size sees at a glance which it
 * is.
 *
 * One network is published under several sets of names.  Ours are one of them, and a naming says
 * what else a file may call a parameter; so a file is searched by names that are wanted, whoever
 * wrote it, and what is left over is unexpected.
 */
#include "base/memory.h"
#include "base/text.h"
#include "nn/mismatch.h"
#include "nn/params.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 160 };

/* Dimensions k .. of the result, whose steps in `in` are step[k] ..; returns the end of `out`. */
static float *gather(float *out, const float *in, const struct shape *s, const int64_t *step, int k)
{
    if (k + 1 < s->rank) {
        for (int64_t i = 0; i < s->dim[k]; i++)
            out = gather(out, in + i * step[k], s, step, k + 1);
        return out;
    }
    for (int64_t i = 0; i < s->dim[k]; i++)
        out[i] = in[i * step[k]];
    return out + s->dim[k];
}

/* out = the tensor `in` of this shape with its dimensions in another order. */
static void reorder(float *out, const float *in, struct shape shape, const int *order)
{
    int64_t step[SHAPE_RANK], of[SHAPE_RANK], all = 1;
    struct shape result = {.rank = shape.rank};

    for (int k = shape.rank - 1; k >= 0; k--) {
        of[k] = all;
        all *= shape.dim[k];
    }
    for (int k = 0; k < shape.rank; k++) {
        result.dim[k] = shape.dim[order[k]];
        step[k] = of[order[k]];
    }
    gather(out, in, &result, step, 0);
}

bool param_keeps_order(const struct param *q)
{
    int last = -1;

    for (int k = 0; k < q->stored.rank; k++) {
        if (q->stored.dim[q->order[k]] == 1)
            continue;
        if (q->order[k] < last)
            return false;
        last = q->order[k];
    }
    return true;
}

/* Dimensions of size one say nothing: [3C, C, 1] holds a [3C, C]. */
static bool same_shape(const struct file_tensor *t, struct shape s)
{
    int a = 0, b = 0;

    for (;;) {
        while (a < t->rank && t->dim[a] == 1)
            a++;
        while (b < s.rank && s.dim[b] == 1)
            b++;
        if (a == t->rank || b == s.rank)
            return a == t->rank && b == s.rank;
        if (t->dim[a++] != s.dim[b++])
            return false;
    }
}

static enum status load_one(struct param *q, const struct file_tensor *t, float *value,
                            struct error *err)
{
    float *file = NULL;
    enum status st;

    if (param_keeps_order(q))
        return file_tensor_f32(t, value, err);
    if ((st = mem_new((void **)&file, (uint64_t)shape_count(q->shape), sizeof *file, q->name, err)))
        return st;
    if (!(st = file_tensor_f32(t, file, err)))
        reorder(value, file, q->stored, q->order);
    free(file);
    return st;
}

static bool is_among(const struct file_tensor *t, const struct file_tensor *const *found, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (found[i] == t)
            return true;
    return false;
}

/* A look at every tensor only when the counts do not agree: the search is a walk over all found. */
static void check_unexpected(struct params *p, const struct weights *f,
                             const struct params_naming *naming,
                             const struct file_tensor *const *found, int64_t n_found,
                             struct mismatch *m)
{
    size_t n = strlen(naming->prefix);
    int64_t there = 0;

    for (int64_t i = 0; i < weights_count(f); i++)
        there += !strncmp(weights_at(f, i)->name, naming->prefix, n);
    for (int64_t i = 0; i < weights_count(f) && there != n_found; i++) {
        const struct file_tensor *t = weights_at(f, i);

        if (!strncmp(t->name, naming->prefix, n) && !params_allowed(p, t->name + n) &&
            !is_among(t, found, params_count(p)))
            mismatch_add(m, MISMATCH_UNEXPECTED, t->name, "");
    }
}

static void complain_shape(struct mismatch *m, const struct param *q, const struct file_tensor *t)
{
    char detail[2 * SHAPE_TEXT], a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct shape found = {.rank = t->rank < SHAPE_RANK ? t->rank : SHAPE_RANK};

    for (int k = 0; k < found.rank; k++)
        found.dim[k] = t->dim[k];
    snprintf(detail, sizeof detail, " is %s, not %s", shape_text(a, found),
             shape_text(b, q->file_shape));
    mismatch_add(m, MISMATCH_SHAPE, t->name, detail);
}

static bool wanted(const struct param *q, enum params_part part)
{
    return part == PARAMS_ALL || q->trained;
}

/* Name number `attempt` of a parameter in the file, prefix included. */
static bool file_name(char out[NAME], const struct params_naming *naming, const char *ours,
                      int attempt)
{
    int n = snprintf(out, NAME, "%s", naming->prefix);

    if (n >= NAME)
        return false;
    if (naming->rename)
        return naming->rename(out + n, (size_t)(NAME - n), ours, attempt, naming->user);
    return attempt == 0 && snprintf(out + n, (size_t)(NAME - n), "%s", ours) < NAME - n;
}

/* The tensor of q, or NULL; name: the first that it could have had, "" when it could have none. */
static const struct file_tensor *find_tensor(char name[NAME], const struct param *q,
                                             const struct weights *f,
                                             const struct params_naming *naming)
{
    const struct file_tensor *t = NULL;
    char other[NAME];

    name[0] = 0;
    for (int k = 0; !t && file_name(other, naming, q->name, k); k++) {
        t = weights_find(f, other);
        if (k == 0)
            memcpy(name, other, NAME);
    }
    return t;
}

/* The tensor of each parameter, in out[i]; NULL where there is none and there need not be. */
static enum status find_tensors(const struct file_tensor **out, struct params *p,
                                const struct weights *f, const struct params_naming *naming,
                                enum params_part part, struct error *err)
{
    struct mismatch m = {0};
    int64_t n_found = 0;
    char name[NAME];

    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);

        out[i] = find_tensor(name, q, f, naming);
        n_found += out[i] != NULL;
        if (!wanted(q, part))
            continue;
        if (!out[i] && name[0] && q->init.kind != INIT_TABLE)
            mismatch_add(&m, MISMATCH_MISSING, name, "");
        else if (out[i] && !same_shape(out[i], q->file_shape))
            complain_shape(&m, q, out[i]);
    }
    check_unexpected(p, f, naming, out, n_found, &m);
    return mismatch_status(&m, err);
}

/* t: its tensor, or NULL: its rule fills it, and where there is none it keeps what it has. */
static enum status load_value(struct param *q, const struct file_tensor *t, float *value,
                              struct error *err)
{
    if (t)
        return load_one(q, t, value, err);
    if (q->init.kind == INIT_TABLE)
        q->init.table(value, q->shape, q->init.config);
    return OK;
}

static enum status load_all(struct params *p, const struct weights *f,
                            const struct params_naming *naming, enum params_part part,
                            float *values, struct error *err)
{
    const struct file_tensor **found = NULL;
    enum status st;

    if ((st = mem_new((void **)&found, (uint64_t)params_count(p), sizeof(struct file_tensor *),
                      "a list of tensors", err)) ||
        (st = find_tensors(found, p, f, naming, part, err)))
        goto out;
    for (int64_t i = 0; i < params_count(p) && !st; i++) {
        struct param *q = params_at(p, i);

        if (wanted(q, part))
            st = load_value(q, found[i], values ? values + q->offset : q->own, err);
        if (found[i])
            weights_drop(f, found[i]->bytes, found[i]->n_bytes);
    }
out:
    free(found);
    return st;
}

enum status params_load(struct params *p, const struct weights *f, const char *prefix,
                        enum params_part part, float *values, struct error *err)
{
    return load_all(p, f, &(struct params_naming){.prefix = prefix}, part, values, err);
}

enum status params_load_named(struct params *p, const struct weights *f,
                              const struct params_naming *naming, struct error *err)
{
    return load_all(p, f, naming, PARAMS_ALL, NULL, err);
}

static bool lies_as_here(const struct param *q, const struct file_tensor *t)
{
    return param_keeps_order(q) && t->dtype == FILE_F32 && !t->n_scale &&
           (uintptr_t)t->bytes % sizeof(float) == 0;
}

enum status params_map(struct params *p, const struct weights *f, const char *prefix,
                       struct error *err)
{
    const struct params_naming naming = {.prefix = prefix};
    const struct file_tensor **found = NULL;
    enum status st;

    if ((st = params_lay_out(p, err)) ||
        (st = mem_new((void **)&found, (uint64_t)params_count(p), sizeof(struct file_tensor *),
                      "a list of tensors", err)) ||
        (st = find_tensors(found, p, f, &naming, PARAMS_ALL, err)))
        goto out;
    /* A frozen graph does not write to parameters: the cast drops const for storage. */
    for (int64_t i = 0; i < params_count(p); i++)
        if (found[i] && lies_as_here(params_at(p, i), found[i]))
            params_at(p, i)->own = (void *)(uintptr_t)found[i]->bytes;
    if ((st = params_alloc_rest(p, err)))
        goto out;
    for (int64_t i = 0; i < params_count(p) && !st; i++) {
        struct param *q = params_at(p, i);

        if (found[i] && lies_as_here(q, found[i]))
            continue;
        st = load_value(q, found[i], q->own, err);
        if (found[i])
            weights_drop(f, found[i]->bytes, found[i]->n_bytes);
    }
out:
    free(found);
    return st;
}

/* What the name of a tensor to be saved lies in, so that put_stored finds its way from there. */
struct described {
    const struct param *param;
    char name[NAME];
};

/* Values are put in the order of files only while they are written: the way back, from the shape
 * that they have here before it is reshaped. */
static enum status put_stored(struct file_writer *w, const struct save_tensor *t, struct error *err)
{
    const struct described *d = (const void *)(t->name - offsetof(struct described, name));
    const struct param *q = d->param;
    struct shape here = {.rank = q->stored.rank};
    uint64_t n = (uint64_t)shape_count(q->shape);
    int back[SHAPE_RANK];
    float *file = NULL;
    enum status st;

    for (int k = 0; k < here.rank; k++) {
        here.dim[k] = q->stored.dim[q->order[k]];
        back[q->order[k]] = k;
    }
    if ((st = mem_new((void **)&file, n, sizeof *file, q->name, err)))
        return st;
    reorder(file, t->bytes, here, back);
    st = file_writer_put(w, file, n * sizeof *file, err);
    free(file);
    return st;
}

static void describe_one(const struct param *q, const char *prefix, const float *value,
                         struct described *d, struct save_tensor *out)
{
    d->param = q;
    snprintf(d->name, NAME, "%s%s", prefix, q->name);
    *out = (struct save_tensor){
        .name = d->name, .dtype = FILE_F32, .rank = q->file_shape.rank, .bytes = value};
    for (int k = 0; k < q->file_shape.rank; k++)
        out->dim[k] = q->file_shape.dim[k];
    if (!param_keeps_order(q))
        out->put = put_stored;
}

enum status params_describe(struct params *p, const char *prefix, enum params_part part,
                            const float *values, struct save_tensor *out, int64_t *n, void **keep,
                            struct error *err)
{
    int64_t count = params_count(p);
    enum status st;
    struct described *d;

    *n = 0;
    if ((st = mem_new(keep, (uint64_t)count, sizeof *d, "the names of parameters", err)))
        return st;
    d = *keep;
    for (int64_t i = 0; i < count; i++) {
        struct param *q = params_at(p, i);

        if (!wanted(q, part))
            continue;
        describe_one(q, prefix, values ? values + q->offset : q->own, d++, &out[(*n)++]);
    }
    return OK;
}
