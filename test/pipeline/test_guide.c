/*
 * test_guide.c - networks that classify, as guides: their gradient, their pictures, and what
 * is refused
 *
 * Random weights everywhere, so that every layer counts.  The last test trains a tiny classifier on
 * a labelled Gaussian mixture and guides the exact unguided field with it: the share of points that
 * obey is then measured by the exact posterior.
 */
#include "pipeline/generate.h"
#include "pipeline/guide.h"

#include "base/rng.h"
#include "diffusion/loss.h"
#include "ops/cross_entropy.h"
#include "support/mixtures.h"
#include "support/models.h"
#include "support/says.h"
#include "train/adamw.h"
#include "train/classify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, LENGTH = SIDE * SIDE * 3, LABELS = 4, ITEMS = 5 };

static struct model *make_generator(const char *classes)
{
    const char *const settings[] = {"size=8",  classes,   "patch=2", "width=16",
                                    "depth=1", "heads=2", NULL};
    struct model *m = model_of("dit", NULL, settings, false);

    model_disturb(m, 5, 0.05);
    return m;
}

static struct model *make_unet_classifier(void)
{
    const char *const settings[] = {"size=8",      "classes=4", "width=8", "mult=1,2", "blocks=1",
                                    "attention=2", "groups=4",  "heads=2", NULL};
    struct model *m = model_of("classifier", NULL, settings, false);

    model_disturb(m, 5, 0.1);
    return m;
}

static struct model *make_dit_classifier(void)
{
    const char *const settings[] = {"size=8",  "classes=4", "patch=2", "width=16",
                                    "depth=2", "heads=2",   NULL};
    struct model *m = model_of("classifier_dit", NULL, settings, false);

    model_disturb(m, 5, 0.1);
    return m;
}

/* log p(y | x, t) of each row by the network's forward alone. */
static void log_p(double *out, const struct model *m, const double *x, double t,
                  const int32_t *label, int64_t rows)
{
    float *points = calloc((size_t)(rows * LENGTH), sizeof *points), times[8], surprise[8];
    struct network_input in = {0};
    struct graph *g;
    struct tensor *y;

    assert_non_null(points);
    for (int64_t i = 0; i < rows * LENGTH; i++)
        points[i] = (float)x[i];
    for (int64_t i = 0; i < rows; i++)
        times[i] = (float)(t * m->options.time_scale);
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    in.x = graph_input(g, SHAPE(rows, SIDE, SIDE, 3), points);
    in.t = graph_input(g, SHAPE(rows), times);
    y = op_cross_entropy(g, network_forward(g, m->network, in),
                         graph_input_i32(g, SHAPE(rows), label));
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, surprise);
    for (int64_t i = 0; i < rows; i++)
        out[i] = -(double)surprise[i];
    graph_free(g);
    free(points);
}

/* theory.md F5: along a direction, the gradient is what central differences say. */
static void check_gradient(struct model *m)
{
    enum { ROWS = 3 };
    static const int32_t label[ROWS] = {2, 0, 3};
    static double x[ROWS * LENGTH], moved[ROWS * LENGTH], d[ROWS * LENGTH], grad[ROWS * LENGTH];
    struct network_classifier c;
    struct label_gradient by;
    struct graph *g;
    double lo[ROWS], hi[ROWS], h = 5e-3;

    for (int64_t i = 0; i < ROWS * LENGTH; i++) {
        struct rng r = rng_stream(9, RNG_TEST, (uint64_t)i);

        x[i] = rng_normal(&r);
    }
    assert_int_equal(graph_new(&g, GRAPH_FROZEN, 2, NULL), OK);
    assert_int_equal(network_classifier_init(&c, m, g, label, ROWS, NULL), OK);
    by = gradient_of_classifier(&c);
    assert_int_equal(by.gradient(by.self, grad, x, 0.7, NULL), OK);
    for (int i = 0; i < ROWS; i++) { /* along the gradient itself, whose slope is its length */
        double length = 0;

        for (int k = 0; k < LENGTH; k++)
            length += grad[i * LENGTH + k] * grad[i * LENGTH + k];
        assert_true(length > 1e-8);
        for (int k = 0; k < LENGTH; k++)
            d[i * LENGTH + k] = grad[i * LENGTH + k] / sqrt(length);
    }
    for (int64_t i = 0; i < ROWS * LENGTH; i++)
        moved[i] = x[i] - h * d[i];
    log_p(lo, m, moved, 0.7, label, ROWS);
    for (int64_t i = 0; i < ROWS * LENGTH; i++)
        moved[i] = x[i] + h * d[i];
    log_p(hi, m, moved, 0.7, label, ROWS);
    for (int i = 0; i < ROWS; i++) {
        double slope = 0;

        for (int k = 0; k < LENGTH; k++)
            slope += grad[i * LENGTH + k] * d[i * LENGTH + k];
        assert_true(fabs((hi[i] - lo[i]) / (2 * h) - slope) < 1e-3 * slope + 1e-4);
    }
    network_classifier_release(&c);
    graph_free(g);
    model_free(m);
}

static void test_gradient(void **state)
{
    (void)state;
    check_gradient(make_unet_classifier());
    check_gradient(make_dit_classifier());
}

/* A transformer's last layer starts at zero: all classes are equally likely. */
static void test_starts_undecided(void **state)
{
    const char *const settings[] = {"size=8",  "classes=4", "patch=2", "width=16",
                                    "depth=2", "heads=2",   NULL};
    struct model *m = model_of("classifier_dit", NULL, settings, false);
    static double x[LENGTH];
    const int32_t label = 1;
    double p;

    (void)state;
    for (int i = 0; i < LENGTH; i++)
        x[i] = sin(i);
    log_p(&p, m, x, 0.3, &label, 1);
    assert_true(fabs(p + log(4)) < 1e-6);
    model_free(m);
}

/* --- pictures -----------------------------------------------------------------------------------
 */

static const struct generate_item items[ITEMS] = {
    {0, 2, 10}, {1, 0, 11}, {2, 1, 12}, {LABELS, 3, 13}, {3, 7.5, 14}};

static void draw(float *out, const struct model *m, const struct model *classifier, double scale,
                 const struct generate_item *which, int64_t n, int64_t batch, int threads)
{
    struct generate_request r = {.model = m,
                                 .classifier = classifier,
                                 .classifier_scale = scale,
                                 .settings = m->sample,
                                 .items = which,
                                 .n = n,
                                 .batch = batch,
                                 .threads = threads};
    struct error err = {0};

    if (generate(out, &r, NULL, &err))
        fail_msg("%s", err.text);
}

/* Neither the batch nor the threads are seen in a picture; scale 0 and the null label are as
 * without a classifier. */
static void check_own_request(struct model *m, struct model *by)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];

    draw(want, m, by, 2, items, ITEMS, 0, 1);
    for (int threads = 2; threads <= 4; threads++) {
        draw(got, m, by, 2, items, ITEMS, 0, threads);
        assert_memory_equal(want, got, sizeof want);
    }
    draw(got, m, by, 2, items, ITEMS, 2, 2);
    assert_memory_equal(want, got, sizeof want);
    for (int i = 0; i < ITEMS; i++) {
        draw(got, m, by, 2, &items[i], 1, 0, 2);
        assert_memory_equal(want + i * LENGTH, got, LENGTH * sizeof *got);
    }
    draw(got, m, NULL, 0, items, ITEMS, 0, 2);
    for (int i = 0; i < ITEMS; i++)
        assert_true((items[i].label == LABELS) ==
                    !memcmp(want + i * LENGTH, got + i * LENGTH, LENGTH * sizeof *got));
    draw(want, m, by, 0, items, ITEMS, 0, 2);
    assert_memory_equal(want, got, sizeof want);
    model_free(by);
    model_free(m);
}

static void test_own_request(void **state)
{
    (void)state;
    check_own_request(make_generator("classes=4"), make_unet_classifier());
    check_own_request(make_generator("classes=4"), make_dit_classifier());
}

/* Without labels of its own, a model obeys the classifier's. */
static void test_unconditional(void **state)
{
    struct generate_item two[2] = {{2, 1, 5}, {-1, 1, 5}};
    struct model *m = make_generator("classes=0"), *by = make_unet_classifier();
    static float guided[2 * LENGTH], plain[2 * LENGTH];
    struct generate_request r = {
        .model = m, .classifier = by, .classifier_scale = 3, .items = two, .n = 2, .threads = 1};
    struct error err = {0};

    (void)state;
    draw(guided, m, by, 3, two, 2, 0, 2);
    draw(plain, m, NULL, 0, two, 2, 0, 2);
    assert_memory_equal(guided + LENGTH, plain + LENGTH, LENGTH * sizeof *plain);
    assert_memory_not_equal(guided, plain, LENGTH * sizeof *plain);
    two[1].label = LABELS;
    r.settings = m->sample;
    assert_int_equal(generate(guided, &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "label 4 is not in 0..3"));
    model_free(by);
    model_free(m);
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void check_refused(struct model *m, struct model *by, const char *why)
{
    struct generate_item one = {0, 1, 1};
    struct generate_request r = {.model = m,
                                 .classifier = by,
                                 .classifier_scale = 1,
                                 .settings = m->sample,
                                 .items = &one,
                                 .n = 1,
                                 .threads = 1};
    static float out[4 * LENGTH];
    struct error err = {0};

    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_says(err.text, why);
    model_free(m);
    model_free(by);
}

static struct model *other_classifier(const char *path, const char *size, const char *channels,
                                      const char *classes)
{
    const char *const settings[] = {size,       channels,  classes,   "patch=2",
                                    "width=16", "depth=1", "heads=2", NULL};

    return model_of("classifier_dit", path, settings, false);
}

static struct model *other_generator(const char *path)
{
    const char *const settings[] = {"size=8",  "classes=4", "patch=2", "width=16",
                                    "depth=1", "heads=2",   NULL};

    return model_of("dit", path, settings, false);
}

static void test_refusals(void **state)
{
    static char red[] = "red", green[] = "green", blue[] = "blue", sad[] = "sad";
    char *const ours[] = {red, green, blue, green}, *const theirs[] = {red, green, sad, green};
    struct model *m = make_generator("classes=4"), *by = make_dit_classifier();

    (void)state;
    assert_int_equal(model_set_labels(m, ours, LABELS, NULL), OK);
    assert_int_equal(model_set_labels(by, theirs, LABELS, NULL), OK);
    check_refused(m, by, "label 2 is 'sad' to the classifier and 'blue' to the model");
    check_refused(make_generator("classes=4"),
                  other_classifier(NULL, "size=16", "channels=3", "classes=4"),
                  "16 x 16 with 3 channels, and the model makes them of 8 x 8 with 3");
    check_refused(make_generator("classes=4"),
                  other_classifier(NULL, "size=8", "channels=1", "classes=4"),
                  "8 x 8 with 1 channels, and the model makes them of 8 x 8 with 3");
    check_refused(make_generator("classes=4"),
                  other_classifier(NULL, "size=8", "channels=3", "classes=7"),
                  "7 labels, and the model has 4");
    check_refused(make_generator("classes=4"),
                  other_classifier("cosine", "size=8", "channels=3", "classes=4"),
                  "path 'cosine', and the model on 'condot'");
    check_refused(make_generator("classes=4"), make_generator("classes=4"),
                  "cannot guide as a classifier");
    check_refused(make_dit_classifier(), NULL, "makes none");
    m = other_generator("vp_linear");
    by = other_classifier("vp_linear", "size=8", "channels=3", "classes=4");
    by->path.values[0] += 0.5;
    check_refused(m, by, "trained on the path 'vp_linear' with");
}

/* --- obedience ----------------------------------------------------------------------------------
 */

enum { DIM = 4, POINTS = 200, BATCH = 64, STEPS = 600 };

/* Three parts in four dimensions, a label each. */
static void mixture_of_four(struct mixture *m)
{
    static const double weight[] = {0.5, 0.3, 0.2};
    static const double mean[] = {1.2, 0, -0.6, 0.4, -1, 0.8, 0.5, -0.5, 0, -1.2, 0.9, 0.2};
    static const int32_t label[] = {0, 1, 2};
    double cov[3 * DIM * DIM] = {0};

    for (int i = 0; i < 3 * DIM; i++)
        cov[i / DIM * DIM * DIM + i % DIM * (DIM + 1)] = 0.15;
    assert_int_equal(mixture_init(m, DIM, 3, weight, mean, cov, label, NULL), OK);
}

/* A step of training on fresh points. */
static double train_step(struct model *m, struct graph *g, const struct mixture *from,
                         struct flow_batch *b, float *state, int64_t step)
{
    struct params *p = m->network->params;
    int64_t n = params_n_trained(p);
    struct flow_task task = {.path = m->path, .null_label = -1, .seed = 4};
    struct adamw a = {
        .lr = 3e-3, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .clip = 1, .step = step + 1};
    struct network_input in = {0};
    struct tensor *loss;
    float z[BATCH * DIM], value;
    int32_t label[BATCH];

    for (int i = 0; i < BATCH; i++) {
        struct rng r = rng_stream(8, RNG_TEST, (uint64_t)(step * BATCH + i));
        double point[DIM];

        label[i] = mixture_sample(point, from, MIXTURE_ANY, &r);
        for (int k = 0; k < DIM; k++)
            z[i * DIM + k] = (float)point[k];
    }
    assert_int_equal(time_init(&task.time, "uniform", NULL), OK);
    assert_int_equal(flow_batch_draw(b, &task, z, label, (uint64_t)(step * BATCH), NULL), OK);
    for (int i = 0; i < BATCH; i++)
        b->t[i] *= (float)m->options.time_scale;
    graph_reset(g);
    in.x = graph_input(g, SHAPE(BATCH, 2, 2, 1), b->x);
    in.t = graph_input(g, SHAPE(BATCH), b->t);
    loss = classify_loss(g, network_forward(g, m->network, in), b->label);
    graph_backward(g, loss);
    graph_keep(g, loss);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &value);
    adamw_step(params_values(p), state, state + n, state + 2 * n, params_grads(p), n,
               gradient_norm(params_grads(p), n), &a);
    return (double)value;
}

/* Mean posterior p(y | z) of points that the exact unguided field ends in, pulled by the network.
 */
static double obedience(const struct mixture *from, const struct model *by, double scale)
{
    static double x[POINTS * DIM], scales[POINTS], ones[POINTS];
    static int32_t wanted[POINTS], none[POINTS];
    struct mixture_oracle oracle = {
        .mixture = from, .path = by->path, .label = none, .rows = POINTS};
    struct field field = {.path = by->path, .predicts = PREDICT_VELOCITY};
    struct sampling_request r = {.steps = 30};
    struct path_coefs end = path_at(&by->path, 1);
    struct network_classifier net;
    struct classifier_guidance pull;
    struct guidance guidance;
    struct graph *g;
    double times[31], log_share, sum = 0;

    for (int i = 0; i < POINTS; i++) {
        wanted[i] = i % 3;
        none[i] = MIXTURE_ANY;
        scales[i] = scale;
        ones[i] = 1;
        sampling_start(x + i * DIM, &by->path, (uint64_t)i, 0, DIM);
    }
    for (int i = 0; i <= 30; i++)
        times[i] = i / 30.0;
    assert_int_equal(sampler_find(&r.sampler, "heun", NULL), OK);
    assert_int_equal(graph_new(&g, GRAPH_FROZEN, 2, NULL), OK);
    assert_int_equal(network_classifier_init(&net, by, g, wanted, POINTS, NULL), OK);
    assert_int_equal(classifier_guidance_init(&pull, predictor_of_mixture(&oracle),
                                              gradient_of_classifier(&net), &by->path,
                                              PREDICT_VELOCITY, scales, NULL),
                     OK);
    assert_int_equal(guidance_init(&guidance, predictor_of_classifier(&pull), ones, NULL, NULL),
                     OK);
    field.guidance = &guidance;
    r.field = &field;
    r.times = times;
    assert_int_equal(sampling_run(x, &r, NULL, NULL), OK);
    for (int i = 0; i < POINTS; i++) {
        assert_int_equal(
            mixture_posterior(&log_share, NULL, from, &end, x + i * DIM, wanted[i], NULL), OK);
        sum += exp(log_share) / POINTS;
    }
    guidance_release(&guidance);
    classifier_guidance_release(&pull);
    network_classifier_release(&net);
    graph_free(g);
    return sum;
}

static void test_obedience(void **state)
{
    const char *const settings[] = {"size=2",   "channels=1", "classes=3", "patch=1",
                                    "width=16", "depth=2",    "heads=2",   NULL};
    struct model *by = model_of("classifier_dit", NULL, settings, true);
    int64_t n = params_n_trained(by->network->params);
    double first = 0, last = 0, none, one, four;
    struct flow_batch b;
    struct mixture m;
    struct graph *g;
    float *moments;

    (void)state;
    mixture_of_four(&m);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    assert_int_equal(flow_batch_init(&b, BATCH, DIM, NULL), OK);
    moments = calloc((size_t)(3 * n), sizeof *moments);
    assert_non_null(moments);
    for (int64_t s = 0; s < STEPS; s++) {
        double loss = train_step(by, g, &m, &b, moments, s);

        first += s < 20 ? loss / 20 : 0;
        last += s >= STEPS - 20 ? loss / 20 : 0;
    }
    assert_true(last < 0.8 * first);
    none = obedience(&m, by, 0);
    one = obedience(&m, by, 1);
    four = obedience(&m, by, 4);
    print_message("loss %.3f to %.3f; obedience %.3f, %.3f, %.3f at scales 0, 1, 4\n", first, last,
                  none, one, four);
    assert_true(none > 0.25 && none < 0.42); /* a third of each label is asked for */
    assert_true(one > none + 0.3);
    assert_true(four > one + 0.05);
    free(moments);
    flow_batch_release(&b);
    graph_free(g);
    model_free(by);
    mixture_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),    cmocka_unit_test(test_starts_undecided),
        cmocka_unit_test(test_own_request), cmocka_unit_test(test_unconditional),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_obedience),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
