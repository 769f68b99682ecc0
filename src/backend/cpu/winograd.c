/*
 * winograd.c - a 3 x 3 convolution as sixteen or twenty-five matrix products
 *
 * Once tiles and weights are transformed (winograd_transform.h), place v of all tiles is a matrix
 * [tiles, I], place u of the weights one of [I, O], and the convolution is a sum of their products:
 * for stride 1 sixteen products instead of nine of four times as many rows.
 *
 *       x ---> V [places] [tiles, I] --.                          A task takes a block of tiles and
 *                                      x ---> M [places] ---> y   some panels of 64 outputs.  V and
 * M weights ---> U [16] [I, 64] -----'     [tiles, 64]          of a block stay in the second-level
 *                                                                 cache; U of a panel passes by,
 * from the third.
 *
 * A block is as large as V and M allow, since U comes again for each; where there are too few tiles
 * for all threads, they share the panels, and each transforms all tiles.  Neither changes a bit: an
 * element of M is one chain along the inputs, cut into parts that follow from I alone (panel.h).
 *
 * With bf16, V and U are rounded once they are transformed, which takes and makes float32; M and
 * everything after stays float32.  The transforms have no large factors, so that a place is rounded
 * to its own size.
 *
 * The direct form (bands.c) remains for other strides and kernels and for few channels, where the
 * transforms, which are linear in the channels, cost more than the products that they save.
 */
#include "backend/cpu/winograd.h"

#include "backend/cpu/pack.h"
#include "backend/cpu/panel.h"
#include "backend/cpu/tiles.h"
#include "backend/cpu/winograd_tiles.h"
#include "backend/cpu/winograd_transform.h"
#include "backend/cpu/words.h"
#include "base/whole.h"

#include <string.h>

enum {
    VECTOR = 16,             /* channels that fill a vector                              */
    CHANNELS = 48,           /* that repay the transforms, at least                      */
    PART = 256,              /* words of a part of the sum, at most                      */
    BLOCK_BYTES = 600 << 10, /* of V and M of a block, about                             */
    BLOCK_MIN = 24,          /* tiles                                                    */
    BLOCK_MAX = 96,
    ROWS = 6,   /* that a product takes together                            */
    TURN = 64,  /* inputs that are turned round together when weights are packed */
    AHEAD = 4,  /* tiles */
    LINE = 16,  /* floats                                                   */
    SLICE = 64, /* channels that are rounded together */
    TURNED = TURN * PANEL_COLS,
};

bool winograd_suits(const struct dnn_conv *s)
{
    return s->kh == 3 && s->kw == 3 && s->stride <= 2 && s->I % VECTOR == 0 && s->O % VECTOR == 0 &&
           s->I >= CHANNELS && s->O >= CHANNELS;
}

/* Tiles in blocks, and panels in groups where there are fewer blocks than threads. */
static void divide(struct winograd *w)
{
    const struct winograd_grid *g = &w->grid;
    int64_t tile = winograd_v(g->form) * w->words + winograd_m(g->form) * PANEL_COLS;
    int64_t room = BLOCK_BYTES / (tile * (int64_t)sizeof(float));

    w->blocks = whole_parts(g->tiles, whole_clamp(room / ROWS * ROWS, BLOCK_MIN, BLOCK_MAX));
    w->groups = 1;
    if (g->tiles >= BLOCK_MIN * w->lanes)
        w->blocks = whole_parts(w->blocks, w->lanes) * w->lanes;
    else if (w->blocks)
        w->groups = whole_clamp(whole_parts(w->lanes, w->blocks), 1, w->panels);
    w->block = w->blocks ? whole_parts(g->tiles, w->blocks) : 0;
}

void winograd_init(struct winograd *w, const struct dnn_conv *s, bool transposed,
                   enum precision precision)
{
    int64_t filter = s->kh * s->kw * s->I;

    MUST(winograd_suits(s), "%d x %d of stride %d, %d to %d channels", (int)s->kh, (int)s->kw,
         (int)s->stride, (int)s->I, (int)s->O);
    *w = (struct winograd){
        .grid = winograd_grid_of(s, transposed),
        .step = {transposed ? 1 : filter, transposed ? filter : 1},
        .tap = s->I,
        .lanes = tiles_lanes(),
    };
    w->precision = precision;
    w->words = panel_words(precision, w->grid.I);
    w->panels = whole_parts(w->grid.O, PANEL_COLS);
    divide(w);
}

/* --- weights: [panels][16][words of I][64] ------------------------------------------------------
 */

static int64_t place_words(const struct winograd *w)
{
    return w->words * PANEL_COLS;
}

size_t winograd_packed_bytes(const struct winograd *w)
{
    return (size_t)(w->panels * WINOGRAD_U * place_words(w)) * sizeof(panel_word);
}

struct pack_job {
    const struct winograd *w;
    const float *weights; /* tap (0, 0) as it is used */
    int64_t ky, kx;       /* from tap to tap, negative when they are turned */
    panel_word *packed;
    float *scratch;
};

/* Zeros after the columns of a panel that O cuts short. */
static void clear_rest(const struct winograd *w, panel_word *out, int64_t rows, int64_t cols)
{
    for (int64_t p = 0; p < WINOGRAD_U && cols < PANEL_COLS; p++)
        for (int64_t k = 0; k < rows; k++)
            memset(out + p * place_words(w) + k * PANEL_COLS + cols, 0,
                   (size_t)(PANEL_COLS - cols) * sizeof *out);
}

/* Inputs [i, i + n) of a panel whose outputs lie side by side: transformed in their place, or first
 * elsewhere and then rounded. */
static void pack_along(const struct pack_job *job, int64_t panel, int64_t i, int64_t n,
                       panel_word *out, float *places)
{
    const struct winograd *w = job->w;
    bool rounded = w->precision != PRECISION_FLOAT32;
    int64_t col = panel * PANEL_COLS, cols = whole_clamp(w->grid.O - col, 0, PANEL_COLS);
    int64_t step = rounded ? TURNED : place_words(w);
    float *to = rounded ? places : (float *)out;

    for (int64_t k = 0; k < n; k++)
        w->grid.form->from_w(to + k * PANEL_COLS, step, job->weights + (i + k) * w->step[1] + col,
                             job->ky, job->kx, cols);
    if (!rounded)
        clear_rest(w, out, n, cols);
    for (int64_t p = 0; p < WINOGRAD_U && rounded; p++)
        words_panels(w->precision, out + p * place_words(w), places + p * TURNED, PANEL_COLS, n,
                     cols);
}

/* n inputs of `cols` outputs, TURN floats apart. */
static void turn_place(const struct winograd *w, panel_word *out, const float *place, int64_t cols,
                       int64_t n)
{
    const struct matrix lying = {.type = MATRIX_F32,
                                 .rows = cols,
                                 .cols = n,
                                 .bytes = place,
                                 .row_bytes = TURN * sizeof *place};
    const struct pack_source source = pack_source(&lying, true, w->precision);

    pack_part(&source,
              &(struct pack_part){.words = panel_words(w->precision, n), .cols = cols, .out = out});
}

/* The same of a panel whose inputs lie side by side: turned round, too. */
static void pack_across(const struct pack_job *job, int64_t panel, int64_t i, int64_t n,
                        panel_word *out, float *places)
{
    const struct winograd *w = job->w;
    int64_t col = panel * PANEL_COLS, cols = whole_clamp(w->grid.O - col, 0, PANEL_COLS);

    for (int64_t o = 0; o < cols; o++)
        w->grid.form->from_w(places + o * TURN, TURNED, job->weights + (col + o) * w->step[0] + i,
                             job->ky, job->kx, n);
    for (int64_t p = 0; p < WINOGRAD_U; p++)
        turn_place(w, out + p * place_words(w), places + p * TURNED, cols, n);
}

static void pack_task(void *user, int64_t task, int lane)
{
    const struct pack_job *job = user;
    const struct winograd *w = job->w;
    int64_t panel = task % w->panels, i = task / w->panels * TURN;
    int64_t n = whole_clamp(w->grid.I - i, 0, TURN);
    panel_word *out = job->packed + panel * WINOGRAD_U * place_words(w) +
                      i / panel_numbers(w->precision) * PANEL_COLS;
    float *places = job->scratch + lane * WINOGRAD_U * TURNED;

    if (w->step[0] == 1)
        pack_along(job, panel, i, n, out, places);
    else
        pack_across(job, panel, i, n, out, places);
}

/* Moves *weights to the tap that comes first along a side, and returns the way to the next. */
static int64_t turn(const float **weights, const struct winograd_side *side, int64_t step)
{
    if (!side->turned)
        return step;
    *weights += 2 * step;
    return -step;
}

void winograd_pack(const struct winograd *w, const float *weights, void *packed, void *scratch)
{
    struct pack_job job = {.w = w, .weights = weights, .packed = packed, .scratch = scratch};

    job.ky = turn(&job.weights, &w->grid.down, 3 * w->tap);
    job.kx = turn(&job.weights, &w->grid.across, w->tap);
    tiles_run(w->panels * whole_parts(w->grid.I, TURN), w->lanes, pack_task, &job);
}

/* --- running ------------------------------------------------------------------------------------
 *
 * A lane's scratch: V [places][block, words of I] | M [places][block, 64] | zeros | a place to
 * write what falls outside | some channels of a tile before they are rounded.  A line between
 * places keeps them out of each other's cache sets.
 */

static int64_t v_step(const struct winograd *w)
{
    return w->block * w->words + LINE;
}

static int64_t m_step(const struct winograd *w)
{
    return w->block * PANEL_COLS + LINE;
}

static int64_t most_channels(const struct winograd *w)
{
    int64_t I = w->grid.I, O = w->panels * PANEL_COLS;

    return I > O ? I : O;
}

static int64_t lane_floats(const struct winograd *w)
{
    int64_t places = winograd_v(w->grid.form) * v_step(w) + winograd_m(w->grid.form) * m_step(w);
    int64_t run = places + most_channels(w) + PANEL_COLS + WINOGRAD_PIXELS * SLICE;
    int64_t pack = (int64_t)WINOGRAD_U * TURNED;

    return run > pack ? run : pack;
}

size_t winograd_scratch_bytes(const struct winograd *w, int threads)
{
    return (size_t)(lane_floats(w) * threads) * sizeof(float);
}

struct run_job {
    const struct winograd *w;
    const struct panel_engine *engine;
    const float *x;
    const panel_word *packed;
    const float *bias;
    float *y, *scratch;
};

struct lane_scratch {
    panel_word *v;
    float *m, *zeros, *spare, *slice;
};

static struct lane_scratch scratch_of(const struct run_job *job, int lane)
{
    const struct winograd *w = job->w;
    float *memory = job->scratch + lane * lane_floats(w);
    struct lane_scratch s = {.v = (panel_word *)memory};

    s.m = memory + winograd_v(w->grid.form) * v_step(w);
    s.zeros = s.m + winograd_m(w->grid.form) * m_step(w);
    s.spare = s.zeros + most_channels(w);
    s.slice = s.spare + PANEL_COLS;
    memset(s.zeros, 0, (size_t)most_channels(w) * sizeof(float));
    return s;
}

/* A tile to V in bf16: some channels in all places, then place by place. */
static void transform_rounded(const struct winograd *w, const struct lane_scratch *mine,
                              const float *const *pixel, panel_word *v)
{
    const struct winograd_form *f = w->grid.form;
    const float *part[WINOGRAD_PIXELS];

    for (int64_t i = 0; i < w->grid.I; i += SLICE) {
        int64_t n = whole_clamp(w->grid.I - i, 0, SLICE);

        for (int k = 0; k < f->in * f->in; k++)
            part[k] = pixel[k] + i;
        f->from_x(mine->slice, SLICE, part, n);
        for (int64_t p = 0; p < winograd_v(f); p++)
            words_bf16(v + p * v_step(w) + i / 2, mine->slice + p * SLICE, n);
    }
}

/* Tiles [first, first + n) to V. */
static void transform(const struct run_job *job, const struct lane_scratch *mine, int64_t first,
                      int64_t n)
{
    const struct winograd *w = job->w;
    const float *pixel[WINOGRAD_PIXELS];

    for (int64_t t = 0; t < n; t++) {
        panel_word *v = mine->v + t * w->words;

        winograd_fetch_under(&w->grid, first + t + AHEAD, job->x);
        winograd_under(&w->grid, first + t, job->x, mine->zeros, pixel);
        if (w->precision == PRECISION_BF16)
            transform_rounded(w, mine, pixel, v);
        else
            w->grid.form->from_x((float *)v, v_step(w), pixel, w->grid.I);
    }
}

/* Adds place v of n tiles times place u of a panel to place m; `fresh`: m holds nothing yet. */
static void multiply(const struct run_job *job, const struct lane_scratch *mine, int64_t v,
                     const panel_word *u, int64_t m, bool fresh, int64_t n)
{
    const struct winograd *w = job->w;
    int64_t words = w->words, part = whole_parts(words, whole_parts(words, PART));
    struct panel_product product = {
        .c = (panel_word *)mine->m + m * m_step(w),
        .c_row = PANEL_COLS,
        .d_row = PANEL_COLS,
        .a_row = words,
        .a_word = 1,
        .b_word = PANEL_COLS,
        .m = n,
    };

    for (int64_t i = 0; i < words; i += part) {
        product.a = mine->v + v * v_step(w) + i;
        product.b = u + i * PANEL_COLS;
        product.d = i || !fresh ? product.c : NULL;
        product.words = whole_clamp(words - i, 0, part);
        job->engine->mul(&product);
    }
}

/* V to M, n tiles of a panel. */
static void multiply_all(const struct run_job *job, const struct lane_scratch *mine, int64_t n,
                         int64_t panel)
{
    const struct winograd *w = job->w;
    const struct winograd_form *f = w->grid.form;
    const panel_word *packed = job->packed + panel * WINOGRAD_U * place_words(w);

    for (int a = 0; a < f->products; a++)
        for (int b = 0; b < f->products; b++) {
            const struct winograd_product *p = &f->product[a], *q = &f->product[b];
            const panel_word *u = packed + (p->u * WINOGRAD_U_SIDE + q->u) * place_words(w);

            multiply(job, mine, p->v * f->v + q->v, u, p->m * f->m + q->m, p->new_m && q->new_m, n);
        }
}

/* M to the outputs of a panel. */
static void gather(const struct run_job *job, const struct lane_scratch *mine, int64_t first,
                   int64_t n, int64_t panel)
{
    const struct winograd *w = job->w;
    const struct winograd_form *f = w->grid.form;
    int64_t col = panel * PANEL_COLS, cols = whole_clamp(w->grid.O - col, 0, PANEL_COLS);
    const float *bias = job->bias ? job->bias + col : mine->zeros;
    int64_t at[WINOGRAD_RESULTS];

    for (int64_t t = 0; t < n; t++) {
        float *pixel[WINOGRAD_RESULTS];

        winograd_in(&w->grid, first + t, at);
        for (int k = 0; k < f->out * f->out; k++)
            pixel[k] = at[k] < 0 ? mine->spare : job->y + at[k] + col;
        f->to_y(pixel, mine->m + t * PANEL_COLS, m_step(w), bias, cols);
    }
}

static void run_task(void *user, int64_t task, int lane)
{
    const struct run_job *job = user;
    const struct winograd *w = job->w;
    int64_t first = task % w->blocks * w->block,
            n = whole_clamp(w->grid.tiles - first, 0, w->block);
    int64_t group = task / w->blocks;
    struct lane_scratch mine = scratch_of(job, lane);

    transform(job, &mine, first, n);
    for (int64_t j = w->panels * group / w->groups; j < w->panels * (group + 1) / w->groups; j++) {
        multiply_all(job, &mine, n, j);
        gather(job, &mine, first, n, j);
    }
}

void winograd_run(const struct winograd *w, const float *x, const void *packed, float *y,
                  const float *bias, void *scratch)
{
    struct run_job job = {w, panel_engine(w->precision), x, packed, bias, y, scratch};

    tiles_run(w->blocks * w->groups, w->lanes, run_task, &job);
}
