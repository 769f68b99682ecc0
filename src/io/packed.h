/*
 * packed.h - bytes that may be gzip, read front to back
 */
#ifndef IMGEN_IO_PACKED_H
#define IMGEN_IO_PACKED_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

/* Lives over the caller's bytes.  Zero it before packed_open; do not move it while open (zlib keeps
 * its address). */
struct packed {
    const char *name; /* for messages; the caller's    */
    const uint8_t *bytes;
    uint64_t n, at;
    bool gzip, ended;
    z_stream z;
};

/* Gzip is told by its two magic bytes.  E_MEMORY. */
enum status packed_open(struct packed *p, const uint8_t *bytes, uint64_t n, const char *name,
                        struct error *err);
void packed_close(struct packed *p); /* fine on a zeroed one */

/* The next `want` bytes into out; *got is less only at the end.  E_FORMAT when gzip data are cut
 * short, damaged (the checksum is verified) or followed by anything but another gzip member. */
enum status packed_take(struct packed *p, uint8_t *out, uint64_t want, uint64_t *got,
                        struct error *err);

/* No more than this can still come out: what a claim in a header is checked against before memory
 * is asked for.  Deflate expands at most 1032 times. */
uint64_t packed_most(const struct packed *p);

#endif
