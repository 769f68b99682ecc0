/*
 * test_movie.c - the video transformer: sizes, the formulas of its paper in double, what it may not
 * see, growth, gradients, bits, and what is refused
 */
#include "model/movie.h"

#include "base/rng.h"
#include "model/byte_text.h"
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

/* --- sizes --------------------------------------------------------------------------------------
 */

#define PUBLISHED                                                                 \
    "width=6144", "depth=48", "heads=48", "size=96", "frames=32", "positions=64", \
        "contexts=4096,1280,1472", "lengths=300,256,100"

/* In millions, as movie-gen.md 3.7 and 1 count them; no memory is asked for. */
static const struct {
    double millions, within;
    const char *settings[16];
} sizes[] = {
    {29300, 0.003, {PUBLISHED, NULL}},
    {39950, 0.005, {PUBLISHED, "shared=false", NULL}},
    {4900, 0.01, {"width=3072", "depth=32", "heads=24", "contexts=4096", "size=96", NULL}},
    {930, 0.01, {"width=1536", "depth=24", "heads=16", "contexts=1024", "size=96", NULL}},
    {9.1, 0.02, {"width=256", "depth=8", "heads=4", "channels=8", "contexts=96", NULL}},
    {1.5, 0.02, {"width=128", "depth=5", "heads=4", "channels=8", "contexts=96", NULL}},
};

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct network *net = network_must("movie", sizes[i].settings, false);
        double millions = 1e-6 * (double)params_weights(net->params);

        if (fabs(millions / sizes[i].millions - 1) > sizes[i].within)
            fail_msg("%g million weights, should be %g", millions, sizes[i].millions);
        network_free(net);
    }
}

/* --- a tiny network -----------------------------------------------------------------------------
 */

enum { N = 2, T = 3, HIGH = 4, WIDE = 6, C = 2, WORDS = 5, FEATURES = 7, KNOWN = 3, POOLED = 4 };
enum { CLIP = T * HIGH * WIDE * C, MOST = N * CLIP, TEXT = 12 };

#define TINY \
    "size=4", "channels=2", "frames=3", "width=16", "heads=2", "depth=2", "positions=4", "times=5"

struct inputs {
    float x[MOST], t[N], context[N * WORDS * FEATURES], known[N * T * HIGH * WIDE * KNOWN];
    float pooled[N * POOLED];
    int32_t mask[N * WORDS], text[N * TEXT];
};

static void inputs_draw(struct inputs *in)
{
    struct rng r = rng_stream(3, RNG_TEST, 0);

    rng_normals(&r, in->x, MOST);
    rng_normals(&r, in->context, COUNT(in->context));
    rng_normals(&r, in->known, COUNT(in->known));
    rng_normals(&r, in->pooled, COUNT(in->pooled));
    for (int i = 0; i < N * WORDS; i++)
        in->mask[i] = i % WORDS != 2;
    for (int n = 0; n < N; n++) {
        in->t[n] = 300 * (float)(n + 1);
        byte_text_read(in->text + n * TEXT, TEXT, n ? "FPS-8 dot" : "a");
    }
}

/* Samples first .. first + n - 1, of T frames or fewer, in the network's own form. */
struct asked {
    int64_t first, n, frames;
    const bool *skip;
    unsigned flags;
    int threads;
    bool gradients;
};

static struct network_input record_inputs(struct graph *g, const struct network *net,
                                          const struct inputs *in, const struct asked *how)
{
    const struct movie_config *c = net->config;
    int64_t n = how->n, at = how->first, F = how->frames;
    struct network_input out = {.skip = how->skip};

    out.x = graph_input(g, SHAPE(n, F, HIGH, WIDE, C), in->x + at * CLIP);
    out.t = graph_input(g, SHAPE(n), in->t + at);
    if (c->text_length) {
        out.text = graph_input_i32(g, SHAPE(n, TEXT), in->text + at * TEXT);
    } else {
        out.context =
            graph_input(g, SHAPE(n, WORDS, FEATURES), in->context + at * WORDS * FEATURES);
        out.context_mask = graph_input_i32(g, SHAPE(n, WORDS), in->mask + at * WORDS);
    }
    if (c->pooled_width)
        out.pooled = graph_input(g, SHAPE(n, POOLED), in->pooled + at * POOLED);
    if (c->condition_channels)
        out.condition = graph_input(g, SHAPE(n, F, HIGH, WIDE, KNOWN),
                                    in->known + at * T * HIGH * WIDE * KNOWN);
    return out;
}

/* The prediction; returns the sum of its squares. */
static double predict(float *out, const struct network *net, const struct inputs *in,
                      struct asked how)
{
    struct tensor *y, *loss;
    struct error err = {0};
    struct graph *g = NULL;
    float value;

    how.n = how.n ? how.n : N;
    how.frames = how.frames ? how.frames : T;
    assert_int_equal(graph_new(&g, how.flags, how.threads ? how.threads : 2, NULL), OK);
    y = network_forward(g, net, record_inputs(g, net, in, &how));
    assert_true(shape_equal(y->shape, SHAPE(how.n, how.frames, HIGH, WIDE, C)));
    loss = op_sum(g, op_mul(g, y, y));
    graph_keep(g, y);
    graph_keep(g, loss);
    if (how.gradients)
        graph_backward(g, loss);
    if (graph_run(g, &err))
        fail_msg("%s", err.text);
    if (out)
        graph_read(g, y, out);
    graph_read(g, loss, &value);
    graph_free(g);
    return (double)value;
}

static const struct inputs *inputs(void)
{
    static struct inputs in;

    inputs_draw(&in);
    return &in;
}

/* --- the formulas, in double --------------------------------------------------------------------
 */

enum { D = 16, HEADS = 2, HIDDEN = 24, DEPTH = 2, PATCH = 2 };
enum { ACROSS = WIDE / PATCH, CELLS = HIGH / PATCH * ACROSS, TOKENS = T * CELLS };

static const float *weight(const struct network *net, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static const float *weight(const struct network *net, const char *fmt, ...)
{
    const struct param *p;
    char name[80];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    p = params_find(net->params, name);
    if (!p)
        fail_msg("there is no %s", name);
    return p->value;
}

/* out [rows, O] = x [rows, I] w [O, I]^T + b */
static void layer(double *out, const double *x, int rows, int I, int O, const float *w,
                  const float *b)
{
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < O; o++) {
            out[r * O + o] = b ? (double)b[o] : 0;
            for (int i = 0; i < I; i++)
                out[r * O + o] += x[r * I + i] * (double)w[o * I + i];
        }
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static void rms_norm(double *out, const double *x, int rows, const float *w)
{
    for (int r = 0; r < rows; r++) {
        double square = 0;

        for (int d = 0; d < D; d++)
            square += x[r * D + d] * x[r * D + d] / D;
        for (int d = 0; d < D; d++)
            out[r * D + d] = x[r * D + d] / sqrt(square + 1e-5) * (double)w[d];
    }
}

static void layer_norm(double *x, int rows, const float *w, const float *b)
{
    for (int r = 0; r < rows; r++) {
        double mean = 0, square = 0;

        for (int d = 0; d < D; d++)
            mean += x[r * D + d] / D;
        for (int d = 0; d < D; d++)
            square += pow(x[r * D + d] - mean, 2) / D;
        for (int d = 0; d < D; d++)
            x[r * D + d] =
                (x[r * D + d] - mean) / sqrt(square + 1e-5) * (double)w[d] + (double)b[d];
    }
}

/* q [rows, D]; keys and values `stride` apart in kv, values D behind keys. */
static void attention(double *out, const double *q, int q_stride, int rows, const double *kv,
                      int stride, int keys, const int32_t *mask)
{
    int d = D / HEADS;

    for (int h = 0; h < HEADS; h++)
        for (int r = 0; r < rows; r++) {
            double total = 0, sum[D] = {0};

            for (int k = 0; k < keys; k++) {
                double score = 0;

                for (int i = 0; i < d; i++)
                    score += q[r * q_stride + h * d + i] * kv[k * stride + h * d + i];
                score = mask && !mask[k] ? 0 : exp(score / sqrt(d));
                total += score;
                for (int i = 0; i < d; i++)
                    sum[i] += score * kv[k * stride + D + h * d + i];
            }
            for (int i = 0; i < d; i++)
                out[r * D + h * d + i] = sum[i] / total;
        }
}

/* norm(x) (1 + scale) + shift */
static void modulated(double *out, const double *x, const float *w, const double *shift,
                      const double *scale)
{
    rms_norm(out, x, TOKENS, w);
    for (int i = 0; i < TOKENS * D; i++)
        out[i] = out[i] * (1 + scale[i % D]) + shift[i % D];
}

static void add(double *x, const double *h, const double *gate)
{
    for (int i = 0; i < TOKENS * D; i++)
        x[i] += (gate ? gate[i % D] : 1) * h[i];
}

static void reference_block(double *x, const struct network *net, int i, const double *e,
                            const double *text, const int32_t *mask)
{
    static double h[TOKENS * D], wide[TOKENS * 3 * D], found[TOKENS * D], up[TOKENS * 2 * HIDDEN];
    const float *table = weight(net, "blocks.%d.scale_shift_table", i);
    double part[6 * D];

    for (int k = 0; k < 6 * D; k++)
        part[k] = e[k] + (double)table[k];
    for (int k = 0; k < TOKENS; k++)
        for (int d = 0; d < D; d++)
            x[k * D + d] += (double)weight(net, "pos_embed.times")[k / CELLS * D + d] +
                            (double)weight(net, "pos_embed.rows")[k % CELLS / ACROSS * D + d] +
                            (double)weight(net, "pos_embed.columns")[k % ACROSS * D + d];
    modulated(h, x, weight(net, "blocks.%d.norm1.weight", i), part, part + D);
    layer(wide, h, TOKENS, D, 3 * D, weight(net, "blocks.%d.attn.qkv.weight", i), NULL);
    attention(found, wide, 3 * D, TOKENS, wide + D, 3 * D, TOKENS, NULL);
    layer(h, found, TOKENS, D, D, weight(net, "blocks.%d.attn.proj.weight", i), NULL);
    add(x, h, part + 2 * D);

    rms_norm(h, x, TOKENS, weight(net, "blocks.%d.norm_cross.weight", i));
    layer(found, h, TOKENS, D, D, weight(net, "blocks.%d.cross_attn.q_linear.weight", i), NULL);
    layer(wide, text, WORDS, D, 2 * D, weight(net, "blocks.%d.cross_attn.kv_linear.weight", i),
          NULL);
    attention(h, found, D, TOKENS, wide, 2 * D, WORDS, mask);
    layer(found, h, TOKENS, D, D, weight(net, "blocks.%d.cross_attn.proj.weight", i), NULL);
    add(x, found, NULL);

    modulated(h, x, weight(net, "blocks.%d.norm2.weight", i), part + 3 * D, part + 4 * D);
    layer(up, h, TOKENS, D, 2 * HIDDEN, weight(net, "blocks.%d.mlp.w12.weight", i), NULL);
    for (int r = 0; r < TOKENS; r++) {
        double *gate = up + r * 2 * HIDDEN, *value = gate + HIDDEN;

        for (int k = 0; k < HIDDEN; k++)
            value[k] *= silu(gate[k]);
        layer(h + r * D, value, 1, HIDDEN, D, weight(net, "blocks.%d.mlp.w3.weight", i), NULL);
    }
    add(x, h, part + 5 * D);
}

/* The place of channel c of pixel (py, px) of token k in a video. */
static int pixel(int k, int py, int px, int c)
{
    int y = k % CELLS / ACROSS * PATCH + py, x = k % ACROSS * PATCH + px;

    return ((k / CELLS * HIGH + y) * WIDE + x) * C + c;
}

/* Sample n. */
static void reference(double *out, const struct network *net, const struct inputs *in, int n)
{
    enum { F = PATCH * PATCH * C };
    static double patches[TOKENS * F], x[TOKENS * D], h[TOKENS * D], text[WORDS * D];
    double wave[256], c[D], s[D], e[6 * D], last[2 * D], words[WORDS * FEATURES];

    for (int k = 0; k < 128; k++) {
        wave[k] = cos((double)in->t[n] * pow(10000, -k / 128.0));
        wave[128 + k] = sin((double)in->t[n] * pow(10000, -k / 128.0));
    }
    layer(s, wave, 1, 256, D, weight(net, "t_embedder.mlp.0.weight"),
          weight(net, "t_embedder.mlp.0.bias"));
    for (int d = 0; d < D; d++)
        s[d] = silu(s[d]);
    layer(c, s, 1, D, D, weight(net, "t_embedder.mlp.2.weight"),
          weight(net, "t_embedder.mlp.2.bias"));
    for (int d = 0; d < D; d++)
        s[d] = silu(c[d]);
    layer(e, s, 1, D, 6 * D, weight(net, "t_block.1.weight"), weight(net, "t_block.1.bias"));
    for (int i = 0; i < WORDS * FEATURES; i++)
        words[i] = (double)in->context[n * WORDS * FEATURES + i];
    layer(text, words, WORDS, FEATURES, D, weight(net, "context_embedder.0.proj.weight"),
          weight(net, "context_embedder.0.proj.bias"));
    layer_norm(text, WORDS, weight(net, "context_embedder.0.norm.weight"),
               weight(net, "context_embedder.0.norm.bias"));
    for (int k = 0; k < TOKENS; k++)
        for (int f = 0; f < F; f++)
            patches[k * F + f] =
                (double)in->x[n * CLIP + pixel(k, f / C / PATCH, f / C % PATCH, f % C)];
    layer(x, patches, TOKENS, F, D, weight(net, "x_embedder.proj.weight"),
          weight(net, "x_embedder.proj.bias"));
    for (int i = 0; i < DEPTH; i++)
        reference_block(x, net, i, e, text, in->mask + n * WORDS);
    for (int d = 0; d < 2 * D; d++)
        last[d] = c[d % D] + (double)weight(net, "final_layer.scale_shift_table")[d];
    modulated(h, x, weight(net, "final_layer.norm_final.weight"), last, last + D);
    layer(patches, h, TOKENS, D, F, weight(net, "final_layer.linear.weight"),
          weight(net, "final_layer.linear.bias"));
    for (int k = 0; k < TOKENS; k++)
        for (int f = 0; f < F; f++)
            out[pixel(k, f / C / PATCH, f / C % PATCH, f % C)] = patches[k * F + f];
}

static void test_formulas(void **state)
{
    static const char *const form[] = {TINY, "hidden=24", "contexts=7", NULL};
    struct network *net = network_must("movie", form, true);
    static double want[CLIP];
    static float got[MOST];
    double scale = 0;

    (void)state;
    network_fill(net, 3);
    predict(got, net, inputs(), (struct asked){0});
    for (int n = 0; n < N; n++) {
        reference(want, net, inputs(), n);
        for (int i = 0; i < CLIP; i++)
            scale = fmax(scale, fabs(want[i]));
        for (int i = 0; i < CLIP; i++)
            if (!(fabs((double)got[n * CLIP + i] - want[i]) <= 2e-5 * scale))
                fail_msg("sample %d, number %d is %g, should be %g", n, i,
                         (double)got[n * CLIP + i], want[i]);
    }
    network_free(net);
}

/* --- the beginning ------------------------------------------------------------------------------
 */

/* Zero, so that the first loss is the mean square of the target. */
static void test_first_prediction(void **state)
{
    static const char *const form[] = {TINY, "contexts=7", NULL};
    struct network *net = network_must("movie", form, true);

    (void)state;
    params_init(net->params, 1);
    assert_true(predict(NULL, net, inputs(), (struct asked){0}) == 0);
    network_free(net);
}

/* --- what it sees -------------------------------------------------------------------------------
 */

/* Frames of sample n in the order 2 0 1 ... */
static void turn_frames(float *out, const float *x)
{
    for (int i = 0; i < MOST; i++) {
        int size = CLIP / T, n = i / CLIP, t = i / size % T;

        out[i] = x[n * CLIP + (t + 2) % T * size + i % size];
    }
}

/* It is positions alone that tell one frame from another. */
static void test_permuted_frames(void **state)
{
    static const char *const form[] = {TINY, "contexts=7", NULL};
    struct network *net = network_must("movie", form, true);
    struct param *times = params_find(net->params, "pos_embed.times");
    static float plain[MOST], turned[MOST], want[MOST];
    static struct inputs in;

    (void)state;
    network_fill(net, 3);
    for (int with = 0; with < 2; with++) {
        float worst = 0;

        if (!with)
            memset(times->value, 0, (size_t)shape_count(times->shape) * sizeof(float));
        else
            network_fill(net, 3);
        inputs_draw(&in);
        predict(plain, net, &in, (struct asked){0});
        turn_frames(want, plain);
        turn_frames(in.x, inputs()->x);
        predict(turned, net, &in, (struct asked){0});
        for (int i = 0; i < MOST; i++)
            worst = fmaxf(worst, fabsf(turned[i] - want[i]));
        assert_true(with ? worst > 1e-2F : worst < 1e-4F);
    }
    network_free(net);
}

/* Tokens of the text that a mask takes out may be anything. */
static void test_masked_text(void **state)
{
    static const char *const form[] = {TINY, "contexts=7", NULL};
    struct network *net = network_must("movie", form, true);
    static float y[3][MOST];
    static struct inputs in;

    (void)state;
    network_fill(net, 3);
    inputs_draw(&in);
    predict(y[0], net, &in, (struct asked){0});
    for (int i = 0; i < N * WORDS * FEATURES; i++)
        in.context[i] += in.mask[i / FEATURES] ? 0 : 100;
    predict(y[1], net, &in, (struct asked){0});
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    in.context[0] += 1;
    predict(y[2], net, &in, (struct asked){0});
    assert_memory_not_equal(y[0], y[2], sizeof y[0] / N);
    assert_memory_equal(y[0] + CLIP, y[2] + CLIP, CLIP * sizeof(float));
    network_free(net);
}

/* Of several encoded texts each is read in its own rows and columns: two of 4 features, three of 7.
 */
static void test_several_texts(void **state)
{
    static const char *const form[] = {TINY, "contexts=4,7", "lengths=2,3", NULL};
    struct network *net = network_must("movie", form, true);
    static float before[MOST], after[MOST];
    static struct inputs in;

    (void)state;
    assert_int_equal(net->io.context_width, 7);
    network_fill(net, 3);
    for (int row = 0; row < WORDS; row++)
        for (int f = 0; f < FEATURES; f++) {
            inputs_draw(&in);
            for (int i = 0; i < N * WORDS; i++)
                in.mask[i] = 1;
            predict(before, net, &in, (struct asked){0});
            in.context[row * FEATURES + f] += 1;
            predict(after, net, &in, (struct asked){0});
            assert_int_equal(memcmp(before, after, sizeof before) != 0, row >= 2 || f < 4);
        }
    network_free(net);
}

/* What is known beforehand changes nothing until its weights have learnt. */
static void test_condition(void **state)
{
    static const char *const without[] = {TINY, "contexts=7", NULL};
    static const char *const with[] = {TINY, "contexts=7", "condition_channels=3", "pooled_width=4",
                                       NULL};
    struct network *plain = network_must("movie", without, true),
                   *told = network_must("movie", with, true);
    struct error err = {0};
    static float y[3][MOST];

    (void)state;
    assert_int_equal(told->io.condition_channels, KNOWN);
    network_fill(plain, 3);
    params_init(told->params, 5);
    if (network_begin_as(told, plain, &err))
        fail_msg("%s", err.text);
    predict(y[0], plain, inputs(), (struct asked){0});
    predict(y[1], told, inputs(), (struct asked){0});
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    params_find(told->params, "condition_embedder.proj.weight")->value[0] = 1;
    predict(y[2], told, inputs(), (struct asked){0});
    assert_memory_not_equal(y[0], y[2], sizeof y[0]);
    network_free(plain);
    network_free(told);
}

/* --- sizes of videos ----------------------------------------------------------------------------
 */

static void test_sizes_that_are_taken(void **state)
{
    static const char *const form[] = {TINY, "contexts=7", NULL};
    struct network *net = network_must("movie", form, false);
    struct error err = {0};

    (void)state;
    assert_int_equal(network_check_frames(net, 1, &err), OK);
    assert_int_equal(network_check_frames(net, 5, &err), OK);
    assert_int_equal(network_check_frames(net, 6, &err), E_ARG);
    assert_non_null(strstr(err.text, "6 frames"));
    assert_non_null(strstr(err.text, "1 to 5"));
    assert_int_equal(network_set_frames(net, 0, &err), E_ARG);
    assert_int_equal(network_set_frames(net, 2, &err), OK);
    assert_true(shape_equal(network_shape(net, 3, 7), SHAPE(3, 2, 4, 4, 7)));
    assert_int_equal(network_check_size(net, 4, 8, &err), OK);
    assert_int_equal(network_check_size(net, 4, 10, &err), E_ARG);
    assert_int_equal(network_check_size(net, 3, 4, &err), E_ARG);
    network_free(net);
}

/* A picture, and a video longer than the trained ones. */
static void test_other_lengths(void **state)
{
    static const char *const form[] = {TINY, "contexts=7", NULL};
    struct network *net = network_must("movie", form, true);
    static float y[MOST];

    (void)state;
    network_fill(net, 3);
    for (int64_t frames = 1; frames <= T; frames++)
        assert_true(predict(y, net, inputs(), (struct asked){.n = 1, .frames = frames}) > 0);
    network_free(net);
}

/* --- growth -------------------------------------------------------------------------------------
 */

static void test_growth(void **state)
{
    static const char *const small[] = {TINY, "contexts=7", NULL};
    static const char *const large[] = {TINY, "contexts=7", "positions=8", "times=7", NULL};
    struct network *from = network_must("movie", small, true),
                   *to = network_must("movie", large, true);
    struct error err = {0};
    const float *old, *grown;
    float fresh[D];

    (void)state;
    network_fill(from, 3);
    params_init(to->params, 4);
    memcpy(fresh, weight(to, "pos_embed.times") + 5 * D, sizeof fresh);
    if (network_begin_as(to, from, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(weight(to, "blocks.1.mlp.w3.weight"),
                        weight(from, "blocks.1.mlp.w3.weight"), D * 48 * sizeof(float));
    assert_memory_equal(weight(to, "pos_embed.times"), weight(from, "pos_embed.times"),
                        5 * D * sizeof(float));
    assert_memory_equal(weight(to, "pos_embed.times") + 5 * D, fresh, sizeof fresh);
    old = weight(from, "pos_embed.rows");
    grown = weight(to, "pos_embed.rows");
    for (int d = 0; d < D; d++) {
        assert_true(grown[d] == old[d] && grown[7 * D + d] == old[3 * D + d]);
        for (int b = 0; b < 8; b++) { /* 8 rows over the 3 gaps of 4: three sevenths each */
            int row = b * 3 / 7, next = row < 3 ? row + 1 : row;
            double share = b * 3 / 7.0 - row;
            double want =
                (1 - share) * (double)old[row * D + d] + share * (double)old[next * D + d];

            assert_true(fabs((double)grown[b * D + d] - want) < 1e-6);
        }
    }
    assert_int_equal(network_begin_as(from, to, &err), E_ARG);
    assert_non_null(strstr(err.text, "pos_embed"));
    network_free(from);
    network_free(to);
}

/* --- blocks left out ----------------------------------------------------------------------------
 */

static void test_skipped_block(void **state)
{
    static const char *const two[] = {TINY, "contexts=7", NULL};
    static const char *const one[] = {TINY, "contexts=7", "depth=1", NULL};
    struct network *net = network_must("movie", two, true),
                   *less = network_must("movie", one, true);
    static float all[MOST], want[MOST], got[MOST];
    const bool skip[2] = {false, true};

    (void)state;
    assert_int_equal(net->io.n_skippable, 2);
    network_fill(net, 3);
    for (int64_t i = 0; i < params_count(less->params); i++) {
        const struct param *q = params_at(less->params, i);

        param_read(q->own, params_find(net->params, q->name));
    }
    predict(all, net, inputs(), (struct asked){0});
    predict(want, less, inputs(), (struct asked){0});
    predict(got, net, inputs(), (struct asked){.skip = skip});
    assert_memory_equal(got, want, sizeof want);
    assert_memory_not_equal(all, want, sizeof want);
    network_free(net);
    network_free(less);
}

/* --- gradients and bits -------------------------------------------------------------------------
 */

static const char *const forms[][20] = {
    {TINY, "contexts=7", NULL},
    {TINY, "contexts=4,7", "lengths=2,3", "qk_norm=true", "shared=false", "everywhere=false", NULL},
    {TINY, "text_length=12", "text_width=8", "text_heads=2", "condition_channels=3",
     "pooled_width=4", "hidden=20", NULL},
};

static double loss_of(struct network *net, bool gradients, void *user)
{
    (void)user;
    return predict(NULL, net, inputs(), (struct asked){.gradients = gradients});
}

static void test_slopes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct network *net = network_must("movie", forms[i], true);

        network_fill(net, i);
        for (uint64_t seed = 0; seed < 2; seed++)
            check_slope("movie", net, loss_of, NULL, seed, 1e-3, 4e-3);
        network_free(net);
    }
}

static void test_bits(void **state)
{
    static const struct asked ways[] = {
        {.threads = 1},
        {.threads = 2},
        {.threads = 3},
        {.flags = GRAPH_EAGER},
        {.flags = GRAPH_CHECKPOINT},
    };
    static float y[2][MOST];

    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct network *net = network_must("movie", forms[i], true);
        size_t bytes = (size_t)params_n_trained(net->params) * sizeof(float);
        float *grads = malloc(bytes);

        assert_non_null(grads);
        network_fill(net, i);
        for (size_t w = 0; w < COUNT(ways); w++) {
            struct asked how = ways[w];

            how.gradients = true;
            predict(y[w > 0], net, inputs(), how);
            if (!w)
                memcpy(grads, params_grads(net->params), bytes);
            if ((w && memcmp(y[0], y[1], sizeof y[0]) != 0) ||
                memcmp(grads, params_grads(net->params), bytes) != 0)
                fail_msg("form %d: way %d of running has other bits", (int)i, (int)w);
        }
        free(grads);
        network_free(net);
    }
}

static void test_batch(void **state)
{
    static float all[MOST], one[CLIP];

    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct network *net = network_must("movie", forms[i], true);

        network_fill(net, i);
        predict(all, net, inputs(), (struct asked){0});
        for (int n = 0; n < N; n++) {
            predict(one, net, inputs(), (struct asked){.first = n, .n = 1});
            assert_memory_equal(one, all + n * CLIP, sizeof one);
        }
        network_free(net);
    }
}

/* --- refused ------------------------------------------------------------------------------------
 */

static void test_refused_settings(void **state)
{
    static const char *const bad[][20] = {
        {TINY, NULL},
        {TINY, "contexts=7", "text_length=8", NULL},
        {TINY, "contexts=4,7", NULL},
        {TINY, "contexts=7", "lengths=2", NULL},
        {TINY, "contexts=4,7,3,2", "lengths=1,1,1,1", NULL},
        {TINY, "text_length=1", NULL},
        {TINY, "text_length=8", "text_width=9", NULL},
        {TINY, "contexts=7", "heads=3", NULL},
        {TINY, "contexts=7", "patch=3", NULL},
        {TINY, "contexts=7", "positions=1", NULL},
        {TINY, "contexts=7", "times=2", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = {0};
        struct network *net;

        assert_int_equal(network_of(&net, "movie", bad[i], false, &err), E_ARG);
        assert_null(net);
        assert_non_null(strstr(err.text, "movie."));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_first_prediction),
        cmocka_unit_test(test_permuted_frames),
        cmocka_unit_test(test_masked_text),
        cmocka_unit_test(test_several_texts),
        cmocka_unit_test(test_condition),
        cmocka_unit_test(test_sizes_that_are_taken),
        cmocka_unit_test(test_other_lengths),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_skipped_block),
        cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_refused_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
