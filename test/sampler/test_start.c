/*
 * test_start.c - the noise that a picture begins with
 */
#include "sampler/start.h"

#include "base/torch_rng.h"
#include "sampler/sampler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PIXELS = 12, CHANNELS = 3, N = PIXELS * CHANNELS };

static void own_noise_is_the_samplers(void **state)
{
    double x[N], want[N];
    struct path path;

    (void)state;
    assert_int_equal(path_init(&path, "condot", NULL), OK);
    assert_int_equal(start_draw(x, START_IMGEN, &path, 7, PIXELS, CHANNELS, NULL), OK);
    sampling_start(want, &path, 7, 0, N);
    assert_memory_equal(x, want, sizeof x);
}

/* Planes of channels there, channels of pixels here. */
static void torch_noise_is_turned(void **state)
{
    struct torch_rng r = torch_rng_seed(7);
    float planes[N];
    double x[N], wide[N];
    struct path path;

    (void)state;
    torch_rng_normals(&r, planes, N);
    assert_int_equal(path_init(&path, "condot", NULL), OK);
    assert_int_equal(start_draw(x, START_TORCH_CPU, &path, 7, PIXELS, CHANNELS, NULL), OK);
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < CHANNELS; c++)
            assert_true(x[i * CHANNELS + c] == (double)planes[c * PIXELS + i]);
    assert_int_equal(path_init(&path, "ve_karras", NULL), OK);
    assert_int_equal(start_draw(wide, START_TORCH_CPU, &path, 7, PIXELS, CHANNELS, NULL), OK);
    for (int i = 0; i < N; i++)
        assert_true(wide[i] == path_at(&path, 0).beta * x[i]);
}

static void generators_have_names(void **state)
{
    int i;

    (void)state;
    assert_string_equal(start_rng_at(START_TORCH_CPU)->name, "torch-cpu");
    assert_null(start_rng_at(-1));
    assert_null(start_rng_at(2));
    assert_int_equal(choice_find(&i, "generator", "torch_cpu", start_rng_at, NULL), OK);
    assert_int_equal(i, START_TORCH_CPU);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_noise_is_the_samplers),
        cmocka_unit_test(torch_noise_is_turned),
        cmocka_unit_test(generators_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
