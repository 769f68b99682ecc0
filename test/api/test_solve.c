/*
 * test_solve.c - a stranger's predictor under the library's solvers, and a stranger's tensors
 *
 * The data are one Gaussian, N(m, s^2): its four predictions are known in closed form on any path,
 * and the flow carries x at the first time to m + s (x - alpha m) / sqrt(alpha^2 s^2 + beta^2) at
 * the last.  So one formula tells what every path, prediction and solver has to give.  Only imgen.h
 * is used.
 */
#include "imgen.h"
#include "support/says.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 3, LENGTH = 2, N = ROWS * LENGTH };

static const double mean = 0.7, deviation = 0.5;

/* ---- The data ---- */

enum { VELOCITY, SCORE, NOISE, DATA, KINDS };
static const char *const kind_name[KINDS] = {"velocity", "score", "noise", "data"};

struct gauss {
    struct imgen_solving s;
    int kind, calls, guided_calls, stop_after;
    double without; /* the mean without the request */
};

/* u = dalpha z + dbeta eps, with the derivatives taken from the path itself. */
static double velocity(const struct gauss *g, double z, double eps, double t)
{
    const double h = 1e-6;
    double a0, a1, b0, b1, from = fmax(0, t - h), to = fmin(1, t + h);

    assert_int_equal(imgen_path_at(&g->s, from, &a0, &b0, NULL), IMGEN_OK);
    assert_int_equal(imgen_path_at(&g->s, to, &a1, &b1, NULL), IMGEN_OK);
    return ((a1 - a0) * z + (b1 - b0) * eps) / (to - from);
}

static int predict(double *out, const double *x, double t, int guided, void *user)
{
    struct gauss *g = user;
    double m = guided ? mean : g->without, alpha, beta;

    g->calls++;
    g->guided_calls += guided;
    assert_int_equal(imgen_path_at(&g->s, t, &alpha, &beta, NULL), IMGEN_OK);
    for (int i = 0; i < N; i++) {
        double v = alpha * alpha * deviation * deviation + beta * beta;
        double eps = beta * (x[i] - alpha * m) / v;
        double z = m + alpha * deviation * deviation * (x[i] - alpha * m) / v;

        out[i] = g->kind == DATA    ? z
                 : g->kind == NOISE ? eps
                 : g->kind == SCORE ? -(x[i] - alpha * m) / v
                                    : velocity(g, z, eps, t);
    }
    return g->stop_after && g->calls == g->stop_after;
}

static struct gauss gauss(int kind)
{
    struct gauss g = {.kind = kind};

    imgen_solving_init(&g.s, ROWS, LENGTH, predict, NULL);
    g.s.prediction = kind_name[kind];
    return g;
}

/* From x at `first` to where the flow ends; the largest error. */
static double error_of(struct gauss *g, double first)
{
    double x[N], want[N], alpha, beta, most = 0;
    struct imgen_error err;

    g->s.user = g;
    imgen_flow_noise(x, ROWS, LENGTH, 5);
    assert_int_equal(imgen_path_at(&g->s, first, &alpha, &beta, &err), IMGEN_OK);
    for (int i = 0; i < N; i++)
        want[i] = mean + deviation * (x[i] - alpha * mean) /
                             sqrt(alpha * alpha * deviation * deviation + beta * beta);
    if (imgen_solve(x, &g->s, &err))
        fail_msg("%s on %s by %s: %s", g->s.prediction, g->s.path, g->s.sampler, err.text);
    for (int i = 0; i < N; i++)
        most = fmax(most, fabs(x[i] - want[i]));
    return most;
}

/* ---- Paths, predictions, solvers ---- */

static void every_prediction_on_every_path_ends_right(void **state)
{
    static const char *const paths[] = {"condot", "ddpm_linear", "ddpm_cosine"};
    static const char *const samplers[] = {"heun", "ddim", "dpmpp_2m", "unipc"};
    double times[201];

    (void)state;
    for (int k = 0; k <= 200; k++)
        times[k] = 0.02 + 0.98 * k / 200;
    for (int p = 0; p < 3; p++)
        for (int s = 0; s < 4; s++)
            for (int kind = 0; kind < KINDS; kind++) {
                struct gauss g = gauss(kind);
                double off;

                g.s.path = paths[p];
                g.s.sampler = samplers[s];
                g.s.times = times;
                g.s.n_times = 201;
                off = error_of(&g, times[0]);
                if (off > 0.02)
                    fail_msg("%s on %s by %s is off by %g", kind_name[kind], paths[p], samplers[s],
                             off);
            }
}

static void a_schedule_takes_the_place_of_times(void **state)
{
    struct gauss g = gauss(DATA);
    const char *settings[] = {"schedule.shift=2"};

    (void)state;
    g.s.schedule = "shift";
    g.s.numbers = settings;
    g.s.n_numbers = 1;
    g.s.steps = 100;
    g.s.sampler = "dpmpp_2m";
    assert_true(error_of(&g, 0) < 0.01);
    assert_int_equal(g.calls, 100);
}

static void settings_reach_the_path(void **state)
{
    struct gauss plain = gauss(NOISE), set = gauss(NOISE);
    const char *settings[] = {"path.steps=500", "path.last = 0.012"};
    double alpha, beta, other, kept = 1;

    (void)state;
    plain.s.path = set.s.path = "ddpm_linear";
    set.s.numbers = settings;
    set.s.n_numbers = 2;
    assert_int_equal(imgen_path_at(&plain.s, 0, &alpha, &beta, NULL), IMGEN_OK);
    for (int k = 0; k < 1000; k++)
        kept *= 1 - (1e-4 + (0.02 - 1e-4) * k / 999);
    assert_true(fabs(alpha - sqrt(kept)) < 1e-12 && fabs(beta - sqrt(1 - kept)) < 1e-12);
    assert_int_equal(imgen_path_at(&set.s, 0, &other, &beta, NULL), IMGEN_OK);
    kept = 1;
    for (int k = 0; k < 500; k++)
        kept *= 1 - (1e-4 + (0.012 - 1e-4) * k / 499);
    assert_true(fabs(other - sqrt(kept)) < 1e-12);
}

/* An SDE of no strength is the flow; guided nowhere is as trained. */
static void numbers_reach_the_run(void **state)
{
    const char *still[] = {"sde.scale=0"}, *nowhere[] = {"guidance.from=0.9999"};
    struct gauss g = gauss(DATA);

    (void)state;
    g.s.steps = 400;
    g.s.sampler = "euler_maruyama";
    assert_true(error_of(&g, 0) > 0.1);
    g.s.numbers = still;
    g.s.n_numbers = 1;
    assert_true(error_of(&g, 0) < 0.01);

    g = gauss(DATA);
    g.without = mean - 1;
    g.s.w = 3;
    assert_true(error_of(&g, 0) > 1);
    g.s.numbers = nowhere;
    g.s.n_numbers = 1;
    assert_true(error_of(&g, 0) < 0.01);
}

/* With Gaussians of one deviation guidance moves the mean alone: to (1 - w) m0 + w m. */
static void guidance_extrapolates(void **state)
{
    struct gauss g = gauss(VELOCITY);
    double guided[N], plain[N];

    (void)state;
    g.without = -0.4;
    g.s.user = &g;
    g.s.steps = 200;
    imgen_flow_noise(guided, ROWS, LENGTH, 5);
    memcpy(plain, guided, sizeof plain);
    assert_int_equal(imgen_solve(plain, &g.s, NULL), IMGEN_OK);
    assert_int_equal(g.calls, g.guided_calls); /* w = 1 asks for one branch */
    g.s.w = 3;
    assert_int_equal(imgen_solve(guided, &g.s, NULL), IMGEN_OK);
    for (int i = 0; i < N; i++)
        assert_true(fabs(guided[i] - plain[i] - 2 * (mean + 0.4)) < 1e-3);
}

/* ---- Noise that solvers add ---- */

static void solve_rows(double x[N], const uint64_t *seeds)
{
    struct gauss g = gauss(DATA);

    g.s.user = &g;
    g.s.sampler = "euler_ancestral";
    g.s.steps = 10;
    g.s.seeds = seeds;
    imgen_flow_noise(x, ROWS, LENGTH, 5);
    assert_int_equal(imgen_solve(x, &g.s, NULL), IMGEN_OK);
}

static void fresh_noise_is_of_the_row_s_seed(void **state)
{
    double a[N], b[N], c[N];

    (void)state;
    solve_rows(a, NULL);
    solve_rows(b, (const uint64_t[]){0, 1, 2});
    solve_rows(c, (const uint64_t[]){0, 9, 2});
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(a, c, LENGTH * sizeof *a);
    assert_true(a[LENGTH] != c[LENGTH]);
    assert_memory_equal(a + 2 * LENGTH, c + 2 * LENGTH, LENGTH * sizeof *a);
}

/* ---- What is refused ---- */

static void refused(const struct imgen_solving *s, enum imgen_status status, const char *what)
{
    struct imgen_error err;
    double x[N] = {0};

    assert_int_equal(imgen_solve(x, s, &err), status);
    assert_says(err.text, what);
}

static void what_cannot_be_is_refused(void **state)
{
    const double back[] = {0, 0.5, 0.4};
    const char *unknown[] = {"path.lats=3"}, *huge[] = {"path.last=7"};
    struct gauss g = gauss(NOISE);
    struct imgen_solving s;
    struct imgen_error err;
    double a, b;

    (void)state;
    g.s.user = &g;
    g.s.path = "ddpm_linear";
#define TRY(member, value, status, what) \
    s = g.s;                             \
    s.member = (value);                  \
    refused(&s, (status), (what))
    TRY(path, "ddpm_liner", IMGEN_E_ARG, "ddpm_linear");
    TRY(prediction, "nois", IMGEN_E_ARG, "noise");
    TRY(sampler, "hoin", IMGEN_E_ARG, "hoin");
    TRY(schedule, "unifrom", IMGEN_E_ARG, "uniform");
    TRY(steps, 0, IMGEN_E_ARG, "0 steps");
    TRY(steps, 1001, IMGEN_E_ARG, "1001");
    TRY(w, -1, IMGEN_E_ARG, "-1");
    TRY(path, "condot", IMGEN_E_ARG, "t = 0"); /* no velocity where alpha = 0 */
#undef TRY
    s = g.s;
    s.times = back;
    s.n_times = 3;
    refused(&s, IMGEN_E_ARG, "time 2 of the grid is 0.4");
    s.n_times = 1;
    refused(&s, IMGEN_E_ARG, "1 times");
    s = g.s;
    s.n_numbers = 1;
    s.numbers = unknown;
    refused(&s, IMGEN_E_ARG, "path.last");
    s.numbers = huge;
    refused(&s, IMGEN_E_ARG, "7");
    s.numbers = (const char *const[]){"guidance.negative=cat"};
    refused(&s, IMGEN_E_ARG, "cat");
    s.numbers = (const char *const[]){"guidance.perturbed=1"};
    refused(&s, IMGEN_E_ARG, "no attention to be perturbed");
    assert_int_equal(imgen_path_at(&g.s, 1.5, &a, &b, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "1.5"));
}

static void a_predictor_can_stop(void **state)
{
    struct gauss g = gauss(DATA);

    (void)state;
    g.stop_after = 3;
    g.s.user = &g;
    g.s.sampler = "ddim";
    refused(&g.s, IMGEN_E_CANCELLED, "stopped");
    assert_int_equal(g.calls, 3);
}

/* ---- Tensors in another order ---- */

/* [C, H, W] in the file, [H W C] here; saved, looked at, and loaded again. */
static void parameters_are_stored_as_their_file_wants(void **state)
{
    const int64_t here = 24, file[] = {2, 3, 4};
    const char *path = "turned.safetensors";
    struct imgen_params *p, *q;
    struct imgen_graph *g;
    struct imgen_file *f;
    struct imgen_file_tensor t;
    struct imgen_tensor *value;
    struct imgen_error err;
    float stored[24], kept[24];

    (void)state;
    assert_int_equal(imgen_params_new(&p, NULL), IMGEN_OK);
    assert_int_equal(imgen_params_new(&q, NULL), IMGEN_OK);
    imgen_param_add_stored(p, "w", 1, &here, IMGEN_NORMAL_002, 3, file, (const int[]){1, 2, 0});
    imgen_param_add_stored(q, "w", 1, &here, IMGEN_ZERO, 3, file, (const int[]){1, 2, 0});
    assert_int_equal(imgen_params_init(p, 4, NULL), IMGEN_OK);
    assert_int_equal(imgen_params_init(q, 5, NULL), IMGEN_OK);
    assert_int_equal(imgen_params_save(p, path, NULL), IMGEN_OK);
    assert_int_equal(imgen_params_load(q, path, NULL), IMGEN_OK);

    assert_int_equal(imgen_file_open(&f, path, NULL), IMGEN_OK);
    assert_int_equal(imgen_file_tensor(f, 0, &t), 1);
    assert_true(t.rank == 3 && t.dim[0] == 2 && t.dim[1] == 3 && t.dim[2] == 4);
    assert_int_equal(imgen_file_read(f, "w", stored, 24, &err), IMGEN_OK);
    assert_int_equal(imgen_graph_new(&g, 1, NULL), IMGEN_OK);
    value = imgen_affine(g, imgen_param(g, q, 0), 1, 0);
    imgen_keep(g, value);
    assert_int_equal(imgen_graph_run(g, NULL), IMGEN_OK);
    imgen_read(g, value, kept);
    for (int i = 0; i < 24; i++)
        assert_true(kept[i] == stored[i % 2 * 12 + i / 2]);

    assert_int_equal(imgen_file_read(f, "v", stored, 24, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "'v'"));
    assert_int_equal(imgen_file_read(f, "w", stored, 23, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "24"));
    imgen_file_close(f);
    imgen_graph_free(g);
    imgen_params_free(p);
    imgen_params_free(q);
}

/* A stamp of 2 x 2 with stride 2: every pixel becomes its square. */
static void a_transposed_convolution_enlarges(void **state)
{
    const float x[] = {1, 2, 3, 4, 5, 6}, w[] = {1, 10, 100, 1000};
    struct imgen_tensor *y;
    struct imgen_graph *g;
    float out[24];

    (void)state;
    assert_int_equal(imgen_graph_new(&g, 1, NULL), IMGEN_OK);
    y = imgen_conv2d_transposed(g, imgen_input(g, 4, (int64_t[]){1, 2, 3, 1}, x),
                                imgen_input(g, 4, (int64_t[]){1, 2, 2, 1}, w), NULL, 2, 0);
    assert_int_equal(imgen_dim(y, 1), 4);
    assert_int_equal(imgen_dim(y, 2), 6);
    imgen_keep(g, y);
    assert_int_equal(imgen_graph_run(g, NULL), IMGEN_OK);
    imgen_read(g, y, out);
    for (int i = 0; i < 24; i++)
        assert_true(out[i] == x[i / 12 * 3 + i % 6 / 2] * w[i / 6 % 2 * 2 + i % 2]);
    imgen_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prediction_on_every_path_ends_right),
        cmocka_unit_test(a_schedule_takes_the_place_of_times),
        cmocka_unit_test(settings_reach_the_path),
        cmocka_unit_test(numbers_reach_the_run),
        cmocka_unit_test(guidance_extrapolates),
        cmocka_unit_test(fresh_noise_is_of_the_row_s_seed),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_predictor_can_stop),
        cmocka_unit_test(parameters_are_stored_as_their_file_wants),
        cmocka_unit_test(a_transposed_convolution_enlarges),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
