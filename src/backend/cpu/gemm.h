/*
 * gemm.h - rows of activations times a packed matrix of weights
 *
 *     Y [R, N] = X [R, K] B [K, N] + bias [N]
 *
 * X and Y dense float32; B a view of stored weights, packed before use.  The product is computed in
 * the precision asked for.  A row of Y depends on its row of X and on B alone: not on R, not on its
 * place, not on the number of threads.
 */
#ifndef IMGEN_BACKEND_CPU_GEMM_H
#define IMGEN_BACKEND_CPU_GEMM_H

#include "base/error.h"
#include "tensor/precision.h"

#include <stddef.h>
#include <stdint.h>

enum {
    GEMM_INT8_SUM = 1 << 16, /* numbers in a sum of bytes that int32 surely holds */
};

struct gemm_shape {
    int64_t rows;         /* R, positive                                               */
    int64_t K, N;         /* positive; K <= GEMM_INT8_SUM for int8                     */
    int64_t b_row, b_col; /* stored floats from one row, and one column, of B to the next; one is 1,
                             and for int8 it is b_row                          */
    enum precision precision;
};

struct gemm {
    struct gemm_shape s;
    int64_t words, part;   /* of a row of X; at most so many in one run of the sum       */
    int64_t panels;        /* of 64 columns                                              */
    int64_t tiles, chunks; /* of rows; of panels                                         */
    int64_t chunk;         /* panels in a chunk                                          */
    int lanes;
};

/* Rows [row, row + rows) and columns [col, col + cols) of y are done and still in cache. */
typedef void gemm_finish(const void *user, int64_t row, int64_t rows, int64_t col, int64_t cols);

/* For the number of threads that OpenMP is set to now; works with any. */
void gemm_init(struct gemm *g, const struct gemm_shape *s);

size_t gemm_packed_bytes(const struct gemm *g);
/* Scratch of `threads` threads; a multiple of 64. */
size_t gemm_scratch_bytes(const struct gemm *g, int threads);

/* Stored weights into packed (gemm_packed_bytes, aligned to 64). */
void gemm_pack(const struct gemm *g, const float *weights, void *packed);

/* bias, finish may be NULL.  finish is called for each part of y once, by the thread that made it.
 */
void gemm_run(const struct gemm *g, const float *x, const void *packed, const float *bias, float *y,
              void *scratch, gemm_finish *finish, const void *user);

#endif
