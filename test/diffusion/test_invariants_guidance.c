/*
 * test_invariants_guidance.c - what guidance must and must not change: theory.md 4.3, I5, I6,
 * I25-I27, I30
 *
 * Exact for w = 0 and w = 1; for other w the only known results are those of Gaussian pairs and
 * that obedience grows with w.  The same combiner serves a path that is not Gaussian.
 */
#include "diffusion/guidance.h"
#include "diffusion/label_drop.h"
#include "diffusion/points.h"
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 6, DIM = 2 };

static struct mixture plane, line;

static int setup(void **state)
{
    (void)state;
    mixture_plane(&plane);
    mixture_line(&line);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mixture_release(&plane);
    mixture_release(&line);
    return 0;
}

/* One guided prediction of the plane's velocity with the given labels and scales. */
static int64_t guided(double *out, const double *x, const int32_t *label, const double *w,
                      int64_t rows)
{
    struct mixture_oracle oracle = {
        .mixture = &plane, .path = path_named("condot"), .label = label, .rows = rows};
    struct guidance g;
    struct path_coefs c;
    enum prediction is;
    int64_t evaluations;

    assert_int_equal(guidance_init(&g, predictor_of_mixture(&oracle), w, NULL, NULL), OK);
    c = path_at(&oracle.path, 0.4);
    assert_int_equal(guidance_predict(&g, out, &is, NULL, NULL, x, &c, oracle.predicts, NULL), OK);
    assert_int_equal(is, oracle.predicts);
    assert_int_equal(oracle.calls, 1);
    evaluations = g.evaluations;
    guidance_release(&g);
    return evaluations;
}

static void some_points(double *x, int64_t n)
{
    struct rng r = rng_stream(3, RNG_TEST, 0);

    for (int64_t i = 0; i < n; i++)
        x[i] = rng_normal(&r);
}

static void i5_scales_zero_and_one(void **state)
{
    static const int32_t label[ROWS] = {0, 1, 2, 0, 1, 2};
    static const double zeros[ROWS] = {0}, ones[ROWS] = {1, 1, 1, 1, 1, 1};
    struct path path = path_named("condot");
    struct path_coefs c = path_at(&path, 0.4);
    double x[ROWS * DIM], out[ROWS * DIM];
    struct mixture_value v;

    (void)state;
    some_points(x, ROWS * DIM);
    assert_int_equal(guided(out, x, label, ones, ROWS), 1);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(mixture_at(&v, &plane, &c, x + i * DIM, label[i], NULL), OK);
        assert_memory_equal(out + i * DIM, v.u, DIM * sizeof(double));
    }
    assert_int_equal(guided(out, x, label, zeros, ROWS), 1);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(mixture_at(&v, &plane, &c, x + i * DIM, MIXTURE_ANY, NULL), OK);
        assert_memory_equal(out + i * DIM, v.u, DIM * sizeof(double));
    }
}

/* Rows of 0 and 1 keep their bits beside rows that need both branches. */
static void i5_neighbours_change_nothing(void **state)
{
    static const int32_t label[ROWS] = {0, 1, 2, 0, 1, 2};
    static const double mixed[ROWS] = {0, 1, 2.5, 1, 7.5, 0};
    double x[ROWS * DIM], out[ROWS * DIM], alone[DIM];

    (void)state;
    some_points(x, ROWS * DIM);
    assert_int_equal(guided(out, x, label, mixed, ROWS), 2);
    for (int i = 0; i < ROWS; i++) {
        guided(alone, x + i * DIM, label + i, mixed + i, 1);
        assert_memory_equal(out + i * DIM, alone, sizeof(alone));
    }
}

/* At 0 and 1 the other branch does not enter at all, whatever it holds. */
static void i5_the_other_branch_may_be_nonsense(void **state)
{
    const double fine[2] = {-0.0, 0.3}, bad[2] = {(double)NAN, HUGE_VAL};
    double out[2];

    (void)state;
    guidance_combine(out, fine, bad, 0, 2);
    assert_memory_equal(out, fine, sizeof(fine));
    guidance_combine(out, bad, fine, 1, 2);
    assert_memory_equal(out, fine, sizeof(fine));
}

static void i6_no_label_any_scale(void **state)
{
    static const int32_t none[1] = {MIXTURE_ANY};
    double x[DIM] = {0.4, -0.2}, plain[DIM], out[DIM];

    (void)state;
    for (double w = 0; w < 8; w += 0.5) {
        double zero = 0;

        guided(plain, x, none, &zero, 1);
        guided(out, x, none, &w, 1);
        for (int k = 0; k < DIM; k++)
            near(out[k], plain[k], 1e-12, "no label");
    }
}

/* Variance of the guided flow between N(0, v) and N(m, v_y) is v^(1-w) v_y^w.  theory.md 3.8. */
static void i25_gaussian_pair(void **state)
{
    static const double scales[] = {0, 0.5, 1, 2, 4};
    const double v = 1.7, v_y = 0.4, m = -0.8;
    struct mixture any, with;
    static const int32_t label[2] = {0, 0};

    (void)state;
    mixture_single(&any, 0, v);
    mixture_single(&with, m, v_y);
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < 5; i++) {
            struct path path = path_named(p ? "cosine" : "condot");
            struct mixture_oracle oa = {.mixture = &any, .path = path, .label = label, .rows = 2};
            struct mixture_oracle ow = {.mixture = &with, .path = path, .label = label, .rows = 2};
            struct predictor_pair pair = {.unguided = predictor_of_mixture(&oa),
                                          .guided = predictor_of_mixture(&ow)};
            struct guidance g;
            struct field field = {.path = path, .guidance = &g};
            struct sampling_request request = {.steps = 400, .field = &field};
            double x[2] = {0, 1}, w[2] = {scales[i], scales[i]}, times[401];

            for (int k = 0; k <= 400; k++)
                times[k] = k / 400.0;
            request.times = times;
            assert_int_equal(sampler_find(&request.sampler, "rk4", NULL), OK);
            assert_int_equal(guidance_init(&g, predictor_of_pair(&pair), w, NULL, NULL), OK);
            assert_int_equal(sampling_run(x, &request, NULL, NULL), OK);
            near((x[1] - x[0]) * (x[1] - x[0]), pow(v, 1 - w[0]) * pow(v_y, w[0]), 1e-6,
                 "variance");
            if (w[0] == 0 || w[0] == 1)
                near(x[0], w[0] * m, 1e-6, "mean");
            guidance_release(&g);
        }
    mixture_release(&any);
    mixture_release(&with);
}

static void i26_label_drop(void **state)
{
    static const double shares[] = {0.1, 0.2, 0.5, 0.9};
    enum { N = 100000, CLASSES = 4, NONE = 4 };

    (void)state;
    for (int j = 0; j < 4; j++) {
        double eta = shares[j], dropped = 0, of_class[CLASSES] = {0};

        for (int i = 0; i < N; i++) {
            int32_t y = label_drop(5, (uint64_t)i, i % CLASSES, eta, NONE);

            assert_true(y == i % CLASSES || y == NONE);
            dropped += y == NONE;
            of_class[i % CLASSES] += y == NONE;
        }
        assert_true(fabs(dropped / N - eta) <= 5 * sqrt(eta * (1 - eta) / N));
        for (int k = 0; k < CLASSES; k++)
            assert_true(fabs(of_class[k] * CLASSES / N - eta) <=
                        5 * sqrt(eta * (1 - eta) * CLASSES / N));
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(label_drop(5, (uint64_t)i, 2, 0, NONE), 2);
        assert_int_equal(label_drop(5, (uint64_t)i, 2, 1, NONE), NONE);
    }
}

/* The drop knows neither the noise nor the time of its sample. */
static void i26_drop_is_independent(void **state)
{
    enum { N = 20000 };
    double with_u = 0, with_noise = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        struct rng time = rng_stream(5, RNG_TIME, i), noise = rng_stream(5, RNG_NOISE, i);
        double d = label_dropped(5, i, 0.5) ? 1 : -1;

        with_u += d * (rng_uniform(&time) - 0.5) * sqrt(12.0);
        with_noise += d * rng_normal(&noise);
    }
    assert_true(fabs(with_u / N) < 5 / sqrt(N));
    assert_true(fabs(with_noise / N) < 5 / sqrt(N));
}

/* The mean of p(y | x_1) over samples guided to y rises with w. */
static void i27_obedience_rises(void **state)
{
    static const double scales[] = {0, 1, 3, 7.5};
    enum { N = 4000 };
    struct path path = path_named("condot");
    struct path_coefs c = path_at(&path, 1);
    double *x = calloc(N, sizeof(*x)), last = 0;

    (void)state;
    for (int j = 0; j < 4; j++) {
        double mean = 0, log_p;

        for (int i = 0; i < N; i++)
            sampling_start(x + i, &path, 11, (uint64_t)i, 1);
        solve(x, N, &line, &path, 1, scales[j], "heun", 50, 0, 1);
        for (int i = 0; i < N; i++) {
            assert_int_equal(mixture_posterior(&log_p, NULL, &line, &c, x + i, 1, NULL), OK);
            mean += exp(log_p) / N;
        }
        assert_true(mean >= last - 1e-3);
        if (scales[j] == 0)
            near(mean, mixture_prior(&line, 1), 0.03, "unguided share");
        last = mean;
    }
    assert_true(last > 0.97);
    free(x);
}

/* ---- I30: a path that is not Gaussian ---- */

static const double spots[] = {-2.0, -0.5, 0.8, 2.5};
static const double shares[] = {0.3, 0.2, 0.4, 0.1};
static const int32_t owners[] = {0, 1, 0, 1};

/* With normal noise the points are a mixture without width: two oracles, one truth. */
static void i30_points_are_a_flat_mixture(void **state)
{
    static const double flat[4] = {0};
    struct points points = {4, 1, spots, shares, owners, points_normal};
    struct path path = path_named("condot");
    struct mixture m;

    (void)state;
    assert_int_equal(mixture_init(&m, 1, 4, shares, spots, flat, owners, NULL), OK);
    for (int i = 0; i < 50; i++) {
        struct rng r = rng_stream(8, RNG_TEST, (uint64_t)i);
        double t = 0.98 * rng_uniform(&r), x = 2 * rng_normal(&r), log_p, u;
        struct path_coefs c = path_at(&path, t);
        struct mixture_value v;

        for (int32_t y = -1; y < 2; y++) {
            assert_int_equal(points_at(&log_p, &u, &points, t, &x, y, NULL), OK);
            assert_int_equal(mixture_at(&v, &m, &c, &x, y, NULL), OK);
            near(u, v.u[0], 1e-9, "u");
            near(log_p, v.log_p, 1e-9, "log p");
        }
    }
    mixture_release(&m);
}

static void i30_total_expectation(void **state)
{
    struct points points = {4, 1, spots, shares, owners, points_logistic};

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct rng r = rng_stream(9, RNG_TEST, (uint64_t)i);
        double t = 0.95 * rng_uniform(&r), x = 3 * rng_normal(&r), log_p, u, sum = 0, whole = 0;

        for (int32_t y = 0; y < 2; y++) {
            double prob;

            assert_int_equal(points_at(&log_p, &u, &points, t, &x, y, NULL), OK);
            assert_int_equal(points_posterior(&prob, &points, t, &x, y, NULL), OK);
            sum += prob * u;
            whole += prob;
        }
        assert_int_equal(points_at(&log_p, &u, &points, t, &x, POINTS_ANY, NULL), OK);
        near(whole, 1, 1e-10, "posteriors");
        near(sum, u, 1e-10, "mean velocity");
    }
}

/* From logistic noise the flow with w = 1 ends at the points of the class, in their shares. */
static void i30_class_law(void **state)
{
    enum { N = 4000, STEPS = 400 };
    struct points points = {4, 1, spots, shares, owners, points_logistic};
    struct points_oracle oracle = {.points = &points, .rows = N};
    struct guidance g;
    struct field field = {.path = path_named("condot"), .guidance = &g};
    struct sampling_request request = {.steps = STEPS, .field = &field};
    double *x = calloc(N, sizeof(*x)), *w = calloc(N, sizeof(*w)), times[STEPS + 1], left = 0;
    int32_t *label = calloc(N, sizeof(*label));
    struct rng r = rng_stream(10, RNG_TEST, 0);

    (void)state;
    for (int i = 0; i < N; i++) {
        double p = rng_uniform(&r);

        x[i] = log((p + 1e-12) / (1 - p));
        w[i] = 1;
    }
    for (int i = 0; i <= STEPS; i++)
        times[i] = 0.999 * i / STEPS;
    oracle.label = label;
    request.times = times;
    assert_int_equal(sampler_find(&request.sampler, "rk4", NULL), OK);
    assert_int_equal(guidance_init(&g, predictor_of_points(&oracle), w, NULL, NULL), OK);
    assert_int_equal(sampling_run(x, &request, NULL, NULL), OK);
    for (int i = 0; i < N; i++) {
        bool at_left = fabs(x[i] - spots[0]) < 0.05, at_right = fabs(x[i] - spots[2]) < 0.05;

        assert_true(at_left || at_right || fabs(x[i]) < 2.1);
        left += at_left;
    }
    /* Class 0 holds points 0 and 2 with shares 3 to 4. */
    assert_true(fabs(left / N - 3.0 / 7) < 5 * sqrt(12.0 / 49 / N) + 0.005);
    guidance_release(&g);
    free(x);
    free(w);
    free(label);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(i5_scales_zero_and_one),
        cmocka_unit_test(i5_neighbours_change_nothing),
        cmocka_unit_test(i5_the_other_branch_may_be_nonsense),
        cmocka_unit_test(i6_no_label_any_scale),
        cmocka_unit_test(i25_gaussian_pair),
        cmocka_unit_test(i26_label_drop),
        cmocka_unit_test(i26_drop_is_independent),
        cmocka_unit_test(i27_obedience_rises),
        cmocka_unit_test(i30_points_are_a_flat_mixture),
        cmocka_unit_test(i30_total_expectation),
        cmocka_unit_test(i30_class_law),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
