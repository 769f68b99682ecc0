/*
 * fuzz_picture_latent.c - any bytes as the latent of a picture
 */
#include "data/picture_latent.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct picture_latent z;
    struct error err = {0};

    if (picture_latent_read_bytes(&z, bytes, n, "fuzz", 4, &err))
        MUST(err.text[0], "a failure without a sentence");
    else
        MUST(z.channels == 4 && z.rows > 0 && z.columns > 0 && z.values, "a latent of nothing");
    picture_latent_release(&z);
    return 0;
}
