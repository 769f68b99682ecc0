/*
 * png_chunks.c - what looks like a PNG, its checksums put right
 */
#include "fuzz/png_chunks.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void mend(uint8_t *bytes, size_t n)
{
    for (size_t at = 8; at + 12 <= n;) {
        size_t length = read_u32(bytes + at);
        uint32_t crc;

        if (length > n - at - 12)
            return;
        crc = (uint32_t)crc32(0, bytes + at + 4, (uInt)length + 4);
        for (int i = 0; i < 4; i++)
            bytes[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += length + 12;
    }
}

uint8_t *png_chunks_mended(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, bytes, n);
    if (n >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) && bytes[n - 1] % 2)
        mend(copy, n);
    return copy;
}
