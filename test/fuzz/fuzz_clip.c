/*
 * fuzz_clip.c - any bytes as an animated WebP, APNG, GIF or Y4M clip, or, where its plugin is, as video
 *
 * The checksums of PNG chunks are put right first, in every second input, since random changes
 * never hit them.
 */
#include "io/clip.h"

#include "fuzz/png_chunks.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

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
    uint8_t *mended = png_chunks_mended(bytes, n);

    if (!mended)
        return 0;
    try_clip(mended, n, 0);
    try_clip(mended, n, 2);
    free(mended);
    return 0;
}
