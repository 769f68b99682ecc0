/*
 * test_path.c - names, numbers and the ends of paths, time densities and mixtures
 */
#include "diffusion/path.h"
#include "diffusion/points.h"
#include "diffusion/time.h"
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void names_and_aliases(void **state)
{
    struct path p;

    (void)state;
    assert_int_equal(path_init(&p, "Rectified-Flow", NULL), OK);
    assert_string_equal(p.kind->is.name, "condot");
    assert_int_equal(path_init(&p, "EDM", NULL), OK);
    assert_string_equal(p.kind->is.name, "ve_karras");
    for (int i = 0; path_kind_at(i); i++) {
        assert_int_equal(path_init(&p, path_kind_at(i)->is.name, NULL), OK);
        assert_ptr_equal(p.kind, path_kind_at(i));
    }
    assert_null(path_kind_at(N_PATHS));
    assert_null(path_kind_at(-1));
}

/* No two things of a table answer to the same word. */
static void names_are_unique(void **state)
{
    enum { ROOM = 64 };
    const char *words[ROOM];
    int n = 0;

    (void)state;
    for (int i = 0; path_kind_at(i); i++) {
        const struct choice *c = &path_kind_at(i)->is;

        words[n++] = c->name;
        for (int j = 0; j < CHOICE_ALIASES && c->aliases[j]; j++)
            words[n++] = c->aliases[j];
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(words[i], words[j]);
}

static void unknown_names_are_answered(void **state)
{
    struct error err = {0};
    enum prediction p;
    struct path path;

    (void)state;
    assert_int_equal(path_init(&path, "cosin", &err), E_ARG);
    assert_non_null(strstr(err.text, "cosin"));
    assert_non_null(strstr(err.text, "\"cosine\""));
    assert_int_equal(path_init(&path, "spiral-of-archimedes", &err), E_ARG);
    assert_non_null(strstr(err.text, "condot"));
    assert_non_null(strstr(err.text, "nd_cosine"));
    assert_int_equal(prediction_find(&p, "velocty", &err), E_ARG);
    assert_non_null(strstr(err.text, "\"velocity\""));
    assert_int_equal(prediction_find(&p, "epsilon", &err), OK);
    assert_int_equal(p, PREDICT_NOISE);
}

static void numbers_have_ranges(void **state)
{
    struct path p = path_named("vp_linear");
    struct error err = {0};

    (void)state;
    assert_int_equal(path_set(&p, "b_max", 12, NULL), OK);
    near(path_at(&p, 0).alpha, exp(-0.5 * (0.1 + 0.5 * 11.9)), 1e-12, "alpha");
    assert_int_equal(path_set(&p, "b_max", -3, &err), E_ARG);
    assert_non_null(strstr(err.text, "b_max"));
    assert_int_equal(path_set(&p, "b_mox", 3, &err), E_ARG);
    assert_non_null(strstr(err.text, "b_max"));
    assert_int_equal(path_set(&p, "b_max", (double)NAN, &err), E_ARG);
    assert_true(p.values[1] == 12);
}

static void the_ends_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < N_PATHS; i++) {
        struct path p = path_number(i);
        struct path_coefs c = path_at(&p, 1);

        assert_true(c.alpha == 1);
        assert_true(isfinite(c.beta_dbeta) && isfinite(c.beta_D));
        if (!p.kind->variance_exploding && strcmp(p.kind->is.name, "condot_min") != 0)
            assert_true(c.beta == 0 && c.half_log_snr == HUGE_VAL);
    }
}

/* Where table 2.4 divides by zero, a sentence says so; where the limit exists, it is there. */
static void singular_conversions_are_refused(void **state)
{
    static const struct {
        const char *path;
        double t;
        enum prediction have, want;
        bool possible;
    } cases[] = {
        {"condot", 0, PREDICT_NOISE, PREDICT_DATA, false},
        {"condot", 0, PREDICT_NOISE, PREDICT_VELOCITY, false},
        {"condot", 0, PREDICT_SCORE, PREDICT_VELOCITY, false},
        {"condot", 0, PREDICT_SCORE, PREDICT_NOISE, true},
        {"condot", 0, PREDICT_VELOCITY, PREDICT_DATA, true},
        {"condot", 0, PREDICT_VELOCITY, PREDICT_SCORE, true},
        {"condot", 0, PREDICT_DATA, PREDICT_VELOCITY, true},
        {"condot", 1, PREDICT_DATA, PREDICT_VELOCITY, false},
        {"condot", 1, PREDICT_DATA, PREDICT_SCORE, false},
        {"condot", 1, PREDICT_VELOCITY, PREDICT_SCORE, false},
        {"condot", 1, PREDICT_VELOCITY, PREDICT_DATA, true},
        {"condot", 1, PREDICT_VELOCITY, PREDICT_NOISE, true},
        {"condot", 1, PREDICT_NOISE, PREDICT_DATA, true},
        {"vp_linear", 1, PREDICT_SCORE, PREDICT_VELOCITY, true},
        {"vp_linear", 1, PREDICT_VELOCITY, PREDICT_SCORE, true},
        {"vp_linear", 1, PREDICT_VELOCITY, PREDICT_DATA, true},
        {"vp_linear", 1, PREDICT_NOISE, PREDICT_VELOCITY, false},
        {"ve_karras", 1, PREDICT_DATA, PREDICT_VELOCITY, true},
        {"ve_karras", 0, PREDICT_SCORE, PREDICT_VELOCITY, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct path p = path_named(cases[i].path);
        struct path_coefs c = path_at(&p, cases[i].t);
        double x = 0.7, in = 0.3, out = 5;
        struct error err = {0};
        enum status st =
            prediction_convert(&out, cases[i].want, &in, cases[i].have, &x, &c, 1, &err);

        if ((st == OK) != cases[i].possible)
            fail_msg("case %zu: %s", i, st ? err.text : "converted");
        if (st == OK)
            assert_true(isfinite(out));
        else
            assert_non_null(strstr(err.text, cases[i].t == 0 ? "t = 0" : "t = 1"));
    }
}

/* At t = 1 a velocity of vp_linear tells the score: u = (r / 2) (x + s). */
static void vp_linear_has_a_score_at_the_end(void **state)
{
    struct path p = path_named("vp_linear");
    struct path_coefs c = path_at(&p, 1);
    struct mixture m;
    struct mixture_value v;
    double x = 0.4, s, z;

    (void)state;
    mixture_line(&m);
    assert_int_equal(mixture_at(&v, &m, &c, &x, MIXTURE_ANY, NULL), OK);
    assert_int_equal(prediction_convert(&s, PREDICT_SCORE, v.u, PREDICT_VELOCITY, &x, &c, 1, NULL),
                     OK);
    assert_int_equal(prediction_convert(&z, PREDICT_DATA, v.u, PREDICT_VELOCITY, &x, &c, 1, NULL),
                     OK);
    near(s, v.s[0], 1e-9, "score");
    near(z, x, 1e-12, "data");
    mixture_release(&m);
}

static void infinite_targets_are_refused(void **state)
{
    struct path p = path_named("vp_linear");
    struct path_coefs c = path_at(&p, 1);
    double of_z, of_eps;
    struct error err = {0};

    (void)state;
    assert_int_equal(prediction_target(&of_z, &of_eps, PREDICT_VELOCITY, &c, &err), E_ARG);
    assert_int_equal(prediction_target(&of_z, &of_eps, PREDICT_SCORE, &c, &err), E_ARG);
    assert_non_null(strstr(err.text, "score"));
    assert_int_equal(prediction_target(&of_z, &of_eps, PREDICT_NOISE, &c, &err), OK);
}

/* S8: x_t given z has mean alpha z and variance beta^2 on every path. */
static void points_have_the_law_of_the_path(void **state)
{
    enum { N = 20000 };

    (void)state;
    for (int i = 0; i < N_PATHS; i++) {
        struct path p = path_number(i);
        struct path_coefs c = path_at(&p, 0.6);
        struct rng r = rng_stream(12, RNG_TEST, (uint64_t)i);
        double z = 1.3, mean = 0, square = 0;

        for (int k = 0; k < N; k++) {
            double eps = rng_normal(&r), x;

            path_point(&x, &z, &eps, &c, 1);
            mean += (x - c.alpha * z) / c.beta / N;
            square += pow((x - c.alpha * z) / c.beta, 2) / N;
        }
        assert_true(fabs(mean) < 5 / sqrt(N));
        assert_true(fabs(square - 1) < 5 * sqrt(2.0 / N));
    }
}

/* ---- Times ---- */

static void uniform_times(void **state)
{
    enum { N = 20000 };
    const struct path condot = path_named("condot");
    struct time_density d;
    struct error err = {0};
    double mean = 0, lo = 1, hi = 0;

    (void)state;
    assert_int_equal(time_init(&d, "uniform", NULL), OK);
    assert_int_equal(time_set(&d, "t0", 0.2, NULL), OK);
    assert_int_equal(time_set(&d, "t1", 0.6, NULL), OK);
    for (uint64_t i = 0; i < N; i++) {
        double t = time_draw(&d, &condot, 3, i);

        mean += t / N;
        lo = fmin(lo, t);
        hi = fmax(hi, t);
    }
    assert_true(lo >= 0.2 && hi < 0.6 && lo < 0.201 && hi > 0.599);
    assert_true(fabs(mean - 0.4) < 5 * 0.4 / sqrt(12.0 * N));
    assert_true(time_draw(&d, &condot, 3, 5) == time_draw(&d, &condot, 3, 5));
    assert_int_equal(time_set(&d, "t1", 0.1, NULL), OK);
    assert_int_equal(time_check(&d, &condot, &err), E_ARG);
    assert_non_null(strstr(err.text, "0.2"));
}

static void logit_normal_times(void **state)
{
    enum { N = 20000 };
    const struct path condot = path_named("condot");
    struct time_density d;
    double mean = 0, square = 0;

    (void)state;
    assert_int_equal(time_init(&d, "logit-normal", NULL), OK);
    assert_int_equal(time_set(&d, "mean", -0.5, NULL), OK);
    assert_int_equal(time_set(&d, "std", 1.5, NULL), OK);
    assert_int_equal(time_check(&d, &condot, NULL), OK);
    for (uint64_t i = 0; i < N; i++) {
        double t = time_draw(&d, &condot, 3, i), logit = log(t / (1 - t));

        assert_true(t > 0 && t < 1);
        mean += logit / N;
        square += pow(logit + 0.5, 2) / N;
    }
    assert_true(fabs(mean + 0.5) < 5 * 1.5 / sqrt(N));
    assert_true(fabs(square / 2.25 - 1) < 5 * sqrt(2.0 / N));
}

/* Of 20,000 times a share u lies below the quantile of u, and the density is what shares grow by.
 */
static void laws_know_their_quantiles(void **state)
{
    enum { N = 20000, SHARES = 9 };

    (void)state;
    for (int k = 0; time_kind_at(k); k++) {
        const char *name = time_kind_at(k)->is.name;
        const struct path path = path_named(strcmp(name, "discrete") ? "condot" : "ddpm_linear");
        struct time_density d;
        int below[SHARES] = {0};

        assert_int_equal(time_init(&d, name, NULL), OK);
        for (uint64_t i = 0; i < N; i++)
            for (int s = 0; s < SHARES; s++)
                below[s] += time_draw(&d, &path, 3, i) < time_quantile(&d, &path, 0.1 * (s + 1));
        for (int s = 0; s < SHARES; s++)
            near((double)below[s] / N, 0.1 * (s + 1), 5 * sqrt(0.25 / N), name);
        for (int s = 1; s < 100 && d.kind->density; s++) {
            double u = 0.01 * s, h = 1e-5;
            double slope = (time_quantile(&d, &path, u + h) - time_quantile(&d, &path, u - h)) / h;

            near(time_density_at(&d, time_quantile(&d, &path, u)) * slope, 2, 1e-3, name);
        }
    }
    near(sigma_shifted(0.5, 3), 0.75, 1e-15, "shifted");
    near(sigma_shifted(1, 3), 1, 0, "shifted");
    near(sigma_shifted(0, 3), 0, 0, "shifted");
}

/* ---- Mixtures ---- */

static void bad_mixtures_are_refused(void **state)
{
    static const double weight[2] = {0.5, 0.5}, heavy[2] = {0.5, 0.6}, negative[2] = {1.5, -0.5};
    static const double mean[4] = {0, 1, 2, 3}, cov[8] = {1, 0, 0, 1, 1, 0, 0, 1};
    static const double skew[8] = {1, 0.5, 0, 1, 1, 0, 0, 1}, saddle[8] = {1, 2, 2, 1, 1, 0, 0, 1};
    static const int32_t label[2] = {0, 1}, below[2] = {0, -2};
    struct error err = {0};
    struct mixture m;

    (void)state;
#define REFUSED(call, word)                  \
    assert_int_equal(call, E_ARG);           \
    assert_non_null(strstr(err.text, word)); \
    mixture_release(&m)
    REFUSED(mixture_init(&m, 2, 2, heavy, mean, cov, label, &err), "1.1");
    REFUSED(mixture_init(&m, 2, 2, negative, mean, cov, label, &err), "-0.5");
    REFUSED(mixture_init(&m, 2, 2, weight, mean, skew, label, &err), "symmetric");
    REFUSED(mixture_init(&m, 2, 2, weight, mean, saddle, label, &err), "semi-definite");
    REFUSED(mixture_init(&m, 2, 2, weight, mean, cov, below, &err), "-2");
    REFUSED(mixture_init(&m, MIXTURE_DIM + 1, 2, weight, mean, cov, label, &err), "16");
#undef REFUSED
}

static void absent_labels_and_flat_parts_are_refused(void **state)
{
    static const double one = 1, mean = 0.5, flat = 0;
    static const int32_t label = 3;
    struct path p = path_named("condot");
    struct path_coefs half = path_at(&p, 0.5), end = path_at(&p, 1);
    struct error err = {0};
    struct mixture_value v;
    struct mixture m;
    double x = 0;

    (void)state;
    assert_int_equal(mixture_init(&m, 1, 1, &one, &mean, &flat, &label, NULL), OK);
    assert_int_equal(mixture_at(&v, &m, &half, &x, 3, NULL), OK);
    assert_int_equal(mixture_at(&v, &m, &half, &x, 4, &err), E_ARG);
    assert_non_null(strstr(err.text, "4"));
    assert_int_equal(mixture_at(&v, &m, &end, &x, 3, &err), E_ARG);
    assert_non_null(strstr(err.text, "t = 1"));
    mixture_release(&m);
}

/* S4: samples of a class have its mean and covariance. */
static void samples_have_the_moments(void **state)
{
    enum { N = 40000 };
    struct path_coefs data = {.t = 1, .alpha = 1};
    double mean[2], cov[4], got[2] = {0}, square[4] = {0}, z[2];
    struct rng r = rng_stream(13, RNG_TEST, 0);
    struct mixture m;

    (void)state;
    mixture_plane(&m);
    assert_int_equal(mixture_moments(mean, cov, &m, &data, 1, NULL), OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(mixture_sample(z, &m, 1, &r), 1);
        for (int a = 0; a < 2; a++) {
            got[a] += z[a] / N;
            for (int b = 0; b < 2; b++)
                square[2 * a + b] += (z[a] - mean[a]) * (z[b] - mean[b]) / N;
        }
    }
    for (int a = 0; a < 2; a++)
        assert_true(fabs(got[a] - mean[a]) < 5 * sqrt(cov[3 * a] / N));
    for (int i = 0; i < 4; i++)
        assert_true(fabs(square[i] - cov[i]) < 0.05);
    mixture_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_aliases),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(unknown_names_are_answered),
        cmocka_unit_test(numbers_have_ranges),
        cmocka_unit_test(the_ends_are_exact),
        cmocka_unit_test(singular_conversions_are_refused),
        cmocka_unit_test(vp_linear_has_a_score_at_the_end),
        cmocka_unit_test(infinite_targets_are_refused),
        cmocka_unit_test(points_have_the_law_of_the_path),
        cmocka_unit_test(uniform_times),
        cmocka_unit_test(logit_normal_times),
        cmocka_unit_test(laws_know_their_quantiles),
        cmocka_unit_test(bad_mixtures_are_refused),
        cmocka_unit_test(absent_labels_and_flat_parts_are_refused),
        cmocka_unit_test(samples_have_the_moments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
