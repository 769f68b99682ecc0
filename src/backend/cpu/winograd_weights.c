/*
 * winograd_weights.c - the gradient of a 3 x 3 convolution's weights in the transformed places
 *
 * The convolution is linear in its weights through U = G w G^T, so that the gradient by U is, place
 * by place, a sum of outer products over tiles,
 *
 *     dU [u] += Z [m, tile]^T V [v, tile],    Z = A dY A^T,  V = B^T X B,
 *
 * for each triple (v, u, m) of the form, and dW = G^T dU G: for stride 1 sixteen sums over a
 * quarter of the pixels instead of nine over all.
 *
 *     some hundred tiles:   x -> V [places][panels][tiles, 64]   dy -> Z [places][tiles, O]
 *     then place by place, panel by panel:   dU [16][panels][O, 64] += Z^T V
 *
 * Threads share the tiles first and the places and panels after: dU needs no copies, and an
 * element of it is summed by one thread, over the tiles in order, in parts of a fixed length.  So
 * many tiles go together that V and Z fit into the third-level cache and dU is seldom read back.
 *
 * Place (1, 1) of Z is, in both forms, the sum of a tile's pixels; the gradient of the bias is its
 * sum.
 */
#include "backend/cpu/columns.h"
#include "backend/cpu/panel.h"
#include "backend/cpu/tiles.h"
#include "backend/cpu/winograd_tiles.h"
#include "backend/cpu/winograd_transform.h"
#include "base/whole.h"

#include <string.h>

enum {
    TOGETHER_BYTES = 6 << 20, /* of V and Z, about                   */
    TOGETHER_MIN = 256,       /* tiles; a multiple of PART           */
    TOGETHER_MAX = 1024,
    TAPS = 9,
    PART = 256,   /* tiles of a part of the sum              */
    BLOCK = 16,   /* tiles of a task that transforms         */
    OUTPUTS = 16, /* of dW in a task that transforms back    */
    AHEAD = 4,    /* tiles                                   */
    LINE = 16,    /* floats                                  */
};

void winograd_weights_init(struct winograd_weights *w, const struct dnn_conv *s)
{
    int64_t tile;

    *w = (struct winograd_weights){.grid = winograd_grid_of(s, false), .lanes = tiles_lanes()};
    tile = (winograd_v(w->grid.form) * s->I + winograd_m(w->grid.form) * s->O) *
           (int64_t)sizeof(float);
    w->panels = whole_parts(s->I, PANEL_COLS);
    w->together = whole_clamp(TOGETHER_BYTES / tile / PART * PART, TOGETHER_MIN, TOGETHER_MAX);
    w->together = whole_clamp(w->together, 0, w->grid.tiles);
    /* An odd number of lines, so that a column does not fall into a few sets of the cache. */
    w->across = (whole_parts(s->O, LINE) | 1) * LINE;
}

/* --- scratch: V | Z | dU | zeros | sums of dy, in double ----------------------------------------
 */

static int64_t v_panel(const struct winograd_weights *w)
{
    return w->together * PANEL_COLS;
}

static int64_t v_step(const struct winograd_weights *w)
{
    return w->panels * v_panel(w) + LINE;
}

static int64_t z_step(const struct winograd_weights *w)
{
    return w->together * w->across + LINE;
}

static int64_t u_panel(const struct winograd_weights *w)
{
    return w->grid.O * PANEL_COLS;
}

static int64_t u_step(const struct winograd_weights *w)
{
    return w->panels * u_panel(w);
}

static int64_t most_channels(const struct winograd_weights *w)
{
    int64_t I = w->panels * PANEL_COLS;

    return I > w->across ? I : w->across;
}

size_t winograd_weights_scratch_bytes(const struct winograd_weights *w)
{
    const struct winograd_form *f = w->grid.form;
    int64_t floats = winograd_v(f) * v_step(w) + winograd_m(f) * z_step(w) + WINOGRAD_U * u_step(w);

    return (size_t)(floats + most_channels(w)) * sizeof(float) + (size_t)w->across * sizeof(double);
}

struct job {
    const struct winograd_weights *w;
    const struct panel_engine *engine;
    const float *dy, *x;
    float *dw;
    float *v, *z, *u, *zeros;
    double *sums; /* NULL: not wanted */
    int64_t first, n;
};

/* A tile of x to V. */
static void transform_x(const struct job *job, int64_t t)
{
    const struct winograd_weights *w = job->w;
    const struct winograd_form *f = w->grid.form;
    const float *under[WINOGRAD_PIXELS];

    winograd_fetch_under(&w->grid, job->first + t + AHEAD, job->x);
    winograd_under(&w->grid, job->first + t, job->x, job->zeros, under);
    for (int64_t j = 0; j < w->panels; j++) {
        const float *pixel[WINOGRAD_PIXELS];

        for (int k = 0; k < f->in * f->in; k++)
            pixel[k] = under[k] + j * PANEL_COLS;
        f->from_x(job->v + j * v_panel(w) + t * PANEL_COLS, v_step(w), pixel,
                  whole_clamp(w->grid.I - j * PANEL_COLS, 0, PANEL_COLS));
    }
}

/* A tile of dy to Z. */
static void transform_dy(const struct job *job, int64_t t)
{
    const struct winograd_weights *w = job->w;
    const struct winograd_form *f = w->grid.form;
    const float *in[WINOGRAD_RESULTS];
    int64_t at[WINOGRAD_RESULTS];

    winograd_fetch_in(&w->grid, job->first + t + AHEAD, job->dy);
    winograd_in(&w->grid, job->first + t, at);
    for (int k = 0; k < f->out * f->out; k++)
        in[k] = at[k] < 0 ? job->zeros : job->dy + at[k];
    f->from_dy(job->z + t * w->across, z_step(w), in, w->grid.O);
}

static void transform(void *user, int64_t b, int lane)
{
    const struct job *job = user;
    int64_t last = whole_clamp((b + 1) * BLOCK, 0, job->n);

    (void)lane;
    for (int64_t t = b * BLOCK; t < last; t++) {
        transform_x(job, t);
        transform_dy(job, t);
    }
}

/* Adds all tiles' Z [m]^T V [v] to a panel of dU [u]; `fresh`: it holds nothing yet. */
static void sum_product(const struct job *job, int64_t v, panel_word *u, int64_t m, bool fresh,
                        int64_t panel)
{
    const struct winograd_weights *w = job->w;
    struct panel_product product = {
        .c = u,
        .c_row = PANEL_COLS,
        .d_row = PANEL_COLS,
        .a_row = 1,
        .a_word = w->across,
        .b_word = PANEL_COLS,
        .m = w->grid.O,
    };

    for (int64_t t = 0; t < job->n; t += PART) {
        product.a = (const panel_word *)job->z + m * z_step(w) + t * w->across;
        product.b =
            (const panel_word *)job->v + v * v_step(w) + panel * v_panel(w) + t * PANEL_COLS;
        product.d = t || !fresh ? u : NULL;
        product.words = whole_clamp(job->n - t, 0, PART);
        job->engine->mul(&product);
    }
}

/* One place of one panel; the task past the last is the bias. */
static void sum(void *user, int64_t task, int lane)
{
    const struct job *job = user;
    const struct winograd_weights *w = job->w;
    const struct winograd_form *f = w->grid.form;
    int64_t place = task / w->panels, j = task % w->panels;
    panel_word *u = (panel_word *)job->u + place * u_step(w) + j * u_panel(w);

    (void)lane;
    if (place == WINOGRAD_U) {
        columns_sum(job->sums, job->z + (f->m + 1) * z_step(w), w->across, job->n, w->grid.O);
        return;
    }
    for (int a = 0; a < f->products; a++)
        for (int b = 0; b < f->products; b++) {
            const struct winograd_product *p = &f->product[a], *q = &f->product[b];

            if (p->u * WINOGRAD_U_SIDE + q->u == place)
                sum_product(job, p->v * f->v + q->v, u, p->m * f->m + q->m,
                            !job->first && p->new_u && q->new_u, j);
        }
}

/* dU to dW, some outputs. */
static void back(void *user, int64_t task, int lane)
{
    const struct job *job = user;
    const struct winograd_weights *w = job->w;
    int64_t I = w->grid.I, last = whole_clamp((task + 1) * OUTPUTS, 0, w->grid.O);

    (void)lane;
    for (int64_t o = task * OUTPUTS; o < last; o++)
        for (int64_t j = 0; j < w->panels; j++)
            w->grid.form->to_dw(job->dw + o * TAPS * I + j * PANEL_COLS, I,
                                job->u + j * u_panel(w) + o * PANEL_COLS, u_step(w),
                                whole_clamp(I - j * PANEL_COLS, 0, PANEL_COLS));
}

static void run(struct job *job)
{
    const struct winograd_weights *w = job->w;
    int64_t tiles = w->grid.tiles;

    for (job->first = 0; job->first < tiles; job->first += job->n) {
        job->n = whole_clamp(tiles - job->first, 0, w->together);
        tiles_run(whole_parts(job->n, BLOCK), w->lanes, transform, job);
        tiles_run(WINOGRAD_U * w->panels + (job->sums != NULL), w->lanes, sum, job);
    }
    tiles_run(whole_parts(w->grid.O, OUTPUTS), w->lanes, back, job);
}

void winograd_weights_run(const struct winograd_weights *w, const float *dy, const float *x,
                          float *dw, float *db, void *scratch)
{
    const struct winograd_form *f = w->grid.form;
    int64_t I = w->grid.I, O = w->grid.O;
    struct job job = {
        .w = w,
        .engine = panel_engine(PRECISION_FLOAT32),
        .dy = dy,
        .x = x,
        .dw = dw,
        .v = scratch,
    };
    double *sums;

    if (!w->grid.tiles) {
        memset(dw, 0, (size_t)(O * TAPS * I) * sizeof *dw);
        memset(db, 0, db ? (size_t)O * sizeof *db : 0);
        return;
    }
    job.z = job.v + winograd_v(f) * v_step(w);
    job.u = job.z + winograd_m(f) * z_step(w);
    job.zeros = job.u + WINOGRAD_U * u_step(w);
    memset(job.zeros, 0, (size_t)most_channels(w) * sizeof *job.zeros);
    sums = (double *)(void *)(job.zeros + most_channels(w));
    memset(sums, 0, (size_t)O * sizeof *sums);
    job.sums = db ? sums : NULL;
    run(&job);
    for (int64_t o = 0; o < O && db; o++)
        db[o] = (float)sums[o];
}
