/*
 * params_file.c - parameters to and from safetensors
 *
 * Public checkpoints are channels-first: a convolution's weight is [O, I, H, W] there and [O, H, W,
 * I] here, and the change is made once, on the way in and out.  A mismatch is not the first wrong
 * key but the list of them: whoever opens a checkpoint of another size sees at a glance which it
 * is.
 */
#include "base/memory.h"
#include "base/text.h"
#include "nn/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPLAINTS = 8, NAME = 160 };

/* here[o][k][i] <-> file[o][i][k], k over the kernel's H W places; s: [O, I, H, W]. */
static void from_oihw(float *here, const float *file, struct shape s)
{
    int64_t O = s.dim[0], I = s.dim[1], K = s.dim[2] * s.dim[3];

    for (int64_t o = 0; o < O; o++)
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < I; i++)
                here[(o * K + k) * I + i] = file[(o * I + i) * K + k];
}

static void to_oihw(float *file, const float *here, struct shape s)
{
    int64_t O = s.dim[0], I = s.dim[1], K = s.dim[2] * s.dim[3];

    for (int64_t o = 0; o < O; o++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t k = 0; k < K; k++)
                file[(o * I + i) * K + k] = here[(o * K + k) * I + i];
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

struct complaints {
    int missing, unexpected, misshapen;
    char text[700];
};

static void complain(struct complaints *c, int *count, const char *what, const char *name,
                     const char *detail)
{
    size_t n = strlen(c->text);

    if (c->missing + c->unexpected + c->misshapen < COMPLAINTS)
        snprintf(c->text + n, sizeof c->text - n, "%s%s %s%s", n ? "; " : "", what, name, detail);
    ++*count;
}

static enum status load_one(struct param *q, const struct file_tensor *t, float *value,
                            struct error *err)
{
    float *file = NULL;
    enum status st;

    if (q->layout == LAYOUT_SAME)
        return file_tensor_f32(t, value, err);
    if ((st = mem_new((void **)&file, (uint64_t)shape_count(q->shape), sizeof *file, q->name, err)))
        return st;
    if (!(st = file_tensor_f32(t, file, err)))
        from_oihw(value, file, q->file_shape);
    free(file);
    return st;
}

static void check_unexpected(struct params *p, const struct safetensors *f, const char *prefix,
                             struct complaints *c)
{
    size_t n = strlen(prefix);

    for (int64_t i = 0; i < safetensors_count(f); i++) {
        const char *name = safetensors_at(f, i)->name;

        if (!strncmp(name, prefix, n) && !params_find(p, name + n))
            complain(c, &c->unexpected, "unexpected", name, "");
    }
}

static enum status load_or_complain(struct param *q, const struct safetensors *f,
                                    const char *prefix, float *value, struct complaints *c,
                                    struct error *err)
{
    char name[NAME], detail[2 * SHAPE_TEXT], a[SHAPE_TEXT], b[SHAPE_TEXT];
    const struct file_tensor *t;
    struct shape found = {0};

    snprintf(name, sizeof name, "%s%s", prefix, q->name);
    t = safetensors_find(f, name);
    if (!t) {
        if (q->init.kind != INIT_TABLE)
            complain(c, &c->missing, "missing", name, "");
        return OK;
    }
    if (same_shape(t, q->file_shape))
        return load_one(q, t, value, err);
    found.rank = t->rank < SHAPE_RANK ? t->rank : SHAPE_RANK;
    for (int k = 0; k < found.rank; k++)
        found.dim[k] = t->dim[k];
    snprintf(detail, sizeof detail, " is %s, not %s", shape_text(a, found),
             shape_text(b, q->file_shape));
    complain(c, &c->misshapen, "", name, detail);
    return OK;
}

static bool wanted(const struct param *q, enum params_part part)
{
    return part == PARAMS_ALL || q->trained;
}

enum status params_load(struct params *p, const struct safetensors *f, const char *prefix,
                        enum params_part part, float *values, struct error *err)
{
    struct complaints c = {0};
    enum status st;

    if (!values)
        values = params_values(p);
    for (int64_t i = 0; i < params_count(p); i++) {
        struct param *q = params_at(p, i);

        if (!wanted(q, part))
            continue;
        if (q->init.kind == INIT_TABLE)
            q->init.table(values + q->offset, q->shape, q->init.config);
        if ((st = load_or_complain(q, f, prefix, values + q->offset, &c, err)))
            return st;
    }
    check_unexpected(p, f, prefix, &c);
    if (c.missing + c.unexpected + c.misshapen)
        return fail(err, E_FORMAT,
                    "the tensors do not fit the network: %d missing, %d of another shape, %d "
                    "unexpected: %s%s",
                    c.missing, c.misshapen, c.unexpected, c.text,
                    c.missing + c.misshapen + c.unexpected > COMPLAINTS ? "; ..." : "");
    return OK;
}

static void describe_one(const struct param *q, const char *prefix, const float *value, char *name,
                         float *file, struct save_tensor *out)
{
    snprintf(name, NAME, "%s%s", prefix, q->name);
    *out = (struct save_tensor){.name = name, .dtype = FILE_F32, .rank = q->file_shape.rank};
    for (int k = 0; k < q->file_shape.rank; k++)
        out->dim[k] = q->file_shape.dim[k];
    out->bytes = value;
    if (q->layout == LAYOUT_OIHW) {
        to_oihw(file, value, q->file_shape);
        out->bytes = file;
    }
}

/* One block: first the converted copies, then the names. */
enum status params_describe(struct params *p, const char *prefix, enum params_part part,
                            const float *values, struct save_tensor *out, int64_t *n, void **keep,
                            struct error *err)
{
    int64_t count = params_count(p), floats = 0;
    enum status st;
    float *file;
    char *name;

    *n = 0;
    for (int64_t i = 0; i < count; i++)
        if (params_at(p, i)->layout == LAYOUT_OIHW)
            floats += shape_count(params_at(p, i)->shape);
    if ((st = mem_new(keep, (uint64_t)floats * sizeof(float) + (uint64_t)count * NAME, 1,
                      "a copy of the parameters", err)))
        return st;
    file = *keep;
    name = (char *)(file + floats);
    for (int64_t i = 0; i < count; i++) {
        struct param *q = params_at(p, i);

        if (!wanted(q, part))
            continue;
        describe_one(q, prefix, (values ? values : params_values(p)) + q->offset, name, file,
                     &out[(*n)++]);
        name += NAME;
        if (q->layout == LAYOUT_OIHW)
            file += shape_count(q->shape);
    }
    return OK;
}
