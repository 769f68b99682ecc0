/*
 * test_api_lab.c - laboratories as a stranger's program sees them: studies, findings, laws, words
 */
#include "imgen.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Run a study with flags; *out is freed by the caller. */
static enum imgen_status run(struct imgen_findings **out, const char *name, int argc, char **argv,
                             imgen_study_callback *callback, struct imgen_error *err)
{
    struct imgen_study study;
    enum imgen_status st;
    void *config;
    int i = 0, n_words;

    while (imgen_study_at(i, &study) && strcmp(study.name, name) != 0)
        i++;
    config = calloc(1, study.bytes);
    assert_int_equal(imgen_options_read(study.rows, config, NULL, argc, argv, &n_words, err),
                     IMGEN_OK);
    st = imgen_study_run(out, name, config, 2, callback, NULL, err);
    imgen_options_release(study.rows, config);
    free(config);
    return st;
}

static int stop_at_once(double done, void *user)
{
    (void)user;
    assert_true(done >= 0 && done <= 1);
    return 0;
}

static void studies_leave_numbers_and_a_figure(void **state)
{
    char *argv[] = {(char[]){"x"}, (char[]){"--points=50"}, (char[]){"--steps=4"}, NULL};
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct imgen_findings *found;
    struct imgen_finding value;
    struct imgen_table table;
    struct imgen_error err;
    int n = 0;

    (void)state;
    temp_dir_new(dir);
    temp_path(path, dir, "ode.svg");
    assert_int_equal(run(&found, "ode", 3, argv, NULL, &err), IMGEN_OK);
    for (; imgen_findings_value(found, n, &value); n++)
        assert_true(*value.name && isfinite(value.value));
    assert_int_equal(n, 6);
    assert_int_equal(imgen_findings_table(found, 0, &table), 0);
    assert_int_equal(imgen_findings_value(found, -1, &value), 0);
    assert_non_null(strstr(imgen_findings_config(found), "\"points\":50"));
    assert_int_equal(imgen_findings_draw(found, path, 1, &err), IMGEN_OK);
    assert_int_equal(imgen_findings_draw(found, "ode.gif", 1, &err), IMGEN_E_ARG);
    assert_int_equal(imgen_plot_check("ode.gif", 1, &err), IMGEN_E_ARG);
    assert_int_equal(imgen_plot_check("ode.png", 1, &err), IMGEN_OK);
    imgen_findings_free(found);
    imgen_findings_free(NULL);
    assert_int_equal(run(&found, "sde", 3, argv, stop_at_once, &err), IMGEN_E_CANCELLED);
    assert_null(found);
    assert_int_equal(imgen_study_run(&found, "odd", NULL, 1, NULL, NULL, &err), IMGEN_E_ARG);
    temp_dir_remove(dir);
}

static void a_law_gives_points_and_fields(void **state)
{
    struct imgen_law *law = NULL;
    struct imgen_law_fields v;
    struct imgen_law_path path;
    struct imgen_error err;
    double x[200], y[200], d;
    int32_t label[100];

    (void)state;
    assert_int_equal(imgen_law_open(&law, "ring", "cosine", &err), IMGEN_OK);
    assert_int_equal(imgen_law_labels(law), 4);
    assert_int_equal(imgen_law_sample(law, 0.6, -1, 3, 100, x, label, &err), IMGEN_OK);
    assert_int_equal(imgen_law_sample(law, 0.6, -1, 3, 50, y, NULL, &err), IMGEN_OK);
    assert_memory_equal(x, y, 100 * sizeof *x); /* a larger cloud begins with the smaller one */
    imgen_law_path(law, 0.6, &path);
    for (int i = 0; i < 100; i++) {
        assert_true(label[i] >= 0 && label[i] < 4);
        assert_int_equal(imgen_law_fields(law, 0.6, x + 2 * i, label[i], &v, &err), IMGEN_OK);
        for (int k = 0; k < 2; k++) {
            assert_true(fabs(path.alpha * v.data[k] + path.beta * v.noise[k] - x[2 * i + k]) <
                        1e-9);
            assert_true(fabs(path.dalpha * v.data[k] + path.dbeta * v.noise[k] - v.velocity[k]) <
                        1e-9);
            assert_true(fabs(v.score[k] + v.noise[k] / path.beta) < 1e-9);
        }
    }
    assert_int_equal(imgen_cloud_distance(&d, x, x, 100, &err), IMGEN_OK);
    assert_true(d == 0);
    assert_int_equal(imgen_law_fields(law, 0.6, x, 4, &v, &err), IMGEN_E_ARG);
    assert_int_equal(imgen_law_fields(law, 1.6, x, 0, &v, &err), IMGEN_E_ARG);
    assert_int_equal(imgen_law_sample(law, (double)NAN, -1, 3, 50, y, NULL, &err), IMGEN_E_ARG);
    imgen_law_close(law);
    imgen_law_close(NULL);
    assert_int_equal(imgen_law_open(&law, "ring", "cosin", &err), IMGEN_E_ARG);
    assert_null(law);
    assert_int_equal(imgen_law_open(&law, "rings", "cosine", &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "ring"));
}

static void words_are_drawn_inside_the_picture(void **state)
{
    enum { WIDTH = 60, HEIGHT = 20 };
    uint8_t pixels[HEIGHT * WIDTH * 3];
    struct imgen_image image = {HEIGHT, WIDTH, 3, pixels};
    int dark = 0;

    (void)state;
    memset(pixels, 255, sizeof pixels);
    assert_int_equal(imgen_text_draw(&image, 3, 16, 14, 0, "w = 1", NULL), IMGEN_OK);
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        dark += pixels[3 * i] < 128;
    assert_true(dark > 20 && dark < 200);
    assert_true(imgen_text_width("w = 1", 14) > 20 && imgen_text_width("w = 1", 14) < 50);
    assert_true(imgen_text_width("a_b^c", 10) >
                imgen_text_width("abc", 10) + 9); /* signs, no markup */
    assert_int_equal(imgen_text_draw(&image, -500, 400, 14, 0, "outside", NULL), IMGEN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(studies_leave_numbers_and_a_figure),
        cmocka_unit_test(a_law_gives_points_and_fields),
        cmocka_unit_test(words_are_drawn_inside_the_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
