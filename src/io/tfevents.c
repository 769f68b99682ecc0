/*
 * tfevents.c - event files that TensorBoard reads: numbers and pictures over steps
 *
 *     8 bytes   u64 little-endian: n
 *     4         masked CRC-32C of those 8
 *     n         one message "Event"
 *     4         masked CRC-32C of those n          ... and so on, record after record
 *
 * An Event is a protocol buffer, of which half a dozen fields are needed.  A field is its number
 * and wire type in one varint, then a varint, 8 or 4 bytes, or a length and so many bytes; a
 * message inside is its own bytes behind its length, so it is put together first and then copied.
 * Sixty lines replace a library of megabytes and a compiler for its schemas.
 *
 *     Event        1 wall_time double | 2 step | 3 file_version | 5 Summary | 7 SessionLog
 *     Summary      1 Value...                SessionLog   1 status (START = 1)
 *     Value        1 tag | 2 simple_value float | 4 Image
 *     Image        1 height | 2 width | 3 colorspace (channels) | 4 bytes of the PNG
 *
 * The mask, a rotation by 15 bits and a constant, is there because a checksum over data that hold
 * their own checksums is a weak one.  tensorflow/core/util/event.proto, summary.proto,
 * lib/io/record_writer.
 */
#include "io/tfevents.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATH_BYTES = 4096, PNG_BYTES = 64 << 20 };

struct tfevents {
    FILE *to;
    char path[PATH_BYTES];
    bool failed; /* memory for an event was missing */
};

/* ---- Checksums ---- */

/* The table is small and the files are: it is made anew for each record. */
uint32_t tfevents_crc(const uint8_t *bytes, size_t n)
{
    uint32_t table[256], crc = 0xffffffffu;

    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78u : 0);
    }
    for (size_t i = 0; i < n; i++)
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
    return ~crc;
}

static uint32_t masked(const uint8_t *bytes, size_t n)
{
    uint32_t crc = tfevents_crc(bytes, n);

    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- Fields of a message, in a struct text that holds bytes ---- */

enum wire { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

static void put_little(struct text *m, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        text_add_bytes(m, &(char){(char)(x >> (8 * i) & 255)}, 1);
}

static void put_varint(struct text *m, uint64_t x)
{
    for (; x >= 128; x >>= 7)
        put_little(m, (x & 127) | 128, 1);
    put_little(m, x, 1);
}

static void put_key(struct text *m, int field, enum wire wire)
{
    put_varint(m, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_int(struct text *m, int field, int64_t x)
{
    put_key(m, field, WIRE_VARINT);
    put_varint(m, (uint64_t)x);
}

static void put_double(struct text *m, int field, double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    put_key(m, field, WIRE_64);
    put_little(m, bits, 8);
}

static void put_float(struct text *m, int field, float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    put_key(m, field, WIRE_32);
    put_little(m, bits, 4);
}

static void put_bytes(struct text *m, int field, const void *bytes, size_t n)
{
    put_key(m, field, WIRE_BYTES);
    put_varint(m, n);
    text_add_bytes(m, bytes, n);
}

/* Puts the inner message, which is released. */
static void put_message(struct text *m, int field, struct text *inner)
{
    put_bytes(m, field, inner->data, inner->used);
    m->cut |= inner->cut;
    text_release(inner);
}

/* ---- Events ---- */

static double wall_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static struct text event_of(int64_t step)
{
    struct text e;

    text_init(&e, NULL, 0);
    put_double(&e, 1, wall_time());
    put_int(&e, 2, step);
    return e;
}

/* Frame and write the event, which is released. */
static void write_event(struct tfevents *f, struct text *e)
{
    struct text record;

    text_init(&record, NULL, 0);
    put_little(&record, e->used, 8);
    put_little(&record, masked((const uint8_t *)record.data, record.used), 4);
    text_add_bytes(&record, e->data, e->used);
    put_little(&record, masked((const uint8_t *)e->data, e->used), 4);
    if (e->cut || record.cut)
        f->failed = true;
    else
        fwrite(record.data, 1, record.used, f->to);
    text_release(&record);
    text_release(e);
}

/* The first record of every file. */
static void write_version(struct tfevents *f)
{
    static const char version[] = "brain.Event:2";
    struct text e;

    text_init(&e, NULL, 0);
    put_double(&e, 1, wall_time());
    put_bytes(&e, 3, version, sizeof version - 1);
    write_event(f, &e);
}

/* What older files say of this step and later ones does not hold any more. */
static void write_start(struct tfevents *f, int64_t step)
{
    struct text e = event_of(step), session;

    text_init(&session, NULL, 0);
    put_int(&session, 1, 1);
    put_message(&e, 7, &session);
    write_event(f, &e);
}

/* value: a message Value, which is released. */
static void write_value(struct tfevents *f, int64_t step, struct text *value)
{
    struct text e = event_of(step), summary;

    text_init(&summary, NULL, 0);
    put_message(&summary, 1, value);
    put_message(&e, 5, &summary);
    write_event(f, &e);
}

void tfevents_scalar(struct tfevents *f, int64_t step, const char *tag, double value)
{
    struct text v;

    text_init(&v, NULL, 0);
    put_bytes(&v, 1, tag, strlen(tag));
    put_float(&v, 2, (float)value);
    write_value(f, step, &v);
}

/* ---- Pictures ---- */

static int64_t big_endian(const uint8_t *p)
{
    return (int64_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* Size and channels stand in the first chunk, behind 16 bytes. */
static enum status put_png(struct text *image, const uint8_t *png, uint64_t n, const char *path,
                           struct error *err)
{
    static const int64_t channels[7] = {1, 0, 3, 3, 2, 0, 4}; /* by colour type */

    if (n < 33 || memcmp(png, "\x89PNG\r\n\x1a\n", 8) || png[25] > 6)
        return fail(err, E_FORMAT, "%s: %" PRIu64 " bytes that are no PNG", path, n);
    put_int(image, 1, big_endian(png + 20));
    put_int(image, 2, big_endian(png + 16));
    put_int(image, 3, channels[png[25]]);
    put_bytes(image, 4, png, n);
    return OK;
}

enum status tfevents_png(struct tfevents *f, int64_t step, const char *tag, const char *path,
                         struct error *err)
{
    struct text v, image;
    uint8_t *png = NULL;
    uint64_t n = 0;
    enum status st;

    if ((st = file_read(&png, &n, path, PNG_BYTES, err)))
        return st;
    text_init(&image, NULL, 0);
    if (!(st = put_png(&image, png, n, path, err))) {
        text_init(&v, NULL, 0);
        put_bytes(&v, 1, tag, strlen(tag));
        put_message(&v, 4, &image);
        write_value(f, step, &v);
    }
    text_release(&image);
    free(png);
    return st;
}

/* ---- The file ---- */

enum status tfevents_open(struct tfevents **out, const char *folder, int64_t step,
                          struct error *err)
{
    struct tfevents *f = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&f, 1, sizeof *f, "an event file", err)))
        return st;
    if (snprintf(f->path, sizeof f->path, "%s/events.out.tfevents.%010lld.imgen-%08" PRId64, folder,
                 (long long)time(NULL), step) >= (int)sizeof f->path)
        st = fail(err, E_ARG, "the name of a folder is longer than %d letters", PATH_BYTES);
    else if (!(f->to = fopen(f->path, "wb")))
        st = fail_errno(err, E_IO, "%s: cannot be opened", f->path);
    if (st) {
        tfevents_close(f);
        return st;
    }
    write_version(f);
    write_start(f, step + 1);
    *out = f;
    return tfevents_flush(f, err);
}

void tfevents_close(struct tfevents *f)
{
    if (!f)
        return;
    if (f->to)
        fclose(f->to);
    free(f);
}

enum status tfevents_flush(struct tfevents *f, struct error *err)
{
    if (f->failed)
        return fail(err, E_MEMORY, "%s: no memory for an event", f->path);
    if (fflush(f->to) || ferror(f->to))
        return fail_errno(err, E_IO, "%s: cannot be written", f->path);
    return OK;
}
