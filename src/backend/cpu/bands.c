/*
 * bands.c - one picture, or a few of its rows, at a time
 *
 * Pictures are the natural tiles of a convolution: what one gives cannot depend on the others.  A
 * single large picture must still keep several threads busy, so pictures are cut into bands of
 * rows.  Rows of a picture are contiguous: a band of the result reads a band of the input that
 * overlaps its neighbours', and needs a primitive of its own only where padding or height differ:
 *
 *          input          result
 *          ------ top padding
 *         |      |------ first band
 *         |======|------             middle bands, all alike: one primitive
 *         |======|------
 *         |      |------ last band
 *          ------ bottom padding
 *
 * Against a whole batch in one call, one picture, or one band of four rows, at a time loses
 * nothing: oneDNN works row by row inside.  Primitives may ask for differently packed weights;
 * those that agree share them.
 */
#include "backend/cpu/bands.h"

#include "backend/cpu/columns.h"
#include "backend/cpu/tiles.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    BAND_ROWS = 4,        /* at least                                                  */
    BANDS = 64,           /* at most                                                   */
    BAND_FLOPS = 1 << 24, /* worth handing to a thread: about 70 microseconds        */
    DISTINCT = 4,         /* first, middle, last, and next to last when the last is short */
};

struct band {
    int which;               /* primitive              */
    int64_t in, out, pixels; /* offsets into the picture, in floats; pixels of the result */
};

struct bands {
    int64_t pictures, n;
    int64_t in_floats, out_floats, channels; /* of a picture; of the result       */
    int lanes;
    struct band band[BANDS];
    int n_distinct;
    struct dnn_conv shape[DISTINCT];
    struct dnn *product[DISTINCT];
    struct dnn *pack[DISTINCT]; /* NULL: shares the packed weights of an earlier one */
    size_t packed[DISTINCT];    /* where its weights lie, in bytes                   */
    size_t packed_bytes, lane_bytes;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

struct dnn_conv bands_part(const struct dnn_conv *s, int64_t first, int64_t rows, int64_t *in_first)
{
    int64_t from = first * s->stride - s->top;
    int64_t to = (first + rows - 1) * s->stride - s->top + s->kh;
    struct dnn_conv b = *s;

    b.N = 1;
    b.OH = rows;
    b.top = from < 0 ? -from : 0;
    b.bottom = to > s->H ? to - s->H : 0;
    from += b.top;
    to -= b.bottom;
    b.H = to - from;
    *in_first = from;
    return b;
}

static int64_t band_rows(const struct dnn_conv *s)
{
    double flops = 2.0 * (double)(s->OH * s->OW * s->O) * (double)(s->kh * s->kw * s->I);
    int64_t bands = flops < (double)BAND_FLOPS * BANDS ? (int64_t)(flops / BAND_FLOPS) : BANDS;
    int64_t rows = bands > 1 ? (s->OH + bands - 1) / bands : s->OH;
    int64_t least = s->kh > BAND_ROWS ? s->kh : BAND_ROWS;

    return rows < least ? least : rows;
}

/* The primitive for this shape, found or made; its packed weights likewise. */
static enum status distinct(int *which, struct bands *b, enum dnn_conv_kind kind,
                            const struct dnn_conv *s, const int64_t step[4], struct error *err)
{
    int k = b->n_distinct;
    enum status st;

    for (*which = 0; *which < k; ++*which)
        if (!memcmp(&b->shape[*which], s, sizeof(*s)))
            return OK;
    MUST(k < DISTINCT, "more kinds of bands than there can be");
    b->shape[k] = *s;
    b->n_distinct++;
    if ((st = dnn_conv(&b->product[k], kind, s, b->lanes, err)))
        return st;
    b->lane_bytes = larger(b->lane_bytes, dnn_scratch_bytes(b->product[k]));
    for (int j = 0; j < k; j++)
        if (dnn_same_packing(b->product[j], b->product[k])) {
            b->packed[k] = b->packed[j];
            return OK;
        }
    b->packed[k] = b->packed_bytes;
    b->packed_bytes += dnn_packed_bytes(b->product[k]);
    if ((st = dnn_pack(&b->pack[k], b->product[k], step, b->lanes, err)))
        return st;
    b->lane_bytes = larger(b->lane_bytes, dnn_scratch_bytes(b->pack[k]));
    return OK;
}

static enum status cut(struct bands *b, const struct dnn_conv *s, const int64_t step[4],
                       struct error *err)
{
    int64_t rows = band_rows(s), from;
    enum status st;

    for (int64_t first = 0; first < s->OH; first += rows) {
        int64_t here = s->OH - first < rows ? s->OH - first : rows;
        struct dnn_conv shape = bands_part(s, first, here, &from);
        struct band *band = &b->band[b->n];

        if ((st = distinct(&band->which, b, DNN_CONV_FORWARD, &shape, step, err)))
            return st;
        band->in = from * s->W * s->I;
        band->out = first * s->OW * s->O;
        band->pixels = here * s->OW;
        b->n++;
    }
    return OK;
}

enum status bands_new(struct bands **out, enum dnn_conv_kind kind, const struct dnn_conv *s,
                      const int64_t step[4], struct error *err)
{
    struct dnn_conv one = *s;
    struct bands *b;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&b, 1, sizeof(*b), "a convolution", err)))
        return st;
    b->pictures = s->N;
    b->lanes = tiles_lanes();
    if (kind == DNN_CONV_FORWARD) {
        b->in_floats = s->H * s->W * s->I;
        b->out_floats = s->OH * s->OW * s->O;
        b->channels = s->O;
        st = cut(b, s, step, err);
    } else {
        b->in_floats = s->OH * s->OW * s->O;
        b->out_floats = s->H * s->W * s->I;
        b->channels = s->I;
        b->n = 1;
        b->band[0].pixels = s->H * s->W;
        one.N = 1;
        st = distinct(&b->band[0].which, b, kind, &one, step, err);
    }
    if (st) {
        bands_free(b);
        return st;
    }
    *out = b;
    return OK;
}

void bands_free(struct bands *b)
{
    if (!b)
        return;
    for (int k = 0; k < b->n_distinct; k++) {
        dnn_free(b->product[k]);
        dnn_free(b->pack[k]);
    }
    free(b);
}

size_t bands_packed_bytes(const struct bands *b)
{
    return b->packed_bytes;
}

size_t bands_scratch_bytes(const struct bands *b, int threads)
{
    return b->lane_bytes * (size_t)threads;
}

void bands_pack(const struct bands *b, const float *weights, float *packed, void *scratch)
{
    for (int k = 0; k < b->n_distinct; k++)
        if (b->pack[k])
            dnn_run(b->pack[k], 0, weights, NULL, packed + b->packed[k] / sizeof(float), scratch);
}

struct run_job {
    const struct bands *b;
    const float *in, *packed, *bias;
    float *out;
    unsigned char *scratch;
};

static void run_band(void *user, int64_t tile, int lane)
{
    const struct run_job *job = user;
    const struct bands *b = job->b;
    int64_t picture = tile / b->n;
    const struct band *band = &b->band[tile % b->n];
    float *out = job->out + picture * b->out_floats + band->out;

    dnn_run(b->product[band->which], lane, job->in + picture * b->in_floats + band->in,
            job->packed + b->packed[band->which] / sizeof(float), out,
            job->scratch + (size_t)lane * b->lane_bytes);
    if (job->bias)
        columns_add(out, b->channels, out, b->channels, job->bias, band->pixels, b->channels);
}

void bands_run(const struct bands *b, const float *in, const float *packed, float *out,
               const float *bias, void *scratch)
{
    struct run_job job = {b, in, packed, bias, out, scratch};

    tiles_run(b->pictures * b->n, b->lanes, run_band, &job);
}
