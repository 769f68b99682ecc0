/*
 * packed.c - bytes that may be gzip, read front to back
 *
 * Public data sets come as .gz and are used as they come.  zlib's own gzread would take a path,
 * hide the compressed size and pass garbage after the data in silence; reading from memory instead
 * lets tests and fuzzers feed bytes without files, and lets a header's claim be checked against the
 * most that the bytes could unpack to, before anything is allocated.
 */
#include "io/packed.h"

#include <inttypes.h>
#include <string.h>

enum { GZIP = 16 + MAX_WBITS, EXPANSION = 1032, FEED = 1 << 30 };

enum status packed_open(struct packed *p, const uint8_t *bytes, uint64_t n, const char *name,
                        struct error *err)
{
    *p = (struct packed){.name = name, .bytes = bytes, .n = n};
    if (n < 2 || bytes[0] != 0x1f || bytes[1] != 0x8b)
        return OK;
    if (inflateInit2(&p->z, GZIP) != Z_OK)
        return fail(err, E_MEMORY, "%s: no memory to unpack gzip", name);
    p->gzip = true;
    return OK;
}

void packed_close(struct packed *p)
{
    if (p->gzip)
        inflateEnd(&p->z);
    *p = (struct packed){0};
}

uint64_t packed_most(const struct packed *p)
{
    uint64_t left = p->n - p->at;

    if (!p->gzip)
        return left;
    /* What was fed and not yet unpacked is less than a window; EXPANSION bytes stand for it amply.
     */
    return left > UINT64_MAX / EXPANSION - 64 ? UINT64_MAX : (left + 64) * EXPANSION;
}

static enum status plain_take(struct packed *p, uint8_t *out, uint64_t want, uint64_t *got)
{
    *got = want < p->n - p->at ? want : p->n - p->at;
    if (*got)
        memcpy(out, p->bytes + p->at, *got);
    p->at += *got;
    return OK;
}

/* One call of inflate: up to `want` bytes into out, from the bytes not yet used. */
static enum status gzip_step(struct packed *p, uint8_t *out, uint64_t want, uint64_t *got,
                             struct error *err)
{
    uint64_t left = p->n - p->at;
    uInt room = want > FEED ? FEED : (uInt)want;
    int code;

    p->z.next_in = (z_const Bytef *)(p->bytes + p->at);
    p->z.avail_in = left > FEED ? FEED : (uInt)left;
    p->z.next_out = out;
    p->z.avail_out = room;
    code = inflate(&p->z, Z_NO_FLUSH);
    p->at = (uint64_t)(p->z.next_in - p->bytes);
    *got = room - p->z.avail_out;
    if (code == Z_STREAM_END) {
        p->ended = p->at == p->n;
        return p->ended || inflateReset(&p->z) == Z_OK
                   ? OK
                   : fail(err, E_FORMAT, "%s: cannot go on after a gzip member", p->name);
    }
    if (code == Z_MEM_ERROR)
        return fail(err, E_MEMORY, "%s: no memory to unpack gzip", p->name);
    if (code == Z_BUF_ERROR || (code == Z_OK && !*got && p->at == p->n))
        return fail(err, E_FORMAT, "%s: gzip data are cut short at %" PRIu64 " bytes", p->name,
                    p->n);
    if (code != Z_OK)
        return fail(err, E_FORMAT,
                    "%s: gzip data are damaged near byte %" PRIu64 " of %" PRIu64 " (%s)", p->name,
                    p->at, p->n, p->z.msg ? p->z.msg : "zlib gives no reason");
    return OK;
}

enum status packed_take(struct packed *p, uint8_t *out, uint64_t want, uint64_t *got,
                        struct error *err)
{
    uint64_t step;
    enum status st;

    if (!p->gzip)
        return plain_take(p, out, want, got);
    *got = 0;
    while (*got < want && !p->ended) {
        if ((st = gzip_step(p, out + *got, want - *got, &step, err)))
            return st;
        *got += step;
    }
    return OK;
}
