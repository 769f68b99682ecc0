/*
 * bench_start.c - from the start of a process to the first sampling step
 *
 *     bench_start [threads]
 *
 * Writes a model of 131 million random weights (DiT-B, 524 MB) into a temporary folder, and then,
 * five times, starts this program anew to open it and to take two guided Euler steps of one
 * picture.  The file is in the page cache, so what is measured is what we do with it.  The clock
 * runs from before the process exists; the first step minus the second is what preparing costs
 * (planning, packing weights), and start is everything up to the first step but the step itself.
 *
 * Beside it: page faults, and how much of the resident memory is the process's own (copies) and how
 * much the file's (mapped).  Page-in is the time to touch every page of a fresh mapping, which is
 * the least that anyone who reads the weights pays.
 */
#include "backend/cpu/peak.h"
#include "base/clock.h"
#include "base/file.h"
#include "pipeline/generate.h"

#include <inttypes.h>
#include <omp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { REPEATS = 5, PATH_ROOM = 512 };

/* --- what the process looks like at one moment -------------------------------------------------
 */

enum { SECONDS, FAULTS, OWN_MB, FILE_MB, FIGURES };

static void look(double f[FIGURES], double since)
{
    struct rusage usage;
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    double kib;

    getrusage(RUSAGE_SELF, &usage);
    f[SECONDS] = clock_seconds() - since;
    f[FAULTS] = (double)(usage.ru_minflt + usage.ru_majflt);
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "RssAnon: %lf", &kib) == 1)
            f[OWN_MB] = kib * 1024e-6;
        if (sscanf(line, "RssFile: %lf", &kib) == 1)
            f[FILE_MB] = kib * 1024e-6;
    }
    if (status)
        fclose(status);
}

/* --- the process that is started ---------------------------------------------------------------
 */

enum { OPENED, FIRST, SECOND, MOMENTS };

struct child {
    double since, at[MOMENTS][FIGURES];
};

static bool after_step(const struct generate_progress *p, void *user)
{
    struct child *c = user;

    if (p->phase == PHASE_STEPPED)
        look(c->at[p->step == 1 ? FIRST : SECOND], c->since);
    return true;
}

static enum status two_steps(struct child *c, const struct model *m, int threads, struct error *err)
{
    const struct generate_item item = {.label = 1, .w = 4, .seed = 1};
    struct generate_request r = {.model = m,
                                 .settings = m->sample,
                                 .items = &item,
                                 .n = 1,
                                 .threads = threads,
                                 .progress = after_step,
                                 .user = c,
                                 .every = 0.1};
    const struct network_io *io = &m->network->io;
    float *out = calloc((size_t)(io->height * io->width * io->in_channels), sizeof *out);
    enum status st;

    if (!out)
        return fail(err, E_MEMORY, "no memory for a picture");
    st = generate(out, &r, NULL, err);
    free(out);
    return st;
}

static enum status open_and_step(const char *path, int threads, double since, struct error *err)
{
    struct child c = {.since = since};
    struct model *m = NULL;
    enum status st;

    if ((st = model_load(&m, path, err)))
        return st;
    look(c.at[OPENED], since);
    if (!(st = two_steps(&c, m, threads, err)))
        for (int k = 0; k < MOMENTS; k++)
            for (int f = 0; f < FIGURES; f++)
                printf("%.9g%c", c.at[k][f], f == FIGURES - 1 && k == MOMENTS - 1 ? '\n' : ' ');
    model_free(m);
    return st;
}

/* Read a byte of every page: seconds and faults of that alone. */
static enum status page_in(const char *path, struct error *err)
{
    double before[FIGURES], after[FIGURES];
    struct file_map map;
    unsigned sum = 0;
    double since = clock_seconds();
    enum status st;

    look(before, since);
    if ((st = file_map(&map, path, err)))
        return st;
    for (uint64_t i = 0; i < map.n; i += 4096)
        sum += map.bytes[i];
    look(after, since);
    printf("%.9g %.9g %u\n", after[SECONDS] - before[SECONDS], after[FAULTS] - before[FAULTS], sum);
    file_map_release(&map);
    return OK;
}

/* --- the process that measures -----------------------------------------------------------------
 */

/* Start this program again with these words; its answer, a line of numbers, into x. */
static int ask(char *const argv[], double *x, int n)
{
    posix_spawn_file_actions_t actions;
    int ends[2], got = 0, status = 1;
    pid_t pid;
    FILE *f;

    if (pipe(ends))
        return 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    if (!posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ)) {
        close(ends[1]);
        f = fdopen(ends[0], "r");
        while (f && got < n && fscanf(f, "%lf", &x[got]) == 1)
            got++;
        if (f)
            fclose(f);
        waitpid(pid, &status, 0);
    }
    posix_spawn_file_actions_destroy(&actions);
    return status == 0 && got == n;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double x[REPEATS])
{
    double s[REPEATS];

    memcpy(s, x, sizeof s);
    qsort(s, REPEATS, sizeof *s, ascending);
    return s[REPEATS / 2];
}

static double at(double got[REPEATS][MOMENTS * FIGURES], int moment, int figure)
{
    double x[REPEATS];

    for (int i = 0; i < REPEATS; i++)
        x[i] = got[i][moment * FIGURES + figure];
    return median(x);
}

static void report(double got[REPEATS][MOMENTS * FIGURES], double touch[REPEATS][2], double bytes)
{
    double start[REPEATS], prepare[REPEATS], page[REPEATS];
    static const char *const moment[] = {"model open", "after the first step",
                                         "after the second step"};

    printf("\n| moment | seconds | page faults | own memory, MB | of the file, MB |\n"
           "|---|---|---|---|---|\n");
    for (int k = 0; k < MOMENTS; k++)
        printf("| %s | %.3f | %.0f | %.1f | %.1f |\n", moment[k], at(got, k, SECONDS),
               at(got, k, FAULTS), at(got, k, OWN_MB), at(got, k, FILE_MB));
    for (int i = 0; i < REPEATS; i++) {
        const double *opened = got[i], *first = opened + FIGURES, *second = first + FIGURES;
        double step = second[SECONDS] - first[SECONDS];

        start[i] = first[SECONDS] - step;
        prepare[i] = start[i] - opened[SECONDS];
        page[i] = touch[i][0];
    }
    printf(
        "\n| start to first step, s | of it planning and packing | page-in of %.0f MB | start less "
        "page-in |\n|---|---|---|---|\n| %.3f | %.3f | %.3f | %.3f |\n",
        1e-6 * bytes, median(start), median(prepare), median(page), median(start) - median(page));
}

static int measure(char *path, char *threads, double bytes)
{
    static double got[REPEATS][MOMENTS * FIGURES], touch[REPEATS][2];
    char self[] = "bench_start", open_word[] = "open", touch_word[] = "touch", since[64];

    for (int i = 0; i < REPEATS; i++) {
        if (!ask((char *[]){self, touch_word, path, NULL}, touch[i], 2))
            return 1;
        snprintf(since, sizeof since, "%.9f", clock_seconds());
        if (!ask((char *[]){self, open_word, path, threads, since, NULL}, got[i],
                 MOMENTS * FIGURES))
            return 1;
    }
    report(got, touch, bytes);
    return 0;
}

static const char description[] =
    "{\"format\": 1, \"step\": 0, \"labels\": [], \"model\": {\"network\": \"dit\"},"
    " \"dit\": {\"preset\": \"B\", \"size\": 32, \"channels\": 4, \"classes\": 1000, \"patch\": 2},"
    " \"sample\": {\"sampling_method\": \"euler\", \"steps\": 2}}";

static enum status write_model(const char *path, double *bytes, struct error *err)
{
    struct model *m;
    enum status st;

    if ((st = model_from_text(&m, description, "the model to open", err)))
        return st;
    if (!(st = params_alloc(m->network->params, false, err))) {
        params_init(m->network->params, 1);
        *bytes = 4 * (double)params_numbers(m->network->params);
        st = model_save(m, path, NULL, err);
    }
    model_free(m);
    return st;
}

static int write_and_measure(int threads)
{
    char folder[PATH_ROOM], path[PATH_ROOM + 32], name[CPU_NAME], count[16];
    const char *base = getenv("TMPDIR");
    struct error err = {0};
    double bytes = 0;
    int code = 1;

    snprintf(folder, sizeof folder, "%s/imgen-bench-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        return 1;
    }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(count, sizeof count, "%d", threads);
    printf("%s; %d threads; medians of %d\n", cpu_name(name), threads, REPEATS);
    fflush(stdout);
    if (write_model(path, &bytes, &err))
        fprintf(stderr, "bench_start: %s\n", err.text);
    else
        code = measure(path, count, bytes);
    remove(path);
    rmdir(folder);
    return code;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    enum status st;

    if (argc < 3) {
        int threads = argc > 1 ? atoi(argv[1]) : omp_get_num_procs();

        return threads > 0 ? write_and_measure(threads) : 2;
    }
    st = argc == 5 ? open_and_step(argv[2], atoi(argv[3]), atof(argv[4]), &err)
                   : page_in(argv[2], &err);
    if (st)
        fprintf(stderr, "bench_start: %s\n", err.text);
    return st != OK;
}
