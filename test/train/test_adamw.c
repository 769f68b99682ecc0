/*
 * test_adamw.c - the optimizer against the paper's formulas in double
 */
#include "train/adamw.h"

#include "base/rng.h"
#include "train/rate.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1000, STEPS = 20 };

struct reference {
    double p[N], m[N], v[N], average[N];
};

static void reference_step(struct reference *r, const float *g, const struct adamw *a)
{
    double norm = 0, factor = 1;

    for (int i = 0; i < N; i++)
        norm += (double)g[i] * (double)g[i];
    norm = sqrt(norm);
    if (a->clip > 0)
        factor = fmin(1, a->clip / (norm + 1e-6));
    for (int i = 0; i < N; i++) {
        double gi = factor * (double)g[i], mh, vh;

        r->p[i] *= 1 - a->lr * a->weight_decay;
        r->m[i] = a->beta1 * r->m[i] + (1 - a->beta1) * gi;
        r->v[i] = a->beta2 * r->v[i] + (1 - a->beta2) * gi * gi;
        mh = r->m[i] / (1 - pow(a->beta1, (double)a->step));
        vh = r->v[i] / (1 - pow(a->beta2, (double)a->step));
        r->p[i] -= a->lr * mh / (sqrt(vh) + a->eps);
        r->average[i] = a->ema * r->average[i] + (1 - a->ema) * r->p[i];
    }
}

static void test_against_formulas(void **state)
{
    static struct reference r;
    static float p[N], m[N], v[N], average[N], g[N];
    struct rng rng = rng_stream(3, RNG_TEST, 0);

    (void)state;
    rng_normals(&rng, p, N);
    for (int i = 0; i < N; i++) {
        average[i] = p[i];
        r.p[i] = r.average[i] = (double)p[i];
    }
    for (int s = 0; s < STEPS; s++) {
        struct adamw a = {.lr = 0.01,
                          .beta1 = 0.9,
                          .beta2 = 0.95,
                          .eps = 1e-8,
                          .weight_decay = 0.03,
                          .clip = s % 2 ? 1 : 0,
                          .ema = 0.9,
                          .step = s + 1};

        rng_normals(&rng, g, N);
        reference_step(&r, g, &a);
        adamw_step(p, m, v, average, g, N, gradient_norm(g, N), &a);
    }
    for (int i = 0; i < N; i++) {
        assert_float_equal(p[i], r.p[i], 2e-5);
        assert_float_equal(average[i], r.average[i], 2e-5);
    }
}

static void test_norm(void **state)
{
    enum { LONG = 3000000 };
    float *g = malloc(LONG * sizeof *g);
    double want = 0, one;

    (void)state;
    for (int64_t i = 0; i < LONG; i++) {
        g[i] = (float)((double)(i % 1000) / 1000 - 0.3);
        want += (double)g[i] * (double)g[i];
    }
    omp_set_num_threads(1);
    one = gradient_norm(g, LONG);
    assert_true(fabs(one - sqrt(want)) < 1e-6 * sqrt(want));
    for (int threads = 2; threads <= 4; threads++) {
        omp_set_num_threads(threads);
        assert_true(gradient_norm(g, LONG) == one);
    }
    assert_true(gradient_norm(g, 0) == 0);
    free(g);
}

static void test_ema_decay(void **state)
{
    (void)state;
    assert_float_equal(ema_decay(0.999, 0), 0.1, 1e-12);
    assert_float_equal(ema_decay(0.999, 90), 0.91, 1e-12);
    assert_float_equal(ema_decay(0.999, 1000000), 0.999, 1e-12);
    assert_float_equal(ema_decay(0, 5), 0, 0);
}

static void test_rates(void **state)
{
    (void)state;
    assert_float_equal(rate_at(RATE_CONSTANT, 0, 100, 10, 0), 0.1, 1e-12);
    assert_float_equal(rate_at(RATE_CONSTANT, 9, 100, 10, 0), 1, 1e-12);
    assert_float_equal(rate_at(RATE_CONSTANT, 99, 100, 10, 0), 1, 1e-12);
    assert_float_equal(rate_at(RATE_COSINE, 10, 111, 10, 0.1), 1, 1e-12);
    assert_float_equal(rate_at(RATE_COSINE, 60, 111, 10, 0.1), 0.55, 1e-12);
    assert_float_equal(rate_at(RATE_COSINE, 110, 111, 10, 0.1), 0.1, 1e-12);
    assert_float_equal(rate_at(RATE_COSINE, 0, 1, 0, 0), 1, 1e-12);
    for (int64_t s = 10; s < 110; s++)
        assert_true(rate_at(RATE_COSINE, s, 111, 10, 0) >= rate_at(RATE_COSINE, s + 1, 111, 10, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_formulas),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_ema_decay),
        cmocka_unit_test(test_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
