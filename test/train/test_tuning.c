/*
 * test_tuning.c - adapters in training: the loss falls and the base stays, cut runs and other
 * numbers of threads give the same bits, the file does what was learned, and what is refused
 */
#include "train/tuning.h"

#include "base/file.h"
#include "base/hash.h"
#include "data/listing.h"
#include "pipeline/generate.h"
#include "pipeline/sd3.h"
#include "support/runs.h"
#include "support/says.h"
#include "support/temp.h"
#include "train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TINY         SHARED_DIR "/fixtures/sd3/pipeline-tiny"
#define SPIECE       SHARED_DIR "/data/tokenizers/t5_spiece.model"

enum { NAME = TEMP_PATH + 80 };

static char folder[TEMP_PATH], base[NAME];

static const char of_base[] =
    "[data]\nformat = shapes\nsize = 16\n[model]\nnetwork = dit\n"
    "[dit]\nwidth = 16\ndepth = 2\nheads = 2\npatch = 4\n"
    "[train]\nsteps = 20\nbatch = 8\nwarmup = 0\nlearning_rate = 0.003\nsample_every = 0\n"
    "[sample]\nsteps = 3\n";

static const char of_adapter[] =
    "[data]\nformat = shapes\nsize = 16\n"
    "[lora]\nrank = 4\ntargets = all\n"
    "[train]\nsteps = 40\nbatch = 8\nwarmup = 0\nlearning_rate = 0.003\nlog_every = 1\n"
    "sample_every = 20\nsample_count = 4\neval_every = 20\neval_count = 8\n";

struct watch {
    int64_t stop;
    double first, last;
};

static bool see(const struct train_event *e, void *user)
{
    struct watch *w = user;

    if (e->kind == TRAIN_EVALUATED && e->step == 20)
        w->first = e->loss;
    if (e->kind == TRAIN_EVALUATED)
        w->last = e->loss;
    return e->kind != TRAIN_STEP || e->step != w->stop;
}

static enum status train(const char *config, const char *name, int threads, bool resume,
                         struct watch *w, const char *more, struct error *err)
{
    char out[NAME], of[NAME + 16];
    const char *const settings[] = {out, config == of_base ? NULL : of, more, NULL};
    struct train_request r = {.threads = threads, .resume = resume, .callback = see, .user = w};

    snprintf(out, sizeof out, "train.out=%s/%s", folder, name);
    snprintf(of, sizeof of, "lora.base=%s", base);
    return run_text(r, config, settings, err);
}

static void must_train(const char *config, const char *name, int threads, struct watch *w,
                       const char *more)
{
    struct error err = {0};

    if (train(config, name, threads, false, w, more, &err))
        fail_msg("%s", err.text);
}

static int train_base(void **state)
{
    struct watch w = {0};

    (void)state;
    temp_dir_new(folder);
    snprintf(base, sizeof base, "%s/base/model.safetensors", folder);
    must_train(of_base, "base", 2, &w, NULL);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void in_folder(char out[NAME], const char *name)
{
    snprintf(out, NAME, "%s/%s", folder, name);
}

static void learns_beside_a_base_that_stays(void **state)
{
    char before[HASH_TEXT], after[HASH_TEXT], path[NAME];
    struct watch w = {0};

    (void)state;
    assert_int_equal(hash_file(before, base, NULL), OK);
    must_train(of_adapter, "whole", 2, &w, NULL);
    assert_int_equal(hash_file(after, base, NULL), OK);
    assert_string_equal(before, after);
    assert_true(w.last < w.first);
    in_folder(path, "whole/samples-00000040.png");
    assert_true(path_is_file(path));
    in_folder(path, "whole/model.safetensors");
    assert_false(path_is_file(path));
}

static void cut_runs_and_threads_change_no_bit(void **state)
{
    char whole[NAME], other[NAME];
    struct watch cut = {.stop = 7}, none = {0};

    (void)state;
    in_folder(whole, "whole");
    in_folder(other, "cut");
    assert_int_equal(train(of_adapter, "cut", 2, false, &cut, NULL, NULL), E_CANCELLED);
    assert_int_equal(train(of_adapter, "cut", 2, true, &none, NULL, NULL), OK);
    assert_same_runs(whole, other);
    in_folder(other, "threads");
    must_train(of_adapter, "threads", 3, &none, NULL);
    assert_same_runs(whole, other);
}

enum { LENGTH = 16 * 16 * 3 };

static void picture(float out[LENGTH], struct model *m)
{
    const struct generate_item item = {3, 2, 7};
    const struct generate_request r = {
        .model = m, .settings = m->sample, .items = &item, .n = 1, .threads = 2};

    assert_int_equal(generate(out, &r, NULL, NULL), OK);
}

static double apart(const float *a, const float *b)
{
    double most = 0;

    for (int i = 0; i < LENGTH; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* A weight of 0 is the base, and half twice is once. */
static void the_file_counts_by_its_weight(void **state)
{
    static float plain[LENGTH], none[LENGTH], once[LENGTH], twice[LENGTH];
    static const struct {
        float *out;
        int n;
        double weight;
    } ways[] = {{plain, 0, 0}, {none, 1, 0}, {once, 1, 1}, {twice, 2, 0.5}};
    struct error err = {0};
    char path[NAME];

    (void)state;
    in_folder(path, "whole/adapter.safetensors");
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct model *m;

        assert_int_equal(model_load(&m, base, NULL), OK);
        for (int k = 0; k < ways[i].n; k++)
            if (model_adapt(m, path, ways[i].weight, &err))
                fail_msg("%s", err.text);
        picture(ways[i].out, m);
        model_free(m);
    }
    assert_memory_equal(plain, none, sizeof plain);
    assert_true(apart(plain, once) > 1e-3);
    assert_true(apart(once, twice) < 1e-5);
}

static void what_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *setting, *word;
    } cases[] = {
        {"model.network=dit", "model.network"},
        {"lora.targets=nothing", "nothing"},
        {"lora.base=nowhere.safetensors", "nowhere.safetensors"},
        {"data.size=20", "data.size"},
        {"data.channels=1", "1"},
        {"data.cache=here", "data.cache"},
    };
    struct watch w = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error err = {0};

        assert_int_not_equal(train(of_adapter, "no", 2, false, &w, cases[i].setting, &err), OK);
        assert_says(err.text, cases[i].word);
    }
}

/* Stable Diffusion 3 with its encoders, latents and captions: nothing but files and the section. */
static void learns_beside_stable_diffusion(void **state)
{
    static const char config[] =
        "[data]\nformat = relations\npath = training\neval_path = held-out\nsize = 64\nlimit = 5\n"
        "[lora]\nbase = " TINY "/sd3_tiny.safetensors\nrank = 4\n"
        "[text]\nclip_l = " TINY "/diffusers/text_encoder\n"
        "clip_g = " TINY "/diffusers/text_encoder_2\n"
        "t5xxl = " TINY "/diffusers/text_encoder_3\nspiece = " SPIECE "\nt5_tokens = 20\n"
        "[train]\nsteps = 20\nbatch = 2\nwarmup = 0\nlearning_rate = 0.01\nflip = false\n"
        "sample_every = 20\nsample_count = 2\neval_every = 20\neval_count = 2\nlog_every = 1\n"
        "[sample]\nsteps = 2\n";
    char out[NAME], cache[NAME], texts[NAME], path[NAME];
    char *settings[] = {out, cache, texts};
    struct watch w = {0};
    struct error err = {0};
    struct experiment e;
    struct train_request r = {.experiment = &e, .threads = 2, .callback = see, .user = &w};
    struct model *m;

    (void)state;
    if (!path_is_folder(TINY) || !path_is_file(SPIECE)) {
        print_message("no small model at %s\n", TINY);
        skip();
    }
    snprintf(out, sizeof out, "train.out=%s/sd3", folder);
    snprintf(cache, sizeof cache, "data.cache=%s/latents", folder);
    snprintf(texts, sizeof texts, "text.cache=%s/texts", folder);
    if (experiment_read_text(&e, "test", config, settings, 3, &err) || train_run(&r, &err))
        fail_msg("%s", err.text);
    experiment_release(&e);
    in_folder(path, "sd3/adapter.safetensors");
    assert_int_equal(sd3_open(&m, TINY "/sd3_tiny.safetensors", &(struct sd3_parts){0}, NULL), OK);
    if (model_adapt(m, path, 1, &err))
        fail_msg("%s", err.text);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_beside_a_base_that_stays),
        cmocka_unit_test(cut_runs_and_threads_change_no_bit),
        cmocka_unit_test(the_file_counts_by_its_weight),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(learns_beside_stable_diffusion),
    };

    return cmocka_run_group_tests(tests, train_base, remove_all);
}
