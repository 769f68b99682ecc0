/*
 * test_invariants_sde.c - what solvers of the SDE and of the data prediction must do:
 * theory.md 4.3, I13, I14, I16, I17, I18
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

static struct diffusion diffusion_named(const char *name, double scale)
{
    struct diffusion d = {.scale = scale};

    assert_int_equal(diffusion_find(&d.kind, name, NULL), OK);
    return d;
}

/* ---- Marginals ---- */

/* Exact samples of p_t0(. | y), stirred until 0.999, have the law there, however strong the noise.
 */
static void same_marginals(const char *solver, const char *strength, double scale, double t0,
                           int32_t y, double w)
{
    enum { N = 20000, STEPS = 400 };
    struct path path = path_named("condot");
    struct path_coefs c0 = path_at(&path, t0), c1 = path_at(&path, 0.999);
    struct solve_how how = {.solver = solver, .steps = STEPS, .t0 = t0, .t1 = 0.999, .seed = 7};
    double *x = calloc(N, sizeof(*x)), mean = 0, var = 0, m4 = 0, want_mean, want_var;
    struct rng r = rng_stream(5, RNG_TEST, 0);

    assert_non_null(x);
    how.diffusion = diffusion_named(strength, scale);
    how.diffusion.last = LAST_NOISY;
    for (int i = 0; i < N; i++) {
        mixture_sample(x + i, &line, y, &r);
        x[i] = c0.alpha * x[i] + c0.beta * rng_normal(&r);
    }
    solve_how(x, N, &line, &path, y, w, &how);
    for (int i = 0; i < N; i++)
        mean += x[i] / N;
    for (int i = 0; i < N; i++) {
        var += pow(x[i] - mean, 2) / N;
        m4 += pow(x[i] - mean, 4) / N;
    }
    assert_int_equal(mixture_moments(&want_mean, &want_var, &line, &c1, y, NULL), OK);
    if (fabs(mean - want_mean) > 5 * sqrt(var / N) + 0.02 ||
        fabs(var - want_var) > 5 * sqrt((m4 - var * var) / N) + 0.03)
        fail_msg("%s %g: mean %g, not %g; variance %g, not %g", strength, scale, mean, want_mean,
                 var, want_var);
    assert_true(ks_distance(x, N, &line, &c1, y) <= 1.95 / sqrt(N) + 0.008);
    free(x);
}

static void i13_marginals_of_every_strength(void **state)
{
    (void)state;
    same_marginals("euler_maruyama", "zero", 1, 0, 0, 1);
    same_marginals("euler_maruyama", "constant", 0.5, 0, 0, 1); /* sigma = 1        */
    same_marginals("euler_maruyama", "proportional", 1.5, 0, MIXTURE_ANY, 0);
    same_marginals("euler_maruyama", "reversal", 1, 0.02, 0, 1);
    same_marginals("stochastic_heun", "sigma", 1, 0, 0, 1);
    same_marginals("stochastic_heun", "bump", 2, 0, MIXTURE_ANY, 0);
}

/* ---- The chain on Gaussian data ---- */

/* For Gaussian data one Euler-Maruyama step is affine, so its mean and variance can be read off two
 * points and the strength of the noise; both follow the recursion of theory.md 4.2. */
static void i14_the_recursion_of_one_step(void **state)
{
    struct path path = path_named("cosine");
    struct mixture one;

    (void)state;
    mixture_single(&one, 0.8, 0.49);
    for (int i = 1; i < 9; i++) {
        double t = 0.1 * i, h = 0.05, sigma = 0.7, times[] = {t, t + h}, x[3] = {0, 1, 0}, xi[3];
        struct path_coefs c = path_at(&path, t);
        double S = c.alpha * c.alpha * 0.49 + c.beta * c.beta;
        double A = (c.alpha * c.dalpha * 0.49 + c.beta_dbeta - sigma * sigma / 2) / S;
        double k = c.dalpha * 0.8 - A * c.alpha * 0.8;
        struct solve_how how = {
            .solver = "euler_maruyama", .steps = 1, .times = times, .seed = (uint64_t)i};
        struct noise_of noise = {(uint64_t)i, 3, 1};

        how.diffusion = diffusion_named("constant", sigma * sigma / 2);
        how.diffusion.last = LAST_NOISY;
        noise_draw(&noise, xi, 0);
        solve_how(x, 3, &one, &path, MIXTURE_ANY, 0, &how);
        near(x[0], h * k + sigma * sqrt(h) * xi[0], 1e-10, "mean");
        near(x[1] - x[0] - sigma * sqrt(h) * (xi[1] - xi[0]), 1 + h * A, 1e-10, "slope");
        near(x[2] - x[0], sigma * sqrt(h) * (xi[2] - xi[0]), 1e-10, "noise");
    }
    mixture_release(&one);
}

/* The error of the chain's variance at the end halves with the step: weak order one. */
static void i14_weak_order_one(void **state)
{
    struct path path = path_named("condot");
    double error[2];

    (void)state;
    for (int fine = 0; fine < 2; fine++) {
        int n = 640 << fine;
        double v = 0.49, V = 1, h = 1.0 / n;

        for (int i = 0; i < n; i++) {
            struct path_coefs c = path_at(&path, (double)i / n);
            double S = c.alpha * c.alpha * v + c.beta * c.beta;
            double A = (c.alpha * c.dalpha * v + c.beta_dbeta - 0.5) / S;

            V = pow(1 + h * A, 2) * V + h;
        }
        error[fine] = fabs(V - v);
    }
    near(log2(error[0] / error[1]), 1, 0.075, "weak order");
}

/* ---- DDIM is Euler in other words ---- */

static void start_points(double *x, const struct path *path, int rows)
{
    for (int i = 0; i < rows; i++)
        sampling_start(x + 2 * i, path, 31, (uint64_t)i, 2);
}

/* u at one point under guidance 3, class 1. */
static void data_and_noise(double *data, double *noise, const double *x, const struct path_coefs *c)
{
    struct mixture_value given, all;

    assert_int_equal(mixture_at(&given, &plane, c, x, 1, NULL), OK);
    assert_int_equal(mixture_at(&all, &plane, c, x, MIXTURE_ANY, NULL), OK);
    for (int i = 0; i < 2; i++) {
        data[i] = -2 * all.z[i] + 3 * given.z[i];
        noise[i] = -2 * all.eps[i] + 3 * given.eps[i];
    }
}

/* Euler of x / alpha in kappa = beta / alpha, and of x / beta in 1 / kappa. */
static void i16_ddim_is_euler_in_the_noise_level(void **state)
{
    enum { STEPS = 25 };

    (void)state;
    for (int p = 0; p < N_PATHS; p++) {
        struct path path = path_number(p);
        double x[2], y[2], z[2];

        start_points(x, &path, 1);
        memcpy(y, x, sizeof(x));
        memcpy(z, x, sizeof(x));
        solve(x, 1, &plane, &path, 1, 3, "ddim", STEPS, 0.02, 0.98);
        for (int k = 0; k < STEPS; k++) {
            double t0 = 0.02 + 0.96 * k / STEPS;
            double t1 = k + 1 == STEPS ? 0.98 : 0.02 + 0.96 * (k + 1) / STEPS;
            struct path_coefs c = path_at(&path, t0), d = path_at(&path, t1);
            double data[2], noise[2];

            data_and_noise(data, noise, y, &c);
            for (int i = 0; i < 2; i++)
                y[i] =
                    d.alpha * (y[i] / c.alpha + (d.beta / d.alpha - c.beta / c.alpha) * noise[i]);
            data_and_noise(data, noise, z, &c);
            for (int i = 0; i < 2; i++)
                z[i] = d.beta * (z[i] / c.beta + (d.alpha / d.beta - c.alpha / c.beta) * data[i]);
        }
        for (int i = 0; i < 2; i++) {
            near(x[i], y[i], 1e-10, "x / alpha in kappa");
            near(x[i], z[i], 1e-10, "x / beta in 1 / kappa");
        }
    }
}

static void i17_on_straight_paths_it_is_euler_in_time(void **state)
{
    struct path condot = path_named("condot"), ve = path_named("ve_karras");
    double x[2], y[2], levels[26], times[26];

    (void)state;
    start_points(x, &condot, 1);
    memcpy(y, x, sizeof(x));
    solve(x, 1, &plane, &condot, 1, 3, "ddim", 25, 0, 1);
    solve(y, 1, &plane, &condot, 1, 3, "euler", 25, 0, 1);
    near(x[0], y[0], 1e-12, "condot");
    near(x[1], y[1], 1e-12, "condot");
    start_points(x, &ve, 1);
    memcpy(y, x, sizeof(x));
    for (int k = 0; k <= 25; k++) {
        times[k] = k / 25.0;
        levels[k] = path_at(&ve, times[k]).beta;
    }
    solve(x, 1, &plane, &ve, 1, 3, "ddim", 25, 0, 1);
    for (int k = 0; k < 25; k++) {
        struct path_coefs c = path_at(&ve, times[k]);
        double data[2], noise[2];

        data_and_noise(data, noise, y, &c);
        for (int i = 0; i < 2; i++)
            y[i] += (levels[k + 1] - levels[k]) * noise[i];
    }
    near(x[0], y[0], 1e-10, "ve");
    near(x[1], y[1], 1e-10, "ve");
}

/* zeta = 0 is DDIM bit for bit; at zeta = 1 the fresh noise of a short step is that of the
 * reversal.
 */
static void i18_the_family_between_ddim_and_ddpm(void **state)
{
    struct path path = path_named("vp_linear");
    double x[2], y[2];

    (void)state;
    start_points(x, &path, 1);
    memcpy(y, x, sizeof(x));
    solve_how(x, 1, &plane, &path, 1, 3,
              &(struct solve_how){
                  .solver = "euler_ancestral", .steps = 20, .t1 = 1, .set = "zeta", .value = 0});
    solve(y, 1, &plane, &path, 1, 3, "ddim", 20, 0, 1);
    assert_memory_equal(x, y, sizeof(x));
    for (int i = 1; i < 10; i++) {
        double t = 0.1 * i, h = 1e-6, times[] = {t, t + h}, run[2], xi[2], fresh;
        struct path_coefs c = path_at(&path, t);

        for (int k = 0; k < 2; k++) {
            struct noise_of noise = {(uint64_t)k, 1, 2};
            double drawn[2];

            noise_draw(&noise, drawn, 0);
            xi[k] = drawn[0];
            x[0] = 0.4;
            x[1] = -0.3;
            solve_how(
                x, 1, &plane, &path, 1, 1,
                &(struct solve_how){
                    .solver = "euler_ancestral", .steps = 1, .times = times, .seed = (uint64_t)k});
            run[k] = x[0];
        }
        fresh = (run[1] - run[0]) / (xi[1] - xi[0]);
        near(fresh * fresh / (2 * c.b * h), 1, 1e-4, "fresh noise");
    }
}

/* ---- Orders ---- */

/* On a grid uniform in log(alpha / beta), where these solvers live.  The first step of the
 * multistep solvers has order one and is never made good, so none is above two in the end. */
static void i15_orders_of_the_exponential_solvers(void **state)
{
    static const struct {
        const char *solver, *set;
        double value, order;
    } rows[] = {{"ddim", NULL, 0, 1},     {"edm", NULL, 0, 2},      {"dpmpp_2m", NULL, 0, 2},
                {"dpmpp_3m", NULL, 0, 2}, {"unipc", "order", 2, 2}, {"unipc", "order", 3, 2}};
    enum { ROWS = 5, N = ROWS * 2 };
    struct path path = path_named("cosine");
    double a = path_at(&path, 0.1).half_log_snr, b = path_at(&path, 0.9).half_log_snr;

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        double start[N], exact[N], error[2] = {0}, order;

        start_points(start, &path, ROWS);
        memcpy(exact, start, sizeof(start));
        solve(exact, ROWS, &plane, &path, 1, 3, "rk4", 1000, 0.1, 0.9);
        for (int fine = 0; fine < 2; fine++) {
            int n = 160 << fine;
            double x[N], times[321];

            for (int i = 0; i <= n; i++)
                times[i] = path_time_of_noise(&path, exp(-(a + (b - a) * i / n)));
            times[0] = 0.1;
            times[n] = 0.9;
            memcpy(x, start, sizeof(start));
            solve_how(x, ROWS, &plane, &path, 1, 3,
                      &(struct solve_how){.solver = rows[k].solver,
                                          .steps = n,
                                          .times = times,
                                          .set = rows[k].set,
                                          .value = rows[k].value});
            for (int i = 0; i < N; i++)
                error[fine] += pow(x[i] - exact[i], 2);
        }
        order = 0.5 * log2(error[0] / error[1]);
        if (order < rows[k].order - 0.3 || order > rows[k].order + 1)
            fail_msg("%s %g has order %.2f", rows[k].solver, rows[k].value, order);
    }
}

/* ---- Two predictions ---- */

/* Run from the same points with the velocity of one oracle and the score of another, or of the
 * first alone (second NULL).  Returns how often the second was asked. */
static int64_t run_two(double x[6], const char *solver, const struct diffusion *diffusion,
                       struct mixture_oracle *velocity, struct mixture_oracle *second, double scale)
{
    const double w[] = {scale, scale, scale};
    double times[41];
    struct noise_of noise = {1, 3, 2};
    struct guidance guidance[2];
    struct field field = {.path = velocity->path, .guidance = &guidance[0]};
    struct sampling_request r = {.times = times,
                                 .steps = 40,
                                 .field = &field,
                                 .diffusion = *diffusion,
                                 .draw = noise_draw,
                                 .draw_self = &noise};
    struct error err = {0};

    for (int i = 0; i <= 40; i++)
        times[i] = 0.05 + 0.9 * i / 40;
    start_points(x, &velocity->path, 3);
    assert_int_equal(guidance_init(&guidance[0], predictor_of_mixture(velocity), w, NULL, NULL),
                     OK);
    if (second) {
        field.second = &guidance[1];
        field.second_predicts = second->predicts;
        assert_int_equal(guidance_init(&guidance[1], predictor_of_mixture(second), w, NULL, NULL),
                         OK);
        second->calls = 0;
    }
    assert_int_equal(sampler_find(&r.sampler, solver, NULL), OK);
    choice_defaults(r.values, &r.sampler->is);
    if (sampling_run(x, &r, NULL, &err))
        fail_msg("%s", err.text);
    guidance_release(&guidance[0]);
    if (second)
        guidance_release(&guidance[1]);
    return second ? second->calls : 0;
}

/* S22: two heads or one head and a conversion give the same drift, under any guidance; and the
 * second is really asked, but for the flow. */
static void s22_two_heads_or_one_and_a_conversion(void **state)
{
    static const char *const solvers[] = {"euler_maruyama", "stochastic_heun", "ddim"};
    const int32_t one[] = {1, 1, 1}, other[] = {2, 2, 2};
    struct diffusion beta = diffusion_named("sigma", 1), zero = diffusion_named("zero", 1);
    struct mixture_oracle u = {
        .mixture = &plane, .path = path_named("cosine"), .label = one, .rows = 3};

    (void)state;
    for (int k = 0; k < 3; k++)
        for (double w = 0; w <= 3; w += 1) {
            struct mixture_oracle second = u;
            double alone[6], both[6];

            run_two(alone, solvers[k], &beta, &u, NULL, w);
            for (enum prediction p = PREDICT_SCORE; p <= PREDICT_NOISE; p++) {
                second.predicts = p;
                run_two(both, solvers[k], &beta, &u, &second, w);
                for (int i = 0; i < 6; i++)
                    near(both[i], alone[i], 1e-8, solvers[k]);
            }
            if (k == 2) /* data and noise of one point are told by one head */
                continue;
            assert_true(run_two(both, solvers[k], &beta, &u, &second, w) > 0);
            assert_int_equal(run_two(both, solvers[k], &zero, &u, &second, w), 0);
            second.label = other;
            run_two(both, solvers[k], &beta, &u, &second, w);
            assert_true(w == 0 || fabs(both[0] - alone[0]) > 1e-3);
        }
}

/* ---- Refusals ---- */

static void infinite_strength_is_refused(void **state)
{
    struct path path = path_named("condot");
    struct mixture_oracle oracle = {.mixture = &line, .path = path, .rows = 1};
    const int32_t label[] = {MIXTURE_ANY};
    const double w[] = {1};
    double x[] = {0.2}, times[] = {0, 0.5, 1};
    struct noise_of noise = {1, 1, 1};
    struct guidance guidance;
    struct field field = {.path = path, .guidance = &guidance};
    struct sampling_request r = {
        .times = times, .steps = 2, .field = &field, .draw = noise_draw, .draw_self = &noise};
    struct error err = {0};

    (void)state;
    oracle.label = label;
    assert_int_equal(guidance_init(&guidance, predictor_of_mixture(&oracle), w, NULL, NULL), OK);
    r.diffusion = diffusion_named("reversal", 1);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(sampler_find(&r.sampler, k ? "stochastic_heun" : "sde", NULL), OK);
        assert_int_equal(sampling_run(x, &r, NULL, &err), E_ARG);
        assert_non_null(strstr(err.text, "reversal"));
        assert_non_null(strstr(err.text, "t = 0"));
    }
    assert_int_equal(oracle.calls, 0);
    guidance_release(&guidance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(i13_marginals_of_every_strength),
        cmocka_unit_test(i14_the_recursion_of_one_step),
        cmocka_unit_test(i14_weak_order_one),
        cmocka_unit_test(i15_orders_of_the_exponential_solvers),
        cmocka_unit_test(i16_ddim_is_euler_in_the_noise_level),
        cmocka_unit_test(i17_on_straight_paths_it_is_euler_in_time),
        cmocka_unit_test(i18_the_family_between_ddim_and_ddpm),
        cmocka_unit_test(s22_two_heads_or_one_and_a_conversion),
        cmocka_unit_test(infinite_strength_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
