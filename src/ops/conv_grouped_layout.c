/*
 * conv_grouped_layout.c - the order of weights and taps in a convolution of groups
 *
 * Sixteen channels that are neighbours in memory are written at a time, a block.  Of a wide group a
 * block holds channels of that group alone, and its last may have fewer; of narrow ones it holds
 * whatever follows, and reads the channels of every group that it touches:
 *
 *     two groups of 24   | 16 | 8    | 16 | 8    |        four of 6   | 6 6 4 : 2 6 |
 *
 * So the weights of a block are [taps, span, LANES]: for each tap and channel that it reads, a
 * vector with a number for each channel that it writes, 0 where the two are of different groups.
 * The kernels then know nothing of groups.  The way back, dy to dx, is the same with the two sides
 * exchanged, and dW keeps its sums in the same places.
 *
 * Which pixel a tap reads is a matter of rows and of columns apart.  Forward, output u reads u
 * stride + k - before.  Backward, pixel h gets from output u where u stride + k - before = h, so a
 * tap whose quotient is not whole gives nothing.  Both stand in tables made once a run, and the
 * loops over pixels have no division.
 */
#include "ops/conv_grouped_parts.h"

#include <string.h>

/* The most groups that a block of narrow ones touches. */
static int64_t groups_touched(int64_t groups, int64_t written)
{
    int64_t most = 0;

    for (int64_t first = 0; first < groups * written; first += LANES) {
        int64_t last = whole_min(first + LANES, groups * written) - 1;
        int64_t touched = last / written - first / written + 1;

        most = touched > most ? touched : most;
    }
    return most;
}

struct grouped grouped_of(struct dnn_conv s, int64_t groups, bool back)
{
    struct grouped p = {
        .s = s,
        .back = back,
        .groups = groups,
        .read = (back ? s.O : s.I) / groups,
        .written = (back ? s.I : s.O) / groups,
        .taps = s.kh * s.kw,
    };

    p.depthwise = p.read == 1 && p.written == 1;
    p.per_group = p.written < LANES ? 0 : whole_parts(p.written, LANES);
    p.blocks = p.per_group ? groups * p.per_group : whole_parts(groups * p.written, LANES);
    p.span = p.depthwise ? 1 : p.per_group ? p.read : groups_touched(groups, p.written) * p.read;
    return p;
}

/* --- weights ---------------------------------------------------------------------------------- */

int64_t grouped_packed(const struct grouped *p)
{
    return p->blocks * p->taps * p->span * LANES;
}

int64_t grouped_weight_at(const struct grouped *p, int64_t c, int64_t i)
{
    int64_t group = c / p->written, mine = c % p->written, step = p->s.I / p->groups;

    i -= group * p->read;
    if (i < 0 || i >= p->read)
        return -1;
    return p->back ? (group * p->read + i) * p->taps * step + mine : c * p->taps * step + i;
}

static void pack_block(float *out, const struct grouped *p, const float *w, int64_t block)
{
    int64_t count, first = block_channels(p, block, &count), step = p->s.I / p->groups;

    memset(out, 0, (size_t)(p->taps * p->span * LANES) * sizeof *out);
    for (int64_t l = 0; l < count; l++)
        for (int64_t i = 0; i < p->span; i++) {
            int64_t source = p->depthwise ? first + l : block_source(p, first) + i;
            int64_t at = grouped_weight_at(p, first + l, source);

            for (int64_t tap = 0; tap < p->taps && at >= 0; tap++)
                out[(tap * p->span + i) * LANES + l] = w[at + tap * step];
        }
}

/* --- sources ---------------------------------------------------------------------------------- */

/* For each pixel along one side of what is written and each of k taps: the pixel that it reads, or
 * -1. */
static void sources_fill(int64_t *out, int64_t written, int64_t read, int64_t k, int64_t stride,
                         int64_t before, bool back)
{
    for (int64_t at = 0; at < written; at++)
        for (int64_t tap = 0; tap < k; tap++) {
            int64_t up = at + before - tap, from = back ? up / stride : at * stride + tap - before;
            bool whole = !back || (up >= 0 && up % stride == 0);

            out[at * k + tap] = whole && from >= 0 && from < read ? from : -1;
        }
}

/* --- both, for a run -------------------------------------------------------------------------- */

struct prepared grouped_prepared_in(void *scratch, const struct grouped *p)
{
    struct prepared s = {.packed = scratch};

    s.rows = (int64_t *)(void *)(s.packed + grouped_packed(p));
    s.columns = s.rows + (p->back ? p->s.H : p->s.OH) * p->s.kh;
    return s;
}

size_t grouped_prepared_bytes(const struct grouped *p)
{
    int64_t rows = (p->back ? p->s.H : p->s.OH) * p->s.kh;
    int64_t columns = (p->back ? p->s.W : p->s.OW) * p->s.kw;

    return (size_t)grouped_packed(p) * sizeof(float) + (size_t)(rows + columns) * sizeof(int64_t);
}

void grouped_prepare(void *scratch, const struct grouped *p, const float *w)
{
    const struct dnn_conv *s = &p->s;
    struct prepared to = grouped_prepared_in(scratch, p);

    for (int64_t b = 0; b < p->blocks; b++)
        pack_block(to.packed + b * p->taps * p->span * LANES, p, w, b);
    if (p->back) {
        sources_fill(to.rows, s->H, s->OH, s->kh, s->stride, s->top, true);
        sources_fill(to.columns, s->W, s->OW, s->kw, s->stride, s->left, true);
    } else {
        sources_fill(to.rows, s->OH, s->H, s->kh, s->stride, s->top, false);
        sources_fill(to.columns, s->OW, s->W, s->kw, s->stride, s->left, false);
    }
}
