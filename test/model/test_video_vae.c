/*
 * test_video_vae.c - the temporal autoencoder: what it takes from a picture's and does with it
 * before it is trained, lengths, gradients, bits, and what is refused
 */
#include "model/video_vae.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "support/networks.h"
#include "support/says.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- names and sizes ----------------------------------------------------------------------------
 */

/* What sees one frame is the picture's network, by name, shape and number. */
static void test_names(void **state)
{
    static const char *const form[] = {"latent_channels=16", "width=128", NULL};
    struct network *videos = network_must("video_vae", form, false);
    struct network *pictures = network_must("vae", form, false);
    int64_t of_frames = 0;

    (void)state;
    for (int64_t i = 0; i < params_count(videos->params); i++) {
        const struct param *p = params_at(videos->params, i), *q;

        if (strstr(p->name, ".time."))
            continue;
        q = params_find(pictures->params, p->name);
        if (!q || !shape_equal(p->shape, q->shape) || !shape_equal(p->file_shape, q->file_shape))
            fail_msg("%s is not the picture's", p->name);
        of_frames++;
    }
    assert_int_equal(of_frames, params_count(pictures->params));
    assert_int_equal(params_weights(pictures->params), 83819683);
    assert_int_equal(videos->io.frame_factor, 8);
    assert_int_equal(videos->io.factor, 8);
    network_free(videos);
    network_free(pictures);
}

static const struct {
    const char *name;
    struct shape in_files;
} keys[] = {
    {"encoder.conv_in.time.weight", {3, {128, 128, 3}}},
    {"encoder.down.1.block.0.nin_shortcut.time.weight", {3, {256, 256, 1}}},
    {"encoder.down.2.downsample.conv.time.bias", {1, {512}}},
    {"encoder.mid.attn_1.time.qkv.weight", {2, {1536, 512}}},
    {"encoder.mid.attn_1.time.norm.bias", {1, {512}}},
    {"encoder.conv_out.time.weight", {3, {32, 32, 3}}},
    {"decoder.up.1.upsample.conv.time.weight", {3, {256, 256, 3}}},
    {"decoder.conv_out.time.weight", {3, {3, 3, 3}}},
};

static void test_names_along_time(void **state)
{
    static const char *const form[] = {"latent_channels=16", NULL};
    struct network *net = network_must("video_vae", form, false);

    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        const struct param *p = params_find(net->params, keys[i].name);

        if (!p || !shape_equal(p->file_shape, keys[i].in_files))
            fail_msg("%s is missing or has another shape", keys[i].name);
    }
    assert_string_equal(net->kind->last(net)->name, "decoder.conv_out.time.weight");
    network_free(net);
}

/* Latents of 8 and of 4 times fewer frames, rounded up. */
static void test_length_rule(void **state)
{
    static const struct {
        int64_t frames, eighth, quarter;
    } want[] = {{1, 1, 1},  {2, 1, 1},  {5, 1, 2},  {8, 1, 2},   {9, 2, 3},   {13, 2, 4},
                {16, 2, 4}, {17, 3, 5}, {32, 4, 8}, {40, 5, 10}, {64, 8, 16}, {256, 32, 64}};
    static const char *const by8[] = {NULL}, *const by4[] = {"halvings=2", NULL};
    struct network *eight = network_must("video_vae", by8, false);
    struct network *four = network_must("video_vae", by4, false);
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(autoencoder_latent_frames(eight, want[i].frames), want[i].eighth);
        assert_int_equal(autoencoder_latent_frames(four, want[i].frames), want[i].quarter);
        assert_int_equal(network_check_frames(four, want[i].frames, &err), OK);
    }
    assert_int_equal(network_check_frames(four, 0, &err), E_ARG);
    assert_non_null(strstr(err.text, "0 frames"));
    network_free(eight);
    network_free(four);
}

/* --- tiny networks ------------------------------------------------------------------------------
 */

enum { N = 2, T = 5, HIGH = 8, WIDE = 12, CHANNELS = 2, LATENTS = 3 };
enum { FRAME = HIGH * WIDE * CHANNELS, CLIP = T * FRAME, MOST = 8 * N * T * HIGH * WIDE };

#define TINY "size=8", "channels=2", "latent_channels=3", "width=8", "blocks=1", "groups=4"
#define FORM TINY, "mult=1,2,1", "attention=2", "scale=0.5,2,3", "shift=1"

/* Encode and decode, or one of them, in any of the ways there are to run. */
struct asked {
    bool encode, decode;
    unsigned flags;
    int threads;
    bool gradients;
};

/* x of this shape -> the result's numbers; returns the sum of squares. */
static double run(float *out, struct shape *shape, const struct network *net, const float *x,
                  struct shape in, struct asked how)
{
    struct tensor *y, *loss;
    struct error err = {0};
    struct graph *g = NULL;
    float value;

    assert_int_equal(graph_new(&g, how.flags, how.threads ? how.threads : 2, NULL), OK);
    y = graph_input(g, in, x);
    if (how.encode)
        y = autoencoder_encode(g, net, y);
    if (how.encode && how.decode)
        y = autoencoder_latents(g, net, y, NULL);
    if (how.decode)
        y = autoencoder_decode(g, net, y);
    if (how.encode && how.decode && net->io.frames)
        y = autoencoder_cut(g, y, in.dim[1]);
    loss = op_sum(g, op_mul(g, y, y));
    graph_keep(g, y);
    graph_keep(g, loss);
    if (how.gradients)
        graph_backward(g, loss);
    if (graph_run(g, &err))
        fail_msg("%s", err.text);
    if (shape)
        *shape = y->shape;
    assert_true(shape_count(y->shape) <= MOST);
    if (out)
        graph_read(g, y, out);
    graph_read(g, loss, &value);
    graph_free(g);
    return (double)value;
}

static const float *normals(int64_t n)
{
    static float x[MOST];
    struct rng r = rng_stream(5, RNG_TEST, 0);

    rng_normals(&r, x, n);
    return x;
}

static void assert_near(const float *a, const float *b, int64_t n, const char *what)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-5F * (1 + fabsf(b[i]))))
            fail_msg("%s: number %d is %g, should be %g", what, (int)i, (double)a[i], (double)b[i]);
}

/* An autoencoder of pictures with random weights, and the same inflated. */
static void build_both(struct network **pictures, struct network **videos, const char *halvings)
{
    const char *const of_pictures[] = {FORM, NULL}, *const of_videos[] = {FORM, halvings, NULL};
    struct error err = {0};

    *pictures = network_must("vae", of_pictures, true);
    *videos = network_must("video_vae", of_videos, true);
    network_fill(*pictures, 3);
    params_init((*videos)->params, 4);
    assert_int_equal(autoencoder_set(*pictures, "shift", (double[]){0.25}, 1, &err), OK);
    if (video_vae_inflate(*videos, *pictures, &err))
        fail_msg("%s", err.text);
    assert_true((*videos)->io.shift->at[0] == 0.25);
}

/* A picture as a video of one frame, before training: the picture's own code and the picture
 * again. */
static void test_one_frame_is_a_picture(void **state)
{
    static float code[2][MOST], again[2][MOST];
    const float *x = normals(N * FRAME);
    struct network *pictures, *videos;
    struct shape a, b;

    (void)state;
    build_both(&pictures, &videos, "halvings=2");
    run(code[0], &a, pictures, x, SHAPE(N, HIGH, WIDE, CHANNELS), (struct asked){.encode = true});
    run(code[1], &b, videos, x, SHAPE(N, 1, HIGH, WIDE, CHANNELS), (struct asked){.encode = true});
    assert_true(shape_equal(b, SHAPE(N, 1, HIGH / 4, WIDE / 4, 2 * LATENTS)));
    assert_near(code[1], code[0], shape_count(a), "the code");
    run(again[0], &a, pictures, x, SHAPE(N, HIGH, WIDE, CHANNELS),
        (struct asked){.encode = true, .decode = true});
    run(again[1], &b, videos, x, SHAPE(N, 1, HIGH, WIDE, CHANNELS),
        (struct asked){.encode = true, .decode = true});
    assert_true(shape_equal(b, SHAPE(N, 1, HIGH, WIDE, CHANNELS)));
    assert_near(again[1], again[0], shape_count(a), "the picture");
    network_free(pictures);
    network_free(videos);
}

/* Before training each frame goes its own way: of those that halving keeps, the picture's code; and
 * each latent frame becomes a picture as often as time is doubled. */
static void test_frames_apart(void **state)
{
    static const char *const forms[] = {"halvings=0", "halvings=1", "halvings=2"};
    static float code[MOST], want[MOST], video[MOST];
    const float *x = normals(T * FRAME);

    (void)state;
    for (int64_t k = 0; k < 3; k++) {
        struct network *pictures, *videos;
        int64_t times = 1 << k, t = (T + times - 1) / times;
        int64_t latent = HIGH / 4 * WIDE / 4 * LATENTS;
        struct shape s;

        build_both(&pictures, &videos, forms[k]);
        run(want, &s, pictures, x, SHAPE(T, HIGH, WIDE, CHANNELS), (struct asked){.encode = true});
        run(code, &s, videos, x, SHAPE(1, T, HIGH, WIDE, CHANNELS), (struct asked){.encode = true});
        assert_true(shape_equal(s, SHAPE(1, t, HIGH / 4, WIDE / 4, 2 * LATENTS)));
        for (int64_t i = 0; i < t; i++)
            assert_near(code + 2 * latent * i, want + 2 * latent * i * times, 2 * latent, forms[k]);
        run(want, &s, pictures, x, SHAPE(t, HIGH / 4, WIDE / 4, LATENTS),
            (struct asked){.decode = true});
        run(video, &s, videos, x, SHAPE(1, t, HIGH / 4, WIDE / 4, LATENTS),
            (struct asked){.decode = true});
        assert_true(shape_equal(s, SHAPE(1, t * times, HIGH, WIDE, CHANNELS)));
        for (int64_t i = 0; i < t * times; i++)
            assert_near(video + FRAME * i, want + FRAME * (i / times), FRAME, forms[k]);
        network_free(pictures);
        network_free(videos);
    }
}

/* A video that stands still is one after decoding, and the same however long: for any weights. */
static void test_still_video(void **state)
{
    static const char *const form[] = {FORM, "halvings=2", NULL};
    static float x[CLIP], y[2][MOST];
    struct network *net = network_must("video_vae", form, true);

    (void)state;
    network_fill(net, 8);
    for (int t = 0; t < T; t++)
        memcpy(x + t * FRAME, normals(FRAME), FRAME * sizeof *x);
    run(y[0], NULL, net, x, SHAPE(1, T, HIGH, WIDE, CHANNELS),
        (struct asked){.encode = true, .decode = true});
    run(y[1], NULL, net, x, SHAPE(1, 1, HIGH, WIDE, CHANNELS),
        (struct asked){.encode = true, .decode = true});
    for (int t = 0; t < T; t++)
        assert_near(y[0] + t * FRAME, y[1], FRAME, "a frame of a still video");
    network_free(net);
}

/* Frames do look at each other once there is something between them. */
static void test_frames_meet(void **state)
{
    static const char *const form[] = {FORM, "halvings=1", NULL};
    static float x[CLIP], y[2][MOST];
    struct network *net = network_must("video_vae", form, true);
    struct shape s;

    (void)state;
    network_fill(net, 8);
    memcpy(x, normals(CLIP), sizeof x);
    run(y[0], &s, net, x, SHAPE(1, T, HIGH, WIDE, CHANNELS), (struct asked){.encode = true});
    x[0] += 0.5F;
    run(y[1], &s, net, x, SHAPE(1, T, HIGH, WIDE, CHANNELS), (struct asked){.encode = true});
    for (int64_t t = 0; t < s.dim[1]; t++) {
        int64_t size = shape_count(s) / s.dim[1];

        assert_memory_not_equal(y[0] + t * size, y[1] + t * size, (size_t)size * sizeof(float));
    }
    network_free(net);
}

/* --- the posterior at the beginning ------------------------------------------------------------
 */

static void test_log_variance(void **state)
{
    static const char *const form[] = {FORM, "halvings=1", "log_variance=-5", NULL};
    static const char *const bias = "encoder.conv_out.bias";
    struct network *net = network_must("video_vae", form, true);

    (void)state;
    params_init(net->params, 1);
    for (int i = 0; i < 2 * LATENTS; i++)
        assert_true(params_find(net->params, bias)->value[i] == (i < LATENTS ? 0 : -5));
    network_free(net);
}

/* --- gradients and bits -------------------------------------------------------------------------
 */

static const char *const forms[][16] = {
    {FORM, "halvings=2", NULL},
    {TINY, "mult=1,2", "halvings=1", "quant_conv=true", "post_quant_conv=true", "inner_channels=5",
     NULL},
    {TINY, "mult=1,1", "halvings=0", "middle_attention=false", NULL},
};

static double loss_of(struct network *net, bool gradients, void *user)
{
    (void)user;
    return run(NULL, NULL, net, normals(N * CLIP), SHAPE(N, T, HIGH, WIDE, CHANNELS),
               (struct asked){.encode = true, .decode = true, .gradients = gradients});
}

static void test_slopes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct network *net = network_must("video_vae", forms[i], true);

        network_fill(net, i);
        for (uint64_t seed = 0; seed < 2; seed++)
            check_slope("video_vae", net, loss_of, NULL, seed, 1e-3, 4e-3);
        network_free(net);
    }
}

static void test_bits(void **state)
{
    static const struct asked ways[] = {
        {true, true, 0, 1, true},
        {true, true, 0, 2, true},
        {true, true, 0, 3, true},
        {true, true, GRAPH_EAGER, 2, true},
        {true, true, GRAPH_CHECKPOINT, 2, true},
    };
    static float y[2][MOST];

    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct network *net = network_must("video_vae", forms[i], true);
        size_t bytes = (size_t)params_n_trained(net->params) * sizeof(float);
        float *grads = malloc(bytes);

        assert_non_null(grads);
        network_fill(net, i);
        for (size_t w = 0; w < COUNT(ways); w++) {
            run(y[w > 0], NULL, net, normals(N * CLIP), SHAPE(N, T, HIGH, WIDE, CHANNELS), ways[w]);
            if (!w)
                memcpy(grads, params_grads(net->params), bytes);
            if ((w && memcmp(y[0], y[1], N * CLIP * sizeof(float)) != 0) ||
                memcmp(grads, params_grads(net->params), bytes) != 0)
                fail_msg("form %d: way %d of running has other bits", (int)i, (int)w);
        }
        free(grads);
        network_free(net);
    }
}

/* A video has the same bits whatever lies beside it. */
static void test_batch(void **state)
{
    struct network *net = network_must("video_vae", forms[0], true);
    static float all[MOST], one[MOST];

    (void)state;
    network_fill(net, 2);
    run(all, NULL, net, normals(N * CLIP), SHAPE(N, T, HIGH, WIDE, CHANNELS),
        (struct asked){.encode = true, .decode = true});
    for (int n = 0; n < N; n++) {
        run(one, NULL, net, normals(N * CLIP) + n * CLIP, SHAPE(1, T, HIGH, WIDE, CHANNELS),
            (struct asked){.encode = true, .decode = true});
        assert_memory_equal(one, all + n * CLIP, CLIP * sizeof(float));
    }
    network_free(net);
}

/* --- refused ------------------------------------------------------------------------------------
 */

static void test_refused_settings(void **state)
{
    static const char *const bad[][16] = {
        {TINY, "mult=1,1", "halvings=2", NULL},
        {TINY, "mult=1,1", "halvings=1", "groups=3", NULL},
        {TINY, "mult=1,1", "halvings=1", "scale=1,2", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = {0};
        struct network *net;

        assert_int_equal(network_of(&net, "video_vae", bad[i], false, &err), E_ARG);
        assert_null(net);
        assert_non_null(strstr(err.text, "video_vae."));
    }
}

static void test_refused_inflation(void **state)
{
    static const struct {
        const char *kind, *says;
        const char *settings[16];
    } cases[] = {
        {"vae", "none", {FORM, "middle_attention=false", NULL}},
        {"vae", "4", {FORM, "width=4", NULL}},
        {"vae", "parameters", {FORM, "quant_conv=true", NULL}},
        {"tae", "'tae'", {NULL}},
    };
    static const char *const form[] = {FORM, "halvings=2", NULL};
    struct network *net = network_must("video_vae", form, true);

    (void)state;
    params_init(net->params, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct network *image = network_must(cases[i].kind, cases[i].settings, true);
        struct error err = {0};

        assert_int_equal(video_vae_inflate(net, image, &err), E_ARG);
        assert_says(err.text, cases[i].says);
        network_free(image);
    }
    network_free(net);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_along_time),
        cmocka_unit_test(test_length_rule),
        cmocka_unit_test(test_one_frame_is_a_picture),
        cmocka_unit_test(test_frames_apart),
        cmocka_unit_test(test_still_video),
        cmocka_unit_test(test_frames_meet),
        cmocka_unit_test(test_log_variance),
        cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_refused_settings),
        cmocka_unit_test(test_refused_inflation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
