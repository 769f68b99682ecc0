/*
 * conv_grouped_parts.h - what the files of the convolution in groups share
 */
#ifndef IMGEN_OPS_CONV_GROUPED_PARTS_H
#define IMGEN_OPS_CONV_GROUPED_PARTS_H

#include "base/whole.h"
#include "ops/conv_parts.h"
#include "ops/lanes.h"

enum {
    CONV_GROUPS = CONV_LEFT + 1, /* constant of a node, behind those of any convolution */
    CHAINS = 4,                  /* sums that do not wait for each other                */
};

/* One of the two products with weights: pictures `from`, channels [groups, read], to pictures `to`,
 * channels [groups, written]. */
struct grouped {
    struct dnn_conv s; /* the forward convolution; s.I and s.O count the channels of all groups */
    bool back;         /* dy to dx                                                         */
    bool depthwise;
    int64_t groups, read, written, taps;
    int64_t blocks, per_group; /* of LANES written channels; of one group, 0: of any that follow */
    int64_t span; /* channels that a block reads, from block_source on                   */
};

/* A convolution s in so many groups; back: from dy to dx. */
struct grouped grouped_of(struct dnn_conv s, int64_t groups, bool back);

/* The first channel that a block writes, of all; *count: how many. */
static inline int64_t block_channels(const struct grouped *p, int64_t block, int64_t *count)
{
    int64_t within = p->per_group ? block % p->per_group * LANES : 0;
    int64_t first = p->per_group ? block / p->per_group * p->written + within : block * LANES;

    *count = whole_min(LANES, p->per_group ? p->written - within : p->groups * p->written - first);
    return first;
}

/* The first of the `span` channels that it reads: the last blocks, too, read no more than there
 * are. */
static inline int64_t block_source(const struct grouped *p, int64_t first)
{
    if (p->depthwise)
        return first;
    return whole_min(first / p->written * p->read, p->groups * p->read - p->span);
}

/* Weights in the order in which they are used, [blocks, taps, span, LANES], zero where there is
 * none: so many floats for all blocks. */
int64_t grouped_packed(const struct grouped *p);

/* Where the weight that takes channel i of those a block reads to channel c of all that are written
 * lies, for tap 0; -1: they are of two groups. */
int64_t grouped_weight_at(const struct grouped *p, int64_t c, int64_t i);

/* What a run of the two products keeps in scratch of grouped_prepared_bytes: packed weights, and
 * for each pixel along one side of what is written and each tap the pixel that it reads, or -1.
 * grouped_prepare fills it from w [O, kh, kw, I']. */
struct prepared {
    float *packed;
    int64_t *rows, *columns; /* [height, kh], [width, kw] of the picture that is written */
};
size_t grouped_prepared_bytes(const struct grouped *p);
struct prepared grouped_prepared_in(void *scratch, const struct grouped *p);
void grouped_prepare(void *scratch, const struct grouped *p, const float *w);

/* The gradient of the weights (conv_grouped_weights.c).  in: x, dy, constants as of the
 * convolution; result dw. */
extern const struct op conv_grouped_dw;

#endif
