/*
 * test_autoencode_loss.c - the whole loss of an autoencoder's training against one written plainly
 *
 * The plain one has the opponent's share as a constant, the noise as numbers made on the host, and
 * nothing cut off: its value must be the one that is told, and its slopes the recorded gradients.
 */
#include "train/autoencode.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "support/models.h"
#include "support/networks.h"
#include "support/temp.h"
#include "train/perceptual.h"
#include "train/reconstruction.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 3, SIDE = 16, CHANNELS = 3, LENGTH = SIDE * SIDE * CHANNELS };
enum { LATENT = 4, LATENTS = 8 * 8 * LATENT };
static const uint64_t SEED = 17, FIRST = 40;

static const char cnn[] =
    "\"model\":{\"network\":\"cnn\"},\"path\":{},\"sample\":{},\"cnn\":{\"size\":16,"
    "\"channels\":3,\"classes\":5,\"width\":4,\"mult\":[1.0,2.0],\"blocks\":1,\"groups\":2}";

struct bench {
    struct network *net;
    struct autoencode *a;
    struct perceptual *eyes; /* or NULL */
    struct patchgan *d;      /* equal to the opponent's, or NULL */
    struct autoencoder_options o;
    float pictures[N * LENGTH], noise[N * LATENTS], rough[N * LATENTS];
    double scale; /* log scale of the errors */
    double ratio; /* of the opponent         */
    double told;
};

static const char *const gaussian[] = {"size=16",  "channels=3", "latent_channels=4", "width=4",
                                       "mult=1,2", "blocks=1",   "groups=2",          NULL};

static struct companion *companion_of(struct bench *b, const char *name)
{
    struct companion *l[AUTOENCODE_COMPANIONS];

    for (int n = autoencode_companions(b->a, l), k = 0; k < n; k++)
        if (!strcmp(l[k]->name, name))
            return l[k];
    return NULL;
}

static void bench_init(struct bench *b, const struct autoencoder_options *o, const char *folder)
{
    const struct patchgan_config config = {CHANNELS, o->opponent.width, o->opponent.layers};
    struct rng r = rng_stream(3, RNG_TEST, 0);
    struct autoencode_setting s = {&b->o, NULL, N, 1, SEED};
    struct companion *l;
    struct error err = {0};
    char path[TEMP_PATH];

    memset(b, 0, sizeof *b);
    b->o = *o;
    if (folder) {
        model_save_random(temp_path(path, folder, "cnn.safetensors"), cnn, 5);
        b->o.features = path;
        assert_int_equal(perceptual_open(&b->eyes, path, NULL, NULL), OK);
    }
    assert_int_equal(network_of(&b->net, "vae", gaussian, true, &err), OK);
    network_fill(b->net, 2);
    s.net = b->net;
    if (autoencode_new(&b->a, &s, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < N * LENGTH; i++)
        b->pictures[i] = (float)(2 * rng_uniform(&r) - 1);
    if ((l = companion_of(b, "scale"))) {
        b->scale = 0.3;
        *params_at(l->params, 0)->value = (float)b->scale;
    }
    if ((l = companion_of(b, "discriminator"))) {
        assert_int_equal(patchgan_new(&b->d, &config, NULL), OK);
        memcpy(params_values(patchgan_params(b->d)), params_values(l->params),
               (size_t)params_n_values(l->params) * sizeof(float));
    }
    b->o.features = NULL; /* it was read */
}

static void bench_free(struct bench *b)
{
    autoencode_free(b->a);
    perceptual_free(b->eyes);
    patchgan_free(b->d);
    network_free(b->net);
}

/* The noise of the recorded loss, drawn as its header says; the decoder's in numbers. */
static void draw_noise(struct bench *b)
{
    static float z[N * LATENTS];
    struct tensor *latents;
    struct graph *g;

    for (int i = 0; i < N; i++) {
        struct rng r = rng_stream_at(SEED, RNG_LATENT, FIRST + (uint64_t)i, 0);

        rng_normals(&r, b->noise + i * LATENTS, LATENTS);
        r = rng_stream_at(SEED, RNG_LATENT, FIRST + (uint64_t)i, 1);
        rng_normals(&r, b->rough + i * LATENTS, LATENTS);
    }
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    latents =
        autoencoder_encode(g, b->net, graph_input(g, SHAPE(N, SIDE, SIDE, CHANNELS), b->pictures));
    latents = posterior_sample(g, latents, graph_input(g, SHAPE(N, 8, 8, LATENT), b->noise));
    graph_keep(g, latents);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, latents, z);
    graph_free(g);
    for (int c = 0; c < LATENT; c++) {
        double sum = 0, square = 0, n = N * LATENTS / LATENT, deviation;

        for (int i = c; i < N * LATENTS; i += LATENT) {
            sum += (double)z[i] / n;
            square += (double)z[i] * (double)z[i] / n;
        }
        deviation = sqrt(square - sum * sum);
        for (int i = c; i < N * LATENTS; i += LATENT)
            b->rough[i] *= (float)(b->o.noise * deviation);
    }
}

/* Returns y, and in *code what it was decoded from. */
static struct tensor *plain_decode(struct bench *b, struct graph *g, struct tensor *x,
                                   struct tensor **code)
{
    const struct shape shape = SHAPE(N, 8, 8, LATENT);
    struct tensor *z;

    *code = autoencoder_encode(g, b->net, x);
    z = posterior_sample(g, *code, graph_input(g, shape, b->noise));
    return autoencoder_decode(g, b->net, op_add(g, z, graph_input(g, shape, b->rough)));
}

/* The loss over the numbers of a picture, with the opponent's part or without. */
static double plain_loss(struct bench *b, bool opposed)
{
    struct tensor *x, *y, *code, *errors, *kl, *gan = NULL;
    float of_errors, of_kl, of_gan = 0;
    struct graph *g;

    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    x = graph_input(g, SHAPE(N, SIDE, SIDE, CHANNELS), b->pictures);
    y = plain_decode(b, g, x, &code);
    errors = pixel_loss(g, x, y, (enum pixel_distance)b->o.pixels);
    if (b->eyes)
        errors = perceptual_loss(g, errors, perceptual_distance(g, b->eyes, x, y), b->o.perceptual,
                                 LENGTH);
    kl = batch_mean(g, posterior_kl(g, code));
    graph_keep(g, errors);
    graph_keep(g, kl);
    if (opposed)
        graph_keep(g, gan = hinge_generator(g, patchgan_forward(g, b->d, y, NULL)));
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, errors, &of_errors);
    graph_read(g, kl, &of_kl);
    if (opposed)
        graph_read(g, gan, &of_gan);
    graph_free(g);
    return ((double)of_errors * exp(-b->scale) + LENGTH * b->scale + b->o.kl * (double)of_kl +
            b->o.opponent.how.weight * b->ratio * (double)of_gan) /
           LENGTH;
}

/* Gradients into the network's own, what is told and the opponent's ratio into the bench. */
static void record_loss(struct bench *b)
{
    struct tensor *told;
    struct graph *g;
    float value;

    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    autoencode_begin(b->a, 0);
    autoencode_draw(b->a, FIRST);
    told = autoencode_record(b->a, g, b->pictures);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, told, &value);
    autoencode_ran(b->a, g, 0, 1);
    graph_free(g);
    b->told = (double)value;
    b->ratio = autoencode_said(b->a).ratio;
}

static double either_loss(struct network *net, bool gradients, void *user)
{
    struct bench *b = user;

    (void)net;
    if (gradients) {
        record_loss(b);
        return b->told;
    }
    return plain_loss(b, b->d != NULL);
}

static void check(const char *name, const struct autoencoder_options *o, bool looks)
{
    char folder[TEMP_PATH];
    struct bench b;
    double want;

    temp_dir_new(folder);
    bench_init(&b, o, looks ? folder : NULL);
    draw_noise(&b);
    record_loss(&b);
    assert_true(b.d ? b.ratio > 0 : b.ratio == 0);
    want = plain_loss(&b, false);
    if (fabs(b.told - want) > 1e-5 * fabs(want))
        fail_msg("%s: told %g, and it is %g", name, b.told, want);
    check_slope(name, b.net, either_loss, &b, 9, 6e-5, 1e-2);
    bench_free(&b);
    temp_dir_remove(folder);
}

static void test_plain(void **state)
{
    const struct autoencoder_options o = {.pixels = PIXELS_L2, .kl = 0.1};

    (void)state;
    check("squares and divergence", &o, false);
}

static void test_all(void **state)
{
    const struct autoencoder_options o = {
        .pixels = PIXELS_L2,
        .kl = 0.01,
        .noise = 0.3,
        .perceptual = 0.5,
        .log_scale = true,
        .opponent = {.how = {.weight = 0.7, .limit = 1e4}, .width = 4, .layers = 2, .rate = 1},
    };

    (void)state;
    check("all", &o, true);
}

/* The scale's gradient: d/ds of errors exp(-s) + n s, over n, whoever else is in the game. */
static void test_scale(void **state)
{
    const struct autoencoder_options o = {
        .pixels = PIXELS_L1,
        .log_scale = true,
        .opponent = {.how = {.weight = 0.7, .limit = 1e4}, .width = 4, .layers = 2, .rate = 1},
    };
    double errors, want;
    struct bench b;

    (void)state;
    bench_init(&b, &o, NULL);
    draw_noise(&b);
    record_loss(&b);
    b.ratio = 0;
    errors = (plain_loss(&b, false) - b.scale) * exp(b.scale);
    want = 1 - errors * exp(-b.scale);
    assert_true(fabs((double)*params_at(companion_of(&b, "scale")->params, 0)->grad - want) <
                1e-5 * fabs(want));
    bench_free(&b);
}

/* Until it begins there is no opponent, and nothing of it moves. */
static void test_start(void **state)
{
    const struct autoencoder_options o = {
        .pixels = PIXELS_L1,
        .opponent = {.how = {.weight = 0.7, .limit = 1e4, .start = 5},
                     .width = 4,
                     .layers = 2,
                     .rate = 1},
    };
    const struct adamw a = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .step = 5};
    struct bench b;
    struct params *p;
    size_t bytes;
    float *before;

    (void)state;
    bench_init(&b, &o, NULL);
    p = companion_of(&b, "discriminator")->params;
    bytes = (size_t)params_n_values(p) * sizeof(float);
    before = malloc(bytes);
    assert_non_null(before);
    memcpy(before, params_values(p), bytes);
    record_loss(&b);
    assert_true(autoencode_measure(b.a));
    autoencode_step(b.a, &a);
    assert_false(autoencode_said(b.a).is);
    assert_memory_equal(before, params_values(p), bytes);
    free(before);
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
