/*
 * pack.c - a part of a stored matrix as panels of words
 *
 * A part is what the second-level cache holds: it is made by the thread that multiplies by it, just
 * before, and written over by the next.  Weights come from memory once, in the type that the file
 * has, and no widened copy of a matrix ever stands there: half the bytes of float32 from a float16
 * file are read, and none written.
 *
 *     W, a row an output            sixteen rows, widened          a panel
 *      +---------------------+       +--------------+        +------------------+
 *      |  | part |           |  -->  | 16 x 256     |  -->   | 16 of 64 columns |
 *      |  |      |           |       +--------------+        |                  |
 *      +---------------------+       first-level cache       +------------------+
 *
 * Rows lie far apart, and no processor foresees so many streams: the same part of the rows sixteen
 * further down is asked for while a row is widened, or, where reading is the work, a stretch of the
 * columns that are packed next, which lie side by side as rows of W: memory is fastest in its
 * order.
 */
#include "backend/cpu/pack.h"

#include "backend/cpu/words.h"
#include "base/error.h"
#include "base/fetch.h"
#include "base/whole.h"

#include <string.h>

enum {
    AHEAD = 8,
    NUMBERS = 4 * PACK_WORDS,
    LINE = 64, /* bytes: vectors that cross from one into the next cost half of the speed */
};

struct pack_source pack_source(const struct matrix *w, bool turned, enum precision p)
{
    return (struct pack_source){w, turned, p, widen_engine(), turn_engine()};
}

/* Memory that will be read soon: `bytes` of it for each row, `step` from row to row. */
struct ahead {
    const char *at;
    int64_t step, bytes;
};

/* Numbers [first, first + n) of rows of W from `row` on; where W has pieces, of the same piece. */
static struct ahead ahead_of(const struct matrix *w, int64_t row, int64_t first, int64_t n)
{
    int64_t before, end = whole_min(first + n, w->cols);

    if (row >= w->rows)
        return (struct ahead){0};
    w = matrix_at(w, &row);
    before = w->row_bytes * first / w->cols;
    return (struct ahead){(const char *)w->bytes + row * w->row_bytes + before, w->row_bytes,
                          w->row_bytes * end / w->cols - before};
}

FETCH_INLINE void fetch_row(const struct ahead *a, int64_t k)
{
    fetch_bytes(a->at + k * a->step, a->bytes);
}

/* --- turned round -------------------------------------------------------------------------------
 */

/* Numbers [first, first + n) of a row as bytes; their sum is added. */
static void fill_bytes(const struct pack_source *s, panel_word *out, int64_t row, int64_t first,
                       int64_t n, float scale, float *total)
{
    const struct matrix *w = matrix_at(s->w, &row);
    _Alignas(LINE) float numbers[NUMBERS];

    if (w->type == MATRIX_I8) {
        memcpy(out, (const char *)w->bytes + row * w->row_bytes + first, (size_t)n);
    } else {
        widen_row(s->widen, numbers, w, row, first, n);
        words_code(out, numbers, scale > 0 ? 1 / scale : 0, n);
    }
    *total += (float)words_sum(out, n);
}

/* `words` words of a row, from `word` on; zeros fill the last. */
static void fill_row(const struct pack_source *s, const struct pack_part *p, panel_word *out,
                     int64_t j)
{
    int64_t each = panel_numbers(s->precision), first = p->word * each;
    int64_t n = whole_min(p->words * each, s->w->cols - first), row = p->col + j;
    _Alignas(LINE) float numbers[NUMBERS];

    if (j >= p->cols) {
        memset(out, 0, (size_t)p->words * sizeof *out);
        return;
    }
    if (s->precision == PRECISION_FLOAT32) {
        widen_row(s->widen, (float *)out, s->w, row, first, n);
        return;
    }
    out[p->words - 1] = 0;
    if (s->precision == PRECISION_INT8) {
        fill_bytes(s, out, row, first, n, p->scale[j], &p->total[j]);
        return;
    }
    widen_row(s->widen, numbers, s->w, row, first, n);
    words_bf16(out, numbers, n);
}

/* What is asked for while row j is widened, and from then on: the same part of the rows sixteen
 * further down; behind the last of them the next part of the first. */
static struct ahead ahead_rows(const struct pack_source *s, const struct pack_part *p, int64_t j)
{
    int64_t each = panel_numbers(s->precision), n = p->words * each, first = p->word * each;

    if (j + TURN_ROWS < p->cols)
        return ahead_of(s->w, p->col + j + TURN_ROWS, first, n);
    return ahead_of(s->w, p->col, first + n, n);
}

/* Or a stretch of the next p->cols rows of W, whose parts of the sum share them out. */
static struct ahead ahead_neighbour(const struct pack_source *s, const struct pack_part *p,
                                    int64_t j)
{
    int64_t each = panel_numbers(s->precision), n = p->words * each;
    struct ahead all = ahead_of(s->w, p->col + p->cols, 0, s->w->cols);
    struct ahead a = ahead_of(s->w, p->col + p->cols, p->word * each, n);

    if (!a.bytes)
        return a;
    return (struct ahead){all.at + p->cols * (a.at - all.at) + j * a.bytes, a.bytes, a.bytes};
}

static void pack_turned(const struct pack_source *s, const struct pack_part *p)
{
    _Alignas(LINE) panel_word in[TURN_ROWS * TURN_STEP];

    for (int64_t j = 0; j < whole_parts(p->cols, PANEL_COLS) * PANEL_COLS; j += TURN_ROWS) {
        struct ahead a = p->neighbour ? ahead_neighbour(s, p, j) : ahead_rows(s, p, j);

        for (int64_t k = 0; k < TURN_ROWS; k++) {
            fetch_row(&a, k);
            fill_row(s, p, in + k * TURN_STEP, j + k);
        }
        s->turn->turn(p->out + j / PANEL_COLS * p->step + j % PANEL_COLS, in, p->words);
    }
}

/* --- as it lies ---------------------------------------------------------------------------------
 */

/* One row of each panel, from the numbers of one or two rows of W. */
static void spread_row(const struct pack_source *s, const struct pack_part *p, panel_word *out,
                       const float rows[2][PACK_COLS])
{
    for (int64_t j = 0; j < p->cols; j += PANEL_COLS, out += p->step)
        if (s->precision == PRECISION_FLOAT32)
            memcpy(out, rows[0] + j, PANEL_COLS * sizeof *out);
        else
            words_pair(out, rows[0] + j, rows[1] + j, PANEL_COLS);
}

static void pack_lying(const struct pack_source *s, const struct pack_part *p)
{
    int64_t each = panel_numbers(s->precision);
    struct ahead a = ahead_of(s->w, p->word * each + AHEAD, p->col, p->cols);
    _Alignas(LINE) float rows[2][PACK_COLS] = {{0}};

    for (int64_t k = 0; k < p->words; k++) {
        for (int64_t i = 0, row = (p->word + k) * each; i < each; i++, row++) {
            fetch_row(&a, k * each + i);
            if (row < s->w->rows)
                widen_row(s->widen, rows[i], s->w, row, p->col, p->cols);
            else
                memset(rows[i], 0, sizeof rows[i]);
        }
        spread_row(s, p, p->out + k * PANEL_COLS, (const float(*)[PACK_COLS])rows);
    }
}

void pack_part(const struct pack_source *s, const struct pack_part *p)
{
    MUST(p->words > 0 && p->words <= PACK_WORDS && p->cols > 0 && p->cols <= PACK_COLS &&
             (s->turned || s->precision != PRECISION_INT8),
         "a part of %d words, %d columns", (int)p->words, (int)p->cols);
    if (s->turned)
        pack_turned(s, p);
    else
        pack_lying(s, p);
}

/* --- bytes --------------------------------------------------------------------------------------
 */

/* The scale of a row that is stored as something else: 127 is its largest number. */
static float scale_for(const struct pack_source *s, int64_t row)
{
    struct ahead a = ahead_of(s->w, row + 1, 0, s->w->cols);
    _Alignas(LINE) float numbers[NUMBERS];
    float most = 0;

    fetch_row(&a, 0);
    for (int64_t first = 0; first < s->w->cols; first += NUMBERS) {
        int64_t n = whole_min(s->w->cols - first, NUMBERS);
        float here;

        widen_row(s->widen, numbers, s->w, row, first, n);
        here = words_most(numbers, n);
        most = here > most || here != here ? here : most;
    }
    return most / 127;
}

void pack_scales(const struct pack_source *s, float *scale, int64_t col, int64_t cols)
{
    for (int64_t j = 0; j < cols; j++) {
        int64_t row = col + j;
        const struct matrix *w = matrix_at(s->w, &row);

        if (w->type != MATRIX_I8)
            scale[j] = scale_for(s, col + j);
        else
            scale[j] = w->scales ? w->scale[w->scales == 1 ? 0 : row] : 1;
    }
    for (int64_t j = cols; j % PANEL_COLS; j++)
        scale[j] = 0;
}
