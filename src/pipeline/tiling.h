/*
 * tiling.h - encoding and decoding pictures of any size, a tile at a time
 *
 * An autoencoder makes one latent cell of `factor` x `factor` pixels.  A picture of height x width
 * pixels has ceil(height / factor) x ceil(width / factor) cells; what its last row and column of
 * cells lack is its edge, repeated, and is cut away again after decoding, so that a picture comes
 * back in exactly its own size.  Tiles are counted in cells and overlap; where they do, the results
 * go over into each other smoothly:
 *
 *          +-------------+- - - +
 *          |   tile 0    |  /   |          weight   1 |______    ______
 *          |             |/     | tile 1              |      \  /
 *          +- - - - - - -+------+                     |       \/
 *                 overlap  <-->                       |       /\
 *                                                   0 |______/  \______
 */
#ifndef IMGEN_PIPELINE_TILING_H
#define IMGEN_PIPELINE_TILING_H

#include "base/error.h"

#include <stdint.h>

enum { TILING_FACTOR = 64 /* the largest */ };

/* Tiles down or across: n of them, of `tile` cells each, over `cells` cells. */
struct tiling_axis {
    int64_t cells, tile, n;
};

/* How a picture is cut: a pure function of the numbers of tiling_plan or tiling_fit.  All tiles are
 * of one size. */
struct tiling {
    int64_t height, width; /* of the picture, in pixels              */
    int64_t factor;        /* pixels to a side of a cell             */
    int64_t overlap;       /* cells that neighbours share, or more   */
    struct tiling_axis down, across;
};

/* Tiles of tile x tile cells, less where the picture has less.  E_ARG unless height, width > 0,
 * 1 <= factor <= TILING_FACTOR, tile > 0 and 0 <= overlap <= tile / 2. */
enum status tiling_plan(struct tiling *t, int64_t height, int64_t width, int64_t factor,
                        int64_t tile, int64_t overlap, struct error *err);

/* What it takes, in bytes, to map one tile of rows x columns cells; more cells never cost less. */
typedef int64_t tiling_cost(int64_t rows, int64_t columns, void *user);

/* The largest tiles whose cost is at most `limit` bytes (0: no limit), the whole picture where it
 * can be; then as small again as that number of tiles allows.  E_ARG as tiling_plan; E_MEMORY, with
 * the numbers, when not even tiles of 2 overlap cells (at least 1) fit. */
enum status tiling_fit(struct tiling *t, int64_t height, int64_t width, int64_t factor,
                       int64_t overlap, int64_t limit, tiling_cost *cost, void *user,
                       struct error *err);

int64_t tiling_count(const struct tiling *t);
/* The first cell of tile i, 0 .. n-1. */
int64_t tiling_first(const struct tiling_axis *a, int64_t i);

/* weight [tile * scale]: what tile i counts at each of its places, `scale` of them to a cell;
 * before [tile * scale]: what tiles 0 .. i-1 count there together.  Over all tiles that lie at a
 * place the weights add up to 1. */
void tiling_weights(double *weight, double *before, const struct tiling_axis *a, int64_t i,
                    int64_t scale);

/* Map one tile: in [rows s, columns s, channels] to out [rows r, columns r, channels], where s and
 * r are 1 and factor to decode, factor and 1 to encode. */
typedef enum status tile_map(float *out, const float *in, int64_t rows, int64_t columns, void *user,
                             struct error *err);

/* picture [height, width, channels] to latents [down.cells, across.cells, latent_channels].  Memory
 * besides the two: one tile in, one out, and what `map` takes.  Fails with what map says; E_MEMORY.
 *
 * Wherever a tile does not feel its own edges this is what one tile over everything gives; where
 * tiles agree bit for bit, their bits are the result's.  What map makes need not be a latent: means
 * and log-variances of a posterior are blended alike. */
enum status tiling_encode(float *latents, const float *picture, const struct tiling *t,
                          int64_t channels, int64_t latent_channels, tile_map *map, void *user,
                          struct error *err);
/* latents [down.cells, across.cells, latent_channels] to picture [height, width, channels],
 * likewise. */
enum status tiling_decode(float *picture, const float *latents, const struct tiling *t,
                          int64_t latent_channels, int64_t channels, tile_map *map, void *user,
                          struct error *err);

#endif
