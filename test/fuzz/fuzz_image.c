/*
 * fuzz_image.c - any bytes as a PNG, JPEG or WebP picture, or as texts in a PNG
 *
 * A PNG chunk is behind a checksum that random changes never hit, so the checksums of what looks
 * like chunks are put right first, in every second input.
 */
#include "io/image.h"

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

static void read_texts(const uint8_t *bytes, size_t n)
{
    static const char *const keys[] = {"parameters", "deflated", "unicode", "both"};

    for (int i = 0; i < 4; i++) {
        char *text;

        if (!png_find_text(&text, bytes, n, keys[i], NULL))
            free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct image im;
    uint8_t *mended = malloc(n ? n : 1);

    if (n)
        memcpy(mended, bytes, n);
    if (n >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) && bytes[n - 1] % 2)
        mend_checksums(mended, n);
    read_texts(mended, n);
    if (image_decode(&im, mended, n, "fuzz", &err)) {
        MUST(err.text[0] && !im.pixels, "a failure without a sentence");
    } else {
        MUST(im.height > 0 && im.width > 0 && im.channels >= 1 && im.channels <= 4, "a picture");
        if (im.height * im.width < 4096 && !image_fit(&im, &im, 9, 7, NULL))
            image_convert(&im, &im, 1, (const uint8_t[3]){0, 0, 0}, NULL);
        image_release(&im);
    }
    free(mended);
    return 0;
}
