/*
 * test_run.c - whole training runs: cut, killed, resumed, broken
 *
 * IMGEN_KILLS and IMGEN_CUTS raise the number of kills and cuts of the two long tests above what a
 * quick run of the suite takes.
 */
#include "train/checkpoint.h"
#include "train/history.h"
#include "train/trainer.h"

#include "base/file.h"
#include "base/rng.h"
#include "support/runs.h"
#include "support/temp.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Small enough that a step takes milliseconds, large enough to have every kind of layer. */
static const char tiny[] = "[data]\nformat = anchor-shapes\n"
                           "[unet]\nwidth = 8\nmult = 1,2\nblocks = 1\nattention = 2\ngroups = 4\n"
                           "[train]\nbatch = 4\nwarmup = 5\nlog_every = 1\nsample_every = 0\n"
                           "flip = false\n";

static const char tiny_dit[] = "[data]\nformat = anchor-shapes\n[model]\nnetwork = dit\n"
                               "[dit]\nwidth = 16\ndepth = 2\nheads = 2\npatch = 4\n"
                               "[train]\nbatch = 4\nwarmup = 5\nlog_every = 1\n"
                               "sample_every = 0\nflip = false\n";

static int from_environment(const char *name, int otherwise)
{
    const char *text = getenv(name);

    return text ? atoi(text) : otherwise;
}

/* Train what `text` describes in `folder`; settings end with NULL. */
static enum status train_text(const char *text, const char *folder, int64_t steps, int64_t stop,
                              bool resume, const char *const *more, struct error *err)
{
    char out[600], count[64];
    const char *settings[17] = {out, count};
    struct train_request r = {
        .threads = 2, .resume = resume, .callback = run_stops_at, .user = &stop};
    int n = 2;

    snprintf(out, sizeof out, "train.out=%s", folder);
    snprintf(count, sizeof count, "train.steps=%d", (int)steps);
    for (; more && more[n - 2]; n++)
        settings[n] = more[n - 2];
    return run_text(r, text, settings, err);
}

static enum status train(const char *folder, int64_t steps, int64_t stop, bool resume,
                         const char *const *more, struct error *err)
{
    return train_text(tiny, folder, steps, stop, resume, more, err);
}

/* The losses of steps 1 .. n in a log. */
static void read_losses(const char *folder, char losses[][32], int n)
{
    char path[700], line[1024];
    FILE *f;
    int i = 0;

    snprintf(path, sizeof path, "%s/log.csv", folder);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    while (fgets(line, sizeof line, f)) {
        int step;

        assert_true(i < n);
        assert_int_equal(sscanf(line, "%d,%31[^,]", &step, losses[i]), 2);
        assert_int_equal(step, ++i);
    }
    assert_int_equal(i, n);
    fclose(f);
}

/* Resuming equals never having stopped: parameters, averages, moments, and every loss. */
static void test_resume(void **state)
{
    enum { STEPS = 30 };
    char whole[TEMP_PATH];
    static char want[STEPS][32], got[STEPS][32];
    struct rng r = rng_stream(11, RNG_TEST, 0);
    int cuts = from_environment("IMGEN_CUTS", 3);

    (void)state;
    temp_dir_new(whole);
    assert_int_equal(train(whole, STEPS, 0, false, NULL, NULL), OK);
    read_losses(whole, want, STEPS);
    for (int k = 0; k < cuts; k++) {
        int64_t cut = 1 + (int64_t)rng_below(&r, STEPS - 1);
        char part[TEMP_PATH];

        temp_dir_new(part);
        assert_int_equal(train(part, STEPS, cut, false, NULL, NULL), E_CANCELLED);
        assert_int_equal(train(part, STEPS, 0, true, NULL, NULL), OK);
        assert_same_runs(whole, part);
        read_losses(part, got, STEPS);
        for (int i = 0; i < STEPS; i++)
            assert_string_equal(want[i], got[i]);
        temp_dir_remove(part);
    }
    temp_dir_remove(whole);
}

/* Of a weight in a checkpoint; returns how many rows it has. */
static int64_t assert_unit_rows(const struct weights *f, const char *name)
{
    char key[160];
    const struct file_tensor *t;
    int64_t n, O;
    float *w;

    snprintf(key, sizeof key, "model.%s", name);
    t = weights_find(f, key);
    assert_non_null(t);
    O = t->dim[0];
    n = file_tensor_count(t) / O;
    w = malloc((size_t)(O * n) * sizeof *w);
    assert_non_null(w);
    assert_int_equal(file_tensor_f32(t, w, NULL), OK);
    for (int64_t o = 0; o < O; o++) {
        double sum = 0;

        for (int64_t k = 0; k < n; k++)
            sum += (double)w[o * n + k] * (double)w[o * n + k];
        assert_true(fabs(sqrt(sum / (double)n) - 1) < 2e-4);
    }
    free(w);
    return O;
}

/* Rows of EDM2's weights have unit size after every step, and a resumed run has the same bits. */
static void test_unit_weights(void **state)
{
    const char *edm2[] = {"unet.style=edm2", "model.time_scale=1", "train.learning_rate=0.02",
                          NULL};
    char whole[TEMP_PATH], part[TEMP_PATH], path[CHECKPOINT_PATH];
    struct weights *f;
    struct model *m;
    int64_t rows = 0;

    (void)state;
    temp_dir_new(whole);
    temp_dir_new(part);
    assert_int_equal(train(whole, 6, 0, false, edm2, NULL), OK);
    assert_int_equal(train(part, 6, 3, false, edm2, NULL), E_CANCELLED);
    assert_int_equal(train(part, 6, 0, true, edm2, NULL), OK);
    assert_same_runs(whole, part);
    assert_int_equal(checkpoint_find(path, whole, NULL), OK);
    assert_int_equal(model_load(&m, path, NULL), OK);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    for (int64_t i = 0; i < params_count(m->network->params); i++)
        if (params_at(m->network->params, i)->unit_rows)
            rows += assert_unit_rows(f, params_at(m->network->params, i)->name);
    assert_true(rows > 100);
    weights_close(f);
    model_free(m);
    temp_dir_remove(whole);
    temp_dir_remove(part);
}

/* With dropout too a resumed run has the bits of the uncut one, and so has one that computes its
 * activations again. */
static void check_dropout(const char *text, const char *dropout)
{
    enum { STEPS = 6 };
    const char *fast = "train.learning_rate=0.01", *none[] = {fast, NULL};
    const char *drops[] = {fast, dropout, NULL};
    const char *again[] = {fast, dropout, "train.recompute=true", NULL};
    char whole[TEMP_PATH], part[TEMP_PATH], other[TEMP_PATH], without[TEMP_PATH];
    static char want[STEPS][32], got[STEPS][32];

    temp_dir_new(whole);
    temp_dir_new(part);
    temp_dir_new(other);
    temp_dir_new(without);
    assert_int_equal(train_text(text, whole, STEPS, 0, false, drops, NULL), OK);
    assert_int_equal(train_text(text, part, STEPS, 2, false, drops, NULL), E_CANCELLED);
    assert_int_equal(train_text(text, part, STEPS, 0, true, drops, NULL), OK);
    assert_same_runs(whole, part);
    assert_int_equal(train_text(text, other, STEPS, 0, false, again, NULL), OK);
    assert_same_runs(whole, other);
    assert_int_equal(train_text(text, without, STEPS, 0, false, none, NULL), OK);
    read_losses(whole, want, STEPS);
    read_losses(without, got, STEPS);
    assert_string_not_equal(want[STEPS - 1], got[STEPS - 1]);
    temp_dir_remove(whole);
    temp_dir_remove(part);
    temp_dir_remove(other);
    temp_dir_remove(without);
}

static void test_dropout(void **state)
{
    (void)state;
    check_dropout(tiny, "unet.dropout=0.3");
    check_dropout(tiny_dit, "dit.dropout=0.3");
}

/* --- kill -9 ------------------------------------------------------------------------------------
 */

static pid_t start_child(const char *folder)
{
    char self[] = "/proc/self/exe", word[] = "child", path[TEMP_PATH];
    char *argv[] = {self, word, path, NULL};
    pid_t pid;

    snprintf(path, sizeof path, "%s", folder);
    assert_int_equal(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
    return pid;
}

static void sleep_for(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))};

    nanosleep(&t, NULL);
}

/* The first child lives until it has saved once, however slow the machine: else there is nothing to
 * find. */
static void await_checkpoint(const char *folder)
{
    enum { TRIES = 6000 };

    for (int i = 0; i < TRIES && !checkpoint_exists(folder); i++)
        sleep_for(0.1);
}

/* A killed run leaves a newest checkpoint that opens and from which training goes on, and never
 * goes back to an older one than it had. */
static void test_kill(void **state)
{
    int kills = from_environment("IMGEN_KILLS", 6);
    struct rng r = rng_stream(12, RNG_TEST, 0);
    char folder[TEMP_PATH], path[CHECKPOINT_PATH];
    int64_t last = 0;

    (void)state;
    temp_dir_new(folder);
    for (int k = 0; k < kills; k++) {
        pid_t pid = start_child(folder);
        struct model *m;

        if (k == 0)
            await_checkpoint(folder);
        sleep_for(0.15 + 0.35 * rng_uniform(&r));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(checkpoint_find(path, folder, NULL), OK);
        assert_int_equal(model_load(&m, path, NULL), OK);
        assert_true(m->step >= last);
        last = m->step;
        model_free(m);
    }
    printf("killed %d times, the newest checkpoint always readable; step %d reached\n", kills,
           (int)last);
    assert_int_equal(train(folder, last + 3, 0, true, NULL, NULL), OK);
    temp_dir_remove(folder);
}

static int child(const char *folder)
{
    const char *more[] = {"train.save_every=1", "train.keep=2", NULL};

    return train(folder, 1000000, 0, true, more, NULL) ? 1 : 0;
}

/* --- what goes wrong ----------------------------------------------------------------------------
 */

static void test_not_finite(void **state)
{
    const char *more[] = {"train.learning_rate=10",
                          "train.clip=0",
                          "train.warmup=0",
                          "train.save_every=1",
                          "train.adam_eps=0",
                          "train.weight_decay=10",
                          NULL};
    char folder[TEMP_PATH], path[CHECKPOINT_PATH];
    struct error err = {0};
    struct model *m;

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(folder, 400, 0, false, more, &err), E_NOT_FINITE);
    assert_non_null(strstr(err.text, "step "));
    assert_int_equal(checkpoint_find(path, folder, NULL), OK);
    assert_int_equal(model_load(&m, path, NULL), OK);
    model_free(m);
    temp_dir_remove(folder);
}

static void test_folder_in_use(void **state)
{
    char folder[TEMP_PATH];
    struct error err = {0};

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(folder, 2, 0, false, NULL, NULL), OK);
    assert_int_equal(train(folder, 2, 0, false, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, folder));
    assert_int_equal(train(folder, 1, 0, true, NULL, &err), E_ARG);
    temp_dir_remove(folder);
}

static void test_another_network(void **state)
{
    const char *wider[] = {"unet.width=16", NULL},
               *dit[] = {"model.network=dit", "data.size=16", NULL};
    char folder[TEMP_PATH];
    struct error err = {0};

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(folder, 2, 0, false, NULL, NULL), OK);
    assert_int_equal(train(folder, 4, 0, true, wider, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "of another shape"));
    assert_int_not_equal(train(folder, 4, 0, true, dit, &err), OK);
    temp_dir_remove(folder);
}

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[TEMP_PATH];

    temp_path(path, folder, name);
    assert_int_equal(file_write(path, text, strlen(text), NULL), OK);
}

/* A newest checkpoint that does not open is passed over, whatever `latest` says. */
static void test_broken_newest(void **state)
{
    const char *more[] = {"train.save_every=1", "train.keep=3", NULL};
    char folder[TEMP_PATH], path[CHECKPOINT_PATH];

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(folder, 3, 0, false, more, NULL), OK);
    write_text(folder, "checkpoint-00000009.safetensors", "torn");
    write_text(folder, "latest", "checkpoint-00000009.safetensors\n");
    assert_int_equal(checkpoint_find(path, folder, NULL), OK);
    assert_non_null(strstr(path, "checkpoint-00000003"));
    assert_int_equal(train(folder, 5, 0, true, more, NULL), OK);
    temp_dir_remove(folder);
}

static void test_keeps_the_last(void **state)
{
    const char *more[] = {"train.save_every=1", "train.keep=2", NULL};
    char folder[TEMP_PATH], path[TEMP_PATH];

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(folder, 5, 0, false, more, NULL), OK);
    assert_int_not_equal(access(temp_path(path, folder, "checkpoint-00000003.safetensors"), F_OK),
                         0);
    assert_int_equal(access(temp_path(path, folder, "checkpoint-00000004.safetensors"), F_OK), 0);
    assert_int_equal(access(temp_path(path, folder, "checkpoint-00000005.safetensors"), F_OK), 0);
    assert_int_equal(access(temp_path(path, folder, "model.safetensors"), F_OK), 0);
    temp_dir_remove(folder);
}

/* One batch of four or two of two: the same samples, the same mean, to rounding. */
static void test_accumulation(void **state)
{
    const char *two[] = {"train.batch=2", "train.accumulate=2", NULL};
    char a[TEMP_PATH], b[TEMP_PATH];
    static char want[3][32], got[3][32];

    (void)state;
    temp_dir_new(a);
    temp_dir_new(b);
    assert_int_equal(train(a, 3, 0, false, NULL, NULL), OK);
    assert_int_equal(train(b, 3, 0, false, two, NULL), OK);
    read_losses(a, want, 3);
    read_losses(b, got, 3);
    for (int i = 0; i < 3; i++)
        assert_float_equal(atof(want[i]), atof(got[i]), 1e-4);
    temp_dir_remove(a);
    temp_dir_remove(b);
}

static void test_recompute_gives_the_same_run(void **state)
{
    const char *more[] = {"train.recompute=true", NULL};
    char a[TEMP_PATH], b[TEMP_PATH];

    (void)state;
    temp_dir_new(a);
    temp_dir_new(b);
    assert_int_equal(train(a, 4, 0, false, NULL, NULL), OK);
    assert_int_equal(train(b, 4, 0, false, more, NULL), OK);
    assert_same_runs(a, b);
    temp_dir_remove(a);
    temp_dir_remove(b);
}

/* Losses on held-out pictures: written at their steps, the same after a resume, and, before the
 * averages have caught up, those of two sets of weights. */
static void test_evaluation(void **state)
{
    const char *more[] = {"train.eval_every=4", "train.eval_count=70", NULL};
    char a[TEMP_PATH], b[TEMP_PATH], path[TEMP_PATH];
    uint8_t *want, *got;
    uint64_t n, m;
    double raw, average;

    (void)state;
    temp_dir_new(a);
    temp_dir_new(b);
    assert_int_equal(train(a, 10, 0, false, more, NULL), OK);
    assert_int_equal(train(b, 10, 6, false, more, NULL), E_CANCELLED);
    assert_int_equal(train(b, 10, 0, true, more, NULL), OK);
    assert_int_equal(file_read(&want, &n, temp_path(path, a, "eval.csv"), 1 << 16, NULL), OK);
    assert_int_equal(file_read(&got, &m, temp_path(path, b, "eval.csv"), 1 << 16, NULL), OK);
    assert_string_equal((char *)want, (char *)got);
    assert_non_null(strstr((char *)want, "\n4,"));
    assert_non_null(strstr((char *)want, "\n8,"));
    assert_int_equal(sscanf(strstr((char *)want, "\n10,"), "\n10,%lf,%lf", &raw, &average), 2);
    assert_true(raw > 0.1 && raw < 3 && average > 0.1 && average < 3 && raw != average);
    free(want);
    free(got);
    temp_dir_remove(a);
    temp_dir_remove(b);
}

/* Event files of a folder. */
static int count_events(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        n += strstr(entry->d_name, ".tfevents.") != NULL;
    closedir(dir);
    return n;
}

/* A run that was stopped and gone on with: each step once in the log, its configuration there at
 * each start, a page, and events only where they were asked for. */
static void test_what_a_run_tells(void **state)
{
    const char *more[] = {"train.eval_every=4",   "train.eval_count=9",    "train.sample_every=5",
                          "train.sample_count=2", "train.tensorboard=yes", NULL};
    char a[TEMP_PATH], b[TEMP_PATH], path[TEMP_PATH];
    struct history h;
    uint8_t *html;
    uint64_t n;

    (void)state;
    temp_dir_new(a);
    temp_dir_new(b);
    assert_int_equal(train(a, 10, 6, false, more, NULL), E_CANCELLED);
    assert_int_equal(file_read(&html, &n, temp_path(path, a, "report.html"), 1 << 24, NULL), OK);
    assert_non_null(strstr((char *)html, "6 of 10"));
    free(html);
    assert_int_equal(train(a, 10, 0, true, more, NULL), OK);
    assert_int_equal(file_read(&html, &n, temp_path(path, a, "report.html"), 1 << 24, NULL), OK);
    assert_non_null(strstr((char *)html, "10 of 10"));
    assert_non_null(strstr((char *)html, ">step 10</figcaption>"));
    assert_non_null(strstr((char *)html, "anchor-shapes"));
    free(html);
    assert_int_equal(history_read(&h, temp_path(path, a, "log.jsonl"), NULL), OK);
    assert_int_equal(h.n_rows, 10);
    assert_int_equal(h.n_evals, 3);
    assert_int_equal(h.unread, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(h.rows[i].step, i + 1);
    history_release(&h);
    assert_int_equal(count_events(a), 2);

    assert_int_equal(train(b, 3, 0, false, NULL, NULL), OK);
    assert_int_equal(file_read(&html, &n, temp_path(path, b, "report.html"), 1 << 24, NULL), OK);
    assert_int_equal(count_events(b), 0);
    free(html);
    temp_dir_remove(a);
    temp_dir_remove(b);
}

/* Pictures that are stored must name others to be held against. */
static void test_evaluation_needs_pictures(void **state)
{
    const char *more[] = {"train.eval_every=4", "data.limit=20", NULL};
    char folder[TEMP_PATH];
    struct error err = {0};

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(folder, 10, 0, false, more, &err), E_ARG);
    assert_non_null(strstr(err.text, "data.eval_path"));
    temp_dir_remove(folder);
}

/* A small network learns: the loss of the last steps is far below that of the first. */
static void test_learns(void **state)
{
    const char *more[] = {"train.batch=16", "train.learning_rate=0.003", NULL};
    enum { STEPS = 120 };
    char folder[TEMP_PATH];
    static char losses[STEPS][32];
    double first = 0, last = 0;

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(folder, STEPS, 0, false, more, NULL), OK);
    read_losses(folder, losses, STEPS);
    for (int i = 0; i < 10; i++) {
        first += atof(losses[i]) / 10;
        last += atof(losses[STEPS - 1 - i]) / 10;
    }
    assert_true(last < 0.4 * first);
    temp_dir_remove(folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_unit_weights),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_folder_in_use),
        cmocka_unit_test(test_another_network),
        cmocka_unit_test(test_broken_newest),
        cmocka_unit_test(test_keeps_the_last),
        cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_recompute_gives_the_same_run),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_what_a_run_tells),
        cmocka_unit_test(test_evaluation_needs_pictures),
        cmocka_unit_test(test_learns),
    };

    if (argc == 3 && !strcmp(argv[1], "child"))
        return child(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
