/*
 * test_anchors.c - the two synthetic sets against their published recipe
 */
#include "data/dataset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, CLASSES = 10, MODES = 8, DRAWS = 12000 };

static const double pi = 3.14159265358979323846;

static struct dataset *anchor_open(const char *format, uint64_t seed)
{
    struct dataset_config c = {.format = format, .seed = seed};
    struct dataset *d = NULL;

    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->count == INT64_MAX && d->height == SIDE && d->width == SIDE);
    assert_true(d->channels == 1 && d->n_classes == CLASSES);
    return d;
}

static double mode_at(int m, int i, int j)
{
    int a = (m + 1) / 3, b = (m + 1) % 3;
    double down = sqrt((a ? 2.0 : 1.0) / SIDE) * cos(pi * a * (i + 0.5) / SIDE);

    return down * sqrt((b ? 2.0 : 1.0) / SIDE) * cos(pi * b * (j + 0.5) / SIDE);
}

/* Take the class mean off; what is left splits into eight weights and a white residual. */
static void gauss_split(const float *pixels, int class, double weight[MODES], double *residual)
{
    double left[SIDE * SIDE], sum = 0;
    double fx = 0.5 * (class % 4 + 1), fy = 0.5 * (class / 4 + 1);

    for (int i = 0; i < SIDE * SIDE; i++) {
        double x = (i % SIDE + 0.5) / 16 * 2 - 1, y = (i / SIDE + 0.5) / 16 * 2 - 1;

        left[i] = (double)pixels[i] - 0.8 * cos(pi * (fx * x + fy * y) + 0.6 * class);
    }
    for (int m = 0; m < MODES; m++) {
        weight[m] = 0;
        for (int i = 0; i < SIDE * SIDE; i++)
            weight[m] += left[i] * mode_at(m, i / SIDE, i % SIDE);
        for (int i = 0; i < SIDE * SIDE; i++)
            left[i] -= weight[m] * mode_at(m, i / SIDE, i % SIDE);
    }
    for (int i = 0; i < SIDE * SIDE; i++)
        sum += left[i] * left[i];
    *residual = sum / (SIDE * SIDE - MODES);
}

static void gauss_has_its_moments(void **state)
{
    const double deviation[MODES] = {3, 2.5, 2, 1.5, 1.2, 1, 0.8, 0.6};
    struct dataset *d = anchor_open("anchor-gauss", 1);
    double mean[MODES] = {0}, square[MODES] = {0}, white = 0, past_one = 0;
    int seen[CLASSES] = {0};

    (void)state;
    for (int64_t n = 0; n < DRAWS; n++) {
        float pixels[SIDE * SIDE];
        double weight[MODES], residual;
        int32_t label;

        assert_int_equal(dataset_get(d, n, pixels, &label, NULL, NULL), OK);
        assert_in_range(label, 0, CLASSES - 1);
        seen[label]++;
        gauss_split(pixels, label, weight, &residual);
        white += residual / DRAWS;
        for (int m = 0; m < MODES; m++) {
            mean[m] += weight[m] / DRAWS;
            square[m] += weight[m] * weight[m] / DRAWS;
        }
        for (int i = 0; i < SIDE * SIDE; i++)
            past_one += fabsf(pixels[i]) > 1;
    }
    for (int m = 0; m < MODES; m++) {
        /* Weights hold the white noise too: variance s^2 + 0.05^2. */
        double truth = sqrt(deviation[m] * deviation[m] + 0.0025);

        assert_true(fabs(mean[m]) < 4.5 * truth / sqrt(DRAWS));
        assert_true(fabs(sqrt(square[m]) / truth - 1) < 4.5 / sqrt(2.0 * DRAWS));
    }
    assert_true(fabs(sqrt(white) / 0.05 - 1) < 0.003);
    assert_true(past_one > 0.001 * DRAWS * SIDE * SIDE); /* nothing is clipped */
    for (int c = 0; c < CLASSES; c++)
        assert_in_range(seen[c], DRAWS / 10 - 160, DRAWS / 10 + 160);
    dataset_close(d);
}

/* Forms by their published inequalities: enough of each picture must be lit and dark where the
 * class says, seen here through area and extent. */
static void shapes_are_their_forms(void **state)
{
    struct dataset *d = anchor_open("anchor-shapes", 2);
    double lit[CLASSES] = {0};
    int seen[CLASSES] = {0};

    (void)state;
    for (int64_t n = 0; n < 2000; n++) {
        float pixels[SIDE * SIDE], most = -2, least = 2;
        int32_t label;

        assert_int_equal(dataset_get(d, n, pixels, &label, NULL, NULL), OK);
        for (int i = 0; i < SIDE * SIDE; i++) {
            most = fmaxf(most, pixels[i]);
            least = fminf(least, pixels[i]);
            lit[label] += (double)(pixels[i] + 1) / (SIDE * SIDE);
        }
        seen[label]++;
        assert_true(least >= -1 && least < -0.99f);
        assert_true(most <= 1 && most > -0.1f);
        if (label == 7) /* a horizontal bar: rows are constant */
            for (int i = 0; i < SIDE * SIDE; i++)
                assert_true(pixels[i] == pixels[i / SIDE * SIDE]);
        if (label == 8)
            for (int i = 0; i < SIDE * SIDE; i++)
                assert_true(pixels[i] == pixels[i % SIDE]);
    }
    for (int c = 0; c < CLASSES; c++)
        lit[c] /= seen[c];
    assert_string_equal(d->class_names[3], "square frame");
    /* A disc of mean squared radius 0.186 covers pi 0.186 / 4 of the picture, at strength 1.75; a
     * square 4 / pi times that.  Bars of width 0.28 cover 0.14. */
    assert_true(fabs(lit[0] - 1.75 * pi * 0.186 / 4) < 0.03);
    assert_true(fabs(lit[2] - 1.75 * 0.186) < 0.04);
    assert_true(fabs(lit[7] - 1.75 * 0.14) < 0.02 && fabs(lit[8] - 1.75 * 0.14) < 0.02);
    dataset_close(d);
}

/* Equal for an equal seed and number, and only then. */
static void pictures_are_pure(void **state)
{
    const char *const formats[] = {"anchor-gauss", "anchor-shapes"};

    (void)state;
    for (int f = 0; f < 2; f++) {
        struct dataset *a = anchor_open(formats[f], 5), *b = anchor_open(formats[f], 6);
        float x[SIDE * SIDE], y[SIDE * SIDE];
        int32_t p, q;

        dataset_get(a, 77, x, &p, NULL, NULL);
        dataset_get(a, 77, y, &q, NULL, NULL);
        assert_memory_equal(x, y, sizeof x);
        assert_int_equal(p, q);
        dataset_get(b, 77, y, &q, NULL, NULL);
        assert_memory_not_equal(x, y, sizeof x);
        dataset_close(a);
        dataset_close(b);
    }
}

static void other_sizes_are_refused(void **state)
{
    struct dataset_config c = {.format = "anchor-gauss", .size = 32};
    struct dataset *d = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    assert_non_null(strstr(err.text, "16 x 16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gauss_has_its_moments),
        cmocka_unit_test(shapes_are_their_forms),
        cmocka_unit_test(pictures_are_pure),
        cmocka_unit_test(other_sizes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
