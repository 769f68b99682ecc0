/*
 * test_gguf.c - every rule of the format, every kind of block, and the public file of all types
 *
 * Files are made here by a small writer, byte by byte, so that each rule can be broken by one
 * number. A valid file is also cut at every byte and changed in every byte: it must be refused or
 * read, never crash.
 */
#include "base/file.h"
#include "io/gguf.h"
#include "io/gguf_blocks.h"
#include "io/safetensors.h"
#include "io/weights.h"
#include "support/temp.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER GOLDEN_DIR "/gguf"

enum { ROOM = 1 << 16 };

struct made {
    uint8_t byte[ROOM];
    size_t n;
};

static void put(struct made *m, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        m->byte[m->n++] = (uint8_t)(x >> 8 * i);
}

static void put_text(struct made *m, const char *text)
{
    put(m, strlen(text), 8);
    memcpy(m->byte + m->n, text, strlen(text));
    m->n += strlen(text);
}

static void head(struct made *m, uint32_t version, uint64_t tensors, uint64_t metadata)
{
    m->n = 0;
    memcpy(m->byte, "GGUF", 4);
    m->n = 4;
    put(m, version, 4);
    put(m, tensors, 8);
    put(m, metadata, 8);
}

static void u32(struct made *m, const char *key, uint32_t x)
{
    put_text(m, key);
    put(m, 4, 4);
    put(m, x, 4);
}

static void text(struct made *m, const char *key, const char *x)
{
    put_text(m, key);
    put(m, 8, 4);
    put_text(m, x);
}

/* An array of i32. */
static void shape(struct made *m, const char *key, int n, const int *x)
{
    put_text(m, key);
    put(m, 9, 4);
    put(m, 5, 4);
    put(m, (uint64_t)n, 8);
    for (int i = 0; i < n; i++)
        put(m, (uint32_t)x[i], 4);
}

static void tensor(struct made *m, const char *name, uint32_t rank, uint64_t inner, uint64_t outer,
                   uint32_t type, uint64_t offset)
{
    put_text(m, name);
    put(m, rank, 4);
    put(m, inner, rank > 0 ? 8 : 0);
    put(m, outer, rank > 1 ? 8 : 0);
    for (uint32_t i = 2; i < rank; i++)
        put(m, 1, 8);
    put(m, type, 4);
    put(m, offset, 8);
}

/* Padding, then n bytes 0, 1, 2, ... */
static void data(struct made *m, size_t alignment, size_t n)
{
    while (m->n % alignment)
        m->byte[m->n++] = 0;
    for (size_t i = 0; i < n; i++)
        m->byte[m->n++] = (uint8_t)i;
}

/* As long as it is, so that a sanitizer sees one byte more. */
static enum status open_exactly(struct gguf **f, const uint8_t *bytes, size_t n, struct error *err)
{
    static uint8_t *copy;

    free(copy);
    copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    return gguf_open_bytes(f, copy, n, "made", err);
}

static void must_refuse(const struct made *m, enum status st, const char *a, const char *b)
{
    struct error err = {0};
    struct gguf *f;

    assert_int_equal(open_exactly(&f, m->byte, m->n, &err), st);
    assert_null(f);
    if (!strstr(err.text, a) || !strstr(err.text, b))
        fail_msg("no '%s' or no '%s' in: %s", a, b, err.text);
}

/* Two tensors, one of them in blocks and reshaped, at an alignment of 64. */
static void make_good(struct made *m)
{
    head(m, 3, 2, 3);
    u32(m, "general.alignment", 64);
    text(m, "general.architecture", "sd3");
    shape(m, "comfy.gguf.orig_shape.q", 3, (const int[]){2, 3, 16});
    tensor(m, "q", 2, 32, 3, 8, 0);
    tensor(m, "x", 2, 3, 2, 0, 128);
    data(m, 64, 128 + 24);
}

static void test_good(void **state)
{
    struct error err = {0};
    const char *key, *value;
    struct made m;
    struct gguf *f;

    (void)state;
    make_good(&m);
    if (open_exactly(&f, m.byte, m.n, &err))
        fail_msg("%s", err.text);
    assert_int_equal(gguf_count(f), 2);
    assert_string_equal(gguf_at(f, 0)->name, "q");
    assert_int_equal(gguf_at(f, 0)->rank, 3);
    assert_int_equal(gguf_at(f, 0)->dim[0], 2);
    assert_int_equal(gguf_at(f, 0)->dim[2], 16);
    assert_int_equal(gguf_at(f, 0)->n_bytes, 3 * 34);
    assert_int_equal(gguf_find(f, "x")->dim[0], 2);
    assert_int_equal(gguf_find(f, "x")->dim[1], 3);
    assert_int_equal(gguf_find(f, "x")->bytes[0], 128);
    assert_null(gguf_find(f, "y"));
    assert_string_equal(gguf_metadata(f, "general.alignment"), "64");
    assert_string_equal(gguf_metadata(f, "general.architecture"), "sd3");
    assert_string_equal(gguf_metadata(f, "comfy.gguf.orig_shape.q"), "[2, 3, 16]");
    assert_null(gguf_metadata(f, "q"));
    assert_int_equal(gguf_metadata_count(f), 3);
    gguf_metadata_at(f, 1, &key, &value);
    assert_string_equal(key, "general.architecture");
    assert_string_equal(value, "sd3");
    gguf_close(f);
}

static void test_empty(void **state)
{
    struct made m;
    struct gguf *f;

    (void)state;
    for (uint32_t version = 2; version < 4; version++) {
        head(&m, version, 0, 0);
        assert_int_equal(open_exactly(&f, m.byte, m.n, NULL), OK);
        assert_int_equal(gguf_count(f), 0);
        gguf_close(f);
    }
    /* A scalar, a tensor without elements, and the last one's padding left away. */
    head(&m, 3, 3, 0);
    tensor(&m, "none", 2, 0, 5, 12, 0);
    tensor(&m, "a", 0, 0, 0, 0, 0);
    tensor(&m, "b", 1, 1, 0, 24, 32);
    data(&m, 32, 33);
    assert_int_equal(open_exactly(&f, m.byte, m.n, NULL), OK);
    assert_int_equal(file_tensor_count(gguf_find(f, "none")), 0);
    assert_int_equal(file_tensor_count(gguf_find(f, "a")), 1);
    assert_int_equal(gguf_find(f, "b")->bytes[0], 32);
    gguf_close(f);
}

static void test_bad_heads(void **state)
{
    struct made m;

    (void)state;
    head(&m, 3, 0, 0);
    m.byte[3] = 'f';
    must_refuse(&m, E_FORMAT, "GGUF", "");
    head(&m, 1, 0, 0);
    must_refuse(&m, E_UNSUPPORTED, "version 1", "");
    head(&m, 0, 0, 0);
    must_refuse(&m, E_UNSUPPORTED, "version 0", "");
    head(&m, 4, 0, 0);
    must_refuse(&m, E_UNSUPPORTED, "version 4", "");
    head(&m, 3u << 24, 0, 0);
    must_refuse(&m, E_UNSUPPORTED, "big-endian", "");
    head(&m, 3, UINT64_MAX, 0);
    must_refuse(&m, E_FORMAT, "claims 18446744073709551615 tensors", "0 bytes left");
    head(&m, 3, 0, 1000000000000);
    must_refuse(&m, E_FORMAT, "claims 1000000000000 metadata", "0 bytes left");
    head(&m, 3, 2, 0);
    tensor(&m, "a", 1, 8, 0, 0, 0);
    must_refuse(&m, E_FORMAT, "claims 2 tensors", "left");
}

static void test_bad_metadata(void **state)
{
    struct made m;

    (void)state;
    head(&m, 3, 0, 2);
    u32(&m, "k", 1);
    u32(&m, "k", 1);
    must_refuse(&m, E_FORMAT, "metadata k is there twice", "");
    head(&m, 3, 0, 1);
    u32(&m, "", 1);
    must_refuse(&m, E_FORMAT, "empty key", "");
    head(&m, 3, 0, 1);
    text(&m, "k", "\xFFtext");
    must_refuse(&m, E_FORMAT, "metadata k", "UTF-8");
    head(&m, 3, 0, 1);
    put_text(&m, "\xFF--------");
    put(&m, 0, 8);
    must_refuse(&m, E_FORMAT, "a key of the metadata", "UTF-8");
    head(&m, 3, 0, 1);
    put(&m, UINT64_MAX, 8);
    put(&m, 0, 8);
    must_refuse(&m, E_FORMAT, "claims 18446744073709551615 bytes", "has 8 left");
    for (uint32_t type = 13; type < 200; type += 60) {
        head(&m, 3, 0, 1);
        put_text(&m, "k");
        put(&m, type, 4);
        put(&m, 0, 8);
        must_refuse(&m, E_FORMAT, "metadata k", "there is not");
    }
    head(&m, 3, 0, 1);
    put_text(&m, "k");
    put(&m, 9, 4);
    put(&m, 9, 4);
    put(&m, 0, 8);
    must_refuse(&m, E_UNSUPPORTED, "metadata k", "arrays of arrays");
    head(&m, 3, 0, 1);
    put_text(&m, "k");
    put(&m, 9, 4);
    put(&m, 10, 4);
    put(&m, UINT64_MAX / 8, 8);
    put(&m, 0, 8);
    must_refuse(&m, E_FORMAT, "claims 2305843009213693951 elements", "8 bytes left");
    for (uint32_t bad = 0; bad < 49; bad += 3) {
        if (bad && !(bad & (bad - 1)))
            continue;
        head(&m, 3, 0, 1);
        u32(&m, "general.alignment", bad);
        must_refuse(&m, E_FORMAT, "general.alignment", "power of two");
    }
    head(&m, 3, 0, 1);
    text(&m, "general.alignment", "32");
    must_refuse(&m, E_FORMAT, "general.alignment is 32", "u32");
}

static void refuse_tensor(const char *name, uint32_t rank, uint64_t inner, uint64_t outer,
                          uint32_t type, uint64_t offset, enum status st, const char *a,
                          const char *b)
{
    struct made m;

    head(&m, 3, 1, 0);
    tensor(&m, name, rank, inner, outer, type, offset);
    data(&m, 32, 64);
    must_refuse(&m, st, a, b);
}

static void test_bad_tensors(void **state)
{
    struct made m;

    (void)state;
    refuse_tensor("", 1, 4, 0, 0, 0, E_FORMAT, "no name", "");
    refuse_tensor("a\xFF", 1, 4, 0, 0, 0, E_FORMAT, "UTF-8", "name of a tensor");
    refuse_tensor("a", 5, 4, 1, 0, 0, E_FORMAT, "5 dimensions", "at most 4");
    refuse_tensor("a", 1, 4, 0, 9, 0, E_UNSUPPORTED, "tensor a", "type 9");
    refuse_tensor("a", 1, 4, 0, 4, 0, E_UNSUPPORTED, "tensor a", "type 4");
    refuse_tensor("a", 1, 4, 0, 200, 0, E_UNSUPPORTED, "tensor a", "type 200");
    refuse_tensor("a", 2, 16, 2, 8, 0, E_FORMAT, "rows of 16", "blocks of 32");
    refuse_tensor("a", 2, 128, 2, 12, 0, E_FORMAT, "rows of 128", "blocks of 256");
    refuse_tensor("a", 0, 0, 0, 8, 0, E_FORMAT, "rows of 1 ", "blocks of 32");
    refuse_tensor("a", 1, 17, 0, 0, 0, E_FORMAT, "from 64 to 132", "the file has 128");
    refuse_tensor("a", 1, 4, 0, 0, 32, E_FORMAT, "begins at 32", "end at 0");
    refuse_tensor("a", 1, UINT64_MAX, 0, 0, 0, E_FORMAT, "overflows", "");
    refuse_tensor("a", 2, 1ull << 40, 1ull << 40, 0, 0, E_FORMAT, "overflows", "");
    refuse_tensor("a", 2, 0, 1ull << 63, 0, 0, E_FORMAT, "overflows", "");
    refuse_tensor("a", 1, 1ull << 62, 0, 0, 0, E_FORMAT, "overflows", "");
    refuse_tensor("a", 1, 1ull << 60, 0, 0, 0, E_FORMAT, "tensor a", "the file has 128");

    head(&m, 3, 2, 0);
    tensor(&m, "a", 1, 4, 0, 0, 0);
    tensor(&m, "a", 1, 4, 0, 0, 32);
    data(&m, 32, 64);
    must_refuse(&m, E_FORMAT, "tensor a is there twice", "");
    head(&m, 3, 2, 0);
    tensor(&m, "a", 1, 4, 0, 0, 0);
    tensor(&m, "b", 1, 4, 0, 0, 16); /* not aligned */
    data(&m, 32, 64);
    must_refuse(&m, E_FORMAT, "tensor b begins at 16", "end at 32");
    head(&m, 3, 2, 0);
    tensor(&m, "a", 1, (1ull << 61) - 1, 0, 0, 0);
    tensor(&m, "b", 1, (1ull << 61) - 1, 0, 0, 1ull << 63);
    data(&m, 32, 64);
    must_refuse(&m, E_FORMAT, "tensor a", "overflow");
}

static void test_bad_shapes(void **state)
{
    static const int nine[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, wrong[] = {2, 3}, below[] = {-1, -4};
    struct made m;

    (void)state;
    for (int k = 0; k < 4; k++) {
        head(&m, 3, 1, 1);
        if (k == 0)
            shape(&m, "comfy.gguf.orig_shape.a", 2, wrong);
        else if (k == 1)
            shape(&m, "comfy.gguf.orig_shape.a", 9, nine);
        else if (k == 2)
            shape(&m, "comfy.gguf.orig_shape.a", 2, below);
        else
            text(&m, "comfy.gguf.orig_shape.a", "4");
        tensor(&m, "a", 1, 4, 0, 0, 0);
        data(&m, 32, 16);
        must_refuse(&m, E_FORMAT, "comfy.gguf.orig_shape.a",
                    k == 0 ? "makes 6 elements, the tensor has 4" : "not a shape");
    }
}

/* Every beginning of a file is refused, and a file with any one byte changed is refused or read. */
static void test_damage(void **state)
{
    struct made m;
    size_t needed;

    (void)state;
    make_good(&m);
    needed = m.n;
    for (size_t n = 0; n < needed; n++) {
        struct error err = {0};
        struct gguf *f;

        assert_int_equal(open_exactly(&f, m.byte, n, &err), E_FORMAT);
        assert_true(*err.text);
    }
    for (size_t i = 0; i < m.n; i++) {
        for (int change = 1; change < 256; change += change < 8 ? 1 : 51) {
            struct error err = {0};
            struct gguf *f;

            m.byte[i] ^= (uint8_t)change;
            if (!open_exactly(&f, m.byte, m.n, &err)) {
                float v[256];

                for (int64_t k = 0; k < gguf_count(f); k++)
                    if (file_tensor_count(gguf_at(f, k)) <= 256)
                        assert_int_equal(file_tensor_f32(gguf_at(f, k), v, NULL), OK);
            }
            gguf_close(f);
            m.byte[i] ^= (uint8_t)change;
        }
    }
}

/* --- blocks -------------------------------------------------------------------------------------
 */

static struct weights *must_open(const char *path)
{
    struct error err = {0};
    struct weights *w;

    if (weights_open(&w, path, &err))
        fail_msg("%s", err.text);
    return w;
}

static float *values_of(const struct file_tensor *t)
{
    float *v = malloc((size_t)file_tensor_count(t) * sizeof *v + 1);

    assert_int_equal(file_tensor_f32(t, v, NULL), OK);
    return v;
}

static void assert_same(const char *name, const float *got, const float *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0 && !(isnan(got[i]) && isnan(want[i])))
            fail_msg("%s[%" PRId64 "]: %.9g, not %.9g", name, i, (double)got[i], (double)want[i]);
}

/* Blocks of each type, whose values the reference gives; whole and one block at a time. */
static void test_blocks(void **state)
{
    struct weights *w = must_open(FOLDER "/blocks.safetensors");
    int types = 0;

    (void)state;
    for (int64_t i = 0; i < weights_count(w); i++) {
        const struct file_tensor *bytes = weights_at(w, i), *values;
        const char *end = strstr(bytes->name, ".bytes");
        char name[100];
        struct file_tensor t;
        float *want, *got;

        if (!end)
            continue;
        t = (struct file_tensor){.name = bytes->name, .rank = 1, .bytes = bytes->bytes};
        snprintf(name, sizeof name, "%.*s", (int)(end - bytes->name), bytes->name);
        assert_true(file_dtype_parse(&t.dtype, name));
        snprintf(name, sizeof name, "%.*s.values", (int)(end - bytes->name), bytes->name);
        values = weights_find(w, name);
        t.dim[0] = file_tensor_count(values);
        assert_int_equal((uint64_t)(t.dim[0] / file_dtype_block(t.dtype)) *
                             file_dtype_size(t.dtype),
                         bytes->n_bytes);
        want = values_of(values);
        got = values_of(&t);
        assert_same(name, got, want, t.dim[0]);
        memset(got, 0, (size_t)t.dim[0] * sizeof *got);
        for (int64_t k = t.dim[0]; k > 0;) {
            k -= file_dtype_block(t.dtype);
            file_tensor_f32_part(&t, k, file_dtype_block(t.dtype), got + k);
        }
        assert_same(name, got, want, t.dim[0]);
        free(got);
        free(want);
        types++;
    }
    assert_int_equal(types, 12);
    weights_close(w);
}

/* A file with metadata and tensors of every type, against what it holds. */
static void test_all_types(void **state)
{
    static const struct {
        const char *key, *value;
    } want[] = {
        {"general.architecture", "fixture"},
        {"general.alignment", "64"},
        {"t.u8", "200"},
        {"t.i8", "-100"},
        {"t.u16", "60000"},
        {"t.i16", "-30000"},
        {"t.u32", "4000000000"},
        {"t.i32", "-2000000000"},
        {"t.f32", "1.5"},
        {"t.bool", "true"},
        {"t.str", "caf\xC3\xA9 \xE2\x98\x83"},
        {"t.u64", "9223372036854775813"},
        {"t.i64", "-4611686018427387904"},
        {"t.f64", "0.1"},
        {"t.empty", ""},
        {"a.i32", "[1, -2, 3]"},
        {"a.f32", "[0.5, 2]"},
        {"a.str", "[\"one\", \"\", \"three\"]"},
        {"a.bool", "[true, false, true]"},
        {"a.none", "[]"},
    };
    struct weights *w = must_open(FOLDER "/all-types.gguf");
    struct weights *values = must_open(FOLDER "/all-types.safetensors");

    (void)state;
    assert_string_equal(weights_format(w), "GGUF");
    assert_int_equal(weights_metadata_count(w), sizeof want / sizeof *want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const char *key, *value;

        weights_metadata_at(w, (int64_t)i, &key, &value);
        assert_string_equal(key, want[i].key);
        assert_string_equal(value, want[i].value);
        assert_ptr_equal(weights_metadata(w, key), value);
    }
    assert_int_equal(weights_count(w), weights_count(values));
    for (int64_t i = 0; i < weights_count(w); i++) {
        const struct file_tensor *t = weights_at(w, i), *u = weights_find(values, t->name);
        float *a, *b;

        assert_non_null(u);
        assert_int_equal(t->rank, u->rank);
        assert_memory_equal(t->dim, u->dim, sizeof t->dim);
        a = values_of(t);
        b = values_of(u);
        assert_same(t->name, a, b, file_tensor_count(t));
        free(a);
        free(b);
    }
    weights_close(w);
    weights_close(values);
}

/* What the reference encoder writes, bit for bit. */
static void test_write_blocks(void **state)
{
    struct weights *w = must_open(FOLDER "/quantize.safetensors");
    const struct file_tensor *want = weights_find(w, "Q8_0.bytes");
    float *x = values_of(weights_find(w, "values"));
    uint8_t got[8 * 272];

    (void)state;
    assert_int_equal(want->n_bytes, sizeof got);
    gguf_to_q8_0(got, x, 8 * 256);
    assert_memory_equal(got, want->bytes, sizeof got);
    free(x);
    weights_close(w);
}

/* Halves away from zero, a block of zeros, and the largest and smallest codes. */
static void test_round_blocks(void **state)
{
    static const struct {
        float x;
        int code;
    } cases[] = {
        {127, 127},        {-127, -127}, {0.5f, 1},  {-0.5f, -1},     {0.49999997f, 0},
        {-0.49999997f, 0}, {1.5f, 2},    {2.5f, 3},  {-2.5f, -3},     {126.5f, 127},
        {100.49999f, 100}, {0, 0},       {-0.0f, 0}, {2.4999998f, 2},
    };
    float x[64] = {0};
    uint8_t out[68];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        x[i] = cases[i].x;
    gguf_to_q8_0(out, x, 64);
    assert_int_equal(out[0] | out[1] << 8, 0x3C00);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal((int8_t)out[2 + i], cases[i].code);
    for (int i = 34; i < 68; i++)
        assert_int_equal(out[i], 0);
}

/* --- writing ------------------------------------------------------------------------------------
 */

static const char path[] = "made.gguf";

static struct gguf *saved(const struct save_tensor *t, int64_t n, const struct save_text *text,
                          int64_t n_text)
{
    struct error err = {0};
    struct gguf *f = NULL;
    uint8_t *bytes = NULL;
    uint64_t size = 0;

    if (gguf_save(path, t, n, text, n_text, &err) ||
        file_read(&bytes, &size, path, 1 << 20, &err) ||
        open_exactly(&f, bytes, (size_t)size, &err))
        fail_msg("%s", err.text);
    free(bytes);
    return f;
}

/* Shapes that the format has not come back as they went, with the same bytes. */
static void test_save(void **state)
{
    static const float x[2 * 3 * 4 * 5 * 6] = {1, 2, 3};
    const struct save_tensor t[] = {
        {"deep", FILE_F32, 6, {2, 3, 4, 1, 5, 6}, x, NULL},
        {"scalar", FILE_F32, 0, {0}, x, NULL},
        {"odd", FILE_F16, 1, {3}, x, NULL},
        {"blocks", FILE_Q8_0, 3, {4, 4, 32}, x, NULL},
        {"reshaped", FILE_Q8_0, 4, {8, 4, 2, 2}, x, NULL},
        {"reshaped.k", FILE_Q8_0, 2, {32, 16}, x, NULL},
        {"none", FILE_I64, 2, {0, 3}, x, NULL},
    };
    const struct save_text text[] = {{"config", "{\"caf\xC3\xA9\": 1}"}, {"empty", ""}};
    struct gguf *f = saved(t, 7, text, 2);

    (void)state;
    assert_int_equal(gguf_count(f), 7);
    for (int i = 0; i < 7; i++) {
        const struct file_tensor *u = gguf_at(f, i);

        assert_string_equal(u->name, t[i].name);
        assert_int_equal(u->dtype, t[i].dtype);
        assert_int_equal(u->rank, t[i].rank);
        for (int k = 0; k < u->rank; k++)
            assert_int_equal(u->dim[k], t[i].dim[k]);
        assert_memory_equal(u->bytes, x, u->n_bytes);
    }
    assert_string_equal(gguf_metadata(f, "config"), text[0].value);
    assert_string_equal(gguf_metadata(f, "empty"), "");
    assert_string_equal(gguf_metadata(f, "general.file_type"), "7");
    assert_string_equal(gguf_metadata(f, "general.quantization_version"), "2");
    assert_string_equal(gguf_metadata(f, "comfy.gguf.orig_shape.reshaped"), "[8, 4, 2, 2]");
    assert_null(gguf_metadata(f, "comfy.gguf.orig_shape.blocks"));
    gguf_close(f);
    gguf_close(saved(NULL, 0, NULL, 0));
}

static void test_refuse_to_save(void **state)
{
    static const float x[64];
    const struct save_tensor bad[] = {
        {"", FILE_F32, 1, {1}, x, NULL},    {"a\xFF", FILE_F32, 1, {1}, x, NULL},
        {"a", FILE_U8, 1, {1}, x, NULL},    {"a", FILE_F8_E4M3, 1, {1}, x, NULL},
        {"a", FILE_F32, 1, {-1}, x, NULL},  {"a", FILE_F32, 2, {INT64_MAX, 4}, x, NULL},
        {"a", FILE_Q8_0, 1, {31}, x, NULL},
    };
    const struct save_tensor good = {"a", FILE_F32, 1, {1}, x, NULL}, twice[] = {good, good};
    const struct save_text texts[] = {{"", "x"},
                                      {"k\xFF", "x"},
                                      {"k", "x\xFF"},
                                      {"general.alignment", "32"},
                                      {"general.file_type", "7"},
                                      {"comfy.gguf.orig_shape.a", "[1]"}};
    const struct save_text same[] = {{"k", "x"}, {"k", "y"}};
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(gguf_save(path, &bad[i], 1, NULL, 0, &err), E_ARG);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(gguf_save(path, &good, 1, &texts[i], 1, &err), E_ARG);
    assert_int_equal(gguf_save(path, twice, 2, NULL, 0, &err), E_ARG);
    assert_int_equal(gguf_save(path, &good, 1, same, 2, &err), E_ARG);
    assert_int_equal(gguf_save("/nowhere/made.gguf", &good, 1, NULL, 0, &err), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),           cmocka_unit_test(test_empty),
        cmocka_unit_test(test_bad_heads),      cmocka_unit_test(test_bad_metadata),
        cmocka_unit_test(test_bad_tensors),    cmocka_unit_test(test_bad_shapes),
        cmocka_unit_test(test_damage),         cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_all_types),      cmocka_unit_test(test_write_blocks),
        cmocka_unit_test(test_round_blocks),   cmocka_unit_test(test_save),
        cmocka_unit_test(test_refuse_to_save),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
