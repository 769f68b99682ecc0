/*
 * gemm.c - cutting a matrix product among threads and caches
 *
 *                 chunk           A task is one tile of rows and one chunk of columns.  Its rows
 *              +--+--+--+--- -    are rounded to the precision asked for (float32: used as they
 *     64 rows  |  |  |  |         lie); then a few panels of 64 columns at a time, the sum cut
 *              +--+--+--+--- -    into parts: the part of the rows and that of a panel stay in
 *     64 rows  |  |  |  |         the second-level cache while they meet.
 *              +--+--+--+--- -
 *
 * Tasks go down the rows first: the threads then work on the same chunk, which the shared cache
 * holds, and weights come from memory once.  Products are written straight into Y, a few lines at
 * a time between the multiply-adds, so that waiting for memory costs nothing; bias, the way back
 * from bytes, and the caller's activation follow while the lines are near.
 *
 * The cut may depend on anything, even on the number of threads: panel.h promises bits that do not
 * depend on it.  The parts of the sum are the exception, and follow from K alone.
 */
#include "backend/cpu/gemm.h"

#include "backend/cpu/panel.h"
#include "backend/cpu/tiles.h"
#include "backend/cpu/words.h"
#include "base/whole.h"

#include <string.h>

enum {
    TILE = 64,             /* rows of a tile                                       */
    PART = 256,            /* words of a part of the sum, at most                  */
    GROUP = 4,             /* panels between two calls of finish                   */
    CHUNK_BYTES = 8 << 20, /* of packed weights, at most, but at least GROUP panels */
    SHARE = 4,             /* tasks wanted for each thread                         */
    LINE = 64,             /* bytes                                                */
};

void gemm_init(struct gemm *g, const struct gemm_shape *s)
{
    int64_t room;

    MUST(s->rows > 0 && s->K > 0 && s->N > 0 && (s->b_row == 1 || s->b_col == 1) &&
             (s->precision != PRECISION_INT8 || (s->b_row == 1 && s->K <= GEMM_INT8_SUM)),
         "a product of %d x %d x %d, strides %d %d", (int)s->rows, (int)s->K, (int)s->N,
         (int)s->b_row, (int)s->b_col);
    memset(g, 0, sizeof *g);
    g->s = *s;
    g->lanes = tiles_lanes();
    g->words = panel_words(s->precision, s->K);
    g->part = whole_parts(g->words, whole_parts(g->words, PART));
    g->panels = whole_parts(s->N, PANEL_COLS);
    g->tiles = whole_parts(s->rows, TILE);
    room = CHUNK_BYTES / (g->words * PANEL_COLS * (int64_t)sizeof(panel_word));
    g->chunks = whole_parts(g->panels, room > GROUP ? room : GROUP);
    if (g->chunks * g->tiles < SHARE * g->lanes)
        g->chunks = whole_parts(SHARE * g->lanes, g->tiles);
    g->chunk = whole_parts(g->panels, whole_min(g->chunks, g->panels));
    g->chunks = whole_parts(g->panels, g->chunk);
}

/* --- packed weights -----------------------------------------------------------------------------
 *
 *     panel 0 [words, 64] | panel 1 | ... | int8: scale [panels, 64] | total [panels, 64]
 */

static size_t panel_bytes(const struct gemm *g)
{
    return (size_t)(g->words * PANEL_COLS) * sizeof(panel_word);
}

static float *scales(const struct gemm *g, const void *packed)
{
    return (float *)((uintptr_t)packed + panel_bytes(g) * (size_t)g->panels);
}

static float *totals(const struct gemm *g, const void *packed)
{
    return scales(g, packed) + g->panels * PANEL_COLS;
}

size_t gemm_packed_bytes(const struct gemm *g)
{
    size_t columns = (size_t)(g->panels * PANEL_COLS) * sizeof(float);

    return panel_bytes(g) * (size_t)g->panels + (g->s.precision == PRECISION_INT8) * 2 * columns;
}

struct pack_job {
    const struct gemm *g;
    const float *weights;
    void *packed;
};

static void pack_panel(void *user, int64_t j, int lane)
{
    const struct pack_job *job = user;
    const struct gemm *g = job->g;
    int64_t col = j * PANEL_COLS, cols = whole_min(g->s.N - col, PANEL_COLS);
    const float *from = job->weights + col * g->s.b_col;
    panel_word *to = (panel_word *)job->packed + j * g->words * PANEL_COLS;

    (void)lane;
    if (g->s.precision == PRECISION_INT8)
        words_weights(to, scales(g, job->packed) + col, totals(g, job->packed) + col, from,
                      g->s.b_col, cols, g->s.K);
    else if (g->s.b_col == 1)
        words_panels(g->s.precision, to, from, g->s.b_row, g->s.K, cols);
    else
        words_across(g->s.precision, to, from, g->s.b_col, cols, g->s.K);
}

void gemm_pack(const struct gemm *g, const float *weights, void *packed)
{
    struct pack_job job = {g, weights, packed};

    tiles_run(g->panels, g->lanes, pack_panel, &job);
}

/* --- a task -------------------------------------------------------------------------------------
 */

/* A lane's scratch. */
struct lane_scratch {
    struct byte_row row[TILE];
    panel_word edge[TILE * PANEL_COLS]; /* the product of a panel that N cuts short */
    float bias[PANEL_COLS];             /* and its bias                             */
    panel_word x[];                     /* [TILE, words]: rounded rows              */
};

static size_t lane_bytes(const struct gemm *g)
{
    size_t rounded = g->s.precision == PRECISION_FLOAT32 ? 0 : (size_t)(TILE * g->words);

    return (sizeof(struct lane_scratch) + rounded * sizeof(panel_word) + LINE - 1) / LINE * LINE;
}

size_t gemm_scratch_bytes(const struct gemm *g, int threads)
{
    return lane_bytes(g) * (size_t)threads;
}

struct run_job {
    const struct gemm *g;
    const struct panel_engine *engine;
    const float *x, *bias;
    const void *packed;
    float *y;
    unsigned char *scratch;
    gemm_finish *finish;
    const void *user;
};

/* The rows of a tile as the engine reads them. */
static const panel_word *round_rows(const struct gemm *g, const float *x, int64_t rows,
                                    struct lane_scratch *mine)
{
    if (g->s.precision == PRECISION_FLOAT32)
        return (const panel_word *)x;
    for (int64_t r = 0; r < rows; r++, x += g->s.K)
        if (g->s.precision == PRECISION_INT8)
            mine->row[r] = words_bytes(mine->x + r * g->words, x, g->s.K);
        else
            words_bf16(mine->x + r * g->words, x, g->s.K);
    return mine->x;
}

/* Where a panel's product goes: into y, or, where N cuts the panel short, into scratch. */
static panel_word *panel_place(const struct run_job *job, int64_t row, int64_t panel,
                               struct lane_scratch *mine, int64_t *step)
{
    const struct gemm *g = job->g;
    int64_t col = panel * PANEL_COLS;
    bool whole = col + PANEL_COLS <= g->s.N;

    *step = whole ? g->s.N : PANEL_COLS;
    return whole ? (panel_word *)job->y + row * g->s.N + col : mine->edge;
}

/* Panels [first, last) of a tile, one part of the sum; the bias comes with the first part. */
static void run_part(const struct run_job *job, const panel_word *x, int64_t w, int64_t row,
                     int64_t rows, int64_t first, int64_t last, struct lane_scratch *mine)
{
    const struct gemm *g = job->g;
    struct panel_product p = {
        .a = x + w,
        .a_row = g->words,
        .a_word = 1,
        .b_word = PANEL_COLS,
        .m = rows,
        .words = whole_min(g->words - w, g->part),
    };

    for (int64_t j = first; j < last; j++) {
        bool whole = (j + 1) * PANEL_COLS <= g->s.N;

        p.c = panel_place(job, row, j, mine, &p.c_row);
        p.d = w ? p.c : NULL;
        p.d_row = w ? p.c_row : 0;
        if (!w && job->bias && g->s.precision != PRECISION_INT8)
            p.d = (const panel_word *)(whole ? job->bias + j * PANEL_COLS : mine->bias);
        p.b = (const panel_word *)job->packed + (j * g->words + w) * PANEL_COLS;
        job->engine->mul(&p);
    }
}

/* The columns of the last panel that N has. */
static void store_edge(const struct run_job *job, int64_t row, int64_t rows,
                       const struct lane_scratch *mine)
{
    const struct gemm *g = job->g;
    int64_t cols = g->s.N % PANEL_COLS;
    panel_word *y = (panel_word *)job->y + row * g->s.N + g->s.N - cols;

    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * g->s.N, mine->edge + r * PANEL_COLS, (size_t)cols * sizeof *y);
}

/* Panels [first, last) of a tile: part after part of the sum, so that a part of the rows is read
 * from the second-level cache by all of them. */
static void run_group(const struct run_job *job, const panel_word *x, int64_t row, int64_t rows,
                      int64_t first, int64_t last, struct lane_scratch *mine)
{
    const struct gemm *g = job->g;
    int64_t col = first * PANEL_COLS, end = whole_min(last * PANEL_COLS, g->s.N);
    panel_word *y = (panel_word *)job->y + row * g->s.N;

    for (int64_t w = 0; w < g->words; w += g->part)
        run_part(job, x, w, row, rows, first, last, mine);
    if (end < last * PANEL_COLS)
        store_edge(job, row, rows, mine);
    if (g->s.precision == PRECISION_INT8)
        words_to_floats(y + col, g->s.N, mine->row, rows, scales(g, job->packed) + col,
                        totals(g, job->packed) + col, job->bias ? job->bias + col : NULL,
                        end - col);
    if (job->finish)
        job->finish(job->user, row, rows, col, end - col);
}

/* The bias of a panel that N cuts short. */
static void edge_bias(const struct run_job *job, struct lane_scratch *mine)
{
    int64_t cols = job->g->s.N % PANEL_COLS;

    if (!job->bias || !cols)
        return;
    memset(mine->bias, 0, sizeof mine->bias);
    memcpy(mine->bias, job->bias + job->g->s.N - cols, (size_t)cols * sizeof(float));
}

static void run_task(void *user, int64_t task, int lane)
{
    const struct run_job *job = user;
    const struct gemm *g = job->g;
    int64_t row = task % g->tiles * TILE, first = task / g->tiles * g->chunk;
    int64_t rows = whole_min(g->s.rows - row, TILE), last = whole_min(first + g->chunk, g->panels);
    void *memory = job->scratch + (size_t)lane * lane_bytes(g);
    struct lane_scratch *mine = memory;
    const panel_word *x = round_rows(g, job->x + row * g->s.K, rows, mine);

    edge_bias(job, mine);
    for (int64_t j = first; j < last; j += GROUP)
        run_group(job, x, row, rows, j, whole_min(j + GROUP, last), mine);
}

void gemm_run(const struct gemm *g, const float *x, const void *packed, const float *bias, float *y,
              void *scratch, gemm_finish *finish, const void *user)
{
    struct run_job job = {g,   panel_engine(g->s.precision), x, bias, packed, y, scratch, finish,
                          user};

    tiles_run(g->tiles * g->chunks, g->lanes, run_task, &job);
}
