/*
 * test_law.c - laws of the plane: exact fields of boards, files of mixtures, pictures as points
 */
#include "base/memory.h"
#include "lab/cloud.h"
#include "lab/law_file.h"
#include "lab/law_picture.h"
#include "support/mixtures.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Boards ---- */

/* log p and posterior mean of a board by the midpoint rule over n x n points of each cell. */
static void by_quadrature(double *log_p, double z[2], const struct board *b,
                          const struct path_coefs *c, const double x[2], int32_t y, int n)
{
    const double *weight = y < 0 ? b->total : b->weight + y * b->rows * b->columns;
    double sum = 0, prior = 0;

    z[0] = z[1] = 0;
    for (int i = 0; i < b->rows * b->columns; i++) {
        prior += weight[i];
        for (int k = 0; k < n * n; k++) {
            double zx = b->left + (i % b->columns + (k % n + 0.5) / n) * b->cell;
            double zy = b->bottom + (i / b->columns + (k / n + 0.5) / n) * b->cell;
            double dx = x[0] - c->alpha * zx, dy = x[1] - c->alpha * zy;
            double p = weight[i] * exp(-0.5 * (dx * dx + dy * dy) / (c->beta * c->beta)) / (n * n) /
                       (2 * 3.14159265358979323846 * c->beta * c->beta);

            sum += p;
            z[0] += p * zx;
            z[1] += p * zy;
        }
    }
    *log_p = log(sum / prior);
    z[0] /= sum;
    z[1] /= sum;
}

static void test_board_fields(void **state)
{
    static const double at[][2] = {{0.3, -0.2}, {-1.7, 1.1}, {2.4, 2.6}, {0, 0}};
    struct law l;

    (void)state;
    assert_int_equal(law_open(&l, "checkerboard", NULL), OK);
    for (int k = 0; k < N_PATHS; k++)
        for (double t = 0.02; t < 0.95; t += 0.155)
            for (int i = 0; i < 4; i++)
                for (int32_t y = -1; y < 2; y++) {
                    struct path path = path_number(k);
                    struct path_coefs c = path_at(&path, t);
                    struct mixture_value v;
                    double log_p, z[2];

                    if (c.beta > 20 || c.beta < 0.04)
                        continue;
                    assert_int_equal(law_at(&v, &l, &c, at[i], y, NULL), OK);
                    by_quadrature(&log_p, z, &l.board, &c, at[i], y, 60);
                    if (log_p > -12) { /* the midpoint rule has no tails */
                        near(v.log_p, log_p, 2e-3, "log p of a board");
                        near(v.z[0], z[0], 2e-3, "z of a board");
                        near(v.z[1], z[1], 2e-3, "z of a board");
                    }
                    for (int d = 0; d < 2; d++) {
                        near(c.alpha * v.z[d] + c.beta * v.eps[d], at[i][d], 1e-9, "x from parts");
                        near(v.s[d], -v.eps[d] / c.beta, 1e-9, "score from noise");
                    }
                }
    law_release(&l);
}

/* The score by differences, through all three formulas of a cell and far outside. */
static void test_board_score(void **state)
{
    struct path path = path_named("condot");
    struct law l;

    (void)state;
    assert_int_equal(law_open(&l, "checkerboard", NULL), OK);
    for (double t = 0; t < 0.999; t += 0.037)
        for (double far = 0.1; far < 70; far *= 2.6) {
            struct path_coefs c = path_at(&path, t);
            double h = 1e-4 * c.beta, x[2] = {far, -0.7 * far};
            struct mixture_value v, up, down;

            assert_int_equal(law_at(&v, &l, &c, x, LAW_ANY, NULL), OK);
            assert_true(isfinite(v.log_p) && isfinite(v.s[0]) && isfinite(v.u[1]));
            x[0] += h;
            assert_int_equal(law_at(&up, &l, &c, x, LAW_ANY, NULL), OK);
            x[0] -= 2 * h;
            assert_int_equal(law_at(&down, &l, &c, x, LAW_ANY, NULL), OK);
            near((up.log_p - down.log_p) / (2 * h) * c.beta, v.s[0] * c.beta, 2e-5,
                 "score of a board by differences");
        }
    law_release(&l);
}

/* Narrow cells have a formula of their own: no jump where it takes over, at alpha / beta = 1e-3. */
static void test_board_narrow(void **state)
{
    static const double t[] = {0.000985, 0.000995, 0.001005, 0.001015};
    struct path path = path_named("condot");
    struct law l;
    double z[4], log_p[4];

    (void)state;
    assert_int_equal(law_open(&l, "checkerboard", NULL), OK);
    for (int k = 0; k < 4; k++) {
        struct path_coefs c = path_at(&path, t[k]);
        struct mixture_value v;

        assert_int_equal(law_at(&v, &l, &c, (const double[]){0.3, -0.4}, 1, NULL), OK);
        z[k] = v.z[0];
        log_p[k] = v.log_p;
    }
    assert_true(fabs((z[2] - z[1]) - (z[1] - z[0])) < 1e-8);
    assert_true(fabs((z[3] - z[2]) - (z[2] - z[1])) < 1e-8);
    assert_true(fabs((log_p[2] - log_p[1]) - (log_p[1] - log_p[0])) < 1e-7);
    law_release(&l);
}

static void test_board_ends(void **state)
{
    struct path path = path_named("condot");
    struct path_coefs start = path_at(&path, 0), end = path_at(&path, 1);
    const double x[2] = {0.5, 0.5}, off[2] = {0.5, 5};
    struct mixture_value v;
    double mean[2], cov[4];
    struct law l;

    (void)state;
    assert_int_equal(law_open(&l, "checkerboard", NULL), OK);
    law_moments(mean, cov, &l, &(struct path_coefs){.alpha = 1}, 0);
    assert_int_equal(law_at(&v, &l, &start, x, 0, NULL), OK);
    near(v.z[0], mean[0], 1e-12, "at noise nothing is known but the mean");
    near(v.log_p, -0.25 - log(2 * 3.14159265358979323846), 1e-12, "noise is normal");
    assert_int_equal(law_at(&v, &l, &end, x, LAW_ANY, NULL), OK);
    assert_true(v.log_p == (double)-INFINITY || fabs(v.log_p + log(8)) < 1e-12);
    assert_int_equal(law_at(&v, &l, &end, (const double[]){-0.5, 0.5}, LAW_ANY, NULL), OK);
    near(v.log_p, -log(8), 1e-12, "eight cells of area 1");
    assert_true(v.s[0] == 0 && v.z[0] == -0.5);
    assert_int_equal(law_at(&v, &l, &end, off, LAW_ANY, NULL), OK);
    assert_true(v.log_p == (double)-INFINITY);
    law_release(&l);
}

/* ---- Laws that are built in ---- */

static void test_built_in(void **state)
{
    enum { N = 20000 };
    double *x = malloc(2 * N * sizeof *x);
    int32_t *label = malloc(N * sizeof *label);
    const struct path_coefs data = {.alpha = 1};
    struct error err = {0};
    struct law l;

    (void)state;
    for (int k = 0; law_kind_at(k); k++) {
        double total = 0, mean[2], cov[4], found[2] = {0};

        assert_int_equal(law_open(&l, law_kind_at(k)->is.name, NULL), OK);
        for (int32_t y = 0; y < l.n_labels; y++)
            total += law_prior(&l, y);
        near(total, 1, 1e-12, "priors");
        cloud_draw(x, label, N, &l, LAW_ANY, 7, CLOUD_DATA, 0);
        law_moments(mean, cov, &l, &data, LAW_ANY);
        for (int i = 0; i < N; i++) {
            assert_true(label[i] >= 0 && label[i] < l.n_labels);
            assert_true(fabs(x[2 * i]) < 1.5 * l.reach && fabs(x[2 * i + 1]) < 1.5 * l.reach);
            found[0] += x[2 * i] / N;
            found[1] += x[2 * i + 1] / N;
        }
        assert_true(fabs(found[0] - mean[0]) < 5 * sqrt(cov[0] / N));
        assert_true(fabs(found[1] - mean[1]) < 5 * sqrt(cov[3] / N));
        assert_int_equal(law_check_label(&l, l.n_labels, &err), E_ARG);
        law_release(&l);
    }
    assert_int_equal(law_open(&l, "mons", &err), E_ARG);
    assert_non_null(strstr(err.text, "moons"));
    law_release(&l);
    free(x);
    free(label);
}

/* A law as a predictor gives the law's own numbers, on any number of threads. */
static void test_oracle(void **state)
{
    enum { N = 200 };
    double x[2 * N], out[2][4 * N];
    int32_t label[N];
    struct law l;

    (void)state;
    assert_int_equal(law_open(&l, "petals", NULL), OK);
    cloud_draw(x, label, N, &l, LAW_ANY, 1, CLOUD_DATA, 0);
    for (int threads = 1; threads <= 3; threads += 2) {
        struct law_oracle o = {&l, path_named("cosine"), PREDICT_NOISE, label, N, threads};
        struct predictor p = predictor_of_law(&o);

        assert_int_equal(p.predict(p.self, out[threads / 2], x, 0.4, BRANCH_BOTH, NULL), OK);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    for (int i = 0; i < N; i++) {
        struct path path = path_named("cosine");
        struct path_coefs c = path_at(&path, 0.4);
        struct mixture_value v;

        assert_int_equal(law_at(&v, &l, &c, x + 2 * i, label[i], NULL), OK);
        assert_true(out[0][2 * N + 2 * i] == v.eps[0]);
    }
    label[3] = 9;
    {
        struct law_oracle o = {&l, path_named("cosine"), PREDICT_NOISE, label, N, 2};
        struct predictor p = predictor_of_law(&o);

        assert_int_equal(p.predict(p.self, out[0], x, 0.4, BRANCH_GUIDED, NULL), E_ARG);
    }
    law_release(&l);
}

/* ---- Files ---- */

static const char good_ini[] = "; two islands\n"
                               "[left]\n"
                               "mean = -1, 0.5\n"
                               "std = 0.4\n"
                               "weight = 3\n"
                               "[right]\n"
                               "mean = 1, 0\n"
                               "cov = 0.3, 0.1, 0.2\n"
                               "label = 1\n";
static const char good_json[] = "{\"parts\": [{\"mean\": [-1, 0.5], \"std\": 0.4, \"weight\": 3},"
                                " {\"mean\": [1, 0], \"cov\": [0.3, 0.1, 0.2], \"label\": 1}]}";

static void test_files(void **state)
{
    static const char *const names[] = {"l.ini", "l.JSON"}, *const texts[] = {good_ini, good_json};

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct law l = {0};
        double mean[2], cov[4];

        assert_int_equal(law_read_text(&l, names[k], texts[k], strlen(texts[k]), NULL), OK);
        assert_int_equal(l.n_labels, 2);
        near(law_prior(&l, 0), 0.75, 1e-12, "prior");
        law_moments(mean, cov, &l, &(struct path_coefs){.alpha = 1}, 1);
        near(cov[1], 0.1, 1e-12, "covariance");
        law_moments(mean, cov, &l, &(struct path_coefs){.alpha = 1}, 0);
        near(cov[3], 0.16, 1e-12, "variance");
        law_release(&l);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *name, *text, *says;
    } cases[] = {
        {"a.ini", "", "no part"},
        {"a.ini", "mean = 1, 2\n", "before the first"},
        {"a.ini", "[a]\nmean = 1\nstd = 1\n", "2 numbers"},
        {"a.ini", "[a]\nmean = 1, 2, 3\nstd = 1\n", "2 numbers"},
        {"a.ini", "[a]\nmean = 1, x\nstd = 1\n", "2 numbers"},
        {"a.ini", "[a]\nmean = 1, 2\n", "std and cov"},
        {"a.ini", "[a]\nmean = 1, 2\nstd = 1\ncov = 1, 0, 1\n", "std and cov"},
        {"a.ini", "[a]\nmean = 1, 2\nstd = 0\n", "deviations"},
        {"a.ini", "[a]\nmean = 1, 2\nstd = -1\n", "deviations"},
        {"a.ini", "[a]\nmean = 1, 2\ncov = 1, 2, 1\n", "deviations"},
        {"a.ini", "[a]\nmean = 1000, 2\nstd = 1\n", "outside"},
        {"a.ini", "[a]\nmean = 1, 2\nstd = 1\nweight = 0\n", "positive"},
        {"a.ini", "[a]\nmean = 1, 2\nstd = 1\nlabel = 16\n", "label"},
        {"a.ini", "[a]\nmean = 1, 2\nstd = 1\nlabel = 0.5\n", "label"},
        {"a.ini", "[a]\nmaen = 1, 2\n", "did you mean 'mean'"},
        {"a.json", "{}", "parts"},
        {"a.json", "[1]", "parts"},
        {"a.json", "{\"parts\": [1]}", "no object"},
        {"a.json", "{\"parts\": []}", "no part"},
        {"a.json", "{\"parts\": [{\"mean\": [1, \"2\"], \"std\": 1}]}", "no number"},
        {"a.json", "{\"parts\": [{\"mean\": 1, \"std\": 1}]}", "2 numbers"},
        {"a.json", "{\"parts\": [{\"mean\": [1e308, 0], \"std\": 1}]}", "holds"},
        {"a.json", "{\"parts\": [{\"mean\": [1, 0], \"std\": 1}]", "a.json"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct law l = {0};
        struct error err = {0};
        enum status st =
            law_read_text(&l, cases[i].name, cases[i].text, strlen(cases[i].text), &err);

        if (st != E_FORMAT || !strstr(err.text, cases[i].says) || !strstr(err.text, "a."))
            fail_msg("case %zu: %d %s", i, (int)st, err.text);
        law_release(&l);
    }
}

/* Good files with bytes changed, cut and doubled: refused or read, never more. */
static void test_damaged(void **state)
{
    struct rng r = rng_stream(3, RNG_TEST, 0);
    char text[1024];

    (void)state;
    for (int i = 0; i < 6000; i++) {
        const char *from = i % 2 ? good_json : good_ini;
        size_t n = strlen(from), at = (size_t)rng_below(&r, n);
        struct law l = {0};
        struct error err = {0};

        memcpy(text, from, n);
        for (uint64_t k = rng_below(&r, 4); k > 0; k--)
            text[rng_below(&r, n)] = (char)rng_below(&r, 256);
        if (i % 5 == 0)
            n = at;
        if (i % 7 == 0) {
            memmove(text + at, text, n - at < n ? n - at : 0);
        }
        if (!law_read_text(&l, i % 2 ? "d.json" : "d.ini", text, n, &err)) {
            struct path_coefs c = {.alpha = 0.5, .beta = 0.5};
            struct mixture_value v;

            assert_int_equal(law_at(&v, &l, &c, (const double[]){0, 0}, LAW_ANY, NULL), OK);
        } else {
            assert_true(err.text[0]);
        }
        law_release(&l);
    }
}

/* ---- Pictures ---- */

static void test_pictures(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct image im;
    struct error err = {0};
    double mean[2], cov[4];
    struct law l;

    (void)state;
    temp_dir_new(dir);
    temp_path(path, dir, "ink.png");
    assert_int_equal(image_init(&im, 100, 200, 3, NULL), OK);
    memset(im.pixels, 255, 100 * 200 * 3);
    assert_int_equal(png_write(path, &im, NULL, 0, NULL), OK);
    assert_int_equal(law_open(&l, path, &err), E_ARG);
    assert_non_null(strstr(err.text, "darker"));
    law_release(&l);
    for (int64_t y = 0; y < 50; y++) /* the upper left quarter is black */
        memset(im.pixels + y * 600, 0, 300);
    assert_int_equal(png_write(path, &im, NULL, 0, NULL), OK);
    assert_int_equal(law_open(&l, path, NULL), OK);
    assert_int_equal(l.board.columns, 64);
    assert_int_equal(l.board.rows, 32);
    law_moments(mean, cov, &l, &(struct path_coefs){.alpha = 1}, LAW_ANY);
    near(mean[0], -1, 1e-9, "ink from left");
    near(mean[1], 0.5, 1e-9, "ink from below");
    near(law_prior(&l, 0), 0.5, 1e-9, "half of the ink");
    law_moments(mean, cov, &l, &(struct path_coefs){.alpha = 1}, 0);
    near(mean[0], -1.5, 1e-9, "the left half");
    law_release(&l);
    image_release(&im);
    temp_path(path, dir, "missing.png");
    assert_int_equal(law_open(&l, path, &err), E_IO);
    law_release(&l);
    temp_path(path, dir, "none.json");
    assert_int_equal(law_open(&l, path, &err), E_IO);
    law_release(&l);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_board_fields), cmocka_unit_test(test_board_score),
        cmocka_unit_test(test_board_ends),   cmocka_unit_test(test_board_narrow),
        cmocka_unit_test(test_built_in),     cmocka_unit_test(test_oracle),
        cmocka_unit_test(test_files),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged),      cmocka_unit_test(test_pictures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
