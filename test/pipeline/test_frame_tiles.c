/*
 * test_frame_tiles.c - tiles of frames cover every length, their weights add up to 1, and what is
 * local comes back bit for bit
 *
 * The weights themselves are held against the collection's numbers in test_parity.c.
 */
#include "pipeline/frame_tiles.h"

#include "base/rng.h"
#include "model/video_vae.h"
#include "support/networks.h"

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

static void check_cover(const struct frame_tiles *t, int64_t scale)
{
    double weight[MOST], sum[MOST] = {0};
    int tiles[MOST] = {0};

    for (int64_t i = 0; i < t->n; i++) {
        int64_t first = frame_tile_first(t, i), cells = frame_tile_cells(t, i);

        assert_true(first >= 0 && cells > 0 && first + cells <= t->cells);
        assert_true(!t->windows || cells == t->tile);
        if (i)
            assert_true(first > frame_tile_first(t, i - 1) &&
                        cells > (t->windows ? 0 : t->overlap));
        frame_tile_weights(weight, t, i, scale);
        for (int64_t j = 0; j < cells * scale; j++) {
            assert_true(weight[j] >= 0 && weight[j] <= 1);
            sum[first * scale + j] += weight[j];
            tiles[first * scale + j]++;
        }
    }
    for (int64_t j = 0; j < t->cells * scale; j++) {
        assert_true(fabs(sum[j] - 1) < 1e-14);
        assert_true(t->windows || tiles[j] <= 2);
    }
}

static void test_plans(void **state)
{
    static const int64_t forms[][2] = {{1, 0}, {4, 2}, {4, 0}, {2, 1}, {5, 2}, {32, 8}};
    struct frame_tiles t;

    (void)state;
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++)
        for (int64_t cells = 1; cells < 120; cells++) {
            assert_int_equal(frame_tiles_plan(&t, cells, forms[k][0], forms[k][1], NULL), OK);
            check_cover(&t, 8);
            assert_int_equal(frame_windows_plan(&t, cells, forms[k][0], forms[k][1], NULL), OK);
            check_cover(&t, 1);
        }
}

static void test_refused(void **state)
{
    static const int64_t bad[][3] = {{0, 4, 2}, {9, 0, 0}, {9, 4, 3}, {9, 4, -1}};
    struct error err = {0};
    struct frame_tiles t;

    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        assert_int_equal(frame_tiles_plan(&t, bad[k][0], bad[k][1], bad[k][2], &err), E_ARG);
    assert_int_equal(frame_windows_plan(&t, 9, 4, 4, &err), E_ARG);
    assert_non_null(strstr(err.text, "4"));
}

/* --- the way there and back ---------------------------------------------------------------------
 */

enum { FACTOR = 4, FRAME = 3, LATENT = 2, LONGEST = 70 };

/* A latent frame from its own frames alone, as far as there are any. */
static enum status local_encode(float *out, const float *in, int64_t frames, void *user,
                                struct error *err)
{
    (void)user, (void)err;
    for (int64_t u = 0; u < (frames + FACTOR - 1) / FACTOR; u++)
        for (int64_t i = 0; i < LATENT; i++) {
            out[u * LATENT + i] = 0;
            for (int64_t t = u * FACTOR; t < frames && t < (u + 1) * FACTOR; t++)
                out[u * LATENT + i] += in[t * FRAME + i] * (float)(1 + t % FACTOR);
        }
    return OK;
}

static enum status local_decode(float *out, const float *in, int64_t frames, void *user,
                                struct error *err)
{
    (void)user, (void)err;
    for (int64_t t = 0; t < frames * FACTOR; t++)
        for (int64_t i = 0; i < FRAME; i++)
            out[t * FRAME + i] = in[t / FACTOR * LATENT + i % LATENT] * (float)(1 + t % FACTOR);
    return OK;
}

static void test_local_maps(void **state)
{
    static float video[LONGEST * FRAME], want[LONGEST * FRAME + FACTOR * FRAME];
    static float latents[LONGEST * LATENT], one[LONGEST * LATENT], got[LONGEST * FRAME];
    static const int64_t forms[][2] = {{4, 2}, {2, 1}, {3, 0}, {7, 3}};
    struct rng r = rng_stream(2, RNG_TEST, 0);
    struct frame_tiles t;

    (void)state;
    rng_normals(&r, video, LONGEST * FRAME);
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++)
        for (int64_t frames = 1; frames <= LONGEST; frames += 1 + frames / 6) {
            struct frame_sizes sizes = {frames, FACTOR, FRAME, LATENT};
            int64_t cells = (frames + FACTOR - 1) / FACTOR;

            assert_int_equal(frame_tiles_plan(&t, cells, forms[k][0], forms[k][1], NULL), OK);
            local_encode(one, video, frames, NULL, NULL);
            assert_int_equal(
                frame_tiles_encode(latents, video, &t, sizes, local_encode, NULL, NULL), OK);
            assert_memory_equal(latents, one, (size_t)(cells * LATENT) * sizeof *one);
            local_decode(want, one, cells, NULL, NULL);
            assert_int_equal(frame_tiles_decode(got, one, &t, sizes, local_decode, NULL, NULL), OK);
            assert_memory_equal(got, want, (size_t)(frames * FRAME) * sizeof *got);
        }
}

/* Tiles that say their own number show the weights. */
static enum status say_number(float *out, const float *in, int64_t frames, void *user,
                              struct error *err)
{
    float *number = user;

    (void)in, (void)err;
    for (int64_t i = 0; i < frames * FACTOR * FRAME; i++)
        out[i] = *number;
    *number += 1;
    return OK;
}

static void test_fading(void **state)
{
    /* Tiles 0-1, 1-2, 2-3 of cells of four frames: the second cell goes from tile 0 to 1. */
    static const float want[] = {0, 0, 0, 0, 0, 0.25F, 0.5F, 0.75F, 1, 1.25F, 1.5F, 1.75F, 2, 2};
    static float latents[4 * LATENT], video[14 * FRAME];
    struct frame_tiles t;
    float number = 0;

    (void)state;
    assert_int_equal(frame_tiles_plan(&t, 4, 2, 1, NULL), OK);
    assert_int_equal(frame_tiles_decode(video, latents, &t,
                                        (struct frame_sizes){14, FACTOR, FRAME, LATENT}, say_number,
                                        &number, NULL),
                     OK);
    for (int64_t i = 0; i < 14 * FRAME; i++)
        assert_true(fabsf(video[i] - want[i / FRAME]) < 1e-6F);
}

static enum status refuse(float *out, const float *in, int64_t frames, void *user,
                          struct error *err)
{
    (void)out, (void)in, (void)frames, (void)user, (void)err;
    return E_CANCELLED;
}

static void test_refusing_map(void **state)
{
    static float latents[4 * LATENT], video[14 * FRAME];
    struct frame_sizes sizes = {14, FACTOR, FRAME, LATENT};
    struct frame_tiles t;

    (void)state;
    assert_int_equal(frame_tiles_plan(&t, 4, 2, 1, NULL), OK);
    assert_int_equal(frame_tiles_decode(video, latents, &t, sizes, refuse, NULL, NULL),
                     E_CANCELLED);
    assert_int_equal(frame_tiles_encode(latents, video, &t, sizes, refuse, NULL, NULL),
                     E_CANCELLED);
}

/* --- with a network -----------------------------------------------------------------------------
 */

enum { SIDE = 8, CHANNELS = 2, CODE = 3, CELLS = 9, LENGTH = 2 * CELLS - 1 };

static enum status decode_by(float *out, const float *in, int64_t frames, void *user,
                             struct error *err)
{
    struct graph *g = NULL;
    struct tensor *y;
    enum status st;

    if ((st = graph_new(&g, GRAPH_FROZEN, 2, err)))
        return st;
    y = autoencoder_decode(g, user, graph_input(g, SHAPE(1, frames, SIDE / 2, SIDE / 2, CODE), in));
    graph_keep(g, y);
    if (!(st = graph_run(g, err)))
        graph_read(g, y, out);
    graph_free(g);
    return st;
}

/* A latent that stands still is decoded to the same picture in tiles and in one piece. */
static void test_still_latent(void **state)
{
    static const char *const form[] = {"size=8",   "channels=2", "latent_channels=3",
                                       "width=8",  "blocks=1",   "groups=4",
                                       "mult=1,2", "halvings=1", NULL};
    enum { EACH = SIDE / 2 * SIDE / 2 * CODE, PICTURE = SIDE * SIDE * CHANNELS };
    static float z[CELLS * EACH], whole[2 * CELLS * PICTURE], tiled[LENGTH * PICTURE];
    struct rng r = rng_stream(4, RNG_TEST, 0);
    struct error err = {0};
    struct network *net;
    struct frame_tiles t;

    (void)state;
    assert_int_equal(network_of(&net, "video_vae", form, true, &err), OK);
    network_fill(net, 5);
    rng_normals(&r, z, EACH);
    for (int i = 1; i < CELLS; i++)
        memcpy(z + i * EACH, z, EACH * sizeof *z);
    assert_int_equal(decode_by(whole, z, CELLS, net, &err), OK);
    assert_int_equal(frame_tiles_plan(&t, CELLS, 4, 2, &err), OK);
    assert_int_equal(frame_tiles_decode(tiled, z, &t,
                                        (struct frame_sizes){LENGTH, 2, PICTURE, EACH}, decode_by,
                                        net, &err),
                     OK);
    for (int i = 0; i < LENGTH * PICTURE; i++)
        assert_true(fabsf(tiled[i] - whole[i]) <= 1e-5F * (1 + fabsf(whole[i])));
    network_free(net);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_local_maps),   cmocka_unit_test(test_fading),
        cmocka_unit_test(test_refusing_map), cmocka_unit_test(test_still_latent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
