/*
 * frame_tiles.h - videos longer than what fits at once, a tile of frames at a time
 *
 * Tiles are counted in cells, `factor` frames of a video each and one of its latent.  A tile begins
 * tile - overlap cells behind the one before it.  The last one of tiles ends with the video and may
 * be shorter; the last one of windows moves back to be as long as all.
 *
 *     tiles     [0 1 2 3]                windows   [0 1 2 3]
 *                   [2 3 4 5]                          [2 3 4 5]
 *                       [4 5 6]                          [3 4 5 6]
 */
#ifndef IMGEN_PIPELINE_FRAME_TILES_H
#define IMGEN_PIPELINE_FRAME_TILES_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* n of them over `cells` cells: a pure function of the numbers of frame_tiles_plan or
 * frame_windows_plan. */
struct frame_tiles {
    int64_t cells, tile, overlap, n;
    bool windows;
};

/* E_ARG unless cells, tile > 0 and 0 <= overlap <= tile / 2, of windows overlap < tile.  Where
 * there are fewer cells than a tile has, one tile has them all. */
enum status frame_tiles_plan(struct frame_tiles *t, int64_t cells, int64_t tile, int64_t overlap,
                             struct error *err);
enum status frame_windows_plan(struct frame_tiles *t, int64_t cells, int64_t window,
                               int64_t overlap, struct error *err);

/* Of tile i, 0 .. n-1: its first cell, and how many it has. */
int64_t frame_tile_first(const struct frame_tiles *t, int64_t i);
int64_t frame_tile_cells(const struct frame_tiles *t, int64_t i);

/* The frames before which a tile begins or ends, none twice and rising, but for the video's own
 * ends: joint [at most 2 (n - 1)], in frames of a video of so many with `factor` to a cell.
 * Returns how many. */
int64_t frame_tiles_joints(int64_t *joint, const struct frame_tiles *t, int64_t frames,
                           int64_t factor);

/* weight [cells of tile i * scale]: what it counts at each of its places, `scale` of them to a
 * cell.  Over all tiles that lie at a place the weights add up to 1.
 *
 * tiles: over the N places that two share, number j counts 1 - j / N in the earlier one and j / N
 * in the later one; a place belongs to two at most.  (movie-gen.md 2.4)
 * windows: ramps of j + 1 over overlap + 1 at both ends, but for the video's own, divided by the
 * sum of all windows' ramps there.  (movie-gen.md 5.1; Bar-Tal et al. 2023) */
void frame_tile_weights(double *weight, const struct frame_tiles *t, int64_t i, int64_t scale);

/* Map one tile of so many frames: of a video to ceil(frames / factor) frames of its latent, or of a
 * latent to factor frames each. */
typedef enum status frame_map(float *out, const float *in, int64_t frames, void *user,
                              struct error *err);

/* What a tile is cut from and goes to: a video of `frames` frames, and its latent of `cells`. */
struct frame_sizes {
    int64_t frames;        /* cells = ceil(frames / factor)  */
    int64_t factor;        /* frames of a cell                */
    int64_t frame, latent; /* numbers of a frame of either    */
};

/* video [frames, frame] to latents [cells, latent], and back: what a tile gives, weighed as above.
 * Without an overlap, latents stand one after the other.  Frames that decoding gives beyond the
 * video's are dropped.  Where tiles agree bit for bit, their bits are the result's.  Memory besides
 * the two: what one tile gives.  Fails with what map says; E_MEMORY. */
enum status frame_tiles_encode(float *latents, const float *video, const struct frame_tiles *t,
                               struct frame_sizes sizes, frame_map *map, void *user,
                               struct error *err);
enum status frame_tiles_decode(float *video, const float *latents, const struct frame_tiles *t,
                               struct frame_sizes sizes, frame_map *map, void *user,
                               struct error *err);

#endif
