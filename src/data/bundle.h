/*
 * bundle.h - the files of a set, whether they lie in a folder or in one tar archive
 */
#ifndef IMGEN_DATA_BUNDLE_H
#define IMGEN_DATA_BUNDLE_H

#include "base/error.h"
#include "io/clip.h"
#include "io/image.h"

#include <stdint.h>

struct bundle_file {
    char *name;           /* its path within, "/" between the parts; heap */
    const uint8_t *bytes; /* n bytes of an archive; NULL in a folder      */
    uint64_t n;
};

struct bundle {
    char *path; /* of the folder or archive; heap */
    struct tar *tar;
    struct bundle_file *files; /* [n], sorted by the bytes of their names, none twice; heap */
    int64_t n, room;
};

/* The files of a folder and of those below it, or of a .tar archive; hidden ones (a part of the
 * name begins with a dot) are passed over.  Of equal names in an archive the last counts, as when
 * it is unpacked.  E_IO; E_FORMAT for folders too deep and what tar_open refuses; E_MEMORY.
 * Release also after a failure. */
enum status bundle_open(struct bundle *b, const char *path, struct error *err);
void bundle_release(struct bundle *b); /* zeroes it; fine on a zeroed one */

/* The number of a file, or -1. */
int64_t bundle_find(const struct bundle *b, const char *name);

/* The path of file i, as errors name it: in an archive, behind the archive's own.  *out is heap,
 * freed by the caller.  E_MEMORY. */
enum status bundle_path(char **out, const struct bundle *b, int64_t i, struct error *err);

/* File i as text, followed by a zero byte; *out is heap, freed by the caller.  E_IO; E_FORMAT,
 * naming it, when it holds more than `limit` bytes; E_MEMORY. */
enum status bundle_text(char **out, uint64_t *n, const struct bundle *b, int64_t i, uint64_t limit,
                        struct error *err);
/* File i as a picture; released by the caller.  Fails as image_read.  Safe from several threads. */
enum status bundle_picture(struct image *out, const struct bundle *b, int64_t i, struct error *err);
/* The same as a clip, of which at most `most` frames are read, 0: all.  Fails as clip_read. */
enum status bundle_clip(struct clip *out, const struct bundle *b, int64_t i, int64_t most,
                        struct error *err);

#endif
