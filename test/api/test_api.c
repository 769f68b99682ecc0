/*
 * test_api.c - the library as a stranger's program sees it: models, pictures, recipes, data, runs
 *
 * Only imgen.h is used.  One model, trained for three steps in a folder of its own, serves all
 * tests: what is checked are promises, not quality.
 */
#include "imgen.h"
#include "support/says.h"
#include "support/temp.h"
#include "support/tensor_files.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SIDE = 16, PIXELS = SIDE * SIDE * 3, LABELS = 48 };

static const char config[] = "[data]\n"
                             "format = shapes\n"
                             "size = 16\n"
                             "[model]\n"
                             "network = unet\n"
                             "[unet]\n"
                             "width = 8\n"
                             "mult = 1,2\n"
                             "blocks = 1\n"
                             "attention = 2\n"
                             "groups = 4\n"
                             "[train]\n"
                             "steps = 3\n"
                             "batch = 4\n"
                             "warmup = 0\n"
                             "learning_rate = 0.003\n"
                             "sample_every = 0\n"
                             "[sample]\n"
                             "steps = 3\n"
                             "cfg_scale = 2\n";

static char folder[TEMP_PATH], model_path[TEMP_PATH];
static struct imgen_model *model;

static const char *at(char path[TEMP_PATH], const char *name)
{
    return temp_path(path, folder, name);
}

/* ---- Training ---- */

struct seen {
    int started, steps, saved, done;
    int stop_after; /* steps, or 0 */
    char from[TEMP_PATH];
};

static int on_event(const struct imgen_train_event *e, void *user)
{
    struct seen *seen = user;

    seen->started += e->kind == IMGEN_TRAIN_STARTED;
    seen->saved += e->kind == IMGEN_TRAIN_SAVED;
    seen->done += e->kind == IMGEN_TRAIN_DONE;
    if (e->kind == IMGEN_TRAIN_STARTED)
        snprintf(seen->from, TEMP_PATH, "%s", e->path ? e->path : "");
    if (e->kind == IMGEN_TRAIN_STEP) {
        seen->steps++;
        assert_true(isfinite(e->loss) && e->loss > 0 && e->steps_per_s > 0);
        assert_true(e->step >= 1 && e->step <= e->steps);
    }
    return !seen->stop_after || seen->steps < seen->stop_after;
}

/* Run the configuration above in folder/name, with one more setting. */
static enum imgen_status train(const char *name, const char *setting, int resume, struct seen *seen,
                               struct imgen_error *err)
{
    char out[TEMP_PATH + 16];
    const char *settings[2] = {out, setting};
    struct imgen_training t = {
        .config = "tiny",
        .config_text = config,
        .settings = settings,
        .n_settings = setting ? 2 : 1,
        .threads = 2,
        .resume = resume,
        .callback = on_event,
        .user = seen,
    };

    snprintf(out, sizeof out, "train.out=%s/%s", folder, name);
    return imgen_train(&t, err);
}

static int set_up(void **state)
{
    struct imgen_error err;
    struct seen seen = {0};

    (void)state;
    temp_dir_new(folder);
    if (train("run", NULL, 0, &seen, &err)) {
        print_error("%s\n", err.text);
        return 1;
    }
    assert_true(seen.started == 1 && seen.steps == 3 && seen.saved == 1 && seen.done == 1);
    return imgen_model_open(&model, at(model_path, "run/model.safetensors"), &err);
}

static int tear_down(void **state)
{
    (void)state;
    imgen_model_close(model);
    temp_dir_remove(folder);
    return 0;
}

static void a_stopped_run_goes_on_to_the_same_bits(void **state)
{
    struct seen cut = {.stop_after = 2}, rest = {0};
    char path[TEMP_PATH], whole[TEMP_PATH];
    struct imgen_error err;

    (void)state;
    assert_int_equal(train("cut", NULL, 0, &cut, &err), IMGEN_E_CANCELLED);
    assert_non_null(strstr(err.text, "step 2 of 3"));
    assert_true(cut.steps == 2 && cut.saved == 1 && cut.done == 0);

    assert_int_equal(train("cut", NULL, 0, &rest, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "already holds a run"));
    assert_int_equal(train("cut", NULL, 1, &rest, &err), IMGEN_OK);
    assert_non_null(strstr(rest.from, "checkpoint-00000002"));
    assert_int_equal(rest.steps, 1);
    assert_true(same_files(at(path, "cut/model.safetensors"), at(whole, "run/model.safetensors")));
}

static void a_wrong_setting_is_named(void **state)
{
    struct seen seen = {0};
    struct imgen_error err;
    char path[TEMP_PATH];
    struct stat st;

    (void)state;
    assert_int_equal(train("wrong", "train.stpes=4", 0, &seen, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "train.stpes"));
    assert_non_null(strstr(err.text, "train.steps"));
    assert_int_equal(train("wrong", "train.steps=0", 0, &seen, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "train.steps: 0 is not in 1"));
    assert_int_equal(train("wrong", "model.network=unte", 0, &seen, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "unet"));
    assert_int_not_equal(stat(at(path, "wrong"), &st), 0);
}

static void measuring_writes_nothing(void **state)
{
    char out[TEMP_PATH + 16], path[TEMP_PATH];
    const char *settings[1] = {out};
    struct imgen_training t = {
        .config_text = config, .settings = settings, .n_settings = 1, .threads = 1};
    struct imgen_train_plan plan;
    struct imgen_error err;
    struct stat st;

    (void)state;
    snprintf(out, sizeof out, "train.out=%s/plan", folder);
    assert_int_equal(imgen_train_measure(&t, &plan, &err), IMGEN_OK);
    assert_true(plan.weights > 1000 && plan.state_bytes >= 16 * plan.weights);
    assert_true(plan.step_bytes > 0 && plan.step_flops > 1e6 && plan.step_seconds > 0);
    assert_int_equal(plan.steps, 3);
    assert_true(plan.pictures == INT64_MAX);
    assert_int_not_equal(stat(at(path, "plan"), &st), 0);
}

/* ---- Models ---- */

static void a_model_tells_what_it_can_do(void **state)
{
    struct imgen_model_info info;
    struct imgen_error err;
    int label;

    (void)state;
    imgen_model_info(model, &info);
    assert_true(info.height == SIDE && info.width == SIDE && info.channels == 3);
    assert_true(info.n_labels == LABELS && info.guided && info.null_label == LABELS);
    assert_int_equal(info.step, 3);
    assert_int_equal(info.steps, 3);
    assert_string_equal(info.network, "unet");
    assert_null(imgen_model_label(model, LABELS));
    for (int i = 0; i < LABELS; i++) {
        assert_int_equal(imgen_model_find_label(model, imgen_model_label(model, i), &label, &err),
                         IMGEN_OK);
        assert_int_equal(label, i);
    }
    assert_int_equal(imgen_model_find_label(model, "7", &label, &err), IMGEN_OK);
    assert_int_equal(label, 7);
    assert_int_equal(imgen_model_find_label(model, "none", &label, &err), IMGEN_OK);
    assert_int_equal(label, info.null_label);
}

static void a_label_that_is_unknown_is_an_error(void **state)
{
    struct imgen_error err;
    int label;

    (void)state;
    assert_int_equal(imgen_model_find_label(model, "red stra", &label, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "red star"));
    assert_int_equal(imgen_model_find_label(model, "48", &label, &err), IMGEN_E_ARG);
    assert_int_equal(imgen_model_find_label(model, "-1", &label, &err), IMGEN_E_ARG);
    assert_int_equal(imgen_model_find_label(model, "48", &label, NULL), IMGEN_E_ARG);
}

/* Copy the first n bytes of the model; n < 0: all but -n.  Returns the size of the whole. */
static long copy_part(const char *to, long n)
{
    FILE *f = fopen(model_path, "rb"), *g = fopen(to, "wb");
    long whole = 0;
    int c;

    assert_true(f && g && !fseek(f, 0, SEEK_END));
    whole = ftell(f);
    rewind(f);
    for (long i = 0; i < (n < 0 ? whole + n : n) && (c = fgetc(f)) != EOF; i++)
        fputc(c, g);
    fclose(f);
    assert_int_equal(fclose(g), 0);
    return whole;
}

static void a_broken_file_is_no_model(void **state)
{
    const long cuts[] = {0, 7, 8, 100, -1, -1000};
    struct imgen_model *m = model;
    struct imgen_error err;
    char path[TEMP_PATH];

    (void)state;
    assert_int_equal(imgen_model_open(&m, at(path, "nothing"), &err), IMGEN_E_IO);
    assert_null(m);
    assert_non_null(strstr(err.text, "nothing"));
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        copy_part(at(path, "cut.safetensors"), cuts[i]);
        assert_int_equal(imgen_model_open(&m, path, &err), IMGEN_E_FORMAT);
        assert_non_null(strstr(err.text, "cut.safetensors"));
        assert_null(m);
    }
}

static void weights_are_verified(void **state)
{
    static const unsigned char nan_bytes[4] = {0, 0, 0xc0, 0x7f};
    struct imgen_file *file = NULL;
    struct imgen_file_tensor t;
    struct imgen_error err;
    char path[TEMP_PATH];
    long size = copy_part(at(path, "nan.safetensors"), 1L << 40);
    FILE *f;

    (void)state;
    assert_int_equal(imgen_file_open(&file, path, &err), IMGEN_OK);
    assert_int_equal(imgen_file_verify(file, &err), IMGEN_OK);
    assert_int_equal(imgen_file_tensor(file, 0, &t), 1);
    assert_int_equal(imgen_file_tensor(file, -1, &t), 0);
    assert_int_equal(imgen_file_tensor(file, 1000000, &t), 0);
    imgen_file_close(file);

    f = fopen(path, "r+b");
    assert_true(f && !fseek(f, size - 4, SEEK_SET) && fwrite(nan_bytes, 1, 4, f) == 4);
    fclose(f);
    assert_int_equal(imgen_file_open(&file, path, &err), IMGEN_OK);
    assert_int_equal(imgen_file_verify(file, &err), IMGEN_E_NOT_FINITE);
    imgen_file_close(file);
}

/* ---- Sampling: compared unrounded, bit for bit ---- */

enum { ITEMS = 5 };
static const struct imgen_item items[ITEMS] = {
    {3, 2, 42}, {17, 0, 43}, {LABELS, 1, 44}, {0, 1, 42}, {40, 7.5, 18446744073709551615u}};

static struct imgen_request request_of(const struct imgen_item *first, int64_t n)
{
    struct imgen_request r;

    imgen_request_init(&r, model);
    r.items = first;
    r.n_items = n;
    r.threads = 1;
    return r;
}

static void expect_picture(const struct imgen_request *r, const float *expected)
{
    static float got[ITEMS * PIXELS];
    struct imgen_error err = {0};

    assert_int_equal(imgen_sample_floats(model, r, got, &err), IMGEN_OK);
    assert_memory_equal(got, expected, (size_t)r->n_items * PIXELS * sizeof *got);
}

static void alone_or_in_a_batch_with_any_threads(void **state)
{
    static const char *const samplers[] = {"euler", "heun", "dopri5"};
    static float all[ITEMS * PIXELS];

    (void)state;
    for (size_t s = 0; s < sizeof samplers / sizeof *samplers; s++) {
        struct imgen_request r = request_of(items, ITEMS);

        r.sampler = samplers[s];
        assert_int_equal(imgen_sample_floats(model, &r, all, NULL), IMGEN_OK);
        assert_memory_not_equal(all, all + 3 * PIXELS, PIXELS * sizeof *all);
        for (r.threads = 2; r.threads <= 4; r.threads++)
            expect_picture(&r, all);
        for (int i = 0; i < ITEMS; i++) {
            struct imgen_request one = request_of(items + i, 1);

            one.sampler = samplers[s];
            one.threads = 1 + i % 4;
            expect_picture(&one, all + i * PIXELS);
        }
    }
}

static void what_it_would_take(void **state)
{
    struct imgen_request r = request_of(items, ITEMS);
    struct imgen_sample_plan plan;
    struct imgen_error err;

    (void)state;
    r.sampler = "heun";
    r.steps = 9;
    assert_int_equal(imgen_sample_measure(model, &r, &plan, &err), IMGEN_OK);
    assert_int_equal(plan.steps, 9);
    assert_int_equal(plan.batch * plan.batches, ITEMS);
    assert_true(plan.values_bytes > 0 && plan.solver_bytes > 0 && plan.decoder_bytes == 0);
    assert_true(plan.peak_bytes >= plan.program_bytes + plan.weights_bytes + plan.values_bytes);
    assert_true(plan.step_flops > 0 && plan.step_seconds > 0);
    r.steps = 0;
    assert_int_equal(imgen_sample_measure(model, &r, &plan, &err), IMGEN_E_ARG);
    r = request_of(items, 0);
    assert_int_equal(imgen_sample_measure(model, &r, &plan, &err), IMGEN_E_ARG);
}

static void times_may_be_given_one_by_one(void **state)
{
    const double times[4] = {0, 1.0 / 3, 2.0 / 3, 1}, bent[4] = {0, 0.5, 0.75, 1};
    static float uniform[ITEMS * PIXELS], other[ITEMS * PIXELS];
    struct imgen_request r = request_of(items, ITEMS);

    (void)state;
    r.schedule = "uniform";
    assert_int_equal(imgen_sample_floats(model, &r, uniform, NULL), IMGEN_OK);
    r.times = times;
    r.n_times = 4;
    expect_picture(&r, uniform);
    r.times = bent;
    assert_int_equal(imgen_sample_floats(model, &r, other, NULL), IMGEN_OK);
    assert_memory_not_equal(uniform, other, sizeof other);
}

struct calls {
    int n, stop_at;
    double done;
    int previews;
};

static int count_calls(const struct imgen_progress *p, void *user)
{
    struct calls *c = user;

    assert_true(p->done >= c->done && p->done <= 1 && p->share >= 0 && p->share <= 1);
    assert_true(p->height == SIDE && p->width == SIDE && p->channels == 3);
    assert_true((p->phase == IMGEN_STEPPED) == (p->state != NULL));
    if (p->phase != IMGEN_STEPPED)
        return 1;
    assert_true(p->done > c->done && p->t > 0 && p->t <= 1);
    c->done = p->done;
    c->previews += p->preview != NULL;
    return ++c->n != c->stop_at;
}

static void progress_is_told_and_can_stop(void **state)
{
    static uint8_t pixels[ITEMS * PIXELS];
    struct imgen_request r = request_of(items, ITEMS);
    struct calls all = {0}, some = {.stop_at = 2};
    struct imgen_error err;

    (void)state;
    r.progress = count_calls;
    r.user = &all;
    r.wants_preview = 1;
    assert_int_equal(imgen_sample(model, &r, pixels, &err), IMGEN_OK);
    assert_true(all.n == 3 && all.previews == 3 && fabs(all.done - 1) < 1e-12);
    r.user = &some;
    r.wants_preview = 0;
    assert_int_equal(imgen_sample(model, &r, pixels, &err), IMGEN_E_CANCELLED);
    assert_true(some.n == 2 && some.previews == 0);
}

static void expect_refused(struct imgen_request r, const char *said)
{
    static uint8_t pixels[ITEMS * PIXELS];
    struct imgen_error err = {0};

    assert_int_equal(imgen_sample(model, &r, pixels, &err), IMGEN_E_ARG);
    assert_int_equal(err.status, IMGEN_E_ARG);
    assert_says(err.text, said);
}

static void what_cannot_be_asked_for_is_refused(void **state)
{
    const struct imgen_item bad[] = {
        {0, -0.5, 1}, {0, (double)NAN, 1}, {0, (double)INFINITY, 1}, {49, 1, 1}, {-1, 1, 1}};
    const char *const said[] = {"-0.5", "nan", "inf", "49", "-1"};
    const double falling[3] = {0, 0.6, 0.5}, outside[3] = {0, 0.5, 1.5};
    struct imgen_request r;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refused(request_of(bad + i, 1), said[i]);
    r = request_of(items, 1);
    r.steps = 0;
    expect_refused(r, "0 steps");
    r.steps = 1001;
    expect_refused(r, "1001 steps");
    r = request_of(items, 1);
    r.sampler = "huen";
    expect_refused(r, "heun");
    r = request_of(items, 1);
    r.schedule = "unifrom";
    expect_refused(r, "uniform");
    r = request_of(items, 1);
    r.n_times = 3;
    r.times = falling;
    expect_refused(r, "0.5");
    r.times = outside;
    expect_refused(r, "1.5");
    r.n_times = 1;
    expect_refused(r, "1 times");
}

struct worker {
    pthread_t thread;
    const float *expected;
    int64_t first;
    int good;
};

static void *work(void *user)
{
    struct worker *w = user;
    float got[2 * PIXELS];
    struct imgen_request r = request_of(items + w->first, 2);

    w->good = 1;
    for (int k = 0; k < 3; k++)
        w->good &= imgen_sample_floats(model, &r, got, NULL) == IMGEN_OK &&
                   !memcmp(got, w->expected + w->first * PIXELS, sizeof got);
    return NULL;
}

static void one_model_serves_two_threads(void **state)
{
    static float all[ITEMS * PIXELS];
    struct imgen_request r = request_of(items, ITEMS);
    struct worker w[2] = {{.expected = all, .first = 0}, {.expected = all, .first = 3}};

    (void)state;
    assert_int_equal(imgen_sample_floats(model, &r, all, NULL), IMGEN_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(w[i].thread, NULL);
    assert_true(w[0].good && w[1].good);
}

/* ---- Recipes ---- */

static void a_picture_carries_its_recipe(void **state)
{
    static uint8_t pixels[ITEMS * PIXELS];
    struct imgen_request r = request_of(items, ITEMS);
    struct imgen_recipe made, read;
    struct imgen_image image = {SIDE, SIDE, 3, pixels + 4 * PIXELS}, back;
    char path[TEMP_PATH], twin[TEMP_PATH];
    struct imgen_error err;

    (void)state;
    assert_int_equal(imgen_sample(model, &r, pixels, &err), IMGEN_OK);
    assert_int_equal(imgen_recipe_make(&made, model, &r, 4, &err), IMGEN_OK);
    assert_int_equal(imgen_picture_write(at(path, "a.png"), &image, &made, &err), IMGEN_OK);
    assert_int_equal(imgen_picture_write(at(twin, "b.png"), &image, &made, &err), IMGEN_OK);
    assert_true(same_files(path, twin));

    assert_int_equal(imgen_recipe_read(&read, path, &err), IMGEN_OK);
    assert_memory_equal(&read, &made, sizeof read);
    assert_string_equal(read.model, "model.safetensors");
    assert_true(read.item.seed == 18446744073709551615u);
    assert_int_equal(imgen_image_read(&back, path, &err), IMGEN_OK);
    assert_memory_equal(back.pixels, image.pixels, PIXELS);

    assert_int_equal(imgen_image_write(path, &back, &err), IMGEN_OK);
    assert_int_equal(imgen_recipe_read(&read, path, &err), IMGEN_E_FORMAT);
    assert_non_null(strstr(err.text, "no recipe"));
    imgen_image_release(&back);
}

static void times_travel_in_a_recipe(void **state)
{
    const double times[4] = {0, 0.1, 1.0 / 3, 1};
    struct imgen_request r = request_of(items, 1);
    static uint8_t pixels[PIXELS];
    struct imgen_image image = {SIDE, SIDE, 3, pixels};
    struct imgen_recipe made, read;
    char path[TEMP_PATH];

    (void)state;
    r.times = times;
    r.n_times = 4;
    assert_int_equal(imgen_recipe_make(&made, model, &r, 0, NULL), IMGEN_OK);
    assert_int_equal(imgen_picture_write(at(path, "times.png"), &image, &made, NULL), IMGEN_OK);
    assert_int_equal(imgen_recipe_read(&read, path, NULL), IMGEN_OK);
    assert_int_equal(read.n_times, 4);
    assert_memory_equal(read.times, times, sizeof times);
}

/* ---- Data and lists ---- */

static void a_data_set_is_opened_by_its_section(void **state)
{
    struct imgen_training t = {.config_text = config};
    struct imgen_data *data = NULL;
    struct imgen_data_info info;
    struct imgen_error err;
    float pixels[PIXELS];
    char caption[IMGEN_CAPTION];
    int label, seen = 0;

    (void)state;
    assert_int_equal(imgen_data_open(&data, &t, &err), IMGEN_OK);
    imgen_data_info(data, &info);
    assert_true(info.count == INT64_MAX && info.height == SIDE && info.n_labels == LABELS);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(imgen_data_get(data, i, pixels, &label, caption, &err), IMGEN_OK);
        seen += imgen_shapes_label(pixels, SIDE) == label;
        assert_non_null(strstr(caption, imgen_data_label(data, label)));
    }
    assert_true(seen >= 49);
    assert_int_equal(imgen_data_get(data, -1, pixels, &label, caption, &err), IMGEN_E_ARG);
    imgen_data_close(data);
}

static void everything_listed_has_a_name(void **state)
{
    struct imgen_choice c;

    (void)state;
    for (int kind = IMGEN_SAMPLERS; kind <= IMGEN_MEASURES; kind++) {
        int n = 0;

        for (; imgen_list((enum imgen_kind)kind, n, &c); n++)
            assert_true(*c.name && *c.summary);
        assert_true(n > 0);
        assert_int_equal(imgen_list((enum imgen_kind)kind, -1, &c), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_run_goes_on_to_the_same_bits),
        cmocka_unit_test(a_wrong_setting_is_named),
        cmocka_unit_test(measuring_writes_nothing),
        cmocka_unit_test(a_model_tells_what_it_can_do),
        cmocka_unit_test(a_label_that_is_unknown_is_an_error),
        cmocka_unit_test(a_broken_file_is_no_model),
        cmocka_unit_test(weights_are_verified),
        cmocka_unit_test(alone_or_in_a_batch_with_any_threads),
        cmocka_unit_test(what_it_would_take),
        cmocka_unit_test(times_may_be_given_one_by_one),
        cmocka_unit_test(progress_is_told_and_can_stop),
        cmocka_unit_test(what_cannot_be_asked_for_is_refused),
        cmocka_unit_test(one_model_serves_two_threads),
        cmocka_unit_test(a_picture_carries_its_recipe),
        cmocka_unit_test(times_travel_in_a_recipe),
        cmocka_unit_test(a_data_set_is_opened_by_its_section),
        cmocka_unit_test(everything_listed_has_a_name),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
