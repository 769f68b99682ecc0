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
 * wrote it, and what is left over is unexpected.  Some cut parameters elsewhere: q, k and v in
 * three tensors or in one, the halves of a modulation the other way round.  All of that is rows in
 * another order, so a parameter is said to be a few pieces of equal size, each the rows of a tensor
 * or an equal part of them.
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

enum { NAME = PARAM_NAME };

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

/* Where a parameter lies in a file; n = 0: nowhere. */
struct found {
    int n;
    struct {
        const struct file_tensor *tensor;
        int part, parts;
    } piece[PARAM_PIECES];
    bool transposed;
};

/* The shape that a tensor must have in which `parts` of the n pieces of q would lie. */
static struct shape piece_shape(const struct param *q, int n, int parts, bool transposed)
{
    struct shape s = q->file_shape;

    s.dim[0] = s.dim[0] / n * parts;
    return transposed ? SHAPE(s.dim[1], s.dim[0]) : s;
}

/* Numbers of file_shape, in its order. */
static void read_pieces(const struct param *q, const struct found *f, float *out)
{
    int64_t each = shape_count(q->shape) / f->n;

    for (int k = 0; k < f->n; k++)
        file_tensor_f32_part(f->piece[k].tensor, f->piece[k].part * each, each, out + k * each);
}

/* out [rows, columns] = in [columns, rows], the other way round. */
static void turn(float *out, const float *in, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            out[i * columns + j] = in[j * rows + i];
}

static enum status load_one(struct param *q, const struct found *f, float *value, struct error *err)
{
    float *file = NULL;
    enum status st;

    if (param_keeps_order(q) && !f->transposed) {
        read_pieces(q, f, value);
        return OK;
    }
    if ((st = mem_new((void **)&file, (uint64_t)shape_count(q->shape), sizeof *file, q->name, err)))
        return st;
    read_pieces(q, f, file);
    if (f->transposed)
        turn(value, file, q->shape.dim[0], q->shape.dim[1]);
    else
        reorder(value, file, q->stored, q->order);
    free(file);
    return OK;
}

static bool is_among(const struct file_tensor *t, const struct found *found, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < found[i].n; k++)
            if (found[i].piece[k].tensor == t)
                return true;
    return false;
}

/* A look at every tensor only when the counts do not agree: the search is a walk over all found. */
static void check_unexpected(struct params *p, const struct weights *f,
                             const struct params_naming *naming, const struct found *found,
                             int64_t n_found, struct mismatch *m)
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

static void complain_shape(struct mismatch *m, const struct file_tensor *t, struct shape want)
{
    char detail[2 * SHAPE_TEXT], a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct shape found = {.rank = t->rank < SHAPE_RANK ? t->rank : SHAPE_RANK};

    for (int k = 0; k < found.rank; k++)
        found.dim[k] = t->dim[k];
    snprintf(detail, sizeof detail, " is %s, not %s", shape_text(a, found), shape_text(b, want));
    mismatch_add(m, MISMATCH_SHAPE, t->name, detail);
}

static bool wanted(const struct param *q, enum params_part part)
{
    return part == PARAMS_ALL || q->trained;
}

/* The pieces of a parameter by way number `attempt`; how many. */
static int ways(struct param_piece out[PARAM_PIECES], const struct params_naming *naming,
                const char *ours, int attempt)
{
    if (naming->pieces)
        return naming->pieces(out, ours, attempt, naming->user);
    out[0].part = 0;
    out[0].parts = 1;
    out[0].transposed = false;
    if (naming->rename)
        return naming->rename(out[0].name, NAME, ours, attempt, naming->user);
    return attempt == 0 && snprintf(out[0].name, NAME, "%s", ours) < NAME;
}

/* The tensors of these pieces; false when one is missing, whose name is then in `name`. */
static bool find_pieces(struct found *out, char name[NAME], const struct param_piece *piece, int n,
                        const struct weights *f, const char *prefix)
{
    for (int k = 0; k < n; k++) {
        if (snprintf(name, NAME, "%s%s", prefix, piece[k].name) >= NAME)
            return false;
        out->piece[k].tensor = weights_find(f, name);
        out->piece[k].part = piece[k].part;
        out->piece[k].parts = piece[k].parts;
        if (!out->piece[k].tensor)
            return false;
    }
    out->transposed = piece[0].transposed;
    out->n = n;
    return true;
}

/* Where `ours` lies; name: what is missing for the first way in which it could, "" when it could in
 * none. */
static struct found find_param(char name[NAME], const char *ours, const struct weights *f,
                               const struct params_naming *naming)
{
    struct param_piece piece[PARAM_PIECES] = {0};
    char missing[NAME];
    int n;

    name[0] = 0;
    for (int k = 0; (n = ways(piece, naming, ours, k)) > 0; k++) {
        struct found found = {0};

        if (find_pieces(&found, missing, piece, n, f, naming->prefix))
            return found;
        if (k == 0)
            memcpy(name, missing, NAME);
    }
    return (struct found){0};
}

const struct file_tensor *params_tensor(const struct weights *f, const struct params_naming *naming,
                                        const char *ours)
{
    char name[NAME];

    return find_param(name, ours, f, naming).piece[0].tensor;
}

/* Numbers that share a scale stay together: a piece begins and ends between blocks. */
static void check_shapes(struct mismatch *m, const struct param *q, const struct found *f)
{
    for (int k = 0; k < f->n; k++) {
        const struct file_tensor *t = f->piece[k].tensor;
        struct shape want = piece_shape(q, f->n, f->piece[k].parts, f->transposed);

        if (q->file_shape.dim[0] % f->n || !same_shape(t, want) ||
            shape_count(q->shape) / f->n % file_dtype_block(t->dtype))
            complain_shape(m, t, want);
    }
}

/* Of tensors that several pieces share, the one that has their first rows counts. */
static int whole_tensors(const struct found *f)
{
    int n = 0;

    for (int k = 0; k < f->n; k++)
        n += f->piece[k].part == 0;
    return n;
}

/* Where each parameter lies, in out[i]; nowhere where it need not be there. */
static enum status find_params(struct found *out, struct params *p, const struct weights *f,
                               const struct params_naming *naming, enum params_part part,
                               struct error *err)
{
    struct mismatch m = {0};
    int64_t n_found = 0;
    char name[NAME];

    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);

        out[i] = find_param(name, q->name, f, naming);
        n_found += whole_tensors(&out[i]);
        if (!wanted(q, part))
            continue;
        if (!out[i].n && name[0] && q->init.kind != INIT_TABLE)
            mismatch_add(&m, MISMATCH_MISSING, name, "");
        check_shapes(&m, q, &out[i]);
    }
    check_unexpected(p, f, naming, out, n_found, &m);
    return mismatch_status(&m, err);
}

/* Nowhere in the file: its rule fills it, and where there is none it keeps what it has. */
static enum status load_value(struct param *q, const struct found *f, float *value,
                              struct error *err)
{
    if (f->n)
        return load_one(q, f, value, err);
    if (q->init.kind == INIT_TABLE)
        q->init.table(value, q->shape, q->init.config);
    return OK;
}

/* What has been read of the file. */
static void drop(const struct weights *f, const struct found *found)
{
    for (int k = 0; k < found->n; k++)
        weights_drop(f, found->piece[k].tensor->bytes, found->piece[k].tensor->n_bytes);
}

enum status params_load_named(struct params *p, const struct weights *f,
                              const struct params_naming *naming, enum params_part part,
                              float *values, struct error *err)
{
    struct found *found = NULL;
    enum status st;

    if ((st = mem_new((void **)&found, (uint64_t)params_count(p), sizeof *found,
                      "a list of tensors", err)) ||
        (st = find_params(found, p, f, naming, part, err)))
        goto out;
    for (int64_t i = 0; i < params_count(p) && !st; i++) {
        struct param *q = params_at(p, i);

        if (wanted(q, part))
            st = load_value(q, &found[i], values ? values + q->offset : q->own, err);
        drop(f, &found[i]);
    }
out:
    free(found);
    return st;
}

enum status params_load(struct params *p, const struct weights *f, const char *prefix,
                        enum params_part part, float *values, struct error *err)
{
    return params_load_named(p, f, &(struct params_naming){.prefix = prefix}, part, values, err);
}

/* Its numbers in the file, where they are those that it wants in memory; else NULL. */
static const float *in_place(const struct param *q, const struct found *f)
{
    const struct file_tensor *t = f->piece[0].tensor;
    const uint8_t *at;

    if (f->n != 1 || f->transposed || !param_keeps_order(q) || t->dtype != FILE_F32 || t->n_scale)
        return NULL;
    at = t->bytes + f->piece[0].part * shape_count(q->shape) * (int64_t)sizeof(float);
    return (uintptr_t)at % sizeof(float) == 0 ? (const void *)at : NULL;
}

/* Nothing is copied of a matrix of any type, nor of floats in our order. */
static void map_one(struct param *q, const struct found *f)
{
    struct param_rows from[PARAM_PIECES];

    /* A frozen graph does not write to parameters: the cast drops const for storage. */
    q->own = (void *)(uintptr_t)in_place(q, f);
    if (q->own || !f->n || f->transposed)
        return;
    for (int k = 0; k < f->n; k++)
        from[k] =
            (struct param_rows){f->piece[k].tensor, f->piece[k].part * (q->shape.dim[0] / f->n)};
    param_lend(q, from, f->n);
}

enum status params_map_named(struct params *p, const struct weights *f,
                             const struct params_naming *naming, struct error *err)
{
    struct found *found = NULL;
    enum status st;

    if ((st = params_lay_out(p, err)) ||
        (st = mem_new((void **)&found, (uint64_t)params_count(p), sizeof *found,
                      "a list of tensors", err)) ||
        (st = find_params(found, p, f, naming, PARAMS_ALL, err)))
        goto out;
    for (int64_t i = 0; i < params_count(p); i++)
        map_one(params_at(p, i), &found[i]);
    if ((st = params_alloc_rest(p, err)))
        goto out;
    for (int64_t i = 0; i < params_count(p) && !st; i++) {
        struct param *q = params_at(p, i);

        if (in_place(q, &found[i]) || q->lent.rows)
            continue;
        st = load_value(q, &found[i], q->own, err);
        drop(f, &found[i]);
    }
out:
    free(found);
    return st;
}

enum status params_map(struct params *p, const struct weights *f, const char *prefix,
                       struct error *err)
{
    return params_map_named(p, f, &(struct params_naming){.prefix = prefix}, err);
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

/* A matrix that stayed in its file. */
static enum status put_lent(struct file_writer *w, const struct save_tensor *t, struct error *err)
{
    const struct described *d = (const void *)(t->name - offsetof(struct described, name));
    uint64_t n = (uint64_t)shape_count(d->param->shape);
    float *values = NULL;
    enum status st;

    if ((st = mem_new((void **)&values, n, sizeof *values, d->param->name, err)))
        return st;
    param_read(values, d->param);
    st = file_writer_put(w, values, n * sizeof *values, err);
    free(values);
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
    if (!value)
        out->put = put_lent;
    else if (!param_keeps_order(q))
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
