/*
 * skip_flags.h - skip-layer guidance, by flags in the place of numbers
 */
#ifndef CLI_SKIP_FLAGS_H
#define CLI_SKIP_FLAGS_H

#include "cli.h"

#include <stddef.h>

/* A member of the command's options. */
struct skip_flags {
    struct imgen_int_list layers;
    double scale, start, stop;
};

/* clang-format off */
#define SKIP_ROWS(at)                                                                          \
    {"skip_layers", "away from itself without these blocks, 0 first; default: 7,8,9",          \
     IMGEN_OPTION_INTS, (at) + offsetof(struct skip_flags, layers), .lo = 0, .hi = 100000,     \
     .value = "N,N,..."},                                                                      \
    {"skip_scale", "how far; default 2.5 with any of these flags", IMGEN_OPTION_REAL,          \
     (at) + offsetof(struct skip_flags, scale), .lo = 0, .hi = 1000},                          \
    {"skip_start", "after this share of the steps; default: 0.01", IMGEN_OPTION_REAL,          \
     (at) + offsetof(struct skip_flags, start), .lo = 0, .hi = 1},                             \
    {"skip_stop", "and before this one; default: 0.2", IMGEN_OPTION_REAL,                      \
     (at) + offsetof(struct skip_flags, stop), .lo = 0, .hi = 1}
/* clang-format on */

/* What r->numbers points to afterwards. */
enum { SKIP_FLAGS = 4, SKIP_NUMBERS = 64 };
struct skip_numbers {
    const char *at[SKIP_NUMBERS];
    char text[SKIP_FLAGS][512];
};

/* The flags that were typed as numbers of the request, in the place of those that say the same; a
 * scale is added where there is none.  An exit code. */
int skip_flags_apply(const struct command *c, const bool *given, const struct skip_flags *f,
                     struct skip_numbers *room, struct imgen_request *r);

#endif
