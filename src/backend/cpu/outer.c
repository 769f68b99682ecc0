/*
 * outer.c - a sum of outer products of rows: the gradient of a linear layer's weights
 *
 * The sum runs over all rows of a batch, thousands, and its result is small.  Cutting the sum among
 * threads would leave copies of the result to add up, so the result is cut: a task is one tile of C
 * and walks over all rows, a few hundred at a time.  Their columns of A are copied to where the
 * inner loop finds them without gaps; B is read where it lies, but for numbers that are rounded
 * and for the panel that I cuts short.
 *
 *            wide       Each row of A is copied I / wide times, so tiles should be large, as large
 *          +------+-    as the second-level cache holds with the rows that meet there; but there
 *     high |      |     should be some for each thread, so that one that is delayed holds nobody
 *          +------+-    up.  The cut may follow the number of threads: an element's bits do not
 *          |      |     depend on it (panel.h), only on the parts that the rows are cut into.
 *
 * Partial sums of a part join the total once a part, which also keeps more digits than one long
 * chain.  The sums of A's columns are taken by the first tiles from the left, in double
 * (columns.h), while they copy them: read once more, they cost 3 to 9 % of a narrow layer's time.
 */
#include "backend/cpu/outer.h"

#include "backend/cpu/columns.h"
#include "backend/cpu/panel.h"
#include "backend/cpu/tiles.h"
#include "backend/cpu/words.h"
#include "base/whole.h"

#include <string.h>

enum {
    PART = 256,     /* words of a part of the sum          */
    HIGH_MAX = 384, /* multiples of 6 and of 64            */
    HIGH_MIN = 48,
    WIDE_MAX = 384,
    WIDE_MIN = 192,
    SHARE = 2, /* tiles wanted for each thread             */
    LINE = 64, /* bytes                                    */
    LINE_WORDS = 16,
};

void outer_init(struct outer *s, int64_t rows, int64_t O, int64_t I, enum precision precision)
{
    int64_t high = HIGH_MAX, wide = WIDE_MAX;

    MUST(rows >= 0 && O > 0 && I > 0 && precision != PRECISION_INT8, "%d rows, %d x %d", (int)rows,
         (int)O, (int)I);
    *s = (struct outer){.rows = rows, .O = O, .I = I, .precision = precision};
    s->lanes = tiles_lanes();
    s->seven = precision == PRECISION_FLOAT32 && strassen_suits(rows, O, I);
    if (s->seven) {
        strassen_init(&s->halved, rows, O, I);
        return;
    }
    for (;;) {
        s->high = whole_even(O, high, 6);
        s->wide = whole_even(I, wide, PANEL_COLS);
        s->down = whole_parts(O, s->high);
        s->across = whole_parts(I, s->wide);
        if (s->down * s->across >= SHARE * s->lanes || (high == HIGH_MIN && wide == WIDE_MIN))
            return;
        /* Lower tiles first: narrower ones copy A more often. */
        if (high > HIGH_MIN && (4 * high > wide || wide == WIDE_MIN))
            high /= 2;
        else
            wide /= 2;
    }
}

/* --- a tile -------------------------------------------------------------------------------------
 */

/* A lane's scratch: a part of A [words, high] | a part of B, panel by panel [words, 64] | the
 * tile's product with a panel that I cuts short [high, 64]. */
struct lane_scratch {
    panel_word *a, *b, *edge;
};

/* Words from row to row of the part of A: an odd number of cache lines, so that a column of it does
 * not fall into a few sets of the first-level cache. */
static int64_t a_step(const struct outer *s)
{
    return (whole_parts(s->high, LINE_WORDS) | 1) * LINE_WORDS;
}

static size_t a_words(const struct outer *s)
{
    return (size_t)(PART * a_step(s));
}

static size_t b_words(const struct outer *s)
{
    return (size_t)(PART * s->wide);
}

static size_t lane_bytes(const struct outer *s)
{
    size_t words = a_words(s) + b_words(s) + (size_t)(s->high * PANEL_COLS);

    return (words * sizeof(panel_word) + LINE - 1) / LINE * LINE;
}

size_t outer_scratch_bytes(const struct outer *s, int threads)
{
    return s->seven ? strassen_scratch_bytes(&s->halved, threads) : lane_bytes(s) * (size_t)threads;
}

/* Rows [o, o + high) and columns [i, i + wide) of C. */
struct tile {
    int64_t o, high, i, wide;
};

struct job {
    const struct outer *s;
    const struct panel_engine *engine;
    const float *a, *b;
    float *c, *sums;
    unsigned char *scratch;
};

/* Rows [first, last) of a tile's columns of A, and of B what cannot be read where it lies: all of
 * it when it must be rounded, else the panel that I cuts short.  total: the columns' sums so far,
 * or NULL. */
static void copy_part(const struct job *job, const struct lane_scratch *mine, int64_t first,
                      int64_t last, const struct tile *t, double *total)
{
    const struct outer *s = job->s;
    bool plain = s->precision == PRECISION_FLOAT32;
    int64_t from = plain ? t->wide / PANEL_COLS * PANEL_COLS : 0;
    const float *a = job->a + first * s->O + t->o, *b = job->b + first * s->I + t->i + from;

    if (total && plain)
        columns_copy((float *)mine->a, a_step(s), total, a, s->O, last - first, t->high);
    else
        words_down(s->precision, mine->a, a_step(s), a, s->O, last - first, t->high);
    if (total && !plain)
        columns_sum(total, a, s->O, last - first, t->high);
    if (from < t->wide)
        words_panels(s->precision, mine->b, b, s->I, last - first, t->wide - from);
}

/* c += the product of rows [first, last), or c = where they are the first. */
static void add_part(const struct job *job, const struct lane_scratch *mine, int64_t first,
                     int64_t last, const struct tile *t)
{
    const struct outer *s = job->s;
    bool plain = s->precision == PRECISION_FLOAT32;
    struct panel_product p = {
        .a = mine->a,
        .a_row = 1,
        .a_word = a_step(s),
        .m = t->high,
        .words = panel_words(s->precision, last - first),
    };

    for (int64_t j = 0; j < t->wide; j += PANEL_COLS) {
        bool whole = t->wide - j >= PANEL_COLS;

        p.c = whole ? (panel_word *)(job->c + t->o * s->I + t->i + j) : mine->edge;
        p.c_row = whole ? s->I : PANEL_COLS;
        p.d = first ? p.c : NULL;
        p.d_row = p.c_row;
        p.b = plain && whole ? (const panel_word *)(job->b + first * s->I + t->i + j)
                             : mine->b + (plain ? 0 : p.words * j);
        p.b_word = plain && whole ? s->I : PANEL_COLS;
        job->engine->mul(&p);
    }
}

static void store_edge(const struct job *job, const struct lane_scratch *mine, const struct tile *t)
{
    const struct outer *s = job->s;
    int64_t cols = t->wide % PANEL_COLS, at = t->i + t->wide - cols;

    for (int64_t r = 0; r < t->high && cols; r++)
        memcpy(job->c + (t->o + r) * s->I + at, mine->edge + r * PANEL_COLS,
               (size_t)cols * sizeof(float));
}

static void run_tile(void *user, int64_t task, int lane)
{
    const struct job *job = user;
    const struct outer *s = job->s;
    struct tile t = {.o = task / s->across * s->high, .i = task % s->across * s->wide};
    int64_t step = PART * panel_numbers(s->precision);
    void *memory = job->scratch + (size_t)lane * lane_bytes(s);
    struct lane_scratch mine = {.a = memory};
    double total[HIGH_MAX] = {0};
    bool sums = job->sums && t.i == 0;

    t.high = whole_min(s->O - t.o, s->high);
    t.wide = whole_min(s->I - t.i, s->wide);
    mine.b = mine.a + a_words(s);
    mine.edge = mine.b + b_words(s);
    for (int64_t r = 0; r < s->rows; r += step) {
        int64_t end = whole_min(r + step, s->rows);

        copy_part(job, &mine, r, end, &t, sums ? total : NULL);
        add_part(job, &mine, r, end, &t);
    }
    store_edge(job, &mine, &t);
    for (int64_t k = 0; k < t.high && sums; k++)
        job->sums[t.o + k] = (float)total[k];
}

void outer_run(const struct outer *s, const float *a, const float *b, float *c, float *sums,
               void *scratch)
{
    struct job job = {s, panel_engine(s->precision), a, b, c, sums, scratch};

    if (s->seven) {
        strassen_run(&s->halved, a, b, c, sums, scratch);
        return;
    }
    if (s->rows) {
        tiles_run(s->down * s->across, s->lanes, run_tile, &job);
        return;
    }
    memset(c, 0, (size_t)(s->O * s->I) * sizeof *c);
    if (sums)
        memset(sums, 0, (size_t)s->O * sizeof *sums);
}
