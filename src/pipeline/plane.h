/*
 * plane.h - values at the places of a picture, kept in half the memory or in the caller's
 *
 * Rows are written and read as floats.  A plane is either the caller's array, which may be a little
 * smaller than the plane: what lies beyond its edge is the edge when read and lost when written; or
 * its own, in 16 bits: a place's channels as whole numbers of one unit, a 32767th of the largest of
 * them.  Whoever reads them back is off by half a unit at most, at any scale of the values.
 */
#ifndef IMGEN_PIPELINE_PLANE_H
#define IMGEN_PIPELINE_PLANE_H

#include "base/error.h"

#include <stdint.h>

struct plane {
    int64_t rows, columns, channels;
    int64_t height, width; /* of the caller's array          */
    const float *from;     /* to be read: the caller's       */
    float *to;             /* to be written: the caller's    */
    int16_t *numbers;      /* own [rows, columns, channels]  */
    float *unit;           /* own [rows, columns]            */
};

/* A plane of one's own; E_MEMORY.  Release also after a failure; fine on a zeroed one. */
enum status plane_init(struct plane *p, int64_t rows, int64_t columns, int64_t channels,
                       struct error *err);
void plane_release(struct plane *p);
/* What plane_init asks for. */
int64_t plane_bytes(int64_t rows, int64_t columns, int64_t channels);

/* Rows first .. last - 1 as [last - first, columns, channels], on so many threads.  A place's
 * result depends on its values alone; values that are no numbers come back as such. */
void plane_read(const struct plane *p, float *out, int64_t first, int64_t last, int threads);
void plane_write(struct plane *p, const float *in, int64_t first, int64_t last, int threads);

#endif
