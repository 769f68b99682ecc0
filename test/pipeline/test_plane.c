/*
 * test_plane.c - what comes back of values kept in 16 bits, and at the edges of the caller's arrays
 */
#include "pipeline/plane.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

enum { ROWS = 6, COLUMNS = 4, CHANNELS = 5, ROW = COLUMNS * CHANNELS, N = ROWS * ROW };

/* Half a unit at most, whatever the size; in parts and on any number of threads the same. */
static void test_digits(void **state)
{
    static const float sizes[] = {1, 1e-20F, 3e37F, 70000};
    struct rng r = rng_stream(1, RNG_TEST, 1);
    float x[N], y[N], again[ROW];
    struct plane p;

    (void)state;
    assert_int_equal(plane_init(&p, ROWS, COLUMNS, CHANNELS, NULL), OK);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        rng_normals(&r, x, N);
        for (int i = 0; i < N; i++)
            x[i] *= sizes[s];
        memset(x, 0, CHANNELS * sizeof *x);
        plane_write(&p, x, 0, 4, 2);
        plane_write(&p, x + 4 * ROW, 4, ROWS, 1);
        plane_read(&p, y, 0, ROWS, 3);
        plane_read(&p, again, 4, 5, 1);
        assert_memory_equal(again, y + 4 * ROW, sizeof again);
        for (int i = 0; i < N; i += CHANNELS) {
            double largest = 0;

            for (int c = i; c < i + CHANNELS; c++)
                largest = fmax(largest, fabs((double)x[c]));
            for (int c = i; c < i + CHANNELS; c++)
                assert_true(fabs((double)x[c] - (double)y[c]) <= 0.5001 * largest / 32767);
        }
    }
    plane_release(&p);
}

/* A value that is none takes its place along and no other. */
static void test_no_numbers(void **state)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    float x[N], y[N];
    struct plane p;

    (void)state;
    assert_int_equal(plane_init(&p, ROWS, COLUMNS, CHANNELS, NULL), OK);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < N; i++)
            x[i] = (float)i;
        x[2 * CHANNELS + k] = odd[k];
        plane_write(&p, x, 0, ROWS, 2);
        plane_read(&p, y, 0, ROWS, 2);
        for (int i = 0; i < N; i++)
            assert_true((i / CHANNELS == 2) == !isfinite(y[i]));
    }
    plane_release(&p);
}

/* The caller's array is smaller: its edge is repeated when read, and nothing is written beyond. */
static void test_callers(void **state)
{
    enum { HEIGHT = ROWS - 1, WIDTH = COLUMNS - 2, INSIDE = HEIGHT * WIDTH * CHANNELS };
    struct plane p = {.rows = ROWS, .columns = COLUMNS, .channels = CHANNELS};
    float x[INSIDE], out[INSIDE + 1], y[N];

    (void)state;
    for (int i = 0; i < INSIDE; i++)
        x[i] = (float)i / 7;
    p.height = HEIGHT;
    p.width = WIDTH;
    p.from = x;
    plane_read(&p, y, 0, ROWS, 2);
    for (int i = 0; i < N; i++) {
        int row = i / ROW, column = i / CHANNELS % COLUMNS;

        row = row < HEIGHT ? row : HEIGHT - 1;
        column = column < WIDTH ? column : WIDTH - 1;
        assert_true(y[i] == x[(row * WIDTH + column) * CHANNELS + i % CHANNELS]);
    }
    p.from = NULL;
    p.to = out;
    out[INSIDE] = 42;
    plane_write(&p, y, 0, ROWS, 2);
    assert_memory_equal(out, x, sizeof x);
    assert_true(out[INSIDE] == 42);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_callers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
