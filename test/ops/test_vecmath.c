/*
 * test_vecmath.c - the vector functions against the double ones of libm
 *
 * Sweeps the float line by bit pattern, so that denormals and huge numbers get their share, and a
 * dense grid where the functions bend.  Each function runs as a vectorized loop over arrays of
 * every length up to 70, so that vector body and tail are compared with each other too.
 */
#include "base/simd.h"
#include "ops/vecmath.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef void loop(float *restrict y, const float *restrict x, int64_t n);

#define LOOP(name)                                                                              \
    IMGEN_CLONES static void loop_##name(float *restrict y, const float *restrict x, int64_t n) \
    {                                                                                           \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] = vec_##name(x[i]);            \
    }
LOOP(exp)
LOOP(tanh)
LOOP(sigmoid)
LOOP(silu)
LOOP(erf)

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double silu(double x)
{
    return x / (1.0 + exp(-x));
}

static const struct {
    const char *name;
    loop *fast;
    double (*exact)(double);
    double ulps;
    double tiny; /* an error that is nothing, whatever its units */
} cases[] = {
    {"exp", loop_exp, exp, 1.0, 0},
    {"tanh", loop_tanh, tanh, 2.5, 0},
    {"sigmoid", loop_sigmoid, sigmoid, 2.5, 5e-39},
    {"silu", loop_silu, silu, 2.5, 5e-37},
    {"erf", loop_erf, erf, 2.0, 0},
};

enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

static float from_bits(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* |got - want| in units of the last place of want, which are 2^-149 among the denormals. */
static double ulps_off(float got, double want)
{
    double unit;

    if (isnan(want))
        return isnan(got) ? 0 : HUGE_VAL;
    if (fabs(want) >= 0x1.ffffffp127)
        return isinf(got) && (got > 0) == (want > 0) ? 0 : HUGE_VAL;
    unit = ldexp(1.0, ilogb(want == 0 ? 0x1p-149 : want) - 23);
    return fabs((double)got - want) / (unit < 0x1p-149 ? 0x1p-149 : unit);
}

static void check_block(int c, const float *x, int64_t n, double *worst)
{
    float y[256];

    cases[c].fast(y, x, n);
    for (int64_t i = 0; i < n; i++) {
        double want = cases[c].exact((double)x[i]), off = ulps_off(y[i], want);

        if (fabs((double)y[i] - want) < cases[c].tiny)
            off = 0;
        if (off > cases[c].ulps)
            fail_msg("%s(%.9g) = %.9g is %.2f units off", cases[c].name, (double)x[i], (double)y[i],
                     off);
        if (off > *worst)
            *worst = off;
    }
}

static void accurate_everywhere(void **state)
{
    float x[256];

    (void)state;
    for (int c = 0; c < N_CASES; c++) {
        double worst = 0;

        for (uint64_t bits = 0; bits < 0x100000000u; bits += 256 * 4099u) {
            for (uint32_t i = 0; i < 256; i++)
                x[i] = from_bits((uint32_t)(bits + i * 4099u));
            check_block(c, x, 256, &worst);
        }
        for (int64_t k = -4000; k < 4000; k++) {
            for (int64_t i = 0; i < 256; i++)
                x[i] = (float)((double)(256 * k + i) * 1.03e-4);
            check_block(c, x, 256, &worst);
        }
        print_message("%s: at most %.2f units in the last place\n", cases[c].name, worst);
    }
}

static void limits(void **state)
{
    static const float x[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 3.4e38f, -3.4e38f, 1e-45f};
    static const float want[N_CASES][8] = {
        {INFINITY, 0, NAN, 1, 1, INFINITY, 0, 1}, {1, -1, NAN, 0, -0.0f, 1, -1, 1e-45f},
        {1, 0, NAN, 0.5f, 0.5f, 1, 0, 0.5f},      {INFINITY, NAN, NAN, 0, -0.0f, 3.4e38f, -0.0f, 0},
        {1, -1, NAN, 0, -0.0f, 1, -1, 1e-45f},
    };

    (void)state;
    for (int c = 0; c < N_CASES; c++) {
        float y[8];

        cases[c].fast(y, x, 8);
        for (int i = 0; i < 8; i++) {
            if (isnan(want[c][i]))
                assert_true(isnan(y[i]));
            else
                assert_memory_equal(&y[i], &want[c][i], sizeof(float));
        }
    }
}

/* An element's result does not depend on its place in the array. */
static void place_does_not_matter(void **state)
{
    float x[70], all[70], part[70];

    (void)state;
    for (int i = 0; i < 70; i++)
        x[i] = 0.37f * (float)(i - 35) + 0.011f;
    for (int c = 0; c < N_CASES; c++) {
        cases[c].fast(all, x, 70);
        for (int first = 0; first < 70; first++) {
            cases[c].fast(part, x + first, 70 - first);
            assert_memory_equal(part, all + first, sizeof(float) * (size_t)(70 - first));
        }
        for (int n = 1; n < 70; n++) {
            cases[c].fast(part, x, n);
            assert_memory_equal(part, all, sizeof(float) * (size_t)n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accurate_everywhere),
        cmocka_unit_test(limits),
        cmocka_unit_test(place_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
