/*
 * gemm.c - cutting a matrix product among threads and caches
 *
 * A panel of 64 columns is multiplied by a tile of 64 rows, one part of the sum at a time; a part
 * of a panel and one of the rows stay in the first two caches while they meet.  Rows are rounded to
 * the precision asked for beforehand (float32: used as they lie).  Products are written straight
 * into Y, a few lines at a time between the multiply-adds, so that waiting for memory costs
 * nothing; bias, the way back from bytes, and the caller's activation follow while the lines are
 * near.  There are three ways through a product, by where the packed weights are:
 *
 * Held.  All are packed beforehand.  A task is one tile of rows and one chunk of panels; tasks go
 * down the rows first, so that the threads work on the same chunk, which the shared cache holds,
 * and weights come from memory once.
 *
 * Chunk by chunk, many rows.  The same, but a chunk is packed just before, into one of two places:
 *
 *     tasks in order:   pack 0 | 0 0 0 0 0 pack 1 0 0 | 1 1 1 1 1 pack 2 1 1 | 2 2 2 ...
 *
 * Packing is cut into panels and rows into tiles, and whoever is free takes the next task.  A task
 * may wait, but for tasks before it alone, and those were handed out long before it: the threads
 * meet at no barrier.
 *
 * Part by part, few rows.  A task is a few panels and all rows; a part of the sum is packed, a
 * quarter of a megabyte that the thread's own second-level cache holds, and met by all tiles, then
 * the next.  Y is written and read again for each part, which many rows would pay for (3 to 6 %).
 * With a row or two a sample, nearly all of the time is reading weights: then one panel at a time
 * is taken, half as long, which the first-level cache holds, and its neighbour, a piece of memory
 * without gaps, is asked for meanwhile.
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

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum {
    TILE = 64,                      /* rows of a tile                                       */
    PART_VECTORS = PACK_WORDS / 2,  /* words in a part of the sum where rows are few        */
    UNIT = 32,                      /* words: parts begin with lines and blocks of the file */
    GROUP = PACK_COLS / PANEL_COLS, /* panels between two calls of finish                   */
    CHUNK_BYTES = 8 << 20,          /* of packed weights, at most, but at least GROUP panels */
    SHARE = 4,                      /* tasks wanted for each thread                         */
    MANY = 12,                      /* tiles                                                */
    LATE = 2,                       /* tiles for each thread after the next chunk is packed */
};

/* --- the cut ------------------------------------------------------------------------------------
 */

/* Whether panels are packed one at a time. */
static bool one_by_one(const struct gemm *g)
{
    return g->s.vectors && g->s.turned && g->way == GEMM_PARTS;
}

/* Chunks that the shared cache holds; fewer panels in each, or for each task, where there would be
 * too few tasks. */
static void cut_chunks(struct gemm *g)
{
    int64_t room = CHUNK_BYTES / (g->words * PANEL_COLS * (int64_t)sizeof(panel_word));

    g->chunks = whole_parts(g->panels, whole_max(room, GROUP));
    if (g->way == GEMM_HELD && g->chunks * g->tiles < SHARE * g->lanes)
        g->chunks = whole_parts(SHARE * g->lanes, g->tiles);
    g->chunk = whole_parts(g->panels, whole_min(g->chunks, g->panels));
}

/* Panels that are packed together, or fewer.  One by one they are best taken in long rows, since
 * the first of a row was not asked for. */
static void cut_parts(struct gemm *g)
{
    int64_t least = 2 * SHARE * (int64_t)g->lanes;
    int64_t chunks = one_by_one(g) ? least : whole_max(whole_parts(g->panels, GROUP), least);

    g->chunk = whole_parts(g->panels, whole_min(chunks, g->panels));
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
    g->way = s->held ? GEMM_HELD : g->tiles >= MANY ? GEMM_CHUNKS : GEMM_PARTS;
    if (g->way == GEMM_PARTS)
        cut_parts(g);
    else
        cut_chunks(g);
    g->chunks = whole_parts(g->panels, g->chunk);
}

/* Columns that panels [first, last) have of B. */
static int64_t columns(const struct gemm *g, int64_t first, int64_t last)
{
    return whole_min(last * PANEL_COLS, g->s.N) - first * PANEL_COLS;
}

/* --- packed panels ------------------------------------------------------------------------------
 *
 *     panel 0 [words, 64] | panel 1 | ... | int8: scale [panels, 64] | total [panels, 64]
 */

struct packed {
    panel_word *panel;
    float *scale, *total; /* of the sums of bytes */
};

static size_t packed_bytes(const struct gemm *g, int64_t panels)
{
    size_t words = (size_t)(g->words * PANEL_COLS) * sizeof(panel_word);
    size_t columns = PANEL_COLS * sizeof(float);

    return (size_t)panels * (words + (g->s.precision == PRECISION_INT8) * 2 * columns);
}

static struct packed packed_at(const struct gemm *g, const void *memory, int64_t panels)
{
    struct packed b = {.panel = (panel_word *)(uintptr_t)memory};

    b.scale = (float *)(b.panel + panels * g->words * PANEL_COLS);
    b.total = b.scale + panels * PANEL_COLS;
    return b;
}

/* From panel j on. */
static struct packed packed_from(const struct gemm *g, struct packed b, int64_t j)
{
    return (struct packed){b.panel + j * g->words * PANEL_COLS, b.scale + j * PANEL_COLS,
                           b.total + j * PANEL_COLS};
}

/* Whole numbers below 2^24 until all parts are summed up, so nothing was rounded. */
static void scale_totals(float *total, const float *scale, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        total[j] *= scale[j];
}

/* Panel j of B, whole. */
static void pack_panel(const struct gemm *g, const struct pack_source *from, int64_t j,
                       struct packed to)
{
    bool bytes = g->s.precision == PRECISION_INT8;
    struct pack_part p = {
        .col = j * PANEL_COLS, .cols = columns(g, j, j + 1), .scale = to.scale, .total = to.total};

    if (bytes) {
        pack_scales(from, p.scale, p.col, p.cols);
        memset(p.total, 0, PANEL_COLS * sizeof *p.total);
    }
    for (; p.word < g->words; p.word += g->part) {
        p.words = whole_min(g->words - p.word, g->part);
        p.out = to.panel + p.word * PANEL_COLS;
        pack_part(from, &p);
    }
    if (bytes)
        scale_totals(p.total, p.scale, PANEL_COLS);
}

struct pack_job {
    const struct gemm *g;
    struct pack_source from;
    struct packed to;
};

static void pack_task(void *user, int64_t j, int lane)
{
    const struct pack_job *job = user;

    (void)lane;
    pack_panel(job->g, &job->from, j, packed_from(job->g, job->to, j));
}

size_t gemm_packed_bytes(const struct gemm *g)
{
    return packed_bytes(g, g->panels);
}

void gemm_pack(const struct gemm *g, const struct matrix *b, void *packed)
{
    struct pack_job job = {g, pack_source(b, g->s.turned, g->s.precision),
                           packed_at(g, packed, g->panels)};

    tiles_run(g->panels, g->lanes, pack_task, &job);
}

/* --- scratch ------------------------------------------------------------------------------------
 *
 *     rounded rows [rows, words] | their codes [rows] | two chunks | progress [chunks] | lane 0 |
 * ...
 */

struct lane_scratch {
    panel_word edge[TILE * PANEL_COLS]; /* the product of a panel that N cuts short */
    float bias[PANEL_COLS];             /* and its bias                             */
    float scale[PACK_COLS], total[PACK_COLS];
    panel_word part[PACK_WORDS * PACK_COLS]; /* [panels, words, 64] */
};

/* Of one chunk: panels that are packed, tasks that are done. */
struct progress {
    _Atomic int64_t packed, done;
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

static size_t chunk_bytes(const struct gemm *g)
{
    return g->way == GEMM_CHUNKS ? whole_lines(packed_bytes(g, g->chunk)) : 0;
}

static size_t progress_bytes(const struct gemm *g)
{
    bool chunks = g->way == GEMM_CHUNKS;

    return chunks ? whole_lines((size_t)g->chunks * sizeof(struct progress)) : 0;
}

/* Who packs no parts needs no room for one. */
static size_t lane_bytes(const struct gemm *g)
{
    return whole_lines(g->way == GEMM_PARTS ? sizeof(struct lane_scratch)
                                            : offsetof(struct lane_scratch, part));
}

size_t gemm_scratch_bytes(const struct gemm *g, int threads)
{
    return rounded_bytes(g) + codes_bytes(g) + 2 * chunk_bytes(g) + progress_bytes(g) +
           lane_bytes(g) * (size_t)threads;
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
    struct packed held, chunk[2];
    struct progress *progress;
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

/* The bias of a panel that N cuts short. */
static void edge_bias(const struct run_job *job, struct lane_scratch *mine)
{
    int64_t cols = job->g->s.N % PANEL_COLS;

    if (!job->bias || !cols)
        return;
    memset(mine->bias, 0, sizeof mine->bias);
    memcpy(mine->bias, job->bias + job->g->s.N - cols, (size_t)cols * sizeof(float));
}

static struct lane_scratch *scratch_of(const struct run_job *job, int lane)
{
    void *memory = job->lanes + (size_t)lane * lane_bytes(job->g);

    edge_bias(job, memory);
    return memory;
}

/* --- whole panels -------------------------------------------------------------------------------
 */

/* Panels [first, last), b being the first of them, meet a tile of rows: a few at a time, part after
 * part of the sum, so that a part of the rows is read from the second-level cache by all of them.
 */
static void run_panels(const struct run_job *job, struct lane_scratch *mine, int64_t tile,
                       int64_t first, int64_t last, struct packed b)
{
    const struct gemm *g = job->g;

    for (; first < last; first += GROUP, b = packed_from(g, b, GROUP)) {
        struct block t = block_of(g, tile, first, whole_min(first + GROUP, last));

        for (int64_t w = 0; w < g->words; w += g->part)
            for (int64_t j = t.first; j < t.last; j++)
                run_panel(job, mine, &t, w, j,
                          b.panel + ((j - t.first) * g->words + w) * PANEL_COLS);
        finish_block(job, &t, b.scale, b.total);
    }
}

static void held_task(void *user, int64_t task, int lane)
{
    const struct run_job *job = user;
    const struct gemm *g = job->g;
    int64_t first = task / g->tiles * g->chunk;

    run_panels(job, scratch_of(job, lane), task % g->tiles, first,
               whole_min(first + g->chunk, g->panels), packed_from(g, job->held, first));
}

/* Waiting is for tasks that are under way on another thread, and rare. */
static void wait_for(_Atomic int64_t *count, int64_t n)
{
    while (atomic_load(count) < n)
        sched_yield();
}

static int64_t panels_of(const struct gemm *g, int64_t chunk)
{
    return whole_min(g->panels - chunk * g->chunk, g->chunk);
}

/* Panel i of a chunk, into the place that the chunk before the last had. */
static void chunk_pack(const struct run_job *job, int64_t chunk, int64_t i)
{
    const struct gemm *g = job->g;

    if (chunk >= g->chunks || i >= panels_of(g, chunk))
        return;
    if (chunk >= 2)
        wait_for(&job->progress[chunk - 2].done, g->tiles);
    pack_panel(g, &job->from, chunk * g->chunk + i, packed_from(g, job->chunk[chunk % 2], i));
    atomic_fetch_add(&job->progress[chunk].packed, 1);
}

static void chunk_meet(const struct run_job *job, struct lane_scratch *mine, int64_t chunk,
                       int64_t tile)
{
    const struct gemm *g = job->g;
    int64_t first = chunk * g->chunk;

    wait_for(&job->progress[chunk].packed, panels_of(g, chunk));
    run_panels(job, mine, tile, first, first + panels_of(g, chunk), job->chunk[chunk % 2]);
    atomic_fetch_add(&job->progress[chunk].done, 1);
}

/* In the order of the essay: g->chunk tasks pack the first chunk; then for each one its tiles, and
 * before the last of them as many tasks that pack the next. */
static void chunk_task(void *user, int64_t task, int lane)
{
    const struct run_job *job = user;
    const struct gemm *g = job->g;
    int64_t each = g->tiles + g->chunk, early = whole_max(g->tiles - LATE * g->lanes, 0);
    int64_t chunk = (task - g->chunk) / each, i = (task - g->chunk) % each;

    if (task < g->chunk)
        chunk_pack(job, 0, task);
    else if (i >= early && i < early + g->chunk)
        chunk_pack(job, chunk + 1, i - early);
    else
        chunk_meet(job, scratch_of(job, lane), chunk, i < early ? i : i - g->chunk);
}

/* --- parts of panels ----------------------------------------------------------------------------
 */

/* Panels [first, last) are packed part by part, and each part meets all rows.  more: those behind
 * them are next. */
static void run_parts(const struct run_job *job, struct lane_scratch *mine, int64_t first,
                      int64_t last, bool more)
{
    const struct gemm *g = job->g;
    bool bytes = g->s.precision == PRECISION_INT8;
    struct pack_part p = {.col = first * PANEL_COLS,
                          .cols = columns(g, first, last),
                          .out = mine->part,
                          .scale = mine->scale,
                          .total = mine->total,
                          .neighbour = more && one_by_one(g)};

    if (bytes) {
        pack_scales(&job->from, mine->scale, p.col, p.cols);
        memset(mine->total, 0, sizeof mine->total);
    }
    for (; p.word < g->words; p.word += g->part) {
        bool ends = p.word + g->part >= g->words;

        p.words = whole_min(g->words - p.word, g->part);
        p.step = p.words * PANEL_COLS;
        pack_part(&job->from, &p);
        if (bytes && ends)
            scale_totals(mine->total, mine->scale, p.cols);
        for (int64_t i = 0; i < g->tiles; i++) {
            struct block t = block_of(g, i, first, last);

            for (int64_t j = first; j < last; j++)
                run_panel(job, mine, &t, p.word, j, mine->part + (j - first) * p.step);
            if (ends)
                finish_block(job, &t, mine->scale, mine->total);
        }
    }
}

static void parts_task(void *user, int64_t task, int lane)
{
    const struct run_job *job = user;
    const struct gemm *g = job->g;
    struct lane_scratch *mine = scratch_of(job, lane);
    int64_t first = task * g->chunk, last = whole_min(first + g->chunk, g->panels);
    int64_t group = one_by_one(g) ? 1 : GROUP;

    for (; first < last; first += group)
        run_parts(job, mine, first, whole_min(first + group, last), first + group < last);
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static void run_tasks(const struct gemm *g, struct run_job *job)
{
    if (g->way == GEMM_HELD)
        tiles_run(g->chunks * g->tiles, g->lanes, held_task, job);
    else if (g->way == GEMM_CHUNKS)
        tiles_run(g->chunk + g->chunks * (g->tiles + g->chunk), g->lanes, chunk_task, job);
    else
        tiles_run(g->chunks, g->lanes, parts_task, job);
}

void gemm_run(const struct gemm *g, const float *x, const struct matrix *b, const void *packed,
              const float *bias, float *y, void *scratch, gemm_finish *finish, const void *user)
{
    unsigned char *codes = (unsigned char *)scratch + rounded_bytes(g);
    unsigned char *chunks = codes + codes_bytes(g), *progress = chunks + 2 * chunk_bytes(g);
    struct run_job job = {
        .g = g,
        .engine = panel_engine(g->s.precision),
        .rows = x,
        .x = (panel_word *)(uintptr_t)x, /* float32: read where they lie */
        .code = (struct byte_row *)(void *)codes,
        .held = packed_at(g, packed, g->panels),
        .chunk = {packed_at(g, chunks, g->chunk), packed_at(g, chunks + chunk_bytes(g), g->chunk)},
        .progress = (struct progress *)(void *)progress,
        .bias = bias,
        .y = y,
        .lanes = progress + progress_bytes(g),
        .finish = finish,
        .user = user,
    };

    MUST((g->way == GEMM_HELD) == (packed != NULL), "weights are held, or packed on the way");
    if (!packed)
        job.from = pack_source(b, g->s.turned, g->s.precision);
    memset(progress, 0, progress_bytes(g));
    if (g->s.precision != PRECISION_FLOAT32) {
        job.x = (panel_word *)scratch;
        tiles_run(g->tiles, g->lanes, round_tile, &job);
    }
    run_tasks(g, &job);
}
