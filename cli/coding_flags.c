/*
 * coding_flags.c - the flags by which pictures go through an autoencoder, and saying what that
 * takes
 */
#include "coding_flags.h"

#include "units.h"

#include <inttypes.h>
#include <stdio.h>

int coding_flags_apply(const struct coding_flags *f, const struct command *c,
                       struct imgen_coding *how)
{
    imgen_coding_init(how);
    if (f->memory && (!imgen_bytes(f->memory, &how->memory) || how->memory < 0))
        return command_misused(c,
                               "--memory: '%s' is no size: bytes, or a number with K, M or G as "
                               "in 2.5G",
                               f->memory);
    how->tile = f->tile;
    how->overlap = f->overlap;
    return EXIT_DONE;
}

const char *coding_words(char out[CODING_WORDS], const struct imgen_coding_plan *p, int64_t height,
                         int64_t width)
{
    char bytes[UNITS_ROOM];

    units_bytes(bytes, (double)p->bytes);
    if (p->tiles_down * p->tiles_across == 1)
        snprintf(out, CODING_WORDS, "%" PRId64 " x %" PRId64 " pixels in one piece, %s", width,
                 height, bytes);
    else
        snprintf(out, CODING_WORDS,
                 "%" PRId64 " x %" PRId64 " pixels in %" PRId64 " x %" PRId64 " tiles of %" PRId64
                 " x %" PRId64 " cells that share %" PRId64 ", %s",
                 width, height, p->tiles_across, p->tiles_down, p->tile_columns, p->tile_rows,
                 p->overlap, bytes);
    return out;
}
