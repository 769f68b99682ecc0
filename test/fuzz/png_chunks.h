/*
 * png_chunks.h - what looks like a PNG, its checksums put right
 */
#ifndef IMGEN_TEST_FUZZ_PNG_CHUNKS_H
#define IMGEN_TEST_FUZZ_PNG_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

/* A PNG chunk is behind a checksum that random changes never hit.  A copy of the bytes, freed by
 * the caller, in which the checksums of what looks like chunks are right: in every second of the
 * inputs that begin as a PNG does.  NULL for want of memory. */
uint8_t *png_chunks_mended(const uint8_t *bytes, size_t n);

#endif
