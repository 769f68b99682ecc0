/*
 * test_adversary.c - two losses balanced on one tape, against the straightforward way, and a
 * discriminator that learns
 *
 * A decoder of two convolutions stands in for a real one.  The straightforward way takes a backward
 * for each gradient, the ratio on the host, and a third backward of the weighted sum.
 */
#include "train/adversary.h"

#include "base/rng.h"
#include "model/patchgan.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "support/check_op.h"
#include "train/adamw.h"
#include "train/reconstruction.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4, SIDE = 16, CHANNELS = 3, WIDTH = 6, LENGTH = N * SIDE * SIDE * CHANNELS };
enum { FIRST = WIDTH * 9 * CHANNELS, LAST = CHANNELS * 9 * WIDTH };

static const struct conv_geometry same = {1, 1, 1, 1, 1};

/* --- the losses ------------------------------------------------------------------------------ */

static struct tensor *build_hinge(struct graph *g, struct tensor *const in[CHECK_INS],
                                  const struct check_case *c)
{
    return c->arg[0].i ? hinge_generator(g, in[1]) : hinge_discriminator(g, in[0], in[1]);
}

static void ref_hinge(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t n = shape_count(c->in[0].shape);

    out[0] = 0;
    for (int64_t i = 0; i < n; i++)
        out[0] += (c->arg[0].i ? -in[1][i] : (fmax(0, 1 - in[0][i]) + fmax(0, 1 + in[1][i])) / 2) /
                  (double)n;
}

static void test_hinge(void **state)
{
    struct check_case c = {
        .name = "hinge",
        .in = {{.shape = SHAPE(3, 4, 5, 1), .std = 2}, {.shape = SHAPE(3, 4, 5, 1), .std = 2}},
        .out = SHAPE(1),
        .build = build_hinge,
        .ref = ref_hinge};

    (void)state;
    check_op(&c);
    c.arg[0].i = 1;
    c.in[0].fixed = true;
    check_op(&c);
}

static void test_numbers(void **state)
{
    struct adversary how = {.weight = 0.5, .limit = 1e4, .start = 50001};
    struct error err = {0};

    (void)state;
    assert_int_equal(adversary_check(&how, &err), OK);
    assert_false(adversary_begun(&how, 50000));
    assert_true(adversary_begun(&how, 50001));
    how.weight = 0;
    assert_int_equal(adversary_check(&how, &err), E_ARG);
    how.weight = nan("");
    assert_int_equal(adversary_check(&how, &err), E_ARG);
    how = (struct adversary){.weight = 0.5, .limit = 1e4, .start = -1};
    assert_int_equal(adversary_check(&how, &err), E_ARG);
    assert_non_null(strstr(err.text, "step -1"));
}

/* --- the balance ----------------------------------------------------------------------------- */

struct bench {
    struct patchgan *d;
    float x[LENGTH], real[LENGTH], first[FIRST], last[LAST], dfirst[FIRST], dlast[LAST];
};

static struct bench *bench_new(void)
{
    const struct patchgan_config config = {CHANNELS, 8, 2};
    struct bench *b = calloc(1, sizeof *b);
    struct rng r = rng_stream(5, RNG_TEST, 0);

    assert_non_null(b);
    assert_int_equal(patchgan_new(&b->d, &config, NULL), OK);
    params_init(patchgan_params(b->d), 3);
    rng_normals(&r, b->x, LENGTH);
    rng_normals(&r, b->real, LENGTH);
    rng_normals(&r, b->first, FIRST);
    rng_normals(&r, b->last, LAST);
    for (int i = 0; i < LAST; i++)
        b->last[i] *= 0.1f;
    return b;
}

static void bench_free(struct bench *b)
{
    patchgan_free(b->d);
    free(b);
}

/* The decoder's result, its last weight, and the pictures. */
struct record {
    struct tensor *y, *last, *real;
};

static struct record record_decoder(struct graph *g, struct bench *b)
{
    const struct shape shape = SHAPE(N, SIDE, SIDE, CHANNELS);
    struct tensor *first =
        graph_param(g, SHAPE(WIDTH, 3, 3, CHANNELS), b->first, b->dfirst, "first");
    struct record r;

    r.last = graph_param(g, SHAPE(CHANNELS, 3, 3, WIDTH), b->last, b->dlast, "last");
    r.real = graph_input(g, shape, b->real);
    r.y = op_conv2d(g, graph_input(g, shape, b->x), first, NULL, same);
    r.y = op_conv2d(g, op_silu(g, r.y), r.last, NULL, same);
    return r;
}

/* Backward of nll_weight nll + gan_weight gan. */
static void plain_backward(struct bench *b, double nll_weight, double gan_weight)
{
    struct graph *g;
    struct record r;
    struct tensor *nll, *gan;

    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    r = record_decoder(g, b);
    nll = pixel_loss(g, r.real, r.y, PIXELS_L1);
    gan = hinge_generator(g, patchgan_forward(g, b->d, r.y, NULL));
    graph_backward(g, op_mix(g, nll, gan, nll_weight, gan_weight));
    assert_int_equal(graph_run(g, NULL), OK);
    graph_free(g);
}

static double length_of(const float *v, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    return sqrt(sum);
}

/* The whole step on one tape; returns the ratio. */
static float joined_step(struct bench *b, const struct adversary *how, unsigned flags, int threads,
                         int level)
{
    struct tensor *shown, *nll, *real, *fake, *decoder, *ratio;
    struct graph *g;
    struct record r;
    float value;

    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    graph_set_recompute(g, level);
    r = record_decoder(g, b);
    shown = adversary_show(g, r.y);
    nll = pixel_loss(g, r.real, shown, PIXELS_L1);
    real = patchgan_forward(g, b->d, r.real, NULL);
    fake = patchgan_forward(g, b->d, shown, NULL);
    decoder = adversary_join(g, how, r.y, shown, r.last, nll, hinge_generator(g, fake), &ratio);
    graph_keep(g, ratio);
    graph_backward(g, op_add(g, decoder, hinge_discriminator(g, real, fake)));
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, ratio, &value);
    graph_free(g);
    return value;
}

/* The discriminator's own step, of the decoder's result as given pictures. */
static void plain_discriminator(struct bench *b)
{
    struct tensor *shown, *real;
    struct graph *g;
    struct record r;

    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    r = record_decoder(g, b);
    shown = op_detach(g, r.y);
    real = patchgan_forward(g, b->d, r.real, NULL);
    graph_backward(g, hinge_discriminator(g, real, patchgan_forward(g, b->d, shown, NULL)));
    assert_int_equal(graph_run(g, NULL), OK);
    graph_free(g);
}

static void must_agree(const char *what, const float *got, const float *want, int64_t n)
{
    double most = 0, off = 0;

    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)want[i]));
        off = fmax(off, fabs((double)got[i] - (double)want[i]));
    }
    if (!(off < 2e-5 * most) || most < 1e-6)
        fail_msg("%s: off by %g, of %g", what, off, most);
}

static void test_join(void **state)
{
    static const struct adversary how = {.weight = 0.8, .limit = 1e4};
    struct bench *b = bench_new();
    struct params *p = patchgan_params(b->d);
    size_t bytes = (size_t)params_n_trained(p) * sizeof(float);
    float first[FIRST], last[LAST], *judge = malloc(bytes), ratio;
    double nll, gan, want;

    (void)state;
    assert_non_null(judge);
    plain_backward(b, 1, 0x1p-100);
    nll = length_of(b->dlast, LAST);
    plain_backward(b, 0x1p-100, 1);
    gan = length_of(b->dlast, LAST);
    want = nll / (gan + 1e-4);
    plain_backward(b, 1, how.weight * want);
    memcpy(first, b->dfirst, sizeof first);
    memcpy(last, b->dlast, sizeof last);
    plain_discriminator(b);
    memcpy(judge, params_grads(p), bytes);

    ratio = joined_step(b, &how, 0, 2, RECOMPUTE_NOTHING);
    assert_true(fabs((double)ratio - want) < 1e-5 * want);
    must_agree("gradient of the last layer", b->dlast, last, LAST);
    must_agree("gradient of the first layer", b->dfirst, first, FIRST);
    /* Neither loss reaches the other's parameters. */
    assert_memory_equal(params_grads(p), judge, bytes);
    free(judge);
    bench_free(b);
}

static void test_equal_bits(void **state)
{
    static const struct adversary how = {.weight = 0.5, .limit = 1e4};
    struct bench *b = bench_new();
    struct params *p = patchgan_params(b->d);
    size_t bytes = (size_t)params_n_trained(p) * sizeof(float);
    float first[FIRST], last[LAST], *judge = malloc(bytes), ratio;

    (void)state;
    assert_non_null(judge);
    ratio = joined_step(b, &how, 0, 1, RECOMPUTE_NOTHING);
    memcpy(first, b->dfirst, sizeof first);
    memcpy(last, b->dlast, sizeof last);
    memcpy(judge, params_grads(p), bytes);
    for (int way = 0; way < 5; way++) {
        float again = joined_step(b, &how, way < 2 ? GRAPH_EAGER : 0, 1 + way % 3,
                                  way == 3   ? RECOMPUTE_CHEAP
                                  : way == 4 ? RECOMPUTE_ALL
                                             : RECOMPUTE_NOTHING);

        assert_memory_equal(&ratio, &again, sizeof ratio);
        assert_memory_equal(first, b->dfirst, sizeof first);
        assert_memory_equal(last, b->dlast, sizeof last);
        assert_memory_equal(judge, params_grads(p), bytes);
    }
    free(judge);
    bench_free(b);
}

/* The ratio stays below its limit, and a discriminator that says nothing does not make it more. */
static void test_limits(void **state)
{
    static const struct adversary tight = {.weight = 0.5, .limit = 0.25};
    static const struct adversary wide = {.weight = 0.5, .limit = 1e9};
    struct bench *b = bench_new();
    struct param *judge = params_find(patchgan_params(b->d), "main.8.weight");
    double nll;

    (void)state;
    assert_true(joined_step(b, &tight, 0, 2, RECOMPUTE_NOTHING) == 0.25f);
    plain_backward(b, 1, 0x1p-100);
    nll = length_of(b->dlast, LAST);
    memset(judge->value, 0, (size_t)shape_count(judge->shape) * sizeof(float));
    assert_true(fabs((double)joined_step(b, &wide, 0, 2, RECOMPUTE_NOTHING) - nll / 1e-4) <
                1e-4 * nll / 1e-4);
    bench_free(b);
}

/* --- learning ----------------------------------------------------------------------------------
 */

/* Pictures of one kind are waves along x, of the other along y: equal in every mean. */
static void draw(float *out, bool along_x, uint64_t batch)
{
    struct rng r = rng_stream(2, RNG_TEST, batch);

    for (int n = 0; n < N; n++) {
        double phase = 6 * rng_uniform(&r);

        for (int i = 0; i < SIDE * SIDE * CHANNELS; i++) {
            int x = i / CHANNELS % SIDE, y = i / CHANNELS / SIDE;

            out[n * SIDE * SIDE * CHANNELS + i] = (float)sin((along_x ? x : y) + phase);
        }
    }
}

struct moments {
    float *m, *v, *average;
};

static double train_step(struct patchgan *d, struct graph *g, struct moments *o, int step)
{
    static float real[LENGTH], fake[LENGTH];
    const struct shape shape = SHAPE(N, SIDE, SIDE, CHANNELS);
    const struct adamw how = {
        .lr = 2e-3, .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-8, .step = step + 1};
    struct params *p = patchgan_params(d);
    struct patchgan_seen seen[2];
    struct tensor *a, *b, *loss;
    float value;

    draw(real, true, 2 * (uint64_t)step);
    draw(fake, false, 2 * (uint64_t)step + 1);
    graph_reset(g);
    a = patchgan_forward(g, d, graph_input(g, shape, real), &seen[0]);
    b = patchgan_forward(g, d, graph_input(g, shape, fake), &seen[1]);
    loss = hinge_discriminator(g, a, b);
    graph_keep(g, loss);
    graph_backward(g, loss);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &value);
    patchgan_update(d, g, &seen[0]);
    patchgan_update(d, g, &seen[1]);
    adamw_step(params_values(p), o->m, o->v, o->average, params_grads(p), params_n_trained(p), 0,
               &how);
    return (double)value;
}

static void test_learning(void **state)
{
    const struct patchgan_config config = {CHANNELS, 8, 2};
    struct patchgan *d;
    struct params *p;
    struct moments o;
    struct graph *g;
    double first, last = 0;
    size_t n;

    (void)state;
    assert_int_equal(patchgan_new(&d, &config, NULL), OK);
    p = patchgan_params(d);
    params_init(p, 1);
    n = (size_t)params_n_trained(p);
    o = (struct moments){calloc(n, 4), calloc(n, 4), calloc(n, 4)};
    assert_true(o.m && o.v && o.average);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    first = train_step(d, g, &o, 0);
    assert_true(first > 0.7);
    for (int step = 1; step < 40; step++)
        last = train_step(d, g, &o, step);
    if (!(last < 0.2))
        fail_msg("the hinge loss went from %g to %g", first, last);
    free(o.m);
    free(o.v);
    free(o.average);
    graph_free(g);
    patchgan_free(d);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hinge),  cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_join),   cmocka_unit_test(test_equal_bits),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_learning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
