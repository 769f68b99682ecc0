/*
 * widen.h - stored numbers to floats
 */
#ifndef IMGEN_BACKEND_CPU_WIDEN_H
#define IMGEN_BACKEND_CPU_WIDEN_H

#include "tensor/matrix.h"

#include <stdbool.h>

/* A way to do it: instructions that some processors have.  All give the same bits, but for the
 * payload of a NaN. */
struct widen_engine {
    const char *name; /* "AVX-512" */
    bool (*here)(void);
    /* n numbers, n a multiple of 32 for MATRIX_Q8_0; without their scale. */
    void (*numbers[MATRIX_OTHER])(float *out, const void *in, int64_t n);
    /* out[i] *= by */
    void (*scale)(float *out, float by, int64_t n);
};

/* Engine number i, the fastest first, NULL past the last; the last runs everywhere. */
const struct widen_engine *widen_engine_at(int i);

/* The first that this processor has. */
const struct widen_engine *widen_engine(void);

/* Numbers [first, first + n) of a row, scale included. */
void widen_row(const struct widen_engine *e, float *out, const struct matrix *s, int64_t row,
               int64_t first, int64_t n);

#endif
