/*
 * test_invariants_loss.c - the loss of a training batch: theory.md 4.3, I22, I23, and 3.9 F1, S18,
 * S26
 *
 * Batches are drawn by the very code that trains, and the exact field plays the network: its loss
 * must be the floor C*, which is known (1.9) or tabulated, within the error of the mean.
 */
#include "diffusion/loss.h"
#include "ops/dropout.h"
#include "support/mixtures.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 4096, BATCHES = 64, FEW = 16, NONE = 9 };

struct mean {
    double sum, square;
    int64_t n;
};

static void mean_add(struct mean *m, double x)
{
    m->sum += x;
    m->square += x * x;
    m->n++;
}

static double mean_of(const struct mean *m)
{
    return m->sum / (double)m->n;
}

/* The standard error of the mean. */
static double mean_error(const struct mean *m)
{
    double mean = mean_of(m);

    return sqrt((m->square / (double)m->n - mean * mean) / (double)m->n);
}

static struct flow_task task_named(const char *path, double t0, double t1, enum prediction p,
                                   double eta)
{
    struct flow_task task = {.path = path_named(path),
                             .head = {{.predicts = p}},
                             .eta = eta,
                             .null_label = NONE,
                             .seed = 77};

    assert_int_equal(time_init(&task.time, "uniform", NULL), OK);
    assert_int_equal(time_set(&task.time, "t0", t0, NULL), OK);
    assert_int_equal(time_set(&task.time, "t1", t1, NULL), OK);
    assert_int_equal(flow_task_check(&task, NULL), OK);
    return task;
}

/* Draw a batch of mixture data, number `i`. */
static void batch_of(struct flow_batch *b, const struct flow_task *task, const struct mixture *m,
                     int i)
{
    static float z[ROWS];
    static int32_t label[ROWS];

    for (int k = 0; k < ROWS; k++) {
        struct rng r = rng_stream(6, RNG_TEST, (uint64_t)i * ROWS + (uint64_t)k);
        double one;

        label[k] = mixture_sample(&one, m, MIXTURE_ANY, &r);
        z[k] = (float)one;
    }
    assert_int_equal(flow_batch_draw(b, task, z, label, (uint64_t)i * ROWS, NULL), OK);
}

/* Mean loss of the exact field over ROWS samples in each of some batches. */
static struct mean exact_loss(const struct mixture *m, const struct flow_task *task, int batches)
{
    struct flow_batch b;
    struct mean loss = {0};

    assert_int_equal(flow_batch_init(&b, ROWS, 1, NULL), OK);
    for (int i = 0; i < batches; i++) {
        batch_of(&b, task, m, i);
        for (int k = 0; k < ROWS; k++) {
            double x = (double)b.x[k];
            struct path_coefs c = path_at(&task->path, (double)b.t[k]);
            int32_t y = b.label[k] == NONE ? MIXTURE_ANY : b.label[k];
            struct mixture_value v;

            assert_int_equal(mixture_at(&v, m, &c, &x, y, NULL), OK);
            mean_add(&loss, pow(v.field[task->head[0].predicts][0] - (double)b.target[k], 2));
        }
    }
    flow_batch_release(&b);
    return loss;
}

static void i22_floor_of_one_gaussian(void **state)
{
    static const double vars[] = {0.25, 1, 2.25};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct flow_task task = task_named("condot", 0, 1, PREDICT_VELOCITY, 0);
        struct mixture m;
        struct mean loss;

        mixture_single(&m, 0.7, vars[i]);
        loss = exact_loss(&m, &task, BATCHES);
        assert_true(fabs(mean_of(&loss) - 3.14159265358979 / 2 * sqrt(vars[i])) <=
                    5 * mean_error(&loss));
        mixture_release(&m);
    }
}

static double number(const json_t *object, const char *a, const char *b)
{
    const json_t *v = json_object_get(object, a);

    v = b ? json_object_get(v, b) : v;
    assert_true(json_is_number(v));
    return json_number_value(v);
}

/* A row of the table of floors, for a scheduler between 0.02 and 0.98. */
static json_t *floor_row(json_t *root, const char *scheduler)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(root, "rows"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "scheduler")), scheduler) == 0 &&
            number(row, "t0", NULL) == 0.02)
            return row;
    }
    fail_msg("no row for %s", scheduler);
    return NULL;
}

/* (3.13): the floor is the mean of the guided and the unguided one, weighted by the share dropped.
 */
static void i22_floor_with_dropped_labels(void **state)
{
    static const char *const names[] = {"condot", "cosine", "vp_linear"};
    json_t *root = json_load_file(GOLDEN_DIR "/theory/loss_floor.json", 0, NULL), *row, *dropped;
    struct mixture m;
    size_t i;

    (void)state;
    assert_non_null(root);
    mixture_line(&m);
    for (int p = 0; p < 3; p++) {
        row = floor_row(root, names[p]);
        json_array_foreach(json_object_get(row, "dropped"), i, dropped)
        {
            double eta = number(dropped, "eta", NULL);
            struct flow_task task = task_named(names[p], 0.02, 0.98, PREDICT_VELOCITY, eta);
            struct mean loss;

            if (eta != 0 && eta != 0.2 && eta != 1)
                continue;
            loss = exact_loss(&m, &task, p == 0 ? BATCHES : FEW);
            assert_true(fabs(mean_of(&loss) - number(dropped, "u", NULL)) <= 5 * mean_error(&loss));
        }
    }
    mixture_release(&m);
    json_decref(root);
}

/* The same for the losses of noise and data. */
static void i22_floor_of_other_predictions(void **state)
{
    json_t *root = json_load_file(GOLDEN_DIR "/theory/loss_floor.json", 0, NULL), *row;
    static const char *const keys[] = {"u", "score", "eps", "z"};
    struct mixture m;

    (void)state;
    assert_non_null(root);
    mixture_line(&m);
    row = floor_row(root, "cosine");
    for (enum prediction p = 0; p <= PREDICT_DATA; p++) {
        struct flow_task task = task_named("cosine", 0.02, 0.98, p, 0);
        struct mean loss = exact_loss(&m, &task, FEW);

        if (fabs(mean_of(&loss) - number(row, "guided", keys[p])) > 5 * mean_error(&loss))
            fail_msg("%s: loss %g, floor %g, error of the mean %g", keys[p], mean_of(&loss),
                     number(row, "guided", keys[p]), mean_error(&loss));
    }
    mixture_release(&m);
    json_decref(root);
}

/* S26: (3.13) holds for every prediction, (3.12) being the score's. */
static void s26_dropped_labels_of_other_predictions(void **state)
{
    json_t *root = json_load_file(GOLDEN_DIR "/theory/loss_floor.json", 0, NULL), *row;
    static const char *const keys[] = {"u", "score", "eps", "z"};
    const double eta = 0.3;
    struct mixture m;

    (void)state;
    assert_non_null(root);
    mixture_line(&m);
    row = floor_row(root, "cosine");
    for (enum prediction p = 0; p <= PREDICT_DATA; p++) {
        struct flow_task task = task_named("cosine", 0.02, 0.98, p, eta);
        struct mean loss = exact_loss(&m, &task, FEW);
        double floor =
            (1 - eta) * number(row, "guided", keys[p]) + eta * number(row, "uncond", keys[p]);

        if (fabs(mean_of(&loss) - floor) > 5 * mean_error(&loss))
            fail_msg("%s: loss %g, floor %g, error of the mean %g", keys[p], mean_of(&loss), floor,
                     mean_error(&loss));
    }
    mixture_release(&m);
    json_decref(root);
}

/* L_CFM(f) - L_FM(f) is the same number for every f, because the cross term has mean zero. */
static void i23_losses_differ_by_a_constant(void **state)
{
    struct flow_task task = task_named("condot", 0.02, 0.98, PREDICT_VELOCITY, 0);
    struct mean zero = {0}, wave = {0};
    struct flow_batch b;
    struct mixture m;

    (void)state;
    mixture_line(&m);
    assert_int_equal(flow_batch_init(&b, ROWS, 1, NULL), OK);
    for (int i = 0; i < FEW; i++) {
        batch_of(&b, &task, &m, i);
        for (int k = 0; k < ROWS; k++) {
            double x = (double)b.x[k], target = (double)b.target[k], f[3], gap[3];
            struct path_coefs c = path_at(&task.path, (double)b.t[k]);
            struct mixture_value v;

            assert_int_equal(mixture_at(&v, &m, &c, &x, b.label[k], NULL), OK);
            f[0] = v.u[0];
            f[1] = 0;
            f[2] = 2 * sin(3 * x) + c.t;
            for (int j = 0; j < 3; j++)
                gap[j] = pow(f[j] - target, 2) - pow(f[j] - v.u[0], 2);
            mean_add(&zero, gap[1] - gap[0]);
            mean_add(&wave, gap[2] - gap[0]);
        }
    }
    assert_true(fabs(mean_of(&zero)) <= 5 * mean_error(&zero));
    assert_true(fabs(mean_of(&wave)) <= 5 * mean_error(&wave));
    flow_batch_release(&b);
    mixture_release(&m);
}

/* ---- The batch itself ---- */

enum { SMALL = 8, LENGTH = 12 };

static void draw_small(struct flow_batch *b, const struct flow_task *task, int64_t rows,
                       const int32_t *label, uint64_t first)
{
    float z[SMALL * LENGTH];

    for (int64_t i = 0; i < rows; i++)
        for (int k = 0; k < LENGTH; k++)
            z[i * LENGTH + k] = (float)(first + (uint64_t)i) + (float)k / LENGTH;
    assert_int_equal(flow_batch_init(b, rows, LENGTH, NULL), OK);
    assert_int_equal(flow_batch_draw(b, task, z, label, first, NULL), OK);
}

/* F1: x and target come from z, eps and t alone. */
static void labels_change_neither_x_nor_target(void **state)
{
    static const int32_t one[SMALL] = {0, 1, 2, 3, 4, 5, 6, 7},
                         two[SMALL] = {3, 3, 1, 0, 7, 7, 2, 1};
    struct flow_task task = task_named("cosine", 0, 1, PREDICT_VELOCITY, 0.3);
    struct flow_batch a, b;

    (void)state;
    draw_small(&a, &task, SMALL, one, 100);
    task.eta = 0.9;
    draw_small(&b, &task, SMALL, two, 100);
    assert_memory_equal(a.x, b.x, SMALL * LENGTH * sizeof(float));
    assert_memory_equal(a.target, b.target, SMALL * LENGTH * sizeof(float));
    assert_memory_equal(a.t, b.t, SMALL * sizeof(float));
    flow_batch_release(&a);
    flow_batch_release(&b);
}

/* A sample's numbers depend on its number alone: two batches of four are one batch of eight. */
static void batches_may_be_cut_anywhere(void **state)
{
    static const int32_t label[SMALL] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct flow_task task = task_named("condot", 0, 1, PREDICT_VELOCITY, 0.5);
    struct flow_batch whole, half[2];

    (void)state;
    draw_small(&whole, &task, SMALL, label, 40);
    for (int i = 0; i < 2; i++) {
        draw_small(&half[i], &task, SMALL / 2, label + i * SMALL / 2, 40 + (uint64_t)i * SMALL / 2);
        assert_memory_equal(half[i].x, whole.x + i * SMALL / 2 * LENGTH,
                            SMALL / 2 * LENGTH * sizeof(float));
        assert_memory_equal(half[i].label, whole.label + i * SMALL / 2,
                            SMALL / 2 * sizeof(int32_t));
        assert_memory_equal(half[i].t, whole.t + i * SMALL / 2, SMALL / 2 * sizeof(float));
        assert_memory_equal(half[i].drop, whole.drop + i * SMALL / 2 * DROP_WORDS,
                            SMALL / 2 * DROP_WORDS * sizeof(int32_t));
        flow_batch_release(&half[i]);
    }
    flow_batch_release(&whole);
}

/* What dropout is drawn from: the run's seed and the sample's number in it, another one each. */
static void samples_are_named_for_dropout(void **state)
{
    const uint64_t first = ((uint64_t)5 << 32) - 3;
    struct flow_task task = task_named("condot", 0, 1, PREDICT_VELOCITY, 0);
    struct flow_batch b;

    (void)state;
    task.seed = (uint64_t)7 << 32 | 0x90000001;
    draw_small(&b, &task, SMALL, NULL, first);
    for (int i = 0; i < SMALL; i++) {
        const int32_t *name = b.drop + DROP_WORDS * i;

        assert_int_equal((uint64_t)(uint32_t)name[1] << 32 | (uint32_t)name[0], task.seed);
        assert_int_equal((uint64_t)(uint32_t)name[3] << 32 | (uint32_t)name[2],
                         first + (uint64_t)i);
    }
    flow_batch_release(&b);
}

/* The trap of theory.md 7.1: the target is dalpha z + dbeta eps, on condot z - eps. */
static void condot_target_is_data_minus_noise(void **state)
{
    static const int32_t label[SMALL] = {0};
    struct flow_task task = task_named("condot", 0, 1, PREDICT_VELOCITY, 0);
    struct flow_batch b;

    (void)state;
    draw_small(&b, &task, SMALL, label, 0);
    for (int i = 0; i < SMALL; i++) {
        struct rng r = rng_stream(task.seed, RNG_NOISE, (uint64_t)i);
        float eps[LENGTH];

        rng_normals(&r, eps, LENGTH);
        for (int k = 0; k < LENGTH; k++) {
            float z = (float)i + (float)k / LENGTH;

            near((double)b.target[i * LENGTH + k], (double)(z - eps[k]), 1e-6, "target");
            near((double)b.x[i * LENGTH + k], (double)(b.t[i] * z + (1 - b.t[i]) * eps[k]), 1e-6,
                 "x");
        }
    }
    flow_batch_release(&b);
}

static void unlabelled_data_get_the_null_label(void **state)
{
    struct flow_task task = task_named("condot", 0, 1, PREDICT_VELOCITY, 0);
    struct flow_batch b;

    (void)state;
    draw_small(&b, &task, SMALL, NULL, 0);
    for (int i = 0; i < SMALL; i++)
        assert_int_equal(b.label[i], NONE);
    flow_batch_release(&b);
}

static void a_share_outside_0_1_is_refused(void **state)
{
    struct flow_task task = task_named("condot", 0, 1, PREDICT_VELOCITY, 0);
    struct error err = {0};

    (void)state;
    task.eta = 1.5;
    assert_int_equal(flow_task_check(&task, &err), E_ARG);
    assert_non_null(strstr(err.text, "1.5"));
    task.eta = (double)NAN;
    assert_int_equal(flow_task_check(&task, &err), E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(i22_floor_of_one_gaussian),
        cmocka_unit_test(i22_floor_with_dropped_labels),
        cmocka_unit_test(i22_floor_of_other_predictions),
        cmocka_unit_test(s26_dropped_labels_of_other_predictions),
        cmocka_unit_test(i23_losses_differ_by_a_constant),
        cmocka_unit_test(labels_change_neither_x_nor_target),
        cmocka_unit_test(batches_may_be_cut_anywhere),
        cmocka_unit_test(samples_are_named_for_dropout),
        cmocka_unit_test(condot_target_is_data_minus_noise),
        cmocka_unit_test(unlabelled_data_get_the_null_label),
        cmocka_unit_test(a_share_outside_0_1_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
