/*
 * test_speed.c - what the benchmarks say of what they measured, not how fast it was
 */
#include "eval/speed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct machine two = {.threads = 2, .peak_flops = 1e11, .bandwidth = 1e10};

struct seen {
    struct speed_row row[64];
    int n, stop_at;
};

static bool see(const struct speed_row *row, void *user)
{
    struct seen *s = user;

    assert_true(s->n < 64);
    s->row[s->n++] = *row;
    return s->n != s->stop_at;
}

static const struct speed_row *find(const struct seen *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->row[i].name, name))
            return &s->row[i];
    return NULL;
}

/* A case's rows are its ops; the frame that gives them a gradient is not among them. */
static void test_rows(void **state)
{
    static const char *const ops[] = {"linear", "linear_dx", "linear_dw"};
    struct seen s = {0};

    (void)state;
    assert_int_equal(speed_run(&two, "adaLN DiT-S", 1, see, &s, NULL), OK);
    assert_int_equal(s.n, 3);
    for (int i = 0; i < 3; i++) {
        const struct speed_row *row = &s.row[i];

        assert_non_null(strstr(row->name, ops[i]));
        assert_true(row->seconds > 0 && row->share > 0 && row->spread >= 0);
        assert_true(row->flops == 2.0 * 16 * 384 * 2304);
        assert_true(row->bytes >= 4.0 * (16 * 384 + 384 * 2304 + 16 * 2304));
        assert_true(row->limit == SPEED_MEMORY || row->limit == SPEED_ARITHMETIC);
    }
}

/* A family's mean lies between its least and its largest. */
static void test_summary(void **state)
{
    const struct speed_row *mean, *least;
    struct seen s = {0};
    double low = HUGE_VAL, logs = 0;

    (void)state;
    assert_int_equal(speed_run(&two, "conv U-Net 16 x 8 x 8, 256", 1, see, &s, NULL), OK);
    mean = find(&s, "conv: geometric mean of 3");
    least = find(&s, "conv: least of 3");
    assert_non_null(mean);
    assert_non_null(least);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(s.row[i].limit, SPEED_ARITHMETIC);
        low = fmin(low, s.row[i].share);
        logs += log(s.row[i].share);
        /* Of 8 times 3 taps along a side, two lie on the padding. */
        assert_true(s.row[i].flops == 2.0 * 16 * (22 * 22) * 256 * 256);
    }
    assert_true(least->share == low && mean->seconds == 0);
    assert_float_equal(mean->share, exp(logs / 3), 1e-12);
}

static void test_stopped(void **state)
{
    struct seen s = {.stop_at = 2};

    (void)state;
    assert_int_equal(speed_run(&two, "adaLN DiT-S", 1, see, &s, NULL), E_CANCELLED);
    assert_int_equal(s.n, 2);
    s = (struct seen){0};
    assert_int_equal(speed_run(&two, "no such thing", 1, see, &s, NULL), OK);
    assert_int_equal(s.n, 0);
    /* Gigabytes are asked for by name. */
    assert_int_equal(speed_run(&two, "medium step, 512 x 512", 1, see, &s, NULL), OK);
    assert_int_equal(s.n, 0);
}

/* Names are what speed_open takes, each once, and begin no other case's row by accident. */
static void test_names(void **state)
{
    struct speed_job *j;
    struct error err = {0};
    int n = 0;

    (void)state;
    for (; speed_name(n); n++)
        for (int k = 0; k < n; k++)
            assert_string_not_equal(speed_name(k), speed_name(n));
    assert_true(n > 20);
    assert_int_equal(speed_open(&j, "adaLN DiT-S 16 x 384 -> 2305", 1, &err), E_ARG);
    assert_null(j);
    assert_non_null(strstr(err.text, "adaLN DiT-S 16 x 384 -> 2304"));
    assert_int_equal(speed_open(&j, "quicksort", 1, &err), E_ARG);
    speed_close(NULL);
}

/* A step counts the same work every time. */
static void test_step(void **state)
{
    struct speed_job *j;
    double seconds, flops;

    (void)state;
    assert_int_equal(speed_open(&j, "attention 16 x 256 tokens, 6 heads of 64", 2, NULL), OK);
    assert_int_equal(speed_step(j, &seconds, NULL), OK);
    flops = speed_flops(j);
    assert_true(flops == 14.0 * 16 * 256 * 256 * 384);
    assert_int_equal(speed_step(j, &seconds, NULL), OK);
    assert_true(speed_flops(j) == flops);
    assert_true(seconds > 0);
    assert_int_equal(speed_weights(j), 0);
    speed_close(j);
}

static double flops_of(const char *name)
{
    struct speed_job *j;
    struct error err = {0};
    double seconds, flops;

    if (speed_open(&j, name, 2, &err) || speed_step(j, &seconds, &err))
        fail_msg("%s: %s", name, err.text);
    flops = speed_flops(j);
    speed_close(j);
    return flops;
}

/* Clips: a sample's training is its prediction and twice as much again, a little more of attention,
 * which computes its map anew.  32 samples against 8 with both branches. */
static void test_clips(void **state)
{
    double train = flops_of("training step, video transformer 256 x 6, 256 tokens, batch 32") / 32;
    double draw =
        flops_of("sampling step, video transformer 256 x 6, 256 tokens, guided, batch 8") / 16;

    (void)state;
    assert_true(train > 3 * draw && train < 3.2 * draw);
}

/* Both halves of an autoencoder are trained, and each has its own benchmark. */
static void test_clips_coded(void **state)
{
    double train = flops_of("training step, temporal autoencoder 64, 16 x 64 x 64, batch 1");
    double halves = flops_of("encoder, temporal, 32 x 64 x 64 to 4 x 8 x 8 x 16, batch 1") +
                    flops_of("decoder, temporal, 4 x 8 x 8 x 16 to 32 x 64 x 64, batch 1");

    (void)state;
    assert_true(train > 2.9 * halves / 2 && train < 3.1 * halves / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_stopped),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_step),        cmocka_unit_test(test_clips),
        cmocka_unit_test(test_clips_coded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
