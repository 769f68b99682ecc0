/*
 * bench_linear.c - the linear op of a DiT, forward and backward
 *
 *     bench_linear [threads]
 *
 * Width 384 at 4,096 rows (16 pictures of 256 tokens), and the small layers of adaLN at a batch
 * of 16. The times include packing the weights, as in training.
 */
#include "op_times.h"

#include "base/memory.h"
#include "base/rng.h"
#include "ops/basic.h"
#include "ops/linear.h"

#include <omp.h>

struct layer {
    const char *name;
    int64_t n, tokens, in, out;
    enum act act;
};

static const struct layer layers[] = {
    {"4096 x 384 -> 1152", 16, 256, 384, 1152, ACT_NONE},
    {"4096 x 384 -> 384", 16, 256, 384, 384, ACT_NONE},
    {"4096 x 384 -> 1536, gelu", 16, 256, 384, 1536, ACT_GELU},
    {"4096 x 1536 -> 384", 16, 256, 1536, 384, ACT_NONE},
    {"16 x 384 -> 2304", 16, 1, 384, 2304, ACT_NONE},
    {"16 x 256 -> 384, silu", 16, 1, 256, 384, ACT_SILU},
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
    struct tensor *x = graph_input(g, SHAPE(l->n, l->tokens, l->in), v[0]), *y;

    graph_want_grad(x);
    y = op_linear(g, x, graph_param(g, SHAPE(l->out, l->in), v[1], v[2], "w"),
                  graph_param(g, SHAPE(l->out), v[3], v[4], "b"), l->act);
    graph_backward(g, op_sum(g, op_mul(g, y, graph_input(g, y->shape, v[5]))));
    graph_keep(g, y);
    graph_keep(g, x->grad);
}

static void bench(const struct layer *l, int threads)
{
    int64_t rows = l->n * l->tokens;
    float *v[6] = {uniforms(rows * l->in, 0),   uniforms(l->in * l->out, 1),
                   uniforms(l->in * l->out, 2), uniforms(l->out, 3),
                   uniforms(l->out, 4),         uniforms(rows * l->out, 5)};
    static struct op_times times;
    struct graph *g = NULL;

    if (graph_new(&g, 0, threads, NULL))
        exit(1);
    record_layer(g, l, v);
    op_times_run(&times, g, threads, 11);
    op_times_print(&times, l->name, "linear");
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
