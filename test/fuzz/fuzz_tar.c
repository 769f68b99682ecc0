/*
 * fuzz_tar.c - any bytes as a tar archive
 *
 * No random change survives a checksum.  So the input is also sealed: each block of it that is not
 * all zeros is given the checksum that it would need as a header.
 */
#include "io/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void try_archive(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct tar *t;
    volatile unsigned sum = 0; /* volatile, so that every byte is read */

    if (tar_open_bytes(&t, bytes, n, "fuzz", &err)) {
        MUST(!t && err.text[0], "a failure without a sentence");
        return;
    }
    for (int64_t i = 0; i < tar_count(t); i++) {
        const struct tar_file *f = tar_at(t, i);

        MUST(f->name[0] && strlen(f->name) < TAR_NAME, "a name");
        MUST(f->bytes >= bytes && f->n <= (uint64_t)(bytes + n - f->bytes), "bytes outside");
        for (uint64_t k = 0; k < f->n; k++)
            sum = sum + f->bytes[k];
    }
    tar_close(t);
}

static void seal(uint8_t *header)
{
    unsigned sum = 0;

    memset(header + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint8_t zeros[BLOCK];
    uint8_t *copy = malloc(n + 1);

    try_archive(bytes, n);
    if (!copy)
        return 0;
    memcpy(copy, bytes, n);
    for (size_t at = 0; at + BLOCK <= n; at += BLOCK)
        if (memcmp(copy + at, zeros, BLOCK) != 0)
            seal(copy + at);
    try_archive(copy, n);
    free(copy);
    return 0;
}
