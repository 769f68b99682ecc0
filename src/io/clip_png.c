/*
 * clip_png.c - APNG: a PNG picture with more pictures in chunks of its own
 *
 *     IHDR  acTL  [PLTE tRNS]  fcTL  IDAT...  fcTL  fdAT...  fcTL  fdAT...  IEND
 *           number             where and how long   a number, then what IDAT would hold
 *           of frames
 *
 * A frame is a PNG of its own but for the chunks that all share.  So each is put together again as
 * one, in memory, and png_decode, which is fuzzed, limited and trusted, makes pixels of it: neither
 * libpng needs a patch nor deflate a second reader.  Writing goes the same way back.  IDAT without
 * an fcTL before it is a picture for programs that know no animations, and not a frame.
 *
 *     fcTL: u32 sequence | width | height | x | y | u16 delay, over u16 (0: 100) seconds
 *           | u8 after: 0 keep, 1 clear, 2 restore | u8 0 in its place, 1 over
 *
 * PNG specification, third edition, section 11.3.6.
 */
#include "io/clip_codec.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { SIGNATURE = 8, IHDR_BYTES = 13, FCTL_BYTES = 26, DELAY_UNITS = 1000 };

static const uint8_t signature[SIGNATURE + 1] = "\x89PNG\r\n\x1a\n";

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t read_u16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static void write_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Append a chunk whose data are n bytes behind a number, if there is one. */
static enum status put_chunk(struct byte_buffer *out, const char *type, const uint32_t *number,
                             const uint8_t *bytes, size_t n, struct error *err)
{
    uint8_t head[12], tail[4];
    size_t own = number ? 12 : 8;
    uLong crc;
    enum status st;

    write_u32(head, (uint32_t)(n + own - 8));
    memcpy(head + 4, type, 4);
    if (number)
        write_u32(head + 8, *number);
    crc = crc32(crc32(0, NULL, 0), head + 4, (uInt)(own - 4));
    if (n)
        crc = crc32(crc, bytes, (uInt)n);
    write_u32(tail, (uint32_t)crc);
    if ((st = byte_buffer_put(out, head, own, err)) || (st = byte_buffer_put(out, bytes, n, err)))
        return st;
    return byte_buffer_put(out, tail, 4, err);
}

bool apng_is(const uint8_t *bytes, size_t n)
{
    struct png_chunk chunk;
    size_t at = SIGNATURE;

    if (!png_is(bytes, n))
        return false;
    while (at && !png_chunk_next(&chunk, &at, bytes, n, NULL) && strcmp(chunk.type, "IDAT"))
        if (!strcmp(chunk.type, "acTL"))
            return true;
    return false;
}

/* ---- Reading ---- */

struct apng {
    struct png_chunk ihdr, colours[2]; /* PLTE and tRNS, where type[0] is not 0 */
    uint32_t frames, sequence;         /* claimed; the number that comes next   */
    bool open;                         /* a frame is being gathered             */
    struct canvas_area area;
    struct byte_buffer data;
    struct canvas canvas;
    double seconds;
    int64_t most;
    struct clip *out;
};

/* The frame as a PNG of its own. */
static enum status rebuild(struct byte_buffer *to, const struct apng *a, struct error *err)
{
    uint8_t ihdr[IHDR_BYTES];
    enum status st;

    memcpy(ihdr, a->ihdr.bytes, IHDR_BYTES);
    write_u32(ihdr, (uint32_t)a->area.width);
    write_u32(ihdr + 4, (uint32_t)a->area.height);
    if ((st = byte_buffer_put(to, signature, SIGNATURE, err)) ||
        (st = put_chunk(to, "IHDR", NULL, ihdr, IHDR_BYTES, err)))
        return st;
    for (int k = 0; k < 2; k++)
        if (a->colours[k].type[0] && (st = put_chunk(to, a->colours[k].type, NULL,
                                                     a->colours[k].bytes, a->colours[k].n, err)))
            return st;
    if ((st = put_chunk(to, "IDAT", NULL, a->data.bytes, (size_t)a->data.n, err)))
        return st;
    return put_chunk(to, "IEND", NULL, NULL, 0, err);
}

static enum status widen(uint8_t **out, const struct image *im, struct error *err)
{
    int64_t n = im->height * im->width, c = im->channels;
    enum status st = mem_new((void **)out, (uint64_t)n, 4, "a frame", err);

    for (int64_t i = 0; i < n && !st; i++) {
        const uint8_t *p = im->pixels + i * c;
        uint8_t *to = *out + i * 4;

        for (int k = 0; k < 3; k++)
            to[k] = p[c >= 3 ? k : 0];
        to[3] = c == 2 ? p[1] : c == 4 ? p[3] : 255;
    }
    return st;
}

static enum status close_frame(struct apng *a, struct error *err)
{
    struct byte_buffer png = {0};
    struct image im = {0};
    uint8_t *pixels = NULL;
    int orientation;
    enum status st;

    if (!a->open)
        return OK;
    a->open = false;
    if ((st = rebuild(&png, a, err)) ||
        (st = png_decode(&im, &orientation, png.bytes, (size_t)png.n, err)) ||
        (st = widen(&pixels, &im, err)))
        goto out;
    st = canvas_show(&a->canvas, a->out, pixels, &a->area, err);
out:
    if (st)
        fail_under(err, "frame %" PRId64, a->out->frames);
    free(pixels);
    free(png.bytes);
    image_release(&im);
    a->data.n = 0;
    return st;
}

static enum status take_number(struct apng *a, const struct png_chunk *c, struct error *err)
{
    if (c->n < 4 || read_u32(c->bytes) != a->sequence)
        return fail(err, E_FORMAT, "chunk %u of the animation is missing or out of order",
                    a->sequence);
    a->sequence++;
    return OK;
}

static enum status open_frame(struct apng *a, const struct png_chunk *c, struct error *err)
{
    const uint8_t *p = c->bytes;
    uint32_t over;
    enum status st;

    if ((st = close_frame(a, err)) || (st = take_number(a, c, err)))
        return st;
    if (c->n != FCTL_BYTES || p[24] > CANVAS_RESTORE || p[25] > 1)
        return fail(err, E_FORMAT, "frame %" PRId64 ": its fcTL chunk is damaged", a->out->frames);
    over = read_u16(p + 22);
    a->seconds += (double)read_u16(p + 20) / (over ? over : 100);
    a->area = (struct canvas_area){read_u32(p + 12), read_u32(p + 16), read_u32(p + 8),
                                   read_u32(p + 4),  p[25] == 1,       (enum canvas_after)p[24]};
    a->open = true;
    if ((st = canvas_check(&a->canvas, &a->area, err)))
        fail_under(err, "frame %" PRId64, a->out->frames);
    return st;
}

static enum status begin(struct apng *a, const struct png_chunk *c, struct error *err)
{
    enum status st;

    if (c->n != IHDR_BYTES)
        return fail(err, E_FORMAT, "IHDR of %zu bytes", c->n);
    a->ihdr = *c;
    if ((st = canvas_init(&a->canvas, read_u32(c->bytes + 4), read_u32(c->bytes), err)))
        return st;
    return clip_begin(a->out, a->canvas.height, a->canvas.width, 4, err);
}

static enum status take_chunk(struct apng *a, const struct png_chunk *c, struct error *err)
{
    bool first = !a->ihdr.bytes;
    enum status st;

    if (first != !strcmp(c->type, "IHDR"))
        return fail(err, E_FORMAT, "chunk %s where IHDR %s", c->type, first ? "is due" : "was");
    if (first)
        return begin(a, c, err);
    if (!strcmp(c->type, "acTL")) {
        if (c->n != 8 || !(a->frames = read_u32(c->bytes)) || a->frames > CLIP_FRAMES)
            return fail(err, E_FORMAT, "its acTL chunk does not claim 1 to %d frames", CLIP_FRAMES);
        return OK;
    }
    if (!strcmp(c->type, "PLTE") || !strcmp(c->type, "tRNS"))
        a->colours[c->type[0] == 't'] = *c;
    if (!strcmp(c->type, "fcTL"))
        return open_frame(a, c, err);
    if (!strcmp(c->type, "IDAT") && a->open)
        return byte_buffer_put(&a->data, c->bytes, c->n, err);
    if (strcmp(c->type, "fdAT") != 0)
        return OK;
    if ((st = take_number(a, c, err)))
        return st;
    if (!a->open)
        return fail(err, E_FORMAT, "an fdAT chunk without a frame");
    return byte_buffer_put(&a->data, c->bytes + 4, c->n - 4, err);
}

static enum status read_chunks(struct apng *a, const uint8_t *bytes, size_t n, struct error *err)
{
    size_t at = SIGNATURE;
    enum status st;

    while (at && a->out->frames < a->most) {
        struct png_chunk chunk;

        if ((st = png_chunk_next(&chunk, &at, bytes, n, err)) || (st = take_chunk(a, &chunk, err)))
            return st;
    }
    if (a->out->frames < a->most && (st = close_frame(a, err)))
        return st;
    if (a->out->frames < a->most && a->out->frames != a->frames)
        return fail(err, E_FORMAT, "%u frames are claimed and %" PRId64 " are there", a->frames,
                    a->out->frames);
    return OK;
}

enum status apng_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                        struct error *err)
{
    struct apng a = {.most = most, .out = out};
    enum status st = read_chunks(&a, bytes, n, err);
    int64_t timed = out->frames + a.open; /* the fcTL behind the last one wanted was read */

    if (!st && a.seconds > 0)
        out->rate = (double)timed / a.seconds;
    free(a.data.bytes);
    canvas_release(&a.canvas);
    return st;
}

/* ---- Writing ---- */

struct apng_writer {
    struct byte_buffer *to;
    const struct clip *clip;
    uint32_t sequence;
};

static enum status put_control(struct apng_writer *w, int64_t t, struct error *err)
{
    uint8_t fctl[FCTL_BYTES - 4] = {0};
    int64_t delay = clip_time(w->clip, t + 1, DELAY_UNITS) - clip_time(w->clip, t, DELAY_UNITS);
    uint32_t units = DELAY_UNITS;

    if (delay > UINT16_MAX) {
        delay /= DELAY_UNITS; /* longer than a minute: to a second */
        units = 1;
    }
    write_u32(fctl, (uint32_t)w->clip->width);
    write_u32(fctl + 4, (uint32_t)w->clip->height);
    fctl[16] = (uint8_t)(delay >> 8);
    fctl[17] = (uint8_t)delay;
    fctl[18] = (uint8_t)(units >> 8);
    fctl[19] = (uint8_t)units;
    w->sequence++;
    return put_chunk(w->to, "fcTL", &(uint32_t){w->sequence - 1}, fctl, sizeof fctl, err);
}

/* Of the first frame everything up to the pixels, and the number of frames behind its IHDR; of the
 * others the pixels alone. */
static enum status put_part(struct apng_writer *w, const struct png_chunk *c, int64_t t,
                            struct error *err)
{
    uint8_t count[8] = {0};
    enum status st;

    if (!strcmp(c->type, "IDAT")) {
        if (t == 0)
            return put_chunk(w->to, c->type, NULL, c->bytes, c->n, err);
        w->sequence++;
        return put_chunk(w->to, "fdAT", &(uint32_t){w->sequence - 1}, c->bytes, c->n, err);
    }
    if (t > 0 || !strcmp(c->type, "IEND"))
        return OK;
    if ((st = put_chunk(w->to, c->type, NULL, c->bytes, c->n, err)) || strcmp(c->type, "IHDR"))
        return st;
    write_u32(count, (uint32_t)w->clip->frames);
    if ((st = put_chunk(w->to, "acTL", NULL, count, sizeof count, err)))
        return st;
    return put_control(w, 0, err);
}

static enum status put_frame(struct apng_writer *w, int64_t t, struct error *err)
{
    struct image frame = clip_frame(w->clip, t);
    struct byte_buffer png = {0};
    size_t at = SIGNATURE;
    enum status st = t ? png_encode(&png, &frame, NULL, 0, err)
                       : png_encode(&png, &frame, w->clip->texts, w->clip->n_texts, err);

    if (!st && t > 0)
        st = put_control(w, t, err);
    while (!st && at) {
        struct png_chunk chunk;

        if (!(st = png_chunk_next(&chunk, &at, png.bytes, (size_t)png.n, err)))
            st = put_part(w, &chunk, t, err);
    }
    free(png.bytes);
    return st;
}

enum status apng_encode(struct byte_buffer *out, const struct clip *c, int quality,
                        struct error *err)
{
    struct apng_writer w = {out, c, 0};
    enum status st = byte_buffer_put(out, signature, SIGNATURE, err);

    (void)quality;
    for (int64_t t = 0; t < c->frames && !st; t++)
        st = put_frame(&w, t, err);
    return st ? st : put_chunk(out, "IEND", NULL, NULL, 0, err);
}
