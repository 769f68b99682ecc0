/*
 * stored.h - small pictures of one size held in memory: what IDX and CIFAR files become
 */
#ifndef IMGEN_DATA_STORED_H
#define IMGEN_DATA_STORED_H

#include "data/dataset.h"

#include <stdint.h>

struct stored {
    int64_t n, height, width, channels; /* as in the file; channels 1 or 3 */
    uint8_t *pixels;                    /* [n, height, width, channels], heap */
    uint8_t *labels;                    /* [n], heap, or NULL              */
    uint8_t background[3];
};

void stored_release(struct stored *s); /* zeroes it; fine on a zeroed one */

/* Fill in d's count, height, width and channels from what is stored and what is asked. */
void stored_describe(struct dataset *d, const struct stored *s, const struct dataset_config *c);

/* dataset_format.get over them. */
enum status stored_get(const struct dataset *d, const struct stored *s, int64_t i, float *pixels,
                       int32_t *label, struct error *err);

#endif
