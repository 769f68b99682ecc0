/*
 * test_tfevents.c - event files read back by a reader that shares no code with the writer
 *
 * The reader walks the records, checks both checksums bit by bit, and takes the messages apart by
 * the rules of protocol buffers; whatever it does not expect fails the test.
 */
#include "io/tfevents.h"

#include "base/file.h"
#include "io/image.h"
#include "support/temp.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char folder[] = "."; /* the tests run in one of their own */

/* ---- The reader ---- */

/* CRC-32C as long division, highest power first. */
static uint32_t crc_bit_by_bit(const uint8_t *bytes, size_t n)
{
    uint32_t crc = 0xffffffffu, turned = 0;

    for (size_t i = 0; i < 8 * n; i++) {
        uint32_t bit = (uint32_t)bytes[i / 8] >> (i % 8) & 1;

        crc = (crc << 1) ^ ((crc >> 31 ^ bit) ? 0x1edc6f41u : 0);
    }
    for (int i = 0; i < 32; i++)
        turned |= (crc >> i & 1) << (31 - i);
    return ~turned;
}

static uint64_t little(const uint8_t *p, int n)
{
    uint64_t x = 0;

    for (int i = 0; i < n; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static void check_sum(const uint8_t *at, const uint8_t *bytes, size_t n)
{
    uint32_t crc = crc_bit_by_bit(bytes, n);

    assert_int_equal(little(at, 4), (uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8u));
}

struct bytes {
    const uint8_t *at;
    size_t n;
};

static uint64_t varint(struct bytes *m)
{
    uint64_t x = 0;

    for (int shift = 0;; shift += 7) {
        assert_true(m->n > 0 && shift < 64);
        x |= (uint64_t)(*m->at & 127) << shift;
        m->n--;
        if (!(*m->at++ & 128))
            return x;
    }
}

static struct bytes take(struct bytes *m, uint64_t n)
{
    struct bytes b = {m->at, n};

    assert_true(n <= m->n);
    m->at += n;
    m->n -= n;
    return b;
}

/* One field: its number; its value in *x, or in *b when it has a length. */
static int field(struct bytes *m, uint64_t *x, struct bytes *b)
{
    uint64_t key = varint(m);

    switch (key & 7) {
    case 0:
        *x = varint(m);
        break;
    case 1:
        *x = little(take(m, 8).at, 8);
        break;
    case 2:
        *b = take(m, varint(m));
        break;
    case 5:
        *x = little(take(m, 4).at, 4);
        break;
    default:
        fail_msg("field %d has wire type %d", (int)(key >> 3), (int)(key & 7));
    }
    return (int)(key >> 3);
}

/* What is looked for in an event. */
struct seen {
    double time;
    int64_t step, height, width, channels, start;
    char tag[64], version[32];
    float value;
    struct bytes png;
};

static void read_image(struct seen *s, struct bytes m)
{
    uint64_t x = 0;
    struct bytes b = {0};

    while (m.n)
        switch (field(&m, &x, &b)) {
        case 1:
            s->height = (int64_t)x;
            break;
        case 2:
            s->width = (int64_t)x;
            break;
        case 3:
            s->channels = (int64_t)x;
            break;
        case 4:
            s->png = b;
            break;
        default:
            fail_msg("an image holds something else");
        }
}

static void copy_text(char *to, size_t room, struct bytes b)
{
    assert_true(b.n < room);
    memcpy(to, b.at, b.n);
    to[b.n] = 0;
}

static void read_summary(struct seen *s, struct bytes m)
{
    struct bytes value, b = {0};
    uint64_t x = 0;
    uint32_t bits;

    assert_int_equal(field(&m, &x, &value), 1);
    assert_int_equal(m.n, 0);
    while (value.n)
        switch (field(&value, &x, &b)) {
        case 1:
            copy_text(s->tag, sizeof s->tag, b);
            break;
        case 2:
            bits = (uint32_t)x;
            memcpy(&s->value, &bits, sizeof bits);
            break;
        case 4:
            read_image(s, b);
            break;
        default:
            fail_msg("a value holds something else");
        }
}

static struct seen read_event(struct bytes m)
{
    struct seen s = {0};
    struct bytes b = {0};
    uint64_t x = 0;

    while (m.n)
        switch (field(&m, &x, &b)) {
        case 1:
            memcpy(&s.time, &x, sizeof x);
            break;
        case 2:
            s.step = (int64_t)x;
            break;
        case 3:
            copy_text(s.version, sizeof s.version, b);
            break;
        case 5:
            read_summary(&s, b);
            break;
        case 7:
            assert_int_equal(field(&b, &x, &b), 1);
            s.start = (int64_t)x;
            break;
        default:
            fail_msg("an event holds something else");
        }
    return s;
}

/* The only event file of the folder. */
static void find_file(char path[TEMP_PATH])
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (strstr(entry->d_name, "tfevents")) {
            temp_path(path, folder, entry->d_name);
            n++;
        }
    closedir(dir);
    assert_int_equal(n, 1);
}

/* All events of the file, at most `room`; *bytes is freed by the caller. */
static int read_all(struct seen *out, int room, uint8_t **bytes)
{
    char path[TEMP_PATH];
    struct bytes m;
    uint64_t n;
    int k = 0;

    find_file(path);
    assert_int_equal(file_read(bytes, &n, path, 1 << 24, NULL), OK);
    m = (struct bytes){*bytes, n};
    while (m.n) {
        struct bytes head = take(&m, 12), body;

        check_sum(head.at + 8, head.at, 8);
        body = take(&m, little(head.at, 8));
        check_sum(take(&m, 4).at, body.at, body.n);
        assert_true(k < room);
        out[k] = read_event(body);
        assert_true(out[k++].time > 1.6e9);
    }
    unlink(path);
    return k;
}

/* ---- Tests ---- */

static void the_checksum_is_castagnoli_s(void **state)
{
    const uint8_t digits[] = "123456789", zeros[32] = {0};

    (void)state;
    assert_int_equal(tfevents_crc(digits, 9), 0xe3069283u);
    assert_int_equal(tfevents_crc(zeros, 32), 0x8a9136aau); /* RFC 3720, B.4 */
    assert_int_equal(crc_bit_by_bit(digits, 9), 0xe3069283u);
    assert_int_equal(tfevents_crc(digits, 0), 0);
}

static void scalars_come_back(void **state)
{
    struct tfevents *f;
    struct seen seen[8];
    uint8_t *bytes;

    (void)state;
    assert_int_equal(tfevents_open(&f, folder, 200, NULL), OK);
    tfevents_scalar(f, 250, "train/loss", 0.125);
    tfevents_scalar(f, INT64_C(1) << 40, "eval/loss", -1e30);
    tfevents_scalar(f, 300, "lost", (double)NAN);
    assert_int_equal(tfevents_flush(f, NULL), OK);
    tfevents_close(f);
    assert_int_equal(read_all(seen, 8, &bytes), 5);
    assert_string_equal(seen[0].version, "brain.Event:2");
    assert_int_equal(seen[1].start, 1);
    assert_int_equal(seen[1].step, 201);
    assert_string_equal(seen[2].tag, "train/loss");
    assert_int_equal(seen[2].step, 250);
    assert_true(seen[2].value == 0.125f);
    assert_int_equal(seen[3].step, INT64_C(1) << 40);
    assert_true(seen[3].value == -1e30f);
    assert_true(isnan(seen[4].value));
    free(bytes);
}

static void pictures_come_back(void **state)
{
    uint8_t pixels[5 * 7 * 3] = {0}, *bytes, *want;
    struct image im = {5, 7, 3, pixels};
    char png[TEMP_PATH], text[TEMP_PATH];
    struct error err = {0};
    struct tfevents *f;
    struct seen seen[8];
    uint64_t n;

    (void)state;
    temp_path(png, folder, "a.png");
    temp_path(text, folder, "b.png");
    assert_int_equal(png_write(png, &im, NULL, 0, NULL), OK);
    assert_int_equal(file_write(text, "no picture, and long enough to be one", 37, NULL), OK);
    assert_int_equal(tfevents_open(&f, folder, 0, NULL), OK);
    assert_int_equal(tfevents_png(f, 50, "samples", png, NULL), OK);
    assert_int_equal(tfevents_png(f, 60, "samples", text, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "b.png"));
    assert_int_equal(tfevents_png(f, 60, "samples", "/nowhere/c.png", &err), E_IO);
    assert_int_equal(tfevents_flush(f, NULL), OK);
    tfevents_close(f);
    assert_int_equal(read_all(seen, 8, &bytes), 3);
    assert_string_equal(seen[2].tag, "samples");
    assert_int_equal(seen[2].step, 50);
    assert_int_equal(seen[2].height, 5);
    assert_int_equal(seen[2].width, 7);
    assert_int_equal(seen[2].channels, 3);
    assert_int_equal(file_read(&want, &n, png, 1 << 20, NULL), OK);
    assert_int_equal(seen[2].png.n, n);
    assert_memory_equal(seen[2].png.at, want, n);
    free(want);
    free(bytes);
}

static void a_folder_that_is_not_there(void **state)
{
    struct error err = {0};
    struct tfevents *f;

    (void)state;
    assert_int_equal(tfevents_open(&f, "/nowhere/at/all", 0, &err), E_IO);
    assert_null(f);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_castagnoli_s),
        cmocka_unit_test(scalars_come_back),
        cmocka_unit_test(pictures_come_back),
        cmocka_unit_test(a_folder_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
