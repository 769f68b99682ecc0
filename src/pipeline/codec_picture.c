/*
 * codec_picture.c - pictures as files hold them, to latents as files hold them, and back
 *
 * Between a file's bytes and the network's numbers stand two conventions, that of the channels and
 * that of the range, and they must be the same on both ways: 0 .. 255 to -1 .. 1 as everywhere else
 * (data/picture.h, pipeline/picture.h).
 *
 * A picture's sample is keyed by its pixels.  Its number in a list would do as well, until a file
 * is added to the folder and every latent behind it changes.
 */
#include "pipeline/codec_picture.h"

#include "base/memory.h"
#include "data/picture.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t key_of(const struct image *im)
{
    uint8_t digest[HASH_BYTES];
    uint64_t key = 0;
    struct hash h;

    hash_begin(&h);
    hash_add(&h, im->pixels, (uint64_t)(im->height * im->width * im->channels));
    hash_digest(&h, digest);
    for (int i = 0; i < 8; i++)
        key = key << 8 | digest[i];
    return key;
}

enum status codec_check_finite(const float *z, int64_t n, struct error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(z[i]))
            return fail(err, E_NOT_FINITE, "number %" PRId64 " of the latent is not finite", i);
    return OK;
}

/* As many channels as the network wants, in -1 .. 1. */
static enum status to_floats(float **out, const struct image *im, struct error *err)
{
    int64_t n = im->height * im->width * im->channels;
    enum status st;

    if ((st = mem_new((void **)out, (uint64_t)n, sizeof **out, "a picture", err)))
        return st;
    picture_floats(*out, im->pixels, n);
    return OK;
}

/* What the latent says of itself. */
static enum status describe(struct picture_latent *z, struct codec *c, const struct image *im,
                            const struct codec_limits *l, struct error *err)
{
    struct codec_plan plan;
    enum status st;

    if ((st = codec_plan(&plan, c, HALVES_ENCODER, 1, im->height, im->width, l, err)))
        return st;
    memcpy(z->autoencoder, codec_hash(c), HASH_TEXT);
    z->height = im->height;
    z->width = im->width;
    z->rows = plan.tiling.down.cells;
    z->columns = plan.tiling.across.cells;
    z->cells = 1;
    z->channels = codec_network(c)->io.latent_channels;
    z->sampled = l->sample && codec_network(c)->io.gaussian;
    z->seed = z->sampled ? l->seed : 0;
    if (tiling_count(&plan.tiling) > 1) {
        z->tile_rows = plan.tiling.down.tile;
        z->tile_columns = plan.tiling.across.tile;
    }
    return mem_new((void **)&z->values, (uint64_t)(z->rows * z->columns * z->channels),
                   sizeof *z->values, "a latent", err);
}

enum status codec_encode_picture(struct picture_latent *z, struct codec *c, const struct image *im,
                                 const struct codec_limits *l, struct error *err)
{
    static const uint8_t white[3] = {255, 255, 255};
    int64_t channels = codec_network(c)->io.in_channels;
    struct codec_limits keyed = l ? *l : (struct codec_limits){0};
    struct image plain = {0};
    float *x = NULL;
    enum status st;

    *z = (struct picture_latent){0};
    if (channels != 1 && channels != 3)
        return fail(err, E_UNSUPPORTED,
                    "the autoencoder takes %" PRId64 " channels, and a picture has 1 or 3",
                    channels);
    if ((st = image_convert(&plain, im, channels, white, err)) || (st = to_floats(&x, &plain, err)))
        goto out;
    keyed.first = key_of(&plain);
    if (!(st = describe(z, c, &plain, &keyed, err)) &&
        !(st = codec_encode(c, z->values, x, 1, im->height, im->width, &keyed, err)))
        st = codec_check_finite(z->values, z->rows * z->columns * z->channels, err);
out:
    free(x);
    image_release(&plain);
    return st;
}

enum status codec_check_latent(const struct codec *c, const struct picture_latent *z,
                               struct error *err)
{
    if (!z->autoencoder[0] || !strcmp(z->autoencoder, codec_hash(c)))
        return OK;
    return fail(err, E_FORMAT, "a latent of the autoencoder %s, not of %s", z->autoencoder,
                codec_hash(c));
}

enum status codec_decode_picture(struct image *out, struct codec *c, const struct picture_latent *z,
                                 const struct codec_limits *l, struct error *err)
{
    const struct network_io *io = &codec_network(c)->io;
    int64_t height = z->height ? z->height : z->rows * io->factor;
    int64_t width = z->width ? z->width : z->columns * io->factor;
    float *x;
    enum status st;

    MUST(z->channels == io->latent_channels, "a latent of %" PRId64 " channels", z->channels);
    if (z->frames)
        return fail(err, E_FORMAT, "the latent of a clip of %" PRId64 " frames, not of a picture",
                    z->frames);
    if (codec_cells(c, height) != z->rows || codec_cells(c, width) != z->columns)
        return fail(err, E_FORMAT,
                    "a latent of %" PRId64 " x %" PRId64 " cells is none of a picture of %" PRId64
                    " x %" PRId64 " at a factor of %" PRId64,
                    z->columns, z->rows, width, height, io->factor);
    if ((st = mem_new((void **)&x, (uint64_t)(height * width),
                      (uint64_t)io->in_channels * sizeof *x, "a picture", err)))
        return st;
    if (!(st = codec_decode(c, x, z->values, 1, height, width, l, err)))
        st = picture_from_floats(out, x, height, width, io->in_channels, err);
    free(x);
    return st;
}
