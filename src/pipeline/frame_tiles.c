/*
 * frame_tiles.c - videos longer than what fits at once, a tile of frames at a time
 *
 * The memory of an autoencoder of videos grows with the number of frames, and so does what a video
 * transformer must attend to.  Cut into tiles of frames, it is that of one tile.  The encoder's
 * tiles need not overlap; the decoder's do, for at a joint the eye sees a jump that no single frame
 * shows, and over the overlap one tile fades out as the next fades in.
 *
 * How the paper counts the frames of an overlap would make the later tile fade out; here it is the
 * earlier one, as everywhere else.  Its count starts at the first shared frame, which is the
 * earlier tile's own, so that a joint has no frame of the later tile alone before the overlap ends.
 * Weights are counted in frames of the video and never in those of latents.  Polyak et al. 2024,
 * section 3.1.4; movie-gen.md 2.4.
 *
 * Windows are for what is sampled and not decoded: all of the length that a network was trained
 * with, several of them over a place where the last one moves back, so their weights are shares.
 *
 * The weighted mean is taken as it grows (tiling.c): with W what the tiles before have counted,
 *
 *     out <- out + (tile - out) w / (W + w).
 */
#include "pipeline/frame_tiles.h"

#include "base/memory.h"
#include "base/whole.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- the plan -----------------------------------------------------------------------------------
 */

static void cut(struct frame_tiles *t)
{
    t->tile = whole_min(t->tile, t->cells);
    t->n = t->cells == t->tile ? 1 : whole_parts(t->cells - t->overlap, t->tile - t->overlap);
}

enum status frame_tiles_plan(struct frame_tiles *t, int64_t cells, int64_t tile, int64_t overlap,
                             struct error *err)
{
    if (cells < 1 || tile < 1 || overlap < 0 || overlap > tile / 2)
        return fail(err, E_ARG,
                    "tiles of %" PRId64 " frames of a latent, of which neighbours share %" PRId64
                    ", over %" PRId64 ": they share half at most",
                    tile, overlap, cells);
    *t = (struct frame_tiles){.cells = cells, .tile = tile, .overlap = overlap};
    cut(t);
    return OK;
}

enum status frame_windows_plan(struct frame_tiles *t, int64_t cells, int64_t window,
                               int64_t overlap, struct error *err)
{
    if (cells < 1 || window < 1 || overlap < 0 || overlap >= window)
        return fail(err, E_ARG,
                    "windows of %" PRId64 " frames, of which neighbours share %" PRId64
                    ", over %" PRId64,
                    window, overlap, cells);
    *t = (struct frame_tiles){.cells = cells, .tile = window, .overlap = overlap, .windows = true};
    cut(t);
    return OK;
}

int64_t frame_tile_first(const struct frame_tiles *t, int64_t i)
{
    int64_t first = i * (t->tile - t->overlap);

    return t->windows ? whole_min(first, t->cells - t->tile) : first;
}

int64_t frame_tile_cells(const struct frame_tiles *t, int64_t i)
{
    return whole_min(t->tile, t->cells - frame_tile_first(t, i));
}

int64_t frame_tiles_joints(int64_t *joint, const struct frame_tiles *t, int64_t frames,
                           int64_t factor)
{
    int64_t n = 0;

    for (int64_t cell = 1; cell < t->cells && cell * factor < frames; cell++) {
        bool is_one = false;

        for (int64_t i = 0; i < t->n && !is_one; i++) {
            int64_t first = frame_tile_first(t, i);

            is_one = cell == first || cell == first + frame_tile_cells(t, i);
        }
        if (is_one)
            joint[n++] = cell * factor;
    }
    return n;
}

/* --- weights ------------------------------------------------------------------------------------
 */

static void fade(double *weight, const struct frame_tiles *t, int64_t i, int64_t scale)
{
    int64_t n = frame_tile_cells(t, i) * scale, shared = t->overlap * scale;

    for (int64_t j = 0; j < n; j++) {
        weight[j] = 1;
        if (i > 0 && j < shared)
            weight[j] = (double)j / (double)shared;
        else if (i < t->n - 1 && j >= n - shared)
            weight[j] = 1 - (double)(j - (n - shared)) / (double)shared;
    }
}

/* What a window that begins at cell `first` counts at a cell, 0 where it does not lie. */
static double ramps(const struct frame_tiles *t, int64_t first, int64_t cell)
{
    double steps = (double)(t->overlap + 1), left = 1, right = 1;
    int64_t j = cell - first;

    if (j < 0 || j >= t->tile)
        return 0;
    if (first > 0 && (double)(j + 1) < steps)
        left = (double)(j + 1) / steps;
    if (first + t->tile < t->cells && (double)(t->tile - j) < steps)
        right = (double)(t->tile - j) / steps;
    return left < right ? left : right;
}

static void share(double *weight, const struct frame_tiles *t, int64_t i, int64_t scale)
{
    int64_t first = frame_tile_first(t, i);

    for (int64_t j = 0; j < t->tile; j++) {
        double sum = 0;

        for (int64_t k = 0; k < t->n; k++)
            sum += ramps(t, frame_tile_first(t, k), first + j);
        for (int64_t s = 0; s < scale; s++)
            weight[j * scale + s] = ramps(t, first, first + j) / sum;
    }
}

void frame_tile_weights(double *weight, const struct frame_tiles *t, int64_t i, int64_t scale)
{
    if (t->windows)
        share(weight, t, i, scale);
    else
        fade(weight, t, i, scale);
}

/* --- encoding and decoding ----------------------------------------------------------------------
 */

/* A whole on its way: so far counted, and one tile. */
struct blend {
    float *out, *tile;
    double *counted, *weight; /* of each place of out; of each of a tile */
    int64_t places, size;     /* of out; numbers of a place              */
};

static void blend_release(struct blend *b)
{
    free(b->tile);
    free(b->counted);
    free(b->weight);
}

static enum status blend_init(struct blend *b, float *out, const struct frame_tiles *t,
                              int64_t places, int64_t scale, int64_t size, struct error *err)
{
    uint64_t most = (uint64_t)(t->tile * scale);
    enum status st;

    *b = (struct blend){.out = out, .places = places, .size = size};
    if ((st = mem_new((void **)&b->tile, most * (uint64_t)size, sizeof(float), "a tile of frames",
                      err)) ||
        (st = mem_new((void **)&b->counted, (uint64_t)places, sizeof(double), "weights of frames",
                      err)) ||
        (st = mem_new((void **)&b->weight, most, sizeof(double), "weights of a tile", err)))
        blend_release(b);
    return st;
}

static void mix_frame(float *out, const float *tile, int64_t size, double share)
{
#pragma omp parallel for simd schedule(static) if (size > 32768)
    for (int64_t k = 0; k < size; k++)
        out[k] = (float)((double)out[k] + ((double)tile[k] - (double)out[k]) * share);
}

/* b->tile lies at `first`; of its places those are taken that out has. */
static void blend_add(struct blend *b, int64_t first, int64_t places)
{
    for (int64_t j = 0; j < places && first + j < b->places; j++) {
        double w = b->weight[j], *counted = &b->counted[first + j];
        float *out = b->out + (first + j) * b->size;
        const float *tile = b->tile + j * b->size;

        if (*counted + w > 0 && w > 0) {
            if (*counted > 0)
                mix_frame(out, tile, b->size, w / (*counted + w));
            else
                memcpy(out, tile, (size_t)b->size * sizeof *out);
        }
        *counted += w;
    }
}

static void check_sizes(const struct frame_tiles *t, struct frame_sizes sizes)
{
    MUST(sizes.factor > 0 && whole_parts(sizes.frames, sizes.factor) == t->cells,
         "%" PRId64 " frames of %" PRId64 " to a cell, in %" PRId64 " cells", sizes.frames,
         sizes.factor, t->cells);
}

enum status frame_tiles_encode(float *latents, const float *video, const struct frame_tiles *t,
                               struct frame_sizes sizes, frame_map *map, void *user,
                               struct error *err)
{
    struct blend b;
    enum status st;

    check_sizes(t, sizes);
    if ((st = blend_init(&b, latents, t, t->cells, 1, sizes.latent, err)))
        return st;
    for (int64_t i = 0; i < t->n && !st; i++) {
        int64_t first = frame_tile_first(t, i), cells = frame_tile_cells(t, i);
        int64_t from = first * sizes.factor;
        int64_t frames = whole_min(cells * sizes.factor, sizes.frames - from);

        if ((st = map(b.tile, video + from * sizes.frame, frames, user, err)))
            break;
        frame_tile_weights(b.weight, t, i, 1);
        blend_add(&b, first, cells);
    }
    blend_release(&b);
    return st;
}

enum status frame_tiles_decode(float *video, const float *latents, const struct frame_tiles *t,
                               struct frame_sizes sizes, frame_map *map, void *user,
                               struct error *err)
{
    struct blend b;
    enum status st;

    check_sizes(t, sizes);
    if ((st = blend_init(&b, video, t, sizes.frames, sizes.factor, sizes.frame, err)))
        return st;
    for (int64_t i = 0; i < t->n && !st; i++) {
        int64_t first = frame_tile_first(t, i), cells = frame_tile_cells(t, i);

        if ((st = map(b.tile, latents + first * sizes.latent, cells, user, err)))
            break;
        frame_tile_weights(b.weight, t, i, sizes.factor);
        blend_add(&b, first * sizes.factor, cells * sizes.factor);
    }
    blend_release(&b);
    return st;
}
