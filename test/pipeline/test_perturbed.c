/*
 * test_perturbed.c - perturbed-attention guidance of whole models
 */
#include "pipeline/generate.h"
#include "pipeline/predictor.h"
#include "support/models.h"
#include "support/says.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, LENGTH = SIDE * SIDE * 3, LABELS = 4, ITEMS = 5, STEPS = 3 };

#define DIT                                                                            \
    "\"model\": {\"network\": \"dit\", \"time_scale\": 1000}, \"dit\": {\"size\": 8, " \
    "\"classes\": 4, \"patch\": 2, \"width\": 16, \"depth\": 4, \"heads\": 2}"
#define UNET                                                                                  \
    "\"model\": {\"network\": \"unet\", \"prediction\": \"noise\", \"time_scale\": 1000}, "   \
    "\"unet\": {\"size\": 8, \"classes\": 4, \"width\": 8, \"mult\": [1, 2], \"blocks\": 1, " \
    "\"attention\": [2], \"groups\": 4, \"heads\": 2}"

static const struct generate_item items[ITEMS] = {
    {0, 2, 10}, {1, 0, 11}, {2, 1, 12}, {LABELS, 0, 13}, {3, 0.5, 14}};

struct how {
    const char *sampler, *numbers[3];
    int64_t batch;
    int threads;
};

static struct generate_request request(const struct model *m, const struct generate_item *which,
                                       int64_t n, const struct how *how)
{
    struct generate_request r = {.model = m,
                                 .settings = {.steps = STEPS, .shift = 3},
                                 .items = which,
                                 .n = n,
                                 .batch = how->batch,
                                 .numbers = how->numbers,
                                 .threads = how->threads ? how->threads : 2};

    while (how->numbers[r.n_numbers])
        r.n_numbers++;
    while (how->sampler && strcmp(sampler_at(r.settings.sampler)->is.name, how->sampler) != 0)
        r.settings.sampler++;
    return r;
}

static int64_t draw(float *out, const struct model *m, const struct generate_item *which, int64_t n,
                    const struct how *how)
{
    struct generate_request r = request(m, which, n, how);
    struct error err = {0};
    int64_t evaluations;

    if (generate(out, &r, &evaluations, &err))
        fail_msg("%s", err.text);
    return evaluations;
}

/* Neither the batch nor the threads are seen in a picture. */
static void check_own_request(struct model *m, struct how how)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];

    how.threads = 1;
    draw(want, m, items, ITEMS, &how);
    for (how.threads = 2; how.threads <= 4; how.threads++) {
        draw(got, m, items, ITEMS, &how);
        assert_memory_equal(want, got, sizeof want);
    }
    how.batch = how.threads = 2;
    draw(got, m, items, ITEMS, &how);
    assert_memory_equal(want, got, sizeof want);
    for (int i = 0; i < ITEMS; i++) {
        draw(got, m, &items[i], 1, &how);
        assert_memory_equal(want + i * LENGTH, got, LENGTH * sizeof *got);
    }
    model_free(m);
}

static void test_own_request(void **state)
{
    (void)state;
    check_own_request(model_random(DIT, 1), (struct how){.numbers = {"guidance.perturbed=1.5"}});
    check_own_request(model_random(UNET, 1),
                      (struct how){.sampler = "dpmpp_2m",
                                   .numbers = {"guidance.perturbed=1.5", "guidance.layers=0,2"}});
}

/* The three branches of a network are what each is alone, and the third is the network of another
 * tape. */
static void test_branches(void **state)
{
    enum { ROWS = 3, ALL = ROWS * LENGTH };
    static const int32_t label[ROWS] = {2, 0, 3};
    static const bool identity[4] = {false, true, true, false};
    static double x[ALL], all[3 * ALL], one[ALL];
    struct model *m = model_random(DIT, 1);
    struct network_predictor net;
    struct predictor of;
    struct graph *g;

    (void)state;
    for (int i = 0; i < ALL; i++) {
        struct rng r = rng_stream(9, RNG_TEST, (uint64_t)i);

        x[i] = rng_normal(&r);
    }
    assert_int_equal(graph_new(&g, GRAPH_FROZEN, 2, NULL), OK);
    assert_int_equal(network_predictor_init(&net, m, g, label, NULL, ROWS, NULL), OK);
    assert_int_equal(network_predictor_perturb(&net, identity, NULL, NULL), OK);
    of = predictor_of_network(&net);
    assert_int_equal(of.predict(of.self, all, x, 0.4, BRANCH_ALL, NULL), OK);
    assert_int_equal(net.evaluations, 3);
    for (int b = 0; b < 3; b++) {
        assert_int_equal(of.predict(of.self, one, x, 0.4, 1u << b, NULL), OK);
        assert_memory_equal(one, all + b * ALL, sizeof one);
    }
    for (int i = 0; i < ROWS; i++)
        assert_memory_not_equal(all + ALL + i * LENGTH, all + 2 * ALL + i * LENGTH,
                                LENGTH * sizeof *all);
    network_predictor_release(&net);
    graph_free(g);
    model_free(m);
}

/* One Euler step is linear in the prediction, so a scale twice as large moves twice as far. */
static void test_linear_in_the_scale(void **state)
{
    static float plain[LENGTH], one[LENGTH], two[LENGTH];
    const struct generate_item item = {2, 2, 7};
    struct model *m = model_random(DIT, 1);
    const char *const numbers[] = {"guidance.perturbed=1", "guidance.perturbed=2"};
    float *out[] = {one, two};

    (void)state;
    for (int k = -1; k < 2; k++) {
        struct generate_request r = request(m, &item, 1, &(struct how){.sampler = "euler"});

        r.settings.steps = 1;
        r.numbers = &numbers[k < 0 ? 0 : k];
        r.n_numbers = k < 0 ? 0 : 1;
        assert_int_equal(generate(k < 0 ? plain : out[k], &r, NULL, NULL), OK);
    }
    assert_memory_not_equal(plain, one, sizeof plain);
    for (int i = 0; i < LENGTH; i++)
        assert_float_equal(two[i] - plain[i], 2 * (one[i] - plain[i]), 1e-5);
    model_free(m);
}

/* Scale 0 is no perturbation, bit for bit, and costs nothing; a scale costs one evaluation beside
 * the guided one, also where nothing is asked for. */
static void test_price(void **state)
{
    static const struct {
        struct generate_item item;
        int64_t plain, perturbed;
    } cases[] = {{{1, 1, 5}, STEPS, 2 * STEPS},
                 {{1, 2, 5}, 2 * STEPS, 3 * STEPS},
                 {{1, 0, 5}, STEPS, 3 * STEPS},
                 {{LABELS, 0, 5}, STEPS, 2 * STEPS},
                 {{LABELS, 1, 5}, STEPS, 2 * STEPS}};
    static float want[LENGTH], got[LENGTH];
    struct model *m = model_random(DIT, 1);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct how how = {.sampler = "euler"};

        assert_int_equal(draw(want, m, &cases[i].item, 1, &how), cases[i].plain);
        how.numbers[0] = "guidance.perturbed=0";
        how.numbers[1] = "guidance.layers=0";
        assert_int_equal(draw(got, m, &cases[i].item, 1, &how), cases[i].plain);
        assert_memory_equal(want, got, sizeof want);
        how.numbers[0] = "guidance.perturbed=1";
        assert_int_equal(draw(got, m, &cases[i].item, 1, &how), cases[i].perturbed);
        assert_memory_not_equal(want, got, sizeof want);
    }
    model_free(m);
}

/* A picture of no label is the same at w = 0, where it is unguided, and at w = 1. */
static void test_no_label(void **state)
{
    const struct generate_item two[2] = {{LABELS, 0, 5}, {LABELS, 1, 5}};
    static float out[2 * LENGTH];
    struct model *m = model_random(UNET, 1);

    (void)state;
    draw(out, m, two, 2, &(struct how){.numbers = {"guidance.perturbed=2"}});
    assert_memory_equal(out, out + LENGTH, LENGTH * sizeof *out);
    model_free(m);
}

/* Without a word the layers are those in the middle; others are others. */
static void check_layers(struct model *m, const char *middle, const char *other)
{
    static float want[LENGTH], got[LENGTH];
    const struct generate_item item = {1, 2, 5};
    struct how how = {.numbers = {"guidance.perturbed=1"}};

    draw(want, m, &item, 1, &how);
    how.numbers[1] = middle;
    draw(got, m, &item, 1, &how);
    assert_memory_equal(want, got, sizeof want);
    how.numbers[1] = other;
    draw(got, m, &item, 1, &how);
    assert_memory_not_equal(want, got, sizeof want);
    model_free(m);
}

static void test_layers(void **state)
{
    (void)state;
    check_layers(model_random(DIT, 1), "guidance.layers=1,2", "guidance.layers=0,1,2,3");
    check_layers(model_random(UNET, 1), "guidance.layers=1", "guidance.layers=3");
}

/* Guided nowhere, nothing is perturbed either. */
static void test_interval(void **state)
{
    static float want[LENGTH], got[LENGTH];
    const struct generate_item item = {1, 1, 5};
    struct model *m = model_random(DIT, 1);
    struct how how = {.sampler = "euler"};

    (void)state;
    draw(want, m, &item, 1, &how);
    how.numbers[0] = "guidance.perturbed=4";
    how.numbers[1] = "guidance.to=0.5";
    assert_int_equal(draw(got, m, &item, 1, &how), 2 * 2 + 1); /* at 0, 1/3 and 2/3 */
    assert_memory_not_equal(want, got, sizeof want);
    how.numbers[1] = "guidance.from=0.9";
    assert_int_equal(draw(got, m, &item, 1, &how), STEPS);
    assert_memory_equal(want, got, sizeof want);
    model_free(m);
}

static void refuse(const struct model *m, const char *a, const char *b, const char *why)
{
    const struct generate_item item = {1, 2, 5};
    const struct how how = {.numbers = {a, b}};
    struct generate_request r = request(m, &item, 1, &how);
    static float out[LENGTH];
    struct error err = {0};

    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_says(err.text, why);
}

static void test_refusals(void **state)
{
    struct model *m = model_random(DIT, 1);

    (void)state;
    refuse(m, "guidance.perturbed=1", "guidance.layers=4",
           "the 4 self-attention layers of this 'dit' are 0 to 3, and 4 is none of them");
    refuse(m, "guidance.perturbed=1", "guidance.layers=-1", "-1");
    refuse(m, "guidance.perturbed=1", "guidance.layers=two", "two");
    refuse(m, "guidance.perturbed=-1", NULL, "-1");
    refuse(m, "guidance.perturbed=nan", NULL, "nan");
    m->network->io.n_attention = 0;
    refuse(m, "guidance.perturbed=1", NULL, "a 'dit' has no self-attention to perturb");
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_request),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_linear_in_the_scale),
        cmocka_unit_test(test_price),
        cmocka_unit_test(test_no_label),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
