/*
 * gif.c - GIF, a picture or an animation
 *
 *     "GIF89a" | u16 width | u16 height | flags | background | aspect | colours
 *     blocks:  0x21 extension     0xF9: flags, u16 delay in hundredths, transparent colour
 *              0x2C a frame       u16 x, y, width, height | flags | colours | LZW in pieces
 *              0x3B the end
 *
 * The format is read here and not by giflib because all that library would take off our hands is
 * the LZW below, sixty lines; laying frames over one another it leaves to its callers, it has no
 * pkg-config file in Debian, and it reads whole files into memory of sizes that the files name.
 *
 * LZW: codes of 9 to 12 bits, each a known string and the first letter of the next.  A string is
 * kept as the code of all but its last letter, and that letter; it is unrolled backwards, into the
 * place that its length says.  GIF89a specification; Welch 1984.
 */
#include "io/clip_codec.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD = 13,
    CODES = 4096,
    NO_CODE = -1,
    EXTENSION = 0x21,
    CONTROL = 0xF9,
    FRAME = 0x2C,
    TRAILER = 0x3B,
};

struct gif {
    const uint8_t *at, *end;
    const uint8_t *colours; /* [n_colours, 3] of the whole file */
    int n_colours;
    /* What the last control said, of the next frame. */
    int transparent; /* a colour, or NO_CODE */
    enum canvas_after after;
    int64_t hundredths; /* of all frames so far */
    struct canvas canvas;
    struct clip *out;
};

bool gif_is(const uint8_t *bytes, size_t n)
{
    return n >= 6 && (!memcmp(bytes, "GIF87a", 6) || !memcmp(bytes, "GIF89a", 6));
}

static int64_t read_u16(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

static enum status cut_short(const struct gif *g, struct error *err)
{
    return fail(err, E_FORMAT, "the file is cut short in frame %" PRId64, g->out->frames);
}

/* *out = the next n bytes. */
static enum status take(const uint8_t **out, struct gif *g, size_t n, struct error *err)
{
    *out = g->at;
    if ((size_t)(g->end - g->at) < n)
        return cut_short(g, err);
    g->at += n;
    return OK;
}

/* Colours follow flags that say so. */
static enum status take_colours(const uint8_t **out, int *n, struct gif *g, int flags,
                                struct error *err)
{
    if (!(flags & 0x80))
        return OK;
    *n = 2 << (flags & 7);
    return take(out, g, (size_t)*n * 3, err);
}

/* ---- LZW ---- */

/* Bits from pieces of up to 255 bytes, each behind its length; an empty one is the end. */
struct bits {
    struct gif *g;
    int64_t left; /* bytes of the piece */
    bool ended;
    uint32_t held;
    int n_held;
};

static enum status next_byte(struct bits *b, struct error *err)
{
    const uint8_t *p;
    enum status st;

    if (!b->left) {
        if ((st = take(&p, b->g, 1, err)))
            return st;
        b->left = *p;
        b->ended = b->left == 0;
    }
    if (b->ended)
        return fail(err, E_FORMAT, "frame %" PRId64 " has too few pixels", b->g->out->frames);
    if ((st = take(&p, b->g, 1, err)))
        return st;
    b->left--;
    b->held |= (uint32_t)*p << b->n_held;
    b->n_held += 8;
    return OK;
}

static enum status next_code(int *out, struct bits *b, int width, struct error *err)
{
    enum status st;

    while (b->n_held < width)
        if ((st = next_byte(b, err)))
            return st;
    *out = (int)(b->held & ((1u << width) - 1));
    b->held >>= width;
    b->n_held -= width;
    return OK;
}

struct strings {
    int16_t before[CODES];
    uint8_t letter[CODES];
    uint16_t length[CODES];
    int n;
};

static void strings_reset(struct strings *s, int letters)
{
    s->n = letters + 2; /* two codes mean: begin anew, and: the end */
}

/* Letters are themselves; the first of a string is found by walking back. */
static uint8_t first_letter(const struct strings *s, int code, int letters)
{
    while (code >= letters)
        code = s->before[code];
    return (uint8_t)code;
}

static void unroll(uint8_t *out, int64_t room, const struct strings *s, int code, int letters)
{
    int64_t i = code < letters ? 0 : s->length[code] - 1;

    for (; code >= letters; code = s->before[code], i--)
        if (i < room)
            out[i] = s->letter[code];
    out[0] = (uint8_t)code;
}

static void strings_add(struct strings *s, int before, uint8_t letter, int letters)
{
    s->before[s->n] = (int16_t)before;
    s->letter[s->n] = letter;
    s->length[s->n] = (uint16_t)(before < letters ? 2 : s->length[before] + 1);
    s->n++;
}

/* Fill n letters. */
static enum status inflate_letters(uint8_t *out, int64_t n, struct bits *b, int least_width,
                                   struct error *err)
{
    int letters = 1 << least_width, width = least_width + 1, last = NO_CODE, code;
    struct strings s;
    enum status st;

    strings_reset(&s, letters);
    for (int64_t done = 0; done < n;) {
        if ((st = next_code(&code, b, width, err)))
            return st;
        if (code == letters) {
            strings_reset(&s, letters);
            width = least_width + 1;
            last = NO_CODE;
            continue;
        }
        if (code == letters + 1 || code > s.n || (code == s.n && (last < 0 || s.n == CODES)))
            return fail(err, E_FORMAT,
                        "frame %" PRId64 " is damaged after %" PRId64 " of %" PRId64 " pixels",
                        b->g->out->frames, done, n);
        if (last >= 0 && s.n < CODES)
            strings_add(&s, last, first_letter(&s, code == s.n ? last : code, letters), letters);
        if (last >= 0 && s.n == 1 << width && width < 12)
            width++;
        unroll(out + done, n - done, &s, code, letters);
        done += code < letters ? 1 : s.length[code];
        last = code;
    }
    return OK;
}

/* What is left of the pieces, through the empty one. */
static enum status skip_pieces(struct gif *g, int64_t left, bool ended, struct error *err)
{
    const uint8_t *p;
    enum status st = OK;

    while (!st && !ended) {
        if ((st = take(&p, g, (size_t)left, err)) || (st = take(&p, g, 1, err)))
            return st;
        left = *p;
        ended = left == 0;
    }
    return st;
}

static enum status read_letters(uint8_t *out, struct gif *g, int64_t n, struct error *err)
{
    struct bits b = {.g = g};
    const uint8_t *width;
    enum status st;

    if ((st = take(&width, g, 1, err)))
        return st;
    if (*width < 2 || *width > 8)
        return fail(err, E_FORMAT, "frame %" PRId64 ": codes of %d bits", g->out->frames, *width);
    if ((st = inflate_letters(out, n, &b, *width, err)))
        return st;
    return skip_pieces(g, b.left, b.ended, err);
}

/* ---- Blocks ---- */

/* Where the row that is stored as number i belongs: of an interlaced frame every eighth comes
 * first, then those between, and so on. */
static int64_t row_place(int64_t i, int64_t height)
{
    static const struct {
        int64_t first, each;
    } passes[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};

    for (int k = 0; k < 4; k++) {
        int64_t n = (height - passes[k].first + passes[k].each - 1) / passes[k].each;

        if (i < n)
            return passes[k].first + i * passes[k].each;
        i -= n > 0 ? n : 0;
    }
    return 0;
}

static enum status paint(uint8_t *pixels, const struct gif *g, const uint8_t *letters,
                         const struct canvas_area *a, bool interlaced, const uint8_t *colours,
                         int n_colours, struct error *err)
{
    for (int64_t i = 0; i < a->height; i++) {
        uint8_t *row = pixels + (interlaced ? row_place(i, a->height) : i) * a->width * 4;

        for (int64_t j = 0; j < a->width; j++) {
            int letter = letters[i * a->width + j];

            if (letter == g->transparent) {
                memset(row + j * 4, 0, 4);
                continue;
            }
            if (letter >= n_colours)
                return fail(err, E_FORMAT, "frame %" PRId64 " uses colour %d of %d", g->out->frames,
                            letter, n_colours);
            memcpy(row + j * 4, colours + letter * 3, 3);
            row[j * 4 + 3] = 255;
        }
    }
    return OK;
}

static enum status read_frame(struct gif *g, struct error *err)
{
    const uint8_t *p, *colours = g->colours;
    uint8_t *letters = NULL, *pixels = NULL;
    int n_colours = g->n_colours;
    struct canvas_area a;
    int64_t n;
    enum status st;

    if ((st = take(&p, g, 9, err)))
        return st;
    a = (struct canvas_area){read_u16(p), read_u16(p + 2), read_u16(p + 6), read_u16(p + 4),
                             true,        g->after};
    n = a.width * a.height;
    if ((st = canvas_check(&g->canvas, &a, err))) {
        fail_under(err, "frame %" PRId64, g->out->frames);
        return st;
    }
    if ((st = take_colours(&colours, &n_colours, g, p[8], err)) ||
        (st = mem_new((void **)&letters, (uint64_t)n, 1, "a frame", err)) ||
        (st = mem_new((void **)&pixels, (uint64_t)n, 4, "a frame", err)) ||
        (st = read_letters(letters, g, n, err)) ||
        (st = paint(pixels, g, letters, &a, p[8] & 0x40, colours, n_colours, err)))
        goto out;
    st = canvas_show(&g->canvas, g->out, pixels, &a, err);
    g->transparent = NO_CODE;
    g->after = CANVAS_KEEP;
out:
    free(letters);
    free(pixels);
    return st;
}

/* Players show what claims to last less than two hundredths for ten, and so do we. */
static enum status read_extension(struct gif *g, struct error *err)
{
    const uint8_t *p;
    enum status st;

    if ((st = take(&p, g, 2, err)))
        return st;
    g->at--; /* the length of the first piece */
    if (p[0] == CONTROL && p[1] == 4) {
        static const enum canvas_after after[8] = {
            [2] = CANVAS_CLEAR, [3] = CANVAS_RESTORE, [4] = CANVAS_RESTORE};

        if ((st = take(&p, g, 5, err)))
            return st;
        g->after = after[p[1] >> 2 & 7];
        g->transparent = p[1] & 1 ? p[4] : NO_CODE;
        g->hundredths += read_u16(p + 2) < 2 ? 10 : read_u16(p + 2);
    }
    return skip_pieces(g, 0, false, err);
}

static enum status read_blocks(struct gif *g, int64_t most, struct error *err)
{
    const uint8_t *p;
    enum status st;

    while (g->out->frames < most) {
        if ((st = take(&p, g, 1, err)))
            return st;
        if (*p == TRAILER)
            return OK;
        if (*p != EXTENSION && *p != FRAME)
            return fail(err, E_FORMAT, "no block begins with 0x%02X, after %" PRId64 " frames", *p,
                        g->out->frames);
        if ((st = *p == FRAME ? read_frame(g, err) : read_extension(g, err)))
            return st;
    }
    return OK;
}

enum status gif_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                       struct error *err)
{
    struct gif g = {.at = bytes, .end = bytes + n, .transparent = NO_CODE, .out = out};
    const uint8_t *p;
    enum status st;

    if (!(st = take(&p, &g, HEAD, err)) &&
        !(st = take_colours(&g.colours, &g.n_colours, &g, p[10], err)) &&
        !(st = canvas_init(&g.canvas, read_u16(p + 8), read_u16(p + 6), err)) &&
        !(st = clip_begin(out, g.canvas.height, g.canvas.width, 4, err)))
        st = read_blocks(&g, most, err);
    if (!st && g.hundredths)
        out->rate = (double)out->frames * 100 / (double)g.hundredths;
    canvas_release(&g.canvas);
    return st;
}
