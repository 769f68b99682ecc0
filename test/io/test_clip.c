/*
 * test_clip.c - clips back as they went, files of others read as they mean it, and damage survived
 */
#include "io/clip.h"

#include "base/file.h"
#include "base/rng.h"
#include "io/codec.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { H = 6, W = 9, T = 5, TINY = 4 };

static char dir[TEMP_PATH];

/* A clip with something that moves, some noise, and alpha where there is a channel for it. */
static struct clip clip_new(int64_t channels, double rate)
{
    struct rng g = rng_stream(1, RNG_TEST, (uint64_t)channels);
    uint8_t pixels[H * W * 4];
    struct clip c;

    assert_int_equal(clip_begin(&c, H, W, channels, NULL), OK);
    for (int64_t t = 0; t < T; t++) {
        for (int64_t i = 0; i < H * W; i++)
            for (int64_t k = 0; k < channels; k++)
                pixels[i * channels + k] =
                    i % W == t ? 250 : (uint8_t)(k * 60 + i + (int64_t)rng_below(&g, 9));
        assert_int_equal(clip_add(&c, pixels, NULL), OK);
    }
    c.rate = rate;
    return c;
}

static void read_back(struct clip *out, const char *path, const struct clip *c, int quality)
{
    struct error err = {0};

    assert_int_equal(clip_write(path, c, quality, &err), OK);
    if (clip_read(out, path, 0, &err))
        fail_msg("%s", err.text);
    assert_true(out->frames == c->frames && out->height == c->height && out->width == c->width);
}

static void exact_formats_come_back(void **state)
{
    static const char *const names[] = {"a.webp", "a.png", "a.APNG"};
    char path[TEMP_PATH];

    (void)state;
    for (int64_t channels = 1; channels <= 4; channels++)
        for (int k = 0; k < 3; k++) {
            struct clip c = clip_new(channels, 8), back;
            bool alpha = channels % 2 == 0;

            temp_path(path, dir, names[k]);
            read_back(&back, path, &c, CLIP_LOSSLESS);
            assert_int_equal(back.channels, alpha ? 4 : 3);
            assert_true(fabs(back.rate - 8) < 1e-9);
            for (int64_t i = 0; i < T * H * W; i++) {
                const uint8_t *a = c.pixels + i * channels, *b = back.pixels + i * back.channels;

                for (int j = 0; j < 3; j++)
                    assert_int_equal(b[j], a[channels >= 3 ? j : 0]);
                assert_true(!alpha || b[3] == a[channels - 1]);
            }
            clip_release(&c);
            clip_release(&back);
        }
}

static void y4m_comes_back_nearly(void **state)
{
    char path[TEMP_PATH];

    (void)state;
    temp_path(path, dir, "a.y4m");
    for (int64_t channels = 1; channels <= 3; channels += 2) {
        struct clip c = clip_new(channels, 29.97), back;

        read_back(&back, path, &c, CLIP_LOSSLESS);
        assert_int_equal(back.channels, channels);
        assert_true(fabs(back.rate - 29.97) < 1e-9);
        for (int64_t i = 0; i < T * H * W * channels; i++)
            assert_in_range(back.pixels[i] + 3, c.pixels[i], c.pixels[i] + 6);
        clip_release(&c);
        clip_release(&back);
    }
}

static void lossy_webp_is_near(void **state)
{
    char path[TEMP_PATH];
    struct clip c, back;
    double sum = 0;

    (void)state;
    assert_int_equal(clip_begin(&c, 64, 64, 3, NULL), OK);
    for (int t = 0; t < 4; t++) {
        uint8_t pixels[64 * 64 * 3];

        for (int i = 0; i < 64 * 64 * 3; i++)
            pixels[i] = (uint8_t)(120 + i / 192 + 10 * t);
        assert_int_equal(clip_add(&c, pixels, NULL), OK);
    }
    temp_path(path, dir, "b.webp");
    read_back(&back, path, &c, 90);
    for (int64_t i = 0; i < 4 * 64 * 64 * 3; i++)
        sum += fabs((double)back.pixels[i] - c.pixels[i]);
    assert_true(sum / (4 * 64 * 64 * 3) < 3);
    assert_true(fabs(back.rate - CLIP_RATE) < 1e-9); /* none was given */
    clip_release(&c);
    clip_release(&back);
}

static void the_first_frames_are_enough(void **state)
{
    static const char *const names[] = {"a.webp", "a.png", "a.y4m"};
    char path[TEMP_PATH];

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct clip c = clip_new(3, 8), back;

        temp_path(path, dir, names[k]);
        assert_int_equal(clip_write(path, &c, CLIP_LOSSLESS, NULL), OK);
        for (int64_t most = 1; most <= T + 1; most++) {
            assert_int_equal(clip_read(&back, path, most, NULL), OK);
            assert_int_equal(back.frames, most > T ? T : most);
            assert_true(fabs(back.rate - 8) < 1e-9);
            clip_release(&back);
        }
        clip_release(&c);
    }
}

static void frames_are_pictures_of_their_own(void **state)
{
    struct clip c = clip_new(3, 8), one;
    char folder[TEMP_PATH], path[TEMP_PATH + 16];
    struct image im;

    (void)state;
    temp_path(folder, dir, "frames");
    for (int again = 0; again < 2; again++)
        assert_int_equal(clip_write_frames(folder, &c, NULL), OK);
    for (int t = 0; t < T; t++) {
        struct image frame = clip_frame(&c, t);

        snprintf(path, sizeof path, "%s/%05d.png", folder, t);
        assert_int_equal(image_read(&im, path, NULL), OK);
        assert_memory_equal(im.pixels, frame.pixels, H * W * 3);
        image_release(&im);
    }
    assert_int_equal(clip_read(&one, path, 0, NULL), OK); /* a picture is a clip of one frame */
    assert_int_equal(one.frames, 1);
    assert_memory_equal(one.pixels, c.pixels + (T - 1) * H * W * 3, H * W * 3);
    clip_release(&one);
    clip_release(&c);
}

static void writing_refuses(void **state)
{
    char path[TEMP_PATH];
    struct clip c = clip_new(4, 8);
    struct error err = {0};

    (void)state;
    temp_path(path, dir, "a.gif");
    assert_int_equal(clip_write(path, &c, 100, &err), E_ARG);
    assert_non_null(strstr(err.text, ".webp, .png, .apng, .y4m, .mp4 or .webm"));
    temp_path(path, dir, "a.y4m");
    assert_int_equal(clip_write(path, &c, 100, &err), E_ARG);
    assert_non_null(strstr(err.text, "alpha"));
    temp_path(path, dir, "a.webp");
    assert_int_equal(clip_write(path, &c, 0, &err), E_ARG);
    c.rate = 1e6;
    assert_int_equal(clip_write(path, &c, 100, &err), E_ARG);
    c.frames = 0;
    assert_int_equal(clip_write(path, &c, 100, &err), E_ARG);
    c.frames = CLIP_FRAMES;
    assert_int_equal(clip_add(&c, c.pixels, &err), E_FORMAT);
    clip_release(&c);
}

/* ---- files of others ---- */

/* A GIF of 10 x 10 in three colours that explanations of the format like to use. */
static const uint8_t sample_gif[] = {
    0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 0x0A, 0x00, 0x0A, 0x00, 0x91, 0x00, 0x00, 0xFF,
    0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0x00, 0x00, 0x00, 0x21, 0xF9, 0x04,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x2C, 0x00, 0x00, 0x00, 0x00, 0x0A, 0x00, 0x0A, 0x00,
    0x00, 0x02, 0x16, 0x8C, 0x2D, 0x99, 0x87, 0x2A, 0x1C, 0xDC, 0x33, 0xA0, 0x02, 0x75,
    0xEC, 0x95, 0xFA, 0xA8, 0xDE, 0x60, 0x8C, 0x04, 0x91, 0x4C, 0x01, 0x00, 0x3B};

static void gif_of_the_book_is_read(void **state)
{
    static const char *const rows[] = {"1111122222", "1111122222", "1111122222", "1110000222",
                                       "1110000222", "2220000111", "2220000111", "2222211111",
                                       "2222211111", "2222211111"};
    static const uint8_t colours[3][3] = {{255, 255, 255}, {255, 0, 0}, {0, 0, 255}};
    struct error err = {0};
    struct clip c;

    (void)state;
    if (clip_decode(&c, sample_gif, sizeof sample_gif, 0, "sample", &err))
        fail_msg("%s", err.text);
    assert_true(c.frames == 1 && c.height == 10 && c.width == 10 && c.channels == 3);
    for (int i = 0; i < 100; i++)
        assert_memory_equal(c.pixels + i * 3, colours[rows[i / 10][i % 10] - '0'], 3);
    clip_release(&c);
}

struct bytes {
    uint8_t at[1 << 16];
    size_t n;
};

static void put(struct bytes *b, const void *p, size_t n)
{
    assert_true(b->n + n <= sizeof b->at);
    memcpy(b->at + b->n, p, n);
    b->n += n;
}

static void put_byte(struct bytes *b, int v)
{
    put(b, &(uint8_t){(uint8_t)v}, 1);
}

static void put_u16(struct bytes *b, int v)
{
    put_byte(b, v & 255);
    put_byte(b, v >> 8);
}

/* LZW of 8-bit letters as an encoder does it, with a plain search, cut into pieces. */
static void put_lzw(struct bytes *b, const uint8_t *letters, size_t n)
{
    static int before[4096], letter[4096];
    struct bytes packed = {.n = 0};
    uint32_t held = 0;
    int n_held = 0, width = 9, count = 258, last;

#define CODE(c)                                                                                  \
    for (held |= (uint32_t)(c) << n_held, n_held += width; n_held >= 8; held >>= 8, n_held -= 8) \
    put_byte(&packed, (int)(held & 255))
    CODE(256);
    last = letters[0];
    for (size_t i = 1; i < n; i++) {
        int k = 258;

        while (k < count && (before[k] != last || letter[k] != letters[i]))
            k++;
        if (k < count) {
            last = k;
            continue;
        }
        CODE(last);
        if (count < 4096) {
            before[count] = last;
            letter[count] = letters[i];
            if (count++ == 1 << width)
                width++;
        } else {
            CODE(256);
            count = 258;
            width = 9;
        }
        last = letters[i];
    }
    CODE(last);
    CODE(257);
    if (n_held)
        put_byte(&packed, (int)held);
#undef CODE
    put_byte(b, 8);
    for (size_t at = 0; at < packed.n; at += 255) {
        size_t piece = packed.n - at < 255 ? packed.n - at : 255;

        put_byte(b, (int)piece);
        put(b, packed.at + at, piece);
    }
    put_byte(b, 0);
}

static void gif_head(struct bytes *b, int width, int height)
{
    b->n = 0;
    put(b, "GIF89a", 6);
    put_u16(b, width);
    put_u16(b, height);
    put(b, "\xF7\0\0", 3);
    for (int i = 0; i < 256; i++)
        for (int k = 0; k < 3; k++)
            put_byte(b, k == 0 ? i : k == 1 ? 255 - i : 7);
}

/* after: 0..3 as the format has it; transparent < 0: none. */
static void gif_frame(struct bytes *b, const int area[4], int after, int transparent, int delay,
                      bool interlaced, const uint8_t *letters)
{
    put(b, "\x21\xF9\x04", 3);
    put_byte(b, after << 2 | (transparent >= 0));
    put_u16(b, delay);
    put_byte(b, transparent >= 0 ? transparent : 0);
    put_byte(b, 0);
    put_byte(b, 0x2C);
    for (int k = 0; k < 4; k++)
        put_u16(b, area[k]);
    put_byte(b, interlaced ? 0x40 : 0);
    put_lzw(b, letters, (size_t)(area[2] * area[3]));
}

/* Tables that fill up and begin anew, codes of all widths, rows out of order. */
static void gif_codes_of_all_widths(void **state)
{
    enum { SIDE = 120 };
    static const int passes[4][2] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}}, whole[4] = {0, 0, SIDE, SIDE};
    uint8_t letters[SIDE * SIDE], stored[SIDE * SIDE];
    struct bytes *b = malloc(sizeof *b);
    struct rng g = rng_stream(2, RNG_TEST, 0);
    struct error err = {0};
    struct clip c;
    int row = 0;

    (void)state;
    assert_non_null(b);
    for (int i = 0; i < SIDE * SIDE; i++)
        letters[i] = (uint8_t)(i < SIDE * 40 ? 5 : rng_below(&g, i < SIDE * 80 ? 4 : 256));
    for (int p = 0; p < 4; p++)
        for (int y = passes[p][0]; y < SIDE; y += passes[p][1])
            memcpy(stored + SIDE * row++, letters + SIDE * y, SIDE);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        gif_head(b, SIDE, SIDE);
        gif_frame(b, whole, 0, -1, 5, interlaced, interlaced ? stored : letters);
        put_byte(b, 0x3B);
        if (clip_decode(&c, b->at, b->n, 0, "gif", &err))
            fail_msg("%s", err.text);
        assert_true(fabs(c.rate - 20) < 1e-9);
        for (int i = 0; i < SIDE * SIDE; i++)
            assert_int_equal(c.pixels[i * 3], letters[i]);
        clip_release(&c);
    }
    free(b);
}

/* What is shown of four frames, red being the letter; -1 transparent. */
static void gif_frames_lie_over_one_another(void **state)
{
    static const int whole[4] = {0, 0, TINY, 1}, part[4] = {1, 0, 2, 1};
    static const int shown[4][TINY] = {
        {10, 10, 10, 10}, {10, 20, 10, 10}, {10, 30, 30, 10}, {10, -1, -1, 40}};
    uint8_t letters[4][TINY] = {{10, 10, 10, 10}, {20, 99}, {30, 30}, {99, 99, 99, 40}};
    struct bytes *b = malloc(sizeof *b);
    struct error err = {0};
    struct clip c;

    (void)state;
    assert_non_null(b);
    gif_head(b, TINY, 1);
    put(b, "\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0", 19);
    gif_frame(b, whole, 1, -1, 10, false, letters[0]);
    gif_frame(b, part, 3, 99, 10, false, letters[1]); /* put back to what it was */
    gif_frame(b, part, 2, -1, 0, false, letters[2]);  /* cleared; no time is a tenth of a second */
    gif_frame(b, whole, 0, 99, 20, false, letters[3]);
    put_byte(b, 0x3B);
    if (clip_decode(&c, b->at, b->n, 0, "gif", &err))
        fail_msg("%s", err.text);
    assert_true(c.frames == 4 && c.channels == 4);
    assert_true(fabs(c.rate - 8) < 1e-9);
    for (int i = 0; i < 4 * TINY; i++) {
        int want = shown[i / TINY][i % TINY];

        assert_int_equal(c.pixels[i * 4 + 3], want < 0 ? 0 : 255);
        if (want >= 0)
            assert_int_equal(c.pixels[i * 4], want);
    }
    clip_release(&c);
    free(b);
}

/* ---- APNG by hand ---- */

static void put_u32(struct bytes *b, uint32_t v)
{
    for (int i = 24; i >= 0; i -= 8)
        put_byte(b, (int)(v >> i & 255));
}

static void put_chunk(struct bytes *b, const char *type, const uint8_t *data, size_t n)
{
    size_t from;

    put_u32(b, (uint32_t)n);
    from = b->n;
    put(b, type, 4);
    put(b, data, n);
    put_u32(b, (uint32_t)crc32(0, b->at + from, (uInt)(n + 4)));
}

static void put_control(struct bytes *b, uint32_t sequence, const uint32_t area[4], int after,
                        int over)
{
    struct bytes data = {.n = 0};

    put_u32(&data, sequence);
    put_u32(&data, area[2]);
    put_u32(&data, area[3]);
    put_u32(&data, area[0]);
    put_u32(&data, area[1]);
    put(&data, "\0\1\0\0", 4); /* a hundredth of a second */
    put_byte(&data, after);
    put_byte(&data, over);
    put_chunk(b, "fcTL", data.at, data.n);
}

/* Rows of one line, RGBA, behind their filter; sequence < 0: IDAT. */
static void put_pixels(struct bytes *b, int64_t sequence, const uint8_t (*rgba)[4], int n)
{
    uint8_t raw[1 + 4 * TINY] = {0}, packed[128];
    uLongf size = sizeof packed;
    struct bytes data = {.n = 0};

    memcpy(raw + 1, rgba, (size_t)n * 4);
    assert_int_equal(compress(packed, &size, raw, (uLong)(1 + 4 * n)), Z_OK);
    if (sequence >= 0)
        put_u32(&data, (uint32_t)sequence);
    put(&data, packed, size);
    put_chunk(b, sequence < 0 ? "IDAT" : "fdAT", data.at, data.n);
}

/* A default picture that is no frame, then a whole frame, a half-clear part over it, and a part in
 * its place that is put back. */
static void apng_make(struct bytes *b, uint32_t claimed)
{
    static const uint8_t no_frame[TINY][4] = {{9, 9, 9, 255}},
                         black[TINY][4] = {
                             {0, 0, 0, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}};
    static const uint8_t half[2][4] = {{200, 100, 0, 128}, {1, 2, 3, 0}}, clear[1][4] = {{0}};
    static const uint32_t whole[4] = {0, 0, TINY, 1}, part[4] = {1, 0, 2, 1},
                          last[4] = {3, 0, 1, 1};
    struct bytes data = {.n = 0};

    b->n = 0;
    put(b, "\x89PNG\r\n\x1a\n", 8);
    put_u32(&data, TINY);
    put_u32(&data, 1);
    put(&data, "\x08\x06\0\0\0", 5);
    put_chunk(b, "IHDR", data.at, data.n);
    data.n = 0;
    put_u32(&data, claimed);
    put_u32(&data, 0);
    put_chunk(b, "acTL", data.at, data.n);
    put_pixels(b, -1, no_frame, TINY);
    put_control(b, 0, whole, 0, 0);
    put_pixels(b, 1, black, TINY);
    put_control(b, 2, part, 0, 1);
    put_pixels(b, 3, half, 2);
    put_control(b, 4, last, 2, 0);
    put_pixels(b, 5, clear, 1);
    put_control(b, 6, last, 0, 1);
    put_pixels(b, 7, clear, 1);
    put_chunk(b, "IEND", NULL, 0);
}

static void apng_of_parts_is_read(void **state)
{
    static const uint8_t shown[4][TINY][4] = {
        {{0, 0, 0, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}},
        {{0, 0, 0, 255}, {100, 50, 0, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}},
        {{0, 0, 0, 255}, {100, 50, 0, 255}, {0, 0, 0, 255}, {0, 0, 0, 0}},
        {{0, 0, 0, 255}, {100, 50, 0, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}}};
    struct bytes *b = malloc(sizeof *b);
    struct error err = {0};
    struct clip c;

    (void)state;
    assert_non_null(b);
    apng_make(b, 4);
    if (clip_decode(&c, b->at, b->n, 0, "apng", &err))
        fail_msg("%s", err.text);
    assert_true(c.frames == 4 && c.channels == 4 && fabs(c.rate - 100) < 1e-9);
    assert_memory_equal(c.pixels, shown, sizeof shown);
    clip_release(&c);
    apng_make(b, 5);
    assert_int_equal(clip_decode(&c, b->at, b->n, 0, "apng", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "5 frames are claimed and 4 are there"));
    apng_make(b, 1000000);
    assert_int_equal(clip_decode(&c, b->at, b->n, 0, "apng", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "65536 frames"));
    free(b);
}

/* ---- Y4M by hand ---- */

static void y4m_colours(void **state)
{
    /* Pure red, green, blue and white of BT.601, limited and full. */
    static const uint8_t yuv[2][4][3] = {
        {{81, 90, 240}, {145, 54, 34}, {41, 240, 110}, {235, 128, 128}},
        {{76, 85, 255}, {150, 44, 21}, {29, 255, 107}, {255, 128, 128}}};
    static const uint8_t rgb[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
    struct bytes *b = malloc(sizeof *b);
    struct error err = {0};
    struct clip c;

    (void)state;
    assert_non_null(b);
    for (int full = 0; full < 2; full++) {
        const char *head = full ? "YUV4MPEG2 W4 H1 F25:1 C444 XCOLORRANGE=FULL\nFRAME\n"
                                : "YUV4MPEG2 W4 H1 F25:1 Ip C444\nFRAME Ip\n";

        b->n = 0;
        put(b, head, strlen(head));
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < 4; i++)
                put_byte(b, yuv[full][i][k]);
        if (clip_decode(&c, b->at, b->n, 0, "y4m", &err))
            fail_msg("%s", err.text);
        for (int i = 0; i < 12; i++)
            assert_in_range(c.pixels[i] + 3, rgb[i / 3][i % 3], rgb[i / 3][i % 3] + 6);
        assert_true(c.rate == 25);
        clip_release(&c);
    }
    free(b);
}

/* Two samples of colour over four pixels: in the middle of two, or at the left one. */
static void y4m_small_planes(void **state)
{
    static const struct {
        const char *name;
        int red[4]; /* Cr - 128 of each pixel, in quarters of the step */
    } cases[] = {{"420jpeg", {0, 1, 3, 4}}, {"420mpeg2", {0, 2, 4, 4}}};
    struct bytes *b = malloc(sizeof *b);
    char head[64];

    (void)state;
    assert_non_null(b);
    for (int k = 0; k < 2; k++) {
        struct clip c;

        b->n = 0;
        snprintf(head, sizeof head, "YUV4MPEG2 W4 H2 C%s XCOLORRANGE=FULL\nFRAME\n", cases[k].name);
        put(b, head, strlen(head));
        put(b, "dddddddd\x80\x80\x80\xA8", 12); /* Y 100; Cb 128, 128; Cr 128, 168 */
        assert_int_equal(clip_decode(&c, b->at, b->n, 0, "y4m", NULL), OK);
        for (int i = 0; i < 4; i++)
            assert_int_equal(c.pixels[i * 3], lrint(100 + 1.402 * 10 * cases[k].red[i]));
        clip_release(&c);
    }
    free(b);
}

/* ---- damage ---- */

static void says(const void *bytes, size_t n, enum status st, const char *words)
{
    struct error err = {0};
    struct clip c;

    assert_int_equal(clip_decode(&c, bytes, n, 0, "name", &err), st);
    assert_null(c.pixels);
    if (!strstr(err.text, words) || !strstr(err.text, "name"))
        fail_msg("%s", err.text);
}

static void errors_say_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        enum status st;
        const char *says;
    } y4m[] = {
        {"YUV4MPEG2 W4 H4\n", E_FORMAT, "not one frame"},
        {"YUV4MPEG2 W4\nFRAME\n", E_FORMAT, "no size"},
        {"YUV4MPEG2 W4 H0\n", E_FORMAT, "\"H0\""},
        {"YUV4MPEG2 W99999 H4\n", E_FORMAT, "\"W99999\""},
        {"YUV4MPEG2 W16000 H16000\n", E_FORMAT, "16000 x 16000"},
        {"YUV4MPEG2 W4 H4 C420p10\n", E_UNSUPPORTED, "C420p10"},
        {"YUV4MPEG2 W4 H4 It\n", E_UNSUPPORTED, "interlaced"},
        {"YUV4MPEG2 W4 H4 Fx\n", E_FORMAT, "\"Fx\""},
        {"YUV4MPEG2 W1 H1 Cmono\nFRAME\naFRAMEx\nb", E_FORMAT, "frame 1"},
        {"YUV4MPEG2 W2 H1 Cmono\nFRAME\naaFRAME\nb", E_FORMAT,
         "frame 1 is cut short: 1 bytes of 2"},
    };
    struct bytes *b = malloc(sizeof *b);
    static const int outside[4] = {2, 0, 3, 1};
    uint8_t letters[4] = {0};

    (void)state;
    assert_non_null(b);
    for (size_t i = 0; i < sizeof y4m / sizeof *y4m; i++)
        says(y4m[i].text, strlen(y4m[i].text), y4m[i].st, y4m[i].says);
    gif_head(b, TINY, 1);
    put_byte(b, 0x3B);
    says(b->at, b->n, E_FORMAT, "no frames");
    gif_head(b, TINY, 1);
    gif_frame(b, outside, 0, -1, 0, false, letters);
    says(b->at, b->n, E_FORMAT, "frame 0: 3 x 1 pixels at 2, 0 are not within the 4 x 1");
    gif_head(b, 0, 0);
    says(b->at, b->n, E_FORMAT, "0 x 0");
    says("neither", 7, E_FORMAT, "neither PNG nor JPEG nor WebP");
    free(b);
}

/* Every file cut at every place is refused, and random damage is survived. */
static void damage(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n);
    struct clip c;

    assert_non_null(copy);
    for (size_t cut = 0; cut < n; cut++) {
        memcpy(copy, bytes, cut);
        assert_int_not_equal(clip_decode(&c, copy, cut, 0, "cut", NULL), OK);
        assert_null(c.pixels);
    }
    for (uint64_t i = 0; i < 500; i++) {
        struct rng g = rng_stream(8, RNG_TEST, i);

        memcpy(copy, bytes, n);
        for (int k = 0; k < 3; k++)
            copy[rng_below(&g, n)] = (uint8_t)rng_below(&g, 256);
        clip_decode(&c, copy, n, 0, "damaged", NULL);
        clip_release(&c);
    }
    free(copy);
}

static void damage_is_survived(void **state)
{
    static const char *const names[] = {"a.webp", "a.png"};
    char path[TEMP_PATH];
    struct bytes *b = malloc(sizeof *b);
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    assert_non_null(b);
    for (int k = 0; k < 2; k++) {
        struct clip c = clip_new(3, 8);

        temp_path(path, dir, names[k]);
        assert_int_equal(clip_write(path, &c, CLIP_LOSSLESS, NULL), OK);
        assert_int_equal(file_read(&bytes, &n, path, 1 << 20, NULL), OK);
        damage(bytes, (size_t)n);
        free(bytes);
        clip_release(&c);
    }
    damage(sample_gif, sizeof sample_gif);
    apng_make(b, 4);
    damage(b->at, b->n);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_formats_come_back),
        cmocka_unit_test(y4m_comes_back_nearly),
        cmocka_unit_test(lossy_webp_is_near),
        cmocka_unit_test(the_first_frames_are_enough),
        cmocka_unit_test(frames_are_pictures_of_their_own),
        cmocka_unit_test(writing_refuses),
        cmocka_unit_test(gif_of_the_book_is_read),
        cmocka_unit_test(gif_codes_of_all_widths),
        cmocka_unit_test(gif_frames_lie_over_one_another),
        cmocka_unit_test(apng_of_parts_is_read),
        cmocka_unit_test(y4m_colours),
        cmocka_unit_test(y4m_small_planes),
        cmocka_unit_test(errors_say_what_is_wrong),
        cmocka_unit_test(damage_is_survived),
    };

    int failed;

    temp_dir_new(dir);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    temp_dir_remove(dir);
    return failed;
}
