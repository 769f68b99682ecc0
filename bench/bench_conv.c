/*
 * bench_conv.c - the convolutions of a U-Net, forward and backward
 *
 *     bench_conv [threads]
 *
 * Same-size 3 x 3 convolutions at the resolutions of a small U-Net, the first and the last layer
 * with their three channels, a downsampling one, and a single large picture.  The times include
 * packing the weights, as in training.
 */
#include "op_times.h"

#include "base/memory.h"
#include "base/rng.h"
#include "ops/basic.h"
#include "ops/conv.h"

#include <omp.h>

struct layer {
    const char *name;
    int64_t n, size, in, out, stride;
};

static const struct layer layers[] = {
    {"8 x 32 x 32, 128 -> 128", 8, 32, 128, 128, 1},
    {"32 x 16 x 16, 64 -> 64", 32, 16, 64, 64, 1},
    {"16 x 16 x 16, 256 -> 256", 16, 16, 256, 256, 1},
    {"32 x 8 x 8, 256 -> 256", 32, 8, 256, 256, 1},
    {"32 x 4 x 4, 256 -> 256", 32, 4, 256, 256, 1},
    {"16 x 16 x 16, 128 -> 128, /2", 16, 16, 128, 128, 2},
    {"8 x 32 x 32, 3 -> 128", 8, 32, 3, 128, 1},
    {"8 x 32 x 32, 128 -> 3", 8, 32, 128, 3, 1},
    {"1 x 128 x 128, 128 -> 128", 1, 128, 128, 128, 1},
};

static float *uniforms(int64_t n, uint64_t key)
{
    struct rng r = rng_stream(1, RNG_TEST, key);
    struct error err = {0};
    void *x = NULL;

    if (mem_new(&x, (uint64_t)n, sizeof(float), "a benchmark's values", &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    for (int64_t i = 0; i < n; i++)
        ((float *)x)[i] = (float)(rng_uniform(&r) - 0.5);
    return x;
}

/* The loss <c, y> costs little and gives dy = c. */
static void record_layer(struct graph *g, const struct layer *l, float *const v[6])
{
    const struct conv_geometry same = {l->stride, 1, 1, 1, 1};
    struct tensor *x = graph_input(g, SHAPE(l->n, l->size, l->size, l->in), v[0]), *y;

    graph_want_grad(x);
    y = op_conv2d(g, x, graph_param(g, SHAPE(l->out, 3, 3, l->in), v[1], v[2], "w"),
                  graph_param(g, SHAPE(l->out), v[3], v[4], "b"), same);
    graph_backward(g, op_sum(g, op_mul(g, y, graph_input(g, y->shape, v[5]))));
    graph_keep(g, y);
    graph_keep(g, x->grad);
}

static void bench(const struct layer *l, int threads)
{
    int64_t pixels = l->n * l->size * l->size, weights = 9 * l->in * l->out;
    float *v[6] = {uniforms(pixels * l->in, 0), uniforms(weights, 1), uniforms(weights, 2),
                   uniforms(l->out, 3),         uniforms(l->out, 4),  uniforms(pixels * l->out, 5)};
    static struct op_times times;
    struct graph *g = NULL;

    if (graph_new(&g, 0, threads, NULL))
        exit(1);
    record_layer(g, l, v);
    op_times_run(&times, g, threads, 11);
    op_times_print(&times, l->name, "conv");
    graph_free(g);
    for (int k = 0; k < 6; k++)
        free(v[k]);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : omp_get_max_threads();

    op_times_machine(threads);
    for (size_t k = 0; k < sizeof(layers) / sizeof(layers[0]); k++)
        bench(&layers[k], threads);
    return 0;
}
