/*
 * test_predictions.c - models that predict anything, draw pictures
 *
 * Random weights: what is asked is not whether the pictures are good but whether sampling reads the
 * network the way it would have been trained, whatever it predicts, and refuses what cannot be.
 */
#include "pipeline/generate.h"
#include "pipeline/predictor.h"

#include "base/rng.h"
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, LENGTH = SIDE * SIDE * 3, LABELS = 4, ROWS = 3 };

static const char network[] =
    "\"dit\": {\"size\": 8, \"classes\": 4, \"patch\": 4, \"width\": 32, \"depth\": 2, "
    "\"heads\": 2, \"learn_sigma\": %s}";

/* A model by the members of its section "model" and further sections. */
static enum status describe(struct model **out, const char *model, const char *more, bool wide,
                            struct error *err)
{
    char text[1024], dit[256];

    snprintf(dit, sizeof dit, network, wide ? "true" : "false");
    snprintf(text, sizeof text, "{\"format\": 1, \"model\": {\"network\": \"dit\"%s%s}, %s%s%s}",
             *model ? ", " : "", model, dit, *more ? ", " : "", more);
    return model_from_text(out, text, "a description", err);
}

static struct model *make(const char *model, const char *more, bool wide)
{
    struct rng r = rng_stream(5, RNG_TEST, 0);
    struct error err = {0};
    struct model *m;

    if (describe(&m, model, more, wide, &err))
        fail_msg("%s", err.text);
    assert_int_equal(params_alloc(m->network->params, false, NULL), OK);
    params_init(m->network->params, 3);
    for (int64_t i = 0; i < params_count(m->network->params); i++) {
        struct param *p = params_at(m->network->params, i);

        for (int64_t k = 0; k < shape_count(p->shape) && p->trained; k++)
            p->value[k] += (float)(0.05 * rng_normal(&r));
    }
    return m;
}

static const struct generate_item items[ROWS] = {{0, 2, 10}, {1, 0, 11}, {LABELS, 1, 13}};

/* Pictures of all items; returns the evaluations. */
static int64_t draw(float *out, const struct model *m, const char *sampler, enum use_heads heads,
                    int64_t batch)
{
    struct generate_request r = {.model = m,
                                 .settings = {.steps = 4, .shift = 3, .heads = heads},
                                 .items = items,
                                 .n = ROWS,
                                 .batch = batch,
                                 .threads = 2};
    struct error err = {0};
    int64_t evaluations;

    while (strcmp(sampler_at(r.settings.sampler)->is.name, sampler))
        r.settings.sampler++;
    if (generate(out, &r, &evaluations, &err))
        fail_msg("%s: %s", sampler, err.text);
    for (int i = 0; i < ROWS * LENGTH; i++)
        assert_true(isfinite(out[i]));
    return evaluations;
}

/* Every solver draws from every prediction on paths that start or end where something is 0 / 0, and
 * a picture is still a function of its own request. */
static void every_prediction_with_every_solver(void **state)
{
    static const char *const paths[] = {"condot", "cosine", "vp_linear", "ve_karras"};
    static float whole[ROWS * LENGTH], cut[ROWS * LENGTH];

    (void)state;
    for (int i = 0; i < 4; i++)
        for (int p = 0; p < N_PREDICTIONS; p++) {
            char model[128];
            struct model *m;

            snprintf(model, sizeof model, "\"path\": \"%s\", \"prediction\": \"%s\"", paths[i],
                     prediction_at(p)->name);
            m = make(model, "", false);
            for (int s = 0; sampler_at(s); s++) {
                const char *name = sampler_at(s)->is.name;

                if ((sampler_at(s)->adaptive && p != PREDICT_DATA) || sampler_at(s)->of_variance)
                    continue; /* random fields of that size are stiff, and none says a variance */
                draw(whole, m, name, HEADS_BOTH, 0);
                draw(cut, m, name, HEADS_BOTH, 1);
                assert_memory_equal(whole, cut, sizeof whole);
            }
            model_free(m);
        }
}

/* The wrapper: what a bare network says about (in x, time), times out, plus skip x. */
static void edm_around_a_network(void **state)
{
    struct model *bare = make("\"prediction\": \"data\", \"time_scale\": 1", "", false);
    struct model *wrapped = make("\"prediction\": \"data\", \"precondition\": \"edm\"",
                                 "\"precondition\": {\"data_std\": 0.7}", false);
    const int32_t label[1] = {2};
    const double t = 0.3, sigma = 0.7 / 0.3, time = log(sigma) / 4;
    double x[LENGTH], in[LENGTH], want[LENGTH], got[LENGTH];
    double size = sqrt(sigma * sigma + 0.49), shown[2];
    struct network_predictor net[2];
    struct rng r = rng_stream(6, RNG_TEST, 0);
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    for (int i = 0; i < LENGTH; i++) {
        x[i] = rng_normal(&r);
        in[i] = x[i] / t / size;
    }
    assert_int_equal(network_predictor_init(&net[0], bare, g, label, NULL, 1, NULL), OK);
    assert_int_equal(network_predictor_init(&net[1], wrapped, g, label, NULL, 1, NULL), OK);
    for (int k = 0; k < 2; k++) {
        struct predictor p = predictor_of_network(&net[k]);

        assert_int_equal(
            p.predict(p.self, k ? got : want, k ? x : in, k ? t : time, BRANCH_GUIDED, NULL), OK);
        shown[k] = (double)net[k].t[0];
    }
    near(shown[1], shown[0], 1e-6, "time");
    for (int i = 0; i < LENGTH; i++)
        near(got[i], 0.49 / (size * size) * x[i] / t + sigma * 0.7 / size * want[i], 1e-5, "data");
    for (int k = 0; k < 2; k++)
        network_predictor_release(&net[k]);
    graph_free(g);
    model_free(bare);
    model_free(wrapped);
}

/* A network of a discrete schedule is told its indices, whole at whole steps. */
static void indices_are_told(void **state)
{
    struct model *m = make("\"prediction\": \"noise\", \"path\": \"ddpm_linear\", "
                           "\"time_input\": \"index\"",
                           "", false);
    const int32_t label[1] = {0};
    struct network_predictor net;
    double x[LENGTH] = {0}, y[LENGTH];
    struct predictor p;
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    assert_int_equal(network_predictor_init(&net, m, g, label, NULL, 1, NULL), OK);
    p = predictor_of_network(&net);
    for (int k = 0; k < 1000; k += 37) {
        assert_int_equal(
            p.predict(p.self, y, x, path_time_of_index(&m->path, k), BRANCH_GUIDED, NULL), OK);
        assert_true(net.t[0] == (float)k);
    }
    network_predictor_release(&net);
    graph_free(g);
    model_free(m);
}

static float largest(const struct model *m, enum clip_when clip, float out[LENGTH])
{
    struct generate_request r = {.model = m,
                                 .settings = {.steps = 6, .shift = 3, .clip = clip},
                                 .items = items,
                                 .n = 1,
                                 .threads = 1};
    float most = 0;

    assert_int_equal(generate(out, &r, NULL, NULL), OK);
    for (int i = 0; i < LENGTH; i++)
        most = fmaxf(most, fabsf(out[i]));
    return most;
}

/* What is divided by alpha = 0.01 leaves the range of pictures unless it is held there; a velocity
 * is not divided and not touched unless asked. */
static void pictures_of_noise_stay_in_range(void **state)
{
    struct model *noise = make("\"prediction\": \"noise\"", "", false), *u = make("", "", false);
    static float a[LENGTH], b[LENGTH];

    (void)state;
    assert_true(largest(noise, CLIP_OFF, a) > 5);
    assert_true(largest(noise, CLIP_AUTO, a) < 1.0001f);
    assert_true(largest(noise, CLIP_ON, b) < 1.0001f);
    assert_memory_equal(a, b, sizeof a);
    assert_true(largest(u, CLIP_OFF, a) > 1.1f);
    largest(u, CLIP_AUTO, b);
    assert_memory_equal(a, b, sizeof a);
    assert_true(largest(u, CLIP_ON, b) < 1.0001f);
    model_free(noise);
    model_free(u);
}

/* ---- Two predictions ---- */

static struct model *make_two(void)
{
    return make("\"prediction\": \"velocity\", \"second\": \"noise\"", "", true);
}

/* The network runs once for both; each head alone is another field; the flow is the first's. */
static void two_predictions_cost_one_evaluation(void **state)
{
    static float both[ROWS * LENGTH], first[ROWS * LENGTH], second[ROWS * LENGTH];
    struct model *m = make_two();
    /* Four steps of one picture at w = 2, and of two at w = 0 and w = 1: both branches for all. */
    int64_t want = 4 * 2 * ROWS;

    (void)state;
    assert_int_equal(draw(both, m, "euler_maruyama", HEADS_BOTH, 0), want);
    assert_int_equal(draw(first, m, "euler_maruyama", HEADS_FIRST, 0), want);
    draw(second, m, "euler_maruyama", HEADS_SECOND, 0);
    assert_memory_not_equal(both, first, sizeof both);
    assert_memory_not_equal(both, second, sizeof both);
    assert_memory_not_equal(first, second, sizeof both);
    assert_int_equal(draw(both, m, "euler", HEADS_BOTH, 0), want);
    draw(first, m, "euler", HEADS_FIRST, 0);
    assert_memory_equal(both, first, sizeof both);
    model_free(m);
}

static void two_predictions_with_every_solver(void **state)
{
    static float whole[ROWS * LENGTH], cut[ROWS * LENGTH];
    struct model *m = make_two();

    (void)state;
    for (int s = 0; sampler_at(s); s++) {
        if (sampler_at(s)->of_variance)
            continue;
        draw(whole, m, sampler_at(s)->is.name, HEADS_BOTH, 0);
        draw(cut, m, sampler_at(s)->is.name, HEADS_BOTH, 2);
        assert_memory_equal(whole, cut, sizeof whole);
    }
    model_free(m);
}

/* A network that says a variance is asked no more often for it, and each picture is a function of
 * its own request: its variance comes from the branch that it is made from. */
static void a_learned_variance(void **state)
{
    static float whole[ROWS * LENGTH], cut[ROWS * LENGTH], posterior[ROWS * LENGTH];
    struct model *m = make("\"path\": \"ddpm_linear\", \"prediction\": \"noise\"", "", true);
    struct model *narrow = make("\"path\": \"ddpm_linear\", \"prediction\": \"noise\"", "", false);
    struct model *flow = make("\"path\": \"cosine\", \"prediction\": \"noise\"", "", true);
    struct generate_request r = {.settings = {.steps = 4, .shift = 3}, .items = items, .n = ROWS};
    struct error err = {0};
    int64_t evaluations;

    (void)state;
    assert_true(model_has_variance(m));
    assert_false(model_has_variance(narrow));
    evaluations = draw(whole, m, "ddpm_learned", HEADS_BOTH, 0);
    draw(cut, m, "ddpm_learned", HEADS_BOTH, 1);
    assert_memory_equal(whole, cut, sizeof whole);
    assert_int_equal(draw(posterior, m, "euler_ancestral", HEADS_BOTH, 0), evaluations);
    assert_memory_not_equal(whole, posterior, sizeof whole);

    r.threads = 1;
    while (!sampler_at(r.settings.sampler)->of_variance)
        r.settings.sampler++;
    r.model = narrow;
    assert_int_equal(generate(whole, &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "variance"));
    r.model = flow;
    assert_int_equal(generate(whole, &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "'cosine' is continuous"));
    model_free(m);
    model_free(narrow);
    model_free(flow);
}

/* What is remembered is an answer to one question only. */
static void remembered_answers_are_not_mixed_up(void **state)
{
    struct model *m = make_two();
    const int32_t label[2] = {1, 3};
    struct network_predictor net;
    double x[2 * LENGTH] = {0}, a[4 * LENGTH], b[4 * LENGTH], c[4 * LENGTH];
    struct predictor first, second;
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    assert_int_equal(network_predictor_init(&net, m, g, label, NULL, 2, NULL), OK);
    first = predictor_of_network(&net);
    second = predictor_of_second(&net);
    assert_int_equal(first.predict(first.self, a, x, 0.5, BRANCH_BOTH, NULL), OK);
    assert_int_equal(second.predict(second.self, b, x, 0.5, BRANCH_BOTH, NULL), OK);
    assert_int_equal(net.evaluations, 2);
    assert_memory_not_equal(a, b, sizeof a);
    x[LENGTH + 3] = 1;
    assert_int_equal(second.predict(second.self, c, x, 0.5, BRANCH_BOTH, NULL), OK);
    assert_int_equal(net.evaluations, 4);
    assert_memory_equal(b, c, LENGTH * sizeof *b);
    assert_memory_not_equal(b + LENGTH, c + LENGTH, LENGTH * sizeof *b);
    assert_int_equal(second.predict(second.self, b, x, 0.25, BRANCH_BOTH, NULL), OK);
    assert_int_equal(second.predict(second.self, c, x, 0.25, BRANCH_GUIDED, NULL), OK);
    assert_int_equal(net.evaluations, 6);
    assert_memory_equal(b + 2 * LENGTH, c, 2 * LENGTH * sizeof *b);
    assert_int_equal(second.predict(second.self, c, x, 0.5, BRANCH_GUIDED, NULL), OK);
    assert_int_equal(second.predict(second.self, c, x, 0.5, BRANCH_UNGUIDED, NULL), OK);
    assert_int_equal(net.evaluations, 8);
    network_predictor_release(&net);
    graph_free(g);
    model_free(m);
}

/* ---- Descriptions ---- */

/* A file from before there was anything to choose: the velocity, of a network fed time_scale t. */
static void absent_is_a_plain_velocity(void **state)
{
    struct model *m = make("\"path\": \"condot\", \"time_scale\": 1000", "", false);

    (void)state;
    assert_int_equal(m->options.prediction, PREDICT_VELOCITY);
    assert_int_equal(m->options.second, 0);
    assert_true(precondition_is_plain(&m->precondition));
    assert_int_equal(m->precondition.time_input, TIME_SCALED);
    assert_int_equal(m->sample.heads, HEADS_BOTH);
    model_free(m);
}

static void descriptions_come_back(void **state)
{
    struct model *m = make("\"prediction\": \"data\", \"precondition\": \"edm\", "
                           "\"path\": \"ve_karras\"",
                           "\"precondition\": {\"data_std\": 0.25}", false);
    struct model *two = make_two(), *again;
    char *a, *b;

    (void)state;
    assert_int_equal(model_describe(m, &a, NULL), OK);
    assert_int_equal(model_from_text(&again, a, "again", NULL), OK);
    assert_true(again->precondition.values[0] == 0.25);
    assert_int_equal(model_describe(again, &b, NULL), OK);
    assert_string_equal(a, b);
    model_free(again);
    free(a);
    free(b);
    assert_int_equal(model_describe(two, &a, NULL), OK);
    assert_int_equal(model_from_text(&again, a, "again", NULL), OK);
    assert_int_equal(again->options.second, 1 + PREDICT_NOISE);
    model_free(again);
    free(a);
    model_free(m);
    model_free(two);
}

static void what_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *model, *more;
        bool wide;
        const char *word;
    } bad[] = {
        {"\"prediction\": \"speed\"", "", false, "speed"},
        {"\"second\": \"noise\"", "", false, "twice"},
        {"\"second\": \"velocity\"", "", true, "already"},
        {"\"precondition\": \"edm\"", "", false, "velocity"},
        {"\"prediction\": \"data\", \"precondition\": \"edm\", \"second\": \"noise\"", "", true,
         "one prediction"},
        {"\"prediction\": \"data\", \"precondition\": \"edm\", \"time_input\": \"index\"", "",
         false, "brings its own time"},
        {"\"time_input\": \"index\"", "", false, "continuous"},
        {"\"prediction\": \"data\", \"precondition\": \"edm\"",
         "\"precondition\": {\"data_std\": -1}", false, "data_std"},
        {"", "\"precondition\": {\"data_std\": 1}", false, "data_std"},
    };
    struct model *m = make("", "", false);
    struct generate_request r = {.model = m,
                                 .settings = {.steps = 4, .shift = 3, .heads = HEADS_SECOND},
                                 .items = items,
                                 .n = 1,
                                 .threads = 1};
    static float out[LENGTH];
    struct error err = {0};

    (void)state;
    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "second"));
    model_free(m);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_not_equal(describe(&m, bad[i].model, bad[i].more, bad[i].wide, &err), OK);
        if (!strstr(err.text, bad[i].word))
            fail_msg("%zu: \"%s\" does not speak of \"%s\"", i, err.text, bad[i].word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prediction_with_every_solver),
        cmocka_unit_test(edm_around_a_network),
        cmocka_unit_test(indices_are_told),
        cmocka_unit_test(pictures_of_noise_stay_in_range),
        cmocka_unit_test(two_predictions_cost_one_evaluation),
        cmocka_unit_test(two_predictions_with_every_solver),
        cmocka_unit_test(a_learned_variance),
        cmocka_unit_test(remembered_answers_are_not_mixed_up),
        cmocka_unit_test(absent_is_a_plain_velocity),
        cmocka_unit_test(descriptions_come_back),
        cmocka_unit_test(what_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
