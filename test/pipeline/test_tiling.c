/*
 * test_tiling.c - tiles cover every size, their weights add up to 1, and no seam shows
 *
 * Plans of a few thousand sizes are taken apart place by place.  Maps that are local (one cell from
 * its own pixels, pixels from their own cell) give the same in every tile, so that the whole must
 * be what one tile over everything gives, bit for bit; a map that tells tiles apart shows the
 * blend.
 */
#include "pipeline/tiling.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 4096 };

/* --- the plan -----------------------------------------------------------------------------------
 */

/* Every place is covered, weights lie in (0, 1] and add up to 1, and `before` is their running sum.
 */
static void check_axis(const struct tiling_axis *a, int64_t overlap, int64_t scale)
{
    double weight[MOST], before[MOST], sum[MOST] = {0};
    int64_t end = 0;

    assert_true(a->n >= 1 && a->tile <= a->cells && a->cells * scale <= MOST);
    for (int64_t i = 0; i < a->n; i++) {
        int64_t first = tiling_first(a, i);

        assert_true(i == 0 ? first == 0 : end - first >= overlap);
        end = first + a->tile;
        tiling_weights(weight, before, a, i, scale);
        for (int64_t k = 0; k < a->tile * scale; k++) {
            assert_true(weight[k] > 0 && weight[k] <= 1);
            assert_true(fabs(before[k] - sum[first * scale + k]) < 1e-14);
            sum[first * scale + k] += weight[k];
        }
    }
    assert_int_equal(end, a->cells);
    for (int64_t k = 0; k < a->cells * scale; k++)
        assert_true(fabs(sum[k] - 1) < 1e-14);
}

static void test_plans(void **state)
{
    static const int64_t tiles[][2] = {{1, 0}, {2, 1}, {4, 0}, {5, 2}, {8, 4}, {8, 3}, {16, 2}};
    struct tiling t;

    (void)state;
    for (size_t k = 0; k < sizeof tiles / sizeof *tiles; k++)
        for (int64_t height = 1; height < 150; height += 1 + height / 20)
            for (int64_t factor = 1; factor <= 8; factor += 7) {
                int64_t width = 151 - height;

                assert_int_equal(
                    tiling_plan(&t, height, width, factor, tiles[k][0], tiles[k][1], NULL), OK);
                assert_int_equal(t.down.cells, (height + factor - 1) / factor);
                check_axis(&t.down, t.overlap, 1);
                check_axis(&t.down, t.overlap, factor);
                check_axis(&t.across, t.overlap, factor);
            }
}

/* By hand: 10 cells in tiles of 4 that share 1 are three, and their ramps are a cosine's. */
static void test_by_hand(void **state)
{
    double weight[4], before[4], half = 0.5, low = pow(sin(atan(1) / 2), 2);
    struct tiling t;

    (void)state;
    assert_int_equal(tiling_plan(&t, 80, 24, 8, 4, 1, NULL), OK);
    assert_int_equal(t.down.n, 3);
    assert_int_equal(t.across.n, 1);
    assert_int_equal(t.across.tile, 3);
    assert_int_equal(tiling_first(&t.down, 1), 3);
    assert_int_equal(tiling_first(&t.down, 2), 6);
    tiling_weights(weight, before, &t.down, 1, 1);
    assert_true(fabs(weight[0] - half) < 1e-15 && fabs(before[0] - half) < 1e-15);
    assert_true(fabs(weight[1] - 1) < 1e-15 && before[1] < 1e-15);
    assert_true(fabs(weight[3] - half) < 1e-15 && before[3] < 1e-15);
    assert_int_equal(tiling_plan(&t, 6, 6, 1, 4, 2, NULL), OK);
    tiling_weights(weight, before, &t.down, 1, 1);
    assert_true(fabs(weight[0] - low) < 1e-15 && fabs(weight[1] - (1 - low)) < 1e-15);
}

static void test_refusals(void **state)
{
    struct error err = {0};
    struct tiling t;

    (void)state;
    assert_int_equal(tiling_plan(&t, 0, 5, 8, 4, 1, &err), E_ARG);
    assert_int_equal(tiling_plan(&t, 5, 5, 0, 4, 1, &err), E_ARG);
    assert_int_equal(tiling_plan(&t, 5, 5, TILING_FACTOR + 1, 4, 1, &err), E_ARG);
    assert_int_equal(tiling_plan(&t, 5, 5, 8, 4, 3, &err), E_ARG);
    assert_non_null(strstr(err.text, "4 cells cannot share 3"));
    assert_int_equal(tiling_plan(&t, 5, 5, 8, 4, -1, &err), E_ARG);
    assert_int_equal(tiling_plan(&t, 5, 5, 8, 0, 0, &err), E_ARG);
}

/* --- the size of tiles --------------------------------------------------------------------------
 */

static int64_t thousand_a_cell(int64_t rows, int64_t columns, void *user)
{
    ++*(int64_t *)user;
    return 1000 * rows * columns;
}

static void test_fit(void **state)
{
    struct error err = {0};
    struct tiling t;
    int64_t asked = 0;

    (void)state;
    /* All at once, with and without a limit. */
    assert_int_equal(tiling_fit(&t, 512, 256, 8, 4, 0, thousand_a_cell, &asked, NULL), OK);
    assert_true(t.down.n == 1 && t.across.n == 1 && t.down.tile == 64 && t.across.tile == 32);
    assert_int_equal(tiling_fit(&t, 512, 256, 8, 4, 64 * 32 * 1000, thousand_a_cell, &asked, NULL),
                     OK);
    assert_int_equal(tiling_count(&t), 1);
    /* One byte less: wide as it is, and the fewest bands, no higher than they need to be. */
    assert_int_equal(
        tiling_fit(&t, 512, 256, 8, 4, 64 * 32 * 1000 - 1, thousand_a_cell, &asked, NULL), OK);
    assert_int_equal(t.across.n, 1);
    assert_int_equal(t.down.n, 2);
    assert_int_equal(t.down.tile, 34);
    /* Whatever the limit, it is kept, and a larger tile would break it or change nothing. */
    for (int64_t limit = 64000; limit < 4000000; limit += 77777) {
        assert_int_equal(tiling_fit(&t, 1000, 700, 8, 4, limit, thousand_a_cell, &asked, NULL), OK);
        assert_true(thousand_a_cell(t.down.tile, t.across.tile, &asked) <= limit);
        check_axis(&t.down, 4, 8);
        check_axis(&t.across, 4, 8);
    }
    asked = 0;
    assert_int_equal(tiling_fit(&t, 16384, 16384, 8, 8, 1000000, thousand_a_cell, &asked, NULL),
                     OK);
    assert_true(asked < 20);
    assert_int_equal(tiling_fit(&t, 512, 512, 8, 4, 63999, thousand_a_cell, &asked, &err),
                     E_MEMORY);
    assert_non_null(strstr(err.text, "64000"));
    assert_non_null(strstr(err.text, "63999"));
}

/* --- maps ---------------------------------------------------------------------------------------
 */

enum { FACTOR = 8, PIXEL = 3, CELL = 4 };

struct counter {
    int64_t calls, rows, columns;
    enum { LOCAL, CONSTANT, NUMBERED, FAILING } kind;
};

/* Of an 8 x 8 block of pixels four sums of its own. */
static enum status shrink(float *out, const float *in, int64_t rows, int64_t columns, void *user,
                          struct error *err)
{
    struct counter *c = user;

    (void)err;
    c->calls++;
    for (int64_t i = 0; i < rows * columns; i++)
        for (int64_t k = 0; k < CELL; k++) {
            float sum = 0;

            for (int64_t p = 0; p < FACTOR * FACTOR; p++) {
                int64_t y = i / columns * FACTOR + p / FACTOR;
                int64_t x = i % columns * FACTOR + p % FACTOR;

                sum += (float)(p * (k + 1) % 11) * in[(y * columns * FACTOR + x) * PIXEL + k % 3];
            }
            out[i * CELL + k] = sum;
        }
    return OK;
}

/* A pixel is a linear function of its own cell and of where it lies in it. */
static enum status grow(float *out, const float *in, int64_t rows, int64_t columns, void *user,
                        struct error *err)
{
    struct counter *c = user;

    c->calls++;
    c->rows = rows;
    c->columns = columns;
    if (c->kind == FAILING && c->calls == 3)
        return (fail)(err, E_CANCELLED, "stopped at the third tile");
    for (int64_t y = 0; y < rows * FACTOR; y++)
        for (int64_t x = 0; x < columns * FACTOR; x++)
            for (int64_t k = 0; k < PIXEL; k++) {
                const float *cell = in + (y / FACTOR * columns + x / FACTOR) * CELL;
                float local = cell[k] + (float)(y % FACTOR) * cell[3] - (float)(x % FACTOR);

                out[(y * columns * FACTOR + x) * PIXEL + k] = c->kind == CONSTANT ? 0.1f
                                                              : c->kind == NUMBERED
                                                                  ? (float)(c->calls - 1)
                                                                  : local;
            }
    return OK;
}

static float *random_floats(int64_t n, uint64_t index)
{
    struct rng r = rng_stream(6, RNG_TEST, index);
    float *x = malloc((size_t)n * sizeof *x);

    assert_non_null(x);
    rng_normals(&r, x, n);
    return x;
}

static void same_in_tiles(int64_t height, int64_t width, int64_t tile, int64_t overlap)
{
    struct counter one = {0}, many = {0};
    struct tiling whole, t;
    float *picture = random_floats(height * width * PIXEL, (uint64_t)(height * 1000 + width));
    float *latents[2], *decoded[2];
    int64_t cells, pixels = height * width * PIXEL;

    assert_int_equal(tiling_plan(&whole, height, width, FACTOR, 4096, 0, NULL), OK);
    assert_int_equal(tiling_plan(&t, height, width, FACTOR, tile, overlap, NULL), OK);
    cells = t.down.cells * t.across.cells * CELL;
    for (int k = 0; k < 2; k++) {
        latents[k] = calloc((size_t)cells, sizeof(float));
        decoded[k] = calloc((size_t)pixels, sizeof(float));
    }
    assert_int_equal(tiling_encode(latents[0], picture, &whole, PIXEL, CELL, shrink, &one, NULL),
                     OK);
    assert_int_equal(tiling_encode(latents[1], picture, &t, PIXEL, CELL, shrink, &many, NULL), OK);
    assert_int_equal(one.calls, 1);
    assert_int_equal(many.calls, tiling_count(&t));
    assert_memory_equal(latents[0], latents[1], (size_t)cells * sizeof(float));
    assert_int_equal(tiling_decode(decoded[0], latents[0], &whole, CELL, PIXEL, grow, &one, NULL),
                     OK);
    assert_int_equal(tiling_decode(decoded[1], latents[0], &t, CELL, PIXEL, grow, &many, NULL), OK);
    assert_int_equal(many.rows, t.down.tile);
    assert_memory_equal(decoded[0], decoded[1], (size_t)pixels * sizeof(float));
    for (int k = 0; k < 2; k++) {
        free(latents[k]);
        free(decoded[k]);
    }
    free(picture);
}

static void test_local_maps(void **state)
{
    (void)state;
    same_in_tiles(64, 64, 4, 1);
    same_in_tiles(63, 65, 4, 2);
    same_in_tiles(1, 200, 6, 3);
    same_in_tiles(101, 77, 3, 1);
    same_in_tiles(100, 48, 7, 0);
    same_in_tiles(40, 40, 4, 2);
}

/* What a picture lacks of its last cells is its edge, repeated: a flat picture stays flat, and the
 * last pixel stands in the place of those beyond it. */
static enum status last_pixel(float *out, const float *in, int64_t rows, int64_t columns,
                              void *user, struct error *err)
{
    (void)user;
    (void)err;
    for (int64_t i = 0; i < rows * columns; i++)
        out[i] = in[(i / columns * FACTOR + FACTOR - 1) * columns * FACTOR + i % columns * FACTOR +
                    FACTOR - 1];
    return OK;
}

static void test_edge(void **state)
{
    enum { H = 13, W = 18 };
    float picture[H * W], latents[2 * 3];
    struct tiling t;

    (void)state;
    for (int i = 0; i < H * W; i++)
        picture[i] = (float)i;
    assert_int_equal(tiling_plan(&t, H, W, FACTOR, 1, 0, NULL), OK);
    assert_int_equal(tiling_encode(latents, picture, &t, 1, 1, last_pixel, NULL, NULL), OK);
    assert_true(latents[0] == 7 * W + 7 && latents[1] == 7 * W + 15 && latents[2] == 7 * W + 17);
    assert_true(latents[3] == 12 * W + 7 && latents[5] == 12 * W + 17);
}

/* A constant comes back as itself, and between tiles that differ the change is gradual: from one
 * pixel to the next never more than the ramp's steepest step. */
static void test_blend(void **state)
{
    enum { H = 96, W = 200 };
    static float latents[12 * 25 * CELL], picture[H * W * PIXEL];
    struct counter c = {.kind = CONSTANT};
    struct tiling t;
    float steepest = 0;

    (void)state;
    assert_int_equal(tiling_plan(&t, H, W, FACTOR, 12, 4, NULL), OK);
    assert_int_equal(tiling_count(&t), 3);
    assert_int_equal(tiling_decode(picture, latents, &t, CELL, PIXEL, grow, &c, NULL), OK);
    for (int i = 0; i < H * W * PIXEL; i++)
        assert_true(picture[i] == 0.1f);
    c = (struct counter){.kind = NUMBERED};
    assert_int_equal(tiling_decode(picture, latents, &t, CELL, PIXEL, grow, &c, NULL), OK);
    for (int x = 1; x < W; x++) {
        float step = picture[x * PIXEL] - picture[(x - 1) * PIXEL];

        assert_true(step >= -1e-6f);
        steepest = fmaxf(steepest, step);
    }
    assert_true(picture[0] == 0 && picture[(W - 1) * PIXEL] == 2);
    /* A raised cosine over 4 x 8 pixels or more is nowhere steeper than pi / 2 / 32 a pixel. */
    assert_true(steepest > 0.03f && steepest < 0.0495f);
}

static void test_failing_map(void **state)
{
    static float latents[8 * 8 * CELL], picture[64 * 64 * PIXEL];
    struct counter c = {.kind = FAILING};
    struct error err = {0};
    struct tiling t;

    (void)state;
    assert_int_equal(tiling_plan(&t, 64, 64, FACTOR, 4, 1, NULL), OK);
    assert_int_equal(tiling_decode(picture, latents, &t, CELL, PIXEL, grow, &c, &err), E_CANCELLED);
    assert_int_equal(c.calls, 3);
    assert_string_equal(err.text, "stopped at the third tile");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),      cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_fit),
        cmocka_unit_test(test_local_maps), cmocka_unit_test(test_edge),
        cmocka_unit_test(test_blend),      cmocka_unit_test(test_failing_map),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
