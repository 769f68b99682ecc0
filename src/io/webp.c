/*
 * webp.c - WebP pictures, read and written by libwebp
 *
 * libwebp decodes from memory and reports by status, so this file is short.  Two things it leaves
 * to its caller: a file cut short inside its last partition decodes to something, so the length in
 * the RIFF header is checked first; and an animation is not a picture, so it is refused.
 */
#include "io/codec.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

enum { RIFF_HEAD = 12, METHOD = 4 };

bool webp_is(const uint8_t *bytes, size_t n)
{
    return n >= RIFF_HEAD && !memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WEBP", 4);
}

static int find_orientation(const uint8_t *bytes, size_t n)
{
    WebPData file = {bytes, n}, exif = {NULL, 0};
    WebPMux *mux = WebPMuxCreate(&file, 0);
    int orientation = 1;

    if (mux && WebPMuxGetChunk(mux, "EXIF", &exif) == WEBP_MUX_OK) {
        /* Some writers keep JPEG's marker in front. */
        bool marked = exif.size >= 6 && !memcmp(exif.bytes, "Exif\0\0", 6);

        orientation = exif_orientation(exif.bytes + (marked ? 6 : 0), exif.size - (marked ? 6 : 0));
    }
    WebPMuxDelete(mux);
    return orientation;
}

static enum status webp_failed(VP8StatusCode code, struct error *err)
{
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return fail(err, E_MEMORY, "WebP: no memory to decode");
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return fail(err, E_FORMAT, "WebP: the file is cut short");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return fail(err, E_UNSUPPORTED, "WebP: the file uses a feature libwebp does not know");
    default:
        return fail(err, E_FORMAT, "WebP: the data are damaged (libwebp status %d)", (int)code);
    }
}

/* What the header says of the picture, believed only if all of it is here. */
static enum status check_file(WebPDecoderConfig *config, const uint8_t *bytes, size_t n,
                              struct error *err)
{
    uint64_t claimed = (uint64_t)bytes[4] | (uint64_t)bytes[5] << 8 | (uint64_t)bytes[6] << 16 |
                       (uint64_t)bytes[7] << 24;
    VP8StatusCode code;

    if (claimed > n - 8)
        return fail(err, E_FORMAT, "WebP: the file claims %" PRIu64 " bytes and has %zu",
                    claimed + 8, n);
    if (!WebPInitDecoderConfig(config))
        return fail(err, E_UNSUPPORTED, "WebP: libwebp is of another version");
    if ((code = WebPGetFeatures(bytes, n, &config->input)) != VP8_STATUS_OK)
        return webp_failed(code, err);
    if (config->input.has_animation)
        return fail(err, E_UNSUPPORTED, "WebP: an animation, not a picture");
    return image_check_size(config->input.height, config->input.width, err);
}

enum status webp_decode(struct image *out, int *orientation, const uint8_t *bytes, size_t n,
                        struct error *err)
{
    WebPDecoderConfig config = {0};
    VP8StatusCode code;
    enum status st;

    *orientation = 1;
    if ((st = check_file(&config, bytes, n, err)) ||
        (st = image_init(out, config.input.height, config.input.width,
                         config.input.has_alpha ? 4 : 3, err)))
        return st;
    config.output.colorspace = config.input.has_alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = out->pixels;
    config.output.u.RGBA.stride = (int)(out->width * out->channels);
    config.output.u.RGBA.size = (size_t)(out->height * out->width * out->channels);
    code = WebPDecode(bytes, n, &config);
    WebPFreeDecBuffer(&config.output);
    if (code != VP8_STATUS_OK) {
        image_release(out);
        return webp_failed(code, err);
    }
    *orientation = find_orientation(bytes, n);
    return OK;
}

/* Grey as colour, which is all the format knows: 1 channel to 3, 2 to 4. */
static enum status to_color(struct image *out, const struct image *in, struct error *err)
{
    int64_t n = in->height * in->width, from = in->channels, to = from + 2;
    enum status st;

    if ((st = image_init(out, in->height, in->width, to, err)))
        return st;
    for (int64_t i = 0; i < n; i++) {
        memset(out->pixels + i * to, in->pixels[i * from], 3);
        if (from == 2)
            out->pixels[i * to + 3] = in->pixels[i * from + 1];
    }
    return OK;
}

static enum status encode_color(struct byte_buffer *out, const struct image *im, int quality,
                                struct error *err)
{
    int height = (int)im->height, width = (int)im->width, stride = (int)(im->width * im->channels);
    enum status st = OK;
    WebPMemoryWriter writer;
    WebPConfig config;
    WebPPicture picture;

    WebPMemoryWriterInit(&writer);
    if (!WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, (float)quality) ||
        !WebPPictureInit(&picture))
        return fail(err, E_UNSUPPORTED, "WebP: libwebp is of another version");
    config.method = METHOD;
    picture.width = width;
    picture.height = height;
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = &writer;
    if (!(im->channels == 4 ? WebPPictureImportRGBA(&picture, im->pixels, stride)
                            : WebPPictureImportRGB(&picture, im->pixels, stride)) ||
        !WebPEncode(&config, &picture))
        st = fail(err, picture.error_code == VP8_ENC_ERROR_BAD_DIMENSION ? E_ARG : E_MEMORY,
                  "WebP: cannot encode %d x %d pixels (libwebp error %d)", width, height,
                  (int)picture.error_code);
    else
        st = byte_buffer_put(out, writer.mem, writer.size, err);
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&writer);
    return st;
}

enum status webp_encode(struct byte_buffer *out, const struct image *im, int quality,
                        struct error *err)
{
    struct image color;
    enum status st;

    if (quality < 1 || quality > 100)
        return fail(err, E_ARG, "WebP quality is %d, must be within 1 and 100", quality);
    if (im->channels >= 3)
        return encode_color(out, im, quality, err);
    if ((st = to_color(&color, im, err)))
        return st;
    st = encode_color(out, &color, quality, err);
    image_release(&color);
    return st;
}
