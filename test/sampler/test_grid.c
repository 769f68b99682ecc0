/*
 * test_grid.c - time grids: their formulas, their ends, and what is refused
 */
#include "sampler/grid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct grid grid_named(const char *name)
{
    struct grid g;

    assert_int_equal(grid_init(&g, name, NULL), OK);
    return g;
}

static void every_grid_rises_from_end_to_end(void **state)
{
    static const int counts[] = {1, 2, 3, 7, 50, STEPS_MAX};
    double t[STEPS_MAX + 1];

    (void)state;
    for (int i = 0; grid_kind_at(i); i++)
        for (int j = 0; j < 6; j++) {
            struct grid g = grid_named(grid_kind_at(i)->is.name);

            assert_int_equal(grid_fill(t, &g, counts[j], 0, 1, NULL), OK);
            assert_true(t[0] == 0 && t[counts[j]] == 1);
            assert_int_equal(grid_fill(t, &g, counts[j], 0.02, 0.98, NULL), OK);
            assert_true(t[0] == 0.02 && t[counts[j]] == 0.98);
        }
}

static void uniform_is_equal_steps(void **state)
{
    struct grid g = grid_named("uniform");
    double t[5];

    (void)state;
    assert_int_equal(grid_fill(t, &g, 4, 0, 1, NULL), OK);
    for (int i = 0; i <= 4; i++)
        assert_true(t[i] == i / 4.0);
}

/* Shifting by k multiplies (1 - t) / t by k. */
static void shift_multiplies_the_noise(void **state)
{
    struct grid g = grid_named("shift");
    double t[11];

    (void)state;
    assert_int_equal(grid_set(&g, "shift", 3, NULL), OK);
    assert_int_equal(grid_fill(t, &g, 10, 0, 1, NULL), OK);
    for (int i = 1; i < 10; i++) {
        double plain = i / 10.0;

        assert_true(fabs((1 - t[i]) / t[i] - 3 * (1 - plain) / plain) < 1e-12);
    }
    assert_int_equal(grid_set(&g, "shift", 1, NULL), OK);
    assert_int_equal(grid_fill(t, &g, 10, 0, 1, NULL), OK);
    for (int i = 0; i <= 10; i++)
        assert_true(fabs(t[i] - i / 10.0) < 1e-15);
}

/* 50 steps emulating 250: the first 25 are those of the long grid, and the slope does not jump. */
static void linear_quadratic_begins_like_the_long_grid(void **state)
{
    struct grid g = grid_named("linear_quadratic");
    double t[51];

    (void)state;
    assert_int_equal(grid_fill(t, &g, 50, 0, 1, NULL), OK);
    for (int i = 0; i <= 25; i++)
        assert_true(fabs(t[i] - i / 250.0) < 1e-15);
    for (int i = 26; i < 50; i++)
        assert_true(t[i + 1] - t[i] > t[i] - t[i - 1]);
    assert_true(t[26] - t[25] > 1 / 250.0 && t[26] - t[25] < 2.5 / 250.0);
    for (int i = 27; i < 50; i++) /* a parabola, up to the end */
        assert_true(fabs((t[i + 1] - 2 * t[i] + t[i - 1]) - (t[28] - 2 * t[27] + t[26])) < 1e-14);
    for (int emulated = 20; emulated <= 50; emulated += 15) { /* nothing left to emulate */
        assert_int_equal(grid_set(&g, "emulated", emulated, NULL), OK);
        assert_int_equal(grid_fill(t, &g, 50, 0, 1, NULL), OK);
        for (int i = 0; i <= 50; i++)
            assert_true(fabs(t[i] - i / 50.0) < 1e-12);
    }
    assert_int_equal(grid_fill(t, &g, 1, 0, 1, NULL), OK);
    assert_true(t[0] == 0 && t[1] == 1);
}

/* Where the shares have a closed form: t^a, 1 - (1 - t)^b, and the arc sine's law. */
static void beta_takes_equal_shares(void **state)
{
    static const double a[] = {1, 2.5, 1, 0.5}, b[] = {1, 1, 0.4, 0.5};
    struct grid g = grid_named("beta");
    double t[STEPS_MAX + 1];

    (void)state;
    for (int k = 0; k < 4; k++) {
        assert_int_equal(grid_set(&g, "a", a[k], NULL), OK);
        assert_int_equal(grid_set(&g, "b", b[k], NULL), OK);
        assert_int_equal(grid_fill(t, &g, 20, 0, 1, NULL), OK);
        for (int i = 1; i < 20; i++) {
            double share = k == 3   ? 2 / M_PI * asin(sqrt(t[i]))
                           : k == 2 ? 1 - pow(1 - t[i], b[k])
                                    : pow(t[i], a[k]);

            assert_true(fabs(share - i / 20.0) < 1e-12);
        }
    }
    g = grid_named("beta");
    assert_int_equal(grid_fill(t, &g, STEPS_MAX, 0, 1, NULL), OK);
    assert_int_equal(grid_check(t, STEPS_MAX, NULL), OK);
    for (int i = 0; i <= STEPS_MAX; i++)
        assert_true(fabs(t[i] + t[STEPS_MAX - i] - 1) < 1e-12);
}

/* Shifted at both ends, equally spaced, and shifted again; one step is the whole way. */
static void sd3_shifts_its_small_end_twice(void **state)
{
    struct grid g = grid_named("sd3");
    double t[STEPS_MAX + 1];

    (void)state;
    assert_int_equal(grid_fill(t, &g, 28, 0, 1, NULL), OK);
    assert_true(fabs(1 - t[27] - 0.00892857142857) < 1e-12);
    for (int i = 1; i < 28; i++) {
        double sigma = 1 - t[i], once = sigma / (3 - 2 * sigma);

        assert_true(fabs(once - (1 + (3 * 0.001 / 1.002 - 1) * i / 27)) < 1e-12);
    }
    assert_int_equal(grid_fill(t, &g, 1, 0, 1, NULL), OK);
    assert_true(t[0] == 0 && t[1] == 1);
}

static void sd3_dynamic_shifts_by_size(void **state)
{
    static const double tokens[] = {256, 4096, 2176}, mu[] = {0.5, 1.15, 0.825};
    struct grid g = grid_named("sd3_dynamic");
    double t[STEPS_MAX + 1];
    struct error err = {0};

    (void)state;
    for (int linear = 0; linear < 2; linear++)
        for (int k = 0; k < 3; k++) {
            double a = linear ? mu[k] : exp(mu[k]);

            assert_int_equal(grid_set(&g, "tokens", tokens[k], NULL), OK);
            assert_int_equal(grid_set(&g, "linear", linear, NULL), OK);
            assert_int_equal(grid_fill(t, &g, 10, 0, 1, NULL), OK);
            for (int i = 0; i < 10; i++) {
                double u = 1 - 0.999 * i / 9;

                assert_true(fabs(1 - t[i] - a / (a + 1 / u - 1)) < 1e-12);
            }
        }
    assert_int_equal(grid_set(&g, "base_shift", -1, NULL), OK);
    assert_int_equal(grid_set(&g, "tokens", 256, NULL), OK);
    assert_int_equal(grid_fill(t, &g, 10, 0, 1, &err), E_ARG);
    assert_non_null(strstr(err.text, "-1"));
    assert_int_equal(grid_set(&g, "max_tokens", 100, NULL), OK);
    assert_int_equal(grid_fill(t, &g, 10, 0, 1, &err), E_ARG);
    assert_non_null(strstr(err.text, "max_tokens"));
}

static void pictures_of_others_begin_late(void **state)
{
    (void)state;
    assert_int_equal(grid_start(20, 0.8, START_REFERENCE), 3); /* 20 (1 - 0.8) is just below 4 */
    assert_int_equal(grid_start(20, 0.8, START_FOLDER), 4);
    for (int rule = 0; rule < 2; rule++) {
        assert_int_equal(grid_start(10, 0, rule), 10);
        assert_int_equal(grid_start(10, 1, rule), 0);
        assert_int_equal(grid_start(10, 0.5, rule), 5);
    }
}

static void wrong_requests_are_answered(void **state)
{
    struct grid g = grid_named("uniform");
    double t[STEPS_MAX + 2];
    struct error err = {0};

    (void)state;
    assert_int_equal(grid_fill(t, &g, 0, 0, 1, &err), E_ARG);
    assert_int_equal(grid_fill(t, &g, -5, 0, 1, &err), E_ARG);
    assert_non_null(strstr(err.text, "-5"));
    assert_int_equal(grid_fill(t, &g, STEPS_MAX + 1, 0, 1, &err), E_ARG);
    assert_non_null(strstr(err.text, "1001"));
    assert_non_null(strstr(err.text, "1000"));
    assert_int_equal(grid_fill(t, &g, 5, 0.5, 0.5, &err), E_ARG);
    assert_int_equal(grid_fill(t, &g, 5, 0, 1.5, &err), E_ARG);
    assert_int_equal(grid_fill(t, &g, 5, (double)NAN, 1, &err), E_ARG);
    assert_int_equal(grid_init(&g, "unifrom", &err), E_ARG);
    assert_non_null(strstr(err.text, "\"uniform\""));
    g = grid_named("linear_quadratic");
    assert_int_equal(grid_set(&g, "emulated", 0.5, &err), E_ARG);
    assert_non_null(strstr(err.text, "emulated"));
    g = grid_named("shift");
    assert_int_equal(grid_set(&g, "shift", 0, &err), E_ARG);
    assert_non_null(strstr(err.text, "shift"));
}

static void given_grids_are_checked(void **state)
{
    static const double good[] = {0, 0.1, 0.7, 1}, flat[] = {0, 0.5, 0.5, 1};
    static const double back[] = {0, 0.6, 0.5, 1}, outside[] = {0, 0.5, 1.5};
    double nan[] = {0, (double)NAN, 1};
    struct error err = {0};

    (void)state;
    assert_int_equal(grid_check(good, 3, NULL), OK);
    assert_int_equal(grid_check(good, 0, &err), E_ARG);
    assert_int_equal(grid_check(flat, 3, &err), E_ARG);
    assert_non_null(strstr(err.text, "time 2"));
    assert_int_equal(grid_check(back, 3, &err), E_ARG);
    assert_int_equal(grid_check(outside, 2, &err), E_ARG);
    assert_non_null(strstr(err.text, "1.5"));
    assert_int_equal(grid_check(nan, 2, &err), E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_grid_rises_from_end_to_end),
        cmocka_unit_test(uniform_is_equal_steps),
        cmocka_unit_test(shift_multiplies_the_noise),
        cmocka_unit_test(linear_quadratic_begins_like_the_long_grid),
        cmocka_unit_test(beta_takes_equal_shares),
        cmocka_unit_test(sd3_shifts_its_small_end_twice),
        cmocka_unit_test(sd3_dynamic_shifts_by_size),
        cmocka_unit_test(pictures_of_others_begin_late),
        cmocka_unit_test(wrong_requests_are_answered),
        cmocka_unit_test(given_grids_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
