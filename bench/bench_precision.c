/*
 * bench_precision.c - what reduced precision costs in exactness and gains in speed
 *
 *     bench_precision [threads [MODEL [steps [side [spiece.model]]]]]
 *
 * The same pictures are made from the same noise in float32 and in a reduced precision, and what
 * the solver leaves is compared; in the middle of the way each linear layer of the network is
 * computed in both on the inputs that it has in float32 (eval/reduced.h).  Then 16 pictures are
 * made with guidance in every precision, alternating; the differences of the pictures are told as
 * their peak signal-to-noise ratio in decibels (after rounding to 8 bits, all pictures together,
 * and the worst one).
 *
 * Of a model that reads prompts it is one picture of one prompt in int8, and its latents alone: of
 * Stable Diffusion 3 as published, `side` pixels a side, without T5 unless its vocabulary is named.
 *
 * Without a model: a transformer of width 384, depth 12, 256 tokens, whose weights are random and
 * none of them zero, so that every layer takes part in the result.
 */
#include "backend/cpu/panel.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "eval/reduced.h"
#include "pipeline/sd3.h"
#include "pipeline/viewer.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 16, RUNS = 5, PRECISIONS = 3, LAYERS_SHOWN = 24 };

struct arguments {
    const char *path, *spiece;
    int64_t steps, side;
    int threads;
};

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

/* --- latents and layers -------------------------------------------------------------------------
 */

static void print_layers(const struct reduced_result *r)
{
    double sum = 0, least = 0;
    int64_t n = 0;

    printf("  %-52s %22s %9s\n", "layer, the largest error first", "rows x in -> out", "error");
    for (int64_t i = 0; i < r->n_layers; i++) {
        const struct reduced_layer *l = &r->layer[i];

        if (!l->reduced)
            continue;
        if (n++ < LAYERS_SHOWN)
            printf("  %-52s %6" PRId64 " x %5" PRId64 " %6" PRId64 "  %8.3f%%\n", l->name, l->rows,
                   l->inputs, l->outputs, 100 * l->error);
        sum += l->error;
        least = 100 * l->error;
    }
    if (n > LAYERS_SHOWN)
        printf("  and %" PRId64 " more, down to %.3f%%\n", n - LAYERS_SHOWN, least);
    printf("  %" PRId64 " layers stay float32: one row a sample, or narrow\n", r->n_layers - n);
    if (n)
        printf("  %-52s %22s %8.3f%%\n\n", "mean of those that are reduced", "",
               100 * sum / (double)n);
}

/* The request in one precision beside float32. */
static void compare_latents(const struct generate_request *r, enum precision p)
{
    const struct network_io *io = &r->model->network->io;
    struct reduced_task t = {.request = r, .precision = p, .look_at = r->settings.steps / 2};
    struct reduced_result result;
    struct error err = {0};

    check(reduced_compare(&result, &t, &err), &err);
    printf("%s, %" PRId64 " of %" PRId64 " x %" PRId64 " x %" PRId64 ", %" PRId64
           " steps, guidance scale %g, %d threads:\n"
           "  PSNR %.1f dB (of the range), SNR %.1f dB, %.2f times as fast (%.1f and %.1f s)\n",
           precision_name((int)p), r->n, io->height, io->width, io->in_channels, r->settings.steps,
           r->items[0].w, r->threads, result.psnr, result.snr,
           result.seconds[0] / result.seconds[1], result.seconds[0], result.seconds[1]);
    print_layers(&result);
    reduced_release(&result);
}

/* One picture of a prompt, or, of labels, PICTURES. */
static void request_init(struct generate_request *r, struct generate_item *items,
                         const struct model *m, const struct arguments *a)
{
    static const char *const prompt[] = {"a red cat on a blue roof, photograph"};
    const struct network_io *io = &m->network->io;
    bool reads = io->context_width || io->text_length;

    for (int i = 0; i < PICTURES; i++) {
        items[i] = (struct generate_item){.w = 1, .seed = (uint64_t)i};
        if (reads || io->null_label >= 0)
            items[i].w = reads ? m->sample.cfg_scale : 2;
        items[i].label = (int32_t)(io->n_classes ? i % io->n_classes : 0);
    }
    *r = (struct generate_request){.model = m,
                                   .settings = m->sample,
                                   .texts = prompt,
                                   .n_texts = reads ? 1 : 0,
                                   .items = items,
                                   .n = reads ? 1 : PICTURES,
                                   .batch = PICTURES,
                                   .threads = a->threads};
    r->settings.steps = a->steps;
}

/* --- pictures -----------------------------------------------------------------------------------
 */

static double make_pictures(float *out, const struct generate_request *request, enum precision p)
{
    struct generate_request r = *request;
    struct error err = {0};
    double start = clock_seconds();

    r.precision = p;
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

static void compare_pictures(const struct generate_request *r)
{
    const struct view_shape shape = view_shape(r->model, false);
    int64_t one = view_length(&shape);
    double seconds[PRECISIONS][RUNS];
    float *x[PRECISIONS] = {NULL};
    struct error err = {0};

    for (int p = 0; p < PRECISIONS; p++)
        check(mem_new((void **)&x[p], (uint64_t)(r->n * one), sizeof(float), "pictures", &err),
              &err);
    for (int i = -1; i < RUNS; i++)
        for (int p = 0; p < PRECISIONS; p++) {
            double s = make_pictures(x[p], r, (enum precision)p);

            if (i >= 0)
                seconds[p][i] = s;
        }
    printf("%" PRId64 " pictures, %" PRId64 " steps, guidance, %d threads (medians of %d):\n", r->n,
           r->settings.steps, r->threads, RUNS);
    for (int p = 0; p < PRECISIONS; p++) {
        double worst = HUGE_VAL;

        qsort(seconds[p], RUNS, sizeof(double), by_size);
        for (int i = 0; i < r->n; i++)
            worst = fmin(worst, decibels(x[p] + i * one, x[0] + i * one, one));
        printf("  %-8s %8.3f s (%.3f - %.3f)  %5.2f times as fast  %6.1f dB, worst %6.1f dB  %s\n",
               precision_name(p), seconds[p][RUNS / 2], seconds[p][0], seconds[p][RUNS - 1],
               seconds[0][RUNS / 2] / seconds[p][RUNS / 2], decibels(x[p], x[0], r->n * one), worst,
               panel_engine((enum precision)p)->name);
        if (p)
            free(x[p]);
    }
    free(x[0]);
}

/* --- the program --------------------------------------------------------------------------------
 */

static struct model *open_model(const struct arguments *a)
{
    const struct sd3_parts parts = {.no_t5 = true, .spiece = a->spiece};
    const struct sd3_parts all = {.spiece = a->spiece};
    struct model *m = NULL;
    struct error err = {0};
    int64_t side;

    if (!a->path)
        return random_model();
    if (!sd3_is(a->path)) {
        check(model_load(&m, a->path, &err), &err);
        return m;
    }
    check(sd3_open(&m, a->path, a->spiece ? &all : &parts, &err), &err);
    side = a->side ? a->side / m->space->factor : m->network->io.height;
    check(network_resize(m->network, side, side, &err), &err);
    return m;
}

static void read_arguments(struct arguments *a, int argc, char **argv)
{
    a->threads = argc > 1 ? atoi(argv[1]) : omp_get_max_threads();
    a->path = argc > 2 ? argv[2] : NULL;
    a->steps = argc > 3 ? atoi(argv[3]) : 4;
    a->side = argc > 4 ? atoi(argv[4]) : 0;
    a->spiece = argc > 5 ? argv[5] : NULL;
}

int main(int argc, char **argv)
{
    struct generate_item items[PICTURES];
    struct generate_request r;
    struct arguments a;
    struct model *m;

    read_arguments(&a, argc, argv);
    m = open_model(&a);
    request_init(&r, items, m, &a);
    if (!r.n_texts)
        compare_latents(&r, PRECISION_BF16);
    compare_latents(&r, PRECISION_INT8);
    if (!r.n_texts)
        compare_pictures(&r);
    model_free(m);
    return 0;
}
