/*
 * test_second_model.c - pictures guided by a second model, and what is refused
 *
 * A model beside itself must be what it is alone with both branches, bit for bit; everything else
 * follows from the pairs of closed forms in test_pair.c.
 */
#include "pipeline/generate.h"
#include "support/models.h"
#include "support/says.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, LENGTH = SIDE * SIDE * 3, LABELS = 4, ITEMS = 5 };

#define DIT(predicts, sizes)                                                               \
    "\"model\": {\"network\": \"dit\", \"prediction\": \"" predicts "\", \"time_scale\": " \
    "1000}, \"dit\": {\"size\": 8, \"patch\": 2, \"heads\": 2, " sizes "}"
#define MODEL  DIT("velocity", "\"classes\": 4, \"width\": 16, \"depth\": 2")
#define WEAK   DIT("velocity", "\"classes\": 4, \"width\": 8, \"depth\": 1")
#define FREE   DIT("velocity", "\"classes\": 0, \"width\": 8, \"depth\": 1")
#define NOISE  DIT("noise", "\"classes\": 4, \"width\": 8, \"depth\": 1")
#define FORCED DIT("velocity", "\"classes\": 4, \"null_class\": false, \"width\": 8, \"depth\": 1")
#define UNET                                                                              \
    "\"model\": {\"network\": \"unet\", \"time_scale\": 1000}, \"unet\": {\"size\": 8, "  \
    "\"classes\": 4, \"width\": 8, \"mult\": [1, 2], \"blocks\": 1, \"attention\": [2], " \
    "\"groups\": 4, \"heads\": 2}"
#define TWO                                                                                    \
    "\"model\": {\"network\": \"unet\", \"prediction\": \"velocity\", \"second\": \"noise\", " \
    "\"time_scale\": 1000}, \"unet\": {\"size\": 8, \"out_channels\": 6, \"classes\": 4, "     \
    "\"width\": 8, \"mult\": [1, 2], \"blocks\": 1, \"attention\": [2], \"groups\": 4, "       \
    "\"heads\": 2}"

static const struct generate_item items[ITEMS] = {
    {0, 2, 10}, {1, 0, 11}, {2, 1, 12}, {LABELS, 3, 13}, {3, 0.5, 14}};

struct asked {
    const char *sampler, *numbers[3];
    int64_t batch;
    int threads;
};

/* Pictures of the items; returns the evaluations. */
static int64_t draw(float *out, const struct model *m, const struct model *guide,
                    enum guide_label label, const struct generate_item *which, int64_t n,
                    const struct asked *how)
{
    struct generate_request r = {.model = m,
                                 .guide = guide,
                                 .guide_label = label,
                                 .settings = {.steps = 3, .shift = 3},
                                 .items = which,
                                 .n = n,
                                 .batch = how->batch,
                                 .numbers = how->numbers,
                                 .threads = how->threads ? how->threads : 2};
    struct error err = {0};
    int64_t evaluations;

    while (how->numbers[r.n_numbers])
        r.n_numbers++;
    while (how->sampler && strcmp(sampler_at(r.settings.sampler)->is.name, how->sampler) != 0)
        r.settings.sampler++;
    if (generate(out, &r, &evaluations, &err))
        fail_msg("%s", err.text);
    return evaluations;
}

/* Neither the batch nor the threads are seen in a picture. */
static void check_own_request(struct model *m, struct model *guide, enum guide_label label,
                              struct asked how)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];

    how.threads = 1;
    draw(want, m, guide, label, items, ITEMS, &how);
    for (how.threads = 2; how.threads <= 4; how.threads++) {
        draw(got, m, guide, label, items, ITEMS, &how);
        assert_memory_equal(want, got, sizeof want);
    }
    how.batch = how.threads = 2;
    draw(got, m, guide, label, items, ITEMS, &how);
    assert_memory_equal(want, got, sizeof want);
    for (int i = 0; i < ITEMS; i++) {
        draw(got, m, guide, label, &items[i], 1, &how);
        assert_memory_equal(want + i * LENGTH, got, LENGTH * sizeof *got);
    }
    model_free(guide);
    model_free(m);
}

static void test_own_request(void **state)
{
    (void)state;
    check_own_request(model_random(MODEL, 1), model_random(WEAK, 2), GUIDE_NONE,
                      (struct asked){.sampler = "heun"});
    check_own_request(model_random(MODEL, 1), model_random(WEAK, 2), GUIDE_SAME,
                      (struct asked){.numbers = {"guidance.kind=apg"}});
    check_own_request(model_random(UNET, 1), model_random(FREE, 2), GUIDE_NONE,
                      (struct asked){.sampler = "dpmpp_2m", .numbers = {"guidance.perturbed=1"}});
    check_own_request(
        model_random(MODEL, 1), model_random(NOISE, 2), GUIDE_SAME,
        (struct asked){.numbers = {"guidance.rescale=0.5", "guidance.threshold=0.9"}});
    check_own_request(
        model_random(NOISE, 2), model_random(MODEL, 1), GUIDE_NONE,
        (struct asked){.numbers = {"guidance.from=0.3", "guidance.kind=cfg_zero_star"}});
    check_own_request(model_random(TWO, 1), model_random(NOISE, 2), GUIDE_SAME,
                      (struct asked){.sampler = "euler_maruyama"});
}

/* Beside itself, asked for no label, a model is what it is alone; also away from a label, and with
 * every kind of guidance. */
static void test_beside_itself(void **state)
{
    static const struct generate_item low[ITEMS] = {
        {0, 0.7, 10}, {1, 0, 11}, {2, 1, 12}, {LABELS, 0.2, 13}, {3, 0.5, 14}};
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct model *m = model_random(MODEL, 1);

    (void)state;
    for (int k = 0; guidance_kind_at(k); k++)
        for (int negative = 0; negative < 2; negative++) {
            const struct guidance_kind *kind = guidance_kind_at(k);
            const struct generate_item *which = kind->from_zero ? low : items;
            char number[64];
            struct asked how = {.sampler = "heun",
                                .numbers = {number, negative ? "guidance.negative=3" : NULL}};

            snprintf(number, sizeof number, "guidance.kind=%s", kind->is.name);
            draw(want, m, NULL, GUIDE_NONE, which, ITEMS, &how);
            draw(got, m, m, GUIDE_NONE, which, ITEMS, &how);
            assert_memory_equal(want, got, sizeof want);
        }
    model_free(m);
}

/* w = 1 is the model alone and w = 0 its guide alone, at the price of one. */
static void test_zero_and_one(void **state)
{
    static const int64_t price[] = {3, 3, 6};
    static float want[LENGTH], got[LENGTH];
    struct model *m = model_random(UNET, 1), *guide = model_random(WEAK, 2);
    struct asked how = {.sampler = "euler"};

    (void)state;
    for (int w = 0; w < 3; w++)
        for (int same = 0; same < 2; same++) {
            struct generate_item item = {2, w, 7}, alone = item;

            assert_int_equal(draw(got, m, guide, (enum guide_label)same, &item, 1, &how), price[w]);
            alone.w = 1;
            if (w == 0 && !same)
                alone.label = LABELS;
            draw(want, w == 0 ? guide : m, NULL, GUIDE_NONE, &alone, 1, &how);
            if (w < 2)
                assert_memory_equal(want, got, sizeof want);
            else
                assert_memory_not_equal(want, got, sizeof want);
        }
    model_free(guide);
    model_free(m);
}

/* A guide of another prediction changes no picture that it does not guide, though it tells nothing
 * where the solver starts. */
static void test_other_prediction(void **state)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct generate_item trained[ITEMS];
    struct model *m = model_random(MODEL, 1), *guide = model_random(NOISE, 2);

    (void)state;
    for (int i = 0; i < ITEMS; i++) {
        trained[i] = items[i];
        trained[i].w = 1;
    }
    for (int s = 0; sampler_at(s); s++) {
        struct asked how = {.sampler = sampler_at(s)->is.name};

        if (sampler_at(s)->of_variance)
            continue;
        draw(want, m, NULL, GUIDE_NONE, trained, ITEMS, &how);
        draw(got, m, guide, GUIDE_SAME, trained, ITEMS, &how);
        assert_memory_equal(want, got, sizeof want);
        draw(got, m, guide, GUIDE_SAME, items, ITEMS, &how);
        assert_memory_not_equal(want, got, sizeof want);
        draw(want, m, guide, GUIDE_SAME, items, ITEMS, &how);
        assert_memory_equal(want, got, sizeof want);
    }
    model_free(guide);
    model_free(m);
}

/* Both predictions of a model are paired, and a guide with one is asked once for both. */
static void test_two_predictions(void **state)
{
    static float want[LENGTH], got[LENGTH];
    const struct generate_item item = {1, 2, 3};
    struct model *m = model_random(TWO, 1), *one = model_random(NOISE, 2);
    struct asked how = {.sampler = "euler_maruyama"};

    (void)state;
    assert_int_equal(draw(want, m, NULL, GUIDE_NONE, &item, 1, &how), 6);
    assert_int_equal(draw(got, m, m, GUIDE_NONE, &item, 1, &how), 6);
    assert_memory_equal(want, got, sizeof want);
    assert_int_equal(draw(got, m, one, GUIDE_SAME, &item, 1, &how), 6);
    assert_memory_not_equal(want, got, sizeof want);
    model_free(one);
    model_free(m);
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void refuse(struct model *m, struct model *guide, enum guide_label label, const char *number,
                   int32_t asked, const char *why)
{
    struct generate_item item = {asked, 2, 1};
    struct generate_request r = {.model = m,
                                 .guide = guide,
                                 .guide_label = label,
                                 .settings = {.steps = 2, .shift = 3},
                                 .items = &item,
                                 .n = 1,
                                 .numbers = &number,
                                 .n_numbers = number ? 1 : 0,
                                 .threads = 1};
    static float out[4 * LENGTH];
    struct error err = {0};

    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_says(err.text, why);
    model_free(m);
    model_free(guide);
}

static struct model *renamed(struct model *m, const char *third)
{
    char name[LABELS][8] = {"red", "green", "", "white"};
    char *names[LABELS];

    snprintf(name[2], sizeof name[2], "%s", third);
    for (int i = 0; i < LABELS; i++)
        names[i] = name[i];
    assert_int_equal(model_set_labels(m, names, LABELS, NULL), OK);
    return m;
}

static void test_refusals(void **state)
{
    struct model *m = model_random(
                     "\"model\": {\"network\": \"dit\", \"path\": \"vp_linear\"}, \"dit\": "
                     "{\"size\": 8, \"classes\": 4, \"width\": 8, \"depth\": 1, \"heads\": 2}",
                     1),
                 *moved = model_random(
                     "\"model\": {\"network\": \"dit\", \"path\": \"vp_linear\"}, \"dit\": "
                     "{\"size\": 8, \"classes\": 4, \"width\": 8, \"depth\": 1, \"heads\": 2}",
                     1),
                 *judge = model_random("\"model\": {\"network\": \"classifier_dit\"}, "
                                       "\"classifier_dit\": {\"size\": 8, \"classes\": 4, "
                                       "\"width\": 8, \"depth\": 1, \"heads\": 2}",
                                       1);

    (void)state;
    moved->path.values[0] += 0.5;
    refuse(model_random(MODEL, 1), m, GUIDE_NONE, NULL, 0,
           "the guide was trained on the path 'vp_linear', and the model on 'condot'");
    m = model_random("\"model\": {\"network\": \"dit\", \"path\": \"vp_linear\"}, \"dit\": "
                     "{\"size\": 8, \"classes\": 4, \"width\": 8, \"depth\": 1, \"heads\": 2}",
                     1);
    refuse(m, moved, GUIDE_NONE, NULL, 0, "and the model with");
    refuse(model_random(MODEL, 1), judge, GUIDE_NONE, NULL, 0, "can only guide as a classifier");
    refuse(model_random(MODEL, 1),
           model_random("\"model\": {\"network\": \"dit\"}, \"dit\": {\"size\": 16, \"classes\": "
                        "4, \"width\": 8, \"depth\": 1, \"heads\": 2}",
                        1),
           GUIDE_SAME, NULL, 0,
           "16 x 16 with 3 channels, and the model makes them of 8 x 8 with 3");
    refuse(model_random(MODEL, 1),
           model_random("\"model\": {\"network\": \"dit\"}, \"dit\": {\"size\": 8, \"channels\": "
                        "1, \"classes\": 4, \"width\": 8, \"depth\": 1, \"heads\": 2}",
                        1),
           GUIDE_SAME, NULL, 0, "8 x 8 with 1 channels");
    refuse(model_random(MODEL, 1), model_random(DIT("velocity", "\"classes\": 7, \"width\": 8"), 1),
           GUIDE_SAME, NULL, 0, "the guide knows 7 labels, and the model has 4");
    refuse(renamed(model_random(MODEL, 1), "blue"), renamed(model_random(WEAK, 2), "sad"),
           GUIDE_SAME, NULL, 0, "label 2 is 'sad' to the guide and 'blue' to the model");
    refuse(model_random(MODEL, 1), model_random(FREE, 2), GUIDE_SAME, NULL, 0,
           "the guide knows 0 labels and the model 4");
    refuse(model_random(FREE, 1), model_random(WEAK, 2), GUIDE_SAME, NULL, 0,
           "the guide knows 4 labels and the model 0");
    refuse(model_random(MODEL, 1), model_random(FORCED, 2), GUIDE_NONE, NULL, 0,
           "can only be asked for the same one");
    refuse(model_random(MODEL, 1), model_random(FORCED, 2), GUIDE_SAME, NULL, LABELS,
           "knows no null label");
    refuse(model_random(MODEL, 1), model_random(WEAK, 2), GUIDE_SAME, "guidance.negative=1", 0,
           "cannot be asked for a negative one");
    refuse(model_random(MODEL, 1), model_random(FREE, 2), GUIDE_NONE, "guidance.negative=1", 0,
           "the guide has no labels");
}

/* What one model could not do alone, two can: a model without a null label, and one without labels,
 * are guided. */
static void test_what_a_guide_makes_possible(void **state)
{
    static float want[LENGTH], got[LENGTH];
    const struct generate_item item = {1, 2, 3};
    struct model *forced = model_random(FORCED, 1), *weak = model_random(WEAK, 2);
    struct model *without = model_random(FREE, 3), *weaker = model_random(FREE, 4);
    struct asked how = {0};

    (void)state;
    draw(want, forced, weak, GUIDE_NONE, &item, 1, &how);
    draw(got, forced, weak, GUIDE_SAME, &item, 1, &how);
    assert_memory_not_equal(want, got, sizeof want);
    draw(want, without, NULL, GUIDE_NONE, &item, 1, &how);
    draw(got, without, weaker, GUIDE_SAME, &item, 1, &how);
    assert_memory_not_equal(want, got, sizeof want);
    model_free(forced);
    model_free(weak);
    model_free(without);
    model_free(weaker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_request),
        cmocka_unit_test(test_beside_itself),
        cmocka_unit_test(test_zero_and_one),
        cmocka_unit_test(test_other_prediction),
        cmocka_unit_test(test_two_predictions),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_what_a_guide_makes_possible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
