/*
 * test_cnn.c - the small classifier of pictures and clips: sizes, what it sees of motion,
 * gradients, bits, and what is refused
 */
#include "model/cnn.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "ops/cross_entropy.h"
#include "support/networks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 3, FRAMES = 5, SIDE = 8, CLASSES = 4, FEATURES = 16, CLIP = FRAMES * SIDE * SIDE * 3 };

static const char *const of_clips[] = {"size=8",   "classes=4", "width=8",  "mult=1,2",
                                       "blocks=1", "groups=2",  "frames=5", NULL};
static const char *const of_pictures[] = {"size=8",   "classes=4", "width=8", "mult=1,2",
                                          "blocks=1", "groups=2",  NULL};

static float clips[N * CLIP];

static struct network *must_build(const char *const *settings)
{
    struct rng r = rng_stream(1, RNG_TEST, 0);
    struct error err = {0};
    struct network *net;

    if (network_of(&net, "cnn", settings, true, &err))
        fail_msg("%s", err.text);
    network_fill(net, 1);
    for (int i = 0; i < N * CLIP; i++)
        clips[i] = (float)rng_normal(&r) / 2;
    return net;
}

static void run(const struct network *net, const float *x, int64_t n, unsigned mode, int threads,
                float *features, float *logits)
{
    struct graph *g;
    struct tensor *f, *y;

    assert_int_equal(graph_new(&g, mode, threads, NULL), OK);
    y = cnn_forward(g, net, graph_input(g, network_shape(net, n, 3), x), &f);
    graph_keep(g, y);
    graph_keep(g, f);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, f, features);
    graph_read(g, y, logits);
    graph_free(g);
}

/* A picture's network is as it was before there were clips: the same parameters. */
static void names(void **state)
{
    struct network *c = must_build(of_clips), *p = must_build(of_pictures);

    (void)state;
    assert_true(c->io.frames == FRAMES && p->io.frames == 0);
    assert_int_equal(params_count(c->params), params_count(p->params) + 4);
    assert_non_null(params_find(c->params, "stages.1.0.time.weight"));
    assert_null(params_find(p->params, "stages.1.0.time.weight"));
    network_free(c);
    network_free(p);
}

/* Rows are their own, on any number of threads, eager and planned; and a clip that is played
 * backwards is another one, which the mean of its frames' features could not tell. */
static void bits_and_motion(void **state)
{
    static float want[N * FEATURES], got[N * FEATURES], y[N * CLASSES], z[N * CLASSES];
    static float back[CLIP];
    struct network *net = must_build(of_clips);
    double apart = 0;

    (void)state;
    run(net, clips, N, 0, 1, want, y);
    run(net, clips, N, GRAPH_EAGER, 3, got, z);
    assert_memory_equal(want, got, sizeof want);
    assert_memory_equal(y, z, sizeof y);
    run(net, clips + 2 * CLIP, 1, GRAPH_FROZEN, 2, got, z);
    assert_memory_equal(want + 2 * FEATURES, got, FEATURES * sizeof *got);
    for (int t = 0; t < FRAMES; t++)
        memcpy(back + t * (CLIP / FRAMES), clips + (FRAMES - 1 - t) * (CLIP / FRAMES),
               CLIP / FRAMES * sizeof *back);
    run(net, back, 1, 0, 1, got, z);
    for (int i = 0; i < FEATURES; i++)
        apart = fmax(apart, fabs((double)(got[i] - want[i])));
    assert_true(apart > 1e-3);
    network_free(net);
}

static double loss(struct network *net, bool gradients, void *user)
{
    static const int32_t labels[N] = {0, 3, 1};
    struct graph *g;
    struct tensor *y;
    float value;

    (void)user;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    y = cnn_forward(g, net, graph_input(g, network_shape(net, N, 3), clips), NULL);
    y = op_sum(g, op_cross_entropy(g, y, graph_input_i32(g, SHAPE(N), labels)));
    graph_keep(g, y);
    if (gradients)
        graph_backward(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, &value);
    graph_free(g);
    return (double)value;
}

static void gradients(void **state)
{
    struct network *net = must_build(of_clips);

    (void)state;
    check_slope("cnn of clips", net, loss, NULL, 5, 1e-3, 4e-3);
    network_free(net);
}

static void refused(void **state)
{
    json_t *config = json_pack("{s:i, s:i, s:i}", "size", 8, "classes", 4, "frames", 1025);
    struct error err = {0};
    struct network *net;

    (void)state;
    assert_int_not_equal(network_declare_json(&net, &network_cnn, config, &err), OK);
    assert_non_null(strstr(err.text, "frames"));
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(bits_and_motion),
        cmocka_unit_test(gradients),
        cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
