/*
 * coding_flags.h - the flags by which pictures go through an autoencoder, and saying what that
 * takes
 */
#ifndef CLI_CODING_FLAGS_H
#define CLI_CODING_FLAGS_H

#include "cli.h"
#include "progress.h"

#include <stddef.h>
#include <stdint.h>

/* A member of the command's options; its rows stand in the command's table. */
struct coding_flags {
    char *memory; /* a size */
    int64_t tile, overlap, tile_frames, threads;
};

/* clang-format off */
/* The rows; at: where the member stands in the options. */
#define CODING_ROWS(at)                                                                        \
    {"memory", "most memory of the work, \"2G\": larger pictures are cut; 0: no limit; " \
     "default: three quarters of what is free",                                                \
     IMGEN_OPTION_TEXT, (at) + offsetof(struct coding_flags, memory), .value = "SIZE"},        \
    {"tile", "side of a tile in cells of the latent; 0: tiles only where nothing else fits", \
     IMGEN_OPTION_INT, (at) + offsetof(struct coding_flags, tile), "0", .lo = 0, .hi = 16384}, \
    {"overlap", "cells that neighbouring tiles share; 0: 8, or half a tile", IMGEN_OPTION_INT, \
     (at) + offsetof(struct coding_flags, overlap), "0", .lo = 0, .hi = 8192},                 \
    {"tile_frames", "frames of the tiles in which clips go through; 0: 32", IMGEN_OPTION_INT,  \
     (at) + offsetof(struct coding_flags, tile_frames), "0", .lo = 0, .hi = 1024},             \
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,                                 \
     (at) + offsetof(struct coding_flags, threads), "0", .lo = 0, .hi = 1024, .letter = 't'}
/* clang-format on */

/* How to work, by the flags.  Returns an exit code. */
int coding_flags_apply(const struct coding_flags *f, const struct command *c,
                       struct imgen_coding *how);

enum { CODING_WORDS = 256 };
/* Say "1024 x 768 pixels in 3 x 2 tiles of 48 x 44 cells that share 8, 512.0 MiB", or in strips, or
 * in one piece, when it is not what was said last, which is remembered in `said`. */
void coding_say_plan(struct progress *progress, char said[CODING_WORDS],
                     const struct imgen_coding_plan *p, int64_t height, int64_t width);

/* Complain of one file among others, unless it was stopped. */
void coding_complain(struct progress *progress, const struct command *c, const char *path,
                     const struct imgen_error *err);

#endif
