/*
 * fuzz_clip.c - any bytes as an animated WebP, APNG, GIF or Y4M clip, or, where its plugin is, as video
 *
 * As in fuzz_image.c the checksums of PNG chunks are put right first, in every second input, since
 * random changes never hit them.
 */
#include "io/clip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void mend_checksums(uint8_t *bytes, size_t n)
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

static void try_clip(const uint8_t *bytes, size_t n, int64_t most)
{
    struct error err = {0};
    struct clip c;

    if (clip_decode(&c, bytes, n, most, "fuzz", &err)) {
        MUST(err.text[0] && !c.pixels, "a failure without a sentence");
        return;
    }
    MUST(c.frames > 0 && (!most || c.frames <= most) && c.height > 0 && c.width > 0, "a clip");
    MUST(c.channels >= 1 && c.channels <= 4 && c.rate >= 0, "of channels and a rate");
    for (int64_t t = 0; t < c.frames; t++) {
        struct image frame = clip_frame(&c, t), small;

        if (frame.height * frame.width < 4096 && !image_fit(&small, &frame, 5, 7, NULL))
            image_release(&small);
    }
    clip_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    uint8_t *mended = malloc(n ? n : 1);

    if (!mended)
        return 0;
    if (n)
        memcpy(mended, bytes, n);
    if (n >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) && bytes[n - 1] % 2)
        mend_checksums(mended, n);
    try_clip(mended, n, 0);
    try_clip(mended, n, 2);
    free(mended);
    return 0;
}
