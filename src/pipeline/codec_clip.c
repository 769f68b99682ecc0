/*
 * codec_clip.c - clips as files hold them, to latents as files hold them, and back
 *
 * What codec_picture.c is for pictures.  The numbers of a clip go through codec_video.c, which
 * wants sides that are multiples of the factor: what the last row and column of cells lack is their
 * edge, repeated, and is cut away again after decoding, so that a clip comes back in exactly its
 * own size, as a picture does (tiling.h).
 */
#include "pipeline/codec_clip.h"

#include "base/memory.h"
#include "data/picture.h"
#include "pipeline/codec_picture.h"
#include "pipeline/codec_video.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct video_size padded(const struct codec *c, int64_t frames, int64_t height,
                                int64_t width)
{
    int64_t factor = codec_network(c)->io.factor;

    return (struct video_size){frames, codec_cells(c, height) * factor,
                               codec_cells(c, width) * factor};
}

/* A frame [height, width, channels] in the corner of a larger one; where it ends, its edge goes on.
 */
static void lay_frame(uint8_t *to, const struct video_size *size, const struct image *im)
{
    int64_t C = im->channels;

    for (int64_t y = 0; y < size->height; y++)
        for (int64_t x = 0; x < size->width; x++) {
            int64_t row = y < im->height ? y : im->height - 1;
            int64_t column = x < im->width ? x : im->width - 1;

            memcpy(to + (y * size->width + x) * C, im->pixels + (row * im->width + column) * C,
                   (size_t)C);
        }
}

/* One frame of the clip, with as many channels as the network wants, alpha over white. */
static enum status plain_frame(struct image *out, const struct clip *clip, int64_t t,
                               int64_t channels, struct error *err)
{
    static const uint8_t white[3] = {255, 255, 255};
    struct image frame = clip_frame(clip, t);

    return image_convert(out, &frame, channels, white, err);
}

/* All frames one after the other as the network wants them: *x on the heap, *key of their pixels.
 */
static enum status to_floats(float **x, uint64_t *key, const struct clip *clip,
                             const struct video_size *size, int64_t channels, struct error *err)
{
    int64_t length = size->height * size->width * channels;
    uint8_t *levels = NULL, digest[HASH_BYTES];
    struct hash h;
    enum status st;

    hash_begin(&h);
    if ((st = mem_new((void **)&levels, (uint64_t)length, 1, "a frame", err)) ||
        (st = mem_new((void **)x, (uint64_t)clip->frames, (uint64_t)length * sizeof **x, "a clip",
                      err)))
        goto out;
    for (int64_t t = 0; t < clip->frames && !st; t++) {
        struct image plain = {0};

        if (!(st = plain_frame(&plain, clip, t, channels, err))) {
            hash_add(&h, plain.pixels, (uint64_t)(plain.height * plain.width * channels));
            lay_frame(levels, size, &plain);
            picture_floats(*x + t * length, levels, length);
        }
        image_release(&plain);
    }
    hash_digest(&h, digest);
    *key = 0;
    for (int i = 0; i < 8; i++)
        *key = *key << 8 | digest[i];
out:
    free(levels);
    return st;
}

/* What the latent says of itself. */
static enum status describe(struct picture_latent *z, const struct codec *c,
                            const struct clip *clip, const struct codec_limits *l,
                            struct error *err)
{
    memcpy(z->autoencoder, codec_hash(c), HASH_TEXT);
    z->height = clip->height;
    z->width = clip->width;
    z->frames = clip->frames;
    z->rate = clip->rate;
    z->cells = codec_frames(c, clip->frames);
    z->rows = codec_cells(c, clip->height);
    z->columns = codec_cells(c, clip->width);
    z->channels = codec_network(c)->io.latent_channels;
    z->sampled = l->sample && codec_network(c)->io.gaussian;
    z->seed = z->sampled ? l->seed : 0;
    return mem_new((void **)&z->values, (uint64_t)(z->cells * z->rows * z->columns),
                   (uint64_t)z->channels * sizeof *z->values, "a latent", err);
}

enum status codec_encode_clip(struct picture_latent *z, struct codec *c, const struct clip *clip,
                              const struct codec_limits *l, struct error *err)
{
    struct codec_limits keyed = l ? *l : (struct codec_limits){0};
    struct video_size size = padded(c, clip->frames, clip->height, clip->width);
    int64_t channels = codec_network(c)->io.in_channels;
    float *x = NULL;
    enum status st;

    *z = (struct picture_latent){0};
    if (clip->frames < 1)
        return fail(err, E_ARG, "a clip without frames");
    if (channels != 1 && channels != 3)
        return fail(err, E_UNSUPPORTED,
                    "the autoencoder takes %" PRId64 " channels, and a frame has 1 or 3", channels);
    if (!(st = to_floats(&x, &keyed.first, clip, &size, channels, err)) &&
        !(st = describe(z, c, clip, &keyed, err)) &&
        !(st = codec_encode_videos(c, z->values, x, 1, &size, &keyed, err)))
        st = codec_check_finite(z->values, z->cells * z->rows * z->columns * z->channels, err);
    free(x);
    return st;
}

static enum status check_cells(const struct codec *c, const struct picture_latent *z,
                               struct error *err)
{
    if (codec_frames(c, z->frames) == z->cells && codec_cells(c, z->height) == z->rows &&
        codec_cells(c, z->width) == z->columns)
        return OK;
    return fail(err, E_FORMAT,
                "a latent of %" PRId64 " frames of %" PRId64 " x %" PRId64
                " cells is none of a clip of %" PRId64 " frames of %" PRId64 " x %" PRId64
                ": that has %" PRId64 " of %" PRId64 " x %" PRId64,
                z->cells, z->columns, z->rows, z->frames, z->width, z->height,
                codec_frames(c, z->frames), codec_cells(c, z->width), codec_cells(c, z->height));
}

/* The corner of each frame, in 8 bits. */
static enum status take_frames(struct clip *out, const float *x, const struct video_size *size,
                               int64_t channels, struct error *err)
{
    int64_t row = out->width * channels;
    uint8_t *levels;
    enum status st;

    if ((st = mem_new((void **)&levels, (uint64_t)out->height, (uint64_t)row, "a frame", err)))
        return st;
    for (int64_t t = 0; t < size->frames && !st; t++) {
        for (int64_t y = 0; y < out->height && !st; y++)
            st = picture_levels(levels + y * row,
                                x + (t * size->height + y) * size->width * channels, row, err);
        if (!st)
            st = clip_add(out, levels, err);
    }
    free(levels);
    return st;
}

enum status codec_decode_clip(struct clip *out, struct codec *c, const struct picture_latent *z,
                              const struct codec_limits *l, struct error *err)
{
    struct video_size size = padded(c, z->frames, z->height, z->width);
    int64_t channels = codec_network(c)->io.in_channels;
    float *x = NULL;
    enum status st;

    *out = (struct clip){0};
    MUST(z->channels == codec_network(c)->io.latent_channels, "a latent of %" PRId64 " channels",
         z->channels);
    MUST(z->frames > 0, "the latent of a picture as that of a clip");
    if ((st = check_cells(c, z, err)) ||
        (st = clip_begin(out, z->height, z->width, channels, err)) ||
        (st = mem_new((void **)&x, (uint64_t)(size.frames * size.height * size.width),
                      (uint64_t)channels * sizeof *x, "a clip", err)))
        return st;
    out->rate = z->rate;
    if (!(st = codec_decode_videos(c, x, z->values, 1, &size, l, err)))
        st = take_frames(out, x, &size, channels, err);
    free(x);
    if (st)
        clip_release(out);
    return st;
}
