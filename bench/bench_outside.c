/*
 * bench_outside.c - what a step costs besides its network
 *
 *     bench_outside [threads]
 *
 * Training: a real run, whose own log says what each step spent on data (waiting for the loader,
 * times, noise, noisy pictures, targets), network, optimizer and the rest (logging, callbacks). The
 * loader draws the next batch in a thread of its own while the network computes, and takes its
 * processor's time from it: its seconds of processor are measured alone, divided by the number of
 * threads, and added.
 *
 * Sampling: whatever of a step no node of the tape accounts for (recording, guidance, solver,
 * conversions), and turning pictures into PNG files, synced to disk, once every 25 steps.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/loader.h"
#include "eval/speed.h"
#include "pipeline/picture.h"
#include "train/trainer.h"

#include <ftw.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEPS = 10, BATCHES = 64, PICTURES = 32, SIDE = 32, SOLVER_STEPS = 25, PATH_ROOM = 512 };

/* --- training ----------------------------------------------------------------------------------
 */

static const char run_text[] = "[data]\nformat = shapes\nsize = 32\n"
                               "[train]\nbatch = 16\nlog_every = 1\nsample_every = 0\n"
                               "[%s]\n%s\n[model]\nnetwork = %s\n";

struct network_text {
    const char *name, *kind, *options;
};

static const struct network_text networks[] = {
    {"DiT 384 x 12, 256 tokens, batch 16", "dit", "patch = 2\nwidth = 384\ndepth = 12\nheads = 6"},
    {"U-Net 128, 32 x 32, batch 16", "unet",
     "width = 128\nmult = 1,2,2\nblocks = 2\nattention = 2\nhead_channels = 64"},
};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return x[n / 2];
}

/* Seconds of processor that the loader's thread spends on a batch. */
static enum status loader_seconds(double *out, const struct experiment *e, struct error *err)
{
    struct dataset *d = NULL;
    struct loader *l = NULL;
    struct timespec before, after;
    struct batch b;
    enum status st;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    if ((st = experiment_data(e, &d, err)) ||
        (st = loader_new(&l, d, e->train.batch, 0, 0, false, err)))
        goto out;
    for (int i = 0; i < BATCHES && !st; i++)
        st = loader_next(l, &b, err);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    *out =
        ((double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec)) /
        BATCHES;
out:
    loader_free(l);
    dataset_close(d);
    return st;
}

struct parts {
    double data[STEPS], network[STEPS], update[STEPS], other[STEPS];
    int n;
};

/* The lines of a run's log.csv, but the first, which planned. */
static enum status read_parts(struct parts *p, const char *folder, struct error *err)
{
    char path[PATH_ROOM + 16], line[1024];
    FILE *f;

    snprintf(path, sizeof path, "%s/log.csv", folder);
    f = fopen(path, "r");
    if (!f)
        return fail_errno(err, E_IO, "%s: cannot be opened", path);
    for (p->n = -2; p->n < STEPS && fgets(line, sizeof line, f); p->n++) {
        int i = p->n;

        if (i >= 0 && sscanf(line, "%*[^,],%*[^,],%*[^,],%*[^,],%*[^,],%lf,%lf,%lf,%lf",
                             &p->data[i], &p->network[i], &p->update[i], &p->other[i]) != 4)
            break;
    }
    fclose(f);
    return p->n > 0 ? OK : fail(err, E_FORMAT, "%s: holds no steps", path);
}

static void print_training(const char *name, struct parts *p, double loader, int threads)
{
    double data = median(p->data, p->n), network = median(p->network, p->n);
    double update = median(p->update, p->n), other = median(p->other, p->n);
    double outside = data + other + loader / threads;

    printf("| %s | %.1f | %.1f | %.3f | %.3f | %.3f | %.2f %% |\n", name, 1e3 * network,
           1e3 * update, 1e3 * data, 1e3 * loader, 1e3 * other,
           100 * outside / (data + network + update + other + loader / threads));
    fflush(stdout);
}

static enum status measure_training(const struct network_text *net, const char *folder, int threads,
                                    struct error *err)
{
    char text[1024], out[PATH_ROOM + 32], steps[32];
    char *settings[] = {out, steps};
    struct experiment e = {0};
    struct train_request r = {.experiment = &e, .threads = threads};
    struct parts parts = {0};
    double loader;
    enum status st;

    snprintf(text, sizeof text, run_text, net->kind, net->options, net->kind);
    snprintf(out, sizeof out, "train.out=%s/%s", folder, net->kind);
    snprintf(steps, sizeof steps, "train.steps=%d", STEPS);
    if (!(st = experiment_read_text(&e, net->name, text, settings, 2, err)) &&
        !(st = loader_seconds(&loader, &e, err)) && !(st = train_run(&r, err)) &&
        !(st = read_parts(&parts, strchr(out, '=') + 1, err)))
        print_training(net->name, &parts, loader, threads);
    experiment_release(&e);
    return st;
}

/* --- sampling ----------------------------------------------------------------------------------
 */

/* Seconds from a picture's numbers to its file. */
static enum status png_seconds(double *out, const char *folder, struct error *err)
{
    static float pixels[SIDE * SIDE * 3];
    struct rng r = rng_stream(1, RNG_TEST, 0);
    char path[PATH_ROOM + 16];
    double seconds[PICTURES];
    enum status st = OK;

    snprintf(path, sizeof path, "%s/picture.png", folder);
    for (int k = 0; k < PICTURES && !st; k++) {
        struct image im = {0};
        double start;

        rng_normals(&r, pixels, SIDE * SIDE * 3);
        start = clock_seconds();
        if (!(st = picture_from_floats(&im, pixels, SIDE, SIDE, 3, err)))
            st = png_write(path, &im, NULL, 0, err);
        seconds[k] = clock_seconds() - start;
        image_release(&im);
    }
    *out = median(seconds, PICTURES);
    return st;
}

struct sampling_rows {
    struct speed_row whole;
    double png; /* seconds a picture */
};

/* The row of a whole step comes first, that of what is no node last. */
static bool take_row(const struct speed_row *row, void *user)
{
    struct sampling_rows *s = user;
    const char *batch = strstr(row->name, "batch ");
    double pictures = batch ? atof(batch + 6) : 1, png = pictures * s->png / SOLVER_STEPS;

    if (!strchr(row->name, ':'))
        s->whole = *row;
    else if (strstr(row->name, ": outside the tape"))
        printf("| %s | %.2f | %.3f | %.3f | %.2f %% |\n", strchr(s->whole.name, ',') + 2,
               1e3 * s->whole.seconds, 1e3 * row->seconds, 1e3 * png,
               100 * (row->seconds + png) / (s->whole.seconds + png));
    fflush(stdout);
    return true;
}

static enum status measure_sampling(const char *folder, int threads, struct error *err)
{
    struct sampling_rows rows = {0};
    struct machine m;
    enum status st = png_seconds(&rows.png, folder, err);

    speed_machine(&m, threads);
    return st ? st : speed_run(&m, "sampling step", 0, take_row, &rows, err);
}

/* --- both --------------------------------------------------------------------------------------
 */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static enum status measure(const char *folder, int threads, struct error *err)
{
    enum status st = OK;

    printf("| training step | network, ms | optimizer | data | loader's thread | log | outside |\n"
           "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof networks / sizeof *networks && !st; i++)
        st = measure_training(&networks[i], folder, threads, err);
    printf("\n| sampling step | ms | solver, guidance, tape | PNG | outside "
           "|\n|---|---|---|---|---|\n");
    return st ? st : measure_sampling(folder, threads, err);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : omp_get_num_procs();
    const char *base = getenv("TMPDIR");
    char folder[PATH_ROOM];
    struct error err = {0};
    enum status st;

    if (threads < 1) {
        fprintf(stderr, "usage: bench_outside [threads]\n");
        return 2;
    }
    snprintf(folder, sizeof folder, "%s/imgen-bench-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        return 1;
    }
    if ((st = measure(folder, threads, &err)))
        fprintf(stderr, "bench_outside: %s\n", err.text);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return st != OK;
}
