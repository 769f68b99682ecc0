/*
 * test_classify.c - classifiers in training: what a run writes, what is refused
 */
#include "train/classify.h"
#include "train/trainer.h"

#include "base/file.h"
#include "io/image.h"
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
#include <sys/stat.h>

#include <cmocka.h>

static const char unet[] = "[data]\nformat = anchor-shapes\n[model]\nnetwork = classifier\n"
                           "[classifier]\nwidth = 8\nmult = 1,2\nblocks = 1\nattention = 2\n"
                           "groups = 4\n[train]\nbatch = 16\nwarmup = 5\nflip = false\n"
                           "eval_every = 10\neval_count = 40\n";
static const char gauss[] = "[data]\nformat = anchor-gauss\n[model]\nnetwork = classifier\n"
                            "[classifier]\nwidth = 8\nmult = 1,2\nblocks = 1\nattention = 2\n"
                            "groups = 4\n[train]\nbatch = 32\nwarmup = 5\nflip = false\n"
                            "learning_rate = 0.005\neval_every = 200\neval_count = 200\n";

struct seen {
    int64_t stop; /* after this step, or 0 */
    int sheets, evaluations;
    struct eval_losses last;
};

static bool watch(const struct train_event *e, void *user)
{
    struct seen *s = user;

    s->sheets += e->kind == TRAIN_SAMPLED;
    if (e->kind == TRAIN_EVALUATED) {
        s->evaluations++;
        s->last = *e->evaluated;
    }
    return e->kind != TRAIN_STEP || e->step != s->stop;
}

static enum status train(const char *text, const char *folder, int64_t steps, bool resume,
                         struct seen *s, const char *setting, struct error *err)
{
    char out[600], count[64];
    const char *const settings[] = {out, count, setting, NULL};
    struct train_request r = {.threads = 2, .resume = resume, .callback = watch, .user = s};

    snprintf(out, sizeof out, "train.out=%s", folder);
    snprintf(count, sizeof count, "train.steps=%d", (int)steps);
    return run_text(r, text, settings, err);
}

/* A line an evaluation, with shares of right answers behind the losses; no sheet of pictures; a
 * file that opens as what it is. */
static void test_run(void **state)
{
    struct seen s = {0};
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct model *m;
    uint8_t *text;
    uint64_t n;

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(train(unet, dir, 20, false, &s, "train.sample_every=5", NULL), OK);
    assert_int_equal(s.sheets, 0);
    assert_int_equal(s.evaluations, 2);
    assert_true(s.last.classifies && s.last.right >= 0 && s.last.right <= 1);
    assert_int_equal(file_read(&text, &n, temp_path(path, dir, "eval.csv"), 1 << 16, NULL), OK);
    assert_true(!strncmp((char *)text,
                         "step,loss,averaged,quarter1,quarter2,quarter3,quarter4,accuracy,"
                         "accuracy1,accuracy2,accuracy3,accuracy4\n10,",
                         103));
    free(text);
    assert_int_equal(model_load(&m, temp_path(path, dir, "model.safetensors"), NULL), OK);
    assert_true(m->network->io.classifies && m->labels && m->step == 20);
    model_free(m);
    temp_dir_remove(dir);
}

/* Cut and resumed, a run ends in the same evaluations. */
static void test_resume(void **state)
{
    struct seen whole = {0}, cut = {.stop = 7}, rest = {0};
    char a[TEMP_PATH], b[TEMP_PATH];

    (void)state;
    temp_dir_new(a);
    temp_dir_new(b);
    assert_int_equal(train(unet, a, 20, false, &whole, NULL, NULL), OK);
    assert_int_equal(train(unet, b, 20, false, &cut, NULL, NULL), E_CANCELLED);
    assert_int_equal(train(unet, b, 20, true, &rest, NULL, NULL), OK);
    assert_memory_equal(&whole.last, &rest.last, sizeof whole.last);
    temp_dir_remove(a);
    temp_dir_remove(b);
}

/* Gaussians that differ by label are told apart, near the data better than near noise. */
static void test_learns(void **state)
{
    struct seen s = {0};
    char dir[TEMP_PATH];

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(train(gauss, dir, 200, false, &s, NULL, NULL), OK);
    print_message("right %.2f; by quarters %.2f %.2f %.2f %.2f; surprise %.3f\n", s.last.right,
                  s.last.right_quarter[0], s.last.right_quarter[1], s.last.right_quarter[2],
                  s.last.right_quarter[3], s.last.average);
    assert_true(s.last.right_quarter[3] > 0.9);
    assert_true(s.last.right_quarter[0] < s.last.right_quarter[3]);
    assert_true(s.last.quarter[0] > s.last.quarter[3]);
    temp_dir_remove(dir);
}

/* A folder of pictures, one in a class of its own and, when asked, one outside all classes. */
static void write_pictures(const char *dir, bool classes, bool stray)
{
    static uint8_t pixels[16 * 16 * 3];
    struct image im = {16, 16, 3, pixels};
    char path[TEMP_PATH];

    if (classes) {
        assert_int_equal(mkdir(temp_path(path, dir, "a"), 0777), 0);
        assert_int_equal(png_write(temp_path(path, dir, "a/1.png"), &im, NULL, 0, NULL), OK);
        assert_int_equal(mkdir(temp_path(path, dir, "b"), 0777), 0);
        assert_int_equal(png_write(temp_path(path, dir, "b/1.png"), &im, NULL, 0, NULL), OK);
    }
    if (stray)
        assert_int_equal(png_write(temp_path(path, dir, "stray.png"), &im, NULL, 0, NULL), OK);
}

static void check_refused(const char *text, bool classes, bool stray, const char *more,
                          const char *why)
{
    char data[TEMP_PATH], run[TEMP_PATH], whole[1024];
    struct error err = {0};
    struct seen s = {0};
    enum status st;

    temp_dir_new(data);
    temp_dir_new(run);
    write_pictures(data, classes, stray);
    snprintf(whole, sizeof whole, "[data]\nformat = folder\nsize = 16\npath = %s\n%s", data, text);
    st = train(whole, run, 3, false, &s, more, &err);
    assert_true(st == E_ARG || st == E_UNSUPPORTED);
    assert_says(err.text, why);
    temp_dir_remove(data);
    temp_dir_remove(run);
}

static void test_refusals(void **state)
{
    static const char a[] = "[model]\nnetwork = classifier_dit\n[train]\nbatch = 4\n";
    static const char b[] = "[model]\nnetwork = dit\n[dit]\nwidth = 16\nheads = 2\ndepth = 1\n"
                            "null_class = false\n[train]\nbatch = 4\nlabel_drop = 0\n";

    (void)state;
    check_refused(a, false, true, NULL, "have no labels");
    check_refused(a, true, true, NULL, "is a picture without a label: a classifier learns");
    check_refused(b, true, true, NULL, "is a picture without a label, and the network has no null");
    check_refused("", true, false, "model.network=pixart", "section text");
    check_refused("", true, false, "model.network=mmdit", "section text");
}

/* A generator with a null class learns unlabelled pictures under it. */
static void test_unlabelled(void **state)
{
    char data[TEMP_PATH], run[TEMP_PATH], text[1024];
    struct seen s = {0};
    struct error err = {0};

    (void)state;
    temp_dir_new(data);
    temp_dir_new(run);
    write_pictures(data, true, true);
    snprintf(text, sizeof text,
             "[data]\nformat = folder\nsize = 16\npath = %s\n[model]\nnetwork = dit\n[dit]\n"
             "width = 16\nheads = 2\ndepth = 1\n[train]\nbatch = 4\nsample_every = 0\n",
             data);
    if (train(text, run, 3, false, &s, NULL, &err))
        fail_msg("%s", err.text);
    temp_dir_remove(data);
    temp_dir_remove(run);
}

static void test_surprise(void **state)
{
    static const float logits[] = {1, 3, 2};
    bool right;

    (void)state;
    assert_true(fabs(classify_surprise(&right, logits, 3, 1) - log(1 + exp(-2) + exp(-1))) < 1e-12);
    assert_true(right);
    assert_true(fabs(classify_surprise(&right, logits, 3, 0) - log(1 + exp(2) + exp(1))) < 1e-12);
    assert_false(right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),      cmocka_unit_test(test_resume),
        cmocka_unit_test(test_learns),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_surprise), cmocka_unit_test(test_unlabelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
