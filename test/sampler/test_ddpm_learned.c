/*
 * test_ddpm_learned.c - steps with a variance that the network says
 *
 * Against the posterior of the shortened schedule, worked out from its rates at hand; against
 * Gaussian data, where the right variance is known and few steps are then exact; against the
 * solver that it becomes where the network says the smaller bound; and what is refused.  The
 * published code's own numbers are in test/golden/arch/dit/ddpm_learned_range.
 */
#include "diffusion/ddpm.h"
#include "sampler/sampler.h"

#include "base/rng.h"
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 3, LENGTH = 4, N = ROWS * LENGTH, STEPS = 10 };

/* A made-up network: its noise and its v are functions of x and t, other for each branch. */
struct network {
    double v; /* said everywhere, or NAN: by formula */
    int calls;
    unsigned branches;
};

static double noise_of_x(double x, double t, bool guided)
{
    return 0.8 * x * (1 - t) + (guided ? 0.1 : -0.2) * sin(3 * x);
}

static double v_of_x(double x, double t, bool guided)
{
    return cos(2 * x + t + (guided ? 0 : 1));
}

static enum status predict(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err)
{
    (void)self, (void)err;
    for (unsigned b = BRANCH_UNGUIDED; b <= BRANCH_GUIDED; b <<= 1)
        for (int i = 0; i < N && branches & b; i++)
            *out++ = noise_of_x(x[i], t, b == BRANCH_GUIDED);
    return OK;
}

static enum status say_v(void *self, double *out, const double *x, double t, unsigned branches,
                         struct error *err)
{
    struct network *net = self;

    (void)err;
    net->calls++;
    net->branches = branches;
    for (unsigned b = BRANCH_UNGUIDED; b <= BRANCH_GUIDED; b <<= 1)
        for (int i = 0; i < N && branches & b; i++)
            *out++ = isnan(net->v) ? v_of_x(x[i], t, b == BRANCH_GUIDED) : net->v;
    return OK;
}

static void start(double *x)
{
    struct rng r = rng_stream(3, RNG_TEST, 0);

    for (int i = 0; i < N; i++)
        x[i] = rng_normal(&r);
}

/* Run over the times of the indices, rising, and on to the data. */
static enum status solve_steps(double *x, struct network *net, const char *solver, const char *path,
                               const int *index, const double *w, struct error *err)
{
    struct guidance guidance = {0};
    struct field field = {
        .path = path_named(path), .predicts = PREDICT_NOISE, .guidance = &guidance};
    struct noise_of noise = {9, ROWS, LENGTH};
    double times[STEPS + 1];
    struct sampling_request r = {
        .times = times, .steps = STEPS, .field = &field, .draw = noise_draw, .draw_self = &noise};
    enum status st;

    for (int i = 0; i <= STEPS; i++)
        times[i] = !index      ? 0.1 + 0.09 * i
                   : i < STEPS ? path_time_of_index(&field.path, index[STEPS - 1 - i])
                               : 1;
    if (net)
        field.variance = (struct predictor){say_v, net, ROWS, LENGTH};
    assert_int_equal(sampler_find(&r.sampler, solver, NULL), OK);
    choice_defaults(r.values, &r.sampler->is);
    assert_int_equal(
        guidance_init(&guidance, (struct predictor){predict, NULL, ROWS, LENGTH}, w, NULL, NULL),
        OK);
    st = sampling_run(x, &r, NULL, err);
    guidance_release(&guidance);
    return st;
}

static const double guided[ROWS] = {1, 1, 1}, mixed[ROWS] = {0, 1, 2.5};

/* The chain of Nichol and Dhariwal over a shorter schedule, in the terms of its rates. */
static void chain(double *x, const struct path *path, const int *index, const double *w)
{
    for (int i = STEPS - 1; i >= 0; i--) {
        struct ddpm_posterior p = ddpm_posterior_at(path, index, STEPS, i);
        double kept = ddpm_kept(path, index[i]), t = path_time_of_index(path, index[i]);
        double xi[N];

        noise_draw(&(struct noise_of){9, ROWS, LENGTH}, xi, STEPS - 1 - i);
        for (int k = 0; k < N; k++) {
            double weight = w[k / LENGTH], here = x[k];
            double eps =
                (1 - weight) * noise_of_x(here, t, false) + weight * noise_of_x(here, t, true);
            double z = (here - sqrt(1 - kept) * eps) / sqrt(kept);
            double f = 0.5 * (v_of_x(here, t, weight > 0) + 1);

            x[k] = p.mean_data * z + p.mean_x * here;
            if (i > 0)
                x[k] += exp(0.5 * (f * p.log_large + (1 - f) * p.log_small)) * xi[k];
        }
    }
}

static void agrees_with_the_chain(void **state)
{
    static const char *const paths[] = {"ddpm_linear", "ddpm_cosine"};
    int index[STEPS];

    (void)state;
    for (int k = 0; k < 4; k++) {
        struct path path = path_named(paths[k / 2]);
        struct network net = {.v = (double)NAN};
        const double *w = k % 2 ? mixed : guided;
        double got[N], want[N];

        /* Not the very first index of the cosine schedule, where alpha is almost nothing. */
        ddpm_respace(index, STEPS, path_steps(&path), false);
        start(got);
        memcpy(want, got, sizeof want);
        chain(want, &path, index, w);
        assert_int_equal(solve_steps(got, &net, "ddpm_learned", paths[k / 2], index, w, NULL), OK);
        for (int i = 0; i < N; i++)
            near(got[i], want[i], 1e-9, paths[k / 2]);
        assert_int_equal(net.calls, STEPS);
        assert_int_equal(net.branches, w == mixed ? BRANCH_BOTH : BRANCH_GUIDED);
    }
}

/* Where the network says the smaller bound, nothing is left of what it learned. */
static void smaller_bound_is_ancestral(void **state)
{
    struct network net = {.v = -1};
    double got[N], want[N];
    int index[STEPS];

    (void)state;
    ddpm_respace(index, STEPS, 1000, true);
    start(got);
    start(want);
    assert_int_equal(solve_steps(got, &net, "iddpm", "ddpm_linear", index, guided, NULL), OK);
    assert_int_equal(solve_steps(want, NULL, "ddpm", "ddpm_linear", index, guided, NULL), OK);
    for (int i = 0; i < N; i++)
        near(got[i], want[i], 1e-12, "the smaller bound");
    net.v = 0;
    start(got);
    assert_int_equal(solve_steps(got, &net, "iddpm", "ddpm_linear", index, guided, NULL), OK);
    assert_memory_not_equal(got, want, sizeof want);
}

/* --- Gaussian data: the step has a variance that is known ---------------------------------------
 */

struct gaussian {
    double data; /* variance of the data */
    double t_next;
    const struct path *path;
};

/* N(0, data): E[eps | x] = beta x / (alpha^2 data + beta^2). */
static enum status gaussian_noise(void *self, double *out, const double *x, double t,
                                  unsigned branches, struct error *err)
{
    const struct gaussian *g = self;
    struct path_coefs c = path_at(g->path, t);

    (void)branches, (void)err;
    *out = c.beta * *x / (c.alpha * c.alpha * g->data + c.beta * c.beta);
    return OK;
}

/* The v of the true variance of x' given x, by Bayes over the two times. */
static enum status gaussian_v(void *self, double *out, const double *x, double t, unsigned branches,
                              struct error *err)
{
    const struct gaussian *g = self;
    struct path_coefs c = path_at(g->path, t), d = path_at(g->path, g->t_next);
    double r = c.alpha / d.alpha, large = c.beta * c.beta - r * r * d.beta * d.beta;
    double small = large * d.beta * d.beta / (c.beta * c.beta);
    double prior = d.alpha * d.alpha * g->data + d.beta * d.beta;
    double truth = 1 / (1 / prior + r * r / large);

    (void)x, (void)branches, (void)err;
    *out = 2 * log(truth / small) / log(large / small) - 1;
    assert_in_range(1000 + 1000 * *out, 0, 2000); /* between the bounds */
    return OK;
}

static void draw_number(void *self, double *out, int64_t step)
{
    (void)step;
    *out = *(const double *)self;
}

/* x' = m x + s xi by two runs of one step. */
static double one_step(struct gaussian *g, const char *solver, double t, double x, double xi)
{
    const double w = 1, times[2] = {t, g->t_next};
    struct guidance guidance = {0};
    struct field field = {.path = *g->path,
                          .predicts = PREDICT_NOISE,
                          .guidance = &guidance,
                          .variance = {gaussian_v, g, 1, 1}};
    struct sampling_request r = {
        .times = times, .steps = 1, .field = &field, .draw = draw_number, .draw_self = &xi};

    assert_int_equal(sampler_find(&r.sampler, solver, NULL), OK);
    choice_defaults(r.values, &r.sampler->is);
    assert_int_equal(
        guidance_init(&guidance, (struct predictor){gaussian_noise, g, 1, 1}, &w, NULL, NULL), OK);
    assert_int_equal(sampling_run(&x, &r, NULL, NULL), OK);
    guidance_release(&guidance);
    return x;
}

/* With the true variance the law at every time is the path's, however few steps lead there; with
 * the smaller bound it is too narrow. */
static void few_steps_are_exact_on_gaussians(void **state)
{
    struct path path = path_named("ddpm_linear");
    struct gaussian g = {.data = 0.3, .path = &path};
    static const char *const solvers[] = {"ddpm_learned", "euler_ancestral"};

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct path_coefs c = path_at(&path, 0.1);
        double law = c.alpha * c.alpha * g.data + c.beta * c.beta;

        for (double t = 0.1; t < 0.85; t += 0.2) {
            double m, s;

            g.t_next = t + 0.2;
            m = one_step(&g, solvers[k], t, 1, 0);
            s = one_step(&g, solvers[k], t, 0, 1);
            c = path_at(&path, g.t_next);
            law = m * m * law + s * s;
            if (k == 0)
                near(law, c.alpha * c.alpha * g.data + c.beta * c.beta, 1e-9, solvers[k]);
        }
        assert_true(k == 0 || law < 0.9 * (c.alpha * c.alpha * g.data + c.beta * c.beta));
    }
}

/* --- what is refused ----------------------------------------------------------------------------
 */

static void refused_with_a_reason(void **state)
{
    struct network net = {.v = 0};
    struct error err = {0};
    int index[STEPS];
    double x[N];

    (void)state;
    ddpm_respace(index, STEPS, 1000, true);
    start(x);
    assert_int_equal(solve_steps(x, NULL, "ddpm_learned", "ddpm_linear", index, guided, &err),
                     E_ARG);
    assert_non_null(strstr(err.text, "variance"));
    assert_non_null(strstr(err.text, "train.variance"));
    assert_int_equal(solve_steps(x, &net, "ddpm_learned", "condot", NULL, guided, &err), E_ARG);
    assert_non_null(strstr(err.text, "condot"));
    assert_int_equal(net.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_chain),
        cmocka_unit_test(smaller_bound_is_ancestral),
        cmocka_unit_test(few_steps_are_exact_on_gaussians),
        cmocka_unit_test(refused_with_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
