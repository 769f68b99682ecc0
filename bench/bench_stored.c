/*
 * bench_stored.c - linear layers whose weights stay as their file stores them
 *
 *     bench_stored [threads [WORD]]          WORD: rows of "LAYER, STORED," with it
 *
 * The layers of Stable Diffusion 3 medium at 512 x 512 with guidance (two samples of 1,024 tokens
 * of the picture and 333 of the text), of T5-XXL (two prompts of 256 tokens), the attention of a
 * joint block, and the modulations of a block, which have one row a sample: twelve blocks' worth in
 * turn, so that no cache holds the weights.
 *
 * A share is one of the peak of multiply-adds measured just before each run; with few rows, where
 * memory is the limit, the bytes of the weights are told against two rates of this machine: a
 * copy's, as everywhere in this folder, and that of reading alone, which is what such a layer does.
 * Beside the share by the clock stands that by processor time, for machines that others use too.
 */
#include "backend/cpu/peak.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/rng.h"
#include "ops/attention.h"
#include "ops/linear.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 7, BLOCKS = 12, PATTERN = 1 << 20, READ_FLOATS = 64 << 20 };

static void check(enum status st, const struct error *err)
{
    if (!st)
        return;
    fprintf(stderr, "bench_stored: %s\n", err->text);
    exit(1);
}

static double processor_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- stored matrices ----------------------------------------------------------------------------
 */

static const struct storage {
    const char *name;
    enum matrix_type type;
    enum precision precision;
} storages[] = {
    {"f32", MATRIX_F32, PRECISION_FLOAT32},       {"f16", MATRIX_F16, PRECISION_FLOAT32},
    {"bf16", MATRIX_BF16, PRECISION_FLOAT32},     {"f8_e4m3", MATRIX_F8_E4M3, PRECISION_FLOAT32},
    {"q8_0", MATRIX_Q8_0, PRECISION_FLOAT32},     {"i8", MATRIX_I8, PRECISION_FLOAT32},
    {"i8, in bytes", MATRIX_I8, PRECISION_INT8},  {"f16, in bytes", MATRIX_F16, PRECISION_INT8},
    {"f16, in bf16", MATRIX_F16, PRECISION_BF16},
};
enum { STORAGES = sizeof storages / sizeof *storages };

/* Small numbers of both signs in each type; a float16 of them stands before each block of Q8_0. */
static void fill(unsigned char *out, size_t n, enum matrix_type t)
{
    struct rng r = rng_stream(1, RNG_TEST, 0);

    for (size_t i = 0; i < n && i < PATTERN; i += 4) {
        uint32_t bits = rng_u32(&r);
        float x = ((float)(bits >> 8) * 0x1p-24f - 0.5f) * 0.05f;
        uint16_t half = t == MATRIX_F16 ? f16_bits(x) : bf16_bits(x);

        if (t == MATRIX_F32)
            memcpy(out + i, &x, sizeof x);
        else if (t == MATRIX_F16 || t == MATRIX_BF16)
            memcpy(out + i, (uint16_t[]){half, half ^ 0x8001}, 4);
        else if (t == MATRIX_I8 || t == MATRIX_Q8_0)
            memcpy(out + i, &bits, 4);
        else
            memcpy(out + i, &(uint32_t){bits & 0xbfbfbfbf}, 4);
    }
    for (size_t i = PATTERN; i < n; i++)
        out[i] = out[i - PATTERN];
    for (size_t i = 0; t == MATRIX_Q8_0 && i < n; i += MATRIX_Q8_0_BYTES)
        memcpy(out + i, &(uint16_t){f16_bits(4e-4f)}, 2);
}

static struct matrix matrix_new(enum matrix_type t, int64_t rows, int64_t cols)
{
    struct matrix s = {.type = t, .rows = rows, .cols = cols};
    struct error err = {0};
    void *bytes, *scale;

    s.row_bytes = (int64_t)matrix_bytes(t, cols);
    check(mem_block_new(&bytes, (uint64_t)(rows * s.row_bytes), 1, "weights", &err), &err);
    fill(bytes, (size_t)(rows * s.row_bytes), t);
    s.bytes = bytes;
    if (t != MATRIX_I8)
        return s;
    check(mem_new(&scale, (uint64_t)rows, sizeof(float), "scales", &err), &err);
    for (int64_t i = 0; i < rows; i++)
        ((float *)scale)[i] = 4e-4f;
    s.scale = scale;
    s.scales = rows;
    return s;
}

static void matrix_free(struct matrix *s)
{
    mem_block_free((void *)(uintptr_t)s->bytes, (uint64_t)(s->rows * s->row_bytes), 1);
    free((void *)(uintptr_t)s->scale);
}

/* --- a measurement ------------------------------------------------------------------------------
 */

struct figures {
    double seconds, spread; /* median; (largest - smallest) / median                          */
    double processor;       /* median of the processor time, all threads together, / threads   */
    double share, busy;     /* medians of the runs' shares: by the clock, by processor time */
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x)
{
    qsort(x, RUNS, sizeof *x, by_size);
    return x[RUNS / 2];
}

static struct figures measure(struct graph *g, double flops, int threads)
{
    double seconds[RUNS], processor[RUNS], share[RUNS], busy[RUNS];
    struct figures out;
    struct error err = {0};

    check(graph_run(g, &err), &err);
    for (int i = 0; i < RUNS; i++) {
        double peak = cpu_peak_flops(threads), before = processor_seconds();
        double start = clock_seconds();

        check(graph_run(g, &err), &err);
        seconds[i] = clock_seconds() - start;
        processor[i] = (processor_seconds() - before) / threads;
        share[i] = flops / seconds[i] / peak;
        busy[i] = flops / processor[i] / peak;
    }
    out.seconds = median(seconds);
    out.spread = (seconds[RUNS - 1] - seconds[0]) / out.seconds;
    out.processor = median(processor);
    out.share = median(share);
    out.busy = median(busy);
    return out;
}

/* --- layers -------------------------------------------------------------------------------------
 */

static const struct layer {
    const char *name;
    int64_t samples, tokens, in, out;
    enum act act;
    int copies; /* layers like it, one after the other */
} layers[] = {
    {"SD3 picture qkv", 2, 1024, 1536, 4608, ACT_NONE, 1},
    {"SD3 picture proj", 2, 1024, 1536, 1536, ACT_NONE, 1},
    {"SD3 picture fc1 + gelu", 2, 1024, 1536, 6144, ACT_GELU, 1},
    {"SD3 picture fc2", 2, 1024, 6144, 1536, ACT_NONE, 1},
    {"SD3 text qkv", 2, 333, 1536, 4608, ACT_NONE, 1},
    {"SD3 text proj", 2, 333, 1536, 1536, ACT_NONE, 1},
    {"SD3 text fc1 + gelu", 2, 333, 1536, 6144, ACT_GELU, 1},
    {"SD3 text fc2", 2, 333, 6144, 1536, ACT_NONE, 1},
    {"SD3 modulation", 2, 1, 1536, 9216, ACT_NONE, BLOCKS},
    {"T5 q", 2, 256, 4096, 4096, ACT_NONE, 1},
    {"T5 wi", 2, 256, 4096, 10240, ACT_NONE, 1},
    {"T5 wo", 2, 256, 10240, 4096, ACT_NONE, 1},
};
enum { LAYERS = sizeof layers / sizeof *layers };

struct rates {
    double copy, read; /* bytes a second */
};

static void tell(const char *name, const char *storage, struct figures f, double flops,
                 double bytes, const struct rates *r)
{
    printf("| %s | %s | %.2f | %.0f %% | %.0f ", name, storage, 1e3 * f.seconds, 100 * f.spread,
           1e-9 * flops / f.seconds);
    if (bytes > 0)
        printf("| %.1f GB/s | %.0f %% of a copy's, %.0f %% of reading's | %.0f %%, %.0f %% |\n",
               1e-9 * bytes / f.seconds, 100 * bytes / f.seconds / r->copy,
               100 * bytes / f.seconds / r->read, 100 * bytes / f.processor / r->copy,
               100 * bytes / f.processor / r->read);
    else
        printf("| | %.1f %% | %.1f %% |\n", 100 * f.share, 100 * f.busy);
    fflush(stdout);
}

static void run_layer(const struct layer *l, const struct storage *how, int threads,
                      const float *values, const struct rates *r)
{
    struct shape shape = SHAPE(l->samples, l->tokens, l->in);
    struct matrix w[BLOCKS];
    double flops = 2.0 * (double)(l->samples * l->tokens) * (double)(l->in * l->out) * l->copies;
    double bytes = 0;
    struct graph *g = NULL;
    struct error err = {0};

    check(graph_new(&g, GRAPH_FROZEN, threads, &err), &err);
    graph_set_precision(g, how->precision);
    for (int i = 0; i < l->copies; i++) {
        w[i] = matrix_new(how->type, l->out, l->in);
        bytes += (double)(w[i].rows * w[i].row_bytes);
        graph_keep(g, op_linear(g, graph_input(g, shape, values),
                                graph_stored(g, SHAPE(l->out, l->in), &w[i], "w"),
                                graph_param(g, SHAPE(l->out), values, NULL, "b"), l->act));
    }
    tell(l->name, how->name, measure(g, flops, threads), flops, l->tokens == 1 ? bytes : 0, r);
    graph_free(g);
    for (int i = 0; i < l->copies; i++)
        matrix_free(&w[i]);
}

static void run_attention(int threads, const float *values)
{
    enum { TOKENS = 1357, HEADS = 24, WIDTH = 1536 };
    double flops = 2 * 4.0 * TOKENS * TOKENS * WIDTH;
    struct graph *g = NULL;
    struct error err = {0};

    check(graph_new(&g, GRAPH_FROZEN, threads, &err), &err);
    graph_keep(
        g, op_attention(g, graph_input(g, SHAPE(2, TOKENS, 3 * WIDTH), values), HEADS, QKV_SPLIT));
    tell("SD3 attention", "", measure(g, flops, threads), flops, 0, NULL);
    graph_free(g);
}

/* --- the machine --------------------------------------------------------------------------------
 */

/* A thread's share, in as many sums as memory has to be asked for at once. */
static float sum_of(const float *x, int64_t n)
{
    float sum[64] = {0};

    for (int64_t i = 0; i + 64 <= n; i += 64)
        for (int k = 0; k < 64; k++)
            sum[k] += x[i + k];
    for (int k = 1; k < 64; k++)
        sum[0] += sum[k];
    return sum[0];
}

static double read_rate(int threads)
{
    struct error err = {0};
    double best = 0;
    void *block;
    float *x;

    check(mem_block_new(&block, READ_FLOATS, sizeof *x, "numbers to read", &err), &err);
    x = block;
    for (int64_t i = 0; i < READ_FLOATS; i++)
        x[i] = 1;
    for (int t = 0; t < RUNS; t++) {
        double start = clock_seconds(), rate;
        float sum = 0;

#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : sum)
        for (int k = 0; k < 64; k++)
            sum += sum_of(x + k * (READ_FLOATS / 64), READ_FLOATS / 64);
        /* The sum is never negative, but the compiler does not know and must compute it. */
        rate = sum < 0 ? 0 : READ_FLOATS * sizeof *x / (clock_seconds() - start);
        best = rate > best ? rate : best;
    }
    mem_block_free(block, READ_FLOATS, sizeof *x);
    return best;
}

static struct rates table_head(int threads)
{
    struct rates r = {cpu_memory_bandwidth(threads), read_rate(threads)};
    char name[CPU_NAME];

    printf("%s; %d threads: %.1f GFLOP/s in multiply-adds, %.1f GB/s copied, %.1f GB/s read; "
           "medians of %d\n\n",
           cpu_name(name), threads, 1e-9 * cpu_peak_flops(threads), 1e-9 * r.copy, 1e-9 * r.read,
           RUNS);
    printf("| layer | stored | ms | spread | GFLOP/s | | share of peak | by processor time |\n"
           "|---|---|---|---|---|---|---|---|\n");
    return r;
}

static bool wanted(const char *name, const char *storage, const char *word)
{
    char row[96];

    snprintf(row, sizeof row, "%s, %s,", name, storage);
    return strstr(row, word) != NULL;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : omp_get_num_procs();
    const char *word = argc > 2 ? argv[2] : "";
    struct error err = {0};
    void *values;
    struct rates r;

    if (argc > 3 || threads < 1) {
        fprintf(stderr, "usage: %s [threads [WORD]]\n", argv[0]);
        return 2;
    }
    check(mem_new(&values, 2 * 2048 * 6144, sizeof(float), "activations", &err), &err);
    for (int64_t i = 0; i < 2 * 2048 * 6144; i++)
        ((float *)values)[i] = (float)((i * 7919) % 1021) * 0x1p-9f - 1;
    r = table_head(threads);
    for (int i = 0; i < LAYERS; i++)
        for (int k = 0; k < STORAGES; k++)
            if (wanted(layers[i].name, storages[k].name, word))
                run_layer(&layers[i], &storages[k], threads, values, &r);
    if (wanted("SD3 attention", "", word))
        run_attention(threads, values);
    free(values);
    return 0;
}
