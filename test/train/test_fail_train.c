/*
 * test_fail_train.c - a training run in which everything fails once
 *
 * A run that goes on from a checkpoint, with its logs, held-out losses, sheets, checkpoints and the
 * model at the end, is started again and again; each time one more allocation, or one more call of
 * the file system, succeeds before one fails.  Whatever fails: the run says so and leaves
 * nothing behind, the checkpoint it came from keeps its bytes, `latest` names one that opens, and
 * going on gives the bits of a run that was never disturbed.  Failures that a run survives must not
 * be seen in its model either.
 *
 * Runs have thousands of allocations: one in some is made to fail, and with IMGEN_FAILS set each.
 */
#include "train/checkpoint.h"
#include "train/trainer.h"

#include "base/file.h"
#include "support/failing.h"
#include "support/runs.h"
#include "support/temp.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STEPS = 2, THREADS = 1, OWN_RUNS = 320, OTHER_RUNS = 24 };

#define FIRST "checkpoint-00000001.safetensors"

/* Every part of a run, each as small as it can be. */
#define RUN                                                                     \
    "[data]\nformat = anchor-shapes\n"                                          \
    "[train]\nbatch = 2\nwarmup = 1\nkeep = 9\nlog_every = 1\nsave_every = 1\n" \
    "sample_every = 1\nsample_count = 2\neval_every = 1\neval_count = 2\n"
#define SAMPLED "[sample]\nsteps = 1\nsampling_method = euler\n" RUN

static const char unet[] =
    SAMPLED "[unet]\nwidth = 8\nmult = 1,2\nblocks = 1\nattention = 2\ngroups = 4\n";
static const char dit[] = SAMPLED "recompute = true\n"
                                  "[model]\nnetwork = dit\n"
                                  "[dit]\npatch = 8\nwidth = 16\ndepth = 1\nheads = 2\n";
static const char vae[] =
    RUN "[model]\nnetwork = vae\n"
        "[vae]\nlatent_channels = 2\nwidth = 4\nmult = 1,2\nblocks = 1\ngroups = 2\n"
        "[autoencoder]\nnoise = 0.1\nlog_scale = true\ndiscriminator = 0.5\n"
        "discriminator_start = 1\ndiscriminator_width = 2\ndiscriminator_layers = 1\n"
        "statistics = 4\n";

struct bytes {
    uint8_t *at;
    uint64_t n;
};

static char folder[TEMP_PATH];
static const char *config;
static struct bytes first, finished; /* the checkpoint of step 1; the model of an undisturbed run */

static bool stop_after_first(const struct train_event *e, void *user)
{
    (void)user;
    return e->kind != TRAIN_STEP || e->step != 1;
}

static enum status run(bool resume, train_callback *callback, struct error *err)
{
    char out[TEMP_PATH + 16], steps[32];
    const char *const settings[] = {out, steps, NULL};
    struct train_request r = {.threads = THREADS, .resume = resume, .callback = callback};

    snprintf(out, sizeof out, "train.out=%s", folder);
    snprintf(steps, sizeof steps, "train.steps=%d", STEPS);
    return run_text(r, config, settings, err);
}

static struct bytes read_file(const char *name)
{
    char path[TEMP_PATH];
    struct bytes b;

    temp_path(path, folder, name);
    assert_int_equal(file_read(&b.at, &b.n, path, 1 << 24, NULL), OK);
    return b;
}

static bool same_bytes(struct bytes want, const char *name)
{
    struct bytes got = read_file(name);
    bool same = got.n == want.n && !memcmp(got.at, want.at, got.n);

    free(got.at);
    return same;
}

/* Back to the folder of a run that was stopped after its first step. */
static void put_back(void)
{
    char path[TEMP_PATH];
    struct dirent *entry;
    DIR *d = opendir(folder);

    assert_non_null(d);
    while ((entry = readdir(d)))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, FIRST) != 0)
            unlink(temp_path(path, folder, entry->d_name));
    closedir(d);
    assert_int_equal(file_write(temp_path(path, folder, "latest"), FIRST "\n", sizeof FIRST, NULL),
                     OK);
}

static void no_temporary_is_left(const char *where)
{
    DIR *d = opendir(folder);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)))
        if (strstr(entry->d_name, FILE_TEMPORARY_MARK))
            fail_msg("%s left %s", where, entry->d_name);
    closedir(d);
}

/* The old checkpoint has its bytes, and what `latest` names opens and is not older. */
static void state_is_whole(const char *where)
{
    char path[CHECKPOINT_PATH];
    struct bytes latest = read_file("latest");
    struct model *m;

    no_temporary_is_left(where);
    if (!same_bytes(first, FIRST))
        fail_msg("%s changed the checkpoint it went on from", where);
    assert_int_equal(checkpoint_find(path, folder, NULL), OK);
    latest.at[strcspn((char *)latest.at, "\n")] = 0;
    if (strcmp(strrchr(path, '/') + 1, (char *)latest.at) != 0)
        fail_msg("%s: latest names %s, which does not open", where, latest.at);
    assert_int_equal(model_load(&m, path, NULL), OK);
    assert_true(m->step >= 1);
    model_free(m);
    free(latest.at);
}

/* What a run must say of a call that failed. */
static bool told(int kind, enum status st, const struct error *err)
{
    if (err->status != st || !err->text[0])
        return false;
    if (kind & FAILING_MEMORY)
        return st == E_MEMORY;
    if (kind == FAILING_THREAD)
        return st == E_IO && strstr(err->text, "thread");
    return st == E_IO && (strstr(err->text, folder) || strstr(err->text, " of step "));
}

/* One run with its k-th call of these kinds failing; false when there are not so many. */
static bool fail_one(int kinds, int64_t k)
{
    struct error err = {0};
    char where[80];
    enum status st;

    put_back();
    snprintf(where, sizeof where, "kinds %d, call %d", kinds, (int)k);
    failing_arm(kinds, k);
    st = run(true, NULL, &err);
    if (!failing_disarm()) {
        assert_int_equal(st, OK);
        return false;
    }
    if (st && !told(kinds, st, &err))
        fail_msg("%s: status %d, \"%s\"", where, (int)st, err.text);
    state_is_whole(where);
    if (!st && !same_bytes(finished, "model.safetensors"))
        fail_msg("%s: the failure is seen in the model", where);
    return true;
}

static void goes_on(void)
{
    assert_int_equal(run(true, NULL, NULL), OK);
    assert_true(same_bytes(finished, "model.safetensors"));
}

/* Calls of these kinds that an undisturbed run makes. */
static int64_t count_calls(int kinds)
{
    int64_t n;

    put_back();
    failing_arm(kinds, INT64_MAX);
    assert_int_equal(run(true, NULL, NULL), OK);
    n = failing_calls();
    assert_false(failing_disarm());
    return n;
}

/* About `runs` of the calls of this kind, spread evenly, or all of them. */
static void fail_some(int kind, int64_t runs)
{
    int64_t n = count_calls(kind), step = getenv("IMGEN_FAILS") ? 1 : (n + runs - 1) / runs;

    assert_true(n > 0);
    for (int64_t k = 0; k < n; k += step)
        if (fail_one(kind, k) && kind != FAILING_OWN && kind != FAILING_JSON)
            goes_on();
    goes_on();
    printf("kind %d: %d calls, one in %d made to fail\n", kind, (int)n, (int)step);
}

/* jansson asks for every number and name: twenty times as often as all others together. */
static void every_allocation_fails(void **state)
{
    (void)state;
    fail_some(FAILING_OWN, OWN_RUNS);
    fail_some(FAILING_JSON, OTHER_RUNS);
}

static void every_file_call_fails(void **state)
{
    static const int kinds[] = {FAILING_OPEN, FAILING_READ,   FAILING_WRITE,
                                FAILING_SYNC, FAILING_RENAME, FAILING_THREAD};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        fail_some(kinds[i], OTHER_RUNS);
}

/* A file system that takes no more bytes, without any trick: files may not grow past a limit. */
static void full_disk(void **state)
{
    static const rlim_t limits[] = {0, 100, 4096};
    struct rlimit before, less;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct error err = {0};
        enum status st;

        put_back();
        less = (struct rlimit){limits[i], before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
        st = run(true, NULL, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(st, E_IO);
        assert_non_null(strstr(err.text, "File too large"));
        state_is_whole("a full disk");
        goes_on();
    }
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(folder);
    assert_int_equal(run(false, stop_after_first, NULL), E_CANCELLED);
    first = read_file(FIRST);
    put_back();
    assert_int_equal(run(true, NULL, NULL), OK);
    finished = read_file("model.safetensors");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(first.at);
    free(finished.at);
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    const char *const configs[] = {unet, dit, vae};
    int failed = 0;

    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_allocation_fails),
            cmocka_unit_test(every_file_call_fails),
            cmocka_unit_test(full_disk),
        };

        config = configs[i];
        failed += cmocka_run_group_tests(tests, set_up, tear_down);
    }
    return failed;
}
