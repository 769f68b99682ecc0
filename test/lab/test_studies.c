/*
 * test_studies.c - every study, made small: its numbers against the theory, its bits, its refusals
 */
#include "lab/distance.h"
#include "lab/lab.h"
#include "lab/learner.h"
#include "plot/svg.h"
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Run a study with settings "key=value" (ends with NULL); the findings are the lab's. */
static enum status run(struct lab *lab, const char *name, int threads, const char *const *settings,
                       struct error *err)
{
    const struct study *study;
    struct option_group group = {0};
    const struct option_set set = {&group, 1};
    enum status st;

    assert_int_equal(study_find(&study, name, NULL), OK);
    *lab = (struct lab){.threads = threads};
    group.section = "";
    group.rows = study->rows;
    group.config = calloc(1, study->bytes);
    assert_int_equal(options_default(&set, NULL), OK);
    for (; *settings; settings++)
        if (options_assign(&set, *settings, err))
            fail_msg("%s: %s", *settings, err ? err->text : "");
    st = lab_run(lab, study, group.config, err);
    options_release(&set);
    free(group.config);
    return st;
}

static void run_well(struct lab *lab, const char *name, int threads, const char *const *settings)
{
    struct error err = {0};

    if (run(lab, name, threads, settings, &err))
        fail_msg("%s: %s", name, err.text);
    assert_non_null(lab->findings.figure);
    assert_non_null(strstr(lab->findings.config, name));
}

static double value_of(const struct lab *lab, const char *name)
{
    for (int64_t i = 0; i < lab->findings.n_values; i++)
        if (!strcmp(lab->findings.values[i].name, name))
            return lab->findings.values[i].value;
    fail_msg("there is no value %s", name);
    return 0;
}

static const struct finding_table *table_of(const struct lab *lab, const char *name)
{
    for (int64_t i = 0; i < lab->findings.n_tables; i++)
        if (!strcmp(lab->findings.tables[i]->name, name))
            return lab->findings.tables[i];
    fail_msg("there is no table %s", name);
    return NULL;
}

static double cell(const struct finding_table *t, int64_t row, const char *column)
{
    for (int k = 0; k < t->n_columns; k++)
        if (!strcmp(t->column[k], column))
            return t->values[row * t->n_columns + k];
    fail_msg("there is no column %s", column);
    return 0;
}

/* ---- Numbers ---- */

static void test_paths(void **state)
{
    static const char *const paths[] = {"path=condot", "path=cosine", "path=vp_linear",
                                        "path=ve_karras"};

    (void)state;
    for (int k = 0; k < 4; k++) {
        const char *const settings[] = {paths[k], "points=4000", "law=ring", NULL};
        struct lab lab;

        run_well(&lab, "paths", 2, settings);
        for (int64_t i = 0; i < 5; i++) {
            assert_true(cell(table_of(&lab, "moments"), i, "mean_error") < 3.5);
            assert_true(cell(table_of(&lab, "moments"), i, "cov_error") < 0.12);
        }
        findings_release(&lab.findings);
    }
}

static void test_marginals(void **state)
{
    const char *const settings[] = {"law=pair", "times=0,0.3,0.6,0.9", NULL};
    const struct finding_table *t;
    struct lab lab;

    (void)state;
    run_well(&lab, "marginals", 2, settings);
    t = table_of(&lab, "densities");
    assert_int_equal(t->n_rows, 12);
    for (int64_t i = 0; i < t->n_rows; i++)
        assert_true(fabs(cell(t, i, "mass") - 1) < 0.01);
    near(cell(t, 3, "mean_x"), 0, 1e-9, "mean");
    near(cell(t, 7, "mean_x"), -0.9, 1e-9, "mean of label 0");
    near(cell(t, 7, "var_x"), 0.81 * 0.5625 + 0.01, 1e-9, "variance of label 0");
    findings_release(&lab.findings);
}

static void test_fields(void **state)
{
    const char *const plain[] = {"law=moons", "arrows=7", NULL};
    const char *const guided[] = {"law=petals",  "arrows=7",    "label=1",
                                  "cfg_scale=3", "path=cosine", NULL};
    const char *const *const both[] = {plain, guided};

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct lab lab;

        run_well(&lab, "fields", 2, both[k]);
        for (int64_t i = 0; i < 4; i++) {
            assert_true(cell(table_of(&lab, "fields"), i, "table_error") < 1e-9);
            assert_true(cell(table_of(&lab, "fields"), i, "gradient_error") < 1e-5);
        }
        findings_release(&lab.findings);
    }
}

/* Many steps reach the floor, few do not. */
static void test_ode(void **state)
{
    const char *const fine[] = {"points=1000", "steps=60", "sampler=heun", NULL};
    const char *const coarse[] = {"points=1000", "steps=4", "sampler=euler", NULL};
    struct lab lab;

    (void)state;
    run_well(&lab, "ode", 2, fine);
    assert_true(value_of(&lab, "sliced_wasserstein") <
                2 * value_of(&lab, "sliced_wasserstein_floor"));
    assert_true(value_of(&lab, "energy") < 5 * value_of(&lab, "energy_floor") + 0.002);
    findings_release(&lab.findings);
    run_well(&lab, "ode", 2, coarse);
    assert_true(value_of(&lab, "sliced_wasserstein") >
                3 * value_of(&lab, "sliced_wasserstein_floor"));
    findings_release(&lab.findings);
}

/* I13 seen by a distance: every strength ends in the law; with w = 3 the end depends on it. */
static void test_sde(void **state)
{
    const char *const exact[] = {"points=1500", "strengths=0,1,2", "label=0", NULL};
    const char *const guided[] = {"points=1500", "strengths=0,3", "label=0", "cfg_scale=3", NULL};
    const struct finding_table *t;
    struct lab lab;

    (void)state;
    run_well(&lab, "sde", 2, exact);
    t = table_of(&lab, "end_laws");
    for (int64_t i = 0; i < t->n_rows; i++)
        assert_true(cell(t, i, "sliced_wasserstein") <
                    2.2 * value_of(&lab, "sliced_wasserstein_floor") + 0.01);
    findings_release(&lab.findings);
    run_well(&lab, "sde", 2, guided);
    t = table_of(&lab, "end_laws");
    assert_true(fabs(cell(t, 0, "sliced_wasserstein") - cell(t, 1, "sliced_wasserstein")) > 0.1);
    findings_release(&lab.findings);
}

static void test_guidance(void **state)
{
    const char *const settings[] = {"points=1500", "steps=60", "scales=0,1,4", NULL};
    const struct finding_table *t;
    struct lab lab;

    (void)state;
    run_well(&lab, "guidance", 2, settings);
    t = table_of(&lab, "scales");
    assert_true(cell(t, 0, "to_unguided") < 2 * value_of(&lab, "floor_unguided") + 0.01);
    assert_true(cell(t, 1, "to_guided") < 2 * value_of(&lab, "floor_guided") + 0.01);
    assert_true(cell(t, 1, "sde_to_guided") < 2 * value_of(&lab, "floor_guided") + 0.02);
    assert_true(cell(t, 2, "to_guided") > 0.5);
    assert_true(cell(t, 0, "sure") < cell(t, 1, "sure") && cell(t, 1, "sure") < cell(t, 2, "sure"));
    near(cell(t, 1, "spread"), 1, 0.05, "spread at w = 1");
    assert_true(cell(t, 2, "spread") < 0.6);
    findings_release(&lab.findings);
}

static void test_convergence(void **state)
{
    const char *const settings[] = {"points=60",      "samplers=euler,midpoint,heun,rk4",
                                    "steps=20,40,80", "label=0",
                                    "cfg_scale=3",    NULL};
    static const double order[] = {1, 2, 2, 4};
    struct lab lab;

    (void)state;
    run_well(&lab, "convergence", 2, settings);
    for (int64_t i = 0; i < 4; i++) {
        assert_true(cell(table_of(&lab, "orders"), i, "stated") == order[i]);
        near(cell(table_of(&lab, "orders"), i, "order"), order[i], 0.15, "order");
    }
    findings_release(&lab.findings);
}

/* Each objective comes near its floor, and to a field nearer than none at all. */
static void test_train(void **state)
{
    static const char *const objectives[] = {"objective=velocity", "objective=score",
                                             "objective=noise", "objective=data", "objective=v"};

    (void)state;
    for (int k = 0; k < 5; k++) {
        const char *const settings[] = {objectives[k],     "law=pair", "steps=500",
                                        "batch=256",       "width=48", "points=1000",
                                        "solver_steps=20", NULL};
        struct lab lab;

        run_well(&lab, "train", 2, settings);
        assert_true(value_of(&lab, "loss") > 0.98 * value_of(&lab, "loss_floor"));
        assert_true(value_of(&lab, "loss") < 1.06 * value_of(&lab, "loss_floor"));
        assert_true(value_of(&lab, "sliced_wasserstein") < 0.35);
        assert_true(cell(table_of(&lab, "fields"), 4, "rms_error") <
                    0.5 * cell(table_of(&lab, "fields"), 4, "rms_velocity"));
        findings_release(&lab.findings);
    }
}

/* The floor is C*: for one Gaussian of variance v on the straight path (pi / 2) sqrt(v), (1.9). */
static void test_floor(void **state)
{
    struct path path = path_named("condot");
    struct flow_task task;
    struct learner learner;
    struct mlp *net;
    struct law law = {0};
    double loss, floor;

    (void)state;
    assert_int_equal(law_of_mixture(&law, 1, (const double[]){1}, (const double[]){0.5, -1},
                                    (const double[]){0.36, 0, 0, 0.36}, (const int32_t[]){0}, NULL),
                     OK);
    assert_int_equal(learner_task(&task, &law, &path, PREDICT_VELOCITY, 0.1, 1, 5, NULL), OK);
    assert_int_equal(mlp_new(&net, 8, 1, law.n_labels, 5, 2, NULL), OK);
    assert_int_equal(learner_init(&learner, &law, &task, net, 40000, NULL), OK);
    assert_int_equal(learner_losses(&learner, 0, &loss, &floor, NULL), OK);
    near(floor, 1.5707963267948966 * 0.6, 0.02, "C* of a Gaussian");
    assert_true(loss > floor);
    learner_release(&learner);
    mlp_free(net);
    law_release(&law);
}

static void test_distance(void **state)
{
    enum { N = 400 };
    double a[2 * N], b[2 * N];
    struct distance d, e;

    (void)state;
    for (int i = 0; i < N; i++) {
        a[2 * i] = cos(i) * i / N;
        a[2 * i + 1] = sin(i) * i / N;
        b[2 * i] = a[2 * i] + 3;
        b[2 * i + 1] = a[2 * i + 1];
    }
    assert_int_equal(distance_between(&d, a, a, N, 2, NULL), OK);
    assert_true(d.sliced == 0 && d.energy < 1e-12 && d.mmd < 1e-7);
    /* a shift by 3 moves projections by 3 cos, whose mean square is 9 / 2 */
    assert_int_equal(distance_between(&d, a, b, N, 1, NULL), OK);
    near(d.sliced, 3 / sqrt(2), 1e-12, "a shift");
    assert_true(d.energy > 2 && d.mmd > 0.5);
    assert_int_equal(distance_between(&e, a, b, N, 3, NULL), OK);
    assert_memory_equal(&d, &e, sizeof d);
}

/* ---- Bits ---- */

/* Every study, small: the same numbers and the same figure, by 1 thread and by 3. */
static void test_threads(void **state)
{
    static const char *const settings[][6] = {
        {"points=50", NULL},
        {"times=0,0.5", NULL},
        {"times=0.3,0.8", "arrows=5", NULL},
        {"points=60", "steps=5", NULL},
        {"points=60", "steps=8", "strengths=0,1", NULL},
        {"points=60", "steps=8", "scales=1,3", NULL},
        {"points=20", "steps=3,5", NULL},
        {"steps=30", "batch=64", "width=16", "points=100", "solver_steps=4", NULL},
    };

    (void)state;
    for (int k = 0; study_at(k); k++) {
        struct text svg[2];

        for (int i = 0; i < 2; i++) {
            struct lab lab;
            struct scene scene;

            run_well(&lab, study_at(k)->name, 1 + 2 * i, settings[k]);
            assert_int_equal(figure_place(&scene, lab.findings.figure, NULL), OK);
            text_init(&svg[i], NULL, 0);
            assert_int_equal(svg_write(&svg[i], &scene, "", lab.findings.config, NULL), OK);
            for (int64_t v = 0; v < lab.findings.n_values; v++)
                text_add(&svg[i], "%a ", lab.findings.values[v].value);
            for (int64_t t = 0; t < lab.findings.n_tables; t++)
                for (int64_t v = 0;
                     v < lab.findings.tables[t]->n_rows * lab.findings.tables[t]->n_columns; v++)
                    text_add(&svg[i], "%a ", lab.findings.tables[t]->values[v]);
            scene_release(&scene);
            findings_release(&lab.findings);
        }
        assert_string_equal(svg[0].data, svg[1].data);
        text_release(&svg[0]);
        text_release(&svg[1]);
    }
}

/* ---- Refusals ---- */

static bool stop_at_half(void *self, double done)
{
    int *calls = self;

    ++*calls;
    return done < 0.5;
}

static void test_refusals(void **state)
{
    static const struct {
        const char *study, *setting, *says;
    } cases[] = {
        {"paths", "law=mons", "moons"},
        {"paths", "law=missing.png", "missing.png"},
        {"paths", "law=missing.ini", "missing.ini"},
        {"paths", "times=0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8", "1 to 8"},
        {"marginals", "label=7", "labels are 0 .. 1"},
        {"ode", "label=2", "labels are 0 .. 1"},
        {"sde", "diffusion=reversal", "infinite at t = 0"},
        {"guidance", "label=5", "labels are 0 .. 2"},
        {"convergence", "samplers=euler,dopri5", "chooses its own"},
        {"convergence", "samplers=euler_maruyama", "draws noise"},
        {"convergence", "samplers=oiler", "euler"},
        {"convergence", "steps=10", "numbers of steps"},
        {"convergence", "steps=10,5", "increase"},
        {"convergence", "steps=10,900", "finer"},
        {"train", "label=2", "labels are 0 .. 1"},
    };
    const struct study *study;
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const settings[] = {cases[i].setting, NULL};
        struct lab lab;

        memset(&err, 0, sizeof err);
        assert_int_not_equal(run(&lab, cases[i].study, 1, settings, &err), OK);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s %s: %s", cases[i].study, cases[i].setting, err.text);
        findings_release(&lab.findings);
    }
    assert_int_equal(study_find(&study, "convergance", &err), E_ARG);
    assert_non_null(strstr(err.text, "convergence"));
}

static void test_stopped(void **state)
{
    const struct study *study;
    struct option_group group = {0};
    const struct option_set set = {&group, 1};
    struct error err = {0};
    int calls = 0;
    struct lab lab = {.threads = 1, .callback = stop_at_half, .self = &calls};

    (void)state;
    assert_int_equal(study_find(&study, "train", NULL), OK);
    group = (struct option_group){"", study->rows, calloc(1, study->bytes), NULL};
    assert_int_equal(options_default(&set, NULL), OK);
    assert_int_equal(options_assign(&set, "steps=40", NULL), OK);
    assert_int_equal(lab_run(&lab, study, group.config, &err), E_CANCELLED);
    assert_true(calls > 10);
    findings_release(&lab.findings);
    options_release(&set);
    free(group.config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),       cmocka_unit_test(test_marginals),
        cmocka_unit_test(test_fields),      cmocka_unit_test(test_ode),
        cmocka_unit_test(test_sde),         cmocka_unit_test(test_guidance),
        cmocka_unit_test(test_convergence), cmocka_unit_test(test_train),
        cmocka_unit_test(test_floor),       cmocka_unit_test(test_distance),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
