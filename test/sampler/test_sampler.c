/*
 * test_sampler.c - the loop around the solvers: what it counts, shows, refuses and survives
 *
 * Fields here are small functions, so that each test can say exactly how often and where a solver
 * looked.  That the solvers solve is shown by the invariants and the reference numbers.
 */
#include "sampler/sampler.h"

#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 3, LENGTH = 2, N = ROWS * LENGTH };

/* A field du/dt = rate x that keeps a record, may fail, and may say nonsense. */
struct probe {
    double rate;
    double last_t;
    int calls, fail_at, nan_at;
    unsigned branches;
};

static enum status probe_predict(void *self, double *out, const double *x, double t,
                                 unsigned branches, struct error *err)
{
    struct probe *p = self;
    int copies = branches == BRANCH_BOTH ? 2 : 1;

    p->calls++;
    p->last_t = fmax(p->last_t, t);
    p->branches = branches;
    if (p->calls == p->fail_at)
        return (fail)(err, E_MEMORY, "the network ran out of memory"); /* cmocka has a macro fail */
    for (int b = 0; b < copies; b++)
        for (int i = 0; i < N; i++)
            out[b * N + i] = p->calls == p->nan_at ? (double)NAN : p->rate * x[i];
    return OK;
}

/* Everything a run needs, put together. */
struct bench {
    struct probe probe;
    struct guidance guidance;
    struct field field;
    struct sampling_request request;
    struct noise_of noise;
    double times[STEPS_MAX + 1], x[N];
};

static void bench_open(struct bench *b, const char *solver, const char *path,
                       enum prediction predicts, int steps, double t0, double t1)
{
    static const double ones[ROWS] = {1, 1, 1};
    struct grid grid;

    memset(b, 0, sizeof(*b));
    b->probe.rate = 1;
    assert_int_equal(guidance_init(&b->guidance,
                                   (struct predictor){probe_predict, &b->probe, ROWS, LENGTH}, ones,
                                   NULL, NULL),
                     OK);
    b->field =
        (struct field){.path = path_named(path), .predicts = predicts, .guidance = &b->guidance};
    assert_int_equal(grid_init(&grid, "uniform", NULL), OK);
    assert_int_equal(grid_fill(b->times, &grid, steps, t0, t1, NULL), OK);
    b->noise = (struct noise_of){1, ROWS, LENGTH};
    b->request = (struct sampling_request){.times = b->times,
                                           .steps = steps,
                                           .field = &b->field,
                                           .draw = noise_draw,
                                           .draw_self = &b->noise};
    assert_int_equal(sampler_find(&b->request.sampler, solver, NULL), OK);
    choice_defaults(b->request.values, &b->request.sampler->is);
    for (int i = 0; i < N; i++)
        b->x[i] = 1 + i;
}

static void bench_close(struct bench *b)
{
    guidance_release(&b->guidance);
}

static void solvers_cost_what_they_say(void **state)
{
    (void)state;
    for (int k = 0; sampler_at(k); k++) {
        const struct sampler *s = sampler_at(k);
        struct sampling_report report;
        struct bench b;

        if (s->of_variance)
            continue; /* test_ddpm_learned.c */
        bench_open(&b, s->is.name, "condot", PREDICT_VELOCITY, 10, 0, 1);
        assert_int_equal(sampling_run(b.x, &b.request, &report, NULL), OK);
        if (s->adaptive)
            assert_int_equal(report.evaluations, 1 + 6 * (report.accepted + report.rejected));
        else /* the first and the last step may need less */
            assert_in_range(report.evaluations,
                            10 * s->evaluations - (s->on_data || s->stochastic ? 2 : 0),
                            10 * s->evaluations);
        assert_int_equal(b.probe.calls, report.evaluations);
        assert_int_equal(b.probe.branches, BRANCH_GUIDED);
        for (int i = 0; i < N && !s->stochastic; i++)
            near(b.x[i], exp(1) * (1 + i), s->order == 1 ? 0.06 : 2e-2, s->is.name);
        bench_close(&b);
    }
}

static void aliases_of_other_programs(void **state)
{
    const struct sampler *s;
    struct error err = {0};

    (void)state;
    assert_int_equal(sampler_find(&s, "k_euler", NULL), OK);
    assert_string_equal(s->is.name, "euler");
    assert_int_equal(sampler_find(&s, "RK45", NULL), OK);
    assert_string_equal(s->is.name, "dopri5");
    assert_int_equal(sampler_find(&s, "huen", &err), E_ARG);
    assert_non_null(strstr(err.text, "\"heun\""));
    assert_int_equal(sampler_find(&s, "leapfrogging", &err), E_ARG);
    assert_non_null(strstr(err.text, "midpoint"));
}

/* A data prediction has no velocity at t = 1 on condot: heun and rk4 end with Euler, and dopri5
 * hands the last thousandth to it. */
static void fields_without_an_end(void **state)
{
    static const char *const able[] = {"euler", "midpoint", "heun", "rk4", "dopri5"};
    struct bench b;

    (void)state;
    for (int k = 0; k < 5; k++) {
        bench_open(&b, able[k], "condot", PREDICT_DATA, 10, 0, 1);
        assert_int_equal(sampling_run(b.x, &b.request, NULL, NULL), OK);
        assert_true(b.probe.last_t < 1);
        bench_close(&b);
    }
}

static void fields_without_a_beginning(void **state)
{
    struct error err = {0};
    struct bench b;

    (void)state;
    bench_open(&b, "euler", "condot", PREDICT_NOISE, 10, 0, 1);
    assert_int_equal(sampling_run(b.x, &b.request, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "noise"));
    assert_non_null(strstr(err.text, "condot"));
    assert_int_equal(b.probe.calls, 0);
    bench_close(&b);
    bench_open(&b, "euler", "condot", PREDICT_NOISE, 10, 1e-3, 1);
    assert_int_equal(sampling_run(b.x, &b.request, NULL, &err), OK);
    bench_close(&b);
}

/* Asked for, the last step is Euler's: one evaluation fewer, none at t = 1. */
static void euler_last_on_request(void **state)
{
    static const char *const who[] = {"heun", "rk4"};
    static const int saved[] = {1, 3};

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct sampling_report report;
        struct bench b;

        bench_open(&b, who[k], "condot", PREDICT_VELOCITY, 8, 0, 1);
        assert_int_equal(
            choice_set(b.request.values, &b.request.sampler->is, "euler_last", 1, NULL), OK);
        assert_int_equal(sampling_run(b.x, &b.request, &report, NULL), OK);
        assert_int_equal(report.evaluations, 8 * b.request.sampler->evaluations - saved[k]);
        assert_true(b.probe.last_t < 1);
        bench_close(&b);
    }
}

/* The slopes of the past make the step better: each more takes an error of e^t away.  Looking at
 * none but the newest is Euler. */
static void a_multistep_rule_looks_back(void **state)
{
    double euler[N], error[5] = {0};
    struct bench b;

    (void)state;
    bench_open(&b, "euler", "condot", PREDICT_VELOCITY, 40, 0, 1);
    assert_int_equal(sampling_run(b.x, &b.request, NULL, NULL), OK);
    memcpy(euler, b.x, sizeof euler);
    bench_close(&b);
    for (int order = 1; order <= 4; order++) {
        bench_open(&b, "lms", "condot", PREDICT_VELOCITY, 40, 0, 1);
        assert_int_equal(choice_set(b.request.values, &b.request.sampler->is, "order", order, NULL),
                         OK);
        assert_int_equal(sampling_run(b.x, &b.request, NULL, NULL), OK);
        if (order == 1)
            assert_memory_equal(b.x, euler, sizeof euler);
        error[order] = fabs(b.x[0] - exp(1));
        bench_close(&b);
    }
    assert_true(error[2] < 0.05 * error[1]);
    assert_true(error[3] < error[2]);
}

/* ---- Progress ---- */

struct watch {
    int seen, stop_at;
    double t[64], data[64];
    struct sampling_progress last;
};

static bool watch(void *self, const struct sampling_progress *p)
{
    struct watch *w = self;

    w->t[w->seen] = p->t;
    w->data[w->seen] = p->data ? p->data[0] : (double)NAN;
    w->last = *p;
    return ++w->seen != w->stop_at;
}

static void progress_is_told(void **state)
{
    struct watch w = {0};
    struct bench b;

    (void)state;
    bench_open(&b, "heun", "condot", PREDICT_VELOCITY, 5, 0.5, 1);
    b.request.progress = watch;
    b.request.self = &w;
    assert_int_equal(sampling_run(b.x, &b.request, NULL, NULL), OK);
    assert_int_equal(w.seen, 5);
    assert_int_equal(w.last.step, 5);
    assert_int_equal(w.last.steps, 5);
    assert_int_equal(w.last.evaluations, 10);
    assert_true(w.last.t == 1 && w.last.done == 1);
    assert_null(w.last.data);
    for (int i = 0; i < 5; i++)
        near(w.t[i], 0.5 + 0.1 * (i + 1), 1e-12, "t");
    bench_close(&b);
}

/* On condot E[z | x] = x + (1 - t) u; at the first step t = 0, x = 1 and u = x. */
static void preview_costs_nothing(void **state)
{
    struct sampling_report report;
    struct watch w = {0};
    struct bench b;

    (void)state;
    bench_open(&b, "rk4", "condot", PREDICT_VELOCITY, 4, 0, 1);
    b.request.progress = watch;
    b.request.self = &w;
    b.request.wants_preview = true;
    assert_int_equal(sampling_run(b.x, &b.request, &report, NULL), OK);
    assert_int_equal(report.evaluations, 16);
    near(w.data[0], 2, 1e-12, "first preview");
    near(w.data[3], exp(0.75) * 1.25, 1e-3, "last preview");
    bench_close(&b);
}

static void a_run_can_be_stopped(void **state)
{
    struct watch w = {.stop_at = 3};
    struct sampling_report report;
    struct error err = {0};
    struct bench b;

    (void)state;
    bench_open(&b, "euler", "condot", PREDICT_VELOCITY, 10, 0, 1);
    b.request.progress = watch;
    b.request.self = &w;
    assert_int_equal(sampling_run(b.x, &b.request, &report, &err), E_CANCELLED);
    assert_int_equal(report.accepted, 3);
    assert_non_null(strstr(err.text, "step 3"));
    near(b.x[0], pow(1.1, 3), 1e-12, "where it stood");
    bench_close(&b);
}

static void failures_pass_through(void **state)
{
    struct error err = {0};
    struct bench b;

    (void)state;
    bench_open(&b, "heun", "condot", PREDICT_VELOCITY, 10, 0, 1);
    b.probe.fail_at = 6;
    assert_int_equal(sampling_run(b.x, &b.request, NULL, &err), E_MEMORY);
    assert_non_null(strstr(err.text, "step 3"));
    assert_non_null(strstr(err.text, "ran out of memory"));
    bench_close(&b);
}

static void nonsense_names_the_step(void **state)
{
    struct error err = {0};
    struct bench b;

    (void)state;
    bench_open(&b, "euler", "condot", PREDICT_VELOCITY, 10, 0, 1);
    b.probe.nan_at = 4;
    assert_int_equal(sampling_run(b.x, &b.request, NULL, &err), E_NOT_FINITE);
    assert_non_null(strstr(err.text, "step 4"));
    bench_close(&b);
    /* An adaptive solver shrinks its step past a bad value. */
    bench_open(&b, "dopri5", "condot", PREDICT_VELOCITY, 1, 0, 1);
    b.probe.nan_at = 5;
    assert_int_equal(sampling_run(b.x, &b.request, NULL, &err), OK);
    near(b.x[0], exp(1), 1e-3, "recovered");
    bench_close(&b);
}

static void bad_requests_are_refused(void **state)
{
    struct error err = {0};
    struct bench b;

    (void)state;
    bench_open(&b, "dopri5", "condot", PREDICT_VELOCITY, 4, 0, 1);
    b.request.values[0] = -1;
    assert_int_equal(sampling_run(b.x, &b.request, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "rtol"));
    choice_defaults(b.request.values, &b.request.sampler->is);
    b.request.steps = 0;
    assert_int_equal(sampling_run(b.x, &b.request, NULL, &err), E_ARG);
    b.request.steps = 4;
    b.times[2] = 0.1;
    assert_int_equal(sampling_run(b.x, &b.request, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "time 2"));
    bench_close(&b);
}

static void scales_must_be_numbers_from_zero(void **state)
{
    static const double low[ROWS] = {1, -0.5, 1};
    double nan[ROWS] = {1, 1, (double)NAN};
    struct probe probe = {0};
    struct predictor of = {probe_predict, &probe, ROWS, LENGTH};
    struct error err = {0};
    struct guidance g;

    (void)state;
    assert_int_equal(guidance_init(&g, of, low, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "-0.5"));
    assert_int_equal(guidance_init(&g, of, nan, NULL, &err), E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solvers_cost_what_they_say),
        cmocka_unit_test(aliases_of_other_programs),
        cmocka_unit_test(fields_without_an_end),
        cmocka_unit_test(fields_without_a_beginning),
        cmocka_unit_test(euler_last_on_request),
        cmocka_unit_test(a_multistep_rule_looks_back),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(preview_costs_nothing),
        cmocka_unit_test(a_run_can_be_stopped),
        cmocka_unit_test(failures_pass_through),
        cmocka_unit_test(nonsense_names_the_step),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(scales_must_be_numbers_from_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
