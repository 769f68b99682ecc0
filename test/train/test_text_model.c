/*
 * test_text_model.c - a model that reads captions: trained, cut and resumed, saved, asked
 */
#include "pipeline/generate.h"
#include "train/trainer.h"

#include "support/runs.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { STEPS = 12, SIDE = 32, LENGTH = SIDE * SIDE * 3, TEXTS = 2, ITEMS = 4 };

static const char config[] =
    "[data]\nformat = relations\npath = training\neval_path = held-out\n"
    "[model]\nnetwork = mmdit\n"
    "[mmdit]\npatch = 8\nwidth = 16\ndepth = 2\nheads = 2\n"
    "text_length = 32\ntext_width = 8\ntext_depth = 1\ntext_heads = 2\n"
    "[train]\nsteps = 12\nbatch = 4\nwarmup = 2\nlearning_rate = 0.003\n"
    "label_drop = 0.3\neval_every = 6\neval_count = 8\nsample_every = 6\n"
    "sample_count = 4\nlog_every = 1\n[sample]\nsteps = 3\ncfg_scale = 2\n";

static char folder[TEMP_PATH];

static enum status train(const char *name, int64_t stop, bool resume, const char *more,
                         struct error *err)
{
    char out[TEMP_PATH + 80];
    const char *const settings[] = {out, more, NULL};
    struct train_request r = {
        .threads = 2, .resume = resume, .callback = run_stops_at, .user = &stop};

    snprintf(out, sizeof out, "train.out=%s/%s", folder, name);
    return run_text(r, config, settings, err);
}

static int train_once(void **state)
{
    struct error err = {0};

    (void)state;
    temp_dir_new(folder);
    if (train("whole", 0, false, NULL, &err))
        fail_msg("%s", err.text);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static struct model *open_model(void)
{
    char path[TEMP_PATH + 80];
    struct model *m;

    snprintf(path, sizeof path, "%s/whole/model.safetensors", folder);
    assert_int_equal(model_load(&m, path, NULL), OK);
    return m;
}

/* Which captions are dropped, and what a batch is asked for, is a function of the sample. */
static void a_cut_run_is_the_whole_one(void **state)
{
    char whole[TEMP_PATH + 80], cut[TEMP_PATH + 80];

    (void)state;
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    assert_int_equal(train("cut", 5, false, NULL, NULL), E_CANCELLED);
    assert_int_equal(train("cut", 0, true, NULL, NULL), OK);
    assert_same_runs(whole, cut);
}

static void sheets_are_drawn(void **state)
{
    char path[TEMP_PATH + 80];
    struct stat s;

    (void)state;
    for (int step = 6; step <= STEPS; step += 6) {
        snprintf(path, sizeof path, "%s/whole/samples-%08d.png", folder, step);
        assert_int_equal(stat(path, &s), 0);
    }
}

static const char *const texts[TEXTS] = {"a red circle above a blue star", "a cross"};
static const struct generate_item items[ITEMS] = {{0, 2, 7}, {1, 2, 7}, {-1, 2, 7}, {0, 0, 7}};

static struct generate_request request(const struct model *m)
{
    return (struct generate_request){.model = m,
                                     .settings = m->sample,
                                     .texts = texts,
                                     .n_texts = TEXTS,
                                     .items = items,
                                     .n = ITEMS,
                                     .threads = 2};
}

/* A text, its scale and its seed make a picture, whatever else is asked for; the empty text is
 * what guidance starts from, and scale 0 stays there. */
static void a_picture_depends_on_its_text_alone(void **state)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct model *m = open_model();
    struct generate_request r = request(m);

    (void)state;
    assert_int_equal(generate(want, &r, NULL, NULL), OK);
    assert_memory_not_equal(want, want + LENGTH, LENGTH * sizeof *want);
    assert_memory_equal(want + 2 * LENGTH, want + 3 * LENGTH, LENGTH * sizeof *want);
    r.n = 1;
    for (int i = 0; i < ITEMS; i++) {
        r.items = items + i;
        assert_int_equal(generate(got, &r, NULL, NULL), OK);
        assert_memory_equal(want + i * LENGTH, got, LENGTH * sizeof *want);
    }
    model_free(m);
}

static void a_negative_text_takes_the_place_of_none(void **state)
{
    static float plain[LENGTH], away[LENGTH], same[LENGTH];
    const char *number = "guidance.negative=a cross";
    struct model *m = open_model();
    struct generate_request r = request(m);

    (void)state;
    r.n = 1;
    assert_int_equal(generate(plain, &r, NULL, NULL), OK);
    r.numbers = &number;
    r.n_numbers = 1;
    assert_int_equal(generate(away, &r, NULL, NULL), OK);
    assert_memory_not_equal(plain, away, sizeof plain);
    number = "guidance.negative=a red circle above a blue star";
    r.items = &(struct generate_item){0, 7.5, 7};
    assert_int_equal(generate(away, &r, NULL, NULL), OK);
    r.n_numbers = 0;
    r.items = &(struct generate_item){0, 1, 7};
    assert_int_equal(generate(same, &r, NULL, NULL), OK);
    for (int i = 0; i < LENGTH; i++)
        assert_true(fabsf(away[i] - same[i]) < 1e-4f);
    model_free(m);
}

static void what_cannot_be_asked(void **state)
{
    const char *long_text = "a text of more bytes than are read, by far";
    struct model *m = open_model();
    struct generate_request r = request(m);
    static float got[ITEMS * LENGTH];
    struct error err = {0};

    (void)state;
    r.n_texts = 1;
    assert_int_equal(generate(got, &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "picture 1: text 1 is not in 0..0"));
    r.texts = &long_text;
    r.n = 1;
    assert_int_equal(generate(got, &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "42 bytes, and the model reads 31"));
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_run_is_the_whole_one),
        cmocka_unit_test(sheets_are_drawn),
        cmocka_unit_test(a_picture_depends_on_its_text_alone),
        cmocka_unit_test(a_negative_text_takes_the_place_of_none),
        cmocka_unit_test(what_cannot_be_asked),
    };

    return cmocka_run_group_tests(tests, train_once, remove_all);
}
