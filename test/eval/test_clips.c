/*
 * test_clips.c - measures of clips: frames as pictures, what flickers, what jumps at a joint, and
 * what they lack
 *
 * Against clips whose figures can be told without a program.
 */
#include "eval/measure.h"

#include "base/rng.h"
#include "pipeline/frame_tiles.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES = 12, SIDE = 16, LENGTH = SIDE * SIDE * 3, CLIPS = 4 };

static void assert_near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.15g, not %.15g", got, want);
}

static const struct measure *find(const char *name)
{
    const struct measure *m = NULL;

    assert_int_equal(measure_find(&m, name, NULL), OK);
    return m;
}

static double value_of(const struct measure_result *r, const char *name)
{
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->at[i].name, name))
            return r->at[i].value;
    fail_msg("there is no %s", name);
    return 0;
}

static struct picture_set set_of(const uint8_t *pixels, int64_t n)
{
    return (struct picture_set){
        .n = n, .height = SIDE, .width = SIDE, .channels = 3, .frames = FRAMES, .pixels = pixels};
}

/* --- frames -------------------------------------------------------------------------------------
 */

/* Of pairs of clips the figures are those of their frames, as so many pictures. */
static void frames_are_pictures(void **state)
{
    static uint8_t a[CLIPS * FRAMES * LENGTH], b[CLIPS * FRAMES * LENGTH];
    static const char *const names[][3] = {{"psnr", "psnr", "psnr_overall"},
                                           {"ssim", "ssim", "ms_ssim"}};
    struct rng r = rng_stream(1, RNG_TEST, 0);

    (void)state;
    for (size_t i = 0; i < sizeof a; i++) {
        a[i] = (uint8_t)rng_below(&r, 256);
        b[i] = i % 1000 ? a[i] / 2 : a[i];
    }
    memcpy(b, a, LENGTH); /* one frame is equal */
    for (int k = 0; k < 2; k++) {
        struct measure_task clips = {
            .pictures = set_of(a, CLIPS), .reference = set_of(b, CLIPS), .paired = true};
        struct measure_task frames = clips;
        struct measure_result x = {0}, y = {0};

        frames.pictures.frames = frames.reference.frames = 0;
        frames.pictures.n = frames.reference.n = CLIPS * FRAMES;
        assert_null(measure_lacks(find(names[k][0]), &clips));
        assert_int_equal(find(names[k][0])->run(&x, &clips, NULL), OK);
        assert_int_equal(find(names[k][0])->run(&y, &frames, NULL), OK);
        for (int i = 1; i < 3; i++)
            assert_true(value_of(&x, names[k][i]) == value_of(&y, names[k][i]));
        assert_non_null(strstr(x.at[0].note, "of frames"));
    }
}

/* --- flicker ------------------------------------------------------------------------------------
 */

/* Frame t is grey of level at[t]. */
static void grey_clip(uint8_t *out, const int *at)
{
    for (int t = 0; t < FRAMES; t++)
        memset(out + t * LENGTH, at[t], LENGTH);
}

static void flicker_of_known_clips(void **state)
{
    static uint8_t x[FRAMES * LENGTH], y[FRAMES * LENGTH];
    static const int still[FRAMES] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    int fade[FRAMES], blink[FRAMES], step[FRAMES];

    (void)state;
    for (int t = 0; t < FRAMES; t++) {
        fade[t] = 10 + 7 * t;
        blink[t] = 100 + 5 * (t % 2);
        step[t] = t < 6 ? 20 : 71;
    }
    grey_clip(y, still);
    assert_true(flicker_second(y, FRAMES, LENGTH) == 0);
    grey_clip(x, fade); /* brightens steadily */
    assert_true(flicker_second(x, FRAMES, LENGTH) == 0);
    assert_near(flicker_still(x, y, FRAMES, LENGTH), 7 / 255.0, 1e-15);
    assert_true(flicker_still(y, x, FRAMES, LENGTH) == -1);
    grey_clip(x, blink);
    assert_near(flicker_second(x, FRAMES, LENGTH), 10 / 255.0, 1e-15);
    assert_near(flicker_still(x, y, FRAMES, LENGTH), 5 / 255.0, 1e-15);
    grey_clip(x, step); /* one step is seen by the two second differences over it */
    assert_near(flicker_second(x, FRAMES, LENGTH), 2 * 51 / 255.0 / (FRAMES - 2), 1e-15);
    /* What differs by no more than FLICKER_STILL stands still. */
    grey_clip(y, still);
    for (int t = 1; t < FRAMES; t += 2)
        memset(y + t * LENGTH, 9 + FLICKER_STILL, LENGTH);
    assert_near(flicker_still(x, y, FRAMES, LENGTH), 51 / 255.0 / (FRAMES - 1), 1e-15);
}

static void flicker_beside_the_reference(void **state)
{
    static uint8_t x[CLIPS * FRAMES * LENGTH], y[CLIPS * FRAMES * LENGTH];
    struct measure_task t = {
        .pictures = set_of(x, CLIPS), .reference = set_of(y, CLIPS), .paired = true};
    struct measure_result r = {0};
    int blink[FRAMES];

    (void)state;
    for (int i = 0; i < CLIPS; i++) {
        for (int k = 0; k < FRAMES; k++)
            blink[k] = 100 + 6 * (k % 2);
        grey_clip(x + i * FRAMES * LENGTH, blink);
        for (int k = 0; k < FRAMES; k++)
            blink[k] = 100 + 2 * (k % 2);
        grey_clip(y + i * FRAMES * LENGTH, blink);
    }
    assert_int_equal(find("flicker")->run(&r, &t, NULL), OK);
    assert_near(value_of(&r, "flicker"), 12 / 255.0, 1e-14);
    assert_near(value_of(&r, "flicker_reference"), 4 / 255.0, 1e-14);
    assert_near(value_of(&r, "flicker_ratio"), 3, 1e-12);
    assert_near(value_of(&r, "flicker_still"), 6 / 255.0, 1e-14);
}

/* --- joints -------------------------------------------------------------------------------------
 */

/* Levels that rise by `steps` from frame to frame. */
static void rising_clip(uint8_t *out, const int steps[FRAMES - 1])
{
    int at[FRAMES] = {10};

    for (int t = 1; t < FRAMES; t++)
        at[t] = at[t - 1] + steps[t - 1];
    grey_clip(out, at);
}

static void jumps_of_known_clips(void **state)
{
    static const int even[FRAMES - 1] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    static const int jumps[FRAMES - 1] = {4, 4, 4, 8, 4, 4, 4, 6, 4, 4, 4};
    static const int often[FRAMES - 1] = {8, 4, 8, 4, 8, 4, 8, 4, 8, 4, 8};
    static const int64_t most[] = {1, 3, 5, 7, 9, 11};
    static const int64_t joint[] = {4, 8}, falling[] = {8, 4}, beyond[] = {FRAMES};
    static uint8_t x[FRAMES * LENGTH];
    struct joint_jump j;
    struct error err = {0};

    (void)state;
    rising_clip(x, even);
    assert_int_equal(joint_jumps(&j, x, FRAMES, LENGTH, joint, 2, &err), OK);
    assert_true(j.mean == 1 && j.worst == 1);
    rising_clip(x, jumps);
    assert_int_equal(joint_jumps(&j, x, FRAMES, LENGTH, joint, 2, &err), OK);
    assert_near(j.mean, 1.75, 1e-15);
    assert_near(j.worst, 2, 1e-15);
    rising_clip(x, often); /* the usual change is that of the others, however few they are */
    assert_int_equal(joint_jumps(&j, x, FRAMES, LENGTH, most, 6, &err), OK);
    assert_near(j.mean, 2, 1e-14);
    assert_true(j.worst == 2);
    memset(x, 7, sizeof x);
    assert_int_equal(joint_jumps(&j, x, FRAMES, LENGTH, joint, 2, &err), OK);
    assert_true(j.mean == -1 && j.worst == -1);
    assert_int_equal(joint_jumps(&j, x, FRAMES, LENGTH, falling, 2, &err), E_ARG);
    assert_int_equal(joint_jumps(&j, x, FRAMES, LENGTH, beyond, 1, &err), E_ARG);
    assert_non_null(strstr(err.text, "1 to 11"));
}

/* A tile that stands apart from its neighbours by a level is seen where tiles follow each other,
 * and not where they are blended: the mechanism of frame_tiles_decode, without a network. */
enum { FACTOR = 2, CELLS = 24, LONG = FACTOR * CELLS };

static enum status tile_of_its_own(float *out, const float *in, int64_t cells, void *user,
                                   struct error *err)
{
    int64_t *tile = user;

    (void)err;
    for (int64_t t = 0; t < cells * FACTOR; t++)
        for (int64_t i = 0; i < LENGTH; i++)
            out[t * LENGTH + i] = in[t / FACTOR] + (float)(t % FACTOR) + (float)(30 * (*tile % 2));
    ++*tile;
    return OK;
}

static void blending_takes_the_jump_away(void **state)
{
    static float latents[CELLS], video[LONG * LENGTH];
    static uint8_t x[LONG * LENGTH];
    double worst[2];

    (void)state;
    for (int i = 0; i < CELLS; i++)
        latents[i] = (float)(FACTOR * i);
    for (int overlap = 0; overlap < 2; overlap++) {
        struct frame_sizes sizes = {LONG, FACTOR, LENGTH, 1};
        int64_t joint[2 * CELLS], n, tile = 0;
        struct frame_tiles t;
        struct joint_jump j;

        assert_int_equal(frame_tiles_plan(&t, CELLS, 8, overlap ? 4 : 0, NULL), OK);
        assert_int_equal(
            frame_tiles_decode(video, latents, &t, sizes, tile_of_its_own, &tile, NULL), OK);
        for (int64_t i = 0; i < LONG * LENGTH; i++)
            x[i] = (uint8_t)lrintf(video[i]);
        n = frame_tiles_joints(joint, &t, LONG, FACTOR);
        assert_int_equal(n, overlap ? 5 : 2);
        assert_int_equal(joint[0], overlap ? 8 : 16);
        assert_int_equal(joint_jumps(&j, x, LONG, LENGTH, joint, n, NULL), OK);
        worst[overlap] = j.worst;
    }
    assert_true(worst[0] > 20 && worst[1] < 6);
}

/* --- what is lacking ----------------------------------------------------------------------------
 */

static void what_is_lacking(void **state)
{
    static uint8_t x[FRAMES * LENGTH];
    static const int64_t joint[] = {4};
    struct measure_task t = {.pictures = set_of(x, 1), .joint = joint, .n_joints = 1};
    struct measure_result r = {0};
    struct error err = {0};

    (void)state;
    assert_null(measure_lacks(find("flicker"), &t));
    assert_null(measure_lacks(find("joints"), &t));
    assert_int_equal(find("joints")->run(&r, &t, &err), E_ARG); /* a clip that stands still */
    assert_non_null(strstr(err.text, "none of the 1 clips moves"));
    assert_non_null(strstr(measure_lacks(find("wavelet"), &t), "these are clips"));
    assert_non_null(strstr(measure_lacks(find("psnr"), &t), "a reference"));
    t.n_joints = 0;
    assert_non_null(strstr(measure_lacks(find("joints"), &t), "joints"));
    t.pictures.frames = 2;
    assert_non_null(strstr(measure_lacks(find("flicker"), &t), "three frames"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_pictures),          cmocka_unit_test(flicker_of_known_clips),
        cmocka_unit_test(flicker_beside_the_reference), cmocka_unit_test(jumps_of_known_clips),
        cmocka_unit_test(blending_takes_the_jump_away), cmocka_unit_test(what_is_lacking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
