/*
 * runs.c - runs of training from a text, and whether two of them are one
 */
#include "support/runs.h"

#include "support/tensor_files.h"
#include "train/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static enum status read_text(struct experiment *e, const char *config, const char *const *more,
                             struct error *err)
{
    int n = 0;

    while (more && more[n])
        n++;
    return experiment_read_text(e, "test", config, (char *const *)(uintptr_t)more, n, err);
}

void run_read(struct experiment *e, const char *config, const char *const *more)
{
    struct error err = {0};

    if (read_text(e, config, more, &err))
        fail_msg("%s", err.text);
}

enum status run_text(struct train_request r, const char *config, const char *const *more,
                     struct error *err)
{
    struct experiment e = {0};
    enum status st;

    r.experiment = &e;
    if (!(st = read_text(&e, config, more, err)))
        st = train_run(&r, err);
    experiment_release(&e);
    return st;
}

bool run_stops_at(const struct train_event *e, void *user)
{
    const int64_t *step = user;

    return e->kind != TRAIN_STEP || e->step != *step;
}

void assert_same_runs(const char *folder, const char *other)
{
    char a[CHECKPOINT_PATH], b[CHECKPOINT_PATH];

    assert_int_equal(checkpoint_find(a, folder, NULL), OK);
    assert_int_equal(checkpoint_find(b, other, NULL), OK);
    assert_same_tensors(a, b);
}

enum status run_in(const char *name, const char *config, int threads, int64_t stop,
                   const char *const *more, struct error *err)
{
    char out[96];
    const char *settings[RUN_SETTINGS + 2] = {out};
    struct train_request r = {
        .threads = threads, .resume = stop < 0, .callback = run_stops_at, .user = &stop};

    snprintf(out, sizeof out, "train.out=%s", name);
    for (int n = 0; more && more[n]; n++) {
        assert_true(n < RUN_SETTINGS);
        settings[n + 1] = more[n];
    }
    return run_text(r, config, settings, err);
}

void run_must(const char *name, const char *config, int threads, const char *const *more)
{
    struct error err = {0};

    if (run_in(name, config, threads, 0, more, &err))
        fail_msg("%s: %s", name, err.text);
}

void assert_run_repeats(const char *whole, const char *config)
{
    char name[80];

    for (int64_t stop = 2; stop <= 3; stop++) {
        snprintf(name, sizeof name, "%s-cut-%d", whole, (int)stop);
        assert_int_equal(run_in(name, config, 2, stop, NULL, NULL), E_CANCELLED);
        assert_int_equal(run_in(name, config, 2, -1, NULL, NULL), OK);
        assert_same_runs(whole, name);
    }
    snprintf(name, sizeof name, "%s-threads", whole);
    run_must(name, config, 3, NULL);
    assert_same_runs(whole, name);
}
