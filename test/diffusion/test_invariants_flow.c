/*
 * test_invariants_flow.c - what the flow ODE must do: theory.md 4.3, I12, I15, I19, I21, I28
 */
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* Samples of the exact p_0(. | y), sent through the flow, have the law p_1(. | y). */
static void transport(const char *name, int32_t y, double w)
{
    enum { N = 20000, STEPS = 200 };
    struct path path = path_named(name);
    struct path_coefs c0 = path_at(&path, 0), c1 = path_at(&path, 1);
    double *x = calloc(N, sizeof(*x)), mean = 0, var = 0, m4 = 0, want_mean, want_var;
    struct rng r = rng_stream(4, RNG_TEST, 0);

    for (int i = 0; i < N; i++) {
        mixture_sample(x + i, &line, y, &r);
        x[i] = c0.alpha * x[i] + c0.beta * rng_normal(&r);
    }
    solve(x, N, &line, &path, y, w, "heun", STEPS, 0, 1);
    for (int i = 0; i < N; i++)
        mean += x[i] / N;
    for (int i = 0; i < N; i++) {
        var += pow(x[i] - mean, 2) / N;
        m4 += pow(x[i] - mean, 4) / N;
    }
    assert_int_equal(mixture_moments(&want_mean, &want_var, &line, &c1, y, NULL), OK);
    assert_true(fabs(mean - want_mean) <= 5 * sqrt(var / N));
    assert_true(fabs(var - want_var) <= 5 * sqrt((m4 - var * var) / N));
    assert_true(ks_distance(x, N, &line, &c1, y) <= 1.95 / sqrt(N) + 0.003);
    free(x);
}

static void i12_condot_transports_a_class(void **state)
{
    (void)state;
    transport("condot", 0, 1);
}

static void i12_vp_transports_all(void **state)
{
    (void)state;
    transport("vp_linear", MIXTURE_ANY, 0);
}

/* The error against a tight rk4 falls by 2^order when the steps are halved: solvers of the plain
 * ODE; the others are in test_invariants_sde.c. */
static void i15_orders(void **state)
{
    enum { ROWS = 5, N = ROWS * 2 };
    static const char *const paths[] = {"condot", "cosine"};

    (void)state;
    for (int p = 0; p < 2; p++)
        for (int k = 0; sampler_at(k); k++) {
            const struct sampler *kind = sampler_at(k);
            struct path path = path_named(paths[p]);
            double start[N], exact[N], error[2] = {0};

            if (kind->adaptive || kind->stochastic || kind->on_data)
                continue;
            for (int i = 0; i < ROWS; i++)
                sampling_start(start + 2 * i, &path, 21, (uint64_t)i, 2);
            memcpy(exact, start, sizeof(start));
            solve(exact, ROWS, &plane, &path, 1, 3, "rk4", 1000, 0.02, 0.98);
            for (int fine = 0; fine < 2; fine++) {
                double x[N];

                memcpy(x, start, sizeof(start));
                solve(x, ROWS, &plane, &path, 1, 3, kind->is.name, 80 << fine, 0.02, 0.98);
                for (int i = 0; i < N; i++)
                    error[fine] += pow(x[i] - exact[i], 2);
            }
            if (fabs(0.5 * log2(error[0] / error[1]) - kind->order) > 0.25)
                fail_msg("%s on %s has order %.2f", kind->is.name, paths[p],
                         0.5 * log2(error[0] / error[1]));
        }
}

/* The controller of dopri5 holds the error near the tolerance. */
static void i15_dopri5_meets_its_tolerance(void **state)
{
    struct path path = path_named("cosine");
    double x[2] = {0.3, -1.1}, exact[2] = {0.3, -1.1};
    struct sampling_report report;

    (void)state;
    solve(exact, 1, &plane, &path, 1, 3, "rk4", 1000, 0, 1);
    report = solve(x, 1, &plane, &path, 1, 3, "dopri5", 1, 0, 1);
    near(x[0], exact[0], 1e-2, "rtol 1e-3");
    near(x[1], exact[1], 1e-2, "rtol 1e-3");
    assert_int_equal(report.evaluations, 1 + 6 * (report.accepted + report.rejected));
    assert_true(report.accepted < 40);
}

static void i19_condot_and_cosine_agree(void **state)
{
    struct path condot = path_named("condot"), cosine = path_named("cosine");

    (void)state;
    for (int i = 0; i < 5; i++) {
        double a[2], b[2];

        sampling_start(a, &condot, 22, (uint64_t)i, 2);
        memcpy(b, a, sizeof(a));
        solve(a, 1, &plane, &condot, 1, 3, "rk4", 1000, 0, 1);
        solve(b, 1, &plane, &cosine, 1, 3, "rk4", 1000, 0, 1);
        near(a[0], b[0], 1e-8, "x");
        near(a[1], b[1], 1e-8, "y");
    }
}

/* On condot kappa = (1 - t) / t. */
static double condot_time(const struct path_coefs *c)
{
    return c->alpha / (c->alpha + c->beta);
}

/* Between equal noise-to-signal ratios every path maps x / alpha alike. */
static void i19_matched_ratio(void **state)
{
    static const char *const others[] = {"cosine", "vp_linear", "ve_geometric", "nd_cosine"};
    struct path condot = path_named("condot");

    (void)state;
    for (int p = 0; p < 4; p++) {
        struct path path = path_named(others[p]);
        struct path_coefs from = path_at(&path, 0.5), to = path_at(&path, 0.9);
        double t0 = condot_time(&from), t1 = condot_time(&to), x[2] = {0.5, -0.6}, y[2];

        for (int k = 0; k < 2; k++)
            y[k] = x[k] * t0 / from.alpha;
        solve(x, 1, &plane, &path, 1, 3, "rk4", 1000, 0.5, 0.9);
        solve(y, 1, &plane, &condot, 1, 3, "rk4", 1000, t0, t1);
        for (int k = 0; k < 2; k++)
            near(x[k] / to.alpha, y[k] / t1, 1e-8, others[p]);
    }
}

/* ---- I21 ---- */

enum { TRACE_STEPS = 400 };
struct trace {
    double x[TRACE_STEPS + 1][2];
};

static bool keep(void *self, const struct sampling_progress *p)
{
    struct trace *trace = self;

    memcpy(trace->x[p->step], p->x, sizeof(trace->x[0]));
    return true;
}

static double divergence(const struct path *path, double t, const double *x, int32_t y)
{
    static const double at[4] = {-2, -1, 1, 2}, weight[4] = {1, -8, 8, -1};
    struct path_coefs c = path_at(path, t);
    double h = 1e-3, sum = 0;

    for (int k = 0; k < 2; k++)
        for (int j = 0; j < 4; j++) {
            double moved[2] = {x[0], x[1]};
            struct mixture_value v;

            moved[k] += at[j] * h;
            assert_int_equal(mixture_at(&v, &plane, &c, moved, y, NULL), OK);
            sum += weight[j] * v.u[k] / (12 * h);
        }
    return sum;
}

/* log p_1(X_1) = log p_0(X_0) - integral of div u along the way (Simpson's rule), for w = 0 and 1.
 */
static void i21_density_along_the_flow(void **state)
{
    static const int32_t label[1] = {1};

    (void)state;
    for (int guided = 0; guided < 2; guided++) {
        struct path path = path_named("condot");
        struct mixture_oracle oracle = {.mixture = &plane, .path = path, .label = label, .rows = 1};
        struct guidance g;
        struct field field = {.path = path, .guidance = &g};
        struct trace trace;
        double times[TRACE_STEPS + 1], x[2] = {0.4, 1.3}, w = guided, integral = 0;
        struct sampling_request request = {.times = times,
                                           .steps = TRACE_STEPS,
                                           .field = &field,
                                           .progress = keep,
                                           .self = &trace};
        int32_t y = guided ? 1 : MIXTURE_ANY;
        struct path_coefs c0 = path_at(&path, 0), c1 = path_at(&path, 1);
        struct mixture_value v0, v1;

        for (int i = 0; i <= TRACE_STEPS; i++)
            times[i] = (double)i / TRACE_STEPS;
        memcpy(trace.x[0], x, sizeof(x));
        assert_int_equal(sampler_find(&request.sampler, "rk4", NULL), OK);
        assert_int_equal(guidance_init(&g, predictor_of_mixture(&oracle), &w, NULL, NULL), OK);
        assert_int_equal(sampling_run(x, &request, NULL, NULL), OK);
        for (int i = 0; i <= TRACE_STEPS; i++)
            integral += divergence(&path, times[i], trace.x[i], y) *
                        (i == 0 || i == TRACE_STEPS ? 1
                         : i % 2                    ? 4
                                                    : 2) /
                        (3.0 * TRACE_STEPS);
        assert_int_equal(mixture_at(&v0, &plane, &c0, trace.x[0], y, NULL), OK);
        assert_int_equal(mixture_at(&v1, &plane, &c1, x, y, NULL), OK);
        near(v1.log_p, v0.log_p - integral, 1e-6, "log density");
        guidance_release(&g);
    }
}

/* ---- I28 ---- */

static void i28_start_is_a_function_of_seed_and_picture(void **state)
{
    enum { LENGTH = 50 };
    struct path condot = path_named("condot"), cosine = path_named("cosine"),
                karras = path_named("ve_karras");
    double a[LENGTH], b[LENGTH], mean = 0;

    (void)state;
    sampling_start(a, &condot, 7, 3, LENGTH);
    sampling_start(b, &cosine, 7, 3, LENGTH);
    assert_memory_equal(a, b, sizeof(a));
    sampling_start(b, &condot, 7, 3, LENGTH / 2);
    assert_memory_equal(a, b, sizeof(a) / 2);
    sampling_start(b, &condot, 8, 3, LENGTH);
    assert_memory_not_equal(a, b, sizeof(a));
    sampling_start(b, &condot, 7, 4, LENGTH);
    assert_memory_not_equal(a, b, sizeof(a));
    sampling_start(b, &karras, 7, 3, LENGTH);
    for (int i = 0; i < LENGTH; i++) {
        near(b[i], 80 * a[i], 1e-12, "scaled by sigma_max");
        mean += a[i] / LENGTH;
    }
    assert_true(fabs(mean) < 5 / sqrt(LENGTH));
}

/* Two runs have the same bits, and a point its own whatever runs beside it (fixed steps). */
static void i28_same_bits_alone_and_together(void **state)
{
    enum { ROWS = 7 };
    struct path path = path_named("condot");
    double all[ROWS * 2], again[ROWS * 2];

    (void)state;
    for (int k = 0; sampler_at(k); k++) {
        const char *name = sampler_at(k)->is.name;

        if (sampler_at(k)->adaptive || sampler_at(k)->of_variance)
            continue;
        for (int i = 0; i < ROWS; i++)
            sampling_start(all + 2 * i, &path, 31, (uint64_t)i, 2);
        memcpy(again, all, sizeof(all));
        solve(all, ROWS, &plane, &path, 2, 2.5, name, 20, 0, 1);
        solve(again, ROWS, &plane, &path, 2, 2.5, name, 20, 0, 1);
        assert_memory_equal(all, again, sizeof(all));
        for (int i = 0; i < ROWS; i++) {
            double alone[2];

            sampling_start(alone, &path, 31, (uint64_t)i, 2);
            solve_how(
                alone, 1, &plane, &path, 2, 2.5,
                &(struct solve_how){.solver = name, .steps = 20, .t1 = 1, .seed = (uint64_t)i});
            assert_memory_equal(alone, all + 2 * i, sizeof(alone));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(i12_condot_transports_a_class),
        cmocka_unit_test(i12_vp_transports_all),
        cmocka_unit_test(i15_orders),
        cmocka_unit_test(i15_dopri5_meets_its_tolerance),
        cmocka_unit_test(i19_condot_and_cosine_agree),
        cmocka_unit_test(i19_matched_ratio),
        cmocka_unit_test(i21_density_along_the_flow),
        cmocka_unit_test(i28_start_is_a_function_of_seed_and_picture),
        cmocka_unit_test(i28_same_bits_alone_and_together),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
