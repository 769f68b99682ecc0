/*
 * gemm.h - rows of activations times a packed matrix of weights
 *
 *     Y [R, N] = X [R, K] B [K, N]
 *
 * X and Y dense; B a view of stored weights, packed before use.  A row of Y depends on its row of X
 * and on B alone: not on R, not on its place, not on the number of threads.
 */
#ifndef IMGEN_BACKEND_CPU_GEMM_H
#define IMGEN_BACKEND_CPU_GEMM_H

#include "backend/cpu/dnn.h"

struct gemm;

struct gemm_shape {
    int64_t rows;        /* R, may be 0                                                          */
    int64_t sample_rows; /* rows that one sample has: chooses the tile, so that R need not        */
    int64_t K, N;        /* positive                                                             */
    struct dnn_matrix b; /* how B lies in the stored weights                                     */
};

/* Rows [row, row + rows) and columns [col, col + cols) of the product have been computed and are
 * still in cache: c, `step` floats from row to row. */
typedef void gemm_finish(const void *user, const float *c, int64_t step, int64_t row, int64_t rows,
                         int64_t col, int64_t cols);

/* For the number of threads that OpenMP is set to now; works with any.  *out is given to gemm_free.
 * Fails as dnn_matmul. */
enum status gemm_new(struct gemm **out, const struct gemm_shape *s, struct error *err);
void gemm_free(struct gemm *g);

size_t gemm_packed_bytes(const struct gemm *g);
/* Scratch of `threads` threads; a multiple of 64. */
size_t gemm_scratch_bytes(const struct gemm *g, int threads);

/* Stored weights into packed (gemm_packed_bytes, aligned to 64).  The scratch is gemm_run's. */
void gemm_pack(const struct gemm *g, const float *weights, float *packed, void *scratch);

/* finish, when not NULL, sees each part of the product once; when it wants the result in y it must
 * write it there unless c already is that place. */
void gemm_run(const struct gemm *g, const float *x, const float *packed, float *y, void *scratch,
              gemm_finish *finish, const void *user);

#endif
