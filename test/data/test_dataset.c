/*
 * test_dataset.c - what all sets share: the list, the checks, the limit
 */
#include "data/dataset.h"
#include "support/says.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void formats_are_listed(void **state)
{
    const char *const names[] = {"idx",           "cifar10",   "folder", "captioned",
                                 "shapes",        "relations", "moving", "anchor-gauss",
                                 "anchor-shapes", "latents"};
    int n = 0;

    (void)state;
    for (; dataset_format_at(n); n++) {
        assert_string_equal(dataset_format_at(n)->name, names[n]);
        assert_true(strlen(dataset_format_at(n)->summary) > 10);
    }
    assert_int_equal(n, 10);
    assert_null(dataset_format_at(-1));
}

static void refused(struct dataset_config c, const char *why)
{
    struct dataset *d = NULL;
    struct error err = {0};

    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    assert_null(d);
    assert_says(err.text, why);
}

static void requests_are_checked(void **state)
{
    (void)state;
    refused((struct dataset_config){0}, "there are: idx, cifar10, folder");
    refused((struct dataset_config){.format = "shape"}, "did you mean 'shapes'?");
    refused((struct dataset_config){.format = "parquet"}, "there are: idx");
    refused((struct dataset_config){.format = "shapes", .size = -1}, "size -1");
    refused((struct dataset_config){.format = "folder", .size = 1 << 20}, "size 1048576");
    refused((struct dataset_config){.format = "shapes", .channels = 2}, "not 2");
    refused((struct dataset_config){.format = "shapes", .limit = -3}, "limit -3");
    refused((struct dataset_config){.format = "idx"}, "no path");
}

static void limit_cuts_even_the_endless(void **state)
{
    struct dataset_config c = {.format = "shapes", .size = 16, .limit = 3};
    struct dataset *d = NULL;
    struct error err = {0};
    float pixels[16 * 16 * 3];

    (void)state;
    assert_int_equal(dataset_open(&d, &c, &err), OK);
    assert_true(d->count == 3);
    assert_int_equal(dataset_get(d, 2, pixels, NULL, NULL, &err), OK);
    assert_int_equal(dataset_get(d, 3, pixels, NULL, NULL, &err), E_ARG);
    assert_string_equal(err.text, "picture 3 of a set of 3");
    assert_int_equal(dataset_get(d, -1, pixels, NULL, NULL, NULL), E_ARG);
    dataset_close(d);
    dataset_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_listed),
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(limit_cuts_even_the_endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
