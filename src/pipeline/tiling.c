/*
 * tiling.c - encoding and decoding pictures of any size, a tile at a time
 *
 * A decoder's memory grows with the picture: its widest layer holds hundreds of numbers a pixel.
 * Cut into tiles, it is that of one tile.  Tiles that merely touch show a seam, for each lacks what
 * the other saw; so they overlap, and across the overlap one goes over into the next by a raised
 * cosine, which leaves no edge in the slope either.
 *
 * All tiles of a picture have one size, so that a network is planned once: the last one in a row
 * moves back until it ends with the picture, and the tiles between stand evenly.  Neighbours then
 * share at least the overlap that was asked for, and where the picture is only a little larger than
 * a tile, three may lie over a place.  A tile's weight at a place is therefore its ramps' share in
 * the sum of all tiles' ramps there: the weights add up to 1 by what they are.
 *
 * The weighted mean is taken as it grows.  With W the weights of the tiles that came before,
 *
 *      out <- out + (tile - out) w / (W + w),
 *
 * which needs no second array for the sum of weights, and moves nothing where tiles agree: a map
 * that gives the same numbers in each tile comes back bit for bit.  In two dimensions a weight is
 * the product of one down and one across, and W follows from the sums along the two axes.
 *
 * A place's value depends on the plan alone, never on the number of threads.
 */
#include "pipeline/tiling.h"

#include "base/memory.h"
#include "base/whole.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* --- the plan -----------------------------------------------------------------------------------
 */

static enum status check(int64_t height, int64_t width, int64_t factor, int64_t tile,
                         int64_t overlap, struct error *err)
{
    if (height < 1 || width < 1 || factor < 1 || factor > TILING_FACTOR)
        return fail(err, E_ARG,
                    "a picture of %" PRId64 " x %" PRId64 " in cells of %" PRId64 " pixels", width,
                    height, factor);
    if (tile < 1 || overlap < 0 || overlap > tile / 2)
        return fail(err, E_ARG,
                    "tiles of %" PRId64 " cells cannot share %" PRId64
                    " with each neighbour: at most half",
                    tile, overlap);
    return OK;
}

static void cut_axis(struct tiling_axis *a, int64_t tile, int64_t overlap)
{
    a->tile = whole_min(tile, a->cells);
    a->n = a->cells == a->tile ? 1 : whole_parts(a->cells - overlap, a->tile - overlap);
}

static void cut(struct tiling *t, int64_t tile)
{
    cut_axis(&t->down, tile, t->overlap);
    cut_axis(&t->across, tile, t->overlap);
}

enum status tiling_plan(struct tiling *t, int64_t height, int64_t width, int64_t factor,
                        int64_t tile, int64_t overlap, struct error *err)
{
    enum status st;

    *t = (struct tiling){.height = height, .width = width, .factor = factor, .overlap = overlap};
    if ((st = check(height, width, factor, tile, overlap, err)))
        return st;
    t->down.cells = whole_parts(height, factor);
    t->across.cells = whole_parts(width, factor);
    cut(t, tile);
    return OK;
}

/* As small as the present number of tiles allows. */
static void shrink_axis(struct tiling_axis *a, int64_t overlap)
{
    int64_t least = whole_parts(a->cells + (a->n - 1) * overlap, a->n);

    cut_axis(a, whole_max(least, 2 * overlap), overlap);
}

enum status tiling_fit(struct tiling *t, int64_t height, int64_t width, int64_t factor,
                       int64_t overlap, int64_t limit, tiling_cost *cost, void *user,
                       struct error *err)
{
    int64_t fits = whole_max(2 * overlap, 1), fails, least;
    enum status st;

    if ((st = tiling_plan(t, height, width, factor, fits, overlap, err)))
        return st;
    least = cost(t->down.tile, t->across.tile, user);
    if (limit && least > limit)
        return fail(err, E_MEMORY,
                    "the smallest tile, %" PRId64 " x %" PRId64 " cells of %" PRId64
                    " pixels, takes %" PRId64 " bytes, and %" PRId64 " are allowed",
                    t->across.tile, t->down.tile, factor, least, limit);
    fails = whole_max(fits, whole_max(t->down.cells, t->across.cells)) + 1;
    while (fails - fits > 1) {
        int64_t middle = fits + (fails - fits) / 2;

        cut(t, middle);
        if (!limit || cost(t->down.tile, t->across.tile, user) <= limit)
            fits = middle;
        else
            fails = middle;
    }
    cut(t, fits);
    shrink_axis(&t->down, overlap);
    shrink_axis(&t->across, overlap);
    return OK;
}

int64_t tiling_count(const struct tiling *t)
{
    return t->down.n * t->across.n;
}

int64_t tiling_first(const struct tiling_axis *a, int64_t i)
{
    MUST(i >= 0 && i < a->n, "tile %" PRId64 " of %" PRId64, i, a->n);
    return a->n == 1 ? 0 : i * (a->cells - a->tile) / (a->n - 1);
}

/* --- weights ------------------------------------------------------------------------------------
 */

/* Rises from 0 to 1 over n places, and is 0 at none of them. */
static double ramp(int64_t at, int64_t n)
{
    double s = at < n ? sin(pi / 2 * ((double)at + 0.5) / (double)n) : 1;

    return s * s;
}

/* The ramps of tile i at a place: 0 outside of it, 1 where it has no neighbour. */
static double ramps_at(const struct tiling_axis *a, int64_t i, int64_t scale, int64_t place)
{
    int64_t first = tiling_first(a, i) * scale, end = first + a->tile * scale;
    double w = 1;

    if (place < first || place >= end)
        return 0;
    if (i > 0)
        w *= ramp(place - first, (tiling_first(a, i - 1) + a->tile) * scale - first);
    if (i < a->n - 1)
        w *= ramp(end - 1 - place, end - tiling_first(a, i + 1) * scale);
    return w;
}

/* Over the tiles from i on in steps of `step` for as long as they lie at the place. */
static double ramps_beyond(const struct tiling_axis *a, int64_t i, int64_t step, int64_t scale,
                           int64_t place)
{
    double sum = 0, w;

    for (; i >= 0 && i < a->n && (w = ramps_at(a, i, scale, place)) > 0; i += step)
        sum += w;
    return sum;
}

void tiling_weights(double *weight, double *before, const struct tiling_axis *a, int64_t i,
                    int64_t scale)
{
    int64_t first = tiling_first(a, i) * scale;

    for (int64_t k = 0; k < a->tile * scale; k++) {
        double own = ramps_at(a, i, scale, first + k);
        double earlier = ramps_beyond(a, i - 1, -1, scale, first + k);
        double later = ramps_beyond(a, i + 1, 1, scale, first + k);

        weight[k] = own / (earlier + own + later);
        before[k] = earlier / (earlier + own + later);
    }
}

/* --- mapping ------------------------------------------------------------------------------------
 */

/* What is read or written: places [height, width, channels], `scale` to a cell. */
struct side {
    int64_t height, width, channels, scale;
};

static int64_t tile_length(const struct side *s, const struct tiling *t)
{
    return t->down.tile * s->scale * t->across.tile * s->scale * s->channels;
}

struct pass {
    const struct tiling *t;
    struct side from, to;
    const float *in;
    float *out, *tile_in, *tile_out;
    double *down[2], *across[2]; /* weights and what came before, along each axis */
};

/* The tile that begins at a place, its lower and right edge repeated where the picture ends. */
static void take_tile(const struct pass *p, int64_t top, int64_t left)
{
    const struct side *s = &p->from;
    int64_t columns = p->t->across.tile * s->scale, C = s->channels;

    for (int64_t y = 0; y < p->t->down.tile * s->scale; y++) {
        const float *row = p->in + whole_min(top + y, s->height - 1) * s->width * C;
        float *out = p->tile_in + y * columns * C;

        for (int64_t x = 0; x < columns; x++)
            memcpy(out + x * C, row + whole_min(left + x, s->width - 1) * C,
                   (size_t)C * sizeof *out);
    }
}

/* out [channels] moves towards the tile's by w / (W + w). */
static void blend_place(float *out, const float *tile, double w, double W, int64_t channels)
{
    float share = (float)(w / (W + w));

    for (int64_t c = 0; c < channels; c++)
        out[c] = W > 0 ? out[c] + (tile[c] - out[c]) * share : tile[c];
}

/* What lies beyond the picture is cut away here. */
static void give_tile(const struct pass *p, int64_t top, int64_t left)
{
    const struct side *s = &p->to;
    int64_t columns = p->t->across.tile * s->scale, C = s->channels;
    int64_t n_rows = whole_min(p->t->down.tile * s->scale, s->height - top);
    int64_t n_columns = whole_min(columns, s->width - left);

    for (int64_t y = 0; y < n_rows; y++)
        for (int64_t x = 0; x < n_columns; x++) {
            double w = p->down[0][y] * p->across[0][x];
            double W = p->down[1][y] + p->down[0][y] * p->across[1][x];

            blend_place(p->out + ((top + y) * s->width + left + x) * C,
                        p->tile_out + (y * columns + x) * C, w, W, C);
        }
}

static enum status pass_init(struct pass *p, struct error *err)
{
    const struct tiling *t = p->t;
    enum status st;

    if ((st = mem_new((void **)&p->tile_in, (uint64_t)tile_length(&p->from, t), sizeof *p->tile_in,
                      "a tile", err)) ||
        (st = mem_new((void **)&p->tile_out, (uint64_t)tile_length(&p->to, t), sizeof *p->tile_out,
                      "a tile", err)))
        return st;
    for (int k = 0; k < 2; k++)
        if ((st = mem_new((void **)&p->down[k], (uint64_t)(t->down.tile * p->to.scale),
                          sizeof *p->down[k], "weights", err)) ||
            (st = mem_new((void **)&p->across[k], (uint64_t)(t->across.tile * p->to.scale),
                          sizeof *p->across[k], "weights", err)))
            return st;
    return OK;
}

static void pass_release(struct pass *p)
{
    free(p->tile_in);
    free(p->tile_out);
    for (int k = 0; k < 2; k++) {
        free(p->down[k]);
        free(p->across[k]);
    }
}

static enum status run(struct pass *p, tile_map *map, void *user, struct error *err)
{
    const struct tiling *t = p->t;
    enum status st = pass_init(p, err);

    for (int64_t r = 0; r < t->down.n && !st; r++) {
        int64_t row = tiling_first(&t->down, r);

        tiling_weights(p->down[0], p->down[1], &t->down, r, p->to.scale);
        for (int64_t c = 0; c < t->across.n && !st; c++) {
            int64_t column = tiling_first(&t->across, c);

            tiling_weights(p->across[0], p->across[1], &t->across, c, p->to.scale);
            take_tile(p, row * p->from.scale, column * p->from.scale);
            st = map(p->tile_out, p->tile_in, t->down.tile, t->across.tile, user, err);
            if (!st)
                give_tile(p, row * p->to.scale, column * p->to.scale);
        }
    }
    pass_release(p);
    return st;
}

enum status tiling_encode(float *latents, const float *picture, const struct tiling *t,
                          int64_t channels, int64_t latent_channels, tile_map *map, void *user,
                          struct error *err)
{
    struct pass p = {.t = t,
                     .from = {t->height, t->width, channels, t->factor},
                     .to = {t->down.cells, t->across.cells, latent_channels, 1},
                     .in = picture,
                     .out = latents};

    return run(&p, map, user, err);
}

enum status tiling_decode(float *picture, const float *latents, const struct tiling *t,
                          int64_t latent_channels, int64_t channels, tile_map *map, void *user,
                          struct error *err)
{
    struct pass p = {.t = t,
                     .from = {t->down.cells, t->across.cells, latent_channels, 1},
                     .to = {t->height, t->width, channels, t->factor},
                     .in = latents,
                     .out = picture};

    return run(&p, map, user, err);
}
