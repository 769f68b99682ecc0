/*
 * matrix.h - a matrix of weights as its file stores it
 *
 * Weights of two or eight billion numbers are read once a step and changed never, so they stay in
 * the mapped file, in the type that it has: a node of the tape that is such a matrix has the dtype
 * DTYPE_STORED, and its data is a struct matrix.  Products widen a part of it at a time, and a
 * table the rows that are looked up; nobody else may read one (graph/graph.h, op->stored).
 */
#ifndef IMGEN_TENSOR_MATRIX_H
#define IMGEN_TENSOR_MATRIX_H

#include <stddef.h>
#include <stdint.h>

enum matrix_type {
    MATRIX_F32,
    MATRIX_F16,
    MATRIX_BF16,
    MATRIX_F8_E4M3,
    MATRIX_F8_E5M2,
    MATRIX_I8,
    MATRIX_Q8_0,  /* blocks of a float16 d and 32 signed bytes: d times each byte */
    MATRIX_OTHER, /* blocks that `widen` makes numbers of                          */
};

enum { MATRIX_Q8_0_NUMBERS = 32, MATRIX_Q8_0_BYTES = 34, MATRIX_BLOCK = 256 };

struct matrix;

/* Numbers [first, first + n) of a row to floats: whole blocks. */
typedef void matrix_widen(float *out, const struct matrix *s, int64_t row, int64_t first,
                          int64_t n);

struct matrix {
    enum matrix_type type;
    int64_t rows, cols;
    const void *bytes;   /* little-endian, not aligned                                        */
    int64_t row_bytes;   /* from one row to the next                                          */
    const float *scale;  /* [scales], times which the numbers count; the product is float32    */
    int64_t scales;      /* 0: none; 1: one for all; rows: one for each                         */
    matrix_widen *widen; /* of MATRIX_OTHER, before the scale                                 */
    int64_t block;       /* of MATRIX_OTHER: numbers of a block, at most MATRIX_BLOCK          */
    const void *user;    /* its own                                                            */

    /* Or the rows are those of several matrices of as many rows each, one below the other; of the
     * above, rows and cols alone count then. */
    const struct matrix *piece; /* [pieces] */
    int64_t pieces;             /* 0: itself */
};

/* The matrix in which a row lies; *row becomes its number there. */
static inline const struct matrix *matrix_at(const struct matrix *s, int64_t *row)
{
    int64_t each;

    if (!s->pieces)
        return s;
    each = s->rows / s->pieces;
    s = &s->piece[*row / each];
    *row %= each;
    return s;
}

/* Bytes that n numbers of a type take side by side, n a multiple of 32 for MATRIX_Q8_0; 0 for
 * MATRIX_OTHER. */
size_t matrix_bytes(enum matrix_type t, int64_t n);

/* Bytes of the whole matrix. */
size_t matrix_all_bytes(const struct matrix *s);

/* "f16", "bf16", ... */
const char *matrix_name(enum matrix_type t);

/* Dense rows of floats in memory. */
static inline struct matrix matrix_floats(const float *x, int64_t rows, int64_t cols)
{
    return (struct matrix){.type = MATRIX_F32,
                           .rows = rows,
                           .cols = cols,
                           .bytes = x,
                           .row_bytes = cols * (int64_t)sizeof *x};
}

#endif
