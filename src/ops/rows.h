/*
 * rows.h - a tensor cut into fixed blocks of rows, and those blocks shared among threads
 *
 * Nearly every pointwise or normalising kernel walks over rows.  How the rows are cut depends on
 * shapes alone, never on the number of threads, and a block never holds rows of two samples: so
 * sums that are first taken inside a block and then over blocks, in order, have the same bits on
 * any machine load, and a sample's result does not know about the samples beside it.
 */
#ifndef IMGEN_OPS_ROWS_H
#define IMGEN_OPS_ROWS_H

#include "tensor/tensor.h"

struct row_blocks {
    int64_t samples;
    int64_t rows;   /* of a sample                              */
    int64_t width;  /* floats of a row                          */
    int64_t block;  /* rows of a block, the last may have fewer */
    int64_t blocks; /* of a sample                              */
};

/* Rows [first, last), counted over all samples, of one sample. */
struct block {
    int64_t index; /* among the blocks of all samples */
    int64_t sample, first, last;
};

/* Blocks of about 64 KiB, so that a second look at one finds it in the second-level cache. */
struct row_blocks row_blocks(int64_t samples, int64_t rows, int64_t width);

/* The cuts most kernels want: all rows of a shape as one sample, each sample ([N, ..., D]) by
 * itself, or single elements (rows of width 1). */
struct row_blocks rows_of(struct shape s);
struct row_blocks rows_of_samples(struct shape s);
struct row_blocks elements_of(struct shape s);

/* Call work(y, block) for every block, on all threads of the run unless there is little to do. */
typedef void block_kernel(const struct tensor *y, struct block at);
void each_block(const struct tensor *y, struct row_blocks b, block_kernel *work);

/* For kernels that look at a whole sample more than once: call work(y, b, n) for every sample n.
 * With at least a sample a thread, each thread keeps its sample in its own cache; with fewer,
 * samples come one by one and each_block_of shares the blocks of one sample. */
typedef void sample_kernel(const struct tensor *y, struct row_blocks b, int64_t n);
void each_sample(const struct tensor *y, struct row_blocks b, sample_kernel *work);
void each_block_of(const struct tensor *y, struct row_blocks b, int64_t n, block_kernel *work);

/* The sample that a thread at work on sample n will most likely be given next, -1: none.  A guess,
 * good for asking memory ahead and for nothing else. */
int64_t sample_after(struct row_blocks b, int64_t n);

/* Floats of a partial sum of `width` for each block. */
int64_t partial_count(struct row_blocks b, int64_t width);

/* out [samples, width] = sum over blocks, in order, of partial [samples, blocks, width]. */
void partial_total(float *out, const float *partial, struct row_blocks b, int64_t width);

#endif
