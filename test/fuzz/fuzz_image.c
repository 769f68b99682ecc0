/*
 * fuzz_image.c - any bytes as a PNG, JPEG or WebP picture, or as texts in a PNG
 *
 * The checksums of PNG chunks are put right first, in every second input, since random changes
 * never hit them.
 */
#include "io/image.h"

#include "fuzz/png_chunks.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

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
    uint8_t *mended = png_chunks_mended(bytes, n);

    if (!mended)
        return 0;
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
