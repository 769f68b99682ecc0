/*
 * idx.h - the IDX format of MNIST and its kin
 */
#ifndef IMGEN_DATA_IDX_H
#define IMGEN_DATA_IDX_H

#include "base/error.h"

#include <stdint.h>

enum { IDX_SIDE = 4096 }; /* larger pictures are refused */

/* An array of bytes: labels [n] (n_dims 1) or pictures [n, height, width] (n_dims 3). */
struct idx {
    int n_dims;
    int64_t dims[3];
    uint8_t *bytes; /* heap, freed by idx_release */
};

/* bytes: the file's, plain or gzip; name: for messages.  E_FORMAT unless it is exactly one array of
 * n_dims (1 or 3) dimensions of unsigned bytes, with nothing missing and nothing behind; E_MEMORY.
 */
enum status idx_decode(struct idx *out, int n_dims, const uint8_t *bytes, uint64_t n,
                       const char *name, struct error *err);
void idx_release(struct idx *a); /* zeroes it; fine on a zeroed one */

#endif
