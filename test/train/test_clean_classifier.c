/*
 * test_clean_classifier.c - a classifier of clean pictures: it sees no noise, learns, and guides
 * nobody
 */
#include "train/trainer.h"

#include "base/file.h"
#include "diffusion/loss.h"
#include "model/cnn.h"
#include "pipeline/guide.h"
#include "support/runs.h"
#include "support/says.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char config[] = "[data]\nformat = shapes\nsize = 16\n"
                             "[model]\nnetwork = cnn\n"
                             "[cnn]\nwidth = 8\nmult = 1,2,4\nblocks = 1\ngroups = 4\n"
                             "[train]\nbatch = 32\nwarmup = 5\nlearning_rate = 0.01\nema = 0.9\n"
                             "eval_count = 100\n";

struct seen {
    double first, last, accuracy;
    int evaluated;
};

static bool watch(const struct train_event *e, void *user)
{
    struct seen *s = user;

    if (e->kind == TRAIN_STEP && e->step == 1)
        s->first = e->loss;
    if (e->kind == TRAIN_STEP)
        s->last = e->mean_loss;
    if (e->kind == TRAIN_EVALUATED) {
        s->evaluated++;
        s->accuracy = e->evaluated->right;
        assert_true(isfinite(e->loss) && e->loss > 0);
    }
    return true;
}

/* more: further settings, ending with NULL. */
static enum status train(const char *folder, int threads, const char *const *more,
                         struct seen *seen, struct error *err)
{
    struct train_request r = {.threads = threads, .callback = watch, .user = seen};
    char out[TEMP_PATH + 16];
    const char *settings[17] = {out};
    int n = 1;

    snprintf(out, sizeof out, "train.out=%s", folder);
    for (; more && more[n - 1]; n++)
        settings[n] = more[n - 1];
    return run_text(r, config, settings, err);
}

/* The share that a saved model gets right of the 100 pictures of another seed that it was held
 * against. */
static double judged(const struct model *m)
{
    struct dataset_config held_out = {.format = "shapes", .size = 16, .seed = 1};
    static float pixels[100 * 16 * 16 * 3], logits[100 * 48];
    char caption[CAPTION_TEXT];
    struct dataset *d;
    struct graph *g;
    struct tensor *y;
    int32_t label[100];
    int right = 0;

    assert_int_equal(dataset_open(&d, &held_out, NULL), OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(dataset_get(d, i, pixels + i * 16 * 16 * 3, &label[i], caption, NULL), OK);
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    y = cnn_forward(g, m->network, graph_input(g, SHAPE(100, 16, 16, 3), pixels), NULL);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, logits);
    for (int i = 0; i < 100; i++) {
        int best = 0;

        for (int k = 1; k < 48; k++)
            best = logits[i * 48 + k] > logits[i * 48 + best] ? k : best;
        right += best == label[i];
    }
    graph_free(g);
    dataset_close(d);
    return right / 100.0;
}

static void test_learns(void **state)
{
    const char *more[] = {"train.steps=80", "train.eval_every=40", NULL};
    char folder[TEMP_PATH], path[TEMP_PATH];
    struct seen s = {0};
    struct model *m;

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(folder, 2, more, &s, NULL), OK);
    /* 48 classes that are equally likely: log 48 at first. */
    assert_true(fabs(s.first - log(48)) < 0.6);
    assert_true(s.last < 0.8 * s.first);
    assert_int_equal(s.evaluated, 2);
    assert_true(s.accuracy > 4.0 / 48);
    assert_int_equal(model_load(&m, temp_path(path, folder, "model.safetensors"), NULL), OK);
    assert_true(m->network->kind == &network_cnn);
    assert_int_equal(m->step, 80);
    assert_true(fabs(judged(m) - s.accuracy) < 1e-9);
    assert_non_null(strstr(m->about, "of 100 held-out pictures right"));
    assert_string_equal(m->labels[0], "red circle");
    model_free(m);
    temp_dir_remove(folder);
}

static void test_threads(void **state)
{
    const char *more[] = {"train.steps=4", NULL};
    char folder[TEMP_PATH], path[TEMP_PATH];
    uint8_t *first = NULL, *bytes;
    uint64_t n_first = 0, n;
    struct seen s = {0};

    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        temp_dir_new(folder);
        assert_int_equal(train(folder, threads, more, &s, NULL), OK);
        temp_path(path, folder, "model.safetensors");
        assert_int_equal(file_read(&bytes, &n, path, 1 << 24, NULL), OK);
        if (first) {
            assert_int_equal(n, n_first);
            assert_memory_equal(bytes, first, n);
            free(bytes);
        } else {
            first = bytes;
            n_first = n;
        }
        temp_dir_remove(folder);
    }
    free(first);
}

/* What it is shown is the picture itself, whatever the seed; labels stay. */
static void test_no_noise(void **state)
{
    enum { ROWS = 3, LENGTH = 40 };
    static const int32_t label[ROWS] = {4, 0, 7};
    struct flow_task task = {.clean = true, .null_label = -1, .seed = 9, .eta = 0.9};
    struct flow_batch b;
    float z[ROWS * LENGTH];

    (void)state;
    for (int i = 0; i < ROWS * LENGTH; i++)
        z[i] = (float)i / 64 - 1;
    assert_int_equal(path_init(&task.path, "condot", NULL), OK);
    assert_int_equal(time_init(&task.time, "uniform", NULL), OK);
    assert_int_equal(flow_batch_init(&b, ROWS, LENGTH, NULL), OK);
    assert_int_equal(flow_batch_draw(&b, &task, z, label, 17, NULL), OK);
    assert_memory_equal(b.x, z, sizeof z);
    assert_memory_equal(b.label, label, sizeof label);
    assert_true(b.t[0] >= 1 && b.t[1] >= 1 && b.t[2] >= 1);
    flow_batch_release(&b);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *setting, *says;
    } cases[] = {{"cnn.groups=5", "groups"}, {"cnn.mult=1,1,1,1,1,1", "halved 5 times"}};
    char folder[TEMP_PATH];
    struct seen s = {0};

    (void)state;
    temp_dir_new(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *more[] = {cases[i].setting, NULL};
        struct error err = {0};

        assert_int_equal(train(folder, 1, more, &s, &err), E_ARG);
        assert_says(err.text, cases[i].says);
    }
    temp_dir_remove(folder);
}

/* It knows nothing of noise, so nobody is guided by it. */
static void test_guides_nobody(void **state)
{
    static const char clean[] = "{\"format\":1,\"model\":{\"network\":\"cnn\"},\"path\":{},"
                                "\"sample\":{},\"cnn\":{\"size\":8,\"classes\":2,\"width\":8}}";
    static const char unet[] = "{\"format\":1,\"model\":{\"network\":\"unet\"},\"path\":{},"
                               "\"sample\":{},\"unet\":{\"size\":8,\"classes\":2,\"width\":8,"
                               "\"mult\":[1.0,2.0],\"blocks\":1,\"groups\":4}}";
    struct error err = {0};
    struct model *c, *m;

    (void)state;
    assert_int_equal(model_from_text(&c, clean, "a classifier", &err), OK);
    assert_int_equal(model_from_text(&m, unet, "a model", &err), OK);
    assert_int_equal(classifier_check(c, m, &err), E_ARG);
    assert_non_null(strstr(err.text, "clean pictures"));
    model_free(c);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_no_noise),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_guides_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
