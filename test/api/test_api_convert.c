/*
 * test_api_convert.c - conversions as a stranger's program sees them
 */
#include "imgen.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char model[] = GOLDEN_DIR "/gguf/all-types.gguf";
static const char path[] = "new.safetensors";

static int count_calls(uint64_t done, uint64_t total, void *user)
{
    assert_true(done <= total);
    ++*(int *)user;
    return 1;
}

static void test_plan_and_file_agree(void **state)
{
    struct imgen_conversion_row row;
    struct imgen_conversion *c;
    struct imgen_file_tensor t;
    struct imgen_file *file;
    int64_t rows = 0;
    int calls = 0;

    (void)state;
    assert_int_equal(imgen_conversion_open(&c, model, "int8", "safetensors", NULL), IMGEN_OK);
    assert_int_equal(imgen_conversion_run(c, path, count_calls, &calls, NULL), IMGEN_OK);
    assert_true(calls >= 18);
    assert_int_equal(imgen_file_open(&file, path, NULL), IMGEN_OK);
    for (; imgen_conversion_row(c, rows, &row); rows++) {
        int found = 0;

        for (int64_t i = 0; !found && imgen_file_tensor(file, i, &t); i++)
            found = !strcmp(t.name, row.name);
        assert_true(found);
        assert_string_equal(t.dtype, row.to);
        assert_int_equal(t.bytes + (uint64_t)t.scales * sizeof(float), row.bytes);
        assert_memory_equal(t.dim, row.dim, sizeof t.dim);
    }
    assert_int_equal(rows, 18);
    assert_int_equal(imgen_conversion_row(c, -1, &row), 0);
    assert_string_equal(imgen_file_format(file), "safetensors");
    assert_int_equal(imgen_file_count(file), 1);
    imgen_file_close(file);
    imgen_conversion_close(c);
    imgen_conversion_close(NULL);
}

static int stop(uint64_t done, uint64_t total, void *user)
{
    (void)done;
    (void)total;
    (void)user;
    return 0;
}

static void test_refusals(void **state)
{
    const char *never = "never.gguf";
    struct imgen_conversion *c;
    struct imgen_error err;

    (void)state;
    assert_int_equal(imgen_conversion_open(&c, model, "f16", "onnx", &err), IMGEN_E_ARG);
    assert_null(c);
    assert_non_null(strstr(err.text, "onnx"));
    assert_int_equal(imgen_conversion_open(&c, model, "f15", "gguf", &err), IMGEN_E_ARG);
    assert_int_equal(imgen_conversion_open(&c, ".", "f16", "gguf", &err), IMGEN_E_ARG);
    assert_int_equal(imgen_conversion_open(&c, model, "f32", "gguf", &err), IMGEN_OK);
    assert_int_equal(imgen_conversion_run(c, never, stop, NULL, &err), IMGEN_E_CANCELLED);
    assert_int_equal(remove(never), -1);
    imgen_conversion_close(c);
}

static void test_types_are_listed(void **state)
{
    struct imgen_choice c;
    int n = 0;

    (void)state;
    while (imgen_list(IMGEN_STORED, n, &c))
        n++;
    assert_int_equal(n, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_and_file_agree),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_types_are_listed),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
