/*
 * codec.h - pictures to latents and back, of any size, within a limit of memory
 *
 * Pictures are [n, height, width, channels] with values in -1 .. 1, latents [n, rows, columns,
 * latent_channels] with rows = ceil(height / factor), columns = ceil(width / factor), as the
 * autoencoder makes them: nothing is scaled here (latents_scale, latents_unscale).  Sizes that are
 * no multiple of the factor come back exactly: pipeline/tiling.h.
 */
#ifndef IMGEN_PIPELINE_CODEC_H
#define IMGEN_PIPELINE_CODEC_H

#include "graph/graph.h"
#include "model/autoencoder.h"
#include "pipeline/strips.h"
#include "pipeline/tiling.h"

#include <stdbool.h>
#include <stdint.h>

/* An autoencoder as a file gave it, and a graph to run it on.  One call at a time. */
struct codec;

/* path: see pipeline/autoencoder_file.h; halves: what will be asked of it.  threads >= 1.  Fails as
 * autoencoder_file_open. */
enum status codec_open(struct codec **out, const char *path, enum autoencoder_halves halves,
                       int threads, struct error *err);
/* The same without taking its hash (autoencoder_file_open_unnamed). */
enum status codec_open_unnamed(struct codec **out, const char *path, enum autoencoder_halves halves,
                               int threads, struct error *err);
/* The same of a network that is at hand and stays the caller's; hash: 64 letters, copied. */
enum status codec_new(struct codec **out, const struct network *net, const char *hash, int threads,
                      struct error *err);
void codec_free(struct codec *c); /* NULL is fine */

const struct network *codec_network(const struct codec *c);
/* SHA-256 of the file, in small letters: what caches and latent models name it by. */
const char *codec_hash(const struct codec *c);
/* Cells of the latent along a side of so many pixels. */
int64_t codec_cells(const struct codec *c, int64_t pixels);

enum { CODEC_OVERLAP = 8 };

/* How to work.  All zero: pictures whole, the posterior's mean. */
struct codec_limits {
    int64_t memory;  /* bytes that weights and values may take together; 0: no limit.  The
                        caller's own arrays are not counted                                    */
    int64_t tile;    /* side of a tile in cells; 0: tiles only where nothing else fits         */
    int64_t overlap; /* cells that neighbouring tiles share; 0: CODEC_OVERLAP, or half a tile  */
    int64_t frames;  /* of a tile of a clip; 0: VIDEO_TILE (codec_video.h); of pictures: nothing  */
    bool sample;     /* encode: draw from the posterior where there is one                     */
    uint64_t seed, first; /* picture i of a call draws by (seed, first + i), wherever it stands */
    bool (*progress)(int64_t done, int64_t n, void *user); /* runs of the network; false stops */
    void *user;
    double every; /* seconds after which it is called during a run too; 0: not               */
    graph_watch *watch; /* asked between the operations of each run: share of all runs; or NULL  */
    void *watch_user;
};

/* A limit for who sets none: three quarters of what the machine has free; 0 where it does not say.
 */
int64_t codec_memory_usual(void);

/* What a call would do.  Whole, a picture's bits depend on nothing but itself.  One that does not
 * fit into `memory` goes through in strips, which take up to twice as long and give the same to 16
 * bits; and where not even those fit, or `tile` asks for it, in tiles.  Tiles change the result,
 * since norms and attention then see one tile and not the picture.  What fits depends on the number
 * of threads too. */
struct codec_plan {
    struct tiling tiling;      /* one tile, the picture, when in strips                  */
    struct strips_plan strips; /* n = 0: not in strips                                */
    int64_t batch;             /* pictures a run; 1 when there are several tiles              */
    int64_t runs;              /* of the network, for all pictures                            */
    int64_t bytes;             /* at most, as memory counts them                              */
};

/* half: HALVES_ENCODER or HALVES_DECODER.  E_ARG as tiling_plan; E_MEMORY, with the numbers, when
 * the limit allows no tile. */
enum status codec_plan(struct codec_plan *out, struct codec *c, enum autoencoder_halves half,
                       int64_t n, int64_t height, int64_t width, const struct codec_limits *l,
                       struct error *err);

/* l: NULL for all zero.  The codec must have been opened with that half.  Fails as codec_plan;
 * E_CANCELLED; E_MEMORY.  Latents that are no numbers are the caller's to find. */
enum status codec_encode(struct codec *c, float *latents, const float *pictures, int64_t n,
                         int64_t height, int64_t width, const struct codec_limits *l,
                         struct error *err);
/* pictures: not clamped to -1 .. 1. */
enum status codec_decode(struct codec *c, float *pictures, const float *latents, int64_t n,
                         int64_t height, int64_t width, const struct codec_limits *l,
                         struct error *err);

#endif
