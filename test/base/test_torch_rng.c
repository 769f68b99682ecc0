/*
 * test_torch_rng.c - the numbers of PyTorch's generator: the published words, and all bits of its
 * normal numbers
 *
 * The parity program compares with the tolerance that the fixture states; here the bits count.
 */
#include "base/torch_rng.h"

#include "io/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 1000 };

static void every_bit_is_the_same(void **state)
{
    struct safetensors *file;
    int64_t numbers = 0;

    (void)state;
    assert_int_equal(safetensors_open(&file, GOLDEN_DIR "/sd3/noise/noise.safetensors", NULL), OK);
    for (int64_t i = 0; i < safetensors_count(file); i++) {
        const struct file_tensor *t = safetensors_at(file, i);
        int64_t n = file_tensor_count(t);
        float got[MOST], want[MOST];
        unsigned long long seed;
        struct torch_rng r;

        assert_int_equal(sscanf(t->name, "seed%llu.n", &seed), 1);
        assert_in_range(n, 1, MOST);
        assert_int_equal(file_tensor_f32(t, want, NULL), OK);
        r = torch_rng_seed(seed);
        torch_rng_normals(&r, got, n);
        assert_memory_equal(got, want, (size_t)n * sizeof *got);
        numbers += n;
    }
    assert_int_equal(numbers, 5540);
    safetensors_close(file);
}

/* Only the lower half of a seed counts. */
static void seeds_wrap(void **state)
{
    struct torch_rng a = torch_rng_seed(5), b = torch_rng_seed(5 + (1ull << 32));
    float x[64], y[64];

    (void)state;
    torch_rng_normals(&a, x, 64);
    torch_rng_normals(&b, y, 64);
    assert_memory_equal(x, y, sizeof x);
}

/* Below sixteen numbers a call goes on where the last one stopped, half a pair included; the words
 * of each call follow those before. */
static void calls_follow_each_other(void **state)
{
    struct torch_rng a = torch_rng_seed(3), b = torch_rng_seed(3);
    float x[20], y[20], first[16], next[16], both[32];

    (void)state;
    torch_rng_normals(&a, x, 7);
    torch_rng_normals(&a, x + 7, 8);
    torch_rng_normals(&b, y, 15);
    assert_memory_equal(x, y, 15 * sizeof *x);
    a = torch_rng_seed(3);
    b = torch_rng_seed(3);
    torch_rng_normals(&a, first, 16);
    torch_rng_normals(&a, next, 16);
    torch_rng_normals(&b, both, 32);
    assert_memory_equal(first, both, sizeof first);
    assert_memory_equal(next, both + 16, sizeof next);
}

static void numbers_are_normal(void **state)
{
    enum { COUNT = 1 << 18 };
    struct torch_rng r = torch_rng_seed(11);
    float *x = malloc(COUNT * sizeof *x);
    double mean = 0, square = 0, fourth = 0;

    (void)state;
    assert_non_null(x);
    torch_rng_normals(&r, x, COUNT);
    for (int i = 0; i < COUNT; i++) {
        double v = (double)x[i];

        assert_true(isfinite(v));
        mean += v / COUNT;
        square += v * v / COUNT;
        fourth += v * v * v * v / COUNT;
    }
    assert_true(fabs(mean) < 0.01 && fabs(square - 1) < 0.01 && fabs(fourth - 3) < 0.06);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_is_the_same),
        cmocka_unit_test(seeds_wrap),
        cmocka_unit_test(calls_follow_each_other),
        cmocka_unit_test(numbers_are_normal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
