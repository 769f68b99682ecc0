/*
 * test_patchgan.c - the patch discriminator: shapes, names, and sizes that cannot be
 *
 * Its numbers are compared with the published implementation by the checkers of the parity program,
 * over golden/arch/vae; that it learns, in test_adversary.c.
 */
#include "model/patchgan.h"
#include "support/says.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct patchgan *discriminator(int64_t channels, int64_t width, int64_t layers)
{
    const struct patchgan_config config = {channels, width, layers};
    struct patchgan *d;

    assert_int_equal(patchgan_new(&d, &config, NULL), OK);
    params_init(patchgan_params(d), 1);
    return d;
}

/* The shape of its answer to pictures of this size. */
static struct shape answer(const struct patchgan *d, int64_t height, int64_t width,
                           int64_t channels)
{
    float *x = calloc((size_t)(height * width * channels), sizeof *x);
    struct graph *g;
    struct shape s;

    assert_non_null(x);
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    s = patchgan_forward(g, d, graph_input(g, SHAPE(1, height, width, channels), x), NULL)->shape;
    graph_free(g);
    free(x);
    return s;
}

static void test_shapes(void **state)
{
    static const struct {
        int64_t layers, height, width, out_height, out_width;
    } cases[] = {{3, 32, 32, 2, 2},
                 {3, 24, 31, 1, 1},
                 {2, 16, 21, 2, 3},
                 {1, 6, 64, 1, 30},
                 {4, 256, 48, 14, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct patchgan *d = discriminator(2, 4, cases[i].layers);

        assert_int_equal(patchgan_check(d, cases[i].height, cases[i].width, NULL), OK);
        assert_true(shape_equal(answer(d, cases[i].height, cases[i].width, 2),
                                SHAPE(1, cases[i].out_height, cases[i].out_width, 1)));
        patchgan_free(d);
    }
}

/* Names and sizes of the published network, and where it draws its weights from. */
static void test_parameters(void **state)
{
    struct patchgan *d = discriminator(3, 64, 3);
    struct params *p = patchgan_params(d);
    const struct param *q = params_find(p, "main.9.weight"), *w = params_find(p, "main.8.weight");
    double mean = 0, square = 0, n = 512;

    (void)state;
    assert_non_null(q);
    assert_non_null(w);
    assert_int_equal(params_weights(p), 2763841 + 2 * (128 + 256 + 512));
    assert_null(params_find(p, "main.8.bias"));
    assert_non_null(params_find(p, "main.11.bias"));
    assert_non_null(params_find(p, "main.3.running_var"));
    assert_true(shape_equal(w->file_shape, SHAPE(512, 256, 4, 4)));
    for (int64_t i = 0; i < 512; i++)
        mean += (double)q->value[i] / n;
    assert_true(fabs(mean - 1) < 4 * 0.02 / sqrt(n));
    n = (double)shape_count(w->shape);
    for (int64_t i = 0; i < shape_count(w->shape); i++)
        square += (double)w->value[i] * (double)w->value[i] / n;
    assert_true(fabs(sqrt(square) - 0.02) < 1e-4);
    patchgan_free(d);
}

static void refused(struct patchgan_config config, const char *says)
{
    struct error err = {0};
    struct patchgan *d;

    assert_int_equal(patchgan_new(&d, &config, &err), E_ARG);
    assert_null(d);
    assert_says(err.text, says);
}

static void test_refusals(void **state)
{
    struct patchgan *d = discriminator(1, 4, 3);
    struct error err = {0};

    (void)state;
    refused((struct patchgan_config){0, 64, 3}, "0 channels");
    refused((struct patchgan_config){3, 0, 3}, "width 0");
    refused((struct patchgan_config){3, 64, 9}, "9 layers");
    refused((struct patchgan_config){3, 64, 0}, "0 layers");
    assert_int_equal(patchgan_check(d, 24, 24, &err), OK);
    assert_int_equal(patchgan_check(d, 64, 23, &err), E_ARG);
    assert_non_null(strstr(err.text, "23 x 64"));
    assert_non_null(strstr(err.text, "begins at 24"));
    patchgan_free(d);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
