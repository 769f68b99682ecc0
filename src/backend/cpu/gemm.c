/*
 * gemm.c - cutting a matrix product among threads and caches
 *
 * A panel of 64 columns is multiplied by a tile of 64 rows, one part of the sum at a time; a part
 * of a panel and one of the rows stay in the first two caches while they meet.  There are two ways
 * through the product:
 *
 *     held weights: packed before, whole             on the way: packed part by part
 *
 *                  chunk                                           chunk: 4 panels
 *               +--+--+--+--- -                                  +--+--+--+--+
 *      64 rows  |  |  |  |      a task takes        a task       |  |  |  |  |  part 0 of the sum:
 *               +--+--+--+--- - a few panels,       takes a      +--+--+--+--+  packed, and met by
 *      64 rows  |  |  |  |      and of these        span of      |  |  |  |  |  all its rows;
 *               +--+--+--+--- - part after part     rows         +--+--+--+--+  then part 1, ...
 *
 * Held weights are read by each tile of rows again, so tasks go down the rows first: the threads
 * then work on the same chunk, which the shared cache holds, and weights come from memory once.
 * What is packed on the way lies in the second-level cache of the thread that packed it, a quarter
 * of a megabyte, and the weights come from memory once as well, in the type that the file has; Y is
 * written and read again for each part.  With a row or two nearly all of the time is reading
 * weights and packing.  Then a panel at a time is taken, half as long, which the first-level cache
 * holds, and its neighbour, a piece of memory without gaps, is asked for meanwhile.
 *
 * Rows are rounded to the precision asked for beforehand (float32: used as they lie).  Products are
 * written straight into Y, a few lines at a time between the multiply-adds, so that waiting for
 * memory costs nothing; bias, the way back from bytes, and the caller's activation follow while the
 * lines are near.
 *
 * The cut may depend on anything, even on the number of threads: panel.h promises bits that do not
 * depend on it.  The parts of the sum are the exception, and follow from K and from whether a
 * sample has few rows.
 */
#include "backend/cpu/gemm.h"

#include "backend/cpu/pack.h"
#include "backend/cpu/panel.h"
#include "backend/cpu/tiles.h"
#include "backend/cpu/words.h"
#include "base/error.h"
#include "base/whole.h"

#include <string.h>

enum {
    TILE = 64,                      /* rows of a tile                                       */
    PART_VECTORS = PACK_WORDS / 2,  /* words in a part of the sum where rows are few        */
    UNIT = 32,                      /* words: parts begin with lines and blocks of the file */
    GROUP = PACK_COLS / PANEL_COLS, /* panels between two calls of finish                   */
    CHUNK_BYTES = 8 << 20,          /* of held weights, at most, but at least GROUP panels  */
    SHARE = 4,                      /* tasks wanted for each thread, of held weights        */
    SHARE_PACKED = 8,               /* and where each task packs                            */
    SPAN = 8,                       /* tiles that are worth packing for                     */
};

/* --- the cut ------------------------------------------------------------------------------------
 */

static void cut_held(struct gemm *g)
{
    int64_t room = CHUNK_BYTES / (g->words * PANEL_COLS * (int64_t)sizeof(panel_word));

    g->chunks = whole_parts(g->panels, whole_max(room, GROUP));
    if (g->chunks * g->tiles < SHARE * g->lanes)
        g->chunks = whole_parts(SHARE * g->lanes, g->tiles);
    g->chunk = whole_parts(g->panels, whole_min(g->chunks, g->panels));
    g->span = 1;
}

/* Full chunks, in spans as long as there are tasks enough; then narrower chunks. */
static void cut_packed(struct gemm *g)
{
    int64_t want = SHARE_PACKED * (int64_t)g->lanes, chunks = whole_parts(g->panels, GROUP);
    int64_t spans = whole_clamp(whole_parts(want, chunks), 1, whole_max(g->tiles / SPAN, 1));

    if (chunks * spans < want)
        chunks = whole_min(whole_parts(want, spans), g->panels);
    g->chunk = whole_parts(g->panels, chunks);
    g->span = whole_parts(g->tiles, spans);
}

void gemm_init(struct gemm *g, const struct gemm_shape *s)
{
    MUST(s->rows > 0 && s->K > 0 && s->N > 0 &&
             (s->precision != PRECISION_INT8 || (s->turned && s->K <= GEMM_INT8_SUM)),
         "a product of %d x %d x %d", (int)s->rows, (int)s->K, (int)s->N);
    memset(g, 0, sizeof *g);
    g->s = *s;
    g->lanes = tiles_lanes();
    g->words = panel_words(s->precision, s->K);
    g->part = whole_even(g->words, s->vectors ? PART_VECTORS : PACK_WORDS, UNIT);
    g->panels = whole_parts(s->N, PANEL_COLS);
    g->tiles = whole_parts(s->rows, TILE);
    if (s->held)
        cut_held(g);
    else
        cut_packed(g);
    g->chunks = whole_parts(g->panels, g->chunk);
    g->spans = whole_parts(g->tiles, g->span);
}

/* Columns that panels [first, last) have of B. */
static int64_t columns(const struct gemm *g, int64_t first, int64_t last)
{
    return whole_min(last * PANEL_COLS, g->s.N) - first * PANEL_COLS;
}

/* --- held weights -------------------------------------------------------------------------------
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
    size_t all = (size_t)(g->panels * PANEL_COLS) * sizeof(float);

    return panel_bytes(g) * (size_t)g->panels + (g->s.precision == PRECISION_INT8) * 2 * all;
}

/* Whole numbers below 2^24 until all parts are summed up, so nothing was rounded. */
static void scale_totals(float *total, const float *scale, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        total[j] *= scale[j];
}

struct pack_job {
    const struct gemm *g;
    struct pack_source from;
    void *packed;
};

static void pack_panel(void *user, int64_t j, int lane)
{
    const struct pack_job *job = user;
    const struct gemm *g = job->g;
    panel_word *to = (panel_word *)job->packed + j * g->words * PANEL_COLS;
    struct pack_part p = {.col = j * PANEL_COLS, .cols = columns(g, j, j + 1)};

    (void)lane;
    if (g->s.precision == PRECISION_INT8) {
        p.scale = scales(g, job->packed) + p.col;
        p.total = totals(g, job->packed) + p.col;
        pack_scales(&job->from, p.scale, p.col, p.cols);
        memset(p.total, 0, PANEL_COLS * sizeof *p.total);
    }
    for (; p.word < g->words; p.word += g->part) {
        p.words = whole_min(g->words - p.word, g->part);
        p.out = to + p.word * PANEL_COLS;
        pack_part(&job->from, &p);
    }
    if (p.total)
        scale_totals(p.total, p.scale, PANEL_COLS);
}

void gemm_pack(const struct gemm *g, const struct matrix *b, void *packed)
{
    struct pack_job job = {g, pack_source(b, g->s.turned, g->s.precision), packed};

    tiles_run(g->panels, g->lanes, pack_panel, &job);
}

/* --- scratch ------------------------------------------------------------------------------------
 *
 *     rounded rows [rows, words] | their codes [rows] | lane 0 | lane 1 | ...
 */

struct lane_scratch {
    panel_word edge[TILE * PANEL_COLS]; /* the product of a panel that N cuts short */
    float bias[PANEL_COLS];             /* and its bias                             */
    float scale[PACK_COLS], total[PACK_COLS];
    panel_word part[PACK_WORDS * PACK_COLS]; /* [panels, words, 64] */
};

static size_t rounded_bytes(const struct gemm *g)
{
    bool plain = g->s.precision == PRECISION_FLOAT32;

    return plain ? 0 : whole_lines((size_t)(g->s.rows * g->words) * sizeof(panel_word));
}

static size_t codes_bytes(const struct gemm *g)
{
    bool bytes = g->s.precision == PRECISION_INT8;

    return bytes ? whole_lines((size_t)g->s.rows * sizeof(struct byte_row)) : 0;
}

/* Held weights need no room for a part. */
static size_t lane_bytes(const struct gemm *g)
{
    return whole_lines(g->s.held ? offsetof(struct lane_scratch, part)
                                 : sizeof(struct lane_scratch));
}

size_t gemm_scratch_bytes(const struct gemm *g, int threads)
{
    return rounded_bytes(g) + codes_bytes(g) + lane_bytes(g) * (size_t)threads;
}

/* --- a product ----------------------------------------------------------------------------------
 */

struct run_job {
    const struct gemm *g;
    const struct panel_engine *engine;
    struct pack_source from;
    const float *rows; /* X                          */
    panel_word *x;     /* the same as the engine reads it */
    struct byte_row *code;
    const void *packed;
    const float *bias;
    float *y;
    unsigned char *lanes;
    gemm_finish *finish;
    const void *user;
};

static void round_tile(void *user, int64_t tile, int lane)
{
    const struct run_job *job = user;
    const struct gemm *g = job->g;
    int64_t end = whole_min((tile + 1) * TILE, g->s.rows);

    (void)lane;
    for (int64_t r = tile * TILE; r < end; r++)
        if (g->s.precision == PRECISION_INT8)
            job->code[r] = words_bytes(job->x + r * g->words, job->rows + r * g->s.K, g->s.K);
        else
            words_bf16(job->x + r * g->words, job->rows + r * g->s.K, g->s.K);
}

/* Panels [first, last) of a tile of rows. */
struct block {
    int64_t row, rows;
    int64_t first, last;
};

static struct block block_of(const struct gemm *g, int64_t tile, int64_t first, int64_t last)
{
    return (struct block){tile * TILE, whole_min(g->s.rows - tile * TILE, TILE), first, last};
}

/* The columns of the last panel that N has, from y or back to it. */
static void copy_edge(const struct run_job *job, struct lane_scratch *mine, const struct block *t,
                      bool back)
{
    int64_t N = job->g->s.N, cols = N % PANEL_COLS;
    panel_word *y = (panel_word *)job->y + t->row * N + N - cols, *edge = mine->edge;

    for (int64_t r = 0; r < t->rows; r++, y += N, edge += PANEL_COLS)
        memcpy(back ? y : edge, back ? edge : y, (size_t)cols * sizeof *y);
}

/* Panel j of a block, words [w, w + part): y is begun, with the bias, or added to. */
static void run_panel(const struct run_job *job, struct lane_scratch *mine, const struct block *t,
                      int64_t w, int64_t j, const panel_word *b)
{
    const struct gemm *g = job->g;
    bool whole = (j + 1) * PANEL_COLS <= g->s.N;
    struct panel_product p = {
        .c = whole ? (panel_word *)job->y + t->row * g->s.N + j * PANEL_COLS : mine->edge,
        .c_row = whole ? g->s.N : PANEL_COLS,
        .a = job->x + t->row * g->words + w,
        .a_row = g->words,
        .a_word = 1,
        .b = b,
        .b_word = PANEL_COLS,
        .m = t->rows,
        .words = whole_min(g->words - w, g->part),
    };

    p.d = w ? p.c : NULL;
    p.d_row = w ? p.c_row : 0;
    if (!w && job->bias && g->s.precision != PRECISION_INT8)
        p.d = (const panel_word *)(whole ? job->bias + j * PANEL_COLS : mine->bias);
    if (!whole && w)
        copy_edge(job, mine, t, false);
    job->engine->mul(&p);
    if (!whole)
        copy_edge(job, mine, t, true);
}

/* What follows on the last part of the sum. */
static void finish_block(const struct run_job *job, const struct block *t, const float *scale,
                         const float *total)
{
    const struct gemm *g = job->g;
    int64_t col = t->first * PANEL_COLS, cols = columns(g, t->first, t->last);

    if (g->s.precision == PRECISION_INT8)
        words_to_floats((panel_word *)job->y + t->row * g->s.N + col, g->s.N, job->code + t->row,
                        t->rows, scale, total, job->bias ? job->bias + col : NULL, cols);
    if (job->finish)
        job->finish(job->user, t->row, t->rows, col, cols);
}

/* A few held panels meet a tile, part after part of the sum, so that a part of the rows is read
 * from the second-level cache by all of them. */
static void run_held(const struct run_job *job, struct lane_scratch *mine, const struct block *t)
{
    const struct gemm *g = job->g;
    const panel_word *b = job->packed;

    for (int64_t w = 0; w < g->words; w += g->part)
        for (int64_t j = t->first; j < t->last; j++)
            run_panel(job, mine, t, w, j, b + (j * g->words + w) * PANEL_COLS);
    finish_block(job, t, scales(g, job->packed) + t->first * PANEL_COLS,
                 totals(g, job->packed) + t->first * PANEL_COLS);
}

/* Whether panels are packed one at a time. */
static bool one_by_one(const struct gemm *g)
{
    return g->s.vectors && g->s.turned && !g->s.held;
}

/* A chunk is packed part by part, and each part meets all tiles of a span. */
static void run_packing(const struct run_job *job, struct lane_scratch *mine, int64_t tile,
                        int64_t end, int64_t first, int64_t last)
{
    const struct gemm *g = job->g;
    bool bytes = g->s.precision == PRECISION_INT8;
    struct pack_part p = {.col = first * PANEL_COLS,
                          .cols = columns(g, first, last),
                          .out = mine->part,
                          .scale = mine->scale,
                          .total = mine->total};

    p.neighbour = last < g->panels && one_by_one(g);
    if (bytes) {
        pack_scales(&job->from, mine->scale, p.col, p.cols);
        memset(mine->total, 0, sizeof mine->total);
    }
    for (; p.word < g->words; p.word += g->part) {
        p.words = whole_min(g->words - p.word, g->part);
        p.step = p.words * PANEL_COLS;
        pack_part(&job->from, &p);
        if (bytes && p.word + p.words == g->words)
            scale_totals(mine->total, mine->scale, p.cols);
        for (int64_t i = tile; i < end; i++) {
            struct block t = block_of(g, i, first, last);

            for (int64_t j = first; j < last; j++)
                run_panel(job, mine, &t, p.word, j, mine->part + (j - first) * p.step);
            if (p.word + p.words == g->words)
                finish_block(job, &t, mine->scale, mine->total);
        }
    }
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
    int64_t tile = task % g->spans * g->span, first = task / g->spans * g->chunk;
    int64_t last = whole_min(first + g->chunk, g->panels);
    void *memory = job->lanes + (size_t)lane * lane_bytes(g);
    struct lane_scratch *mine = memory;
    int64_t group = one_by_one(g) ? 1 : GROUP;

    edge_bias(job, mine);
    for (; first < last; first += group) {
        int64_t end = whole_min(first + group, last);
        struct block t = block_of(g, tile, first, end);

        if (g->s.held)
            run_held(job, mine, &t);
        else
            run_packing(job, mine, tile, whole_min(tile + g->span, g->tiles), first, end);
    }
}

void gemm_run(const struct gemm *g, const float *x, const struct matrix *b, const void *packed,
              const float *bias, float *y, void *scratch, gemm_finish *finish, const void *user)
{
    unsigned char *memory = scratch;
    struct run_job job = {
        .g = g,
        .engine = panel_engine(g->s.precision),
        .rows = x,
        .x = (panel_word *)(uintptr_t)x, /* float32: read where they lie */
        .packed = packed,
        .bias = bias,
        .y = y,
        .lanes = memory + rounded_bytes(g) + codes_bytes(g),
        .finish = finish,
        .user = user,
    };

    MUST(g->s.held == (packed != NULL), "weights are held, or packed on the way");
    if (!packed)
        job.from = pack_source(b, g->s.turned, g->s.precision);
    if (g->s.precision != PRECISION_FLOAT32) {
        job.x = (panel_word *)scratch;
        job.code = (struct byte_row *)(void *)(memory + rounded_bytes(g));
        tiles_run(g->tiles, g->lanes, round_tile, &job);
    }
    tiles_run(g->chunks * g->spans, g->lanes, run_task, &job);
}
