/*
 * test_autoencode_video.c - the loss of an autoencoder of videos against one written plainly
 *
 * Videos of a number of frames that halving does not divide: what decoding gives beyond them is
 * nowhere in the loss.
 */
#include "train/autoencode.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "support/models.h"
#include "support/networks.h"
#include "support/temp.h"
#include "train/outlier.h"
#include "train/perceptual.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 2, T = 3, SIDE = 16, CHANNELS = 3, LENGTH = T * SIDE * SIDE * CHANNELS };
enum { LATENT = 4, LATENTS = 2 * 8 * 8 * LATENT };
static const uint64_t SEED = 17, FIRST = 40;
static const double KL = 0.01, OUTLIERS = 3, PERCEPTUAL = 0.5;

static const char *const form[] = {
    "size=16",  "channels=3", "latent_channels=4", "width=4",        "mult=1,2", "blocks=1",
    "groups=2", "frames=3",   "halvings=1",        "log_variance=0", NULL};
static const char cnn[] =
    "\"model\":{\"network\":\"cnn\"},\"path\":{},\"sample\":{},\"cnn\":{\"size\":16,"
    "\"channels\":3,\"classes\":5,\"width\":4,\"mult\":[1.0,2.0],\"blocks\":1,\"groups\":2}";

static char folder[TEMP_PATH], features[TEMP_PATH];

struct bench {
    struct autoencoder_options o;
    struct network *net;
    struct autoencode *a;
    float videos[N * LENGTH], noise[N * LATENTS];
};

static void bench_init(struct bench *b, double adversary)
{
    struct autoencode_setting s = {.options = &b->o, .rows = N, .accumulate = 1, .seed = SEED};
    struct option_group group = {"", autoencoder_option_rows, &b->o, NULL};
    struct option_set set = {&group, 1};
    struct rng r = rng_stream(3, RNG_TEST, 0);
    struct error err = {0};

    memset(b, 0, sizeof *b);
    assert_int_equal(options_default(&set, NULL), OK);
    b->o.kl = KL;
    b->o.outliers = OUTLIERS;
    b->o.perceptual = PERCEPTUAL;
    b->o.features = features;
    b->o.opponent.how.weight = adversary;
    b->o.opponent.width = 4;
    b->o.opponent.layers = 1;
    assert_int_equal(network_of(&b->net, "video_vae", form, true, &err), OK);
    network_fill(b->net, 2);
    s.net = b->net;
    if (autoencode_new(&b->a, &s, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < N * LENGTH; i++)
        b->videos[i] = (float)(2 * rng_uniform(&r) - 1);
    for (int i = 0; i < CHANNELS; i++) /* a spot that the latent will show */
        b->videos[i + (8 * SIDE + 5) * CHANNELS] = 20;
    for (int i = 0; i < N; i++) {
        r = rng_stream_at(SEED, RNG_LATENT, FIRST + (uint64_t)i, 0);
        rng_normals(&r, b->noise + i * LATENTS, LATENTS);
    }
}

static void bench_free(struct bench *b)
{
    autoencode_free(b->a);
    network_free(b->net);
}

/* The loss as training tells it, with its gradients in the parameters. */
static double told(struct network *net, bool gradients, void *user)
{
    struct bench *b = user;
    struct graph *g = NULL;
    struct tensor *loss;
    float value;

    (void)net, (void)gradients;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    autoencode_draw(b->a, FIRST);
    autoencode_begin(b->a, 0);
    loss = autoencode_record(b->a, g, b->videos);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &value);
    graph_free(g);
    return (double)value;
}

static double plain(struct bench *b)
{
    struct perceptual *eyes = NULL;
    struct tensor *x, *y, *z, *code, *part[3];
    struct graph *g = NULL;
    double sum = 0;
    static float again[N * LENGTH];
    float kl[N], far, seen[N * T];

    assert_int_equal(perceptual_open(&eyes, features, NULL, NULL), OK);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    x = graph_input(g, SHAPE(N, T, SIDE, SIDE, CHANNELS), b->videos);
    code = autoencoder_encode(g, b->net, x);
    z = posterior_sample(g, code, graph_input(g, SHAPE(N, 2, 8, 8, LATENT), b->noise));
    y = autoencoder_cut(g, autoencoder_decode(g, b->net, z), T);
    part[0] = posterior_kl(g, code);
    part[1] = outlier_loss(g, posterior_mean(g, code), 3);
    part[2] = perceptual_distance(g, eyes, op_reshape(g, x, SHAPE(N * T, SIDE, SIDE, CHANNELS)),
                                  op_reshape(g, y, SHAPE(N * T, SIDE, SIDE, CHANNELS)));
    graph_keep(g, y);
    for (int k = 0; k < 3; k++)
        graph_keep(g, part[k]);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, again);
    graph_read(g, part[0], kl);
    graph_read(g, part[1], &far);
    graph_read(g, part[2], seen);
    graph_free(g);
    perceptual_free(eyes);
    for (int i = 0; i < N * LENGTH; i++)
        sum += fabs((double)b->videos[i] - (double)again[i]) / (N * LENGTH);
    for (int i = 0; i < N; i++)
        sum += KL * (double)kl[i] / (N * LENGTH);
    for (int i = 0; i < N * T; i++)
        sum += PERCEPTUAL * (double)seen[i] / (N * T);
    assert_true(far > 0);
    return sum + OUTLIERS * (double)far;
}

static void test_loss(void **state)
{
    struct bench *b = malloc(sizeof *b);
    double got, want;

    (void)state;
    assert_non_null(b);
    bench_init(b, 0);
    got = told(NULL, true, b);
    want = plain(b);
    if (!(fabs(got - want) <= 1e-5 * want))
        fail_msg("a loss of %.8g is told, it is %.8g", got, want);
    check_slope("an autoencoder of videos", b->net, told, b, 5, 1e-3, 8e-3);
    bench_free(b);
    free(b);
}

/* An opponent looks at frames; what is told is still the autoencoder's own. */
static void test_opponent(void **state)
{
    struct bench *b = malloc(sizeof *b);
    double want;

    (void)state;
    assert_non_null(b);
    bench_init(b, 0.5);
    want = plain(b);
    assert_true(fabs(told(NULL, true, b) - want) <= 1e-5 * want);
    for (int64_t i = 0; i < params_n_trained(b->net->params); i++)
        assert_true(isfinite(params_grads(b->net->params)[i]));
    bench_free(b);
    free(b);
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(folder);
    model_save_random(temp_path(features, folder, "cnn.safetensors"), cnn, 5);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_opponent),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
