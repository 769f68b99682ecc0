/*
 * test_configured.c - objectives as a person configures them: trained, resumed, sampled, refused
 */
#include "train/checkpoint.h"
#include "train/trainer.h"

#include "pipeline/generate.h"
#include "support/runs.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char tiny[] = "[data]\nformat = anchor-shapes\n"
                           "[unet]\nwidth = 8\nmult = 1,2\nblocks = 1\nattention = 2\ngroups = 4\n"
                           "[train]\nbatch = 4\nwarmup = 1\nlog_every = 1\nsample_every = 4\n"
                           "sample_count = 2\neval_every = 2\neval_count = 6\nflip = false\n"
                           "[sample]\nsteps = 3\n";

enum { STEPS = 4, WORDS = 12 };

static bool stop_at(const struct train_event *e, void *user)
{
    const int64_t *at = user;

    assert_true(e->kind != TRAIN_EVALUATED || (isfinite(e->loss) && isfinite(e->mean_loss)));
    return e->kind != TRAIN_STEP || e->step != *at;
}

/* Train with these settings (ends with NULL). */
static enum status train(const char *folder, int64_t stop, bool resume, const char *const *more,
                         struct error *err)
{
    char out[TEMP_PATH + 16], count[32];
    const char *settings[WORDS + 3] = {out, count};
    struct train_request r = {.threads = 2, .resume = resume, .callback = stop_at, .user = &stop};
    int n = 2;

    snprintf(out, sizeof out, "train.out=%s", folder);
    snprintf(count, sizeof count, "train.steps=%d", STEPS);
    for (; more[n - 2]; n++)
        settings[n] = more[n - 2];
    return run_text(r, tiny, settings, err);
}

static struct model *open_model(const char *folder)
{
    char path[TEMP_PATH + 32];
    struct model *m;

    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(model_load(&m, path, NULL), OK);
    return m;
}

static void assert_same_models(const char *a, const char *b)
{
    struct model *m = open_model(a), *n = open_model(b);

    assert_int_equal(params_count(m->network->params), params_count(n->network->params));
    for (int64_t i = 0; i < params_count(m->network->params); i++) {
        const struct param *p = params_at(m->network->params, i);

        assert_memory_equal(p->value, params_at(n->network->params, i)->value,
                            (size_t)shape_count(p->shape) * sizeof(float));
    }
    model_free(m);
    model_free(n);
}

static const char *const good[][WORDS] = {
    {"model.prediction=velocity"},
    {"model.prediction=score", "train.loss=noise"},
    {"model.prediction=score", "time.t1=0.98"},
    {"model.prediction=noise", "model.path=vp_linear"},
    {"model.prediction=noise", "train.weight=min_snr", "weight.gamma=4"},
    {"model.prediction=data", "train.loss=velocity", "train.loss_floor=0.05",
     "train.time=logit_normal", "time.mean=-0.8"},
    {"model.prediction=v", "model.path=cosine", "train.weight=sigmoid", "train.time=cosmap"},
    {"model.prediction=velocity", "train.direction=0.5", "train.time=mode"},
    {"model.prediction=data", "model.precondition=edm", "precondition.data_std=0.6",
     "model.path=ve_karras", "train.time=log_normal", "train.weight=edm", "weight.data_std=0.6"},
    {"model.prediction=noise", "model.path=ddpm_linear", "model.time_input=index",
     "train.time=discrete", "unet.out_channels=2", "train.variance=0.001"},
    {"model.second=noise"},
    {"model.second=score", "train.second_loss=noise", "train.accumulate=2", "sample.heads=both",
     "sample.sampling_method=euler_maruyama"},
};

/* Trained whole, and cut in the middle and gone on with: one model, by the bit; and it draws. */
static void every_objective_trains_and_resumes(void **state)
{
    char dir[TEMP_PATH], whole[TEMP_PATH], cut[TEMP_PATH];

    (void)state;
    temp_dir_new(dir);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char name[32];
        struct error err = {0};
        static float out[16 * 16 * 3];
        const struct generate_item item = {0, 2, 1};
        struct generate_request r = {.items = &item, .n = 1, .threads = 1};
        struct model *m;

        snprintf(name, sizeof name, "whole-%zu", i);
        temp_path(whole, dir, name);
        snprintf(name, sizeof name, "cut-%zu", i);
        temp_path(cut, dir, name);
        if (train(whole, 0, false, good[i], &err))
            fail_msg("%s: %s", good[i][0], err.text);
        assert_int_equal(train(cut, 2, false, good[i], &err), E_CANCELLED);
        if (train(cut, 0, true, good[i], &err))
            fail_msg("%s: %s", good[i][0], err.text);
        assert_same_models(whole, cut);
        m = open_model(whole);
        r.model = m;
        r.settings = m->sample;
        if (generate(out, &r, NULL, &err))
            fail_msg("%s: %s", good[i][0], err.text);
        model_free(m);
    }
    temp_dir_remove(dir);
}

static void what_excludes_each_other_is_told(void **state)
{
    static const struct {
        const char *settings[WORDS], *word;
    } bad[] = {
        {{"model.prediction=scroe"}, "score"},
        {{"model.prediction=score"}, "t = 1"},
        {{"model.prediction=noise", "train.loss=velocity"}, "t = 0"},
        {{"model.prediction=noise", "train.loss=data"}, "t = 0"},
        {{"model.prediction=noise", "train.weight=edm", "train.loss=noise"}, "edm"},
        {{"model.prediction=noise", "train.time=discrete"}, "condot"},
        {{"model.prediction=noise", "model.time_input=index"}, "condot"},
        {{"model.precondition=edm"}, "velocity"},
        {{"train.weight=min_snr", "weight.gama=5"}, "gamma"},
        {{"train.weight=min_snr", "weight.gamma=-5"}, "-5"},
        {{"precondition.data_std=1"}, "data_std"},
        {{"model.second=velocity"}, "already"},
        {{"train.direction=1", "model.prediction=data"}, "data"},
        {{"train.variance=1", "model.prediction=noise"}, "channel"},
        {{"train.variance=1", "model.prediction=noise", "unet.out_channels=2"}, "condot"},
        {{"train.variance=1", "model.second=noise"}, "second"},
    };
    char dir[TEMP_PATH], folder[TEMP_PATH];

    (void)state;
    temp_dir_new(dir);
    temp_path(folder, dir, "run");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};

        assert_int_equal(train(folder, 0, false, bad[i].settings, &err), E_ARG);
        if (!strstr(err.text, bad[i].word))
            fail_msg("%zu: \"%s\" does not speak of \"%s\"", i, err.text, bad[i].word);
        assert_false(checkpoint_exists(folder));
    }
    temp_dir_remove(dir);
}

/* What is not of classifiers is refused there, rather than ignored. */
static void classifiers_have_one_loss(void **state)
{
    static const struct {
        const char *setting, *word;
    } bad[] = {
        {"train.weight=min_snr", "cross-entropy"},
        {"train.loss=noise", "cross-entropy"},
        {"train.variance=1", "cross-entropy"},
        {"model.second=noise", "label"},
    };
    char dir[TEMP_PATH], out[TEMP_PATH + 16];

    (void)state;
    temp_dir_new(dir);
    snprintf(out, sizeof out, "train.out=%s/run", dir);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *settings[] = {out, (char *)(uintptr_t)bad[i].setting};
        struct experiment e = {0};
        struct train_request r = {.experiment = &e, .threads = 1};
        struct error err = {0};

        assert_int_equal(experiment_read_text(&e, "tiny",
                                              "[model]\nnetwork = classifier_dit\n"
                                              "[data]\nformat = anchor-shapes\n"
                                              "[classifier_dit]\npatch = 4\nwidth = 16\n"
                                              "depth = 1\nheads = 2\n",
                                              settings, 2, &err),
                         OK);
        assert_int_equal(train_run(&r, &err), E_ARG);
        if (!strstr(err.text, bad[i].word))
            fail_msg("%s: \"%s\"", bad[i].setting, err.text);
        experiment_release(&e);
    }
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_objective_trains_and_resumes),
        cmocka_unit_test(what_excludes_each_other_is_told),
        cmocka_unit_test(classifiers_have_one_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
