/*
 * embedding.c - labels and times to vectors
 *
 * An embedding is a row of a table, chosen by a whole number; its adjoint adds each gradient row to
 * the table row it came from.  Labels repeat within a batch, so the adjoint walks the samples in
 * order: an atomic add would be parallel and would give other bits each time, and a batch is a few
 * hundred rows.  A table that stays as its file stores it is widened row by row as they are asked
 * for: the words of a prompt are some hundred of the 32,128 of T5's.
 *
 * Time enters a network as waves of geometrically spaced frequency (Vaswani et al. 2017), cosines
 * first (sines first in DDPM++), or, in EDM2, of random frequency and phase.  Angles reach t =
 * 1000, where a float32 angle is already off by 3e-5 turns, hence double.
 */
#include "ops/embedding.h"

#include "backend/cpu/widen.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- rows of a table: 8 bytes an element ------------------------------------------------------ */

static void embedding_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *table = y->in[0]->data;
    const int32_t *ids = y->in[1]->data;
    float *out = y->data;

    for (int64_t n = at.first; n < at.last; n++)
        if (y->in[0]->dtype == DTYPE_STORED)
            widen_row(widen_engine(), out + n * D, y->in[0]->data, ids[n], 0, D);
        else
            memcpy(out + n * D, table + ids[n] * D, (size_t)D * sizeof(float));
}

static void embedding_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), embedding_block);
}

static void embedding_dtable_cpu(const struct tensor *y)
{
    int64_t D = shape_last(y->shape), N = shape_count(y->in[1]->shape);
    const float *restrict dy = y->in[0]->data;
    const int32_t *ids = y->in[1]->data;
    float *restrict out = y->data;

    memset(out, 0, tensor_bytes(y));
    for (int64_t n = 0; n < N; n++)
        for (int64_t d = 0; d < D; d++)
            out[ids[n] * D + d] += dy[n * D + d];
}

static const struct op embedding_dtable = {.name = "embedding_dtable", .cpu = embedding_dtable_cpu};

static void embedding_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *table = y->in[0], *ids = y->in[1];

    grad_add(g, table, record(g, &embedding_dtable, table->shape, y->grad, ids, NULL, NULL));
}

static const struct op embedding = {
    .name = "embedding", .cpu = embedding_cpu, .adjoint = embedding_adjoint, .stored = 1 << 0};

struct tensor *op_embedding(struct graph *g, struct tensor *table, struct tensor *ids)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct shape rows = ids->shape;

    MUST(table->shape.rank == 2 && rows.rank >= 1 && rows.rank < SHAPE_RANK &&
             ids->dtype == DTYPE_I32,
         "embedding: table %s, ids %s", shape_text(s, table->shape), shape_text(t, ids->shape));
    rows.dim[rows.rank++] = shape_last(table->shape);
    return record(g, &embedding, rows, table, ids, NULL, NULL);
}

/* --- waves of time ---------------------------------------------------------------------------- */

/* y->arg[0]: the frequencies are spaced by 10000^(-1 / it); y->arg[1]: sines first. */
static void time_features_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape), half = D / 2, spaces = y->arg[0].i;
    int64_t cosines = y->arg[1].i ? half : 0;
    const float *t = y->in[0]->data;
    float *out = y->data;

    for (int64_t n = at.first; n < at.last; n++) {
        out[n * D + D - 1] = 0; /* stays where D is odd */
        for (int64_t k = 0; k < half; k++) {
            double angle = (double)t[n] * exp(-log(10000.0) * (double)k / (double)spaces);

            out[n * D + cosines + k] = (float)cos(angle);
            out[n * D + half - cosines + k] = (float)sin(angle);
        }
    }
}

static void time_features_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), time_features_block);
}

static const struct op time_features = {.name = "time_features", .cpu = time_features_cpu};

static struct tensor *record_time(struct graph *g, struct tensor *t, int64_t D, int64_t spaces,
                                  bool sines_first)
{
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(t->shape.rank == 1 && spaces > 0, "time_features: times %s to %" PRId64 " features",
         shape_text(s, t->shape), D);
    y = record(g, &time_features, SHAPE(t->shape.dim[0], D), t, NULL, NULL, NULL);
    y->arg[0].i = spaces;
    y->arg[1].i = sines_first;
    return y;
}

struct tensor *op_time_features(struct graph *g, struct tensor *t, int64_t D)
{
    return record_time(g, t, D, D / 2, false);
}

struct tensor *op_time_waves(struct graph *g, struct tensor *t, int64_t D)
{
    return record_time(g, t, D, D / 2 - 1, true);
}

static void fourier_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *t = y->in[0]->data, *f = y->in[1]->data, *p = y->in[2]->data;
    float *out = y->data;

    for (int64_t n = at.first; n < at.last; n++)
        for (int64_t d = 0; d < D; d++)
            out[n * D + d] = (float)(sqrt(2) * cos((double)t[n] * (double)f[d] + (double)p[d]));
}

static void fourier_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), fourier_block);
}

static const struct op fourier_features = {.name = "fourier_features", .cpu = fourier_cpu};

struct tensor *op_fourier_features(struct graph *g, struct tensor *t, struct tensor *f,
                                   struct tensor *p)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT], c[SHAPE_TEXT];

    MUST(t->shape.rank == 1 && f->shape.rank == 1 && shape_equal(f->shape, p->shape),
         "fourier_features: times %s, frequencies %s, phases %s", shape_text(a, t->shape),
         shape_text(b, f->shape), shape_text(c, p->shape));
    return record(g, &fourier_features, SHAPE(t->shape.dim[0], f->shape.dim[0]), t, f, p, NULL);
}

/* --- a row with one number in it -------------------------------------------------------------- */

static void one_hot_block(const struct tensor *y, struct block at)
{
    int64_t K = shape_last(y->shape);
    const int32_t *ids = y->in[0]->data;
    float *out = y->data;

    memset(out + at.first * K, 0, (size_t)((at.last - at.first) * K) * sizeof(float));
    for (int64_t n = at.first; n < at.last; n++)
        out[n * K + ids[n]] = (float)y->arg[0].f;
}

static void one_hot_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), one_hot_block);
}

static const struct op one_hot = {.name = "one_hot", .cpu = one_hot_cpu};

struct tensor *op_one_hot(struct graph *g, struct tensor *ids, int64_t K, double value)
{
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(ids->shape.rank == 1 && ids->dtype == DTYPE_I32 && K > 0, "one_hot: ids %s among %" PRId64,
         shape_text(s, ids->shape), K);
    y = record(g, &one_hot, SHAPE(ids->shape.dim[0], K), ids, NULL, NULL, NULL);
    y->arg[0].f = value;
    return y;
}
