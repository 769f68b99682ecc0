/*
 * strassen.c - the gradient of a large layer's weights, with seven multiplications for eight
 *
 * The inner loop of outer.c leaves nothing to win, so only fewer multiplications help.  Strassen
 * multiplies two by two blocks with seven products of sums of blocks; 12.5 % of the work is gone,
 * and what must be added to pay for it is little here:
 *
 *       A, 2 p rows      B, 2 p rows      a block of C       M0 = (A00 + A11)^T (B00 + B11)
 *      +-----+-----+    +-----+-----+    +-----+-----+       M1 = (A01 + A11)^T  B00
 *    p | A00 | A01 |    | B00 | B01 |    | C00 | C01 |       M2 =  A00^T        (B01 - B11)
 *      +-----+-----+    +-----+-----+    +-----+-----+       M3 =  A11^T        (B10 - B00)
 *    p | A10 | A11 |    | B10 | B11 |    | C10 | C11 |       M4 = (A00 + A10)^T  B11
 *      +-----+-----+    +-----+-----+    +-----+-----+       M5 = (A01 - A00)^T (B00 + B01)
 *       high  high       wide  wide       wide  wide         M6 = (A10 - A11)^T (B10 + B11)
 *
 *     C00 += M0 + M3 - M4 + M6,  C01 += M2 + M4,  C10 += M1 + M3,  C11 += M0 - M1 + M2 + M5
 *
 * - A's columns are copied by outer.c as well: that loop now reads four numbers and writes seven.
 *   B's loop is new and writes five; B00 and B11 are read where they lie.
 * - The sum runs over thousands of rows, part after part, and M0 .. M6 are kept apart until its
 *   end: the additions behind the products are done once a block, not once a part.
 * - Parts are half as long as outer.c's: a panel of 64 sums of B's columns then fits the
 *   first-level cache while all rows of the block meet it.  Everything else streams, in its order,
 *   and may come from the last level.
 * - The columns of (A01 + A11) and (A00 + A10) summed up are those of A: the bias's gradient.
 *
 * One level only: a second would save as much of products a quarter as large, and cost more digits.
 * Winograd's form, with three additions less, is not faster, and twice as far from double precision
 * as outer.c, where this is 1.5 times as far.
 *
 * Blocks of C are cut by shapes alone, and so is what meets in a sum.  A task is a block, or where
 * those are too few for the threads, some rows of its halves: an element's bits do not depend on
 * that (panel.h).  No more tasks than needed, since each makes all of B's sums.
 *
 * Strassen 1969, "Gaussian elimination is not optimal"; Huang, Smith, Henry and van de Geijn 2016,
 * "Strassen's algorithm reloaded", who add while they pack.
 */
#include "backend/cpu/strassen.h"

#include "backend/cpu/columns.h"
#include "backend/cpu/panel.h"
#include "backend/cpu/tiles.h"
#include "base/error.h"
#include "base/fetch.h"
#include "base/simd.h"
#include "base/whole.h"

#include <string.h>

enum {
    PART = 128,         /* rows of half a part                                 */
    HIGH = 384,         /* columns of A in half a block, a multiple of 6       */
    WIDE = 192,         /* columns of B in half a block, of PANEL_COLS         */
    CUT_MIN = 24,       /* rows of a task, a multiple of 6                     */
    IDLE = 8,           /* tasks for one that a thread lacks in the last round */
    ROWS_MIN = 512,     /* below these, additions cost more than is saved      */
    AREA_MIN = 1 << 17, /* elements of C; likewise                             */
    PRODUCTS = 7,
    SUMS_B = 5,
    AHEAD = 8, /* rows asked for before they are read                 */
};

bool strassen_suits(int64_t rows, int64_t O, int64_t I)
{
    return O % 2 == 0 && I % (2 * PANEL_COLS) == 0 && rows >= ROWS_MIN && O * I >= AREA_MIN;
}

void strassen_init(struct strassen *s, int64_t rows, int64_t O, int64_t I)
{
    MUST(strassen_suits(rows, O, I), "%d rows, %d x %d", (int)rows, (int)O, (int)I);
    *s = (struct strassen){.rows = rows, .O = O, .I = I, .lanes = tiles_lanes()};
    s->high = whole_even(O / 2, HIGH, 6);
    s->wide = whole_even(I / 2, WIDE, PANEL_COLS);
    s->down = whole_parts(O, 2 * s->high);
    s->across = whole_parts(I, 2 * s->wide);
    for (int64_t cut = s->high;; cut /= 2) {
        int64_t tasks, idle;

        s->cut = whole_even(s->high, cut, 6);
        s->cuts = whole_parts(s->high, s->cut);
        tasks = s->down * s->across * s->cuts;
        idle = whole_parts(tasks, s->lanes) * s->lanes - tasks;
        if (idle * IDLE <= tasks || cut < 2 * CUT_MIN)
            return;
    }
}

/* --- a task's memory ----------------------------------------------------------------------------
 *
 *     sums of A [7, PART, a_step] | of B, panel by panel [5, wide / 64, PART, 64] |
 *     products, panel by panel [7, wide / 64, cut, 64]
 */
struct lane_scratch {
    float *a, *b, *m;
};

/* Floats from row to row of a sum of A's columns: an odd number of cache lines, so that a column of
 * it does not fall into a few sets of the first-level cache. */
static int64_t a_step(const struct strassen *s)
{
    return (whole_parts(s->cut, FETCH_LINE) | 1) * FETCH_LINE;
}

static int64_t a_plane(const struct strassen *s)
{
    return PART * a_step(s);
}

static int64_t b_plane(const struct strassen *s)
{
    return PART * s->wide;
}

static int64_t m_plane(const struct strassen *s)
{
    return s->cut * s->wide;
}

static size_t lane_bytes(const struct strassen *s)
{
    int64_t floats = PRODUCTS * (a_plane(s) + m_plane(s)) + SUMS_B * b_plane(s);

    return whole_lines((size_t)floats * sizeof(float));
}

size_t strassen_scratch_bytes(const struct strassen *s, int threads)
{
    return lane_bytes(s) * (size_t)threads;
}

struct job {
    const struct strassen *s;
    const struct panel_engine *engine;
    const float *a, *b;
    float *c, *sums;
    unsigned char *scratch;
};

/* What a task computes: rows [o, o + cut) of C and those `high` below, columns [i, i + wide) and
 * those `wide` to the right. */
struct tile {
    int64_t o, high, cut, i, wide;
};

/* The last blocks of C are smaller, and some of their cuts empty: cut <= 0. */
static struct tile tile_of(const struct strassen *s, int64_t task)
{
    int64_t block = task / s->cuts, from = task % s->cuts * s->cut;
    struct tile t = {.o = block / s->across * 2 * s->high, .i = block % s->across * 2 * s->wide};

    t.high = whole_min((s->O - t.o) / 2, s->high);
    t.wide = whole_min((s->I - t.i) / 2, s->wide);
    t.cut = whole_min(t.high - from, s->cut);
    t.o += from;
    return t;
}

/* --- sums of blocks -----------------------------------------------------------------------------
 */

/* The rows of a part: those of the upper blocks, and of the lower ones, which may be one less. */
struct part {
    int64_t first, upper, lower;
};

/* A row that is not there. */
static const float no_row[HIGH > WIDE ? 2 * HIGH : 2 * WIDE];

/* n columns, from a row of the upper blocks and one of the lower, `right` to the second column of
 * blocks; `plane` from sum to sum, in the order of the products. */
IMGEN_CLONES static void add_row_a(float *out, int64_t plane, const float *x, const float *y,
                                   int64_t right, int64_t n)
{
#pragma omp simd
    for (int64_t k = 0; k < n; k++) {
        float a00 = x[k], a01 = x[right + k], a10 = y[k], a11 = y[right + k];

        out[k] = a00 + a11;
        out[plane + k] = a01 + a11;
        out[2 * plane + k] = a00;
        out[3 * plane + k] = a11;
        out[4 * plane + k] = a00 + a10;
        out[5 * plane + k] = a01 - a00;
        out[6 * plane + k] = a10 - a11;
    }
}

static void add_a(const struct job *job, const struct lane_scratch *mine, struct part p,
                  const struct tile *t)
{
    int64_t row = job->s->O, step = a_step(job->s);
    const float *x = job->a + p.first * row + t->o;

    for (int64_t r = 0; r < p.upper; r++, x += row) {
        const float *y = x + p.upper * row;

        for (int64_t k = 0; k < 2; k++) {
            fetch_floats(x + AHEAD * row + k * t->high, t->cut);
            fetch_floats(y + AHEAD * row + k * t->high, t->cut);
        }
        add_row_a(mine->a + r * step, a_plane(job->s), x, r < p.lower ? y : no_row, t->high,
                  t->cut);
    }
}

/* As above; the order of sums is that of factor_b. */
IMGEN_CLONES static void add_row_b(float *out, int64_t plane, const float *x, const float *y,
                                   int64_t right, int64_t n)
{
    for (int64_t j = 0; j < n; j += PANEL_COLS, out += PART * PANEL_COLS) {
#pragma omp simd
        for (int64_t k = 0; k < PANEL_COLS; k++) {
            float b00 = x[j + k], b01 = x[right + j + k];
            float b10 = y[j + k], b11 = y[right + j + k];

            out[k] = b00 + b11;
            out[plane + k] = b01 - b11;
            out[2 * plane + k] = b10 - b00;
            out[3 * plane + k] = b00 + b01;
            out[4 * plane + k] = b10 + b11;
        }
    }
}

static void add_b(const struct job *job, const struct lane_scratch *mine, struct part p,
                  const struct tile *t)
{
    int64_t row = job->s->I;
    const float *x = job->b + p.first * row + t->i;

    for (int64_t r = 0; r < p.upper; r++, x += row) {
        const float *y = x + p.upper * row;

        fetch_floats(x + AHEAD * row, 2 * t->wide);
        fetch_floats(y + AHEAD * row, 2 * t->wide);
        add_row_b(mine->b + r * PANEL_COLS, b_plane(job->s), x, r < p.lower ? y : no_row, t->wide,
                  t->wide);
    }
}

/* --- products -----------------------------------------------------------------------------------
 */

/* The first panel of product k's factor of B, words of the sum, and the way from row to row and
 * from panel to panel. */
struct factor {
    const float *at;
    int64_t words, row, panel;
};

static struct factor factor_b(const struct job *job, const struct lane_scratch *mine, struct part p,
                              const struct tile *t, int k)
{
    static const int sum[PRODUCTS] = {0, -1, 1, 2, -1, 3, 4};
    int64_t row = job->s->I;
    const float *b00 = job->b + p.first * row + t->i;

    if (sum[k] >= 0)
        return (struct factor){mine->b + sum[k] * b_plane(job->s), p.upper, PANEL_COLS,
                               PART * PANEL_COLS};
    if (k == 1)
        return (struct factor){b00, p.upper, row, PANEL_COLS};
    return (struct factor){b00 + p.upper * row + t->wide, p.lower, row, PANEL_COLS};
}

/* The products of one part join what they were before. */
static void multiply(const struct job *job, const struct lane_scratch *mine, struct part part,
                     const struct tile *t)
{
    const struct strassen *s = job->s;

    for (int k = 0; k < PRODUCTS; k++) {
        struct factor b = factor_b(job, mine, part, t, k);
        struct panel_product p = {
            .c_row = PANEL_COLS,
            .d_row = PANEL_COLS,
            .a = (const panel_word *)(mine->a + k * a_plane(s)),
            .a_row = 1,
            .a_word = a_step(s),
            .b_word = b.row,
            .m = t->cut,
            .words = b.words,
        };

        for (int64_t j = 0; j < t->wide / PANEL_COLS; j++) {
            p.b = (const panel_word *)(b.at + j * b.panel);
            p.c = (panel_word *)(mine->m + k * m_plane(s) + j * s->cut * PANEL_COLS);
            p.d = part.first ? p.c : NULL;
            job->engine->mul(&p);
        }
    }
}

/* A row of a panel of C00 from the products; `down` and `right` to the other blocks. */
IMGEN_CLONES static void combine(float *c, int64_t down, int64_t right, const float *m,
                                 int64_t plane)
{
#pragma omp simd
    for (int64_t k = 0; k < PANEL_COLS; k++) {
        float m0 = m[k], m1 = m[plane + k], m2 = m[2 * plane + k], m3 = m[3 * plane + k];
        float m4 = m[4 * plane + k], m5 = m[5 * plane + k], m6 = m[6 * plane + k];

        c[k] = m0 + m3 - m4 + m6;
        c[right + k] = m2 + m4;
        c[down + k] = m1 + m3;
        c[down + right + k] = m0 - m1 + m2 + m5;
    }
}

static void store(const struct job *job, const struct lane_scratch *mine, const struct tile *t)
{
    const struct strassen *s = job->s;

    for (int64_t r = 0; r < t->cut; r++)
        for (int64_t j = 0; j < t->wide; j += PANEL_COLS)
            combine(job->c + (t->o + r) * s->I + t->i + j, t->high * s->I, t->wide,
                    mine->m + j * s->cut + r * PANEL_COLS, m_plane(s));
}

static void run_task(void *user, int64_t task, int lane)
{
    const struct job *job = user;
    const struct strassen *s = job->s;
    struct tile t = tile_of(s, task);
    void *memory = job->scratch + (size_t)lane * lane_bytes(s);
    struct lane_scratch mine = {.a = memory};
    double left[HIGH] = {0}, right[HIGH] = {0};
    bool sums = job->sums && t.i == 0;

    mine.b = mine.a + PRODUCTS * a_plane(s);
    mine.m = mine.b + SUMS_B * b_plane(s);
    for (int64_t r = 0; r < s->rows && t.cut > 0; r += 2 * PART) {
        int64_t rows = whole_min(s->rows - r, 2 * PART);
        struct part p = {r, whole_parts(rows, 2), rows / 2};

        add_a(job, &mine, p, &t);
        if (sums) {
            columns_sum(left, mine.a + 4 * a_plane(s), a_step(s), p.upper, t.cut);
            columns_sum(right, mine.a + a_plane(s), a_step(s), p.upper, t.cut);
        }
        add_b(job, &mine, p, &t);
        multiply(job, &mine, p, &t);
    }
    store(job, &mine, &t);
    for (int64_t k = 0; k < t.cut && sums; k++) {
        job->sums[t.o + k] = (float)left[k];
        job->sums[t.o + t.high + k] = (float)right[k];
    }
}

void strassen_run(const struct strassen *s, const float *a, const float *b, float *c, float *sums,
                  void *scratch)
{
    struct job job = {s, panel_engine(PRECISION_FLOAT32), a, b, c, sums, scratch};

    tiles_run(s->down * s->across * s->cuts, s->lanes, run_task, &job);
}
