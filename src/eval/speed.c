/*
 * speed.c - the watch
 *
 * Every case is a tape, run several times with a probe that sees each node's seconds.  A row adds
 * up the nodes of one op, so the same mechanism measures a single op forward and backward and
 * profiles a whole training step, and an op that calls itself fast in isolation cannot hide inside
 * a network.
 *
 * The clock of a processor moves by tens of per cent with temperature and neighbours.  So the peak
 * is measured again before every run (8 ms), behind one that takes long once more, the memory's
 * bandwidth too where some row is bound by it, and a share is the median over the runs of each
 * one's own share, not the share of the median. A row's limit is whichever of the two would take
 * longer.  Measuring the bandwidth also empties the caches: rows under that limit are from memory
 * to memory, as behind a large layer.  Where one case is told as so many times as fast as another,
 * it is their shares that are divided: minutes may lie between the two.
 *
 * What must stay true: nothing is timed that a user does not run.  The nodes that hand a single op
 * its gradient are left out; a network's step is taken whole, optimizer and recording included, and
 * what no node accounts for is a row of its own.
 */
#include "eval/speed_case.h"

#include "backend/cpu/peak.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/text.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_FLOATS = 32 << 20, PATTERN = 1 << 20, NAMES_MAX = 256 };

/* Seconds for which a peak holds that was measured before them. */
static const double PEAK_LASTS = 1;

/* From how many seconds a run on there are SPEED_RUNS_LONG of them, and SPEED_RUNS_LEAST. */
static const double LONG = 4, LONGEST = 10;

/* Rows that take less than this part of their case are not told. */
static const double PART_TOLD = 0.01;

static const struct speed_family *const families[] = {
    &family_linear,     &family_linear_fused, &family_linear_few,  &family_conv,
    &family_conv_edge,  &family_attention,    &family_attend_bf16, &family_elementwise,
    &family_two_passes, &family_adamw,        &family_training,    &family_sampling,
    &family_encoder,    &family_decoder,      &family_sd3,         &family_sd3_large,
    &family_sd3_text,
};
enum { FAMILIES = sizeof families / sizeof *families };

void speed_machine(struct machine *out, int threads)
{
    out->threads = threads;
    out->peak_flops = cpu_peak_flops(threads);
    out->bandwidth = cpu_memory_bandwidth(threads);
}

/* --- for families ------------------------------------------------------------------------------
 */

void speed_count(struct speed_job *j, const char *name, double seconds, double flops, double bytes)
{
    struct tally *t = j->tally;

    while (t < j->tally + j->n_tallies && strcmp(t->name, name))
        t++;
    if (t == j->tally + j->n_tallies) {
        MUST(j->n_tallies < SPEED_OPS, "a benchmark meets more than %d ops", SPEED_OPS);
        *t = (struct tally){.name = name};
        j->n_tallies++;
    }
    t->seconds += seconds;
    t->flops += flops;
    t->bytes += bytes;
}

/* A block of random numbers repeated: drawing all of them would take longer than the benchmark. */
static void fill(float *x, int64_t n, uint64_t key)
{
    struct rng r = rng_stream(1, RNG_TEST, key);

    for (int64_t i = 0; i < n && i < PATTERN; i++)
        x[i] = (float)(rng_u32(&r) >> 8) * 0x1p-24f - 0.5f;
    for (int64_t i = PATTERN; i < n; i++)
        x[i] = x[i - PATTERN];
}

/* Without memory, the place of the pointer itself stands in: recording only looks at addresses. */
float *speed_values(struct speed_job *j, int64_t n)
{
    float *x = NULL;
    enum status st;

    MUST(j->n_blocks < SPEED_BLOCKS, "a benchmark has more than %d inputs", SPEED_BLOCKS);
    st = mem_new((void **)&x, (uint64_t)n, sizeof *x, "a benchmark's inputs", &j->failure);
    if (st) {
        j->failed = st;
        return (float *)(void *)&j->block[j->n_blocks++];
    }
    fill(x, n, (uint64_t)j->n_blocks);
    return j->block[j->n_blocks++] = x;
}

/* Only products are counted: what an exponential costs is a matter of taste, and where they are
 * the work, the memory is the limit. */
static double flops_of(const struct tensor *y)
{
    static const char *const products[] = {"linear", "conv", "attention"};

    for (size_t i = 0; i < sizeof products / sizeof *products && y->op->flops; i++)
        if (!strncmp(y->op->name, products[i], strlen(products[i])))
            return y->op->flops(y);
    return 0;
}

/* A node that makes less than it is given, without summing it up, reads what it makes. */
static double bytes_of(const struct tensor *y)
{
    static const char *const pickers[] = {"slice", "embedding"};
    double bytes = (double)tensor_bytes(y);

    for (size_t i = 0; i < sizeof pickers / sizeof *pickers; i++)
        if (!strcmp(y->op->name, pickers[i]))
            return 2 * bytes;
    for (int k = 0; k < TENSOR_INS; k++)
        bytes += y->in[k] ? (double)tensor_bytes(y->in[k]) : 0;
    return bytes + (y->side ? (double)tensor_bytes(y->side) : 0);
}

static void watch(const struct tensor *y, double seconds, void *user)
{
    struct speed_job *j = user;

    if (y->id >= j->frame_first && y->id <= j->frame_last)
        j->frame_seconds += seconds;
    else
        speed_count(j, y->op->name, seconds, flops_of(y), bytes_of(y));
}

enum status speed_graph(struct speed_job *j, unsigned flags, struct error *err)
{
    enum status st = graph_new(&j->graph, flags, j->threads, err);

    if (!st)
        graph_set_probe(j->graph, watch, j);
    return st;
}

/* --- one case ----------------------------------------------------------------------------------
 */

void speed_close(struct speed_job *j)
{
    if (!j)
        return;
    if (j->family->close)
        j->family->close(j->own);
    graph_free(j->graph);
    for (int i = 0; i < j->n_blocks; i++)
        free(j->block[i]);
    free(j);
}

static enum status job_open(struct speed_job **out, const struct speed_family *family,
                            const struct speed_case *c, int threads, struct error *err)
{
    struct speed_job *j;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&j, 1, sizeof *j, "a benchmark", err)))
        return st;
    j->family = family;
    j->is = c;
    j->threads = threads;
    j->frame_last = -1;
    if ((st = family->open(j, err))) {
        speed_close(j);
        return st;
    }
    *out = j;
    return OK;
}

enum status speed_step(struct speed_job *j, double *seconds, struct error *err)
{
    int before = omp_get_max_threads();
    double start;
    enum status st;

    for (int i = 0; i < j->n_tallies; i++)
        j->tally[i].seconds = j->tally[i].flops = j->tally[i].bytes = 0;
    j->frame_seconds = 0;
    omp_set_num_threads(j->threads);
    start = clock_seconds();
    st = j->family->run(j, err);
    *seconds = clock_seconds() - start - j->frame_seconds;
    omp_set_num_threads(before);
    return st;
}

double speed_flops(const struct speed_job *j)
{
    double flops = 0;

    for (int i = 0; i < j->n_tallies; i++)
        flops += j->tally[i].flops;
    return flops;
}

int64_t speed_weights(const struct speed_job *j)
{
    return j->weights;
}

/* --- all cases ---------------------------------------------------------------------------------
 */

static const struct speed_case *case_at(int i, const struct speed_family **family)
{
    for (int f = 0; f < FAMILIES; f++) {
        *family = families[f];
        for (const struct speed_case *c = families[f]->cases; c->name; c++)
            if (!i--)
                return c;
    }
    return NULL;
}

const char *speed_name(int i)
{
    const struct speed_family *family;
    const struct speed_case *c = case_at(i, &family);

    return c ? c->name : NULL;
}

enum status speed_open(struct speed_job **out, const char *name, int threads, struct error *err)
{
    const struct speed_family *family;
    const struct speed_case *c;
    const char *names[NAMES_MAX], *near;
    int n = 0;

    *out = NULL;
    for (; (c = case_at(n, &family)) && n < NAMES_MAX; n++) {
        if (!strcmp(c->name, name))
            return job_open(out, family, c, threads, err);
        names[n] = c->name;
    }
    near = text_nearest(name, names, n);
    return fail(err, E_ARG, "there is no benchmark '%s'%s%s%s", name,
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* --- rows --------------------------------------------------------------------------------------
 */

struct series {
    double seconds[SPEED_RUNS_MOST], share[SPEED_RUNS_MOST], flops, bytes;
    enum speed_limit limit;
};

enum { WHOLE = SPEED_OPS, OUTSIDE, SERIES };

struct summary {
    int n;
    double logs, least;
};

struct bench {
    const struct machine *machine;
    speed_callback *callback;
    void *user;
    float *from, *to; /* [COPY_FLOATS]: what the bandwidth is measured on */
    double peak, bandwidth;
    int asked, runs; /* of each case, 0: as fits; of the present one */
    struct series series[SERIES];
    bool memory_bound; /* some row of the case is */
    double first;      /* the share of the family's first case */
    struct summary summary;
};

static void take(struct series *s, int run, double seconds, double flops, double bytes,
                 const struct bench *b)
{
    s->seconds[run] = seconds;
    s->flops = flops;
    s->bytes = bytes;
    s->limit = bytes / b->bandwidth > flops / b->peak ? SPEED_MEMORY
               : flops > 0                            ? SPEED_ARITHMETIC
                                                      : SPEED_NONE;
    s->share[run] =
        s->limit == SPEED_MEMORY ? bytes / seconds / b->bandwidth : flops / seconds / b->peak;
}

/* A whole with any products in it is judged by them. */
static void take_run(struct bench *b, const struct speed_job *j, int run, double seconds)
{
    struct series *outside = &b->series[OUTSIDE];
    double flops = speed_flops(j), bytes = 0, counted = 0;

    b->memory_bound = false;
    for (int i = 0; i < j->n_tallies; i++) {
        const struct tally *t = &j->tally[i];

        take(&b->series[i], run, t->seconds, t->flops, t->bytes, b);
        b->memory_bound |= b->series[i].limit == SPEED_MEMORY;
        bytes += t->bytes;
        counted += t->seconds;
    }
    take(&b->series[WHOLE], run, seconds, flops, flops > 0 ? 0 : bytes, b);
    b->series[WHOLE].bytes = bytes;
    take(outside, run, seconds - counted, 0, 0, b);
    outside->limit = SPEED_TIME;
    outside->share[run] = outside->seconds[run] / seconds;
}

static void measure_machine(struct bench *b)
{
    int threads = b->machine->threads;

    b->bandwidth = b->machine->bandwidth;
    if (b->memory_bound) {
        double first = cpu_copy_rate(b->to, b->from, COPY_FLOATS, threads);

        b->bandwidth = fmax(first, cpu_copy_rate(b->to, b->from, COPY_FLOATS, threads));
    }
    b->peak = cpu_peak_flops(threads);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
    return x[n / 2];
}

static void add_to_summary(struct summary *s, double share)
{
    s->least = s->n && s->least < share ? s->least : share;
    s->logs += log(share);
    s->n++;
}

static enum status tell(struct bench *b, const struct speed_row *row, struct error *err)
{
    return b->callback(row, b->user) ? OK : fail(err, E_CANCELLED, "stopped");
}

static enum status tell_series(struct bench *b, const struct speed_job *j, int which,
                               const char *part, int64_t memory, struct error *err)
{
    struct series *s = &b->series[which];
    struct speed_row row = {.flops = s->flops, .bytes = s->bytes, .limit = s->limit};

    snprintf(row.name, sizeof row.name, "%s%s%s", j->is->name, *part ? ": " : "", part);
    row.seconds = median(s->seconds, b->runs);
    row.spread = (s->seconds[b->runs - 1] - s->seconds[0]) / row.seconds;
    row.share = median(s->share, b->runs);
    row.memory = which == WHOLE ? memory : 0;
    row.resident = which == WHOLE ? mem_resident() : 0;
    if (which < SPEED_OPS && s->limit == j->family->mean && s->limit)
        add_to_summary(&b->summary, row.share);
    return tell(b, &row, err);
}

static enum status tell_case(struct bench *b, const struct speed_job *j, struct error *err)
{
    struct graph_stats stats = {0};
    double whole = median(b->series[WHOLE].seconds, b->runs);
    int64_t memory;
    enum status st;

    if (j->graph && (st = graph_measure(j->graph, &stats, err)))
        return st;
    memory = stats.arena_bytes + stats.scratch_bytes;
    if (j->family->whole && (st = tell_series(b, j, WHOLE, j->family->whole, memory, err)))
        return st;
    for (int i = 0; i < j->n_tallies; i++)
        if (median(b->series[i].seconds, b->runs) >= PART_TOLD * whole &&
            (st = tell_series(b, j, i, j->tally[i].name, 0, err)))
            return st;
    if (j->family->whole && !*j->family->whole)
        return tell_series(b, j, OUTSIDE, "outside the tape", 0, err);
    return OK;
}

/* The share of a family's first case is remembered, and that of the others told over it. */
static enum status tell_ratio(struct bench *b, const struct speed_job *j, struct error *err)
{
    double share = median(b->series[WHOLE].share, b->runs);
    struct speed_row row = {.limit = SPEED_RATIO, .share = share / b->first};

    if (!j->family->against_first)
        return OK;
    if (j->is == j->family->cases)
        b->first = share;
    if (j->is == j->family->cases || !(b->first > 0))
        return OK;
    snprintf(row.name, sizeof row.name, "%s: over the first", j->is->name);
    return tell(b, &row, err);
}

static int runs_of(const struct bench *b, double seconds)
{
    if (b->asked)
        return b->asked;
    return seconds >= LONGEST ? SPEED_RUNS_LEAST : seconds >= LONG ? SPEED_RUNS_LONG : SPEED_RUNS;
}

static enum status run_case(struct bench *b, const struct speed_family *family,
                            const struct speed_case *c, struct error *err)
{
    struct speed_job *j;
    double seconds;
    enum status st;

    if ((st = job_open(&j, family, c, b->machine->threads, err)))
        return st;
    b->memory_bound = false;
    b->runs = 1;
    for (int run = -1; run < b->runs; run++) {
        measure_machine(b);
        if ((st = speed_step(j, &seconds, err)))
            goto out;
        if (seconds >= PEAK_LASTS)
            b->peak = (b->peak + cpu_peak_flops(b->machine->threads)) / 2;
        take_run(b, j, run < 0 ? 0 : run, seconds);
        b->runs = run < 0 ? runs_of(b, seconds) : b->runs;
    }
    if (!(st = tell_case(b, j, err)))
        st = tell_ratio(b, j, err);
out:
    speed_close(j);
    return st;
}

static enum status tell_summary(struct bench *b, const struct speed_family *family,
                                struct error *err)
{
    const struct summary s = b->summary;
    struct speed_row row = {.limit = family->mean, .share = exp(s.logs / (s.n ? s.n : 1))};
    enum status st;

    if (s.n < 2)
        return OK;
    snprintf(row.name, sizeof row.name, "%s: geometric mean of %d", family->name, s.n);
    if ((st = tell(b, &row, err)))
        return st;
    snprintf(row.name, sizeof row.name, "%s: least of %d", family->name, s.n);
    row.share = s.least;
    return tell(b, &row, err);
}

static enum status run_family(struct bench *b, const struct speed_family *family,
                              const char *filter, struct error *err)
{
    enum status st;

    if (family->key && (!filter || !strstr(filter, family->key)))
        return OK;
    b->summary = (struct summary){0};
    b->first = 0;
    for (const struct speed_case *c = family->cases; c->name; c++)
        if (!filter || strstr(c->name, filter) || strstr(family->name, filter))
            if ((st = run_case(b, family, c, err)))
                return st;
    return tell_summary(b, family, err);
}

enum status speed_run(const struct machine *m, const char *filter, int runs,
                      speed_callback *callback, void *user, struct error *err)
{
    struct bench *b = NULL;
    enum status st;

    if ((st = mem_new((void **)&b, 1, sizeof *b, "a benchmark", err)))
        return st;
    MUST(runs >= 0 && runs <= SPEED_RUNS_MOST, "%d runs", runs);
    *b = (struct bench){.machine = m, .callback = callback, .user = user, .asked = runs};
    if ((st = mem_new((void **)&b->from, COPY_FLOATS, sizeof(float), "a copy to measure", err)) ||
        (st = mem_new((void **)&b->to, COPY_FLOATS, sizeof(float), "a copy to measure", err)))
        goto out;
    for (int f = 0; f < FAMILIES && !st; f++)
        st = run_family(b, families[f], filter, err);
out:
    free(b->from);
    free(b->to);
    free(b);
    return st;
}
