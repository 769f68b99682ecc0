/*
 * clip_webp.c - animated WebP, read and written by libwebp
 *
 * libwebp lays the frames over one another itself.  As in webp.c, the length in the RIFF header and
 * the size of the canvas are looked at before its decoder asks for memory.  Written frames are
 * whole pictures to the encoder, which finds out what changes and keeps a picture every few frames.
 */
#include "io/clip_codec.h"

#include <inttypes.h>
#include <stdlib.h>

#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>
#include <webp/mux.h>

enum { RIFF_HEAD = 12, METHOD = 4 };

bool webp_is_clip(const uint8_t *bytes, size_t n)
{
    WebPBitstreamFeatures features;

    return webp_is(bytes, n) && WebPGetFeatures(bytes, n, &features) == VP8_STATUS_OK &&
           features.has_animation;
}

static enum status check_file(const uint8_t *bytes, size_t n, struct error *err)
{
    uint64_t claimed = (uint64_t)bytes[4] | (uint64_t)bytes[5] << 8 | (uint64_t)bytes[6] << 16 |
                       (uint64_t)bytes[7] << 24;
    WebPBitstreamFeatures features;

    if (claimed > n - 8)
        return fail(err, E_FORMAT, "the file claims %" PRIu64 " bytes and has %zu", claimed + 8, n);
    if (WebPGetFeatures(bytes, n, &features) != VP8_STATUS_OK)
        return fail(err, E_FORMAT, "the header is damaged");
    return image_check_size(features.height, features.width, err);
}

static enum status read_frames(struct clip *out, WebPAnimDecoder *decoder, int64_t most,
                               struct error *err)
{
    int time = 0;
    WebPAnimInfo info;
    uint8_t *pixels;
    enum status st;

    if (!WebPAnimDecoderGetInfo(decoder, &info))
        return fail(err, E_FORMAT, "the file is damaged");
    if ((st = clip_begin(out, info.canvas_height, info.canvas_width, 4, err)))
        return st;
    while (out->frames < info.frame_count && out->frames < most) {
        if (!WebPAnimDecoderGetNext(decoder, &pixels, &time))
            return fail(err, E_FORMAT, "frame %" PRId64 " of %u is damaged", out->frames,
                        info.frame_count);
        if ((st = clip_add(out, pixels, err)))
            return st;
    }
    out->rate = time > 0 ? (double)out->frames * 1000 / time : 0;
    return OK;
}

enum status webp_clip_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                             struct error *err)
{
    WebPData file = {bytes, n};
    WebPAnimDecoderOptions options;
    WebPAnimDecoder *decoder;
    enum status st;

    if ((st = check_file(bytes, n, err)))
        return st;
    if (!WebPAnimDecoderOptionsInit(&options))
        return fail(err, E_UNSUPPORTED, "libwebp is of another version");
    options.color_mode = MODE_RGBA;
    if (!(decoder = WebPAnimDecoderNew(&file, &options)))
        return fail(err, E_FORMAT, "the file is damaged, or memory is wanting");
    st = read_frames(out, decoder, most, err);
    WebPAnimDecoderDelete(decoder);
    return st;
}

/* The picture wants RGBA; grey stands in all three. */
static void fill_picture(WebPPicture *picture, const struct image *im)
{
    int64_t c = im->channels, n = im->height * im->width;

    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = im->pixels + i * c;
        uint32_t r = p[0], g = p[c >= 3 ? 1 : 0], b = p[c >= 3 ? 2 : 0];
        uint32_t a = c == 2 ? p[1] : c == 4 ? p[3] : 255;

        picture->argb[i / im->width * picture->argb_stride + i % im->width] =
            a << 24 | r << 16 | g << 8 | b;
    }
}

static enum status add_frame(WebPAnimEncoder *encoder, const WebPConfig *config,
                             const struct clip *c, int64_t t, struct error *err)
{
    struct image frame = clip_frame(c, t);
    enum status st = OK;
    WebPPicture picture;

    if (!WebPPictureInit(&picture))
        return fail(err, E_UNSUPPORTED, "libwebp is of another version");
    picture.use_argb = 1;
    picture.width = (int)c->width;
    picture.height = (int)c->height;
    if (!WebPPictureAlloc(&picture))
        return fail(err, E_MEMORY, "no memory for a frame");
    fill_picture(&picture, &frame);
    if (!WebPAnimEncoderAdd(encoder, &picture, (int)clip_time(c, t, 1000), config))
        st = fail(err, E_MEMORY, "frame %" PRId64 ": %s", t, WebPAnimEncoderGetError(encoder));
    WebPPictureFree(&picture);
    return st;
}

static enum status add_frames(struct byte_buffer *out, WebPAnimEncoder *encoder,
                              const struct clip *c, int quality, struct error *err)
{
    WebPData made;
    WebPConfig config;
    enum status st;

    if (!WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, (float)quality))
        return fail(err, E_UNSUPPORTED, "libwebp is of another version");
    config.method = METHOD;
    config.lossless = quality == CLIP_LOSSLESS;
    config.exact = config.lossless;
    for (int64_t t = 0; t < c->frames; t++)
        if ((st = add_frame(encoder, &config, c, t, err)))
            return st;
    WebPDataInit(&made);
    if (!WebPAnimEncoderAdd(encoder, NULL, (int)clip_time(c, c->frames, 1000), NULL) ||
        !WebPAnimEncoderAssemble(encoder, &made))
        return fail(err, E_MEMORY, "%s", WebPAnimEncoderGetError(encoder));
    st = byte_buffer_put(out, made.bytes, made.size, err);
    WebPDataClear(&made);
    return st;
}

enum status webp_clip_encode(struct byte_buffer *out, const struct clip *c, int quality,
                             struct error *err)
{
    WebPAnimEncoderOptions options;
    WebPAnimEncoder *encoder;
    enum status st;

    if (c->width > WEBP_MAX_DIMENSION || c->height > WEBP_MAX_DIMENSION)
        return fail(err, E_ARG, "%" PRId64 " x %" PRId64 " pixels; WebP has at most %d a side",
                    c->width, c->height, WEBP_MAX_DIMENSION);
    if (!WebPAnimEncoderOptionsInit(&options))
        return fail(err, E_UNSUPPORTED, "libwebp is of another version");
    if (!(encoder = WebPAnimEncoderNew((int)c->width, (int)c->height, &options)))
        return fail(err, E_MEMORY, "no memory for the encoder");
    st = add_frames(out, encoder, c, quality, err);
    WebPAnimEncoderDelete(encoder);
    return st;
}
