/*
 * tar.h - the files inside a tar archive, read where they lie
 *
 *     512 bytes   header: name, size, type, checksum, ...     \  for each member, one
 *     size bytes  content, and zeros up to a multiple of 512  /  after the other
 *     1024 bytes  zeros, and nothing but zeros behind them
 *
 * Read are ustar archives (with the prefix of long names) and the older ones before them, GNU's
 * long names and sizes in base 256, and the records `path` and `size` of pax.  Nothing is unpacked:
 * a name is a text, whatever folders it speaks of.
 */
#ifndef IMGEN_IO_TAR_H
#define IMGEN_IO_TAR_H

#include "base/error.h"

#include <stdint.h>

enum { TAR_NAME = 4096 }; /* bytes of a name, the zero included */

struct tar_file {
    char *name;           /* without "./" in front */
    const uint8_t *bytes; /* n bytes of the archive */
    uint64_t n;
};

struct tar;

/* Map an archive and read all its headers.  E_IO; E_FORMAT naming archive, byte and numbers: a
 * checksum that is wrong, a member that reaches past the end, no end; E_UNSUPPORTED for compressed
 * and sparse files and parts of several volumes; E_MEMORY. */
enum status tar_open(struct tar **out, const char *path, struct error *err);
/* The same for bytes in memory, which must outlive the result. */
enum status tar_open_bytes(struct tar **out, const uint8_t *bytes, uint64_t n, const char *name,
                           struct error *err);
void tar_close(struct tar *t);

/* The regular files in the order of the archive, in which a name may come again; folders, links and
 * devices are passed over. */
int64_t tar_count(const struct tar *t);
const struct tar_file *tar_at(const struct tar *t, int64_t i);

#endif
