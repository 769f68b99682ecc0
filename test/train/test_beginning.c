/*
 * test_beginning.c - runs that begin as another model: its weights are there before the first step,
 * a longer clip keeps the times that were learnt, a run that goes on does not ask again, and what
 * does not fit is refused
 */
#include "train/beginning.h"

#include "pipeline/model.h"
#include "support/runs.h"
#include "support/says.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TRAIN                                                                                    \
    "[train]\nsteps = 2\nbatch = 2\nwarmup = 0\nlearning_rate = 0.003\nema = 0\nsample_every = " \
    "0\n"
static const char picture[] = "[data]\nformat = shapes\nsize = 16\n[model]\nnetwork = dit\n"
                              "[dit]\nwidth = 16\ndepth = 1\nheads = 2\npatch = 4\n" TRAIN;
static const char clip[] = "[data]\nformat = moving\nframes = 9\n[model]\nnetwork = "
                           "movie\n[movie]\npatch = 8\nwidth = 16\n"
                           "depth = 1\nheads = 2\ntext_length = 48\ntext_width = 8\ntext_depth = "
                           "1\ntext_heads = 2\n" TRAIN;

static struct model *open_model(const char *path)
{
    struct model *m;
    struct error err = {0};

    if (model_load(&m, path, &err))
        fail_msg("%s", err.text);
    return m;
}

/* All that `from` has learnt stands at the head of what `to` has under the same name. */
static void holds(const char *to, const char *from)
{
    struct model *a = open_model(to), *b = open_model(from);

    for (int64_t i = 0; i < params_count(b->network->params); i++) {
        const struct param *q = params_at(b->network->params, i);
        const struct param *p = params_find(a->network->params, q->name);
        size_t n = (size_t)shape_count(q->shape), most;
        float *x, *y;

        assert_non_null(p);
        most = (size_t)shape_count(p->shape);
        assert_true(most >= n);
        x = calloc(most, sizeof *x);
        y = calloc(n, sizeof *y);
        assert_true(x && y);
        param_read(x, p);
        param_read(y, q);
        assert_memory_equal(x, y, n * sizeof *x);
        free(x);
        free(y);
    }
    model_free(a);
    model_free(b);
}

static void its_weights_are_there(void **state)
{
    static const char *const more[] = {"train.init=picture/model.safetensors",
                                       "train.learning_rate=0", "train.seed=9", NULL};

    (void)state;
    run_must("again", picture, 2, more);
    holds("again/model.safetensors", "picture/model.safetensors");
}

static void longer_clips_keep_their_times(void **state)
{
    static const char *const more[] = {"train.init=clip/model.safetensors", "train.learning_rate=0",
                                       "data.frames=11", NULL};

    (void)state;
    run_must("longer", clip, 2, more);
    holds("longer/model.safetensors", "clip/model.safetensors");
}

/* A run that was cut needs the first model no more. */
static void a_run_that_goes_on(void **state)
{
    static const char *const more[] = {"train.init=gone.safetensors", NULL};
    struct error err = {0};

    (void)state;
    assert_int_equal(link("picture/model.safetensors", "gone.safetensors"), 0);
    assert_int_equal(run_in("cut", picture, 2, 1, more, &err), E_CANCELLED);
    assert_int_equal(unlink("gone.safetensors"), 0);
    if (run_in("cut", picture, 2, -1, more, &err))
        fail_msg("%s", err.text);
}

static void refused(const char *config, const char *const *more, enum status want, const char *says)
{
    struct error err = {0};

    assert_int_equal(run_in("none", config, 2, 0, more, &err), want);
    assert_says(err.text, "train.init");
    assert_says(err.text, says);
    assert_int_not_equal(access("none/log.csv", F_OK), 0);
}

static void what_does_not_fit(void **state)
{
    static const char init[] = "train.init=picture/model.safetensors",
                      clips[] = "train.init=clip/model.safetensors";
    static const char *const wider[] = {init, "dit.width=32", NULL},
                             *const narrower[] = {clips, "movie.width=8", NULL},
                             *const shorter[] = {clips, "data.frames=8", NULL},
                             *const other[] = {clips, NULL},
                             *const missing[] = {"train.init=nowhere", NULL};

    (void)state;
    refused(picture, wider, E_ARG, "cannot become");
    refused(clip, narrower, E_ARG, "cannot become");
    refused(clip, shorter, E_ARG, "pos_embed.times: [9, 16] cannot become [8, 16]");
    refused(picture, other, E_ARG, "a 'dit' does not begin as a 'movie'");
    refused(picture, missing, E_IO, "nowhere");
}

static int set_up(void **state)
{
    temp_enter(state);
    run_must("picture", picture, 2, NULL);
    run_must("clip", clip, 2, NULL);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_weights_are_there),
        cmocka_unit_test(longer_clips_keep_their_times),
        cmocka_unit_test(a_run_that_goes_on),
        cmocka_unit_test(what_does_not_fit),
    };

    return cmocka_run_group_tests(tests, set_up, temp_leave);
}
