/*
 * part_flags.h - the flags by which the parts of a published model are named
 */
#ifndef CLI_PART_FLAGS_H
#define CLI_PART_FLAGS_H

#include "cli.h"

#include <stddef.h>

/* A member of the command's options. */
struct part_flags {
    char *clip_l, *clip_g, *t5xxl, *merges, *spiece;
    bool no_t5;
};

/* clang-format off */
#define PART_ROWS(at)                                                                          \
    {"clip_l", "Stable Diffusion 3: the text encoder CLIP-L, where it is not found by itself", \
     IMGEN_OPTION_TEXT, (at) + offsetof(struct part_flags, clip_l), .value = "PATH"},          \
    {"clip_g", "the same: CLIP bigG", IMGEN_OPTION_TEXT,                                       \
     (at) + offsetof(struct part_flags, clip_g), .value = "PATH"},                             \
    {"t5xxl", "the same: T5-XXL", IMGEN_OPTION_TEXT,                                           \
     (at) + offsetof(struct part_flags, t5xxl), .value = "PATH"},                              \
    {"no_t5", "the same: do without T5, which is the largest part of it", IMGEN_OPTION_BOOL,   \
     (at) + offsetof(struct part_flags, no_t5), .letter = 0},                                  \
    {"merges", "the same: CLIP's vocabulary, merges.txt", IMGEN_OPTION_TEXT,                   \
     (at) + offsetof(struct part_flags, merges), .value = "FILE"},                             \
    {"spiece", "the same: T5's vocabulary, spiece.model", IMGEN_OPTION_TEXT,                   \
     (at) + offsetof(struct part_flags, spiece), .value = "FILE"}
/* clang-format on */

/* As they were typed; autoencoder: of a flag of its own, or NULL. */
struct imgen_parts part_flags_parts(const struct part_flags *f, const char *autoencoder);
/* Whether any part is named. */
bool parts_named(const struct imgen_parts *p);

#endif
