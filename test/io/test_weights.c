/*
 * test_weights.c - one file, several with an index, folders, and scales that belong to tensors
 *
 * Files are made here.  Each rule about an index is broken once, and each failure must name what is
 * wrong: it is all that somebody with half of a download has.
 */
#include "base/file.h"
#include "io/safetensors.h"
#include "io/weights.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const float some[] = {1, 2, 3, 4, 5, 6};

static void save(const char *name, const struct save_tensor *t, int64_t n,
                 const struct save_text *text)
{
    assert_int_equal(safetensors_save(name, t, n, text, text != NULL, NULL), OK);
}

static struct save_tensor row_of(const char *name, int64_t n)
{
    return (struct save_tensor){
        .name = name, .dtype = FILE_F32, .rank = 1, .dim = {n}, .bytes = some};
}

static void put(const char *name, const char *text)
{
    assert_int_equal(file_write(name, text, strlen(text), NULL), OK);
}

static void must_open(struct weights **w, const char *name)
{
    struct error err = {0};

    if (weights_open(w, name, &err))
        fail_msg("%s", err.text);
}

/* The sentence holds every one of the words. */
static void must_refuse(const char *name, enum status st, const char *a, const char *b)
{
    struct error err = {0};
    struct weights *w;

    assert_int_equal(weights_open(&w, name, &err), st);
    assert_null(w);
    if (!strstr(err.text, a) || !strstr(err.text, b))
        fail_msg("no '%s' or no '%s' in: %s", a, b, err.text);
}

static void test_single(void **state)
{
    const struct save_tensor t[] = {row_of("b", 3), row_of("a", 2)};
    const struct save_text text = {"config", "{}"};
    const char *key, *value;
    struct weights *w;

    (void)state;
    save("one.safetensors", t, 2, &text);
    must_open(&w, "one.safetensors");
    assert_int_equal(weights_count(w), 2);
    assert_int_equal(weights_files(w), 1);
    assert_string_equal(weights_format(w), "safetensors");
    assert_string_equal(weights_at(w, 0)->name, "b");
    assert_ptr_equal(weights_find(w, "a"), weights_at(w, 1));
    assert_null(weights_find(w, "c"));
    assert_string_equal(weights_metadata(w, "config"), "{}");
    assert_null(weights_metadata(w, "none"));
    assert_int_equal(weights_metadata_count(w), 1);
    weights_metadata_at(w, 0, &key, &value);
    assert_string_equal(key, "config");
    weights_close(w);
    must_refuse("none.safetensors", E_IO, "none.safetensors", "");
    put("bad.safetensors", "12345678{}");
    must_refuse("bad.safetensors", E_FORMAT, "bad.safetensors", "header");
}

static const char good_index[] =
    "{\"metadata\": {\"total_size\": 24}, \"weight_map\": {"
    "\"a\": \"m-2.safetensors\", \"b\": \"m-1.safetensors\", \"c\": \"m-2.safetensors\"}}";

static void save_shards(void)
{
    const struct save_tensor one[] = {row_of("b", 3)};
    const struct save_tensor two[] = {row_of("c", 1), row_of("a", 2)};
    const struct save_text first = {"config", "one"};
    const struct save_text text[] = {{"config", "two"}, {"more", ""}};

    save("m-1.safetensors", one, 1, &first);
    assert_int_equal(safetensors_save("m-2.safetensors", two, 2, text, 2, NULL), OK);
}

static void test_shards(void **state)
{
    const char *key, *value;
    struct weights *w;
    float v[3];

    (void)state;
    save_shards();
    put("m.safetensors.index.json", good_index);
    must_open(&w, "m.safetensors.index.json");
    assert_int_equal(weights_count(w), 3);
    assert_int_equal(weights_files(w), 2);
    assert_int_equal(file_tensor_f32(weights_find(w, "b"), v, NULL), OK);
    assert_true(v[2] == 3);
    assert_int_equal(weights_find(w, "a")->dim[0], 2);
    assert_int_equal(weights_find(w, "c")->dim[0], 1);
    /* Of the file that is named first; a key that both have is there once. */
    assert_string_equal(weights_metadata(w, "config"), "two");
    assert_int_equal(weights_metadata_count(w), 2);
    weights_metadata_at(w, 1, &key, &value);
    assert_string_equal(key, "more");
    assert_string_equal(value, "");
    weights_drop(w, weights_find(w, "a")->bytes, 8);
    weights_close(w);
}

static void cut(const char *name)
{
    uint8_t *bytes;
    uint64_t n;

    assert_int_equal(file_read(&bytes, &n, name, 1 << 20, NULL), OK);
    assert_int_equal(file_write(name, bytes, n - 1, NULL), OK);
    free(bytes);
}

static void test_bad_shards(void **state)
{
    const struct save_tensor twice[] = {row_of("c", 1), row_of("a", 2), row_of("b", 3)};
    static const struct {
        const char *index, *a, *b;
    } bad[] = {
        {"{", "i.json", "index"},
        {"[]", "weight_map", ""},
        {"{}", "weight_map", ""},
        {"{\"weight_map\": {}}", "weight_map", ""},
        {"{\"weight_map\": []}", "weight_map", ""},
        {"{\"weight_map\": {\"a\": 1}}", "tensor a", "name of a file"},
        {"{\"weight_map\": {\"a\": \"\"}}", "beside it", ""},
        {"{\"weight_map\": {\"a\": \"..\"}}", "beside it", "\"..\""},
        {"{\"weight_map\": {\"a\": \"../m-1.safetensors\"}}", "beside it", "../m-1"},
        {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "beside it", "/etc/passwd"},
        {"{\"weight_map\": {\"a\": \"x/m-1.safetensors\"}}", "beside it", "x/m-1"},
        {"{\"weight_map\": {\"a\": \"x\\\\m-1.safetensors\"}}", "beside it", "m-1"},
        {"{\"weight_map\": {\"a\": \"m-1.safetensors\"}}", "tensor a", "does not hold it"},
        {"{\"weight_map\": {\"b\": \"m-1.safetensors\", \"d\": \"m-2.safetensors\"}}", "tensor d",
         "m-2.safetensors"},
    };

    (void)state;
    save_shards();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("i.json", bad[i].index);
        must_refuse("i.json", E_FORMAT, bad[i].a, bad[i].b);
    }
    put("i.json", "{\"weight_map\": {\"a\": \"m-3.safetensors\"}}");
    must_refuse("i.json", E_IO, "i.json", "m-3.safetensors");
    put("i.json", good_index);
    cut("m-2.safetensors");
    must_refuse("i.json", E_FORMAT, "m-2.safetensors", "i.json");
    save("m-2.safetensors", twice, 3, NULL);
    must_refuse("i.json", E_FORMAT, "tensor b is in ", "m-1.safetensors");
}

static void test_too_many_shards(void **state)
{
    char *index = malloc(1 << 20);
    size_t n = 0;

    (void)state;
    n += (size_t)snprintf(index, 100, "{\"weight_map\": {");
    for (int i = 0; i < 5000; i++)
        n += (size_t)snprintf(index + n, 100, "%s\"t%d\": \"f%d\"", i ? ", " : "", i, i);
    snprintf(index + n, 100, "}}");
    put("many.json", index);
    must_refuse("many.json", E_FORMAT, "more than", "files");
    free(index);
}

static void test_folders(void **state)
{
    const struct save_tensor a[] = {row_of("a", 2)}, b[] = {row_of("b", 3)};
    char name[100];
    struct weights *w;

    (void)state;
    assert_int_equal(mkdir("f", 0777), 0);
    must_refuse("f", E_ARG, "holds no weights", "model.safetensors");
    save("f/model.fp16.safetensors", b, 1, NULL);
    must_open(&w, "f");
    assert_non_null(weights_find(w, "b"));
    weights_close(w);
    save("f/model.safetensors", a, 1, NULL);
    must_open(&w, "f"); /* full precision first */
    assert_non_null(weights_find(w, "a"));
    weights_close(w);
    put("f/model.safetensors.index.json", "{\"weight_map\": {\"a\": \"model.safetensors\"}}");
    must_refuse("f", E_ARG, "model.safetensors and model.safetensors.index.json", "name the one");
    assert_int_equal(remove("f/model.safetensors.index.json"), 0);
    assert_int_equal(remove("f/model.safetensors"), 0);
    assert_int_equal(remove("f/model.fp16.safetensors"), 0);

    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "f/diffusion_pytorch_model.safetensors.index%s.json",
                 k ? ".fp16" : "");
        save("f/part.safetensors", a, 1, NULL);
        put(name, "{\"weight_map\": {\"a\": \"part.safetensors\"}}");
        must_open(&w, "f");
        assert_non_null(weights_find(w, "a"));
        weights_close(w);
        assert_int_equal(remove(name), 0);
    }
}

/* 1, -2, 448, 0.5 in E4M3; a code of two rows of two. */
static const uint8_t codes[] = {0x38, 0xC0, 0x7E, 0x30};

static void test_scales(void **state)
{
    static const float one = 0.5f, rows[] = {2, 10};
    static const uint16_t half = 0x4000; /* 2 in float16 */
    static const int8_t bytes[] = {-127, 3, 5, 127};
    const struct save_tensor t[] = {
        {"x.weight", FILE_F8_E4M3, 2, {2, 2}, codes, NULL},
        {"x.scale_weight", FILE_F32, 0, {0}, &one, NULL},
        {"y.weight", FILE_F8_E4M3, 2, {2, 2}, codes, NULL},
        {"y.weight_scale", FILE_F32, 2, {2, 1}, rows, NULL},
        {"z.weight", FILE_I8, 2, {2, 2}, bytes, NULL},
        {"z.weight.scale", FILE_F32, 1, {2}, rows, NULL},
        {"h.weight", FILE_F8_E4M3, 2, {2, 2}, codes, NULL},
        {"h.scale_weight", FILE_F16, 1, {1}, &half, NULL},
        {"n.weight", FILE_F8_E4M3, 2, {2, 2}, codes, NULL},
        {"gone.scale_weight", FILE_F32, 0, {0}, &one, NULL},
        {"f.scale", FILE_F32, 0, {0}, &one, NULL},
        {"f", FILE_F32, 1, {1}, &one, NULL},
    };
    static const struct {
        const char *name;
        float v[4];
    } want[] = {
        {"x.weight", {0.5f, -1, 224, 0.25f}}, {"y.weight", {2, -4, 4480, 5}},
        {"z.weight", {-254, 6, 50, 1270}},    {"h.weight", {2, -4, 896, 1}},
        {"n.weight", {1, -2, 448, 0.5f}},
    };
    struct weights *w;
    int64_t whole[4];
    double wide[4];
    float v[4];

    (void)state;
    save("scaled.safetensors", t, 12, NULL);
    must_open(&w, "scaled.safetensors");
    assert_int_equal(weights_count(w), 8);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct file_tensor *x = weights_find(w, want[i].name);

        assert_int_equal(file_tensor_f32(x, v, NULL), OK);
        assert_int_equal(file_tensor_f64(x, wide, NULL), OK);
        for (int k = 0; k < 4; k++)
            assert_true(v[k] == want[i].v[k] && wide[k] == (double)v[k]);
        file_tensor_f32_part(x, 1, 2, v);
        assert_true(v[0] == want[i].v[1] && v[1] == want[i].v[2]);
    }
    assert_int_equal(file_tensor_i64(weights_find(w, "z.weight"), whole, NULL), E_FORMAT);
    assert_null(weights_find(w, "x.scale_weight"));
    assert_null(weights_find(w, "z.weight.scale"));
    assert_non_null(weights_find(w, "gone.scale_weight"));
    assert_non_null(weights_find(w, "f.scale"));
    weights_close(w);
}

static void test_bad_scales(void **state)
{
    static const float three[] = {1, 2, 3};
    const struct save_tensor x = {"x.weight", FILE_F8_E4M3, 2, {2, 2}, codes, NULL};
    const struct save_tensor many[] = {x, {"x.scale_weight", FILE_F32, 1, {3}, three, NULL}};
    const struct save_tensor none[] = {x, {"x.scale_weight", FILE_F32, 1, {0}, three, NULL}};
    const struct save_tensor whole[] = {x, {"x.weight_scale", FILE_I32, 0, {0}, three, NULL}};
    const struct save_tensor twice[] = {x,
                                        {"x.weight_scale", FILE_F32, 0, {0}, three, NULL},
                                        {"x.scale_weight", FILE_F32, 0, {0}, three, NULL}};

    (void)state;
    save("s", many, 2, NULL);
    must_refuse("s", E_UNSUPPORTED, "x.scale_weight holds 3 scales", "2 rows");
    save("s", none, 2, NULL);
    must_refuse("s", E_UNSUPPORTED, "x.scale_weight holds 0 scales", "2 rows");
    save("s", whole, 2, NULL);
    must_refuse("s", E_UNSUPPORTED, "x.weight_scale", "type I32");
    save("s", twice, 3, NULL);
    must_refuse("s", E_FORMAT, "second scale", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),     cmocka_unit_test(test_shards),
        cmocka_unit_test(test_bad_shards), cmocka_unit_test(test_too_many_shards),
        cmocka_unit_test(test_folders),    cmocka_unit_test(test_scales),
        cmocka_unit_test(test_bad_scales),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
