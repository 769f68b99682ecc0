/*
 * hash.c - what a file is, in 64 hexadecimal digits
 *
 * A recipe names the model it needs by content, because file names change and two runs of the same
 * name are not the same model.  SHA-256 is what people's tools print.
 */
#include "base/hash.h"

#include "base/file.h"

#include <nettle/sha2.h>
#include <stdio.h>

enum status hash_file(char out[HASH_TEXT], const char *path, struct error *err)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct file_map file = {0};
    struct sha256_ctx ctx;
    enum status st;

    if ((st = file_map(&file, path, err)))
        return st;
    sha256_init(&ctx);
    sha256_update(&ctx, (size_t)file.n, file.bytes);
    sha256_digest(&ctx, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    file_map_release(&file);
    return OK;
}
