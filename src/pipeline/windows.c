/*
 * windows.c - pictures and clips larger than what a network was trained on, from its predictions in
 * overlapping windows (MultiDiffusion)
 *
 * A network that learned 16 frames of 32 x 32 knows nothing of frame 17: its tables of positions
 * end there, and where they do not, it was never asked.  But any 16 frames of a longer clip are a
 * clip that it knows.  So it is asked about windows of the size it was trained on, which overlap,
 * and what the whole does next is the weighted mean of what its windows say: the nearest to all of
 * them that there is (Bar-Tal et al. 2023).  Made one after the other, windows would not meet; in
 * one sample they agree, since each sees in its overlap what its neighbour makes of it.
 *
 * The mean is taken of predictions and before guidance, so that every solver, schedule and kind of
 * guidance works on the whole as on a picture of its own.  Guidance by one scale is linear and
 * could be taken in each window as well; what looks at norms or quantiles could not.
 *
 * Weights fall towards the borders that a window shares (frame_tiles.h), where it sees least. Noise
 * is drawn for the whole: a place has the same in all its windows.
 */
#include "pipeline/windows.h"

#include "base/memory.h"
#include "base/whole.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double OVERLAP_MOST = 0.9;

/* --- sizes --------------------------------------------------------------------------------------
 */

enum status windows_allow(struct model *m, double overlap, struct error *err)
{
    const struct network_io *io = &m->network->io;

    if (!(overlap >= 0 && overlap <= OVERLAP_MOST))
        return fail(err, E_ARG, "tiles that share %g of a side: 0 to %g are possible", overlap,
                    OVERLAP_MOST);
    if (io->classifies || io->factor)
        return fail(err, E_ARG, "tiles: a '%s' makes no pictures of noise", m->network->kind->name);
    m->window = (struct model_window){.frames = whole_max(io->frames, 1),
                                      .height = io->height,
                                      .width = io->width,
                                      .overlap = overlap};
    return OK;
}

enum status windows_resize(struct model *m, int64_t height, int64_t width, struct error *err)
{
    const struct model_window *w = &m->window;

    if (!w->height)
        return network_resize(m->network, height, width, err);
    if (height < w->height || width < w->width)
        return fail(err, E_ARG,
                    "a size of %" PRId64 " x %" PRId64 " in tiles: the network takes %" PRId64
                    " x %" PRId64 " and any larger one",
                    height, width, w->height, w->width);
    m->network->io.height = height;
    m->network->io.width = width;
    return OK;
}

enum status windows_set_frames(struct model *m, int64_t frames, struct error *err)
{
    const struct model_window *w = &m->window;

    if (!w->height || !m->network->io.frames)
        return network_set_frames(m->network, frames, err);
    if (frames < w->frames)
        return fail(err, E_ARG,
                    "a video of %" PRId64 " frames in tiles: the network takes %" PRId64
                    " and any larger number",
                    frames, w->frames);
    m->network->io.frames = frames;
    return OK;
}

void windows_plan(struct frame_tiles along[3], const struct model *m)
{
    const struct network_io *io = &m->network->io;
    const struct model_window *w = &m->window;
    const int64_t cells[3] = {whole_max(io->frames, 1), io->height, io->width};
    const int64_t window[3] = {w->frames, w->height, w->width};
    enum status st;

    for (int k = 0; k < 3; k++) {
        int64_t side = w->height ? window[k] : cells[k];

        st = frame_windows_plan(&along[k], cells[k], side,
                                whole_min(llrint(w->overlap * (double)side), side - 1), NULL);
        MUST(!st, "windows of %" PRId64 " over %" PRId64, side, cells[k]);
    }
}

struct shape windows_shape(const struct model *m, int64_t n, int64_t channels)
{
    const struct model_window *w = &m->window;

    if (!w->height)
        return network_shape(m->network, n, channels);
    return m->network->io.frames ? SHAPE(n, w->frames, w->height, w->width, channels)
                                 : SHAPE(n, w->height, w->width, channels);
}

int64_t windows_count(const struct model *m)
{
    struct frame_tiles along[3];

    windows_plan(along, m);
    return along[0].n * along[1].n * along[2].n;
}

/* --- the predictor ------------------------------------------------------------------------------
 */

static int64_t window_length(const struct windows *w)
{
    return w->along[0].tile * w->along[1].tile * w->along[2].tile * w->channels;
}

static int64_t whole_length(const struct windows *w)
{
    return w->along[0].cells * w->along[1].cells * w->along[2].cells * w->channels;
}

enum status windows_init(struct windows *w, struct predictor of, const struct frame_tiles along[3],
                         int64_t channels, struct error *err)
{
    uint64_t numbers;
    enum status st;

    *w = (struct windows){.of = of, .channels = channels};
    memcpy(w->along, along, sizeof w->along);
    MUST(of.length == window_length(w), "windows of %" PRId64 " numbers, and %" PRId64 " are seen",
         window_length(w), of.length);
    numbers = (uint64_t)of.rows * (uint64_t)of.length;
    for (int k = 0; k < 3; k++)
        if ((st = mem_new((void **)&w->weight[k], (uint64_t)along[k].tile, sizeof **w->weight,
                          "weights of windows", err)))
            return st;
    if ((st = mem_new((void **)&w->in, numbers, sizeof *w->in, "a window", err)))
        return st;
    return mem_new((void **)&w->out, numbers, 3 * sizeof *w->out, "predictions of a window", err);
}

void windows_release(struct windows *w)
{
    for (int k = 0; k < 3; k++)
        free(w->weight[k]);
    free(w->in);
    free(w->out);
    *w = (struct windows){0};
}

/* Where window (i[0], i[1], i[2]) lies. */
struct place {
    int64_t first[3];
};

/* The number in a whole at which row (t, y) of the window begins. */
static int64_t row_at(const struct windows *w, const struct place *p, int64_t t, int64_t y)
{
    const struct frame_tiles *a = w->along;

    return (((p->first[0] + t) * a[1].cells + p->first[1] + y) * a[2].cells + p->first[2]) *
           w->channels;
}

static void cut_window(const struct windows *w, const struct place *p, const double *x)
{
    const struct frame_tiles *a = w->along;
    int64_t row = a[2].tile * w->channels;
    double *to = w->in;

    for (int64_t i = 0; i < w->of.rows; i++)
        for (int64_t t = 0; t < a[0].tile; t++)
            for (int64_t y = 0; y < a[1].tile; y++, to += row)
                memcpy(to, x + i * whole_length(w) + row_at(w, p, t, y), (size_t)row * sizeof *to);
}

/* The window's predictions of one branch onto those of the whole. */
static void add_window(const struct windows *w, const struct place *p, double *out,
                       const double *from)
{
    const struct frame_tiles *a = w->along;

    for (int64_t i = 0; i < w->of.rows; i++)
        for (int64_t t = 0; t < a[0].tile; t++)
            for (int64_t y = 0; y < a[1].tile; y++) {
                double *to = out + i * whole_length(w) + row_at(w, p, t, y);
                double row = w->weight[0][t] * w->weight[1][y];

                for (int64_t k = 0; k < a[2].tile; k++)
                    for (int64_t c = 0; c < w->channels; c++)
                        *to++ += row * w->weight[2][k] * *from++;
            }
}

static enum status ask_window(struct windows *w, const int64_t i[3], double *out, const double *x,
                              double t, unsigned branches, struct error *err)
{
    int64_t part = w->of.rows * w->of.length, whole = w->of.rows * whole_length(w);
    struct place p;
    enum status st;

    for (int k = 0; k < 3; k++) {
        p.first[k] = frame_tile_first(&w->along[k], i[k]);
        frame_tile_weights(w->weight[k], &w->along[k], i[k], 1);
    }
    cut_window(w, &p, x);
    if ((st = w->of.predict(w->of.self, w->out, w->in, t, branches, err)))
        return st;
    for (int b = 0; b < branch_count(branches); b++)
        add_window(w, &p, out + b * whole, w->out + b * part);
    return OK;
}

static enum status predict(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err)
{
    struct windows *w = self;
    const struct frame_tiles *a = w->along;
    enum status st = OK;

    if (a[0].n * a[1].n * a[2].n == 1)
        return w->of.predict(w->of.self, out, x, t, branches, err);
    memset(out, 0, (size_t)(branch_count(branches) * w->of.rows * whole_length(w)) * sizeof *out);
    for (int64_t f = 0; f < a[0].n && !st; f++)
        for (int64_t y = 0; y < a[1].n && !st; y++)
            for (int64_t k = 0; k < a[2].n && !st; k++)
                st = ask_window(w, (const int64_t[3]){f, y, k}, out, x, t, branches, err);
    return st;
}

struct predictor predictor_of_windows(struct windows *w)
{
    return (struct predictor){
        .predict = predict, .self = w, .rows = w->of.rows, .length = whole_length(w)};
}
