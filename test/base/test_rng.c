/*
 * test_rng.c - Philox against its published vectors, and the distributions drawn from it
 *
 * The known answers are those published with Random123 (Salmon et al. 2011) for ten rounds. Moments
 * are taken over a fixed seed, so nothing here is left to chance: a bound of five standard errors
 * is passed today and will be tomorrow.
 */
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DRAWS = 1000000 };

static void philox_gives_known_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct rng r = {0};

        memcpy(r.counter, known[i].counter, sizeof r.counter);
        memcpy(r.key, known[i].key, sizeof r.key);
        for (int k = 0; k < 4; k++)
            assert_int_equal(rng_u32(&r), known[i].answer[k]);
    }
}

static void uniform_has_its_moments(void **state)
{
    struct rng r = rng_stream(1, RNG_TEST, 2);
    double sum = 0, squares = 0, neighbours = 0, before = 0.5, lo = 1, hi = 0;

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        double x = rng_uniform(&r);

        assert_true(x >= 0 && x < 1);
        sum += x - 0.5;
        squares += (x - 0.5) * (x - 0.5);
        neighbours += (x - 0.5) * (before - 0.5);
        before = x;
        lo = x < lo ? x : lo;
        hi = x > hi ? x : hi;
    }
    assert_true(fabs(sum / DRAWS) < 5 * sqrt(1.0 / 12 / DRAWS));
    assert_true(fabs(squares / DRAWS - 1.0 / 12) < 5 * sqrt(1.0 / 180 / DRAWS));
    assert_true(fabs(neighbours / DRAWS) < 5 * (1.0 / 12) / sqrt(DRAWS));
    assert_true(lo < 1e-5 && hi > 1 - 1e-5);
}

static void normal_has_its_moments(void **state)
{
    static const double moments[] = {0, 1, 0, 3, 0, 15};          /* E x^k, k = 1 .. 6       */
    static const double variances[] = {1, 2, 15, 96, 945, 10170}; /* of x^k                */
    struct rng r = rng_stream(3, RNG_TEST, 4);
    double sum[6] = {0}, neighbours = 0, before = 0;
    int within = 0;

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        double x = rng_normal(&r), power = 1;

        for (int k = 0; k < 6; k++)
            sum[k] += power *= x;
        neighbours += x * before;
        before = x;
        within += fabs(x) < 1;
    }
    for (int k = 0; k < 6; k++)
        assert_true(fabs(sum[k] / DRAWS - moments[k]) < 5 * sqrt(variances[k] / DRAWS));
    assert_true(fabs(neighbours / DRAWS) < 5 / sqrt(DRAWS));
    assert_true(fabs((double)within / DRAWS - 0.6826894921) < 5 * sqrt(0.6827 * 0.3173 / DRAWS));
}

static void arrays_are_the_same_draws(void **state)
{
    struct rng a = rng_stream(5, RNG_NOISE, 6), b = a;
    float x[7];

    (void)state;
    rng_normals(&a, x, 3);
    rng_normals(&a, x + 3, 4);
    for (int i = 0; i < 7; i++)
        assert_true(x[i] == (float)rng_normal(&b));
}

/* Any part of a stream, without what lies before it. */
static void blocks_are_the_same_draws(void **state)
{
    enum { BLOCKS = 37, BEFORE = 5 };
    struct rng a = rng_stream_at(5, RNG_DROPOUT, 6, 7), b = a;
    uint32_t words[4 * BLOCKS];

    (void)state;
    rng_u32(&b);
    rng_blocks(words, &b, BEFORE, BLOCKS);
    for (int i = 0; i < 4 * BEFORE; i++)
        rng_u32(&a);
    for (int i = 0; i < 4 * BLOCKS; i++)
        assert_int_equal(words[i], rng_u32(&a));
    a = rng_stream(5, RNG_DROPOUT, 6);
    b = rng_stream_at(5, RNG_DROPOUT, 6, 0);
    assert_int_equal(rng_u32(&a), rng_u32(&b));
}

static void below_is_exact(void **state)
{
    struct rng r = rng_stream(7, RNG_TEST, 8);
    int64_t count[6] = {0};
    double chi = 0;
    int upper = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rng_below(&r, 1), 0);
        assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
    }
    for (int i = 0; i < DRAWS; i++)
        count[rng_below(&r, 6)]++;
    for (int k = 0; k < 6; k++)
        chi += ((double)count[k] - DRAWS / 6.0) * ((double)count[k] - DRAWS / 6.0) / (DRAWS / 6.0);
    assert_true(chi < 30); /* 5 degrees of freedom: passed by all but 1 in 60000 */

    /* For n of 3/4 of the range a plain remainder would give the lowest third twice as often. */
    for (int i = 0; i < DRAWS; i++)
        upper += rng_below(&r, 3ull << 62) >= 1ull << 62;
    assert_true(fabs((double)upper / DRAWS - 2.0 / 3) < 5 * sqrt(2.0 / 9 / DRAWS));
}

static void streams_do_not_meet(void **state)
{
    const struct rng streams[] = {
        rng_stream(0, RNG_INIT, 0),          rng_stream(1, RNG_INIT, 0),
        rng_stream(1ull << 32, RNG_INIT, 0), rng_stream(0, RNG_NOISE, 0),
        rng_stream(0, RNG_INIT, 1),          rng_stream(0, RNG_INIT, 1ull << 32),
        rng_stream(UINT64_MAX, RNG_INIT, 0), rng_stream(0, RNG_INIT, UINT64_MAX),
        rng_stream_at(0, RNG_INIT, 0, 1),    rng_stream_at(0, RNG_INIT, 0, RNG_PLACES - 1),
    };
    enum { N = sizeof streams / sizeof *streams, DRAWN = 100000 };

    (void)state;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < i; k++) {
            struct rng a = streams[i], b = streams[k];
            double products = 0;
            int equal = 0;

            for (int j = 0; j < DRAWN; j++) {
                uint32_t x = rng_u32(&a), y = rng_u32(&b);

                equal += x == y;
                products += ((double)x / 0x1p32 - 0.5) * ((double)y / 0x1p32 - 0.5);
            }
            assert_true(equal <= 2);
            assert_true(fabs(products / DRAWN) < 5 * (1.0 / 12) / sqrt(DRAWN));
        }
    }
}

/* What a stream gives does not depend on what else was drawn, and is part of every saved run. */
static void streams_are_fixed(void **state)
{
    static const uint32_t words[] = {0x42608415, 0xa582981d, 0x6320ba1a, 0x2328b0e9,
                                     0x380fd69d, 0xc3be5ee6, 0x72f7ad4c, 0x770b7223};
    struct rng a = rng_stream(7ull << 32 | 42, RNG_START, 3ull << 32 | 9), b = a;

    (void)state;
    for (int i = 0; i < 8; i++) {
        rng_uniform(&b);
        assert_int_equal(rng_u32(&a), words[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_known_answers), cmocka_unit_test(uniform_has_its_moments),
        cmocka_unit_test(normal_has_its_moments),     cmocka_unit_test(arrays_are_the_same_draws),
        cmocka_unit_test(blocks_are_the_same_draws),  cmocka_unit_test(below_is_exact),
        cmocka_unit_test(streams_do_not_meet),        cmocka_unit_test(streams_are_fixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
