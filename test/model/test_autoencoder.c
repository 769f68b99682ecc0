/*
 * test_autoencoder.c - the posterior, its divergence, the scaling of latents, and codebooks
 */
#include "model/autoencoder.h"

#include "base/rng.h"
#include "support/check_op.h"
#include "support/networks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- the posterior
 * --------------------------------------------------------------------------------
 */

static double log_variance_of(double v)
{
    return fmin(fmax(v, -30), 20);
}

static struct tensor *build_sample(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    (void)c;
    return posterior_sample(g, in[0], in[1]);
}

static void ref_sample(double *out, const double *const in[], const struct check_case *c)
{
    int64_t C = shape_last(c->in[1].shape), rows = shape_rows(c->in[1].shape);

    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < C; k++)
            out[r * C + k] =
                in[0][r * 2 * C + k] +
                exp(0.5 * log_variance_of(in[0][r * 2 * C + C + k])) * in[1][r * C + k];
}

static struct tensor *build_kl(struct graph *g, struct tensor *const in[],
                               const struct check_case *c)
{
    (void)c;
    return posterior_kl(g, in[0]);
}

static void ref_kl(double *out, const double *const in[], const struct check_case *c)
{
    int64_t C = shape_last(c->in[0].shape) / 2, N = c->in[0].shape.dim[0];
    int64_t rows = N ? shape_rows(c->in[0].shape) / N : 0;

    for (int64_t n = 0; n < N; n++) {
        out[n] = 0;
        for (int64_t r = n * rows; r < (n + 1) * rows; r++)
            for (int64_t k = 0; k < C; k++) {
                double mean = in[0][r * 2 * C + k];
                double log_variance = log_variance_of(in[0][r * 2 * C + C + k]);

                out[n] += 0.5 * (mean * mean + exp(log_variance) - 1 - log_variance);
            }
    }
}

static void test_posterior(void **state)
{
#define MOMENTS(what, N, H, W, C)                                                                 \
    {.name = "sample, " what,                                                                     \
     .in = {{.shape = SHAPE(N, H, W, 2 * (C)), .batched = true, .std = 1.5},                      \
            {.shape = SHAPE(N, H, W, C), .batched = true}},                                       \
     .out = SHAPE(N, H, W, C),                                                                    \
     .build = build_sample,                                                                       \
     .ref = ref_sample},                                                                          \
    {                                                                                             \
        .name = "divergence, " what,                                                              \
        .in = {{.shape = SHAPE(N, H, W, 2 * (C)), .batched = true, .std = 1.5}}, .out = SHAPE(N), \
        .build = build_kl, .ref = ref_kl                                                          \
    }
    const struct check_case cases[] = {
        MOMENTS("one", 1, 1, 1, 1),
        MOMENTS("some", 3, 4, 5, 4),
        MOMENTS("none", 0, 4, 5, 4),
        MOMENTS("many", 2, 16, 16, 16),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* Beyond -30 and 20 the log variance is those, and does not move. */
static void test_clamp(void **state)
{
    const float moments[] = {0.5f, -1, 2, -100, 90, 3}, noise[] = {1, 1, 1};
    const double want[] = {0.5 + exp(-15), -1 + exp(10), 2 + exp(1.5)};
    float sample[3], grad[6], kl;
    struct tensor *in, *s, *d;
    struct graph *g = NULL;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    in = graph_input(g, SHAPE(1, 6), moments);
    graph_want_grad(in);
    s = posterior_sample(g, in, graph_input(g, SHAPE(1, 3), noise));
    d = posterior_kl(g, in);
    graph_keep(g, s);
    graph_keep(g, d);
    graph_backward(g, d);
    graph_keep(g, in->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, s, sample);
    graph_read(g, d, &kl);
    graph_read(g, in->grad, grad);
    for (int k = 0; k < 3; k++)
        assert_true(fabs((double)sample[k] - want[k]) <= 1e-6 * fabs(want[k]));
    assert_true(isfinite(kl));
    assert_true(grad[3] == 0 && grad[4] == 0 && fabs((double)grad[5] - 0.5 * (exp(3) - 1)) < 1e-4);
    graph_free(g);
}

/* --- scaling
 * --------------------------------------------------------------------------------------
 */

static void test_scaling(void **state)
{
    static const char *const one[] = {"latent_channels=3", "scale=0.5", "shift=2", NULL};
    static const char *const each[] = {"latent_channels=3", "scale=0.5,1,2", "shift=1,-2,3", NULL};
    const float z[] = {1, 2, 3, -4, 5, 6};
    const float by_one[] = {-0.5f, 0, 0.5f, -3, 1.5f, 2};
    const float by_each[] = {0, 4, 0, -2.5f, 7, 6};
    struct network *net;
    float v[6];

    (void)state;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(network_of(&net, "vae", k ? each : one, false, NULL), OK);
        memcpy(v, z, sizeof v);
        latents_scale(net, v, 2);
        assert_memory_equal(v, k ? by_each : by_one, sizeof v);
        latents_unscale(net, v, 2);
        assert_memory_equal(v, z, sizeof v);
        network_free(net);
    }
}

/* Rows of weights by latent channel, offsets last; a wrong count of them is refused. */
static void test_preview(void **state)
{
    static const char *const good[] = {"latent_channels=2", "channels=3",
                                       "preview=1,2,3,-0.5,0,4,0.25,0,-1", NULL};
    static const char *const bad[] = {"latent_channels=2", "channels=3", "preview=1,2,3", NULL};
    const float z[] = {1, 2, -2, 0.5f}, want[] = {0.25f, 2, 10, -2, -4, -5};
    struct network *net = NULL;
    struct error err;
    float picture[6];

    (void)state;
    assert_int_equal(network_of(&net, "vae", good, false, NULL), OK);
    latents_preview(net, picture, z, 2);
    assert_memory_equal(picture, want, sizeof want);
    network_free(net);
    assert_int_equal(network_of(&net, "vae", bad, false, &err), E_ARG);
    assert_non_null(strstr(err.text, "preview"));
}

/* --- codebooks
 * ------------------------------------------------------------------------------------
 */

/* Both terms are |z - e|^2, so beta shows in the gradients alone: the encoder's is beta times as
 * strong as the code's. */
static void test_quantise(void **state)
{
    const float z[] = {0.25f, 0, 1, 1.5f}, book[] = {9, 9, 0, 0, 1, 1};
    const float code[] = {0, 0, 1, 1};
    const double gap[] = {0.25, 0, 0, 0.5}, beta = 0.25;
    float got[4], dz[4], dbook[6], loss;
    struct tensor *in, *codes;
    struct graph *g = NULL;
    struct quantised q;
    int32_t at[2];

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    in = graph_input(g, SHAPE(1, 1, 2, 2), z);
    codes = graph_input(g, SHAPE(3, 2), book);
    graph_want_grad(in);
    graph_want_grad(codes);
    q = quantise(g, in, codes, beta);
    graph_keep(g, q.codes);
    graph_keep(g, q.numbers);
    graph_keep(g, q.loss);
    graph_backward(g, q.loss);
    graph_keep(g, in->grad);
    graph_keep(g, codes->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, q.codes, got);
    graph_read(g, q.loss, &loss);
    graph_read(g, in->grad, dz);
    graph_read(g, codes->grad, dbook);
    graph_read_i32(g, q.numbers, at);
    assert_memory_equal(got, code, sizeof got);
    assert_true(at[0] == 1 && at[1] == 2);
    assert_true(fabs((double)loss - 1.25 * (0.0625 + 0.25) / 4) < 1e-7);
    for (int k = 0; k < 4; k++) {
        assert_true(fabs((double)dz[k] - beta * 2 * gap[k] / 4) < 1e-7);
        assert_true(fabs((double)dbook[2 + k] + 2 * gap[k] / 4) < 1e-7);
    }
    assert_true(dbook[0] == 0 && dbook[1] == 0);
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posterior), cmocka_unit_test(test_clamp),
        cmocka_unit_test(test_scaling),   cmocka_unit_test(test_preview),
        cmocka_unit_test(test_quantise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
