/*
 * gemm.c - cutting a matrix product into tiles that one thread computes
 *
 *              N                    The number of rows changes from batch to batch and must not be
 *         +---------+  tile rows    seen in a row's result.  So tiles have a fixed height, and the
 * rows R |         |               that are left over are padded to that height in scratch: the
 * same
 *         +---------+               primitive computes every row there is.
 *         |         |
 *         +---------+  Tokens: 64 rows and all columns.  oneDNN writes straight into Y and reaches
 * 95 to
 *         |.........|  100 % of the FMA peak; 32 rows lose 5 %, 128 gain nothing.
 *         +---------+
 *
 * Vectors, one row a sample (time embeddings, adaLN): 16 rows, since 64 would mostly multiply
 * padding, and columns cut into blocks, since there would be a single tile.  A block's product goes
 * to scratch, dense as oneDNN's fast kernels want it, and is copied from there.  Which of the two
 * it is follows from the rows of one sample, never from their number in the batch.
 *
 * B is packed block by block, each in the layout its primitive asks for.
 */
#include "backend/cpu/gemm.h"

#include "backend/cpu/tiles.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_TILE = 64, VECTOR_TILE = 16, VECTOR_BLOCK = 128 };

struct gemm {
    struct gemm_shape s;
    int lanes;
    int64_t tile, tiles;    /* rows of a tile, tiles of rows         */
    int64_t block, blocks;  /* columns of a block, blocks of columns */
    struct dnn *product[2]; /* a whole block; the narrower last one  */
    struct dnn *pack[2];
};

static int64_t at_least_one_part(int64_t n, int64_t part)
{
    return (n + part - 1) / part;
}

/* Columns of block j, and whether it is the narrow one. */
static int64_t block_cols(const struct gemm *g, int64_t j, int *narrow)
{
    int64_t cols = g->s.N - j * g->block;

    *narrow = cols < g->block;
    return *narrow ? cols : g->block;
}

static enum status block_init(struct gemm *g, int which, int64_t cols, struct error *err)
{
    const struct dnn_matrix a = {g->s.K, 1}, packed = {0, 0}, c = {cols, 1};
    const int64_t step[4] = {g->s.b.row, g->s.b.col};
    enum status st;

    if ((st = dnn_matmul(&g->product[which], g->tile, cols, g->s.K, a, packed, c, g->lanes, err)))
        return st;
    return dnn_pack(&g->pack[which], g->product[which], step, g->lanes, err);
}

enum status gemm_new(struct gemm **out, const struct gemm_shape *s, struct error *err)
{
    struct gemm *g;
    enum status st;
    int narrow;

    *out = NULL;
    if ((st = mem_new((void **)&g, 1, sizeof(*g), "a matrix product", err)))
        return st;
    g->s = *s;
    g->lanes = tiles_lanes();
    g->tile = s->sample_rows >= TOKEN_TILE / 2 ? TOKEN_TILE : VECTOR_TILE;
    g->block = g->tile == VECTOR_TILE && s->N > VECTOR_BLOCK ? VECTOR_BLOCK : s->N;
    g->tiles = at_least_one_part(s->rows, g->tile);
    g->blocks = at_least_one_part(s->N, g->block);
    st = block_init(g, 0, g->block, err);
    block_cols(g, g->blocks - 1, &narrow);
    if (!st && narrow)
        st = block_init(g, 1, s->N % g->block, err);
    if (st) {
        gemm_free(g);
        return st;
    }
    *out = g;
    return OK;
}

void gemm_free(struct gemm *g)
{
    if (!g)
        return;
    for (int k = 0; k < 2; k++) {
        dnn_free(g->product[k]);
        dnn_free(g->pack[k]);
    }
    free(g);
}

size_t gemm_packed_bytes(const struct gemm *g)
{
    size_t bytes =
        dnn_packed_bytes(g->product[0]) * (size_t)(g->product[1] ? g->blocks - 1 : g->blocks);

    return bytes + (g->product[1] ? dnn_packed_bytes(g->product[1]) : 0);
}

/* A lane's scratch: what oneDNN asks for | a padded tile of X | a block of the product. */
static size_t dnn_part(const struct gemm *g)
{
    size_t bytes = 0;

    for (int k = 0; k < 2; k++) {
        const struct dnn *both[2] = {g->product[k], g->pack[k]};

        for (int j = 0; j < 2; j++)
            if (both[j] && dnn_scratch_bytes(both[j]) > bytes)
                bytes = dnn_scratch_bytes(both[j]);
    }
    return bytes;
}

static size_t tile_part(int64_t rows, int64_t cols)
{
    return ((size_t)(rows * cols) * sizeof(float) + 63) / 64 * 64;
}

static size_t lane_bytes(const struct gemm *g)
{
    return dnn_part(g) + tile_part(g->tile, g->s.K) + tile_part(g->tile, g->block);
}

size_t gemm_scratch_bytes(const struct gemm *g, int threads)
{
    return lane_bytes(g) * (size_t)threads;
}

struct pack_job {
    const struct gemm *g;
    const float *weights;
    float *packed;
    unsigned char *scratch;
};

static void pack_block(void *user, int64_t j, int lane)
{
    const struct pack_job *job = user;
    const struct gemm *g = job->g;
    float *to = job->packed + (size_t)j * (dnn_packed_bytes(g->product[0]) / sizeof(float));
    int narrow;

    block_cols(g, j, &narrow);
    dnn_run(g->pack[narrow], lane, job->weights + j * g->block * g->s.b.col, NULL, to,
            job->scratch + (size_t)lane * lane_bytes(g));
}

void gemm_pack(const struct gemm *g, const float *weights, float *packed, void *scratch)
{
    struct pack_job job = {g, weights, packed, scratch};

    if (g->blocks == 1)
        pack_block(&job, 0, 0);
    else
        tiles_run(g->blocks, g->lanes, pack_block, &job);
}

struct run_job {
    const struct gemm *g;
    const float *x, *packed;
    float *y;
    unsigned char *scratch;
    gemm_finish *finish;
    const void *user;
};

static void copy_rows(float *y, int64_t y_step, const float *c, int64_t c_step, int64_t rows,
                      int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * y_step, c + r * c_step, (size_t)cols * sizeof(float));
}

static void run_tile(void *user, int64_t t, int lane)
{
    const struct run_job *job = user;
    const struct gemm *g = job->g;
    int64_t row = t / g->blocks * g->tile, j = t % g->blocks, col = j * g->block;
    int64_t rows = g->s.rows - row < g->tile ? g->s.rows - row : g->tile;
    const float *packed =
        job->packed + (size_t)j * (dnn_packed_bytes(g->product[0]) / sizeof(float));
    unsigned char *scratch = job->scratch + (size_t)lane * lane_bytes(g);
    float *pad = (float *)(void *)(scratch + dnn_part(g));
    float *part = (float *)(void *)(scratch + dnn_part(g) + tile_part(g->tile, g->s.K));
    const float *x = job->x + row * g->s.K;
    float *y = job->y + row * g->s.N + col, *c;
    int narrow;
    int64_t cols = block_cols(g, j, &narrow);

    if (rows < g->tile) {
        memcpy(pad, x, (size_t)(rows * g->s.K) * sizeof(float));
        memset(pad + rows * g->s.K, 0, (size_t)((g->tile - rows) * g->s.K) * sizeof(float));
        x = pad;
    }
    c = rows == g->tile && g->blocks == 1 ? y : part;
    dnn_run(g->product[narrow], lane, x, packed, c, scratch);
    if (job->finish)
        job->finish(job->user, c, cols, row, rows, col, cols);
    else if (c != y)
        copy_rows(y, g->s.N, c, cols, rows, cols);
}

void gemm_run(const struct gemm *g, const float *x, const float *packed, float *y, void *scratch,
              gemm_finish *finish, const void *user)
{
    struct run_job job = {g, x, packed, y, scratch, finish, user};

    tiles_run(g->tiles * g->blocks, g->lanes, run_tile, &job);
}
