/*
 * rows.c - sharing fixed blocks of rows among threads
 *
 * The parallel loop stands here once.  Kernels are plain functions of one block, which keeps
 * OpenMP's outlined bodies away from the cloned inner loops (base/simd.h) and lets a kernel be read
 * as if there were one thread.
 *
 * A static schedule gives a thread the same blocks in every pass over a tensor, so what it wrote in
 * one pass is still in its own cache in the next.  Below PARALLEL_FROM floats waking the threads
 * costs more than the work.
 */
#include "ops/rows.h"

#include "base/whole.h"

#include <omp.h>
#include <string.h>

enum {
    BLOCK_FLOATS = 16384,
    PARALLEL_FROM = 32768,
    TOTAL_COLUMNS = 256, /* of partial sums that one thread adds up at a time */
};

struct row_blocks row_blocks(int64_t samples, int64_t rows, int64_t width)
{
    struct row_blocks b = {.samples = samples, .rows = rows, .width = width};

    b.block = width > 0 ? BLOCK_FLOATS / width : BLOCK_FLOATS;
    if (b.block < 1)
        b.block = 1;
    b.blocks = whole_parts(rows, b.block);
    return b;
}

struct row_blocks rows_of(struct shape s)
{
    return row_blocks(1, shape_rows(s), shape_last(s));
}

struct row_blocks rows_of_samples(struct shape s)
{
    int64_t rows = 1;

    for (int i = 1; i + 1 < s.rank; i++)
        rows *= s.dim[i];
    return row_blocks(s.rank > 1 ? s.dim[0] : 1, rows, shape_last(s));
}

struct row_blocks elements_of(struct shape s)
{
    return row_blocks(1, shape_count(s), 1);
}

static struct block block_at(struct row_blocks b, int64_t index)
{
    int64_t sample = index / b.blocks, first = index % b.blocks * b.block;
    int64_t last = first + b.block < b.rows ? first + b.block : b.rows;

    return (struct block){.index = index,
                          .sample = sample,
                          .first = sample * b.rows + first,
                          .last = sample * b.rows + last};
}

void each_block(const struct tensor *y, struct row_blocks b, block_kernel *work)
{
    int64_t n = b.samples * b.blocks;

#pragma omp parallel for schedule(static) if (n > 1 && b.samples * b.rows * b.width > PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++)
        work(y, block_at(b, i));
}

void each_block_of(const struct tensor *y, struct row_blocks b, int64_t n, block_kernel *work)
{
    bool many = b.blocks > 1 && b.rows * b.width > PARALLEL_FROM && !omp_in_parallel();

#pragma omp parallel for schedule(static) if (many)
    for (int64_t i = 0; i < b.blocks; i++)
        work(y, block_at(b, n * b.blocks + i));
}

void each_sample(const struct tensor *y, struct row_blocks b, sample_kernel *work)
{
    int threads = omp_get_max_threads();

    if (b.samples < threads || b.samples * b.rows * b.width <= PARALLEL_FROM) {
        /* Not a region of one thread: one inside of it would start threads anew each time. */
        for (int64_t n = 0; n < b.samples; n++)
            work(y, b, n);
        return;
    }
#pragma omp parallel for schedule(dynamic)
    for (int64_t n = 0; n < b.samples; n++)
        work(y, b, n);
}

int64_t sample_after(struct row_blocks b, int64_t n)
{
    int64_t next = n + omp_get_num_threads();

    return next < b.samples ? next : -1;
}

int64_t partial_count(struct row_blocks b, int64_t width)
{
    return b.samples * b.blocks * width;
}

static void total_columns(float *restrict out, const float *restrict partial, int64_t blocks,
                          int64_t width, int64_t columns)
{
    memset(out, 0, (size_t)columns * sizeof(float));
    for (int64_t i = 0; i < blocks; i++)
        for (int64_t c = 0; c < columns; c++)
            out[c] += partial[i * width + c];
}

void partial_total(float *out, const float *partial, struct row_blocks b, int64_t width)
{
    int64_t stripes = whole_parts(width, TOTAL_COLUMNS), n = b.samples * stripes;

#pragma omp parallel for schedule(static) if (n > 1 && partial_count(b, width) > PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) {
        int64_t sample = i / stripes, c = i % stripes * TOTAL_COLUMNS;
        int64_t columns = c + TOTAL_COLUMNS < width ? TOTAL_COLUMNS : width - c;

        total_columns(out + sample * width + c, partial + sample * b.blocks * width + c, b.blocks,
                      width, columns);
    }
}
