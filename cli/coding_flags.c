/*
 * coding_flags.c - the flags by which pictures go through an autoencoder, and saying what that
 * takes
 */
#include "coding_flags.h"

#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    how->frames = f->tile_frames;
    return EXIT_DONE;
}

void coding_say_plan(struct progress *progress, char said[CODING_WORDS],
                     const struct imgen_coding_plan *p, int64_t height, int64_t width)
{
    char words[CODING_WORDS], bytes[UNITS_ROOM];

    units_bytes(bytes, (double)p->bytes);
    if (p->strips)
        snprintf(words, sizeof words, "%" PRId64 " x %" PRId64 " pixels in strips, %s", width,
                 height, bytes);
    else if (p->tiles_down * p->tiles_across == 1)
        snprintf(words, sizeof words, "%" PRId64 " x %" PRId64 " pixels in one piece, %s", width,
                 height, bytes);
    else
        snprintf(words, sizeof words,
                 "%" PRId64 " x %" PRId64 " pixels in %" PRId64 " x %" PRId64 " tiles of %" PRId64
                 " x %" PRId64 " cells that share %" PRId64 ", %s",
                 width, height, p->tiles_across, p->tiles_down, p->tile_columns, p->tile_rows,
                 p->overlap, bytes);
    if (strcmp(words, said) != 0)
        progress_note(progress, "%s", words);
    memcpy(said, words, sizeof words);
}

void coding_complain(struct progress *progress, const struct command *c, const char *path,
                     const struct imgen_error *err)
{
    bool named = strstr(err->text, path) != NULL;

    progress_end(progress);
    if (err->status != IMGEN_E_CANCELLED)
        fprintf(stderr, "imgen %s: %s%s%s\n", c->is.name, named ? "" : path, named ? "" : ": ",
                err->text);
}
