/*
 * test_unet.c - the U-Nets of all styles: public sizes and names, gradients, bits, magnitudes, and
 * what is refused
 *
 * Whether they compute what the papers say is test_parity.c's affair.
 */
#include "model/network.h"

#include "base/rng.h"
#include "graph/graph.h"
#include "ops/basic.h"
#include "ops/dropout.h"
#include "support/networks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- building -----------------------------------------------------------------------------------
 */

enum { SETTINGS = 20 };

/* --- public sizes and names
 * -----------------------------------------------------------------------
 */

/* In millions, as published or counted with the published code; tensors 0: not compared. */
static const struct {
    const char *name;
    double millions, within;
    int64_t tensors;
    const char *settings[SETTINGS];
} published[] = {
    {"Stable Diffusion 1",
     859.52,
     0.005,
     686,
     {"size=64", "channels=4", "width=320", "mult=1,2,4,4", "attention=1,2,4", "heads=8",
      "context_width=768", "film=false", "residual_resample=false", NULL}},
    {"ADM, ImageNet 64",
     295.9,
     0.05,
     0,
     {"size=64", "out_channels=6", "classes=1000", "null_class=false", "width=192", "mult=1,2,3,4",
      "blocks=3", "attention=2,4,8", "head_channels=64", NULL}},
    {"ADM, ImageNet 256",
     553.8,
     0.05,
     0,
     {"size=256", "out_channels=6", "classes=1000", "null_class=false", "width=256",
      "mult=1,1,2,2,4,4", "attention=8,16,32", "head_channels=64", NULL}},
    {"DDPM++, CIFAR-10",
     55.7,
     0.05,
     0,
     {"style=ddpmpp", "size=32", "film=false", "width=128", "mult=2,2,2", "blocks=4", "attention=2",
      "heads=1", NULL}},
    {"EDM2-L, latents of 64",
     777.5,
     0.5,
     0,
     {"style=edm2", "size=64", "channels=4", "classes=1000", "null_class=false", "width=320",
      "mult=1,2,3,4", "blocks=3", "attention=4,8", "head_channels=64", NULL}},
};

static void test_public_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(published); i++) {
        struct network *net = network_must("unet", published[i].settings, false);
        double millions = (double)params_weights(net->params) / 1e6;

        if (fabs(millions - published[i].millions) > published[i].within)
            fail_msg("%s has %.3f million weights, not %.3f", published[i].name, millions,
                     published[i].millions);
        if (published[i].tensors)
            assert_int_equal(params_count(net->params), published[i].tensors);
        network_free(net);
    }
}

static const struct {
    int of; /* row of `published` */
    const char *name;
    struct shape in_files;
} keys[] = {
    {0, "input_blocks.3.0.op.weight", {4, {320, 320, 3, 3}}},
    {0, "input_blocks.1.1.proj_in.weight", {4, {320, 320, 1, 1}}},
    {0, "input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight", {2, {1280, 768}}},
    {0, "input_blocks.4.1.transformer_blocks.0.attn1.to_out.0.bias", {1, {640}}},
    {0, "middle_block.1.transformer_blocks.0.ff.net.0.proj.weight", {2, {10240, 1280}}},
    {0, "output_blocks.2.1.conv.weight", {4, {1280, 1280, 3, 3}}},
    {0, "output_blocks.5.2.conv.bias", {1, {1280}}},
    {1, "middle_block.1.qkv.weight", {3, {2304, 768, 1}}},
    {3, "map_layer0.weight", {2, {512, 128}}},
    {3, "enc.16x16_block3.qkv.weight", {4, {768, 256, 1, 1}}},
    {3, "dec.8x8_in0.proj.weight", {4, {256, 256, 1, 1}}},
    {3, "dec.16x16_up.skip.weight", {4, {256, 256, 1, 1}}},
    {3, "dec.32x32_aux_conv.weight", {4, {3, 256, 3, 3}}},
    {4, "enc.64x64_conv.weight", {4, {320, 5, 3, 3}}},
    {4, "enc.32x32_down.emb_gain", {0, {0}}},
    {4, "enc.16x16_block0.conv_skip.weight", {4, {960, 640, 1, 1}}},
    {4, "dec.8x8_in0.attn_qkv.weight", {4, {3840, 1280, 1, 1}}},
    {4, "dec.64x64_block3.emb_linear.weight", {2, {320, 1280}}},
    {4, "emb_label.weight", {2, {1280, 1000}}},
    {4, "emb_fourier.phases", {1, {320}}},
    {4, "out_gain", {0, {0}}},
};

static void test_public_names(void **state)
{
    struct network *net[COUNT(published)];

    (void)state;
    for (size_t i = 0; i < COUNT(published); i++)
        net[i] = network_must("unet", published[i].settings, false);
    for (size_t i = 0; i < COUNT(keys); i++) {
        const struct param *p = params_find(net[keys[i].of]->params, keys[i].name);

        if (!p || !shape_equal(p->file_shape, keys[i].in_files))
            fail_msg("%s is missing or has another shape", keys[i].name);
    }
    /* DDPM++ attends once a level on the way up. */
    assert_null(params_find(net[3]->params, "dec.16x16_block0.qkv.weight"));
    assert_non_null(params_find(net[3]->params, "dec.16x16_block4.qkv.weight"));
    for (size_t i = 0; i < COUNT(published); i++)
        network_free(net[i]);
}

/* --- tiny networks: gradients and bits
 * ------------------------------------------------------------
 */

enum { N = 3, SIDE = 8, CHANNELS = 2, LENGTH = 5, WORD = 6 };

#define TINY "size=8", "channels=2", "width=8", "mult=1,2", "blocks=1", "attention=2", "groups=4"
static const struct {
    const char *name;
    const char *settings[SETTINGS];
} tiny[] = {
    {"adm", {TINY, "classes=3", NULL}},
    {"adm, convolutions", {TINY, "film=false", "residual_resample=false", NULL}},
    {"text", {TINY, "heads=2", "context_width=6", "depth=2", "film=false", NULL}},
    {"label token",
     {TINY, "classes=3", "context_width=6", "label_token=true", "film=false",
      "residual_resample=false", NULL}},
    {"ddpmpp", {TINY, "style=ddpmpp", "classes=3", "film=false", NULL}},
    {"ddpmpp, film", {TINY, "style=ddpmpp", "heads=2", NULL}},
    {"edm2", {TINY, "style=edm2", "classes=3", "head_channels=4", NULL}},
    {"adm, dropout", {TINY, "dropout=0.4", NULL}},
    {"ddpmpp, dropout", {TINY, "style=ddpmpp", "dropout=0.2", NULL}},
    {"edm2, dropout", {TINY, "style=edm2", "head_channels=4", "dropout=0.4", NULL}},
    {"edm2, no labels", {TINY, "style=edm2", "mult=2,1", "attention=1,2", NULL}},
};

/* What goes into a tiny network, and a cotangent for what comes out. */
struct feed {
    float x[N * SIDE * SIDE * CHANNELS], cot[N * SIDE * SIDE * CHANNELS], t[N];
    float context[N * LENGTH * WORD];
    int32_t y[N], mask[N * LENGTH], drop[N * DROP_WORDS];
    bool trains; /* the network is told which samples these are, and may leave values out */
};

static void feed_draw(struct feed *f, uint64_t seed)
{
    struct rng r = rng_stream(seed, RNG_TEST, 1);

    rng_normals(&r, f->x, COUNT(f->x));
    rng_normals(&r, f->cot, COUNT(f->cot));
    rng_normals(&r, f->context, COUNT(f->context));
    f->trains = true;
    for (int n = 0; n < N; n++) {
        memcpy(f->drop + n * DROP_WORDS, (const int32_t[]){(int32_t)seed, 0, 17 + n, 0},
               DROP_WORDS * sizeof *f->drop);
        f->t[n] = (float)rng_uniform(&r);
        f->y[n] = n;
    }
    for (int i = 0; i < N * LENGTH; i++)
        f->mask[i] = i % LENGTH < 4 || i / LENGTH == 0;
}

/* The loss <out, cot>, and its gradients in the parameters' own arrays; out may be NULL. */
static double run(struct network *net, const struct feed *f, unsigned flags, int threads,
                  bool gradients, float *out)
{
    struct network_input in = {0};
    struct graph *g = NULL;
    struct tensor *y;
    float *values = malloc(sizeof f->cot);
    double loss = 0;

    assert_non_null(values);
    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    in.x = graph_input(g, SHAPE(N, SIDE, SIDE, CHANNELS), f->x);
    in.t = graph_input(g, SHAPE(N), f->t);
    if (net->io.n_labels)
        in.y = graph_input_i32(g, SHAPE(N), f->y);
    if (net->io.context_width) {
        in.context = graph_input(g, SHAPE(N, LENGTH, WORD), f->context);
        in.context_mask = graph_input_i32(g, SHAPE(N, LENGTH), f->mask);
    }
    if (f->trains)
        in.drop = graph_input_i32(g, SHAPE(N, DROP_WORDS), f->drop);
    y = network_forward(g, net, in);
    graph_keep(g, y);
    if (gradients)
        graph_backward(g, op_sum(g, op_mul(g, y, graph_input(g, y->shape, f->cot))));
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, values);
    for (size_t i = 0; i < COUNT(f->cot); i++)
        loss += (double)values[i] * (double)f->cot[i];
    if (out)
        memcpy(out, values, sizeof f->cot);
    graph_free(g);
    free(values);
    return loss;
}

static double loss_of(struct network *net, bool gradients, void *user)
{
    return run(net, user, 0, 2, gradients, NULL);
}

static void test_gradients(void **state)
{
    struct feed *f = malloc(sizeof *f);

    (void)state;
    assert_non_null(f);
    for (size_t i = 0; i < COUNT(tiny); i++) {
        struct network *net = network_must("unet", tiny[i].settings, true);

        feed_draw(f, i);
        network_fill(net, i);
        for (uint64_t seed = 0; seed < 3; seed++)
            check_slope(tiny[i].name, net, loss_of, f, seed, 1e-3, 4e-3);
        network_free(net);
    }
    free(f);
}

/* Values are left out in training alone: without names for the samples the network is the one that
 * was built without dropout, with them it is another for other samples. */
static void test_dropout(void **state)
{
    static const char *const styles[] = {"style=adm", "style=ddpmpp", "style=edm2"};
    struct feed *f = malloc(sizeof *f);
    float *out = malloc(4 * sizeof f->cot);

    (void)state;
    assert_true(f && out);
    feed_draw(f, 5);
    for (int i = 0; i < 3; i++) {
        const char *plain[] = {TINY, styles[i], "head_channels=4", NULL};
        const char *drops[] = {TINY, styles[i], "head_channels=4", "dropout=0.4", NULL};
        struct network *net[2] = {network_must("unet", plain, true),
                                  network_must("unet", drops, true)};
        size_t n = COUNT(f->cot);

        for (int k = 0; k < 2; k++) {
            network_fill(net[k], 5);
            f->trains = false;
            run(net[k], f, 0, 2, false, out + (size_t)k * n);
        }
        f->trains = true;
        run(net[0], f, 0, 2, false, out + 2 * n);
        assert_memory_equal(out, out + n, sizeof f->cot);
        assert_memory_equal(out, out + 2 * n, sizeof f->cot);
        run(net[1], f, 0, 2, false, out + 2 * n);
        f->drop[2] += N;
        run(net[1], f, 0, 2, false, out + 3 * n);
        f->drop[2] -= N;
        assert_memory_not_equal(out + 2 * n, out, sizeof f->cot);
        assert_memory_not_equal(out + 2 * n, out + 3 * n, sizeof f->cot / N);
        assert_memory_equal(out + 2 * n + n / N, out + 3 * n + n / N, sizeof f->cot / N);
        for (int k = 0; k < 2; k++)
            network_free(net[k]);
    }
    free(out);
    free(f);
}

static void test_bits(void **state)
{
    static const struct {
        unsigned flags;
        int threads;
    } ways[] = {{0, 1}, {0, 2}, {0, 3}, {GRAPH_EAGER, 2}, {GRAPH_CHECKPOINT, 2}};
    struct feed *f = malloc(sizeof *f);

    (void)state;
    assert_non_null(f);
    for (size_t i = 0; i < COUNT(tiny); i++) {
        struct network *net = network_must("unet", tiny[i].settings, true);
        size_t bytes = (size_t)params_n_trained(net->params) * sizeof(float);
        float *grads = malloc(bytes), *out = malloc(2 * sizeof f->cot);

        assert_true(grads && out);
        feed_draw(f, i);
        network_fill(net, i);
        for (size_t w = 0; w < COUNT(ways); w++) {
            float *here = w ? out + COUNT(f->cot) : out;

            run(net, f, ways[w].flags, ways[w].threads, true, here);
            if (!w)
                memcpy(grads, params_grads(net->params), bytes);
            if (memcmp(out, here, sizeof f->cot) != 0 ||
                memcmp(grads, params_grads(net->params), bytes) != 0)
                fail_msg("%s: way %d of running has other bits", tiny[i].name, (int)w);
        }
        free(grads);
        free(out);
        network_free(net);
    }
    free(f);
}

/* --- EDM2 begins with unit magnitudes
 * -------------------------------------------------------------
 */

struct watch {
    struct graph *graph;
    struct {
        char name[64];
        struct tensor *value;
    } at[64];
    int n;
};

static void look(const char *name, struct tensor *value, void *user)
{
    struct watch *w = user;

    assert_true(w->n < (int)COUNT(w->at));
    graph_keep(w->graph, value);
    snprintf(w->at[w->n].name, sizeof w->at[w->n].name, "%s", name);
    w->at[w->n++].value = value;
}

static double magnitude(struct graph *g, const struct tensor *t)
{
    int64_t n = shape_count(t->shape);
    float *v = malloc((size_t)n * sizeof *v);
    double sum = 0;

    assert_non_null(v);
    graph_read(g, t, v);
    for (int64_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    free(v);
    return sqrt(sum / (double)n);
}

/* Every step hands on values of about unit magnitude, whatever the depth; the output is zero. */
static void test_magnitudes(void **state)
{
    static const char *const settings[] = {"style=edm2",       "size=16",   "width=32",
                                           "mult=1,2,2",       "blocks=3",  "attention=2,4",
                                           "head_channels=16", "classes=5", NULL};
    struct network *net = network_must("unet", settings, true);
    struct watch w = {0};
    struct network_input in = {0};
    struct tensor *out;
    static float x[4 * 16 * 16 * 3];
    const float t[4] = {-1, -0.2f, 0.3f, 1};
    const int32_t y[4] = {0, 2, 5, 1};
    struct rng r = rng_stream(9, RNG_TEST, 4);

    (void)state;
    params_init(net->params, 21);
    rng_normals(&r, x, COUNT(x));
    assert_int_equal(graph_new(&w.graph, 0, 2, NULL), OK);
    in = (struct network_input){.x = graph_input(w.graph, SHAPE(4, 16, 16, 3), x),
                                .t = graph_input(w.graph, SHAPE(4), t),
                                .y = graph_input_i32(w.graph, SHAPE(4), y)};
    net->tap = look;
    net->tap_user = &w;
    out = network_forward(w.graph, net, in);
    graph_keep(w.graph, out);
    assert_int_equal(graph_run(w.graph, NULL), OK);
    assert_int_equal(w.n, 1 + 12 + 2 + 14); /* time, encoder, middle, decoder */
    for (int i = 0; i < w.n; i++) {
        double m = magnitude(w.graph, w.at[i].value);

        if (m < 0.8 || m > 1.2)
            fail_msg("%s has magnitude %.3f", w.at[i].name, m);
    }
    assert_true(magnitude(w.graph, out) <= 0);
    graph_free(w.graph);
    network_free(net);
}

/* --- refusals
 * ------------------------------------------------------------------------------------- */

static const struct {
    const char *says; /* the option that the sentence begins with */
    const char *settings[SETTINGS];
} refused[] = {
    {"unet.size", {"size=33", NULL}},
    {"unet.size", {"size=36", "mult=1,1,1,1", "style=edm2", NULL}},
    {"unet.width", {"width=33", NULL}},
    {"unet.width", {"width=2", "style=ddpmpp", NULL}},
    {"unet.mult", {"mult=1,1,1,1,1,1,1,1,1", "size=512", NULL}},
    {"unet.mult", {"width=48", NULL}},
    {"unet.mult", {"width=132", "mult=1,1", "style=ddpmpp", NULL}},
    {"unet.heads", {"heads=3", NULL}},
    {"unet.heads", {"head_channels=24", "style=edm2", NULL}},
    {"unet.residual_resample", {"residual_resample=false", "style=edm2", NULL}},
    {"unet.residual_resample", {"residual_resample=false", "style=ddpmpp", NULL}},
    {"unet.context_width", {"context_width=64", "style=edm2", NULL}},
    {"unet.context_width", {"context_width=64", "style=ddpmpp", NULL}},
    {"unet.label_token", {"label_token=true", "classes=4", NULL}},
    {"unet.label_token", {"label_token=true", "context_width=64", NULL}},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct error err = {0};
        struct network *net;

        assert_int_equal(network_of(&net, "unet", refused[i].settings, false, &err), E_ARG);
        assert_null(net);
        if (strncmp(err.text, refused[i].says, strlen(refused[i].says)) != 0)
            fail_msg("row %d: '%s' is not about %s", (int)i, err.text, refused[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_sizes), cmocka_unit_test(test_public_names),
        cmocka_unit_test(test_gradients),    cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_bits),         cmocka_unit_test(test_magnitudes),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
