/*
 * hash.c - what a file is, in 64 hexadecimal digits
 *
 * A recipe names the model it needs by content, because file names change and two runs of the same
 * name are not the same model.  SHA-256 is what people's tools print.
 */
#include "base/hash.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

void hash_begin(struct hash *h)
{
    sha256_init(&h->ctx);
}

void hash_add(struct hash *h, const void *bytes, uint64_t n)
{
    sha256_update(&h->ctx, (size_t)n, bytes);
}

void hash_digest(struct hash *h, uint8_t out[HASH_BYTES])
{
    sha256_digest(&h->ctx, HASH_BYTES, out);
}

void hash_end(struct hash *h, char out[HASH_TEXT])
{
    uint8_t digest[HASH_BYTES];

    hash_digest(h, digest);
    for (int i = 0; i < HASH_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

bool hash_is(const char *text)
{
    return strlen(text) == HASH_TEXT - 1 && strspn(text, "0123456789abcdef") == HASH_TEXT - 1;
}

enum { PIECE = 8 << 20 };

enum status hash_file(char out[HASH_TEXT], const char *path, struct error *err)
{
    struct file_map file = {0};
    struct hash h;
    enum status st;

    if ((st = file_map(&file, path, err)))
        return st;
    hash_begin(&h);
    for (uint64_t at = 0, n; at < file.n; at += n) {
        n = file.n - at < PIECE ? file.n - at : PIECE;
        hash_add(&h, file.bytes + at, n);
        file_map_drop(&file, file.bytes + at, n); /* weights need not be in memory twice */
    }
    hash_end(&h, out);
    file_map_release(&file);
    return OK;
}
