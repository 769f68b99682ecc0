/*
 * test_strips.c - a picture in strips is the whole one's to 16 bits, within any limit that can be
 * kept
 *
 * The pictures are bright on one side and dark on the other, so that no part has the statistics of
 * the whole: tiles of them come out as something else.
 */
#include "pipeline/strips.h"

#include "base/memory.h"
#include "support/models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FACTOR = 4, LATENT = 4, HEIGHT = 187, WIDTH = 61 };

/* Two halvings; attention in the middle; then none but a codebook; then 1 x 1 convolutions. */
static const char *const nets[] = {
    "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 32, \"width\": 16, \"mult\": [1, 2, 2],"
    " \"blocks\": 1, \"groups\": 4, \"attention\": [], \"latent_channels\": 4}",
    "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 32, \"width\": 16, \"mult\": [2, 1, 1],"
    " \"blocks\": 2, \"groups\": 8, \"attention\": [], \"latent_channels\": 4, \"codes\": 16,"
    " \"middle_attention\": false}",
    "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 32, \"width\": 16, \"mult\": [1, 2, 2],"
    " \"blocks\": 1, \"groups\": 4, \"attention\": [], \"latent_channels\": 4,"
    " \"inner_channels\": 6, \"quant_conv\": true, \"post_quant_conv\": true}",
};

static float *new_floats(int64_t n)
{
    float *x = calloc((size_t)n + 1, sizeof *x);

    assert_non_null(x);
    return x;
}

/* [height, width, channels], rising from one corner to the other. */
static float *slope(int64_t height, int64_t width, int64_t channels)
{
    float *x = new_floats(height * width * channels), *at = x;

    for (int64_t i = 0; i < height; i++)
        for (int64_t k = 0; k < width; k++)
            for (int64_t c = 0; c < channels; c++)
                *at++ = (float)(1.5 * (double)(i + k) / (double)(height + width) - 0.7 +
                                0.2 * sin(0.9 * (double)(i * (c + 1)) + 0.4 * (double)k));
    return x;
}

static int64_t length(const struct strips_task *t, bool in)
{
    int64_t cells = ((t->height + FACTOR - 1) / FACTOR) * ((t->width + FACTOR - 1) / FACTOR);
    bool codes = t->half == HALVES_ENCODER && t->code && t->net->io.gaussian;

    return in == (t->half == HALVES_ENCODER) ? t->height * t->width * 3
                                             : cells * LATENT * (codes ? 2 : 1);
}

static float *input(const struct strips_task *t)
{
    int64_t rows = (t->height + FACTOR - 1) / FACTOR, columns = (t->width + FACTOR - 1) / FACTOR;

    return t->half == HALVES_ENCODER ? slope(t->height, t->width, 3) : slope(rows, columns, LATENT);
}

static struct graph *new_graph(int threads)
{
    struct graph *g;

    assert_int_equal(graph_new(&g, GRAPH_FROZEN, threads, NULL), OK);
    return g;
}

/* In strips of what the limit allows. */
static float *in_strips(const struct strips_task *t, const struct strips_plan *p)
{
    float *in = input(t), *out = new_floats(length(t, false));
    struct error err = {0};

    if (strips_run(p, t, out, in, NULL, NULL, &err))
        fail_msg("%s", err.text);
    free(in);
    return out;
}

static double psnr(const float *a, const float *b, int64_t n)
{
    double sum = 0, power = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        power += (double)b[i] * (double)b[i];
    }
    return 10 * log10(power / sum);
}

static bool any_cut(const struct strips_plan *p, int norms)
{
    for (int i = 0; i < p->n; i++)
        if (p->span[i].norms >= norms && p->span[i].reach > 0)
            return true;
    return false;
}

/* From the most that is ever needed down to where nothing fits. */
static void check_limits(struct strips_task *t)
{
    struct strips_plan whole, p;
    float *want, *got;
    int cut = 0;

    assert_int_equal(strips_fit(&whole, t, INT64_MAX, NULL), OK);
    want = in_strips(t, &whole);
    for (int64_t limit = whole.bytes; !strips_fit(&p, t, limit, NULL); limit = limit * 15 / 16) {
        assert_true(p.bytes <= limit);
        got = in_strips(t, &p);
        if (psnr(got, want, length(t, false)) < 65)
            fail_msg("%" PRId64 " bytes: %.1f dB", limit, psnr(got, want, length(t, false)));
        cut += any_cut(&p, 1);
        free(got);
    }
    assert_true(cut > 2);
    free(want);
}

static void test_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(nets); i++) {
        struct model *m = model_random(nets[i], i);
        struct strips_task t = {.net = m->network,
                                .height = HEIGHT,
                                .width = WIDTH,
                                .graph = new_graph(2),
                                .threads = 2};

        for (int half = HALVES_ENCODER; half <= HALVES_DECODER; half++)
            for (int code = 0; code <= (half == HALVES_ENCODER && t.net->io.gaussian); code++) {
                t.half = (enum autoencoder_halves)half;
                t.code = code;
                check_limits(&t);
            }
        graph_free(t.graph);
        model_free(m);
    }
}

/* With room for everything, a picture is what the network makes of it, to 16 bits. */
static void test_whole(void **state)
{
    enum { CELLS = 9, SIDE = FACTOR * CELLS };
    struct model *m = model_random(nets[0], 5);
    struct graph *g = new_graph(2);
    struct strips_task t = {.net = m->network,
                            .half = HALVES_DECODER,
                            .height = SIDE,
                            .width = SIDE,
                            .graph = g,
                            .threads = 2};
    float *in = input(&t), *want = new_floats(SIDE * SIDE * 3), *got;
    struct strips_plan p;
    struct tensor *y;

    (void)state;
    y = autoencoder_decode(g, m->network, graph_input(g, SHAPE(1, CELLS, CELLS, LATENT), in));
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, want);
    assert_int_equal(strips_fit(&p, &t, INT64_MAX, NULL), OK);
    assert_int_equal(p.runs, p.n);
    got = in_strips(&t, &p);
    assert_true(psnr(got, want, SIDE * SIDE * 3) > 65);
    free(in), free(want), free(got);
    graph_free(g);
    model_free(m);
}

/* One plan, any number of threads: one result. */
static void test_threads(void **state)
{
    struct model *m = model_random(nets[0], 6);
    struct strips_task t = {
        .net = m->network, .half = HALVES_DECODER, .height = HEIGHT, .width = WIDTH};
    struct strips_plan p = {0};
    float *first = NULL;

    (void)state;
    for (t.threads = 1; t.threads <= 3; t.threads++) {
        float *out;

        t.graph = new_graph(t.threads);
        if (!first) {
            assert_int_equal(strips_fit(&p, &t, INT64_MAX, NULL), OK);
            assert_int_equal(strips_fit(&p, &t, p.bytes / 2, NULL), OK);
            assert_true(any_cut(&p, 2));
        }
        out = in_strips(&t, &p);
        if (first)
            assert_memory_equal(out, first, (size_t)length(&t, false) * sizeof *out);
        else
            first = out;
        if (out != first)
            free(out);
        graph_free(t.graph);
    }
    free(first);
    model_free(m);
}

struct count {
    int64_t runs, stop_at;
};

static bool count(void *user)
{
    struct count *c = user;

    return ++c->runs != c->stop_at;
}

static void test_progress(void **state)
{
    struct model *m = model_random(nets[0], 7);
    struct strips_task t = {.net = m->network,
                            .half = HALVES_DECODER,
                            .height = HEIGHT,
                            .width = WIDTH,
                            .graph = new_graph(2),
                            .threads = 2};
    float *in = input(&t), *out = new_floats(length(&t, false));
    struct count all = {0}, some = {.stop_at = 3};
    struct strips_plan p;
    struct error err = {0};

    (void)state;
    assert_int_equal(strips_fit(&p, &t, INT64_MAX, NULL), OK);
    assert_int_equal(strips_fit(&p, &t, p.bytes / 2, NULL), OK);
    assert_int_equal(strips_run(&p, &t, out, in, count, &all, NULL), OK);
    assert_int_equal(all.runs, p.runs);
    assert_int_equal(strips_run(&p, &t, out, in, count, &some, &err), E_CANCELLED);
    assert_int_equal(some.runs, 3);
    assert_int_equal(strips_fit(&p, &t, 1000, &err), E_MEMORY);
    assert_non_null(strstr(err.text, "1000 bytes"));
    free(in), free(out);
    graph_free(t.graph);
    model_free(m);
}

/* A kind without steps says so. */
static void test_no_steps(void **state)
{
    struct model *m = model_random("\"model\": {\"network\": \"tae\"}, \"tae\": {\"size\": 8,"
                                   " \"levels\": 1, \"blocks\": 1, \"width\": 8}",
                                   8);
    struct strips_task t = {.net = m->network,
                            .half = HALVES_DECODER,
                            .height = 8,
                            .width = 8,
                            .graph = new_graph(1),
                            .threads = 1};
    struct strips_plan p;
    struct error err = {0};

    (void)state;
    assert_int_equal(strips_fit(&p, &t, INT64_MAX, &err), E_ARG);
    assert_non_null(strstr(err.text, "tae"));
    graph_free(t.graph);
    model_free(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_whole),
        cmocka_unit_test(test_threads),  cmocka_unit_test(test_progress),
        cmocka_unit_test(test_no_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
