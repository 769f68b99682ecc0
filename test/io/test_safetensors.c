/*
 * test_safetensors.c - every rule of the format, and files that come back as they went
 *
 * Rules are tested by files made here, each breaking one, and by the folder of public cases.  A
 * valid file is also cut at every byte and changed in every byte: it must be refused or read, never
 * crash.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/numbers.h"
#include "io/safetensors.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 4096 };

/* Length, header and n_data bytes 0, 1, 2, ... into out; returns the number of bytes. */
static uint64_t make(uint8_t out[ROOM], const char *header, size_t n_data)
{
    size_t n = strlen(header);

    memset(out, 0, 8);
    out[0] = (uint8_t)n;
    out[1] = (uint8_t)(n >> 8);
    memcpy(out + 8, header, n);
    for (size_t i = 0; i < n_data; i++)
        out[8 + n + i] = (uint8_t)i;
    return 8 + n + n_data;
}

static enum status open_header(struct safetensors **f, const char *header, size_t n_data,
                               struct error *err)
{
    /* One test's file at a time, exactly as long as it is, so that a sanitizer sees one byte more.
     */
    static uint8_t *bytes;
    uint8_t whole[ROOM];
    uint64_t n = make(whole, header, n_data);

    free(bytes);
    bytes = malloc(n);
    memcpy(bytes, whole, n);
    return safetensors_open_bytes(f, bytes, n, "made", err);
}

static const struct broken {
    const char *rule, *header;
    size_t n_data;
    enum status st;
} broken[] = {
    {"no object", "[]", 0, E_FORMAT},
    {"space in front", " {}", 0, E_FORMAT},
    {"newline behind", "{}\n", 0, E_FORMAT},
    {"two objects", "{}{}", 0, E_FORMAT},
    {"empty", "", 0, E_FORMAT},
    {"only spaces", "    ", 0, E_FORMAT},
    {"entry not an object", "{\"a\":[]}", 0, E_FORMAT},
    {"dtype not a text", "{\"a\":{\"dtype\":1,\"shape\":[],\"data_offsets\":[0,1]}}", 1, E_FORMAT},
    {"newer dtype", "{\"a\":{\"dtype\":\"F8_E8M0\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     E_UNSUPPORTED},
    {"shape not an array", "{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1,
     E_FORMAT},
    {"dimension a text", "{\"a\":{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}}", 1,
     E_FORMAT},
    {"dimension with a fraction",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1, E_FORMAT},
    {"dimension beyond 64 bits",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[18446744073709551617],\"data_offsets\":[0,1]}}", 1,
     E_FORMAT},
    {"overflow to zero",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     E_FORMAT},
    {"overflow behind a zero",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[0,4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     E_FORMAT},
    {"overflow in bytes",
     "{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
     E_FORMAT},
    {"nine dimensions",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
     E_UNSUPPORTED},
    {"one offset", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, E_FORMAT},
    {"three offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1,
     E_FORMAT},
    {"negative offset", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}}", 1,
     E_FORMAT},
    {"offset past the end", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 1,
     E_FORMAT},
    {"an unknown member",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"scale\":2}}", 1, E_FORMAT},
    {"a member twice",
     "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     E_FORMAT},
    {"a metadata key twice", "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, E_FORMAT},
    {"metadata a text", "{\"__metadata__\":\"x\"}", 0, E_FORMAT},
    {"metadata null", "{\"__metadata__\":{\"a\":null}}", 0, E_FORMAT},
    {"NUL in a name", "{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     E_FORMAT},
    {"half a surrogate pair",
     "{\"\\ud83d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, E_FORMAT},
    {"overlong UTF-8", "{\"\xC0\xAF\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     E_FORMAT},
    {"data without tensors", "{}", 1, E_FORMAT},
    {"the same bytes twice",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
     1, E_FORMAT},
    {"an empty tensor inside another",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}}",
     2, E_FORMAT},
};

static void broken_rules_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct error err = {0};
        struct safetensors *f;
        enum status st = open_header(&f, broken[i].header, broken[i].n_data, &err);

        if (st != broken[i].st)
            fail_msg("%s: status %d, \"%s\"", broken[i].rule, (int)st, err.text);
        assert_null(f);
        assert_int_equal(err.status, st);
        assert_non_null(strstr(err.text, "made"));
    }
}

static void lengths_are_checked(void **state)
{
    const uint64_t lengths[] = {3, 100000001, UINT64_MAX, UINT64_MAX - 7, (uint64_t)INT64_MAX + 1};
    uint8_t bytes[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    struct error err = {0};
    struct safetensors *f;

    (void)state;
    for (uint64_t n = 0; n < 8; n++)
        assert_int_equal(safetensors_open_bytes(&f, bytes, n, "short", &err), E_FORMAT);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int k = 0; k < 8; k++)
            bytes[k] = (uint8_t)(lengths[i] >> 8 * k);
        assert_int_equal(safetensors_open_bytes(&f, bytes, 10, "long", &err), E_FORMAT);
    }
    assert_int_equal(safetensors_open(&f, GOLDEN_DIR "/no-such-file", &err), E_IO);
    assert_int_equal(safetensors_open(&f, GOLDEN_DIR, &err), E_IO);
}

static void public_cases_agree(void **state)
{
    const char *folder = GOLDEN_DIR "/safetensors-cases";
    struct error err = {0};
    uint8_t *text;
    uint64_t n;
    json_t *cases, *item;
    size_t i;
    char path[TEMP_PATH];

    (void)state;
    assert_int_equal(file_read(&text, &n, temp_path(path, folder, "manifest.json"), 1 << 20, &err),
                     OK);
    assert_int_equal(config_parse(&cases, (char *)text, n, 1 << 20, path, &err), OK);
    assert_int_equal(json_array_size(cases), 38);
    json_array_foreach(cases, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "file"));
        struct safetensors *f;
        enum status st = safetensors_open(&f, temp_path(path, folder, name), &err);

        if ((st == OK) != json_is_true(json_object_get(item, "valid")))
            fail_msg("%s: status %d, %s", name, (int)st, err.text);
        if (st)
            assert_int_equal(st, E_FORMAT);
        safetensors_close(f);
    }
    json_decref(cases);
    free(text);
}

static void names_are_found(void **state)
{
    struct error err = {0};
    struct safetensors *f;
    const struct file_tensor *t;

    (void)state;
    assert_int_equal(
        safetensors_open(&f, GOLDEN_DIR "/safetensors-cases/valid/escaped-key.safetensors", &err),
        OK);
    t = safetensors_find(f, "a\"b\\c\xC3\xA9\xF0\x9F\x98\x80");
    assert_non_null(t);
    assert_ptr_equal(t, safetensors_at(f, 0));
    assert_null(safetensors_find(f, "a"));
    assert_null(safetensors_find(f, ""));
    safetensors_close(f);

    /* In the order of their data, whatever the header's order. */
    assert_int_equal(
        safetensors_open(&f, GOLDEN_DIR "/safetensors-cases/valid/unordered-header.safetensors",
                         &err),
        OK);
    assert_int_equal(safetensors_count(f), 2);
    assert_string_equal(safetensors_at(f, 0)->name, "a");
    assert_string_equal(safetensors_at(f, 1)->name, "b");
    assert_int_equal(safetensors_find(f, "b")->bytes[0], 8);
    safetensors_close(f);
}

/* Any damage to a valid file gives an error or a file that still obeys the rules. */
static void damage_is_survived(void **state)
{
    const char *path = GOLDEN_DIR "/safetensors-cases/valid/all-dtypes.safetensors";
    struct error err = {0};
    struct safetensors *f;
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    assert_int_equal(file_read(&bytes, &n, path, 1 << 20, &err), OK);
    for (uint64_t cut = 0; cut < n; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);

        memcpy(part, bytes, cut);
        assert_int_equal(safetensors_open_bytes(&f, part, cut, "cut", &err), E_FORMAT);
        free(part);
    }
    for (uint64_t at = 0; at < n; at++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1 << bit);
            if (!safetensors_open_bytes(&f, bytes, n, "damaged", &err)) {
                uint64_t total = 0;

                for (int64_t i = 0; i < safetensors_count(f); i++)
                    total += safetensors_at(f, i)->n_bytes;
                assert_true(total < n);
            }
            safetensors_close(f);
            bytes[at] ^= (uint8_t)(1 << bit);
        }
    }
    free(bytes);
}

static void many_tensors_round_trip(void **state)
{
    enum { N = 5000 };
    struct save_tensor *t = calloc(N, sizeof *t);
    char(*names)[32] = calloc(N, sizeof *names);
    float *values = calloc(N, sizeof *values);
    const struct save_text metadata[] = {{"format", "\"quoted\"\n\t\x01 caf\xC3\xA9"}, {"", ""}};
    char dir[TEMP_PATH], path[TEMP_PATH], again[TEMP_PATH];
    struct error err = {0};
    struct safetensors *f;
    const char *key, *value;
    uint8_t *a, *b;
    uint64_t n_a, n_b;

    (void)state;
    temp_dir_new(dir);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof *names, "blocks.%d.\xF0\x9F\x98\x80", (i * 7919) % N);
        values[i] = (float)i;
        t[i] = (struct save_tensor){names[i], FILE_F32, 1, {1}, &values[i], NULL};
    }
    assert_int_equal(safetensors_save(temp_path(path, dir, "a"), t, N, metadata, 2, &err), OK);
    assert_int_equal(safetensors_save(temp_path(again, dir, "b"), t, N, metadata, 2, &err), OK);
    assert_int_equal(file_read(&a, &n_a, path, 1 << 24, &err), OK);
    assert_int_equal(file_read(&b, &n_b, again, 1 << 24, &err), OK);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    assert_int_equal((a[0] | a[1] << 8) % 8, 0);

    assert_int_equal(safetensors_open(&f, path, &err), OK);
    assert_int_equal(safetensors_count(f), N);
    for (int i = 0; i < N; i++) {
        const struct file_tensor *x = safetensors_find(f, names[i]);
        float v;

        assert_non_null(x);
        assert_ptr_equal(x, safetensors_at(f, i)); /* written in the order given */
        assert_int_equal(file_tensor_f32(x, &v, &err), OK);
        assert_true(v == values[i]);
    }
    assert_int_equal(safetensors_metadata_count(f), 2);
    safetensors_metadata_at(f, 0, &key, &value);
    assert_string_equal(key, "format");
    assert_string_equal(value, metadata[0].value);
    assert_string_equal(safetensors_metadata(f, ""), "");
    assert_null(safetensors_metadata(f, "none"));
    safetensors_close(f);
    free(a);
    free(b);
    free(values);
    free(names);
    free(t);
    temp_dir_remove(dir);
}

/* Every type, empty and scalar tensors; each starts at a multiple of its element size. */
static void all_types_round_trip(void **state)
{
    static const uint8_t bytes[64] = {1, 2, 3, 250, 0x3C, 0x7E, 7, 8, 9};
    struct save_tensor t[FILE_F8_E5M2 + 3];
    char names[FILE_F8_E5M2 + 3][16], dir[TEMP_PATH], path[TEMP_PATH];
    int n = FILE_F8_E5M2 + 3;
    struct error err = {0};
    struct safetensors *f;

    (void)state;
    temp_dir_new(dir);
    for (int i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        t[i] = (struct save_tensor){names[i], (enum file_dtype)i, 2, {1, 3}, bytes, NULL};
    }
    t[n - 2] = (struct save_tensor){"empty", FILE_F32, 3, {2, 0, 3}, NULL, NULL};
    t[n - 1] = (struct save_tensor){"scalar", FILE_I64, 0, {0}, bytes, NULL};
    assert_int_equal(safetensors_save(temp_path(path, dir, "x"), t, n, NULL, 0, &err), OK);
    assert_int_equal(safetensors_open(&f, path, &err), OK);
    assert_int_equal(safetensors_count(f), n);
    assert_int_equal(safetensors_metadata_count(f), 0);
    assert_null(safetensors_metadata(f, "any"));
    for (int i = 0; i < n; i++) {
        const struct file_tensor *x = safetensors_find(f, t[i].name);

        assert_non_null(x);
        assert_int_equal(x->dtype, t[i].dtype);
        assert_int_equal(x->rank, t[i].rank);
        assert_memory_equal(x->dim, t[i].dim, sizeof(int64_t) * (size_t)x->rank);
        assert_int_equal(x->n_bytes, (uint64_t)file_tensor_count(x) * file_dtype_size(x->dtype));
        assert_memory_equal(x->bytes, bytes, x->n_bytes);
        assert_int_equal((uintptr_t)x->bytes % file_dtype_size(x->dtype), 0);
    }
    safetensors_close(f);
    temp_dir_remove(dir);
}

static void bad_requests_write_nothing(void **state)
{
    static const uint8_t byte[1] = {0};
    const struct save_tensor twice[] = {{"a", FILE_U8, 0, {0}, byte, NULL},
                                        {"a", FILE_U8, 0, {0}, byte, NULL}};
    const struct save_tensor bad[] = {
        {"\xFF", FILE_U8, 0, {0}, byte, NULL},
        {"__metadata__", FILE_U8, 0, {0}, byte, NULL},
        {"a", FILE_U8, 1, {-1}, byte, NULL},
        {"a", FILE_F64, 2, {INT64_MAX, 2}, byte, NULL},
    };
    const struct save_text texts[] = {{"k", "\xC3"}, {"\xC3", "v"}};
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct error err = {0};
    struct file_map map;

    (void)state;
    temp_dir_new(dir);
    temp_path(path, dir, "x");
    assert_int_equal(safetensors_save(path, twice, 2, NULL, 0, &err), E_ARG);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(safetensors_save(path, &bad[i], 1, NULL, 0, &err), E_ARG);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(safetensors_save(path, NULL, 0, &texts[i], 1, &err), E_ARG);
    assert_int_equal(file_map(&map, path, &err), E_IO);
    temp_dir_remove(dir);
    assert_int_equal(safetensors_save(path, NULL, 0, NULL, 0, &err), E_IO);
}

static float converted(enum file_dtype dtype, const void *bytes)
{
    struct file_tensor t = {.name = "x", .dtype = dtype, .bytes = bytes};
    float f;
    double d;

    assert_int_equal(file_tensor_f32(&t, &f, NULL), OK);
    assert_int_equal(file_tensor_f64(&t, &d, NULL), OK);
    assert_true((float)d == f || isnan(f));
    return f;
}

static void numbers_are_exact(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 65536; b++) {
        int exponent = b >> 10 & 31, m = b & 1023;
        double want = exponent == 0 ? ldexp(m, -24) : ldexp(1024 + m, exponent - 25);
        uint16_t bits = (uint16_t)b;
        float got = converted(FILE_F16, &bits), wide;
        uint32_t wide_bits = b << 16;

        if (exponent == 31)
            want = m ? (double)NAN : (double)INFINITY;
        assert_true(isnan(want) ? isnan(got) : (double)fabsf(got) == want);
        assert_int_equal(signbit(got) != 0, b >> 15);
        if (!isnan(got))
            assert_int_equal(f16_bits(got), b);
        else
            assert_true(isnan(f16_value(f16_bits(got))));

        memcpy(&wide, &wide_bits, 4);
        got = converted(FILE_BF16, &bits);
        assert_memory_equal(&got, &wide, 4);
        assert_true(isnan(wide) ? isnan(bf16_value(bf16_bits(wide))) : bf16_bits(wide) == b);
    }
    /* Ties go to even, in the normal range, at its edge and below it. */
    assert_int_equal(f16_bits(1 + 0x1p-11f), 0x3C00);
    assert_int_equal(f16_bits(1 + 3 * 0x1p-11f), 0x3C02);
    assert_int_equal(f16_bits(65519.99f), 0x7BFF);
    assert_int_equal(f16_bits(-65520), 0xFC00);
    assert_int_equal(f16_bits(0x1p-25f), 0);
    assert_int_equal(f16_bits(0x1.8p-24f), 2);
    assert_int_equal(f16_bits(0x1.ffep-15f), 0x0400);
    assert_int_equal(f16_bits(0x1p-149f), 0);
    assert_int_equal(bf16_bits(1 + 0x1p-8f), 0x3F80);
    assert_int_equal(bf16_bits(1 + 3 * 0x1p-8f), 0x3F82);
    assert_int_equal(bf16_bits(3.4e38f), 0x7F80);
}

static void short_floats_follow_their_formats(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 256; b++) {
        uint8_t bits = (uint8_t)b;
        double sign = b >> 7 ? -1 : 1;
        int e4 = b >> 3 & 15, m3 = b & 7, e5 = b >> 2 & 31, m2 = b & 3;
        double want = e4 ? ldexp(8 + m3, e4 - 10) : ldexp(m3, -9);
        float got = converted(FILE_F8_E4M3, &bits);

        if ((b & 0x7F) == 0x7F)
            assert_true(isnan(got));
        else
            assert_true((double)got == sign * want);
        want = e5 ? ldexp(4 + m2, e5 - 17) : ldexp(m2, -16);
        got = converted(FILE_F8_E5M2, &bits);
        if (e5 == 31)
            assert_true(m2 ? isnan(got) : (double)got == sign * (double)INFINITY);
        else
            assert_true((double)got == sign * want);
        assert_int_equal(signbit(got) != 0, b >> 7);
    }
}

static void integers_are_kept_or_refused(void **state)
{
    const int64_t low = INT64_MIN, past_double = (1 << 24) + 1;
    const uint64_t high = (uint64_t)INT64_MAX + 1;
    const uint8_t yes = 2;
    struct file_tensor t = {.name = "x", .dtype = FILE_I64, .bytes = (const uint8_t *)&low};
    struct error err = {0};
    int64_t x;

    (void)state;
    assert_int_equal(file_tensor_i64(&t, &x, &err), OK);
    assert_true(x == low);
    t.dtype = FILE_U64;
    assert_int_equal(file_tensor_i64(&t, &x, &err), E_FORMAT);
    assert_true(converted(FILE_U64, &high) == 0x1p63f);
    assert_true(converted(FILE_I64, &past_double) == 16777216.0f);
    t.dtype = FILE_F32;
    assert_int_equal(file_tensor_i64(&t, &x, &err), E_FORMAT);
    t.dtype = FILE_BOOL;
    t.bytes = &yes;
    assert_int_equal(file_tensor_i64(&t, &x, &err), OK);
    assert_int_equal(x, 1);
}

/* The tables of the 8-bit formats that the reference gives. */
static void reference_tables_agree(void **state)
{
    const char *path = SHARED_DIR "/fixtures/sd3/gguf/blocks.safetensors";
    struct error err = {0};
    struct safetensors *f;
    float e4[256], e5[256];

    (void)state;
    if (safetensors_open(&f, path, &err)) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    assert_int_equal(file_tensor_f32(safetensors_find(f, "F8_E4M3.values"), e4, &err), OK);
    assert_int_equal(file_tensor_f32(safetensors_find(f, "F8_E5M2.values"), e5, &err), OK);
    for (int b = 0; b < 256; b++) {
        float a = f8_e4m3_value((uint8_t)b), c = f8_e5m2_value((uint8_t)b);

        assert_true(isnan(a) ? isnan(e4[b]) : a == e4[b]);
        assert_true(isnan(c) ? isnan(e5[b]) : c == e5[b]);
    }
    safetensors_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_rules_are_refused),
        cmocka_unit_test(lengths_are_checked),
        cmocka_unit_test(public_cases_agree),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(many_tensors_round_trip),
        cmocka_unit_test(all_types_round_trip),
        cmocka_unit_test(bad_requests_write_nothing),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(short_floats_follow_their_formats),
        cmocka_unit_test(integers_are_kept_or_refused),
        cmocka_unit_test(reference_tables_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
