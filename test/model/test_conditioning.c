/*
 * test_conditioning.c - what encoders say of a prompt, put together: with all of them, without
 * some, with weights, what is refused, and a whole pipeline's against its reference
 */
#include "model/conditioning.h"

#include "io/weights.h"
#include "model/clip.h"
#include "model/t5.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { TOKENS = 3, AFTER = 2, WIDTH_L = 2, WIDTH_G = 3, POOLED = WIDTH_L + WIDTH_G, CONTEXT = 7 };

static const float l[TOKENS * WIDTH_L] = {1, 2, 3, 4, 5, 6}, l_pooled[WIDTH_L] = {7, 8};
static const float g[TOKENS * WIDTH_G] = {11, 12, 13, 14, 15, 16, 17, 18, 19};
static const float g_pooled[WIDTH_G] = {21, 22, 23};
static const float t5[AFTER * CONTEXT] = {31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44};

static struct conditioning whole(void)
{
    return (struct conditioning){
        .clip_l = {l, TOKENS, WIDTH_L, l_pooled, WIDTH_L},
        .clip_g = {g, TOKENS, WIDTH_G, g_pooled, WIDTH_G},
        .t5 = {.states = t5, .tokens = AFTER, .width = CONTEXT},
        .clip_tokens = TOKENS,
        .t5_tokens = AFTER,
        .context_width = CONTEXT,
        .pooled_width = POOLED,
    };
}

/* Any of the three missing: zeros in its place, everything else where it was. */
static void test_missing_encoders(void **state)
{
    (void)state;
    for (int missing = 0; missing < 8; missing++) {
        float context[(TOKENS + AFTER) * CONTEXT], pooled[POOLED];
        struct conditioning c = whole();
        const bool has_l = !(missing & 1), has_g = !(missing & 2), has_t5 = !(missing & 4);

        c.clip_l = has_l ? c.clip_l : (struct encoded_text){0};
        c.clip_g = has_g ? c.clip_g : (struct encoded_text){0};
        c.t5 = has_t5 ? c.t5 : (struct encoded_text){0};
        assert_int_equal(conditioning_check(&c, NULL), OK);
        assert_int_equal(conditioning_tokens(&c), TOKENS + AFTER);
        conditioning_join(&c, context, pooled);
        for (int i = 0; i < TOKENS; i++)
            for (int k = 0; k < CONTEXT; k++) {
                float want = 0;

                if (k < WIDTH_L && has_l)
                    want = l[i * WIDTH_L + k];
                else if (k >= WIDTH_L && k < POOLED && has_g)
                    want = g[i * WIDTH_G + k - WIDTH_L];
                assert_true(context[i * CONTEXT + k] == want);
            }
        for (int i = 0; i < AFTER * CONTEXT; i++)
            assert_true(context[TOKENS * CONTEXT + i] == (has_t5 ? t5[i] : 0));
        for (int k = 0; k < POOLED; k++) {
            bool of_l = k < WIDTH_L;
            float want = of_l ? l_pooled[k] : g_pooled[k - WIDTH_L];

            assert_true(pooled[k] == ((of_l ? has_l : has_g) ? want : 0));
        }
    }
}

static void test_left_out(void **state)
{
    float context[TOKENS * CONTEXT], pooled[POOLED];
    struct conditioning c = whole();

    (void)state;
    c.t5 = (struct encoded_text){0};
    c.t5_tokens = 0;
    assert_int_equal(conditioning_check(&c, NULL), OK);
    assert_int_equal(conditioning_tokens(&c), TOKENS);
    conditioning_join(&c, context, pooled);
    assert_true(context[(TOKENS - 1) * CONTEXT + POOLED - 1] == g[TOKENS * WIDTH_G - 1]);
}

static void test_refused(void **state)
{
    struct conditioning bad[6];
    struct error err;

    (void)state;
    for (int i = 0; i < 6; i++)
        bad[i] = whole();
    bad[0].clip_tokens = 4;
    bad[1].context_width = 4;
    bad[2].pooled_width = POOLED + 1;
    bad[3].t5.width = 6;
    bad[4].t5_tokens = 5;
    bad[5].clip_l = (struct encoded_text){0};
    bad[5].pooled_width = WIDTH_G - 1;
    for (int i = 0; i < 6; i++) {
        err = (struct error){0};
        assert_int_equal(conditioning_check(&bad[i], &err), E_ARG);
        assert_true(err.text[0]);
    }
}

/* Two chunks of three tokens; the second has the empty prompt's rows again. */
static void test_weights(void **state)
{
    const float empty[] = {1, 2, 3, 4, 5, 6}, weights[] = {1, 1.5f, 0, 1, 2, -1};
    const float before[] = {0.1f, 0.2f, 7, 8, 9, 10, 0.3f, 0.4f, 13, 14, 15, 16};
    const float want[] = {0.1f, 0.2f, 9, 10, 5, 6, 0.3f, 0.4f, 23, 24, -5, -4};
    float states[12];

    (void)state;
    memcpy(states, before, sizeof states);
    conditioning_weigh(states, 6, 2, empty, 3, weights);
    assert_memory_equal(states, want, sizeof want);
}

/* --- a whole pipeline's, where the larger collection stands beside the project -----------------
 */

#define PIPELINE SHARED_DIR "/fixtures/sd3/pipeline-tiny"

struct said {
    float *states, *pooled;
    int64_t tokens, width, pooled_width;
};

static struct weights *must_open(const char *name)
{
    struct error err = {0};
    struct weights *w;

    if (weights_open(&w, name, &err))
        fail_msg("%s", err.text);
    return w;
}

static int32_t *read_ids(const struct weights *io, const char *name, int64_t *n)
{
    const struct file_tensor *t = weights_find(io, name);
    int64_t *wide;
    int32_t *ids;

    assert_non_null(t);
    *n = file_tensor_count(t);
    wide = calloc((size_t)*n, sizeof *wide);
    ids = calloc((size_t)*n, sizeof *ids);
    assert_int_equal(file_tensor_i64(t, wide, NULL), OK);
    for (int64_t i = 0; i < *n; i++)
        ids[i] = (int32_t)wide[i];
    free(wide);
    return ids;
}

static float *read_out(struct graph *graph, struct tensor *t)
{
    float *out = calloc((size_t)shape_count(t->shape), sizeof *out);

    assert_non_null(out);
    graph_read(graph, t, out);
    return out;
}

/* which: 0 CLIP-L, 1 CLIP-G, 2 T5. */
static void encode(struct said *out, int which, const struct weights *io, const char *ids_name)
{
    static const char *const folders[] = {"text_encoder", "text_encoder_2", "text_encoder_3"};
    struct tensor *states, *pooled = NULL, *in;
    struct error err = {0};
    struct clip_states clip;
    struct network *net;
    struct weights *w;
    struct graph *graph;
    char name[512];
    json_t *config;
    int32_t *ids;

    snprintf(name, sizeof name, "%s/diffusers/%s", PIPELINE, folders[which]);
    w = must_open(name);
    strncat(name, "/config.json", sizeof name - strlen(name) - 1);
    config = json_load_file(name, 0, NULL);
    assert_non_null(config);
    if (which == 2 ? t5_open_published(&net, w, config, &err)
                   : clip_open_published(&net, w, which ? CLIP_G : CLIP_L, config, &err))
        fail_msg("%s", err.text);
    ids = read_ids(io, ids_name, &out->tokens);
    assert_int_equal(network_check_ids(net, ids, out->tokens, out->tokens, &err), OK);
    assert_int_equal(graph_new(&graph, GRAPH_FROZEN, 2, &err), OK);
    in = graph_input_i32(graph, SHAPE(1, out->tokens), ids);
    if (which == 2) {
        states = t5_forward(graph, net, in);
    } else {
        clip_forward(graph, net, in, &clip);
        states = clip.penultimate;
        pooled = clip.projected;
        graph_keep(graph, pooled);
    }
    graph_keep(graph, states);
    assert_int_equal(graph_run(graph, &err), OK);
    out->width = shape_last(states->shape);
    out->states = read_out(graph, states);
    out->pooled_width = pooled ? shape_last(pooled->shape) : 0;
    out->pooled = pooled ? read_out(graph, pooled) : NULL;
    graph_free(graph);
    network_free(net);
    weights_close(w);
    json_decref(config);
    free(ids);
}

static void assert_near(const struct weights *io, const char *name, const float *got, int64_t n)
{
    const struct file_tensor *t = weights_find(io, name);
    float *want = calloc((size_t)n, sizeof *want);

    assert_non_null(t);
    assert_int_equal(file_tensor_count(t), n);
    assert_int_equal(file_tensor_f32(t, want, NULL), OK);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= 1e-4 + 1e-4 * fabs((double)want[i])))
            fail_msg("%s[%d] is %g, should be %g", name, (int)i, (double)got[i], (double)want[i]);
    free(want);
}

static void test_pipeline(void **state)
{
    static const char *const ids[][3] = {{"in.ids_l", "in.ids_g", "in.ids_t5"},
                                         {"in.neg_ids_l", "in.neg_ids_g", "in.neg_ids_t5"}};
    static const char *const results[][2] = {{"mid.context", "mid.y"},
                                             {"mid.neg_context", "mid.neg_y"}};
    struct weights *io;
    struct stat s;

    (void)state;
    if (stat(PIPELINE, &s)) {
        print_message("no pipeline at %s\n", PIPELINE);
        skip();
    }
    io = must_open(PIPELINE "/io.safetensors");
    for (int p = 0; p < 2; p++) {
        const struct encoded_text none = {0};
        struct encoded_text part[3] = {none, none, none};
        struct conditioning c = {.context_width = 24, .pooled_width = 20};
        struct said said[3];
        float *context, *pooled;

        for (int k = 0; k < 3; k++) {
            encode(&said[k], k, io, ids[p][k]);
            part[k] = (struct encoded_text){said[k].states, said[k].tokens, said[k].width,
                                            said[k].pooled, said[k].pooled_width};
        }
        c.clip_l = part[0];
        c.clip_g = part[1];
        c.t5 = part[2];
        c.clip_tokens = said[0].tokens;
        c.t5_tokens = said[2].tokens;
        assert_int_equal(conditioning_check(&c, NULL), OK);
        context = calloc((size_t)(conditioning_tokens(&c) * c.context_width), sizeof *context);
        pooled = calloc((size_t)c.pooled_width, sizeof *pooled);
        conditioning_join(&c, context, pooled);
        assert_near(io, results[p][0], context, conditioning_tokens(&c) * c.context_width);
        assert_near(io, results[p][1], pooled, c.pooled_width);
        free(context);
        free(pooled);
        for (int k = 0; k < 3; k++) {
            free(said[k].states);
            free(said[k].pooled);
        }
    }
    weights_close(io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_encoders), cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_weights),
        cmocka_unit_test(test_pipeline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
