/*
 * test_skip.c - skip-layer guidance of whole models: the published rule, its steps, what is refused
 *
 * The rule (sd3.md 5.3) is computed once more here, step by step, from a network that is asked for
 * its branches one by one; that a block left out is a network without it, test_mmdit.c shows.
 */
#include "pipeline/generate.h"
#include "pipeline/predictor.h"
#include "support/models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, LENGTH = SIDE * SIDE * 3, STEPS = 10, NUMBERS = 5 };

#define MMDIT                                                                              \
    "\"model\": {\"network\": \"mmdit\", \"time_scale\": 1000}, \"mmdit\": {\"size\": 8, " \
    "\"patch\": 2, \"width\": 16, \"depth\": 4, \"heads\": 2, \"text_length\": 12}"
#define DIT                                                                            \
    "\"model\": {\"network\": \"dit\", \"time_scale\": 1000}, \"dit\": {\"size\": 8, " \
    "\"classes\": 4, \"patch\": 2, \"width\": 16, \"depth\": 4, \"heads\": 2}"

static const char *const texts[] = {"red star", "blue"};

static enum status draw(float *out, const struct model *m, const struct generate_item *items,
                        int64_t n, const char *sampler, const char *const *numbers,
                        int64_t *evaluations, struct error *err)
{
    struct generate_request r = {.model = m,
                                 .settings = {.steps = STEPS, .shift = 3},
                                 .texts = texts,
                                 .n_texts = m->network->io.text_length ? 2 : 0,
                                 .items = items,
                                 .n = n,
                                 .numbers = numbers,
                                 .threads = 2};

    while (numbers[r.n_numbers])
        r.n_numbers++;
    while (strcmp(sampler_at(r.settings.sampler)->is.name, sampler) != 0)
        r.settings.sampler++;
    return generate(out, &r, evaluations, err);
}

/* Euler's method with u + w (c - u), and s (c - p) on top in the steps first .. last. */
static void by_hand(double *x, const struct model *m, double w, double s, const bool *skip,
                    int first, int last)
{
    static const int32_t label[] = {0};
    static double all[3 * LENGTH];
    struct network_predictor net;
    struct prompts p = {0};
    struct predictor of;
    struct graph *g;

    assert_int_equal(prompts_init(&p, &m->network->io, 1, NULL), OK);
    assert_int_equal(prompts_set_whole(&p, 0, texts[0], NULL), OK);
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    assert_int_equal(network_predictor_init(&net, m, g, label, &p, 1, NULL), OK);
    assert_int_equal(network_predictor_perturb(&net, NULL, skip, NULL), OK);
    of = predictor_of_network(&net);
    sampling_start(x, &m->path, 7, 0, LENGTH);
    for (int i = 0; i < STEPS; i++) {
        const double *u = all, *c = all + LENGTH, *q = all + 2 * LENGTH;
        double on = i >= first && i <= last ? s : 0;

        assert_int_equal(of.predict(of.self, all, x, (double)i / STEPS, BRANCH_ALL, NULL), OK);
        for (int k = 0; k < LENGTH; k++)
            x[k] += (u[k] + w * (c[k] - u[k]) + on * (c[k] - q[k])) / STEPS;
    }
    network_predictor_release(&net);
    prompts_release(&p);
    graph_free(g);
}

/* Step i of 10 has it where start 10 < i < stop 10, both strictly. */
static void the_published_rule(void **state)
{
    static const struct {
        const char *start, *stop;
        int first, last;
    } cases[] = {{"guidance.skip_start=0.01", "guidance.skip_stop=0.35", 1, 3},
                 {"guidance.skip_start=0", "guidance.skip_stop=1", 1, 9},
                 {"guidance.skip_start=0.2", "guidance.skip_stop=0.4", 3, 3},
                 {"guidance.skip_start=0.3", "guidance.skip_stop=0.4", 1, 0}};
    static const bool skip[3] = {true, false, true};
    static const struct generate_item item = {0, 4, 7};
    static float got[LENGTH];
    static double want[LENGTH];
    struct model *m = model_random(MMDIT, 1);
    int64_t evaluations;

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *const numbers[NUMBERS] = {"guidance.skip=2.5", "guidance.skip_layers=0,2",
                                              cases[k].start, cases[k].stop};
        int steps = cases[k].last - cases[k].first + 1;

        assert_int_equal(draw(got, m, &item, 1, "euler", numbers, &evaluations, NULL), OK);
        assert_int_equal(evaluations, 2 * STEPS + steps);
        by_hand(want, m, item.w, 2.5, skip, cases[k].first, cases[k].last);
        for (int i = 0; i < LENGTH; i++)
            assert_float_equal(got[i], want[i], 1e-5);
    }
    model_free(m);
}

/* A picture does not see its neighbours, nor a scale of 0 the blocks; and blocks matter. */
static void pictures_are_their_own(void **state)
{
    static const struct generate_item items[] = {{0, 4, 1}, {1, 1, 2}, {-1, 0, 3}, {0, 0, 4}};
    static const char *const numbers[NUMBERS] = {"guidance.skip=2", "guidance.skip_layers=1"};
    static const char *const none[NUMBERS] = {"guidance.skip=0", "guidance.skip_layers=1"};
    static const char *const plain[NUMBERS] = {NULL};
    static float all[4 * LENGTH], one[LENGTH], other[LENGTH];
    struct model *m = model_random(MMDIT, 1);

    (void)state;
    assert_int_equal(draw(all, m, items, 4, "dpmpp_2m", numbers, NULL, NULL), OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(draw(one, m, &items[i], 1, "dpmpp_2m", numbers, NULL, NULL), OK);
        assert_memory_equal(one, all + i * LENGTH, sizeof one);
        assert_int_equal(draw(other, m, &items[i], 1, "dpmpp_2m", plain, NULL, NULL), OK);
        assert_memory_not_equal(one, other, sizeof one);
        assert_int_equal(draw(one, m, &items[i], 1, "dpmpp_2m", none, NULL, NULL), OK);
        assert_memory_equal(one, other, sizeof one);
    }
    model_free(m);
}

static void refuse(const struct model *m, const char *sampler, const char *const *numbers,
                   const char *said)
{
    static const struct generate_item item = {0, 1, 7};
    static float out[LENGTH];
    struct error err = {0};

    assert_int_equal(draw(out, m, &item, 1, sampler, numbers, NULL, &err), E_ARG);
    if (!strstr(err.text, said))
        fail_msg("%s", err.text);
}

static void refusals(void **state)
{
    static const char *const usual[] = {"guidance.skip=2.5", NULL};
    static const char *const last[] = {"guidance.skip=2.5", "guidance.skip_layers=1,3", NULL};
    static const char *const first[] = {"guidance.skip=2.5", "guidance.skip_layers=0", NULL};
    static const char *const negative[] = {"guidance.skip=1", "guidance.skip_layers=-1", NULL};
    static const char *const both[] = {"guidance.skip=1", "guidance.skip_layers=0",
                                       "guidance.perturbed=1", NULL};
    struct model *m = model_random(MMDIT, 1), *dit = model_random(DIT, 1);

    (void)state;
    refuse(dit, "euler", usual, "a 'dit' has no blocks that can be left out");
    refuse(m, "euler", usual,
           "of the 4 blocks of this 'mmdit' all but the last can be left out, 0 to "
           "2, and 7 is none");
    refuse(m, "euler", last, "and 3 is none of them");
    refuse(m, "euler", negative, "-1");
    refuse(m, "euler", both, "exclude each other");
    refuse(m, "dopri5", first, "dopri5 chooses its own steps");
    model_free(dit);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_rule),
        cmocka_unit_test(pictures_are_their_own),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
