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
