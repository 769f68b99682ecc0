/*
 * test_byte_text.c - texts as numbers, and a network that reads them itself
 */
#include "model/byte_text.h"
#include "model/prompts.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "support/networks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

enum { ROWS = 3, SIDE = 8, CHANNELS = 3, LENGTH = 12, PIXELS = SIDE * SIDE * CHANNELS };

/* --- texts --------------------------------------------------------------------------------------
 */

static void assert_read(int64_t length, const char *text, const char *kept)
{
    int32_t got[32];
    int64_t n = (int64_t)strlen(kept);

    assert_true(length <= 32);
    byte_text_read(got, length, text);
    assert_int_equal(byte_text_fits(text, length), n);
    assert_int_equal(got[0], BYTE_TEXT_BEGIN);
    for (int64_t i = 1; i < length; i++)
        assert_int_equal(got[i], i <= n ? 1 + (uint8_t)kept[i - 1] : 0);
}

static void texts_become_numbers(void **state)
{
    (void)state;
    assert_read(8, "", "");
    assert_read(1, "abc", "");
    assert_read(8, "red", "red");
    assert_read(4, "red", "red");
    assert_read(3, "red", "re");
    /* e with an accent is two bytes, a cat's face four. */
    assert_read(8, "caf\xc3\xa9", "caf\xc3\xa9");
    assert_read(5, "caf\xc3\xa9", "caf");
    assert_read(6, "a\xf0\x9f\x90\xb1", "a\xf0\x9f\x90\xb1");
    for (int64_t length = 2; length < 6; length++)
        assert_read(length, "a\xf0\x9f\x90\xb1", "a");
    /* Bytes that are no UTF-8 are bytes like others, and nothing but them is cut off whole. */
    assert_read(8, "\xff\xfe", "\xff\xfe");
    assert_read(3, "\x80\x80\x80\x80", "");
    assert_int_equal(byte_text_size("red"), 4);
}

static void prompts_are_told_by_number(void **state)
{
    const struct network_io io = {.text_length = LENGTH, .null_label = -1};
    const int32_t label[] = {1, -1, 0};
    int32_t got[ROWS * LENGTH], want[LENGTH];
    struct error err = {0};
    struct prompts p;

    (void)state;
    assert_true(network_asks(&io) && network_asks_for_nothing(&io));
    assert_int_equal(prompts_init(&p, &io, 2, &err), OK);
    prompts_set(&p, 0, "blue");
    assert_int_equal(prompts_set_whole(&p, 1, "elevenbytes", &err), OK);
    assert_int_equal(prompts_set_whole(&p, 1, "twelve bytes", &err), E_ARG);
    assert_non_null(strstr(err.text, "12 bytes, and the model reads 11"));
    prompts_gather(&p, got, label, ROWS);
    byte_text_read(want, LENGTH, "elevenbytes");
    assert_memory_equal(got, want, sizeof want);
    byte_text_read(want, LENGTH, "");
    assert_memory_equal(got + LENGTH, want, sizeof want);
    byte_text_read(want, LENGTH, "blue");
    assert_memory_equal(got + 2 * LENGTH, want, sizeof want);
    prompts_release(&p);
}

/* --- a network ----------------------------------------------------------------------------------
 */

/* more: "text_group=3", the last of its settings. */
static struct network *must_build(const char *more)
{
    const char *const settings[] = {
        "size=8",       "patch=2",      "width=16",     "depth=2", "heads=2", "text_length=12",
        "text_width=8", "text_depth=2", "text_heads=2", more,      NULL};
    struct network *net = network_must("mmdit", settings, true);

    network_fill(net, 3);
    return net;
}

struct feed {
    int rows;
    const char *text[ROWS];
    float x[ROWS * PIXELS], t[ROWS], cot[ROWS * PIXELS], out[ROWS * PIXELS];
};

static void feed_draw(struct feed *f)
{
    struct rng r = rng_stream(4, RNG_TEST, 0);

    *f = (struct feed){.rows = ROWS, .text = {"red", "", "a blue star"}};
    rng_normals(&r, f->x, ROWS * PIXELS);
    rng_normals(&r, f->cot, ROWS * PIXELS);
    for (int i = 0; i < ROWS; i++)
        f->t[i] = 1000 * (0.1f + 0.3f * (float)i);
}

static double run(struct network *net, bool gradients, void *user)
{
    struct feed *f = user;
    int32_t text[ROWS * LENGTH];
    struct network_input in = {0};
    struct tensor *y, *loss;
    struct graph *g;
    float value;

    for (int i = 0; i < f->rows; i++)
        byte_text_read(text + i * LENGTH, LENGTH, f->text[i]);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    in.x = graph_input(g, SHAPE(f->rows, SIDE, SIDE, CHANNELS), f->x);
    in.t = graph_input(g, SHAPE(f->rows), f->t);
    network_ask(g, &net->io, &in, f->rows, NULL, text);
    y = network_forward(g, net, in);
    loss = op_sum(g, op_mul(g, y, graph_input(g, y->shape, f->cot)));
    graph_keep(g, loss);
    graph_keep(g, y);
    if (gradients)
        graph_backward(g, loss);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &value);
    graph_read(g, y, f->out);
    graph_free(g);
    return (double)value;
}

static void gradients_are_slopes(void **state)
{
    struct feed f;

    (void)state;
    feed_draw(&f);
    for (int i = 0; i < 3; i++) {
        static const char *const more[] = {"text_group=1", "text_group=3", "text_kernel=5"};
        struct network *net = must_build(more[i]);

        for (uint64_t seed = 0; seed < 3; seed++)
            check_slope("mmdit with a reader", net, run, &f, seed, 1e-3, 4e-3);
        network_free(net);
    }
}

/* What a row shows depends on its own text alone, every letter of it, and on nothing behind it. */
static void row_hears_its_own(struct network *net)
{
    struct feed f, g;

    feed_draw(&f);
    run(net, false, &f);
    g = f;
    g.text[0] = "rid";
    run(net, false, &g);
    assert_memory_not_equal(f.out, g.out, PIXELS * sizeof(float));
    assert_memory_equal(f.out + PIXELS, g.out + PIXELS, 2 * PIXELS * sizeof(float));
    g.rows = 1;
    g.text[0] = "red";
    run(net, false, &g);
    assert_memory_equal(f.out, g.out, PIXELS * sizeof(float));
    for (int i = 0; i < PIXELS; i++)
        assert_true(isfinite(f.out[PIXELS + i])); /* of the empty text */
    network_free(net);
}

static void rows_hear_their_own_text(void **state)
{
    (void)state;
    row_hears_its_own(must_build("text_group=1"));
    row_hears_its_own(must_build("text_group=2"));
    row_hears_its_own(must_build("text_group=12"));
    row_hears_its_own(must_build("text_kernel=3"));
}

static void refusals(void **state)
{
    const char *const wrong[][2] = {{"text_length=1", "text_length"},
                                    {"text_heads=3", "3 heads"},
                                    {"text_group=5", "12 bytes do not make groups of 5"},
                                    {"text_kernel=4", "4 is even"}};
    struct error err = {0};
    struct network *net;

    (void)state;
    for (int i = 0; i < 4; i++) {
        const char *some[] = {"size=8",       "text_length=12", "text_width=8",
                              "text_heads=2", wrong[i][0],      NULL};

        assert_int_equal(network_of(&net, "mmdit", some, false, &err), E_ARG);
        assert_non_null(strstr(err.text, wrong[i][1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_numbers),
        cmocka_unit_test(prompts_are_told_by_number),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(rows_hear_their_own_text),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
