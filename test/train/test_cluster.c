/*
 * test_cluster.c - workloads against formulas and against the planner of runs, and how they divide
 */
#include "train/cluster.h"

#include "base/memory.h"
#include "model/autoencoder.h"
#include "model/movie.h"
#include "ops/basic.h"
#include "support/networks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct network *must_build(const char *kind, const char *const *settings, bool memory)
{
    struct error err = {0};
    struct network *net;

    if (network_of(&net, kind, settings, memory, &err))
        fail_msg("%s", err.text);
    return net;
}

static struct workload must_find(const char *const *settings, const struct workload_question *q)
{
    struct network *net = must_build("movie", settings, false);
    struct workload w;
    struct error err = {0};

    if (workload_find(&w, net, q, &err))
        fail_msg("%s", err.text);
    network_free(net);
    return w;
}

/* --- counts against formulas --------------------------------------------------------------------
 */

#define SMALL                                                                                     \
    "size=8", "channels=4", "frames=3", "width=32", "heads=4", "depth=3", "hidden=48", "patch=2", \
        "contexts=16,24", "lengths=5,7"
#define PUBLISHED                                                                                 \
    "width=6144", "depth=48", "heads=48", "size=96", "frames=32", "positions=64", "hidden=16384", \
        "contexts=4096,1280,1472", "lengths=300,256,100"

/* The numbers of a configuration as the formulas name them. */
struct sizes {
    double N, D, f, L, patch; /* tokens, width, hidden, blocks, numbers of a patch */
    double text[MOVIE_TEXTS], wide[MOVIE_TEXTS]; /* tokens and features of each text          */
};
static const struct sizes small = {48, 32, 48, 3, 16, {5, 7}, {16, 24}};
static const struct sizes published = {
    73728, 6144, 16384, 48, 64, {300, 256, 100}, {4096, 1280, 1472}};
static const char *const small_settings[] = {SMALL, NULL};
static const char *const published_settings[] = {PUBLISHED, NULL};

/* Linear layers whose input nothing learns from: patches, times and texts. */
static double first_layers(const struct sizes *s)
{
    double sum = s->N * s->patch * s->D + 256 * s->D;

    for (int i = 0; i < MOVIE_TEXTS; i++)
        sum += s->text[i] * s->wide[i] * s->D;
    return 2 * sum;
}

static double text_tokens(const struct sizes *s)
{
    return s->text[0] + s->text[1] + s->text[2];
}

static double linear_flops(const struct sizes *s)
{
    double M = text_tokens(s), DD = s->D * s->D;
    double block = s->N * (6 * DD + 3 * s->D * s->f) + 2 * M * DD;

    return first_layers(s) + 2 * (7 * DD + s->L * block + s->N * s->D * s->patch);
}

static double attention_flops(const struct sizes *s)
{
    return 4 * s->L * s->N * (s->N + text_tokens(s)) * s->D;
}

static void near(double is, double should)
{
    if (!(fabs(is - should) <= 1e-9 * fabs(should)))
        fail_msg("%.17g, should be %.17g", is, should);
}

static void test_forward(void **state)
{
    const struct workload_question one = {.samples = 1}, three = {.samples = 3};
    struct workload w = must_find(small_settings, &one);

    (void)state;
    near(w.forward.linear, linear_flops(&small));
    near(w.forward.attention, attention_flops(&small));
    assert_int_equal(w.blocks, 3);
    assert_int_equal(w.tokens, 48);
    assert_int_equal(w.width, 32);
    assert_int_equal(w.heads, 4);
    assert_int_equal(w.selves, 3);
    assert_int_equal(w.branches, 9);
    assert_int_equal(w.split, 3 * (8 * 32 * 32 + 3 * 32 * 48));
    assert_int_equal(w.whole, 3 * 9 * 32);
    assert_int_equal(w.weights, w.split + w.whole + w.outside);
    w = must_find(small_settings, &three);
    near(w.forward.linear, 3 * linear_flops(&small));
    near(w.forward.attention, 3 * attention_flops(&small));
}

/* Backwards are twice the forward, less what nothing learns from; attention computes its map once
 * more.  Inside of a block all is computed again, but for what the last op gives, which its own
 * adjoint does not read. */
static void test_training(void **state)
{
    const struct workload_question keep = {.samples = 1, .trains = true},
                                   again = {.samples = 1, .trains = true, .repeats = true};
    struct workload w = must_find(small_settings, &keep);

    (void)state;
    near(w.pass.linear, 3 * linear_flops(&small) - first_layers(&small));
    near(w.pass.attention, 3.5 * attention_flops(&small));
    w = must_find(small_settings, &again);
    near(w.pass.attention, 4.5 * attention_flops(&small));
    assert_true(w.pass.linear > 3.5 * linear_flops(&small));
    assert_true(w.pass.linear < 4 * linear_flops(&small));
}

/* The published size, as movie-gen.md 6.3 has it; no memory is taken for any of it. */
static void test_published(void **state)
{
    const struct workload_question q = {.samples = 1, .trains = true, .repeats = true};
    int64_t before = mem_peak();
    struct workload w = must_find(published_settings, &q);

    (void)state;
    near(w.forward.linear, linear_flops(&published));
    near(w.forward.attention, attention_flops(&published));
    assert_true(fabs(w.forward.linear / 3.75e15 - 1) < 0.01);
    assert_true(fabs(w.forward.attention / 6.48e15 - 1) < 0.01);
    assert_true(fabs((double)w.weights / 29.3e9 - 1) < 0.01);
    assert_int_equal(w.tokens, 73728);
    /* Inputs of 48 blocks, and one block's inside. */
    assert_true(w.values > (int64_t)48 * 73728 * 6144 * 4);
    assert_true(w.values < (int64_t)96 * 73728 * 6144 * 4);
    assert_true(mem_peak() - before < 256 << 20);
}

/* --- one rank against the planner of a run ------------------------------------------------------
 */

enum { ROWS = 2, TEXTS = 12, WIDEST = 24, CLIP = 3 * 8 * 8 * 4 };

/* What graph_measure says of the same pass on a network that has memory. */
static struct graph_stats plan_of(struct network *net, bool trains, bool repeats)
{
    static float x[ROWS * CLIP], t[ROWS], context[ROWS * TEXTS * WIDEST];
    struct graph_stats stats;
    struct network_input in = {0};
    struct tensor *y;
    struct graph *g;

    assert_int_equal(graph_new(&g, trains ? 0 : GRAPH_FROZEN, 1, NULL), OK);
    graph_set_recompute(g, repeats ? RECOMPUTE_ALL : RECOMPUTE_NOTHING);
    in.x = graph_input(g, SHAPE(ROWS, 3, 8, 8, 4), x);
    in.t = graph_input(g, SHAPE(ROWS), t);
    in.context = graph_input(g, SHAPE(ROWS, TEXTS, WIDEST), context);
    y = network_forward(g, net, in);
    if (trains) {
        y = op_mse(g, y, graph_input(g, y->shape, x));
        graph_backward(g, y);
    }
    graph_keep(g, y);
    assert_int_equal(graph_measure(g, &stats, NULL), OK);
    graph_free(g);
    return stats;
}

static struct cluster one_rank(void)
{
    return (struct cluster){.ranks = 1,
                            .tensor = 1,
                            .context = 1,
                            .batch = ROWS,
                            .steps = 1,
                            .average = true,
                            .value_bytes = 4,
                            .flops = 1e12,
                            .share = 0.5,
                            .memory = 1e9,
                            .node = 8,
                            .node_link = 4e11,
                            .network_link = 5e10};
}

static void test_one_rank(void **state)
{
    static const struct {
        bool trains, repeats;
    } ways[] = {{false, false}, {true, false}, {true, true}};
    struct cluster c = one_rank();

    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        const struct workload_question q = {ROWS, ways[i].trains, ways[i].repeats, 0};
        struct network *net = must_build("movie", small_settings, true);
        struct graph_stats stats = plan_of(net, q.trains, q.repeats);
        struct workload w = must_find(small_settings, &q);
        struct cluster_plan p;
        int64_t state_bytes = 4 * params_n_values(net->params);

        state_bytes += q.trains ? 4 * (3 * params_n_trained(net->params) + state_bytes / 4) : 0;
        assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
        assert_true(p.bytes.values == (double)stats.floor_bytes);
        near(w.pass.linear + w.pass.attention + w.pass.other, stats.flops);
        near(p.bytes.weights + p.bytes.gradients + p.bytes.moments + p.bytes.average,
             (double)state_bytes);
        assert_true(p.bytes.gathered == 0 && p.bytes.exchanged == 0);
        assert_true(p.moved.tensor == 0 && p.moved.context == 0 && p.moved.weights == 0);
        near(p.seconds.least, (w.pass.linear + w.pass.attention) / 5e11);
        near(p.seconds.most, p.seconds.least);
        network_free(net);
    }
}

/* --- many ranks ---------------------------------------------------------------------------------
 */

static void test_sums(void **state)
{
    const struct workload_question q = {.samples = 2, .trains = true, .repeats = true};
    struct workload w = must_find(small_settings, &q);

    (void)state;
    for (int64_t t = 1; t <= 4; t *= 2)
        for (int64_t x = 1; x <= 4; x *= 2)
            for (int64_t d = 1; d <= 3; d++) {
                struct cluster c = one_rank();
                struct cluster_plan p;
                double all = (double)w.split + (double)(t * (w.whole + w.outside));

                c.ranks = d * t * x;
                c.tensor = t;
                c.context = x;
                c.batch = 12;
                c.steps = 5;
                c.value_bytes = 2;
                c.sharding = SHARD_ALL;
                assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
                assert_int_equal(p.data, d);
                assert_int_equal(p.passes, 6 / d);
                near(p.flops * (double)c.ranks, 5 * 6 * (w.pass.linear + w.pass.attention));
                near(p.bytes.values * (double)(t * x), (double)w.values / 2);
                near((double)c.ranks * (p.bytes.weights + p.bytes.gradients + p.bytes.moments),
                     18 * all);
                assert_true(p.seconds.least <= p.seconds.most);
            }
}

/* Two ranks, one way of dividing at a time: what each is sent can be counted on fingers. */
static void test_messages(void **state)
{
    const struct workload_question q = {.samples = 1, .trains = true, .repeats = true};
    struct workload w = must_find(small_settings, &q);
    struct cluster c = one_rank();
    struct cluster_plan p;
    double tokens = 2 * 48 * 32, n = (double)w.weights;

    (void)state;
    c.ranks = 2;
    c.batch = 2;
    c.value_bytes = 2;
    c.tensor = 2;
    assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
    near(p.moved.tensor, 2 * 6 * 9 * tokens / 2); /* passes, times, branches, the other's half */
    near(p.seconds.tensor, p.moved.tensor / 4e11);
    assert_true(p.moved.context == 0 && p.moved.weights == 0);

    c.tensor = 1;
    c.context = 2;
    assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
    near(p.moved.context, 2 * 3 * 3 * 2 * tokens / 2); /* k and v of three layers, three times */
    near(p.moved.weights, 8 * n / 2);
    c.attending = ATTEND_EXCHANGE; /* four tensors of half the tokens, of which half go away */
    assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
    near(p.moved.context, 2 * 3 * 3 * 4 * tokens / 4);

    c.context = 1;
    assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
    near(p.moved.weights, 8 * n / 2);
    c.sharding = SHARD_OPTIMIZER;
    assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
    near(p.moved.weights, (4 + 2) * n / 2);
    near(p.bytes.moments, 8 * n / 2);
    near(p.bytes.gradients, 4 * n);
    c.sharding = SHARD_ALL;
    assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
    near(p.moved.weights, (4 + 2 * 2) * n / 2);
    near(p.bytes.gradients, 4 * n / 2);
    assert_true(p.bytes.gathered > 0);

    c.node = 1; /* now they do not stand together */
    assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
    near(p.seconds.weights, p.moved.weights / 5e10);
    near(p.seconds.most, p.seconds.arithmetic + p.seconds.weights);
    near(p.seconds.least, fmax(p.seconds.arithmetic, p.seconds.weights));
}

/* Without a backward there is nothing to keep, and no state but the weights. */
static void test_sampling(void **state)
{
    const struct workload_question draws = {.samples = 2}, trains = {.samples = 2, .trains = true};
    struct workload w = must_find(small_settings, &draws),
                    much = must_find(small_settings, &trains);
    struct cluster c = one_rank();
    struct cluster_plan p;

    (void)state;
    c.steps = 50;
    c.value_bytes = 2;
    assert_int_equal(cluster_divide(&p, &c, &w, NULL), OK);
    near(p.bytes.weights, 2 * (double)w.weights);
    assert_true(p.bytes.gradients == 0 && p.bytes.moments == 0 && p.bytes.average == 0);
    near(p.flops, 50 * (w.forward.linear + w.forward.attention));
    assert_true(w.values < much.values / 3);
}

/* --- autoencoders -------------------------------------------------------------------------------
 */

static void test_halves(void **state)
{
    static const char *const settings[] = {
        "width=16", "mult=1,2", "blocks=1", "groups=4", "latent_channels=4", "halvings=1", NULL};
    static float x[8 * 16 * 16 * 4];

    (void)state;
    for (int decodes = 0; decodes < 2; decodes++) {
        const struct workload_half half = {8, 16, 16, decodes};
        struct network *net = must_build("video_vae", settings, true);
        struct network *count = must_build("video_vae", settings, false);
        struct graph_stats stats;
        struct workload w;
        struct graph *g;

        assert_int_equal(graph_new(&g, GRAPH_FROZEN, 1, NULL), OK);
        graph_keep(g, decodes
                          ? autoencoder_decode(g, net, graph_input(g, SHAPE(1, 4, 8, 8, 4), x))
                          : autoencoder_encode(g, net, graph_input(g, SHAPE(1, 8, 16, 16, 3), x)));
        assert_int_equal(graph_measure(g, &stats, NULL), OK);
        assert_int_equal(workload_find_half(&w, count, &half, NULL), OK);
        near(w.forward.linear + w.forward.attention + w.forward.other, stats.flops);
        assert_true(w.values == stats.floor_bytes);
        assert_true(w.weights == params_weights(net->params) && !w.blocks);
        graph_free(g);
        network_free(net);
        network_free(count);
    }
}

/* --- what is refused ----------------------------------------------------------------------------
 */

static void test_refusals(void **state)
{
    static const struct {
        int64_t ranks, tensor, context, batch;
        int attending;
        const char *says;
    } wrong[] = {
        {6, 4, 1, 2, ATTEND_GATHER, "no multiple"},
        {3, 3, 1, 2, ATTEND_GATHER, "heads cannot be dealt"},
        {5, 1, 5, 2, ATTEND_GATHER, "tokens cannot be dealt"},
        {8, 4, 2, 2, ATTEND_EXCHANGE, "cannot be exchanged"},
        {4, 1, 1, 6, ATTEND_GATHER, "a batch of 6"},
        {0, 1, 1, 2, ATTEND_GATHER, "no ranks"},
        {1, 1, 1, 0, ATTEND_GATHER, "no samples"},
    };
    const struct workload_question q = {.samples = 2};
    struct workload w = must_find(small_settings, &q);

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct cluster c = one_rank();
        struct error err = {0};
        struct cluster_plan p;

        c.ranks = wrong[i].ranks;
        c.tensor = wrong[i].tensor;
        c.context = wrong[i].context;
        c.batch = wrong[i].batch;
        c.attending = wrong[i].attending;
        assert_int_equal(cluster_divide(&p, &c, &w, &err), E_ARG);
        if (!strstr(err.text, wrong[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.text, wrong[i].says);
    }
}

static void test_no_workload(void **state)
{
    static const char *const one_text[] = {"width=32", "heads=4", "contexts=16", NULL};
    static const char *const none[] = {NULL};
    const struct workload_question q = {.samples = 1};
    const struct workload_half half = {8, 20, 16, false};
    struct network *net = must_build("movie", one_text, false);
    struct error err = {0};
    struct workload w;

    (void)state;
    assert_int_equal(workload_find(&w, net, &q, &err), E_ARG);
    assert_non_null(strstr(err.text, "tokens"));
    assert_int_equal(workload_find_half(&w, net, &half, &err), E_ARG);
    assert_non_null(strstr(err.text, "no autoencoder"));
    network_free(net);
    net = must_build("video_vae", none, false);
    assert_int_equal(workload_find(&w, net, &q, &err), E_ARG);
    assert_int_equal(workload_find_half(&w, net, &half, &err), E_ARG);
    assert_non_null(strstr(err.text, "multiples"));
    network_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),   cmocka_unit_test(test_training),
        cmocka_unit_test(test_published), cmocka_unit_test(test_one_rank),
        cmocka_unit_test(test_sums),      cmocka_unit_test(test_messages),
        cmocka_unit_test(test_sampling),  cmocka_unit_test(test_halves),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_no_workload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
