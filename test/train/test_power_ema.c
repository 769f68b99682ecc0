/*
 * test_power_ema.c - averages of a given width, and other widths made of them afterwards
 */
#include "train/power_ema.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_exponents(void **state)
{
    (void)state;
    assert_true(fabs(power_ema_exponent(0.05) - 16.97) < 0.005);
    assert_true(fabs(power_ema_exponent(0.10) - 6.94) < 0.005);
    for (double gamma = 0.001; gamma < 1e6; gamma *= 3) {
        double width = sqrt((gamma + 1) / ((gamma + 2) * (gamma + 2) * (gamma + 3)));

        assert_true(fabs(power_ema_exponent(width) / gamma - 1) < 1e-6);
    }
}

/* What the recursion gives to each step is a profile of the width asked for. */
static void test_width(void **state)
{
    enum { STEPS = 4000 };
    static double weight[STEPS + 1];
    const double widths[] = {0.02, 0.05, 0.1, 0.2};

    (void)state;
    for (size_t k = 0; k < COUNT(widths); k++) {
        double gamma = power_ema_exponent(widths[k]), sum = 0, mean = 0, square = 0;

        memset(weight, 0, sizeof weight);
        for (int64_t s = 1; s <= STEPS; s++) {
            double keep = power_ema_decay(gamma, s);

            for (int64_t t = 1; t < s; t++)
                weight[t] *= keep;
            weight[s] = 1 - keep;
        }
        for (int64_t t = 1; t <= STEPS; t++) {
            double at = (double)t / STEPS;

            sum += weight[t];
            mean += weight[t] * at;
            square += weight[t] * at * at;
        }
        assert_true(fabs(sum - 1) < 1e-9);
        assert_true(fabs(sqrt(square - mean * mean) / widths[k] - 1) < 0.01);
    }
}

/* A walk is averaged with two widths, eight snapshots each; another width made of them is close to
 * the average that was kept of it, and much closer than either. */
static void test_made_afterwards(void **state)
{
    enum { STEPS = 4096, EVERY = STEPS / 8, SNAPSHOTS = 16, WALKS = 50 };
    const double widths[] = {0.05, 0.10}, other[] = {0.06, 0.075, 0.09, 0.15};

    (void)state;
    for (size_t k = 0; k < COUNT(other); k++) {
        struct power_ema at[SNAPSHOTS], want = {STEPS, power_ema_exponent(other[k])};
        double weight[SNAPSHOTS], value[SNAPSHOTS], error = 0, nearest = 0;
        struct rng r = rng_stream(3, RNG_TEST, k);

        for (int walk = 0; walk < WALKS; walk++) {
            double theta = 0, average[3] = {0}, made = 0;
            int n = 0;

            for (int64_t s = 1; s <= STEPS; s++) {
                theta += rng_normal(&r);
                for (int i = 0; i < 3; i++) {
                    double gamma = i < 2 ? power_ema_exponent(widths[i]) : want.gamma;

                    average[i] += (1 - power_ema_decay(gamma, s)) * (theta - average[i]);
                    if (i < 2 && s % EVERY == 0) {
                        at[n] = (struct power_ema){s, gamma};
                        value[n++] = average[i];
                    }
                }
            }
            assert_int_equal(n, SNAPSHOTS);
            assert_int_equal(power_ema_combine(weight, at, n, want, NULL), OK);
            for (int i = 0; i < n; i++)
                made += weight[i] * value[i];
            error += (made - average[2]) * (made - average[2]);
            nearest += fmin(fabs(average[0] - average[2]), fabs(average[1] - average[2]));
        }
        assert_true(sqrt(error / WALKS) < 0.1 * nearest / WALKS);
    }
}

/* A width that was kept is its own snapshot. */
static void test_what_was_kept(void **state)
{
    struct power_ema at[4] = {{100, 7}, {200, 7}, {100, 17}, {200, 17}};
    double weight[4];

    (void)state;
    for (int k = 0; k < 4; k++) {
        assert_int_equal(power_ema_combine(weight, at, 4, at[k], NULL), OK);
        for (int i = 0; i < 4; i++)
            assert_true(fabs(weight[i] - (i == k)) < 1e-8);
    }
}

static void test_refusals(void **state)
{
    struct power_ema good = {100, 7}, early = {0, 7}, flat = {100, 0}, twice[2] = {good, good};
    struct error err = {0};
    double weight[2];

    (void)state;
    assert_int_equal(power_ema_combine(weight, &early, 1, good, &err), E_ARG);
    assert_int_equal(power_ema_combine(weight, &good, 1, flat, &err), E_ARG);
    assert_int_equal(power_ema_combine(weight, twice, 2, good, &err), E_ARG);
    assert_non_null(strstr(err.text, "2 averages"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exponents),       cmocka_unit_test(test_width),
        cmocka_unit_test(test_made_afterwards), cmocka_unit_test(test_what_was_kept),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
