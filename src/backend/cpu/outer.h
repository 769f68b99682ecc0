/*
 * outer.h - a sum of outer products of rows: the gradient of a linear layer's weights
 *
 *     C [O, I] = A [R, O]^T B [R, I],    sums [O] = the columns of A summed up
 *
 * All dense float32; the products are computed in the precision asked for (not int8).  The bits
 * depend on the shapes alone, not on the number of threads.
 */
#ifndef IMGEN_BACKEND_CPU_OUTER_H
#define IMGEN_BACKEND_CPU_OUTER_H

#include "backend/cpu/strassen.h"
#include "base/error.h"
#include "tensor/precision.h"

#include <stddef.h>
#include <stdint.h>

struct outer {
    int64_t rows, O, I;
    enum precision precision;
    bool seven;             /* in float32, and of a shape that suits strassen.h */
    struct strassen halved; /* which then does all                              */
    int64_t high, wide;     /* a tile of C                       */
    int64_t down, across;
    int lanes;
};

/* rows >= 0; O, I > 0.  For the number of threads that OpenMP is set to now; works with any. */
void outer_init(struct outer *s, int64_t rows, int64_t O, int64_t I, enum precision precision);

/* Scratch of `threads` threads; a multiple of 64. */
size_t outer_scratch_bytes(const struct outer *s, int threads);

/* sums may be NULL. */
void outer_run(const struct outer *s, const float *a, const float *b, float *c, float *sums,
               void *scratch);

#endif
