/*
 * bench_precision.c - what reduced precision costs in exactness and gains in speed
 *
 *     bench_precision [threads [MODEL.safetensors [steps]]]
 *
 * Each linear layer of the network is computed in bf16 and int8 too, on the inputs that it has in
 * float32, and compared: root mean square of the difference over that of the result.  Then 16
 * pictures are made with guidance in every precision, alternating; the differences of the pictures
 * are told as their peak signal-to-noise ratio in decibels (after rounding to 8 bits, all pictures
 * together, and the worst one).
 *
 * Without a model: a transformer of width 384, depth 12, 256 tokens, whose weights are random and
 * none of them zero, so that every layer takes part in the result.
 */
#include "backend/cpu/panel.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "ops/linear.h"
#include "pipeline/generate.h"
#include "pipeline/picture.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 16, RUNS = 5, LAYERS = 512, PRECISIONS = 3 };

static void check(enum status st, const struct error *err)
{
    if (!st)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

/* --- the model ----------------------------------------------------------------------------------
 */

static void set_options(const struct network_kind *kind, void *config)
{
    static const char *const settings[] = {"size=32",   "channels=4", "classes=10", "patch=2",
                                           "width=384", "depth=12",   "heads=6"};
    struct option_group group = {"", kind->options, config, NULL};
    struct option_set set = {&group, 1};
    struct error err = {0};

    check(options_default(&set, &err), &err);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        check(options_assign(&set, settings[i], &err), &err);
}

/* The transformer whose modulations and last layer do not begin at zero. */
static struct model *random_model(void)
{
    struct model_options options = {0};
    struct option_group group = {"", model_option_rows, &options, NULL};
    struct option_group defaults = {"", sample_option_rows, NULL, NULL};
    double path_values[CHOICE_VALUES] = {0};
    const struct network_kind *kind = NULL;
    struct model *m = NULL;
    struct error err = {0};
    void *config = NULL;

    check(options_default(&(struct option_set){&group, 1}, &err), &err);
    check(options_assign(&(struct option_set){&group, 1}, "network=dit", &err), &err);
    check(network_kind_find(&kind, "dit", &err), &err);
    check(mem_new(&config, 1, kind->config_bytes, "a configuration", &err), &err);
    set_options(kind, config);
    choice_defaults(path_values, &path_kind_at(options.path)->is);
    check(model_new(&m, &options, path_values, config, &err), &err);
    free(config);
    defaults.config = &m->sample;
    check(options_default(&(struct option_set){&defaults, 1}, &err), &err);
    check(params_alloc(m->network->params, false, &err), &err);
    params_init(m->network->params, 1);
    for (int64_t k = 0; k < params_count(m->network->params); k++) {
        struct param *p = params_at(m->network->params, k);
        struct rng r = rng_stream(1, RNG_TEST, (uint64_t)k);

        for (int64_t i = 0; p->trained && i < shape_count(p->shape); i++)
            p->value[i] += 0.02f * (float)rng_normal(&r);
    }
    return m;
}

/* --- layer by layer -----------------------------------------------------------------------------
 */

struct layer {
    char name[112];
    int64_t rows, inputs, outputs;
    bool reduced;
    double error[PRECISIONS];
};

struct layers {
    struct layer at[LAYERS];
    int n, threads;
};

/* y's layer alone, on the same input. */
static void compute_alone(float *out, const struct tensor *y, enum precision p, struct layer *l,
                          int threads)
{
    struct error err = {0};
    struct graph *g = NULL;
    struct tensor *in[3] = {NULL}, *z;

    check(graph_new(&g, GRAPH_FROZEN, threads, &err), &err);
    graph_set_precision(g, p);
    in[0] = graph_input(g, y->in[0]->shape, y->in[0]->data);
    for (int k = 1; k < 3 && y->in[k]; k++)
        in[k] = graph_param(g, y->in[k]->shape, y->in[k]->data, NULL, "w");
    z = op_linear(g, in[0], in[1], in[2], (enum act)y->arg[0].i);
    l->reduced |= linear_precision(g, z) != PRECISION_FLOAT32;
    graph_keep(g, z);
    check(graph_run(g, &err), &err);
    graph_read(g, z, out);
    graph_free(g);
}

static double relative_error(const float *x, const float *exact, int64_t n)
{
    double error = 0, size = 0;

    for (int64_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)exact[i];

        error += d * d;
        size += (double)exact[i] * (double)exact[i];
    }
    return size > 0 ? sqrt(error / size) : 0;
}

static void look_at(const struct tensor *y, double seconds, void *user)
{
    struct layers *all = user;
    int64_t n = shape_count(y->shape);
    struct error err = {0};
    struct layer *l;
    void *out = NULL;

    (void)seconds;
    if (strcmp(y->op->name, "linear") || all->n == LAYERS)
        return;
    l = &all->at[all->n++];
    snprintf(l->name, sizeof l->name, "%s", y->in[1]->name ? y->in[1]->name : "");
    l->rows = shape_rows(y->shape);
    l->inputs = shape_last(y->in[0]->shape);
    l->outputs = shape_last(y->shape);
    check(mem_new(&out, (uint64_t)n, sizeof(float), "a layer", &err), &err);
    for (int p = PRECISION_BF16; p < PRECISIONS; p++) {
        compute_alone(out, y, (enum precision)p, l, all->threads);
        l->error[p] = relative_error(out, y->data, n);
    }
    free(out);
}

/* The network once, on noise in the middle of the way. */
static void measure_layers(struct layers *all, const struct model *m)
{
    const struct network_io *io = &m->network->io;
    struct shape shape = SHAPE(2, io->height, io->width, io->in_channels);
    struct rng r = rng_stream(2, RNG_TEST, 0);
    struct network_input in = {0};
    int32_t labels[2] = {0, 0};
    struct error err = {0};
    struct graph *g = NULL;
    float t[2];
    void *x = NULL;

    check(mem_new(&x, (uint64_t)shape_count(shape), sizeof(float), "noise", &err), &err);
    rng_normals(&r, x, shape_count(shape));
    t[0] = t[1] = (float)(0.5 * m->options.time_scale);
    check(graph_new(&g, 0, all->threads, &err), &err);
    in.x = graph_input(g, shape, x);
    in.t = graph_input(g, SHAPE(2), t);
    in.y = io->n_labels ? graph_input_i32(g, SHAPE(2), labels) : NULL;
    graph_keep(g, network_forward(g, m->network, in));
    graph_set_probe(g, look_at, all);
    check(graph_run(g, &err), &err);
    graph_free(g);
    free(x);
}

static void print_layers(const struct layers *all)
{
    double sum[PRECISIONS] = {0}, worst[PRECISIONS] = {0};
    int n = 0;

    printf("%-44s %16s %9s %9s\n", "layer", "rows x in -> out", "bf16", "int8");
    for (int i = 0; i < all->n; i++) {
        const struct layer *l = &all->at[i];

        if (!l->reduced) {
            printf("%-44s %5d x %4d %5d  stays float32\n", l->name, (int)l->rows, (int)l->inputs,
                   (int)l->outputs);
            continue;
        }
        n++;
        printf("%-44s %5d x %4d %5d %8.3f%% %8.3f%%\n", l->name, (int)l->rows, (int)l->inputs,
               (int)l->outputs, 100 * l->error[PRECISION_BF16], 100 * l->error[PRECISION_INT8]);
        for (int p = 0; p < PRECISIONS; p++) {
            sum[p] += l->error[p];
            worst[p] = fmax(worst[p], l->error[p]);
        }
    }
    if (!n)
        return;
    printf("%-44s %16s %8.3f%% %8.3f%%\n", "mean", "", 100 * sum[PRECISION_BF16] / n,
           100 * sum[PRECISION_INT8] / n);
    printf("%-44s %16s %8.3f%% %8.3f%%\n\n", "worst", "", 100 * worst[PRECISION_BF16],
           100 * worst[PRECISION_INT8]);
}

/* --- pictures -----------------------------------------------------------------------------------
 */

static double make_pictures(float *out, const struct model *m, enum precision p, int threads,
                            int steps)
{
    struct generate_item items[PICTURES];
    struct generate_request r = {.model = m,
                                 .settings = m->sample,
                                 .items = items,
                                 .n = PICTURES,
                                 .batch = PICTURES,
                                 .precision = p,
                                 .threads = threads};
    struct error err = {0};
    double start = clock_seconds();

    for (int i = 0; i < PICTURES; i++)
        items[i] = (struct generate_item){.w = m->network->io.null_label >= 0 ? 2 : 1,
                                          .seed = (uint64_t)i};
    for (int i = 0; i < PICTURES && m->network->io.n_classes; i++)
        items[i].label = (int32_t)(i % m->network->io.n_classes);
    r.settings.steps = steps;
    check(generate(out, &r, NULL, &err), &err);
    return clock_seconds() - start;
}

static double decibels(const float *x, const float *exact, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        double a = round(127.5 * (fmin(fmax((double)x[i], -1), 1) + 1));
        double b = round(127.5 * (fmin(fmax((double)exact[i], -1), 1) + 1));

        sum += (a - b) * (a - b) / (double)n;
    }
    return sum > 0 ? 10 * log10(255 * 255 / sum) : (double)INFINITY;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void compare_pictures(const struct model *m, int threads, int steps)
{
    const struct network_io *io = &m->network->io;
    int64_t one = io->height * io->width * io->in_channels;
    double seconds[PRECISIONS][RUNS];
    float *x[PRECISIONS] = {NULL};
    struct error err = {0};

    for (int p = 0; p < PRECISIONS; p++)
        check(mem_new((void **)&x[p], (uint64_t)(PICTURES * one), sizeof(float), "pictures", &err),
              &err);
    for (int i = -1; i < RUNS; i++)
        for (int p = 0; p < PRECISIONS; p++) {
            double s = make_pictures(x[p], m, (enum precision)p, threads, steps);

            if (i >= 0)
                seconds[p][i] = s;
        }
    printf("%d pictures, %d steps, guidance, %d threads (medians of %d):\n", PICTURES, steps,
           threads, RUNS);
    for (int p = 0; p < PRECISIONS; p++) {
        double worst = HUGE_VAL;

        qsort(seconds[p], RUNS, sizeof(double), by_size);
        for (int i = 0; i < PICTURES; i++)
            worst = fmin(worst, decibels(x[p] + i * one, x[0] + i * one, one));
        printf("  %-8s %8.3f s (%.3f - %.3f)  %5.2f times as fast  %6.1f dB, worst %6.1f dB  %s\n",
               precision_name(p), seconds[p][RUNS / 2], seconds[p][0], seconds[p][RUNS - 1],
               seconds[0][RUNS / 2] / seconds[p][RUNS / 2],
               decibels(x[p], x[0], PICTURES * one), worst,
               panel_engine((enum precision)p)->name);
        if (p)
            free(x[p]);
    }
    free(x[0]);
}

int main(int argc, char **argv)
{
    static struct layers all;
    int steps = argc > 3 ? atoi(argv[3]) : 4;
    struct model *m = NULL;
    struct error err = {0};

    all.threads = argc > 1 ? atoi(argv[1]) : omp_get_max_threads();
    if (argc > 2)
        check(model_load(&m, argv[2], &err), &err);
    else
        m = random_model();
    measure_layers(&all, m);
    print_layers(&all);
    compare_pictures(m, all.threads, steps);
    model_free(m);
    return 0;
}
