/*
 * test_convert.c - models into other types and formats, and back
 *
 * A small model that has one of everything: matrices that become codes, the ends of the stream that
 * do not, vectors, a convolution, whole numbers, leftovers of training.  What comes out is read
 * again and held against what went in, by bits where nothing may change and by the step of the
 * codes where something must.
 */
#include "base/file.h"
#include "base/numbers.h"
#include "io/convert.h"
#include "io/encode.h"
#include "io/gguf_blocks.h"
#include "io/safetensors.h"
#include "io/weights.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 12, COLUMNS = 64, MOST = ROWS * COLUMNS };

static float drawn[MOST];
static uint16_t half[MOST], brain[MOST];

/* Numbers of both signs, from tiny to some tens, and their two halves. */
static void draw(void)
{
    for (int i = 0; i < MOST; i++) {
        drawn[i] = ldexpf((float)((i * 7919) % 2003 - 1001) / 128, -(i % 23));
        half[i] = f16_bits(drawn[i]);
        brain[i] = bf16_bits(drawn[i]);
    }
    half[5] = 0x0001; /* the smallest float16 */
}

#define MATRIX        \
    {                 \
        ROWS, COLUMNS \
    }

static const int64_t whole[] = {1, 2, 3};
static const uint8_t leftover[] = {1, 2, 3, 4, 5};

static const struct save_tensor model[] = {
    {"joint_blocks.0.attn.qkv.weight", FILE_F32, 2, MATRIX, drawn, NULL},
    {"joint_blocks.0.attn.proj.weight", FILE_F16, 2, MATRIX, half, NULL},
    {"joint_blocks.0.mlp.fc1.weight", FILE_BF16, 2, MATRIX, brain, NULL},
    {"joint_blocks.0.attn.proj.bias", FILE_F16, 1, {ROWS}, half, NULL},
    {"joint_blocks.0.norm.weight", FILE_F32, 1, {ROWS}, drawn, NULL},
    {"pos_embed", FILE_F32, 3, {1, ROWS, COLUMNS}, drawn, NULL},
    {"x_embedder.proj.weight", FILE_F16, 4, {ROWS, 16, 2, 2}, half, NULL},
    {"context_embedder.weight", FILE_BF16, 2, MATRIX, brain, NULL},
    {"final_layer.linear.weight", FILE_F32, 2, MATRIX, drawn, NULL},
    {"position_ids", FILE_I64, 1, {3}, whole, NULL},
    {"spiece_model", FILE_U8, 1, {5}, leftover, NULL},
};
enum { N = sizeof model / sizeof *model };

static void save_model(const char *name)
{
    const struct save_text text[] = {{"config", "{\"depth\": 1}"}, {"format", "pt"}};

    draw();
    assert_int_equal(safetensors_save(name, model, N, text, 2, NULL), OK);
}

static void convert(const char *in, const char *out, const char *type, bool gguf)
{
    struct conversion *c = NULL;
    struct error err = {0};

    if (conversion_open(&c, in, type, gguf, &err) || conversion_run(c, out, NULL, NULL, &err))
        fail_msg("%s to %s: %s", in, type, err.text);
    conversion_close(c);
}

static struct weights *must_open(const char *name)
{
    struct error err = {0};
    struct weights *w;

    if (weights_open(&w, name, &err))
        fail_msg("%s", err.text);
    return w;
}

static void read_floats(float *out, const struct weights *w, const char *name)
{
    const struct file_tensor *t = weights_find(w, name);

    if (!t)
        fail_msg("%s is gone", name);
    assert_true(file_tensor_count(t) <= MOST);
    assert_int_equal(file_tensor_f32(t, out, NULL), OK);
}

/* As a test of what is stored: the type of each tensor of the model, "" for none. */
static void assert_types(const struct weights *w, const char *const *want)
{
    for (int i = 0; i < N; i++) {
        const struct file_tensor *t = weights_find(w, model[i].name);

        if (strcmp(t ? file_dtype_name(t->dtype) : "", want[i]) != 0)
            fail_msg("%s is %s, not %s", model[i].name, t ? file_dtype_name(t->dtype) : "gone",
                     want[i]);
        for (int k = 0; t && k < t->rank; k++)
            assert_int_equal(t->dim[k], model[i].dim[k]);
    }
}

/* Bits stay where they are, through float16 and back, in both formats. */
static void test_floats(void **state)
{
    static const char *const wide[] = {"F32", "F32", "F32", "F32", "F32", "F32",
                                       "F32", "F32", "F32", "I64", "U8"};
    static const char *const f16[] = {"F16", "F16", "F16", "F16", "F16", "F16",
                                      "F16", "F16", "F16", "I64", "U8"};
    struct weights *a, *b;
    float x[MOST], y[MOST];

    (void)state;
    save_model("model.safetensors");
    convert("model.safetensors", "f32.safetensors", "f32", false);
    convert("model.safetensors", "f16.safetensors", "f16", false);
    convert("model.safetensors", "bf16.safetensors", "bf16", false);
    a = must_open("f32.safetensors");
    assert_types(a, wide);
    assert_string_equal(weights_metadata(a, "config"), "{\"depth\": 1}");
    assert_string_equal(weights_metadata(a, "format"), "pt");
    read_floats(x, a, model[0].name);
    assert_memory_equal(x, drawn, sizeof x);
    read_floats(x, a, model[1].name);
    for (int i = 0; i < MOST; i++)
        assert_true(x[i] == f16_value(half[i]));
    weights_close(a);

    a = must_open("f16.safetensors");
    assert_types(a, f16);
    assert_memory_equal(weights_find(a, model[1].name)->bytes, half, sizeof half);
    for (int i = 0; i < MOST; i++) {
        uint16_t bits = f16_bits(drawn[i]);

        assert_memory_equal(weights_find(a, model[0].name)->bytes + 2 * i, &bits, 2);
    }
    assert_memory_equal(weights_find(a, "position_ids")->bytes, whole, sizeof whole);
    weights_close(a);

    a = must_open("bf16.safetensors");
    assert_memory_equal(weights_find(a, model[2].name)->bytes, brain, sizeof brain);
    weights_close(a);

    /* float16 to float16 is the same file but for what was another type before. */
    convert("f16.safetensors", "again.safetensors", "f16", false);
    convert("again.safetensors", "f16.gguf", "f16", true);
    convert("f16.gguf", "back.safetensors", "f16", false);
    a = must_open("f16.safetensors");
    b = must_open("again.safetensors");
    for (int i = 0; i < N; i++)
        assert_memory_equal(weights_find(a, model[i].name)->bytes,
                            weights_find(b, model[i].name)->bytes,
                            weights_find(a, model[i].name)->n_bytes);
    weights_close(b);
    b = must_open("back.safetensors");
    for (int i = 0; i < N - 2; i++) {
        read_floats(x, a, model[i].name);
        read_floats(y, b, model[i].name);
        assert_memory_equal(x, y, sizeof *x * (size_t)file_tensor_count(weights_at(a, i)));
    }
    weights_close(a);
    weights_close(b);
}

static void test_int8(void **state)
{
    static const char *const types[] = {"I8",  "I8",   "I8",  "F16", "F32", "F16",
                                        "F16", "BF16", "F16", "I64", "U8"};
    struct weights *w;
    float x[MOST];

    (void)state;
    save_model("model.safetensors");
    convert("model.safetensors", "int8.safetensors", "int8", false);
    w = must_open("int8.safetensors");
    assert_types(w, types);
    assert_int_equal(weights_count(w), N);
    for (int k = 0; k < 3; k++) {
        const struct file_tensor *t = weights_find(w, model[k].name);

        assert_int_equal(t->n_scale, ROWS);
        read_floats(x, w, model[k].name);
        for (int r = 0; r < ROWS; r++) {
            float most = 0;

            for (int i = r * COLUMNS; i < (r + 1) * COLUMNS; i++) {
                float from = k == 0 ? drawn[i] : k == 1 ? f16_value(half[i]) : bf16_value(brain[i]);

                most = fmaxf(most, fabsf(from));
                assert_true(fabsf(x[i] - from) <= t->scale[r] * 0.5001f);
            }
            assert_true(t->scale[r] == most / 127);
        }
    }
    weights_close(w);

    /* What is in bytes already stays so, scales included, and is read by other types. */
    convert("int8.safetensors", "int8-again.safetensors", "int8", false);
    {
        uint8_t *a, *b;
        uint64_t n, m;

        assert_int_equal(file_read(&a, &n, "int8.safetensors", 1 << 20, NULL), OK);
        assert_int_equal(file_read(&b, &m, "int8-again.safetensors", 1 << 20, NULL), OK);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        free(a);
        free(b);
    }
    convert("int8.safetensors", "wide.safetensors", "f32", false);
    w = must_open("wide.safetensors");
    {
        float y[MOST];

        read_floats(y, w, model[2].name);
        assert_memory_equal(x, y, sizeof x);
    }
    weights_close(w);
}

static void test_q8_0(void **state)
{
    static const char *const types[] = {"Q8_0", "Q8_0", "Q8_0", "F32", "F32", "F16",
                                        "F16",  "BF16", "F16",  "I64", ""};
    uint8_t want[MOST / GGUF_BLOCK * GGUF_BYTES_Q8_0];
    struct weights *w;

    (void)state;
    save_model("model.safetensors");
    convert("model.safetensors", "q8.gguf", "q8_0", true);
    w = must_open("q8.gguf");
    assert_types(w, types);
    assert_string_equal(weights_metadata(w, "general.architecture"), "sd3");
    assert_string_equal(weights_metadata(w, "config"), "{\"depth\": 1}");
    gguf_to_q8_0(want, drawn, MOST);
    assert_memory_equal(weights_find(w, model[0].name)->bytes, want, sizeof want);
    weights_close(w);
    convert("q8.gguf", "q8-again.gguf", "q8_0", true);
    w = must_open("q8-again.gguf");
    assert_memory_equal(weights_find(w, model[0].name)->bytes, want, sizeof want);
    weights_close(w);
}

/* What the reference encoder writes. */
static void test_published_blocks(void **state)
{
    struct weights *golden, *w;
    struct save_tensor t = {"blocks.0.weight", FILE_F32, 2, {8, 256}, NULL, NULL};
    float *x = malloc(8 * 256 * sizeof *x);

    (void)state;
    assert_int_equal(weights_open(&golden, GOLDEN_DIR "/gguf/quantize.safetensors", NULL), OK);
    assert_int_equal(file_tensor_f32(weights_find(golden, "values"), x, NULL), OK);
    t.bytes = x;
    assert_int_equal(safetensors_save("values.safetensors", &t, 1, NULL, 0, NULL), OK);
    convert("values.safetensors", "values.gguf", "q8_0", true);
    convert("values.safetensors", "values-bf16.safetensors", "bf16", false);
    w = must_open("values.gguf");
    assert_memory_equal(weights_at(w, 0)->bytes, weights_find(golden, "Q8_0.bytes")->bytes,
                        8 * 272);
    weights_close(w);
    w = must_open("values-bf16.safetensors");
    assert_memory_equal(weights_at(w, 0)->bytes, weights_find(golden, "BF16.bytes")->bytes,
                        8 * 512);
    weights_close(w);
    weights_close(golden);
    free(x);
}

/* A prefix that all names share is left away in GGUF; the autoencoder keeps its numbers. */
static void test_names(void **state)
{
    const struct save_tensor one[] = {
        {"model.diffusion_model.joint_blocks.0.w", FILE_F32, 2, MATRIX, drawn, NULL},
    };
    const struct save_tensor two[] = {
        one[0], {"first_stage_model.decoder.w", FILE_F32, 2, MATRIX, drawn, NULL}};
    struct weights *w;

    (void)state;
    draw();
    assert_int_equal(safetensors_save("one.safetensors", one, 1, NULL, 0, NULL), OK);
    assert_int_equal(safetensors_save("two.safetensors", two, 2, NULL, 0, NULL), OK);
    convert("one.safetensors", "one.gguf", "q8_0", true);
    w = must_open("one.gguf");
    assert_string_equal(weights_at(w, 0)->name, "joint_blocks.0.w");
    assert_string_equal(weights_metadata(w, "general.architecture"), "sd3");
    weights_close(w);
    convert("two.safetensors", "two.gguf", "q8_0", true);
    w = must_open("two.gguf");
    assert_int_equal(weights_find(w, one[0].name)->dtype, FILE_Q8_0);
    assert_int_equal(weights_find(w, two[1].name)->dtype, FILE_F16);
    assert_null(weights_metadata(w, "general.architecture"));
    weights_close(w);
}

/* Published float8: what is stored elsewhere is scaled already, and no mark says otherwise. */
static void test_float8(void **state)
{
    static const uint8_t codes[] = {0x38, 0xC0, 0x7E, 0x30}; /* 1, -2, 448, 0.5 in E4M3 */
    static const float scale = 0.25f, want[] = {0.25f, -0.5f, 112, 0.125f};
    const struct save_tensor t[] = {
        {"x.weight", FILE_F8_E4M3, 2, {2, 2}, codes, NULL},
        {"x.scale_weight", FILE_F32, 0, {0}, &scale, NULL},
        {"x.scale_input", FILE_F32, 0, {0}, &scale, NULL},
        {"model.diffusion_model.scaled_fp8", FILE_F8_E4M3, 1, {2}, codes, NULL},
        {"x.bias", FILE_F8_E5M2, 1, {2}, codes, NULL},
    };
    struct weights *w;
    float x[MOST];

    (void)state;
    assert_int_equal(safetensors_save("float8.safetensors", t, 5, NULL, 0, NULL), OK);
    convert("float8.safetensors", "scaled.safetensors", "f16", false);
    w = must_open("scaled.safetensors");
    assert_int_equal(weights_count(w), 2);
    read_floats(x, w, "x.weight");
    assert_memory_equal(x, want, sizeof want);
    assert_int_equal(weights_find(w, "x.bias")->dtype, FILE_F16);
    weights_close(w);
}

/* Larger than a piece, so that pieces meet inside: what is widened at once is 2^20 numbers. */
static void test_pieces(void **state)
{
    enum { TALL = 300, WIDE = 5000 };
    float *x = malloc((size_t)TALL * WIDE * sizeof *x),
          *y = malloc((size_t)TALL * WIDE * sizeof *y);
    const struct save_tensor t = {"w", FILE_F32, 2, {TALL, WIDE}, x, NULL};
    struct weights *w;

    (void)state;
    for (int i = 0; i < TALL * WIDE; i++)
        x[i] = sinf((float)i) * (float)(1 + i / WIDE);
    assert_int_equal(safetensors_save("large.safetensors", &t, 1, NULL, 0, NULL), OK);
    convert("large.safetensors", "large-int8.safetensors", "int8", false);
    w = must_open("large-int8.safetensors");
    assert_int_equal(file_tensor_f32(weights_find(w, "w"), y, NULL), OK);
    for (int i = 0; i < TALL * WIDE; i++)
        assert_true(fabsf(x[i] - y[i]) <= weights_find(w, "w")->scale[i / WIDE] * 0.5001f);
    weights_close(w);
    /* Rows of 5000 are no whole blocks: reshaped in GGUF, and from there to bytes by rows.  A block
     * that reaches into the next row, twice as large at most, has that one's step. */
    convert("large.safetensors", "large.gguf", "q8_0", true);
    convert("large.gguf", "large-int8.safetensors", "int8", false);
    w = must_open("large-int8.safetensors");
    assert_int_equal(weights_find(w, "w")->dim[1], WIDE);
    assert_int_equal(file_tensor_f32(weights_find(w, "w"), y, NULL), OK);
    for (int i = 0; i < TALL * WIDE; i++)
        assert_true(fabsf(x[i] - y[i]) <= weights_find(w, "w")->scale[i / WIDE] * 1.7f);
    weights_close(w);
    free(x);
    free(y);
}

static void test_plan(void **state)
{
    struct conversion_row row;
    struct conversion *c;

    (void)state;
    save_model("model.safetensors");
    assert_int_equal(conversion_open(&c, "model.safetensors", "q8_0", true, NULL), OK);
    assert_int_equal(conversion_count(c), N);
    for (int64_t i = 0; i < N; i++) {
        conversion_at(c, i, &row);
        if (!strcmp(row.old_name, "spiece_model"))
            assert_string_equal(row.name, "");
        else
            assert_string_equal(row.name, row.old_name);
        if (strcmp(row.old_name, model[0].name) != 0)
            continue;
        assert_int_equal(row.from, FILE_F32);
        assert_int_equal(row.to, FILE_Q8_0);
        assert_int_equal(row.old_bytes, MOST * 4);
        assert_int_equal(row.bytes, MOST / 32 * 34);
        assert_int_equal(row.dim[1], COLUMNS);
    }
    conversion_close(c);
    assert_int_equal(conversion_open(&c, "model.safetensors", "int8", false, NULL), OK);
    for (int64_t i = 0; i < N; i++) {
        conversion_at(c, i, &row);
        if (!strcmp(row.name, model[0].name))
            assert_int_equal(row.bytes, MOST + ROWS * 4);
    }
    conversion_close(c);
}

static void refuse_open(const char *in, const char *type, bool gguf, enum status st,
                        const char *say)
{
    struct conversion *c;
    struct error err = {0};

    assert_int_equal(conversion_open(&c, in, type, gguf, &err), st);
    assert_null(c);
    if (!strstr(err.text, say))
        fail_msg("no '%s' in: %s", say, err.text);
}

static void refuse_run(float bad, const char *type, bool gguf, enum status st, const char *say)
{
    const struct save_tensor t = {"w", FILE_F32, 2, MATRIX, drawn, NULL};
    struct conversion *c;
    struct error err = {0};

    draw();
    drawn[MOST - 3] = bad;
    assert_int_equal(safetensors_save("bad.safetensors", &t, 1, NULL, 0, NULL), OK);
    assert_int_equal(conversion_open(&c, "bad.safetensors", type, gguf, NULL), OK);
    assert_int_equal(conversion_run(c, "never", NULL, NULL, &err), st);
    conversion_close(c);
    if (!strstr(err.text, say) || !strstr(err.text, "tensor w: number 765 is"))
        fail_msg("no '%s' in: %s", say, err.text);
    assert_int_equal(remove("never"), -1);
}

static bool stop_at_once(uint64_t done, uint64_t total, void *user)
{
    (void)user;
    return done < total / 2;
}

static void test_refusals(void **state)
{
    const struct save_tensor bytes = {"picture", FILE_U8, 1, {5}, leftover, NULL};
    struct conversion *c;
    struct error err = {0};

    (void)state;
    save_model("model.safetensors");
    refuse_open("model.safetensors", "f17", false, E_ARG, "did you mean 'f16'");
    refuse_open("model.safetensors", "int8", true, E_ARG, "no type of GGUF");
    refuse_open("model.safetensors", "q8_0", false, E_ARG, "no type of safetensors");
    refuse_open("none", "f16", false, E_IO, "none");
    assert_int_equal(safetensors_save("bytes.safetensors", &bytes, 1, NULL, 0, NULL), OK);
    refuse_open("bytes.safetensors", "f16", true, E_UNSUPPORTED, "tensor picture holds U8");
    refuse_run(1e6f, "f16", false, E_UNSUPPORTED, "float16");
    refuse_run(65520, "f16", false, E_UNSUPPORTED, "float16");
    refuse_run(NAN, "int8", false, E_NOT_FINITE, "nan");
    refuse_run(-INFINITY, "int8", false, E_NOT_FINITE, "-inf");
    refuse_run(NAN, "q8_0", true, E_NOT_FINITE, "nan");
    refuse_run(1e8f, "q8_0", true, E_UNSUPPORTED, "Q8_0");

    assert_int_equal(conversion_open(&c, "model.safetensors", "int8", false, NULL), OK);
    assert_int_equal(conversion_run(c, "never", stop_at_once, NULL, &err), E_CANCELLED);
    assert_int_equal(remove("never"), -1);
    assert_int_equal(conversion_run(c, "/nowhere/at/all", NULL, NULL, &err), E_IO);
    conversion_close(c);
}

/* Infinities and what is no number are kept where the type has them, and the file may replace the
 * one it is made of. */
static void test_in_place(void **state)
{
    const struct save_tensor t = {"mask", FILE_F32, 2, MATRIX, drawn, NULL};
    struct weights *w;
    float x[MOST];

    (void)state;
    draw();
    drawn[0] = -INFINITY;
    drawn[1] = NAN;
    drawn[2] = 65519;
    assert_int_equal(safetensors_save("mask.safetensors", &t, 1, NULL, 0, NULL), OK);
    convert("mask.safetensors", "mask.safetensors", "f16", false);
    w = must_open("mask.safetensors");
    read_floats(x, w, "mask");
    assert_true(isinf(x[0]) && x[0] < 0 && isnan(x[1]) && x[2] == 65504);
    weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats),   cmocka_unit_test(test_int8),
        cmocka_unit_test(test_q8_0),     cmocka_unit_test(test_published_blocks),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_plan),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_in_place), cmocka_unit_test(test_float8),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
