/*
 * test_objective.c - predictions, weights, wrappers and time laws against their formulas
 *
 * theory.md 2.2, 2.4 and (2.5), 3.9 S23; architectures.md 1.8 and 2.3; sampling.md 1.
 */
#include "diffusion/ddpm.h"
#include "diffusion/loss.h"
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct precondition none = {0};

static struct weighting weight_named(const char *name)
{
    struct weighting w;

    assert_int_equal(weighting_init(&w, name, NULL), OK);
    return w;
}

static struct precondition edm(double data_std)
{
    return (struct precondition){.kind = precondition_kind_at(1), .values = {data_std}};
}

static struct grading grading_at(const struct objective *o, const struct precondition *wrap,
                                 const struct path *path, double t)
{
    struct path_coefs c = path_at(path, t);
    struct grading g;
    struct error err = {0};

    if (objective_at(&g, o, wrap, path, &c, &err))
        fail_msg("%s", err.text);
    return g;
}

/* ---- Predictions ---- */

/* alpha eps - beta z, and eps - z, have data and noise at both ends of every path. */
static void data_and_noise_everywhere(void **state)
{
    static const enum prediction who[] = {PREDICT_V, PREDICT_DESCENT};
    static const double times[] = {0, 1e-9, 0.3, 1 - 1e-9, 1};

    (void)state;
    for (int i = 0; i < 2 * N_PATHS; i++)
        for (int k = 0; k < 5; k++) {
            struct path path = path_number(i / 2);
            struct path_coefs c = path_at(&path, times[k]);
            enum prediction is = who[i % 2];
            double z = -0.7, eps = 1.3, x = c.alpha * z + c.beta * eps, got;
            double p = is == PREDICT_V ? c.alpha * eps - c.beta * z : eps - z;

            assert_int_equal(prediction_convert(&got, PREDICT_DATA, &p, is, &x, &c, 1, NULL), OK);
            near(got, z, 1e-12 * (1 + c.beta), "data");
            assert_int_equal(prediction_convert(&got, PREDICT_NOISE, &p, is, &x, &c, 1, NULL), OK);
            near(got, eps, 1e-12 * (1 + c.beta), "noise");
        }
}

/* On condot eps - z is the velocity the other way. */
static void descent_is_the_velocity_backwards(void **state)
{
    struct path path = path_named("condot");

    (void)state;
    for (int i = 0; i <= 10; i++) {
        struct path_coefs c = path_at(&path, i / 10.0);
        double of_x, of_u;

        assert_int_equal(
            prediction_coefs(&of_x, &of_u, PREDICT_DESCENT, PREDICT_VELOCITY, &c, NULL), OK);
        near(of_x, 0, 1e-15, "of x");
        near(of_u, -1, 1e-15, "of u");
    }
}

/* On the cosine path v is -2 / pi times the velocity (sampling.md 1). */
static void v_is_a_multiple_of_the_cosine_velocity(void **state)
{
    struct path path = path_named("cosine");

    (void)state;
    for (int i = 0; i <= 10; i++) {
        struct path_coefs c = path_at(&path, i / 10.0);
        double of_x, of_u;

        assert_int_equal(prediction_coefs(&of_x, &of_u, PREDICT_V, PREDICT_VELOCITY, &c, NULL), OK);
        near(of_x, 0, 1e-15, "of x");
        near(of_u, -2 / 3.14159265358979, 1e-12, "of u");
    }
}

/* ---- Losses ---- */

/* (2.5): whatever is predicted, the loss on q is the squared error of q. */
static void gain_is_the_ratio_of_errors(void **state)
{
    (void)state;
    for (int i = 0; i < N_PATHS; i++)
        for (enum prediction p = 0; p < N_PREDICTIONS; p++)
            for (enum prediction q = 0; q < N_PREDICTIONS; q++) {
                struct path path = path_number(i);
                struct path_coefs c = path_at(&path, 0.37);
                struct objective o = {.predicts = p, .graded_as = 1 + (int)q};
                struct grading g = grading_at(&o, &none, &path, 0.37);
                double z = 0.4, eps = -1.1, x = c.alpha * z + c.beta * eps, right, wrong, f, e;

                prediction_target(&f, &e, q, &c, NULL);
                right = f * z + e * eps;
                prediction_target(&f, &e, p, &c, NULL);
                f = f * z + e * eps + 0.05; /* what the network says */
                prediction_convert(&wrong, q, &f, p, &x, &c, 1, NULL);
                near((g.gain * f - g.of_z * z - g.of_eps * eps) / (1 + fabs(right)),
                     (wrong - right) / (1 + fabs(right)), 1e-9, "error");
            }
}

/* Hang et al. 2023: min(SNR, gamma) on data is min(1, gamma / SNR) on noise, and on v of a variance
 * preserving path min(SNR, gamma) / (SNR + 1). */
static void min_snr_of_every_prediction(void **state)
{
    struct path path = path_named("vp_linear");

    (void)state;
    for (int i = 1; i < 20; i++) {
        struct objective o = {.predicts = PREDICT_NOISE, .weighting = weight_named("min_snr")};
        struct path_coefs c = path_at(&path, i / 20.0);
        double snr = c.alpha * c.alpha / (c.beta * c.beta);

        near(pow(grading_at(&o, &none, &path, c.t).gain, 2), fmin(1, 5 / snr), 1e-12, "noise");
        o.predicts = PREDICT_DATA;
        near(pow(grading_at(&o, &none, &path, c.t).gain, 2), fmin(snr, 5), 1e-12, "data");
        o.predicts = PREDICT_V;
        near(pow(grading_at(&o, &none, &path, c.t).gain, 2), fmin(snr, 5) / (snr + 1), 1e-12, "v");
    }
}

static void other_weights(void **state)
{
    struct path path = path_named("cosine");
    struct path_coefs c = path_at(&path, 0.7);
    double snr = c.alpha * c.alpha / (c.beta * c.beta);
    struct objective o = {.predicts = PREDICT_NOISE, .weighting = weight_named("truncated_snr")};

    (void)state;
    near(pow(grading_at(&o, &none, &path, 0.7).gain, 2), fmax(1, 1 / snr), 1e-12, "truncated");
    o.weighting = weight_named("p2");
    near(pow(grading_at(&o, &none, &path, 0.7).gain, 2), 1 / (1 + snr), 1e-12, "p2");
    o.weighting = weight_named("sigmoid");
    near(pow(grading_at(&o, &none, &path, 0.7).gain, 2), 1 / (1 + exp(log(snr) - 2)), 1e-12,
         "sigmoid");
    o.weighting = weight_named("edm");
    o.predicts = PREDICT_DATA;
    near(pow(grading_at(&o, &none, &path, 0.7).gain, 2), 4 + snr, 1e-12, "edm");
}

/* (1 / max(1 - t, 0.05))^2 on data: the velocity loss of JiT. */
static void data_graded_by_a_floored_velocity(void **state)
{
    struct path path = path_named("condot");
    struct objective o = {
        .predicts = PREDICT_DATA, .graded_as = 1 + PREDICT_VELOCITY, .floor = 0.05};

    (void)state;
    for (int i = 0; i <= 100; i++) {
        double t = i / 100.0;

        near(grading_at(&o, &none, &path, t).gain, 1 / fmax(1 - t, 0.05), 1e-7, "gain");
    }
}

/* Karras et al. 2022, section 5: the network's input and target have unit variance, its loss weight
 * is 1, and at c_skip = 0 and c_out = 1 nothing is left of x. */
static void edm_asks_for_unit_size(void **state)
{
    static const char *const names[] = {"ve_karras", "condot", "cosine", "vp_linear"};
    const double s = 0.7;
    struct precondition wrap = edm(s);

    (void)state;
    for (int k = 0; k < 4; k++)
        for (int i = 1; i < 20; i++) {
            struct path path = path_named(names[k]);
            struct path_coefs c = path_at(&path, i / 20.0);
            struct objective o = {.predicts = PREDICT_DATA, .weighting = weight_named("edm")};
            struct reading r = precondition_at(&wrap, &path, &c);
            double sigma = c.beta / c.alpha, size = sqrt(sigma * sigma + s * s);
            struct grading g;

            assert_int_equal(weighting_set(&o.weighting, "data_std", s, NULL), OK);
            g = grading_at(&o, &wrap, &path, c.t);
            near(r.in * c.alpha, 1 / size, 1e-12, "c_in");
            near(r.skip * c.alpha, s * s / (size * size), 1e-12, "c_skip");
            near(r.out, sigma * s / size, 1e-12, "c_out");
            near(r.time, log(sigma) / 4, 1e-12, "c_noise");
            near(r.in * r.in * (c.alpha * c.alpha * s * s + c.beta * c.beta), 1, 1e-12, "input");
            near(g.gain, 1, 1e-12, "lambda c_out^2");
            near(s * s * g.of_z * g.of_z + g.of_eps * g.of_eps, 1, 1e-9, "target");
        }
}

/* N(0, s^2) data: the best F is 0, so the target has no part along x. */
static void edm_leaves_nothing_of_gaussian_data(void **state)
{
    struct path path = path_named("ve_karras");
    struct precondition wrap = edm(0.5);
    struct objective o = {.predicts = PREDICT_DATA};

    (void)state;
    for (int i = 0; i <= 20; i++) {
        struct path_coefs c = path_at(&path, i / 20.0);
        struct grading g = grading_at(&o, &wrap, &path, c.t);

        near(g.of_z * c.alpha * 0.25 + g.of_eps * c.beta, 0, 1e-9, "covariance with x");
    }
}

static enum status check(const char *path_name, enum prediction p, int graded_as,
                         const char *weight, double t0, double t1, struct error *err)
{
    struct flow_task task = {.path = path_named(path_name),
                             .head = {{.predicts = p, .graded_as = graded_as}}};

    task.head[0].weighting = weight_named(weight);
    assert_int_equal(time_init(&task.time, "uniform", NULL), OK);
    assert_int_equal(time_set(&task.time, "t0", t0, NULL), OK);
    assert_int_equal(time_set(&task.time, "t1", t1, NULL), OK);
    return flow_task_check(&task, err);
}

static void losses_without_bound_are_refused(void **state)
{
    const int noise = 1 + PREDICT_NOISE, velocity = 1 + PREDICT_VELOCITY;
    const struct {
        const char *path;
        enum prediction p;
        int graded_as;
        const char *weight;
        double t0, t1;
        const char *word; /* of the refusal; NULL: none */
    } cases[] = {
        {"condot", PREDICT_VELOCITY, 0, "uniform", 0, 1, NULL},
        {"condot", PREDICT_SCORE, 0, "uniform", 0, 1, "t = 1"},
        {"condot", PREDICT_SCORE, 0, "uniform", 0, 0.98, NULL},
        {"condot", PREDICT_SCORE, noise, "uniform", 0, 1, NULL},
        {"vp_linear", PREDICT_SCORE, 0, "uniform", 0, 1, "t = 1"},
        {"ve_karras", PREDICT_SCORE, 0, "uniform", 0, 1, NULL},
        {"vp_linear", PREDICT_VELOCITY, 0, "uniform", 0, 1, NULL},
        {"condot", PREDICT_NOISE, 0, "uniform", 0, 1, NULL},
        {"condot", PREDICT_NOISE, velocity, "uniform", 0, 1, "t = 0"},
        {"vp_linear", PREDICT_NOISE, 0, "uniform", 0, 1, NULL},
        {"condot", PREDICT_DATA, 0, "uniform", 0, 1, NULL},
        {"condot", PREDICT_DATA, velocity, "uniform", 0, 1, "t = 1"},
        {"condot", PREDICT_DATA, velocity, "uniform", 0, 0.95, NULL},
        {"condot", PREDICT_V, 0, "uniform", 0, 1, NULL},
        {"condot", PREDICT_NOISE, 0, "min_snr", 0, 1, NULL},
        {"condot", PREDICT_DATA, 0, "min_snr", 0, 1, NULL},
        {"condot", PREDICT_DATA, 0, "edm", 0, 1, "t = 1"},
        {"condot", PREDICT_NOISE, 0, "sigmoid", 0, 1, NULL},
        {"condot", PREDICT_NOISE, noise, "min_snr", 0, 1, "min_snr"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        enum status st = check(cases[i].path, cases[i].p, cases[i].graded_as, cases[i].weight,
                               cases[i].t0, cases[i].t1, &err);

        if (st != (cases[i].word ? E_ARG : OK))
            fail_msg("case %zu: %d, \"%s\"", i, st, err.text);
        if (cases[i].word)
            assert_non_null(strstr(err.text, cases[i].word));
    }
}

/* A law that fades out towards the ends has a finite score loss. */
static void fading_times_may_have_any_loss(void **state)
{
    struct flow_task task = {.path = path_named("condot"), .head = {{.predicts = PREDICT_SCORE}}};

    (void)state;
    assert_int_equal(time_init(&task.time, "logit_normal", NULL), OK);
    assert_int_equal(flow_task_check(&task, NULL), OK);
    assert_int_equal(time_init(&task.time, "cosmap", NULL), OK);
    assert_int_equal(flow_task_check(&task, NULL), E_ARG);
}

static void wrappers_say_what_they_make(void **state)
{
    struct path condot = path_named("condot"), ddpm = path_named("ddpm_linear");
    struct precondition wrap = edm(0.5), indexed = {.time_input = TIME_INDEX};
    struct error err = {0};

    (void)state;
    assert_int_equal(precondition_check(&wrap, &condot, PREDICT_DATA, NULL), OK);
    assert_int_equal(precondition_check(&wrap, &condot, PREDICT_VELOCITY, &err), E_ARG);
    assert_non_null(strstr(err.text, "velocity"));
    wrap.time_input = TIME_INDEX;
    assert_int_equal(precondition_check(&wrap, &ddpm, PREDICT_DATA, &err), E_ARG);
    assert_int_equal(precondition_check(&indexed, &condot, PREDICT_NOISE, &err), E_ARG);
    assert_non_null(strstr(err.text, "condot"));
    assert_int_equal(precondition_check(&indexed, &ddpm, PREDICT_NOISE, NULL), OK);
}

/* ---- Times ---- */

enum { N = 40000 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The times of a law, in order. */
static void draw_times(double t[N], const struct time_density *d, const struct path *path)
{
    assert_int_equal(time_check(d, path, NULL), OK);
    for (uint64_t i = 0; i < N; i++) {
        t[i] = time_draw(d, path, 11, i);
        assert_true(t[i] >= 0 && t[i] < 1);
    }
    qsort(t, N, sizeof *t, by_value);
}

/* Kolmogorov and Smirnov against a distribution function: 1.95 / sqrt(N) is a chance of 1e-3. */
static void assert_law(const double *t, double (*cdf)(double))
{
    for (int i = 0; i < N; i++)
        assert_true(fabs((i + 0.5) / N - cdf(t[i])) < 1.95 / sqrt(N));
}

/* Integral of 2 / (pi - 2 pi t + 2 pi t^2). */
static double cosmap_cdf(double t)
{
    return 2 / 3.14159265358979 * atan2(t, 1 - t);
}

/* t = u + s (cos^2(pi u / 2) - 1 + u), s = 1.29, solved for u. */
static double mode_cdf(double t)
{
    double lo = 0, hi = 1;

    for (int i = 0; i < 60; i++) {
        double u = 0.5 * (lo + hi), root = cos(3.14159265358979 / 2 * u);

        if (u + 1.29 * (root * root - 1 + u) < t)
            lo = u;
        else
            hi = u;
    }
    return lo;
}

/* On condot log(beta / alpha) = log((1 - t) / t). */
static double log_normal_cdf(double t)
{
    return 0.5 * erfc((log((1 - t) / t) + 1.2) / 1.2 / sqrt(2));
}

static void laws_of_the_time(void **state)
{
    static const struct {
        const char *name;
        double (*cdf)(double);
    } laws[] = {{"cosmap", cosmap_cdf}, {"mode", mode_cdf}, {"log_normal", log_normal_cdf}};
    struct path condot = path_named("condot");
    static double t[N];

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct time_density d;

        assert_int_equal(time_init(&d, laws[i].name, NULL), OK);
        draw_times(t, &d, &condot);
        assert_law(t, laws[i].cdf);
    }
}

/* The law of the noise level is the same on every path that has such levels. */
static void log_normal_is_of_the_noise_level(void **state)
{
    struct path path = path_named("ve_karras");
    struct time_density d;
    double mean = 0, square = 0;

    (void)state;
    assert_int_equal(time_init(&d, "edm", NULL), OK);
    for (uint64_t i = 0; i < N; i++) {
        double level = log(path_at(&path, time_draw(&d, &path, 5, i)).beta);

        mean += level / N;
        square += (level + 1.2) * (level + 1.2) / N;
    }
    near(mean, -1.2, 5 * 1.2 / sqrt(N), "mean");
    near(square, 1.44, 5 * 1.44 * sqrt(2.0 / N), "variance");
}

/* Public indexing: 0 next to the data, T - 1 at t = 0, and every index comes back whole. */
static void discrete_times_are_indices(void **state)
{
    struct path path = path_named("ddpm_linear"), condot = path_named("condot");
    struct precondition indexed = {.time_input = TIME_INDEX};
    struct time_density d;
    static int seen[1000];
    struct error err = {0};

    (void)state;
    assert_int_equal(path_steps(&path), 1000);
    assert_int_equal(path_steps(&condot), 0);
    near(path_time_of_index(&path, 999), 0, 1e-15, "last");
    assert_int_equal(time_init(&d, "discrete", NULL), OK);
    assert_int_equal(time_check(&d, &condot, &err), E_ARG);
    assert_non_null(strstr(err.text, "ddpm_linear"));
    for (uint64_t i = 0; i < N; i++) {
        struct path_coefs c = path_at(&path, time_draw(&d, &path, 5, i));
        double index = precondition_at(&indexed, &path, &c).time;

        assert_true(index >= 0 && index < 1000 && floor(index) == index);
        seen[(int)index]++;
    }
    for (int k = 0; k < 1000; k++) {
        struct path_coefs c = path_at(&path, path_time_of_index(&path, k));

        assert_true(path_index(&path, c.t) == k);
        near(c.alpha * c.alpha, ddpm_kept(&path, k), 1e-12, "kept");
        assert_in_range(seen[k], 10, 80); /* 40 expected */
    }
}

/* ---- Batches ---- */

/* The label does not enter whatever is graded; two heads share x and the noise. */
static void two_heads_of_one_batch(void **state)
{
    enum { ROWS = 16, LENGTH = 6 };
    struct flow_task one = {.path = path_named("condot"), .seed = 4}, two;
    struct flow_batch a, b;
    float z[ROWS * LENGTH];

    (void)state;
    for (int i = 0; i < ROWS * LENGTH; i++)
        z[i] = (float)sin(i);
    assert_int_equal(time_init(&one.time, "uniform", NULL), OK);
    two = one;
    two.has_second = true;
    two.head[1] = (struct objective){.predicts = PREDICT_SCORE, .graded_as = 1 + PREDICT_NOISE};
    assert_int_equal(flow_task_check(&two, NULL), OK);
    assert_int_equal(flow_batch_init_for(&a, &one, ROWS, LENGTH, NULL), OK);
    assert_int_equal(flow_batch_init_for(&b, &two, ROWS, LENGTH, NULL), OK);
    assert_int_equal(flow_batch_draw(&a, &one, z, NULL, 0, NULL), OK);
    assert_int_equal(flow_batch_draw(&b, &two, z, NULL, 0, NULL), OK);
    assert_memory_equal(a.x, b.x, sizeof z);
    assert_memory_equal(a.target, b.target, sizeof z);
    for (int i = 0; i < ROWS; i++) {
        assert_true(b.gain[i] == 1);
        near((double)b.gain[ROWS + i], -(1 - (double)b.t[i]), 1e-6, "gain of the score");
        for (int k = 0; k < LENGTH; k++) { /* the noise, since x = t z + (1 - t) eps */
            double t = (double)b.t[i], eps = (double)b.target[(ROWS + i) * LENGTH + k];

            near((double)b.x[i * LENGTH + k], t * (double)z[i * LENGTH + k] + (1 - t) * eps, 1e-5,
                 "x");
        }
    }
    flow_batch_release(&a);
    flow_batch_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_and_noise_everywhere),
        cmocka_unit_test(descent_is_the_velocity_backwards),
        cmocka_unit_test(v_is_a_multiple_of_the_cosine_velocity),
        cmocka_unit_test(gain_is_the_ratio_of_errors),
        cmocka_unit_test(min_snr_of_every_prediction),
        cmocka_unit_test(other_weights),
        cmocka_unit_test(data_graded_by_a_floored_velocity),
        cmocka_unit_test(edm_asks_for_unit_size),
        cmocka_unit_test(edm_leaves_nothing_of_gaussian_data),
        cmocka_unit_test(losses_without_bound_are_refused),
        cmocka_unit_test(fading_times_may_have_any_loss),
        cmocka_unit_test(wrappers_say_what_they_make),
        cmocka_unit_test(laws_of_the_time),
        cmocka_unit_test(log_normal_is_of_the_noise_level),
        cmocka_unit_test(discrete_times_are_indices),
        cmocka_unit_test(two_heads_of_one_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
