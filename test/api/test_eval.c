/*
 * test_eval.c - measuring as a stranger's program does it: what goes together, and what is refused
 *
 * Only imgen.h is used.  A classifier of shapes, trained for a few steps, gives the features.
 */
#include "imgen.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, LENGTH = SIDE * SIDE * 3, N = 120, M = 260, LABELS = 48, ROWS = 32 };

static const char config[] = "[data]\nformat = shapes\nsize = 16\n"
                             "[model]\nnetwork = cnn\n"
                             "[cnn]\nwidth = 4\nmult = 1,2,4\nblocks = 1\ngroups = 4\n"
                             "[train]\nsteps = 4\nbatch = 8\nwarmup = 0\neval_count = 10\n";

static char folder[TEMP_PATH], network[TEMP_PATH], statistics[TEMP_PATH];
static struct imgen_features *features;
static const char *names[LABELS];
static uint8_t ours[N * LENGTH], theirs[M * LENGTH];
static int our_label[N], their_label[M];
static struct imgen_data *data;

static void train(const char *name, const char *seed)
{
    char out[TEMP_PATH + 16], path[TEMP_PATH];
    const char *settings[] = {out, seed};
    struct imgen_training t = {
        .config_text = config, .settings = settings, .n_settings = 2, .threads = 2};

    snprintf(out, sizeof out, "train.out=%s", temp_path(path, folder, name));
    assert_int_equal(imgen_train(&t, NULL), IMGEN_OK);
}

static int set_up(void **state)
{
    struct imgen_training t = {.config_text = config};
    struct imgen_data *held_out;
    int64_t number[M];

    (void)state;
    temp_dir_new(folder);
    train("a", "train.seed=1");
    train("b", "train.seed=2");
    temp_path(network, folder, "a/model.safetensors");
    temp_path(statistics, folder, "statistics.safetensors");
    assert_int_equal(imgen_features_open(&features, network, NULL, NULL), IMGEN_OK);
    assert_int_equal(imgen_data_open(&data, &t, NULL), IMGEN_OK);
    assert_int_equal(imgen_data_open_held_out(&held_out, &t, NULL), IMGEN_OK);
    for (int i = 0; i < LABELS; i++)
        names[i] = imgen_data_label(data, i);
    assert_int_equal(imgen_data_draw(held_out, 3, N, ours, our_label, number, NULL), IMGEN_OK);
    assert_int_equal(imgen_data_draw(data, 3, M, theirs, their_label, number, NULL), IMGEN_OK);
    assert_int_equal(number[5], 5);
    assert_memory_not_equal(ours, theirs, LENGTH);
    imgen_data_close(held_out);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    imgen_features_close(features);
    imgen_data_close(data);
    temp_dir_remove(folder);
    return 0;
}

static struct imgen_measuring everything(void)
{
    struct imgen_measuring m;

    imgen_measuring_init(&m);
    m.pictures = (struct imgen_pictures){N, SIDE, SIDE, 3, ours, our_label, LABELS, names, 0};
    m.reference = (struct imgen_pictures){M, SIDE, SIDE, 3, theirs, their_label, LABELS, names, 0};
    m.features = features;
    m.subsets = 5;
    m.projections = 64;
    m.threads = 2;
    return m;
}

struct rows {
    struct imgen_measure_row at[ROWS];
    char lacks[ROWS][256];
    int n, stop_at;
};

static int keep(const struct imgen_measure_row *row, void *user)
{
    struct rows *r = user;

    assert_true(r->n < ROWS);
    r->at[r->n] = *row;
    snprintf(r->lacks[r->n], sizeof r->lacks[0], "%s", row->lacks ? row->lacks : "");
    r->n++;
    return !r->stop_at || r->n < r->stop_at;
}

static const struct imgen_measure_row *find(const struct rows *r, const char *name)
{
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->at[i].name, name))
            return &r->at[i];
    return NULL;
}

static void measure(struct rows *r, const struct imgen_measuring *m,
                    struct imgen_neighbour *nearest)
{
    struct imgen_measured out;
    struct imgen_error err;

    memset(r, 0, sizeof *r);
    if (imgen_measure(m, &out, nearest, keep, r, &err))
        fail_msg("%s", err.text);
}

static void same_figures(const struct rows *a, const struct rows *b, const char *measure_name)
{
    for (int i = 0; i < a->n; i++) {
        const struct imgen_measure_row *row = find(b, a->at[i].name);

        if (measure_name && strcmp(a->at[i].measure, measure_name) != 0)
            continue;
        assert_non_null(row);
        assert_memory_equal(&row->value, &a->at[i].value, sizeof row->value);
        assert_memory_equal(&row->deviation, &a->at[i].deviation, sizeof row->deviation);
    }
}

/* Everything at once; then the same bits on other numbers of threads. */
static void test_everything(void **state)
{
    static const char *const wanted[] = {"frechet",    "frechet_floor", "kid",     "precision",
                                         "recall",     "sliced",        "wavelet", "nearest",
                                         "remembered", "obedience",     "unclear"};
    struct imgen_measuring m = everything();
    struct imgen_neighbour nearest[N];
    struct rows first, other;

    (void)state;
    memcpy(ours + 7 * LENGTH, theirs + 31 * LENGTH, LENGTH);
    measure(&first, &m, nearest);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_non_null(find(&first, wanted[i]));
        assert_null(find(&first, wanted[i])->lacks);
        assert_true(isfinite(find(&first, wanted[i])->value));
    }
    assert_int_equal(nearest[7].first, 31);
    assert_true(nearest[7].distance <= 0 && nearest[7].second > 0);
    assert_true(nearest[8].distance > 0);
    assert_true(find(&first, "obedience")->value > 0.9); /* by the exact checker */
    for (int threads = 1; threads <= 4; threads++) {
        m.threads = threads;
        measure(&other, &m, NULL);
        assert_int_equal(other.n, first.n);
        same_figures(&first, &other, NULL);
    }
}

/* A set against itself. */
static void test_itself(void **state)
{
    struct imgen_measuring m = everything();
    struct rows r;

    (void)state;
    m.pictures = m.reference;
    measure(&r, &m, NULL);
    assert_true(fabs(find(&r, "frechet")->value) < 1e-6);
    assert_true(find(&r, "precision")->value >= 1 && find(&r, "recall")->value >= 1);
    assert_true(find(&r, "sliced")->value <= 0);
    assert_true(find(&r, "remembered")->value >= 1);
    assert_non_null(strstr(r.lacks[find(&r, "psnr") - r.at], "pairs"));
    m.paired = 1;
    measure(&r, &m, NULL);
    assert_true(isinf(find(&r, "psnr")->value));
    assert_true(fabs(find(&r, "ssim")->value - 1) < 1e-12);
}

/* Features from a file give the figures that the pictures gave. */
static void test_statistics(void **state)
{
    struct imgen_measuring m = everything();
    struct imgen_measured out;
    struct rows first, other = {0};

    (void)state;
    m.save = statistics;
    m.about = "shapes";
    measure(&first, &m, NULL);
    m.save = NULL;
    m.reference = (struct imgen_pictures){0};
    m.statistics = statistics;
    assert_int_equal(imgen_measure(&m, &out, NULL, keep, &other, NULL), IMGEN_OK);
    assert_int_equal(out.n_reference, M);
    assert_string_equal(out.about, "shapes");
    same_figures(&first, &other, "frechet");
    same_figures(&first, &other, "kid");
    same_figures(&first, &other, "precision");
    assert_non_null(find(&other, "sliced")->lacks);
    assert_non_null(strstr(other.lacks[find(&other, "sliced") - other.at], "statistics"));
}

/* What there is decides what can be taken. */
static void test_left_out(void **state)
{
    struct imgen_measuring m = everything();
    struct rows r;

    (void)state;
    m.reference = (struct imgen_pictures){0};
    m.features = NULL;
    measure(&r, &m, NULL);
    assert_null(find(&r, "obedience")->lacks);
    assert_non_null(find(&r, "frechet")->lacks);
    assert_non_null(find(&r, "nearest")->lacks);
    m = everything();
    m.features = NULL;
    m.pictures.label = NULL;
    measure(&r, &m, NULL);
    assert_non_null(find(&r, "kid")->lacks);
    assert_null(find(&r, "sliced")->lacks);
    assert_non_null(find(&r, "obedience")->lacks);
    m = everything();
    m.pictures.n = 10; /* too few for the Gaussian of 16 features, enough for others */
    measure(&r, &m, NULL);
    assert_non_null(strstr(r.lacks[find(&r, "frechet") - r.at], "10 pictures"));
    assert_null(find(&r, "kid")->lacks);
}

static void refused(const struct imgen_measuring *m, const char *a, const char *b)
{
    struct imgen_measured out;
    struct rows r = {0};
    struct imgen_error err;

    assert_int_equal(imgen_measure(m, &out, NULL, keep, &r, &err), IMGEN_E_ARG);
    if (!strstr(err.text, a) || !strstr(err.text, b))
        fail_msg("'%s' names not both '%s' and '%s'", err.text, a, b);
}

static void test_refusals(void **state)
{
    struct imgen_measuring m = everything();
    struct imgen_features *other;
    char path[TEMP_PATH];

    (void)state;
    m.reference.width = 12;
    refused(&m, "16 x 16", "12 x 16");
    m = everything();
    m.pictures.height = m.reference.height = 8;
    refused(&m, "16 x 16", "16 x 8");
    m = everything();
    m.paired = 1;
    refused(&m, "no pairs", "of the reference");
    m = everything();
    m.pictures.n = 10;
    m.measures = "kid,frechet";
    refused(&m, "10 pictures", "17");
    m.measures = "kid, frechett";
    refused(&m, "frechett", "did you mean 'frechet'");
    m = everything();
    m.measures = "obedience";
    m.pictures.label = NULL;
    refused(&m, "obedience", "label");
    m = everything();
    m.pictures.n_labels = 10; /* of another set: no checker knows them, and the judge others */
    m.pictures.label = NULL;
    m.judge = features;
    m.statistics = statistics;
    refused(&m, "statistics", "not both");
    m = everything();
    m.pictures.label_names = names + 1;
    m.pictures.n_labels = 47;
    for (int i = 0; i < N; i++)
        our_label[i] %= 47;
    m.judge = features;
    refused(&m, "47 labels", "48");
    m = everything();
    temp_path(path, folder, "b/model.safetensors");
    assert_int_equal(imgen_features_open(&other, path, NULL, NULL), IMGEN_OK);
    m.reference = (struct imgen_pictures){0};
    m.statistics = statistics;
    m.features = other;
    refused(&m, "another feature network", "sha256");
    imgen_features_close(other);
    m = everything();
    our_label[3] = 48;
    refused(&m, "label 48", "48");
    our_label[3] = 0;
    m.save = statistics;
    m.features = NULL;
    refused(&m, "features", "saved");
}

static int stop(const char *what, int64_t done, int64_t n, void *user)
{
    (void)what;
    assert_true(done >= 0 && done <= n);
    return --*(int *)user > 0;
}

static void test_stops(void **state)
{
    struct imgen_measuring m = everything();
    struct imgen_measured out;
    struct rows r = {.stop_at = 2};
    int calls = 2;

    (void)state;
    assert_int_equal(imgen_measure(&m, &out, NULL, keep, &r, NULL), IMGEN_E_CANCELLED);
    assert_int_equal(r.n, 2);
    m.progress = stop;
    m.user = &calls;
    r = (struct rows){0};
    assert_int_equal(imgen_measure(&m, &out, NULL, keep, &r, NULL), IMGEN_E_CANCELLED);
    assert_int_equal(r.n, 0);
}

static void test_list(void **state)
{
    static const char *const want[] = {"frechet", "kid",    "precision", "sliced",  "wavelet",
                                       "nearest", "psnr",   "ssim",      "bicubic", "first_frame",
                                       "flicker", "joints", "obedience"};
    const int n = (int)(sizeof want / sizeof *want);
    struct imgen_choice c;

    (void)state;
    for (int i = 0; i < n; i++) {
        assert_true(imgen_list(IMGEN_MEASURES, i, &c));
        assert_string_equal(c.name, want[i]);
        assert_true(*c.summary);
    }
    assert_false(imgen_list(IMGEN_MEASURES, n, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything), cmocka_unit_test(test_itself),
        cmocka_unit_test(test_statistics), cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_stops),
        cmocka_unit_test(test_list),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
