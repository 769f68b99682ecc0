/*
 * hash.h - what a file is, in 64 hexadecimal digits
 */
#ifndef IMGEN_BASE_HASH_H
#define IMGEN_BASE_HASH_H

#include "base/error.h"

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdint.h>

enum { HASH_TEXT = 65, HASH_BYTES = SHA256_DIGEST_SIZE };

/* SHA-256 of bytes that come in pieces. */
struct hash {
    struct sha256_ctx ctx;
};
void hash_begin(struct hash *h);
void hash_add(struct hash *h, const void *bytes, uint64_t n);
/* Of all that was added; h begins anew. */
void hash_digest(struct hash *h, uint8_t out[HASH_BYTES]);
/* The same in small letters. */
void hash_end(struct hash *h, char out[HASH_TEXT]);

/* Whether a text is such a hash. */
bool hash_is(const char *text);

/* SHA-256 of a file's bytes, in small letters.  E_IO. */
enum status hash_file(char out[HASH_TEXT], const char *path, struct error *err);

#endif
