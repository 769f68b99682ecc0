/*
 * test_invariants_fields.c - what must hold between the exact fields: theory.md 4.3, I1-I4, I7-I11,
 * I20, I24, I29
 *
 * Each test is named after its invariant and uses the tolerance of that table.  Points are drawn
 * from the path itself, so no field is tested only where nothing lies.
 */
#include "diffusion/mixture.h"
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { POINTS = 20, DIM = 2 };

static const char *const four[] = {"condot", "cosine", "vp_linear", "ve_karras"};

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

static struct mixture_value value_at(const struct mixture *m, const struct path_coefs *c,
                                     const double *x, int32_t y)
{
    struct mixture_value v;
    struct error err = {0};

    if (mixture_at(&v, m, c, x, y, &err))
        fail_msg("%s", err.text);
    return v;
}

/* The i-th test point: a time in [lo, 1 - lo] and a point of the path there. */
static struct path_coefs draw(double *x, const struct mixture *m, const struct path *p, int i,
                              double lo)
{
    struct rng r = rng_stream(1, RNG_TEST, (uint64_t)i);
    struct path_coefs c = path_at(p, lo + (1 - 2 * lo) * rng_uniform(&r));
    double z[MIXTURE_DIM];

    mixture_sample(z, m, MIXTURE_ANY, &r);
    for (int k = 0; k < m->dim; k++)
        x[k] = c.alpha * z[k] + c.beta * rng_normal(&r);
    return c;
}

static double log_p_of(const struct mixture *m, const struct path_coefs *c, const double *x, int k,
                       double step, int32_t y)
{
    double moved[DIM];

    memcpy(moved, x, sizeof(moved));
    moved[k] += step;
    return value_at(m, c, moved, y).log_p;
}

/* Five-point difference of log p in coordinate k. */
static double log_p_slope(const struct mixture *m, const struct path_coefs *c, const double *x,
                          int k, double h, int32_t y)
{
    return (log_p_of(m, c, x, k, -2 * h, y) - 8 * log_p_of(m, c, x, k, -h, y) +
            8 * log_p_of(m, c, x, k, h, y) - log_p_of(m, c, x, k, 2 * h, y)) /
           (12 * h);
}

/* The narrowest width of the plane's parts is that of an eigenvalue near 0.02. */
static double width(const struct path_coefs *c)
{
    return sqrt(c->alpha * c->alpha * 0.02 + c->beta * c->beta);
}

static void i1_score_is_gradient(void **state)
{
    (void)state;
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < POINTS; i++) {
            struct path path = path_named(four[p]);
            double x[DIM];
            struct path_coefs c = draw(x, &plane, &path, i, 0.01);
            double w = width(&c);

            for (int32_t y = MIXTURE_ANY; y < 3; y++) {
                struct mixture_value v = value_at(&plane, &c, x, y);

                for (int k = 0; k < DIM; k++)
                    near(w * log_p_slope(&plane, &c, x, k, 1e-3 * w, y), w * v.s[k], 1e-6, "score");
            }
        }
}

/* d log p / dt + div u + u . s = 0, all derivatives by differences. */
static void i2_continuity(void **state)
{
    const double h = 1e-4;

    (void)state;
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < POINTS; i++) {
            struct path path = path_named(four[p]);
            double x[DIM], div = 0, flow = 0, change;
            struct path_coefs c = draw(x, &plane, &path, i, 0.05), at[4];
            struct mixture_value v = value_at(&plane, &c, x, 1);
            double w = 1e-3 * width(&c), dt[4] = {-2 * h, -h, h, 2 * h}, l[4];

            for (int j = 0; j < 4; j++) {
                at[j] = path_at(&path, c.t + dt[j]);
                l[j] = value_at(&plane, &at[j], x, 1).log_p;
            }
            change = (l[0] - 8 * l[1] + 8 * l[2] - l[3]) / (12 * h);
            for (int k = 0; k < DIM; k++) {
                double u[4], moved[DIM];

                for (int j = 0; j < 4; j++) {
                    memcpy(moved, x, sizeof(moved));
                    moved[k] += dt[j] / h * w;
                    u[j] = value_at(&plane, &c, moved, 1).u[k];
                }
                div += (u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * w);
                flow += v.u[k] * v.s[k];
            }
            assert_true(fabs(change + div + flow) <= 1e-5 * (1 + fabs(change) + fabs(div)));
        }
}

static void i3_conversions(void **state)
{
    (void)state;
    for (int p = 0; p < N_PATHS; p++)
        for (int i = 0; i < POINTS; i++) {
            struct path path = path_number(p);
            double x[DIM], got[DIM];
            struct path_coefs c = draw(x, &plane, &path, i, 0.02);
            struct mixture_value v = value_at(&plane, &c, x, i % 2 ? 2 : MIXTURE_ANY);

            for (enum prediction from = 0; from < N_PREDICTIONS; from++)
                for (enum prediction to = 0; to < N_PREDICTIONS; to++) {
                    assert_int_equal(
                        prediction_convert(got, to, v.field[from], from, x, &c, DIM, NULL), OK);
                    for (int k = 0; k < DIM; k++)
                        near(got[k], v.field[to][k], 1e-8, prediction_at((int)to)->name);
                }
            for (int k = 0; k < DIM; k++) {
                near(c.alpha * v.z[k] + c.beta * v.eps[k], x[k], 1e-8, "x");
                near(c.dalpha * v.z[k] + c.dbeta * v.eps[k], v.u[k], 1e-8, "u");
            }
        }
}

/* The conversions work in place, over the input and over x. */
static void i3_conversions_in_place(void **state)
{
    struct path path = path_named("cosine");
    struct path_coefs c = path_at(&path, 0.3);
    double x[DIM] = {0.4, -0.7}, u[DIM] = {1.5, 0.2}, apart[DIM], over_in[DIM], over_x[DIM];

    (void)state;
    memcpy(over_in, u, sizeof(u));
    memcpy(over_x, x, sizeof(x));
    assert_int_equal(prediction_convert(apart, PREDICT_DATA, u, PREDICT_VELOCITY, x, &c, DIM, NULL),
                     OK);
    assert_int_equal(
        prediction_convert(over_in, PREDICT_DATA, over_in, PREDICT_VELOCITY, x, &c, DIM, NULL), OK);
    assert_int_equal(
        prediction_convert(over_x, PREDICT_DATA, u, PREDICT_VELOCITY, over_x, &c, DIM, NULL), OK);
    assert_memory_equal(apart, over_in, sizeof(apart));
    assert_memory_equal(apart, over_x, sizeof(apart));
}

static void i4_coefficients(void **state)
{
    const double h = 1e-5;

    (void)state;
    for (int p = 0; p < N_PATHS; p++)
        for (int i = 1; i < POINTS; i++) {
            struct path path = path_number(p);
            double t = i / (double)POINTS + 3e-4; /* between the steps of discrete schedules */
            struct path_coefs c = path_at(&path, t), lo = path_at(&path, t - h),
                              hi = path_at(&path, t + h);
            double slope = (hi.half_log_snr - lo.half_log_snr) / (2 * h);

            near((hi.alpha - lo.alpha) / (2 * h), c.dalpha, 1e-6, "dalpha");
            near((hi.beta - lo.beta) / (2 * h), c.dbeta, 1e-6, "dbeta");
            near(c.b, c.beta * c.D / c.alpha, 1e-12, "b");
            near(c.beta * c.beta * slope, c.b, 1e-6, "b as a derivative");
            if (path.kind->variance_preserving) {
                near(c.alpha * c.alpha + c.beta * c.beta, 1, 1e-12, "variance");
                near(c.b, c.a, 1e-12, "b = a");
            }
            if (path.kind->variance_exploding)
                assert_true(c.a == 0 && c.alpha == 1);
        }
}

static void i7_classifier_guidance(void **state)
{
    static const double scales[] = {0, 1, 2, 4, 7.5};

    (void)state;
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < POINTS; i++) {
            struct path path = path_named(four[p]);
            double x[DIM], grad[DIM], cfg[DIM], log_p;
            struct path_coefs c = draw(x, &plane, &path, i, 0.05);
            struct mixture_value any = value_at(&plane, &c, x, MIXTURE_ANY);
            struct mixture_value with = value_at(&plane, &c, x, 1);

            assert_int_equal(mixture_posterior(&log_p, grad, &plane, &c, x, 1, NULL), OK);
            for (int j = 0; j < 5; j++) {
                guidance_combine(cfg, any.u, with.u, scales[j], DIM);
                for (int k = 0; k < DIM; k++)
                    near(any.u[k] + scales[j] * c.b * grad[k], cfg[k], 1e-9, "classifier guidance");
            }
            for (int k = 0; k < DIM; k++)
                near(any.u[k] + c.b * grad[k], with.u[k], 1e-9, "w = 1");
        }
}

/* The gradient of log p(y | x) is what differences of log p(y | x) say. */
static void i7_classifier_gradient(void **state)
{
    (void)state;
    for (int i = 0; i < POINTS; i++) {
        struct path path = path_named("condot");
        double x[DIM], grad[DIM], log_p, side[2];
        struct path_coefs c = draw(x, &plane, &path, i, 0.05);
        double h = 1e-5;

        assert_int_equal(mixture_posterior(&log_p, grad, &plane, &c, x, 0, NULL), OK);
        for (int k = 0; k < DIM; k++) {
            for (int j = 0; j < 2; j++) {
                double moved[DIM];

                memcpy(moved, x, sizeof(moved));
                moved[k] += j ? h : -h;
                assert_int_equal(mixture_posterior(&side[j], NULL, &plane, &c, moved, 0, NULL), OK);
            }
            near((side[1] - side[0]) / (2 * h), grad[k], 1e-5, "grad log p(y | x)");
        }
    }
}

static void i8_guidance_commutes(void **state)
{
    static const double scales[] = {0, 1, 2, 4, 7.5};

    (void)state;
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < POINTS; i++) {
            struct path path = path_named(four[p]);
            double x[DIM], first[DIM], then[DIM];
            struct path_coefs c = draw(x, &plane, &path, i, 0.02);
            struct mixture_value any = value_at(&plane, &c, x, MIXTURE_ANY);
            struct mixture_value with = value_at(&plane, &c, x, 2);

            for (enum prediction from = 0; from < N_PREDICTIONS; from++)
                for (enum prediction to = 0; to < N_PREDICTIONS; to++)
                    for (int j = 0; j < 5; j++) {
                        guidance_combine(first, any.field[from], with.field[from], scales[j], DIM);
                        assert_int_equal(
                            prediction_convert(first, to, first, from, x, &c, DIM, NULL), OK);
                        guidance_combine(then, any.field[to], with.field[to], scales[j], DIM);
                        for (int k = 0; k < DIM; k++)
                            near(first[k], then[k], 1e-8, "guide, convert");
                    }
        }
}

static void i9_total_expectation(void **state)
{
    (void)state;
    for (int p = 0; p < N_PATHS; p++)
        for (int i = 0; i < POINTS; i++) {
            struct path path = path_number(p);
            double x[DIM], sum[N_PREDICTIONS][DIM] = {{0}}, whole = 0, log_p;
            struct path_coefs c = draw(x, &plane, &path, i, 0.02);
            struct mixture_value any = value_at(&plane, &c, x, MIXTURE_ANY);

            for (int32_t y = 0; y < 3; y++) {
                struct mixture_value with = value_at(&plane, &c, x, y);

                assert_int_equal(mixture_posterior(&log_p, NULL, &plane, &c, x, y, NULL), OK);
                whole += exp(log_p);
                for (enum prediction q = 0; q < N_PREDICTIONS; q++)
                    for (int k = 0; k < DIM; k++)
                        sum[q][k] += exp(log_p) * with.field[q][k];
            }
            near(whole, 1, 1e-10, "sum of posteriors");
            for (enum prediction q = 0; q < N_PREDICTIONS; q++)
                for (int k = 0; k < DIM; k++)
                    near(sum[q][k], any.field[q][k], 1e-10, prediction_at((int)q)->name);
        }
}

static void i10_tilted_score(void **state)
{
    (void)state;
    for (int i = 0; i < POINTS; i++) {
        struct path path = path_named(four[i % 4]);
        double x[DIM], s[DIM], w = 3;
        struct path_coefs c = draw(x, &plane, &path, i, 0.02);
        struct mixture_value any = value_at(&plane, &c, x, MIXTURE_ANY);
        struct mixture_value with = value_at(&plane, &c, x, 1);
        double local = width(&c);

        guidance_combine(s, any.s, with.s, w, DIM);
        for (int k = 0; k < DIM; k++) {
            double slope = (1 - w) * log_p_slope(&plane, &c, x, k, 1e-3 * local, MIXTURE_ANY) +
                           w * log_p_slope(&plane, &c, x, k, 1e-3 * local, 1);

            near(local * slope, local * s[k], 1e-6, "tilted score");
        }
    }
}

static void i11_affine_in_w(void **state)
{
    (void)state;
    for (int i = 0; i < POINTS; i++) {
        struct path path = path_named(four[i % 4]);
        double x[DIM], u[3][DIM];
        struct path_coefs c = draw(x, &plane, &path, i, 0.02);
        struct mixture_value any = value_at(&plane, &c, x, MIXTURE_ANY);
        struct mixture_value with = value_at(&plane, &c, x, 0);

        for (int w = 0; w < 3; w++)
            guidance_combine(u[w], any.u, with.u, w, DIM);
        for (int k = 0; k < DIM; k++)
            near((u[2][k] - u[1][k]) / (1 + fabs(u[2][k])),
                 (u[1][k] - u[0][k]) / (1 + fabs(u[2][k])), 1e-12, "affine");
    }
}

/* At t = 0 the point says nothing: E[z | x] = E[z].  At t = 1 it says all: E[z | x] = x. */
static void i20_limits_at_the_ends(void **state)
{
    static const char *const both[] = {"condot", "cosine"};
    struct path_coefs data = {.t = 1, .alpha = 1};
    double mean[DIM], cov[DIM * DIM];

    (void)state;
    assert_int_equal(mixture_moments(mean, cov, &plane, &data, 1, NULL), OK);
    for (int p = 0; p < 2; p++) {
        struct path path = path_named(both[p]);
        struct path_coefs c0 = path_at(&path, 0), c1 = path_at(&path, 1);
        double x[DIM] = {0.3, -1.2}, h = 1e-3;
        struct mixture_value v0 = value_at(&plane, &c0, x, 1), v1 = value_at(&plane, &c1, x, 1);

        for (int k = 0; k < DIM; k++) {
            near(v0.z[k], mean[k], 1e-10, "z at 0");
            near(v0.eps[k], x[k], 1e-10, "eps at 0");
            near(v0.s[k], -x[k], 1e-10, "score at 0");
            near(v0.u[k], c0.dalpha * mean[k] + c0.dbeta * x[k], 1e-10, "u at 0");
            near(v1.z[k], x[k], 1e-10, "z at 1");
            near(v1.eps[k], 0, 1e-10, "eps at 1");
            near(v1.u[k], c1.dalpha * x[k], 1e-10, "u at 1");
            near(log_p_slope(&plane, &c1, x, k, h * 0.1, 1), v1.s[k], 1e-6, "score at 1");
        }
    }
}

/* ||du||^2 = (D/alpha)^2 ||deps||^2 = (D/beta)^2 ||dz||^2 = b^2 ||ds||^2. */
static void i24_loss_weights(void **state)
{
    (void)state;
    for (int p = 0; p < N_PATHS; p++)
        for (int i = 0; i < POINTS; i++) {
            struct path path = path_number(p);
            double x[DIM], z[2][DIM], as[N_PREDICTIONS][2][DIM], square[N_PREDICTIONS] = {0};
            struct path_coefs c = draw(x, &plane, &path, i, 0.02);
            struct rng r = rng_stream(2, RNG_TEST, (uint64_t)i);

            for (int j = 0; j < 2; j++)
                for (int k = 0; k < DIM; k++)
                    z[j][k] = rng_normal(&r);
            for (enum prediction q = 0; q < N_PREDICTIONS; q++) {
                for (int j = 0; j < 2; j++)
                    assert_int_equal(
                        prediction_convert(as[q][j], q, z[j], PREDICT_DATA, x, &c, DIM, NULL), OK);
                for (int k = 0; k < DIM; k++)
                    square[q] += pow(as[q][0][k] - as[q][1][k], 2);
            }
            near(pow(c.D / c.alpha, 2) * square[PREDICT_NOISE] / square[PREDICT_VELOCITY], 1, 1e-9,
                 "noise");
            near(pow(c.D / c.beta, 2) * square[PREDICT_DATA] / square[PREDICT_VELOCITY], 1, 1e-9,
                 "data");
            near(c.b * c.b * square[PREDICT_SCORE] / square[PREDICT_VELOCITY], 1, 1e-9, "score");
        }
}

/* Far out one part explains all, and its Gaussian is known. */
static void i29_far_tails(void **state)
{
    (void)state;
    for (int p = 0; p < 4; p++)
        for (int side = -1; side <= 1; side += 2) {
            struct path path = path_named(four[p]);
            struct path_coefs c = path_at(&path, 0.3);
            double mean = c.alpha * (side < 0 ? -1.5 : 2.0);
            double s = c.alpha * c.alpha * (side < 0 ? 0.16 : 0.36) + c.beta * c.beta;
            double x = mean + side * 60 * sqrt(s);
            struct mixture_value v = value_at(&line, &c, &x, MIXTURE_ANY);
            struct mixture_value own = value_at(&line, &c, &x, side < 0 ? 0 : 1);

            assert_true(isfinite(v.log_p) && v.log_p < -1000);
            assert_true(isfinite(v.u[0]) && isfinite(v.z[0]) && isfinite(v.eps[0]));
            /* The own class holds every part that still counts out there. */
            if (strcmp(four[p], "condot") == 0 && side > 0) {
                near(own.s[0], -side * 60 / sqrt(s), 1e-9, "score");
                near(own.log_p, -1800 - 0.5 * log(2 * 3.14159265358979323846 * s), 1e-9, "log p");
            }
            near(v.s[0] * side, -fabs(v.s[0]), 0, "points home");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(i1_score_is_gradient),   cmocka_unit_test(i2_continuity),
        cmocka_unit_test(i3_conversions),         cmocka_unit_test(i3_conversions_in_place),
        cmocka_unit_test(i4_coefficients),        cmocka_unit_test(i7_classifier_guidance),
        cmocka_unit_test(i7_classifier_gradient), cmocka_unit_test(i8_guidance_commutes),
        cmocka_unit_test(i9_total_expectation),   cmocka_unit_test(i10_tilted_score),
        cmocka_unit_test(i11_affine_in_w),        cmocka_unit_test(i20_limits_at_the_ends),
        cmocka_unit_test(i24_loss_weights),       cmocka_unit_test(i29_far_tails),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
