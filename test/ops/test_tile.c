/*
 * test_tile.c - products, transposes and copies of small matrices, at every edge of their blocks
 */
#include "ops/tile.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Rows of C are apart by more than n floats; what lies between them and beyond must stay. */
static void check_product(int64_t m, int64_t n, int64_t k, bool across, bool add)
{
    enum { MOST = 80 };
    static float a[MOST * MOST], b[MOST * MOST], c[MOST * MOST], before[MOST * MOST];
    struct rng r = rng_stream(5, RNG_TEST, (uint64_t)(m * 1000 + n + k));
    const int64_t c_row = n + 3;
    struct tile at = tile_rows(a, across ? m : k);

    if (across)
        at = tile_transposed(at);
    rng_normals(&r, a, m * k);
    rng_normals(&r, b, k * n);
    rng_normals(&r, before, MOST * MOST);
    memcpy(c, before, sizeof(c));
    tile_mul(tile_rows(c, c_row), at, tile_rows(b, n), m, n, k, add);
    for (int64_t i = 0; i < MOST * MOST; i++) {
        const int64_t row = i / c_row, col = i % c_row;
        double sum = add ? (double)before[i] : 0;

        if (row >= m || col >= n) {
            assert_true(c[i] == before[i]);
            continue;
        }
        for (int64_t l = 0; l < k; l++)
            sum += (double)at.at[row * at.row + l * at.col] * (double)b[l * n + col];
        assert_true(fabs((double)c[i] - sum) < 1e-5 * (1 + sqrt((double)k)));
    }
}

static void test_products(void **state)
{
    static const int64_t rows[] = {0, 1, 3, 4, 5, 6, 7, 11, 64, 65};
    static const int64_t columns[] = {16, 32, 48, 64};
    static const int64_t depths[] = {0, 1, 5, 64, 73};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t j = 0; j < COUNT(columns); j++)
            for (size_t l = 0; l < COUNT(depths); l++)
                for (int how = 0; how < 4; how++)
                    check_product(rows[i], columns[j], depths[l], how & 1, how & 2);
}

static void test_moves(void **state)
{
    enum { MOST = 24, PADDED = 32 };
    static float from[MOST * MOST], to[PADDED * PADDED];
    struct rng r = rng_stream(6, RNG_TEST, 0);

    (void)state;
    rng_normals(&r, from, MOST * MOST);
    for (int64_t m = 1; m <= 19; m++)
        for (int64_t n = 1; n <= 19; n++) {
            memset(to, 0xff, sizeof(to));
            tile_transpose(tile_rows(to, PADDED), from, MOST, m, n, 0.5f);
            for (int64_t j = 0; j < n; j++)
                for (int64_t i = 0; i < tile_padded(m); i++)
                    assert_true(to[j * PADDED + i] == (i < m ? 0.5f * from[i * MOST + j] : 0));
            memset(to, 0xff, sizeof(to));
            tile_copy(tile_rows(to, PADDED), from, MOST, m, n);
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < tile_padded(n); j++)
                    assert_true(to[i * PADDED + j] == (j < n ? from[i * MOST + j] : 0));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
