/*
 * test_theory.c - the reference numbers of the theory, and that the comparison notices damage
 *
 * The files under test/golden/theory are compared by the checkers of the parity program, as
 * everyone can run them.  Then one number of each kind is changed in a copy, and the report must
 * say so: a checker that reads the wrong key compares nothing and would pass for ever.
 */
#include "parity/parity.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct parity_counts run(const char *path, bool print)
{
    const struct parity_options options = {.threads = 2};
    struct parity_report report = {0};
    struct parity_counts counts;
    struct error err = {0};

    if (parity_run(&report, &path, 1, &options, &err))
        fail_msg("%s", err.text);
    counts = report_count(&report);
    if (print && counts.failed > 0)
        report_print(&report, false, stderr);
    report_release(&report);
    return counts;
}

static void golden_numbers(void **state)
{
    struct parity_counts c = run(GOLDEN_DIR "/theory", true);

    (void)state;
    assert_int_equal(c.failed, 0);
    assert_true(c.fixtures >= 14);
    assert_true(c.passed >= 500);
}

static void shared_numbers(void **state)
{
    static const char *const folders[] = {
        SHARED_DIR "/fixtures/theory",
        SHARED_DIR "/fixtures/arch/samplers",
    };
    struct stat s;

    (void)state;
    if (stat(folders[0], &s)) {
        print_message("no fixtures at %s\n", folders[0]);
        skip();
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(run(folders[i], true).failed, 0);
}

/* The first number below a value, entering arrays at `index` (from the end when negative). */
static json_t *some_number(json_t *v, int index)
{
    while (json_is_array(v)) {
        size_t n = json_array_size(v);

        assert_true(n > 0);
        v = json_array_get(v, index < 0 ? n - 1 : (size_t)index % n);
    }
    assert_true(json_is_number(v));
    return v;
}

/* Follow "a/b/2/c": keys of objects, numbers of array entries. */
static json_t *follow(json_t *v, const char *way)
{
    char copy[128], *part, *rest = copy;

    snprintf(copy, sizeof(copy), "%s", way);
    while ((part = strtok_r(rest, "/", &rest)))
        v = json_is_array(v) ? json_array_get(v, (size_t)atoi(part)) : json_object_get(v, part);
    if (!v)
        fail_msg("no %s", way);
    return v;
}

/* Change one number a little and expect a failure. */
static void damage(const char *file, const char *way, int index)
{
    char from[TEMP_PATH], to[TEMP_PATH], dir[TEMP_PATH];
    json_t *root, *number;
    double value;

    snprintf(from, sizeof(from), "%s/theory/%s", GOLDEN_DIR, file);
    root = json_load_file(from, 0, NULL);
    assert_non_null(root);
    temp_dir_new(dir);
    temp_path(to, dir, strrchr(from, '/') + 1);
    number = some_number(follow(root, way), index);
    value = json_number_value(number);
    if (json_is_integer(number))
        json_integer_set(number, json_integer_value(number) + 1);
    else
        json_real_set(number, value + 1e-3 * (value + 1));
    assert_int_equal(json_dump_file(root, to, JSON_REAL_PRECISION(17)), 0);
    if (run(dir, false).failed < 1)
        fail_msg("%s: %s was changed and nobody noticed", file, way);
    json_decref(root);
    temp_dir_remove(dir);
}

static void damage_is_noticed(void **state)
{
    static const struct {
        const char *file, *way;
    } cases[] = {
        {"schedulers.json", "schedulers/vp_linear/rows/5/dbeta"},
        {"schedulers.json", "schedulers/nd_cosine/rows/12/b_coef"},
        {"schedulers.json", "ddpm_discrete/rows/3/alpha"},
        {"targets.json", "cosine/3/u"},
        {"targets.json", "ve_karras/7/score"},
        {"targets.json", "condot/1/log_p_x_given_z"},
        {"fields_1d.json", "schedulers/condot/points/4/by_class/1/guided/3/u"},
        {"fields_1d.json", "schedulers/cosine/points/19/eps"},
        {"fields_1d.json", "schedulers/vp_linear/edge/3/score"},
        {"fields_1d.json", "schedulers/ve_karras/tail/1/log_p"},
        {"fields_1d.json", "schedulers/condot/points/2/by_class/0/grad_log_posterior"},
        {"fields_1d.json", "schedulers/condot/points/2/by_class/0/posterior"},
        {"ode_1d.json", "runs/7/x1"},
        {"ode_2d.json", "runs/11/log_p0"},
        {"steps_1d.json", "runs/2/results/1/x1"},
        {"steps_2d.json", "runs/36/results/4/x1"},
        {"gaussian_guidance.json", "rows/3/sde/0/var"},
        {"gaussian_guidance.json", "rows/9/tilted_mean"},
        {"gaussian_guidance.json", "rows/4/ode_var_closed"},
        {"loss_floor.json", "rows/0/uncond/score"},
        {"loss_floor.json", "rows/5/dropped/2/u"},
        {"loss_floor.json", "single_gaussian/1/u"},
        {"general_path.json", "rows/6/by_class/1/guided/4/u"},
        {"general_path.json", "rows/2/by_class/0/posterior"},
        {"samplers/gmm1d.json", "paths/linear/probe/velocity"},
        {"samplers/gmm1d.json", "paths/vp/fixed_step/rk4/8"},
        {"samplers/gmm1d.json", "paths/gvp/ode_end"},
        {"samplers/gmm1d.json", "paths/gvp/dopri5/1/rejected"},
        {"samplers/gmm2d.json", "paths/linear/dopri5/0/end"},
        {"samplers/gmm2d.json", "cov_t1"},
        {"samplers/schedules.json", "shift/out/3"},
        {"samplers/schedules.json", "karras_rho7/18"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        damage(cases[i].file, cases[i].way, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_numbers),
        cmocka_unit_test(shared_numbers),
        cmocka_unit_test(damage_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
