/*
 * test_byte_reader.c - a text read by its bytes, against the formulas in double, and what the
 * blocks of a picture's transformer are given of it
 */
#include "model/byte_text.h"

#include "base/rng.h"
#include "support/networks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 3, L = 12, D = 8, HEADS = 2, DEPTH = 2, HIDDEN = 4 * D };
enum { SIDE = 8, PIXELS = SIDE * SIDE * 3 };

static const char *const texts[ROWS] = {"red", "", "a blue star"};

/* --- a reader -----------------------------------------------------------------------------------
 */

static void reader_new(struct byte_text *b, struct params **p, int64_t kernel)
{
    const struct byte_text_config c = {L, D, DEPTH, HEADS, kernel};
    struct rng r = rng_stream(7, RNG_TEST, 0);

    *b = (struct byte_text){0};
    assert_int_equal(params_new(p, NULL), OK);
    byte_text_declare(b, &c, scope_root(*p));
    assert_int_equal(params_alloc(*p, false, NULL), OK);
    params_init(*p, 1);
    for (int64_t i = 0; i < params_count(*p); i++) {
        struct param *one = params_at(*p, i);

        for (int64_t k = 0; k < shape_count(one->shape); k++)
            one->own[k] += (float)(0.2 * rng_normal(&r));
    }
}

struct states {
    float each[ROWS][L][D], whole[ROWS][D];
};

static void read_texts(struct states *out, const struct byte_text *b, const int32_t *ids)
{
    struct tensor *each, *whole;
    struct graph *g;

    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    each = byte_text_forward(g, b, graph_input_i32(g, SHAPE(ROWS, L), ids), &whole);
    graph_keep(g, each);
    graph_keep(g, whole);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, each, out->each[0][0]);
    graph_read(g, whole, out->whole[0]);
    graph_free(g);
}

static void fill_ids(int32_t ids[ROWS][L])
{
    for (int i = 0; i < ROWS; i++)
        byte_text_read(ids[i], L, texts[i]);
}

/* --- the same in double -------------------------------------------------------------------------
 */

/* Of block i; -1: of none. */
static const float *value(struct params *p, int i, const char *name)
{
    char full[64];
    struct param *one;

    if (i >= 0)
        snprintf(full, sizeof full, "blocks.%d.%s", i, name);
    else
        snprintf(full, sizeof full, "%s", name);
    one = params_find(p, full);
    if (!one)
        fail_msg("no parameter '%s'", full);
    return one->own;
}

/* y [out] = W x + b; W [out, in]. */
static void linear(double *y, int out, const double *x, int in, const float *w, const float *b)
{
    for (int o = 0; o < out; o++) {
        y[o] = (double)b[o];
        for (int k = 0; k < in; k++)
            y[o] += (double)w[o * in + k] * x[k];
    }
}

static void norm(double y[D], const double x[D], const float *scale, const float *shift)
{
    double mean = 0, var = 0;

    for (int k = 0; k < D; k++)
        mean += x[k] / D;
    for (int k = 0; k < D; k++)
        var += (x[k] - mean) * (x[k] - mean) / D;
    for (int k = 0; k < D; k++)
        y[k] = (x[k] - mean) / sqrt(var + DIT_EPS) * (double)scale[k] + (double)shift[k];
}

/* Added: what the kernel sees of `kernel` places around each. */
static void look_near(double x[L][D], struct params *p, int i, int kernel)
{
    const float *w = value(p, i, "conv.weight"), *b = value(p, i, "conv.bias");
    double h[L][D];

    for (int l = 0; l < L; l++)
        norm(h[l], x[l], value(p, i, "norm0.weight"), value(p, i, "norm0.bias"));
    for (int l = 0; l < L; l++)
        for (int o = 0; o < D; o++) {
            x[l][o] += (double)b[o];
            for (int j = 0; j < kernel; j++)
                for (int k = 0, at = l + j - kernel / 2; k < D && at >= 0 && at < L; k++)
                    x[l][o] += (double)w[(o * kernel + j) * D + k] * h[at][k];
        }
}

/* y [D]: what place l takes from the places whose number is not 0. */
static void attend(double y[D], double qkv[L][3 * D], int l, const int32_t ids[L])
{
    enum { OF_HEAD = D / HEADS };

    memset(y, 0, D * sizeof *y);
    for (int h = 0; h < HEADS; h++) {
        double e[L], sum = 0;

        for (int m = 0; m < L; m++) {
            double dot = 0;

            for (int k = h * OF_HEAD; k < (h + 1) * OF_HEAD; k++)
                dot += qkv[l][k] * qkv[m][D + k];
            e[m] = ids[m] ? exp(dot / sqrt(OF_HEAD)) : 0;
            sum += e[m];
        }
        for (int m = 0; m < L; m++)
            for (int k = h * OF_HEAD; k < (h + 1) * OF_HEAD; k++)
                y[k] += e[m] / sum * qkv[m][2 * D + k];
    }
}

static double gelu(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static void block(double x[L][D], struct params *p, int i, const int32_t ids[L])
{
    double h[D], qkv[L][3 * D], wide[HIDDEN], y[D];

    for (int l = 0; l < L; l++) {
        norm(h, x[l], value(p, i, "norm1.weight"), value(p, i, "norm1.bias"));
        linear(qkv[l], 3 * D, h, D, value(p, i, "attn.qkv.weight"), value(p, i, "attn.qkv.bias"));
    }
    for (int l = 0; l < L; l++) {
        attend(h, qkv, l, ids);
        linear(y, D, h, D, value(p, i, "attn.proj.weight"), value(p, i, "attn.proj.bias"));
        for (int k = 0; k < D; k++)
            x[l][k] += y[k];
        norm(h, x[l], value(p, i, "norm2.weight"), value(p, i, "norm2.bias"));
        linear(wide, HIDDEN, h, D, value(p, i, "mlp.fc1.weight"), value(p, i, "mlp.fc1.bias"));
        for (int k = 0; k < HIDDEN; k++)
            wide[k] = gelu(wide[k]);
        linear(y, D, wide, HIDDEN, value(p, i, "mlp.fc2.weight"), value(p, i, "mlp.fc2.bias"));
        for (int k = 0; k < D; k++)
            x[l][k] += y[k];
    }
}

static void by_hand(double x[L][D], struct params *p, const int32_t ids[L], int kernel)
{
    const float *numbers = value(p, -1, "token_embedding.weight");
    const float *places = value(p, -1, "position_embedding");
    double h[D];

    for (int l = 0; l < L; l++)
        for (int k = 0; k < D; k++)
            x[l][k] = (double)numbers[ids[l] * D + k] + (double)places[l * D + k];
    for (int i = 0; i < DEPTH; i++) {
        if (kernel > 1)
            look_near(x, p, i, kernel);
        block(x, p, i, ids);
    }
    for (int l = 0; l < L; l++) {
        norm(h, x[l], value(p, -1, "final_norm.weight"), value(p, -1, "final_norm.bias"));
        memcpy(x[l], h, sizeof h);
    }
}

/* With and without convolutions over the bytes; places behind a text mean nothing. */
static void a_text_is_read_by_the_formulas(void **state)
{
    static const int kernels[] = {1, 3, 5};
    static struct states got;
    int32_t ids[ROWS][L];

    (void)state;
    fill_ids(ids);
    for (int n = 0; n < 3; n++) {
        struct byte_text b;
        struct params *p;
        double want[L][D];

        reader_new(&b, &p, kernels[n]);
        read_texts(&got, &b, ids[0]);
        for (int i = 0; i < ROWS; i++) {
            by_hand(want, p, ids[i], kernels[n]);
            for (int l = 0; l < L; l++)
                for (int k = 0; k < D && ids[i][l]; k++)
                    assert_float_equal(got.each[i][l][k], want[l][k], 2e-5);
            assert_memory_equal(got.whole[i], got.each[i][0], sizeof got.whole[i]);
        }
        params_free(p);
    }
}

/* --- what the blocks are given ------------------------------------------------------------------
 */

/* The network's prediction; context [ROWS, tokens, width], counts [ROWS, tokens] and pooled: NULL
 * where it reads ids itself. */
static void predict(float out[ROWS][PIXELS], struct network *net, const int32_t *ids,
                    const float *context, const int32_t *counts, const float *pooled,
                    int64_t tokens)
{
    static float x[ROWS * PIXELS];
    const float t[ROWS] = {100, 400, 700};
    struct rng r = rng_stream(4, RNG_TEST, 0);
    struct network_input in = {0};
    struct tensor *y;
    struct graph *g;

    rng_normals(&r, x, ROWS * PIXELS);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    in.x = graph_input(g, SHAPE(ROWS, SIDE, SIDE, 3), x);
    in.t = graph_input(g, SHAPE(ROWS), t);
    if (context) {
        in.context = graph_input(g, SHAPE(ROWS, tokens, net->io.context_width), context);
        in.context_mask = graph_input_i32(g, SHAPE(ROWS, tokens), counts);
        in.pooled = graph_input(g, SHAPE(ROWS, D), pooled);
    } else {
        in.text = graph_input_i32(g, SHAPE(ROWS, L), ids);
    }
    y = network_forward(g, net, in);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, out[0]);
    graph_free(g);
}

/* Of each parameter of `to` the values under `prefix` in `from`. */
static void copy_values(struct params *to, struct params *from, const char *prefix)
{
    for (int64_t i = 0; i < params_count(to); i++) {
        struct param *one = params_at(to, i);
        char name[128];
        const struct param *theirs;

        snprintf(name, sizeof name, "%s%s", prefix, one->name);
        theirs = params_find(from, name);
        assert_non_null(theirs);
        memcpy(one->own, theirs->own, (size_t)shape_count(one->shape) * sizeof *one->own);
    }
}

/* text_group = n: n neighbouring states side by side are a token, and it counts where the first of
 * its bytes is one of the text: as if another network had been given just that. */
static void groups_are_tokens(void **state)
{
    static const int groups[] = {1, 2, 3, 12};
    static float got[ROWS][PIXELS], want[ROWS][PIXELS];
    static struct states s;
    int32_t ids[ROWS][L], counts[ROWS * L];

    (void)state;
    fill_ids(ids);
    for (int n = 0; n < 4; n++) {
        int size = groups[n], tokens = L / size;
        char group[32], width[32];
        const char *const reads[] = {
            "size=8",       "patch=2",      "width=16",     "depth=2", "heads=2", "text_length=12",
            "text_width=8", "text_depth=2", "text_heads=2", group,     NULL};
        const char *const given[] = {"size=8",  "patch=2", "width=16",       "depth=2",
                                     "heads=2", width,     "pooled_width=8", NULL};
        struct network *net, *other;
        struct byte_text b;
        struct params *p;

        snprintf(group, sizeof group, "text_group=%d", size);
        snprintf(width, sizeof width, "context_width=%d", size * D);
        net = network_must("mmdit", reads, true);
        other = network_must("mmdit", given, true);
        network_fill(net, 3);
        copy_values(other->params, net->params, "");
        reader_new(&b, &p, 1);
        copy_values(p, net->params, "text_encoder.");
        read_texts(&s, &b, ids[0]);
        for (int i = 0; i < ROWS; i++)
            for (int k = 0; k < tokens; k++)
                counts[i * tokens + k] = ids[i][k * size] != 0;
        predict(got, net, ids[0], NULL, NULL, NULL, 0);
        /* States of one text lie one behind the other: n of them are a token as they are. */
        predict(want, other, NULL, s.each[0][0], counts, s.whole[0], tokens);
        for (int i = 0; i < ROWS; i++)
            for (int k = 0; k < PIXELS; k++)
                assert_float_equal(got[i][k], want[i][k], 1e-5);
        params_free(p);
        network_free(other);
        network_free(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_read_by_the_formulas),
        cmocka_unit_test(groups_are_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
