/*
 * png_text.c - the chunks of a PNG file, and the texts among them
 *
 *     8 bytes   signature
 *     chunks    u32 length | 4 letters | length bytes | u32 CRC of letters and bytes   (big-endian)
 *     ...       until IEND, which is empty
 *
 * A picture's recipe is a text inside it, and reading it must not cost decoding the picture, nor
 * trust it: libpng would hand over texts only while reading pixels, with limits that are global.
 * The walk below is all there is to the container.  Every chunk's CRC is checked on the way, so a
 * file cut short or damaged anywhere is refused, wherever the text stood.
 *
 *     tEXt      key 0 text                                       Latin-1
 *     zTXt      key 0 0 deflated text                            Latin-1
 *     iTXt      key 0 is_deflated 0 language 0 translated key 0 text      UTF-8
 *
 * Deflated texts grow by up to a thousand times: inflation stops at IMAGE_TEXT bytes.
 * PNG specification, third edition, sections 5.3 and 11.3.3.
 */
#include "io/codec.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PNG_BYTES = 1 << 30 };

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum status png_chunk_next(struct png_chunk *out, size_t *at, const uint8_t *bytes, size_t n,
                           struct error *err)
{
    size_t left = *at <= n ? n - *at : 0, length;
    const uint8_t *p = bytes + *at;

    if (left < 12)
        return fail(err, E_FORMAT, "PNG: cut short after %zu bytes, without its end", n);
    length = read_u32(p);
    if (length > INT32_MAX || length > left - 12)
        return fail(err, E_FORMAT, "PNG: a chunk at byte %zu claims %zu bytes, %zu are left", *at,
                    length, left - 12);
    for (int i = 0; i < 4; i++) {
        uint8_t lower = p[4 + i] | 0x20;

        if (lower < 'a' || lower > 'z')
            return fail(err, E_FORMAT, "PNG: no chunk at byte %zu", *at);
        out->type[i] = (char)p[4 + i];
    }
    out->type[4] = 0;
    if (crc32(crc32(0, NULL, 0), p + 4, (uInt)(length + 4)) != read_u32(p + 8 + length))
        return fail(err, E_FORMAT, "PNG: the checksum of chunk %s at byte %zu is wrong", out->type,
                    *at);
    out->bytes = p + 8;
    out->n = length;
    *at = strcmp(out->type, "IEND") ? *at + 12 + length : 0;
    return OK;
}

/* Inflate n bytes into *out, gathering at most IMAGE_TEXT. */
static enum status inflate_text(struct byte_buffer *out, const uint8_t *bytes, size_t n,
                                struct error *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)n};
    uint8_t piece[4096];
    enum status st = OK;
    int r;

    if (inflateInit(&z) != Z_OK)
        return fail(err, E_MEMORY, "PNG: no memory to inflate a text");
    do {
        z.next_out = piece;
        z.avail_out = sizeof piece;
        r = inflate(&z, Z_NO_FLUSH);
        if (r != Z_OK && r != Z_STREAM_END)
            st = r == Z_MEM_ERROR ? fail(err, E_MEMORY, "PNG: no memory to inflate a text")
                                  : fail(err, E_FORMAT, "PNG: a deflated text is damaged");
        else if (out->n + (int64_t)(sizeof piece - z.avail_out) > IMAGE_TEXT)
            st = fail(err, E_FORMAT, "PNG: a text inflates to more than %d bytes", IMAGE_TEXT);
        else
            st = byte_buffer_put(out, piece, sizeof piece - z.avail_out, err);
    } while (!st && r != Z_STREAM_END);
    inflateEnd(&z);
    return st;
}

/* *out = n bytes of Latin-1 as UTF-8. */
static enum status from_latin1(char **out, const uint8_t *bytes, size_t n, struct error *err)
{
    uint8_t *to = NULL;
    enum status st;

    if ((st = mem_new((void **)&to, 2 * (uint64_t)n + 1, 1, "a text", err)))
        return st;
    *out = (char *)to;
    for (size_t i = 0; i < n; i++)
        to += utf8_put(to, bytes[i]);
    return OK;
}

/* Where the zero that ends a field stands, or NULL: *p moves past it. */
static const uint8_t *field_end(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *zero = memchr(*p, 0, (size_t)(end - *p));

    if (zero)
        *p = zero + 1;
    return zero;
}

/* *out = the text of a chunk, whose key has been read; from is what follows the key. */
static enum status read_value(char **out, const char *type, const uint8_t *from, const uint8_t *end,
                              struct error *err)
{
    bool is_itxt = !strcmp(type, "iTXt"), deflated = !strcmp(type, "zTXt");
    struct byte_buffer inflated = {0};
    size_t n;
    enum status st = OK;

    if (is_itxt && from < end && *from <= 1)
        deflated = *from++ == 1;
    if ((is_itxt || deflated) && (from == end || *from++ != 0))
        return fail(err, E_FORMAT, "PNG: a text is compressed in an unknown way");
    for (int field = 0; is_itxt && field < 2; field++) /* the language, the translated key */
        if (!field_end(&from, end))
            return fail(err, E_FORMAT, "PNG: an iTXt chunk lacks its language or its key");
    n = (size_t)(end - from);
    if (deflated) {
        if ((st = inflate_text(&inflated, from, n, err)))
            goto out;
        from = inflated.bytes;
        n = (size_t)inflated.n;
    }
    if (n > IMAGE_TEXT || (n && memchr(from, 0, n)) || (is_itxt && !utf8_valid(from, n))) {
        st = fail(err, E_FORMAT, "PNG: a text of %zu bytes is too long or no text", n);
        goto out;
    }
    if (!is_itxt) {
        st = from_latin1(out, from, n, err);
    } else if (!(st = mem_new((void **)out, (uint64_t)n + 1, 1, "a text", err)) && n) {
        memcpy(*out, from, n);
    }
out:
    free(inflated.bytes);
    return st;
}

static bool is_text(const struct png_chunk *chunk)
{
    return !strcmp(chunk->type, "tEXt") || !strcmp(chunk->type, "zTXt") ||
           !strcmp(chunk->type, "iTXt");
}

enum status png_find_text(char **out, const uint8_t *bytes, size_t n, const char *key,
                          struct error *err)
{
    struct png_chunk chunk = {0};
    size_t at = 8;
    enum status st = OK;

    *out = NULL;
    if (!png_is(bytes, n))
        return fail(err, E_FORMAT, "not a PNG file");
    while (at) {
        const uint8_t *from, *zero;

        if ((st = png_chunk_next(&chunk, &at, bytes, n, err)))
            goto out;
        from = chunk.bytes;
        if (*out || !is_text(&chunk) || !(zero = field_end(&from, chunk.bytes + chunk.n)))
            continue;
        if ((size_t)(zero - chunk.bytes) == strlen(key) && !memcmp(chunk.bytes, key, strlen(key)) &&
            (st = read_value(out, chunk.type, from, chunk.bytes + chunk.n, err)))
            goto out;
    }
out:
    if (st) {
        free(*out);
        *out = NULL;
    }
    return st;
}

enum status png_read_text(char **out, const char *path, const char *key, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n;
    enum status st;

    *out = NULL;
    if ((st = file_read(&bytes, &n, path, PNG_BYTES, err)))
        return st;
    if ((st = png_find_text(out, bytes, n, key, err)))
        fail_under(err, "%s", path);
    free(bytes);
    return st;
}
