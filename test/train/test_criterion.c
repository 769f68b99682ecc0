/*
 * test_criterion.c - the recorded loss: its value, its gradient, its refusals
 *
 * The network is left out: what it would say is an input of the tape that wants a gradient.  Every
 * prediction, error, weight and wrapper that may be combined is compared with central differences
 * (exact for squares, good to 1e-4 for the rest), eager with planned, and with the same loss
 * computed row by row on the host.
 */
#include "train/criterion.h"

#include "base/rng.h"
#include "ops/loss.h"
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 5, SIDE = 2, CHANNELS = 3, LENGTH = SIDE * SIDE * CHANNELS, PROBES = 12 };

static const struct network_io one_head = {
    .height = SIDE, .width = SIDE, .in_channels = CHANNELS, .out_channels = CHANNELS};
static const struct network_io two_heads = {
    .height = SIDE, .width = SIDE, .in_channels = CHANNELS, .out_channels = 2 * CHANNELS};

/* A batch, and what a network might say about it. */
struct bench {
    struct flow_task task;
    struct criterion criterion;
    struct flow_batch batch;
    int64_t channels; /* of the network */
    float z[ROWS * LENGTH], y[2 * ROWS * LENGTH], numbers[ROWS * VB_NUMBERS];
};

static void bench_draw(struct bench *b, int64_t channels)
{
    struct rng r = rng_stream(3, RNG_TEST, 0);
    struct error err = {0};

    b->channels = channels;
    b->criterion.task = &b->task;
    b->criterion.numbers = b->numbers;
    rng_normals(&r, b->z, ROWS * LENGTH);
    rng_normals(&r, b->y, ROWS * SIDE * SIDE * channels);
    assert_int_equal(flow_batch_init_for(&b->batch, &b->task, ROWS, LENGTH, NULL), OK);
    if (flow_batch_draw(&b->batch, &b->task, b->z, NULL, 0, &err))
        fail_msg("%s", err.text);
    criterion_draw(&b->criterion, &b->batch);
}

/* The loss and, unless NULL, its gradient by y. */
static float run(struct bench *b, float *grad, unsigned flags, int threads)
{
    struct graph *g;
    struct tensor *y, *loss;
    float value;

    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    y = graph_input(g, SHAPE(ROWS, SIDE, SIDE, b->channels), b->y);
    graph_want_grad(y);
    loss = criterion_record(g, &b->criterion, &b->batch, y, b->z);
    assert_true(shape_equal(loss->shape, SHAPE(1)));
    graph_keep(g, loss);
    graph_backward(g, loss);
    graph_keep(g, y->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &value);
    if (grad)
        graph_read(g, y->grad, grad);
    graph_free(g);
    return value;
}

static void check_gradient(struct bench *b, const char *what)
{
    static float grad[2 * ROWS * LENGTH], again[2 * ROWS * LENGTH];
    int64_t n = ROWS * SIDE * SIDE * b->channels;
    float loss = run(b, grad, 0, 2), h = 0.01f;
    double most = 1e-6;

    assert_true(isfinite(loss) && run(b, again, GRAPH_EAGER, 1) == loss);
    assert_memory_equal(grad, again, (size_t)n * sizeof *grad);
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)grad[i]));
    for (int64_t k = 0; k < PROBES; k++) {
        int64_t i = k * n / PROBES;
        float was = b->y[i];
        double slope;

        b->y[i] = was + h;
        slope = (double)run(b, NULL, 0, 1);
        b->y[i] = was - h;
        slope = (slope - (double)run(b, NULL, 0, 1)) / (double)(was + h - (was - h));
        b->y[i] = was;
        /* float32 of the loss itself leaves 1e-7 loss / h */
        if (fabs(slope - (double)grad[i]) > 3e-3 * most + 3e-5 * fabs((double)loss))
            fail_msg("%s: slope %lld is %g, the loss changes by %g (largest %g)", what,
                     (long long)i, (double)grad[i], slope, most);
    }
}

static void check_rows(const struct bench *b, const char *what)
{
    double sum = 0;
    struct bench copy = *b;

    for (int64_t i = 0; i < ROWS; i++)
        sum += criterion_of_row(&b->task, &b->batch, i, b->y + i * SIDE * SIDE * b->channels,
                                CHANNELS, b->channels) /
               ROWS;
    near((double)run(&copy, NULL, 0, 1), sum, 1e-5, what);
}

static struct flow_task task_on(const char *path, double t0, double t1)
{
    struct flow_task task = {.path = path_named(path), .seed = 8};

    assert_int_equal(time_init(&task.time, "uniform", NULL), OK);
    assert_int_equal(time_set(&task.time, "t0", t0, NULL), OK);
    assert_int_equal(time_set(&task.time, "t1", t1, NULL), OK);
    return task;
}

/* Every prediction, graded as every other, under every weight. */
static void gradients_of_every_loss(void **state)
{
    int tried = 0;

    (void)state;
    for (int p = 0; p < N_PREDICTIONS; p++)
        for (int q = 0; q <= N_PREDICTIONS; q++)
            for (int w = 0; weighting_kind_at(w); w++) {
                struct bench b = {.task = task_on("condot", 0.1, 0.9)};
                char what[96];

                b.task.head[0] = (struct objective){.predicts = (enum prediction)p, .graded_as = q};
                assert_int_equal(
                    weighting_init(&b.task.head[0].weighting, weighting_kind_at(w)->is.name, NULL),
                    OK);
                if (flow_task_check(&b.task, NULL))
                    continue;
                snprintf(what, sizeof what, "%s as %s by %s", prediction_at(p)->name,
                         graded_as_at(q)->name, weighting_kind_at(w)->is.name);
                bench_draw(&b, CHANNELS);
                check_gradient(&b, what);
                check_rows(&b, what);
                flow_batch_release(&b.batch);
                tried++;
            }
    /* All errors under the uniform weight, and five weights each with its own and with "own". */
    assert_int_equal(tried, N_PREDICTIONS * (N_PREDICTIONS + 1 + 2 * 5));
}

static void gradients_inside_the_wrapper(void **state)
{
    struct bench b = {.task = task_on("ve_karras", 0, 1)};

    (void)state;
    b.task.head[0].predicts = PREDICT_DATA;
    b.task.precondition = (struct precondition){.kind = precondition_kind_at(1), .values = {0.5}};
    assert_int_equal(weighting_init(&b.task.head[0].weighting, "edm", NULL), OK);
    assert_int_equal(flow_task_check(&b.task, NULL), OK);
    bench_draw(&b, CHANNELS);
    check_gradient(&b, "edm");
    check_rows(&b, "edm");
    flow_batch_release(&b.batch);
}

/* The sum of both losses, and nothing of one head in the other. */
static void gradients_of_two_heads(void **state)
{
    struct bench b = {.task = task_on("condot", 0, 1)}, first;

    (void)state;
    b.task.has_second = true;
    b.task.head[1] = (struct objective){.predicts = PREDICT_SCORE, .graded_as = 1 + PREDICT_NOISE};
    assert_int_equal(flow_task_check(&b.task, NULL), OK);
    bench_draw(&b, 2 * CHANNELS);
    check_gradient(&b, "two heads");
    check_rows(&b, "two heads");
    first = b;
    first.task.has_second = false;
    first.batch.heads = 1;
    first.criterion.task = &first.task;
    for (int64_t i = 0; i < ROWS * SIDE * SIDE; i++)
        for (int k = 0; k < CHANNELS; k++) /* of the second head */
            first.y[i * 2 * CHANNELS + CHANNELS + k] += 1;
    assert_true(run(&first, NULL, 0, 1) < run(&b, NULL, 0, 1));
    first.y[0] += 1;
    assert_true(run(&first, NULL, 0, 1) != run(&b, NULL, 0, 1));
    flow_batch_release(&b.batch);
}

static void gradients_of_what_is_added(void **state)
{
    struct bench flow = {.task = task_on("condot", 0, 1), .criterion = {.direction = 0.5}};
    struct bench ddpm = {.task = task_on("ddpm_linear", 0, 1), .criterion = {.variance = 0.01}};
    float alone;

    (void)state;
    bench_draw(&flow, CHANNELS);
    assert_int_equal(criterion_check(&flow.criterion, &one_head, NULL), OK);
    check_gradient(&flow, "direction");
    alone = run(&flow, NULL, 0, 1);
    flow.criterion.direction = 0;
    assert_true(alone > run(&flow, NULL, 0, 1) && alone <= 1 + run(&flow, NULL, 0, 1));
    flow_batch_release(&flow.batch);

    assert_int_equal(time_init(&ddpm.task.time, "discrete", NULL), OK);
    ddpm.task.head[0].predicts = PREDICT_NOISE;
    bench_draw(&ddpm, 2 * CHANNELS);
    assert_int_equal(criterion_check(&ddpm.criterion, &two_heads, NULL), OK);
    alone = run(&ddpm, NULL, 0, 1);
    ddpm.criterion.variance = 0;
    assert_true(alone > run(&ddpm, NULL, 0, 1));
    flow_batch_release(&ddpm.batch);
}

/* The bound teaches the variance alone: the noise has the gradient it has without it. */
static void the_variance_leaves_the_noise_alone(void **state)
{
    struct bench b = {.task = task_on("ddpm_linear", 0, 1), .criterion = {.variance = 1}};
    static float with[2 * ROWS * LENGTH], without[2 * ROWS * LENGTH];
    int moved = 0;

    (void)state;
    b.task.head[0].predicts = PREDICT_NOISE;
    assert_int_equal(time_init(&b.task.time, "discrete", NULL), OK);
    bench_draw(&b, 2 * CHANNELS);
    run(&b, with, 0, 2);
    b.criterion.variance = 0;
    run(&b, without, 0, 2);
    for (int64_t i = 0; i < ROWS * SIDE * SIDE; i++)
        for (int k = 0; k < CHANNELS; k++) {
            int64_t at = i * 2 * CHANNELS + k;

            assert_true(with[at] == without[at]);
            assert_true(without[at + CHANNELS] == 0);
            moved += with[at + CHANNELS] != 0;
        }
    assert_true(moved > ROWS * LENGTH / 2);
    flow_batch_release(&b.batch);
}

static void what_cannot_be_added_is_refused(void **state)
{
    struct flow_task task = task_on("condot", 0, 1);
    struct criterion c = {.task = &task, .direction = 1};
    struct error err = {0};

    (void)state;
    task.head[0].predicts = PREDICT_NOISE;
    assert_int_equal(criterion_check(&c, &one_head, &err), E_ARG);
    assert_non_null(strstr(err.text, "noise"));
    c = (struct criterion){.task = &task, .variance = 1};
    assert_int_equal(criterion_check(&c, &one_head, &err), E_ARG);
    assert_non_null(strstr(err.text, "3 channels"));
    assert_int_equal(criterion_check(&c, &two_heads, &err), E_ARG);
    assert_non_null(strstr(err.text, "condot"));
    task.path = path_named("ddpm_cosine");
    assert_int_equal(criterion_check(&c, &two_heads, &err), OK);
    task.head[0].predicts = PREDICT_VELOCITY;
    assert_int_equal(criterion_check(&c, &two_heads, &err), E_ARG);
    task.has_second = true;
    assert_int_equal(criterion_check(&c, &two_heads, &err), E_ARG);
    assert_non_null(strstr(err.text, "second"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_loss),
        cmocka_unit_test(gradients_inside_the_wrapper),
        cmocka_unit_test(gradients_of_two_heads),
        cmocka_unit_test(gradients_of_what_is_added),
        cmocka_unit_test(the_variance_leaves_the_noise_alone),
        cmocka_unit_test(what_cannot_be_added_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
