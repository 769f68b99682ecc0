/*
 * test_windows.c - what is larger than its network, in windows: the mean by its formula, a
 * network's own windows, sizes, bits, and what is refused
 */
#include "pipeline/windows.h"

#include "base/rng.h"
#include "pipeline/generate.h"
#include "support/models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- the mean -----------------------------------------------------------------------------------
 */

enum { ROWS = 2, CHANNELS = 3, LARGEST = 9 * 8 * 11 * CHANNELS * ROWS };

struct form {
    int64_t cells[3], window[3], overlap[3];
};
static const struct form forms[] = {
    {{1, 1, 5}, {1, 1, 3}, {0, 0, 1}},  {{9, 1, 1}, {4, 1, 1}, {2, 0, 0}},
    {{1, 7, 11}, {1, 4, 4}, {0, 1, 2}}, {{9, 8, 11}, {4, 3, 5}, {2, 0, 4}},
    {{2, 3, 4}, {2, 3, 4}, {0, 0, 0}},
};

/* What depends on the place in the window, the row and the branch. */
struct fake {
    int64_t window[3], calls;
};

static double said(const struct fake *f, int64_t row, int64_t t, int64_t y, int64_t x, int64_t c,
                   double value, unsigned branch)
{
    (void)f;
    return (double)branch * value + sin((double)(1 + t + 3 * y + 7 * x + 11 * c + 13 * row));
}

static enum status fake_predict(void *self, double *out, const double *x, double t,
                                unsigned branches, struct error *err)
{
    struct fake *f = self;

    (void)err;
    assert_true(t == 0.25);
    f->calls++;
    for (unsigned b = BRANCH_UNGUIDED; b <= BRANCH_PERTURBED; b <<= 1) {
        const double *from = x;

        if (!(branches & b))
            continue;
        for (int64_t r = 0; r < ROWS; r++)
            for (int64_t i = 0; i < f->window[0]; i++)
                for (int64_t j = 0; j < f->window[1]; j++)
                    for (int64_t k = 0; k < f->window[2]; k++)
                        for (int64_t c = 0; c < CHANNELS; c++)
                            *out++ = said(f, r, i, j, k, c, *from++, b);
    }
    return OK;
}

/* Where window i of an axis begins, and its ramp at a place: movie-gen.md 5.1, once more. */
static int64_t first_of(const struct form *f, int a, int64_t i)
{
    int64_t first = i * (f->window[a] - f->overlap[a]);

    return first + f->window[a] > f->cells[a] ? f->cells[a] - f->window[a] : first;
}

static double ramp(const struct form *f, int a, int64_t i, int64_t cell)
{
    int64_t first = first_of(f, a, i), n = f->window[a], O = f->overlap[a], j = cell - first;
    double left = 1, right = 1;

    if (j < 0 || j >= n)
        return 0;
    if (first > 0)
        left = fmin(1, (double)(j + 1) / (double)(O + 1));
    if (first + n < f->cells[a])
        right = fmin(1, (double)(n - j) / (double)(O + 1));
    return fmin(left, right);
}

static int64_t windows_of(const struct form *f, int a)
{
    int64_t n = 1;

    while (first_of(f, a, n - 1) + f->window[a] < f->cells[a])
        n++;
    return n;
}

/* The normalised mean at one place. */
static double mean_at(const struct form *f, const struct fake *fake, int64_t row,
                      const int64_t at[3], int64_t c, double value, unsigned branch)
{
    double sum = 0, weights = 0;

    for (int64_t i = 0; i < windows_of(f, 0); i++)
        for (int64_t j = 0; j < windows_of(f, 1); j++)
            for (int64_t k = 0; k < windows_of(f, 2); k++) {
                double w = ramp(f, 0, i, at[0]) * ramp(f, 1, j, at[1]) * ramp(f, 2, k, at[2]);

                if (w > 0)
                    sum += w * said(fake, row, at[0] - first_of(f, 0, i), at[1] - first_of(f, 1, j),
                                    at[2] - first_of(f, 2, k), c, value, branch);
                weights += w;
            }
    return sum / weights;
}

static void check_form(const struct form *f, unsigned branches)
{
    static double x[LARGEST], got[3 * LARGEST];
    int64_t length = f->cells[0] * f->cells[1] * f->cells[2] * CHANNELS, n = 0;
    struct fake fake = {.window = {f->window[0], f->window[1], f->window[2]}};
    struct predictor of = {.predict = fake_predict,
                           .self = &fake,
                           .rows = ROWS,
                           .length = f->window[0] * f->window[1] * f->window[2] * CHANNELS};
    struct rng r = rng_stream(3, RNG_TEST, 0);
    struct frame_tiles along[3];
    struct predictor whole;
    struct windows w;

    for (int a = 0; a < 3; a++)
        assert_int_equal(
            frame_windows_plan(&along[a], f->cells[a], f->window[a], f->overlap[a], NULL), OK);
    for (int64_t i = 0; i < ROWS * length; i++)
        x[i] = rng_normal(&r);
    assert_int_equal(windows_init(&w, of, along, CHANNELS, NULL), OK);
    whole = predictor_of_windows(&w);
    assert_true(whole.rows == ROWS && whole.length == length);
    assert_int_equal(whole.predict(whole.self, got, x, 0.25, branches, NULL), OK);
    assert_int_equal(fake.calls, windows_of(f, 0) * windows_of(f, 1) * windows_of(f, 2));
    for (unsigned b = BRANCH_UNGUIDED; b <= BRANCH_PERTURBED; b <<= 1) {
        if (!(branches & b))
            continue;
        for (int64_t i = 0; i < ROWS * length; i++) {
            int64_t c = i % CHANNELS, place = i / CHANNELS;
            int64_t at[3] = {place / (f->cells[1] * f->cells[2]) % f->cells[0],
                             place / f->cells[2] % f->cells[1], place % f->cells[2]};
            double want = mean_at(f, &fake, i / length, at, c, x[i], b);

            if (!(fabs(got[n] - want) < 1e-12))
                fail_msg("number %d is %.15g, not %.15g", (int)n, got[n], want);
            n++;
        }
    }
    windows_release(&w);
}

static void the_mean_is_weighted(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(forms); k++) {
        check_form(&forms[k], BRANCH_ALL);
        check_form(&forms[k], BRANCH_GUIDED);
    }
}

/* --- models -------------------------------------------------------------------------------------
 */

enum { FRAMES = 3, SIDE = 8, FRAME = SIDE * SIDE * 3, CLIP = FRAMES * FRAME };

static const char movie[] =
    "\"model\": {\"network\": \"movie\", \"path\": \"condot_min\"}, \"movie\": {\"size\": 8, "
    "\"channels\": 3, "
    "\"frames\": 3, \"times\": 3, \"patch\": 4, \"width\": 16, \"depth\": 2, \"heads\": 2, "
    "\"text_length\": 24, \"text_width\": 8, \"text_depth\": 1, \"text_heads\": 2}, \"sample\": "
    "{\"sampling_method\": \"euler\", \"steps\": 3}";
static const char *const prompts[] = {"a red circle", "a blue star"};
static const struct generate_item items[] = {{0, 2, 7}, {1, 1.5, 8}};

static void make(float *out, struct model *m, int64_t n, int64_t batch, int threads)
{
    struct generate_request r = {.model = m,
                                 .settings = m->sample,
                                 .items = items,
                                 .n = n,
                                 .batch = batch,
                                 .texts = prompts,
                                 .n_texts = 2,
                                 .threads = threads};
    struct error err = {0};

    if (generate(out, &r, NULL, &err))
        fail_msg("%s", err.text);
}

/* One window is no window: the bits are those of the model alone. */
static void one_window_changes_nothing(void **state)
{
    static float want[2 * CLIP], got[2 * CLIP];
    struct model *m = model_random(movie, 1);

    (void)state;
    make(want, m, 2, 0, 2);
    assert_int_equal(windows_count(m), 1);
    assert_int_equal(windows_allow(m, 0.5, NULL), OK);
    assert_int_equal(windows_count(m), 1);
    make(got, m, 2, 0, 2);
    assert_memory_equal(want, got, sizeof want);
    model_free(m);
}

/* Windows that share nothing know nothing of each other: the first frames of a clip three times as
 * long, whose noise begins with theirs, are the short clip.  Where they share frames they are not.
 */
static void windows_are_the_networks_own(void **state)
{
    static float want[CLIP], got[3 * CLIP], shared[3 * CLIP];
    struct model *m = model_random(movie, 1);

    (void)state;
    make(want, m, 1, 0, 2);
    assert_int_equal(model_set_frames(m, 3 * FRAMES, NULL), E_ARG);
    assert_int_equal(windows_allow(m, 0, NULL), OK);
    assert_int_equal(model_set_frames(m, 3 * FRAMES, NULL), OK);
    assert_int_equal(windows_count(m), 3);
    make(got, m, 1, 0, 2);
    assert_memory_equal(want, got, sizeof want);
    assert_memory_not_equal(want, got + CLIP, sizeof want);
    m->window.overlap = 0.5;
    assert_int_equal(windows_count(m), 7); /* two of three frames are shared */
    make(shared, m, 1, 0, 2);
    for (int64_t i = 0; i < 3 * CLIP; i++)
        assert_true(isfinite(shared[i]));
    assert_memory_not_equal(shared, got, sizeof want);
    model_free(m);
}

/* Larger each way, alone and beside others, on any number of threads. */
static void a_row_is_its_own(void **state)
{
    enum { WIDE = 5 * 12 * 20 * 3 };
    static float want[2 * WIDE], got[2 * WIDE];
    struct model *m = model_random(movie, 1);

    (void)state;
    assert_int_equal(windows_allow(m, 0.25, NULL), OK);
    assert_int_equal(windows_resize(m, 12, 20, NULL), OK);
    assert_int_equal(model_set_frames(m, 5, NULL), OK);
    assert_int_equal(windows_count(m), 2 * 2 * 3);
    make(want, m, 2, 2, 1);
    make(got, m, 2, 1, 3);
    assert_memory_equal(want, got, sizeof want);
    model_free(m);
}

static void what_is_refused(void **state)
{
    static const char vae[] = "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 16, "
                              "\"width\": 4, \"mult\": [1, 2], \"groups\": 2, \"attention\": []}";
    struct model *m = model_random(movie, 1), *a = model_random(vae, 1);
    struct generate_request r = {.model = m, .settings = m->sample, .guide = a, .threads = 1};
    struct error err = {0};

    (void)state;
    assert_int_equal(windows_allow(m, 1, &err), E_ARG);
    assert_non_null(strstr(err.text, "0 to 0.9"));
    assert_int_equal(windows_allow(m, (double)NAN, &err), E_ARG);
    assert_int_equal(windows_allow(a, 0.5, &err), E_ARG);
    assert_non_null(strstr(err.text, "makes no pictures"));
    assert_int_equal(windows_allow(m, 0.5, &err), OK);
    assert_int_equal(windows_resize(m, 8, 4, &err), E_ARG);
    assert_non_null(strstr(err.text, "8 x 8 and any larger"));
    assert_int_equal(model_set_frames(m, 2, &err), E_ARG);
    assert_non_null(strstr(err.text, "3 and any larger"));
    assert_int_equal(generate(NULL, &r, NULL, &err), E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "takes no guide"));
    model_free(m);
    model_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_is_weighted),
        cmocka_unit_test(one_window_changes_nothing),
        cmocka_unit_test(windows_are_the_networks_own),
        cmocka_unit_test(a_row_is_its_own),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
