/*
 * winograd_tiles.c - where the tiles of a convolution lie in its pictures
 *
 * Tiles go through a picture row by row, through all pictures in order, and cover the results from
 * the first pixel on; the last may stick out.  The pixels under neighbours overlap.
 *
 * dx of a convolution of stride 1 is one of dy with the taps turned round.  dx of stride 2 has
 * results of two kinds in turn, under one tap and under two.  The form wants one under two taps
 * first; with an odd padding the picture begins with the other kind, but then a tile ends with it,
 * and the form fits when pixels, results and taps are all taken in reverse.
 */
#include "backend/cpu/winograd_tiles.h"

#include "backend/cpu/winograd_transform.h"
#include "base/fetch.h"
#include "base/whole.h"

/* Along one side of a convolution that pads by `before`. */
static struct winograd_side side_of(const struct winograd_form *form, int64_t stride,
                                    bool transposed, int64_t before, int64_t in, int64_t out)
{
    struct winograd_side d = {.in = in, .out = out, .first = -before};

    if (transposed) {
        d.in = out;
        d.out = in;
        d.first = stride == 1 ? before - 2 : (before + 1) / 2 - 1;
        d.mirrored = stride == 2 && before % 2;
        d.turned = stride == 1 || before % 2;
    }
    d.tiles = whole_parts(d.out, form->out);
    return d;
}

struct winograd_grid winograd_grid_of(const struct dnn_conv *s, bool transposed)
{
    const struct winograd_form *form = winograd_form_of(s->stride, transposed);
    struct winograd_grid g = {
        .form = form,
        .N = s->N,
        .I = transposed ? s->O : s->I,
        .O = transposed ? s->I : s->O,
        .down = side_of(form, s->stride, transposed, s->top, s->H, s->OH),
        .across = side_of(form, s->stride, transposed, s->left, s->W, s->OW),
    };

    g.tiles = g.N * g.down.tiles * g.across.tiles;
    return g;
}

/* A tile's picture and its place there, in tiles. */
static void find(const struct winograd_grid *g, int64_t tile, int64_t *n, int64_t *u, int64_t *v)
{
    *n = tile / (g->down.tiles * g->across.tiles);
    *u = tile / g->across.tiles % g->down.tiles;
    *v = tile % g->across.tiles;
}

/* The k-th of n pixels from `start`, as the form sees them. */
static int64_t seen(const struct winograd_side *d, int64_t start, int64_t k, int64_t n)
{
    return start + (d->mirrored ? n - 1 - k : k);
}

void winograd_under(const struct winograd_grid *g, int64_t tile, const float *x, const float *zeros,
                    const float **pixel)
{
    const struct winograd_side *down = &g->down, *across = &g->across;
    int64_t in = g->form->in, n, u, v;

    find(g, tile, &n, &u, &v);
    u = down->first + u * g->form->ahead;
    v = across->first + v * g->form->ahead;
    for (int64_t r = 0; r < in; r++) {
        int64_t i = seen(down, u, r, in), row = (n * down->in + i) * across->in;

        for (int64_t c = 0; c < in; c++) {
            int64_t j = seen(across, v, c, in);
            bool inside = i >= 0 && i < down->in && j >= 0 && j < across->in;

            pixel[r * in + c] = inside ? x + (row + j) * g->I : zeros;
        }
    }
}

void winograd_in(const struct winograd_grid *g, int64_t tile, int64_t *at)
{
    const struct winograd_side *down = &g->down, *across = &g->across;
    int64_t out = g->form->out, n, u, v;

    find(g, tile, &n, &u, &v);
    for (int64_t r = 0; r < out; r++)
        for (int64_t c = 0; c < out; c++) {
            int64_t i = seen(down, u * out, r, out), j = seen(across, v * out, c, out);
            bool inside = i < down->out && j < across->out;

            at[r * out + c] = inside ? ((n * down->out + i) * across->out + j) * g->O : -1;
        }
}

/* Rows [u, u + n) and columns [v, v + n) of a picture, where there are such. */
FETCH_INLINE void fetch(const float *x, int64_t H, int64_t W, int64_t channels, int64_t u,
                        int64_t v, int64_t n)
{
    int64_t left = v < 0 ? 0 : v, right = v + n < W ? v + n : W;

    for (int64_t i = u < 0 ? 0 : u; i < u + n && i < H; i++)
        fetch_floats(x + (i * W + left) * channels, (right - left) * channels);
}

void winograd_fetch_under(const struct winograd_grid *g, int64_t tile, const float *x)
{
    const struct winograd_side *down = &g->down, *across = &g->across;
    int64_t ahead = g->form->ahead, fresh = g->form->in - ahead, n, u, v;

    find(g, tile, &n, &u, &v);
    if (n < g->N)
        fetch(x + n * down->in * across->in * g->I, down->in, across->in, g->I,
              down->first + u * ahead + fresh, across->first + v * ahead + fresh, ahead);
}

void winograd_fetch_in(const struct winograd_grid *g, int64_t tile, const float *y)
{
    const struct winograd_side *down = &g->down, *across = &g->across;
    int64_t out = g->form->out, n, u, v;

    find(g, tile, &n, &u, &v);
    if (n < g->N)
        fetch(y + n * down->out * across->out * g->O, down->out, across->out, g->O, u * out,
              v * out, out);
}
