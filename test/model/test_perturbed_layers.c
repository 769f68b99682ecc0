/*
 * test_perturbed_layers.c - networks some of whose attention is replaced by the identity
 *
 * Which value is the first to change tells which layer was meant: everything before the layer must
 * keep its bits, whatever else the layer is connected with.
 */
#include "support/models.h"

#include "base/rng.h"
#include "graph/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TAPS = 256, LAYERS = 8, SIDE = 8, LENGTH = SIDE * SIDE * 3, WORDS = 3, FEATURES = 6 };

#define UNET(more)                                                                               \
    "\"model\": {\"network\": \"unet\"}, \"unet\": {\"size\": 8, \"classes\": 3, \"width\": 8, " \
    "\"mult\": [1, 2], \"blocks\": 1, \"attention\": [1, 2], \"groups\": 4, \"heads\": 2" more "}"
#define TRANSFORMER(name, more)                                                          \
    "\"model\": {\"network\": \"" name "\"}, \"" name "\": {\"size\": 8, \"patch\": 2, " \
    "\"width\": 16, \"heads\": 2" more "}"

/* The first value that changes with each layer. */
static const struct {
    const char *description;
    int middle, n_middle;
    const char *first[LAYERS];
} networks[] = {
    {UNET(""),
     2,
     1,
     {"input_blocks.1", "input_blocks.3", "middle_block", "output_blocks.0", "output_blocks.1",
      "output_blocks.2", "output_blocks.3"}},
    {UNET(", \"new_attention_order\": false"),
     2,
     1,
     {"input_blocks.1", "input_blocks.3", "middle_block", "output_blocks.0", "output_blocks.1",
      "output_blocks.2", "output_blocks.3"}},
    {UNET(", \"context_width\": 6, \"label_token\": true"),
     2,
     1,
     {"input_blocks.1.1.transformer_blocks.0.attn1", "input_blocks.3.1.transformer_blocks.0.attn1",
      "middle_block.1.transformer_blocks.0.attn1", "output_blocks.0.1.transformer_blocks.0.attn1",
      "output_blocks.1.1.transformer_blocks.0.attn1",
      "output_blocks.2.1.transformer_blocks.0.attn1",
      "output_blocks.3.1.transformer_blocks.0.attn1"}},
    {UNET(", \"style\": \"ddpmpp\""),
     2,
     1,
     {"enc.8x8_block0", "enc.4x4_block0", "dec.4x4_in0", "dec.4x4_block1", "dec.8x8_block1"}},
    {UNET(", \"style\": \"edm2\""),
     2,
     1,
     {"enc.8x8_block0", "enc.4x4_block0", "dec.4x4_in0", "dec.4x4_block0", "dec.4x4_block1",
      "dec.8x8_block0", "dec.8x8_block1"}},
    {TRANSFORMER("dit", ", \"classes\": 3, \"depth\": 1"), 0, 1, {"blocks.0.attn"}},
    {TRANSFORMER("dit", ", \"classes\": 3, \"depth\": 3, \"qk_norm\": true, \"rope\": true"),
     1,
     1,
     {"blocks.0.attn", "blocks.1.attn", "blocks.2.attn"}},
    {TRANSFORMER("pixart", ", \"context_width\": 6, \"depth\": 4"),
     1,
     2,
     {"blocks.0.attn", "blocks.1.attn", "blocks.2.attn", "blocks.3.attn"}},
    {TRANSFORMER("mmdit", ", \"context_width\": 6, \"pooled_width\": 0, \"depth\": 2"),
     0,
     2,
     {"joint_blocks.0.context_block.mlp", "joint_blocks.1.x_block.mlp"}},
};

/* Every value that a forward shows, in order. */
struct seen {
    int n;
    char name[TAPS][96];
    struct tensor *tensor[TAPS];
    float *value[TAPS];
    struct graph *graph;
};

static void look(const char *name, struct tensor *value, void *user)
{
    struct seen *s = user;

    assert_true(s->n < TAPS);
    snprintf(s->name[s->n], sizeof s->name[0], "%s", name);
    graph_keep(s->graph, value);
    s->tensor[s->n++] = value;
}

static void seen_release(struct seen *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->value[i]);
    s->n = 0;
}

/* Run the network on the same numbers, with layer `layer` the identity, or none below 0. */
static void run(struct seen *s, struct network *net, int layer)
{
    static float x[LENGTH], t[1] = {0.4f}, words[WORDS * FEATURES];
    static const int32_t y[1] = {1};
    bool identity[LAYERS] = {false};
    struct rng r = rng_stream(6, RNG_TEST, 0);
    struct network_input in = {.identity = layer < 0 ? NULL : identity};
    struct error err = {0};

    rng_normals(&r, x, LENGTH);
    rng_normals(&r, words, WORDS * FEATURES);
    if (layer >= 0)
        identity[layer] = true;
    *s = (struct seen){0};
    assert_int_equal(graph_new(&s->graph, 0, 2, &err), OK);
    net->tap = look;
    net->tap_user = s;
    in.x = graph_input(s->graph, SHAPE(1, SIDE, SIDE, 3), x);
    in.t = graph_input(s->graph, SHAPE(1), t);
    in.y = net->io.n_labels ? graph_input_i32(s->graph, SHAPE(1), y) : NULL;
    if (net->io.context_width)
        in.context = graph_input(s->graph, SHAPE(1, WORDS, FEATURES), words);
    look("result", network_forward(s->graph, net, in), s);
    if (graph_run(s->graph, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < s->n; i++) {
        s->value[i] = calloc((size_t)shape_count(s->tensor[i]->shape), sizeof(float));
        assert_non_null(s->value[i]);
        graph_read(s->graph, s->tensor[i], s->value[i]);
    }
}

static const char *first_difference(const struct seen *a, const struct seen *b)
{
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++) {
        assert_string_equal(a->name[i], b->name[i]);
        if (memcmp(a->value[i], b->value[i],
                   (size_t)shape_count(a->tensor[i]->shape) * sizeof(float)) != 0)
            return a->name[i];
    }
    return "nothing";
}

static void check_network(size_t k)
{
    static struct seen plain, other;
    struct model *m = model_random(networks[k].description, 3);
    const struct network_io *io = &m->network->io;
    int n = 0;

    while (n < LAYERS && networks[k].first[n])
        n++;
    assert_int_equal(io->n_attention, n);
    assert_int_equal(io->middle, networks[k].middle);
    assert_int_equal(io->n_middle, networks[k].n_middle);
    run(&plain, m->network, -1);
    for (int i = 0; i < n; i++) {
        const char *first;

        run(&other, m->network, i);
        first = first_difference(&plain, &other);
        if (strcmp(first, networks[k].first[i]) != 0)
            fail_msg("network %zu: layer %d changes %s first, not %s", k, i, first,
                     networks[k].first[i]);
        graph_free(other.graph);
        seen_release(&other);
    }
    graph_free(plain.graph);
    seen_release(&plain);
    model_free(m);
}

static void test_layers(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++)
        check_network(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
