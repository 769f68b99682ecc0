/*
 * gemm.h - rows of activations times a stored matrix of weights
 *
 *     Y [R, N] = X [R, K] B [K, N] + bias [N]
 *
 * X and Y dense float32; B a stored matrix as it is or turned round, packed on the way or once
 * beforehand.  The product is computed in the precision asked for.  A row of Y depends on its row
 * of X and on the numbers of B alone: not on R, not on its place, not on the number of threads, not
 * on when B is packed, nor in which type it is stored.
 */
#ifndef IMGEN_BACKEND_CPU_GEMM_H
#define IMGEN_BACKEND_CPU_GEMM_H

#include "tensor/matrix.h"
#include "tensor/precision.h"

#include <stdbool.h>

enum {
    GEMM_INT8_SUM = 1 << 16, /* numbers in a sum of bytes that int32 surely holds */
};

struct gemm_shape {
    int64_t rows; /* R, positive                                                          */
    int64_t K, N; /* positive; K <= GEMM_INT8_SUM for int8                                */
    bool turned;  /* B is the stored matrix [N, K] turned round, else it is stored [K, N];
                     for int8 it is turned                                                */
    enum precision precision;
    bool vectors; /* a sample has few rows: reading B is the work, and parts of the sum are
                     shorter.  Rows have the same bits where this is the same       */
    bool held;    /* B is packed once, by gemm_pack, for many products                     */
};

enum gemm_way {
    GEMM_HELD,   /* packed beforehand                             */
    GEMM_CHUNKS, /* packed chunk by chunk, for many rows          */
    GEMM_PARTS,  /* packed part by part of the sum, for few rows  */
};

struct gemm {
    struct gemm_shape s;
    enum gemm_way way;
    int64_t words, part;   /* of a row of X; at most so many in one run of the sum       */
    int64_t panels, tiles; /* of 64 columns; of 64 rows                                   */
    int64_t chunks, chunk; /* of panels; panels in a chunk                                */
    int lanes;
};

/* Rows [row, row + rows) and columns [col, col + cols) of y are done and still in cache. */
typedef void gemm_finish(const void *user, int64_t row, int64_t rows, int64_t col, int64_t cols);

/* For the number of threads that OpenMP is set to now; works with any. */
void gemm_init(struct gemm *g, const struct gemm_shape *s);

/* Scratch of `threads` threads; a multiple of 64. */
size_t gemm_scratch_bytes(const struct gemm *g, int threads);

/* Held weights: b into packed (gemm_packed_bytes, aligned to 64). */
size_t gemm_packed_bytes(const struct gemm *g);
void gemm_pack(const struct gemm *g, const struct matrix *b, void *packed);

/* packed: of gemm_pack where the weights are held, else NULL, and b is read.  bias, finish may be
 * NULL.  finish is called for each part of y once, by the thread that made it. */
void gemm_run(const struct gemm *g, const float *x, const struct matrix *b, const void *packed,
              const float *bias, float *y, void *scratch, gemm_finish *finish, const void *user);

#endif
