/*
 * test_similarity.c - pictures against their originals: psnr, SSIM and MS-SSIM
 *
 * Against numbers of scikit-image 0.26 (structural_similarity with Gaussian weights, sigma 1.5 and
 * the population's covariance; peak_signal_noise_ratio), against the definition with each window
 * summed over its 121 pixels, and against what must hold of any two pictures.
 */
#include "eval/measure.h"

#include "base/rng.h"
#include "pipeline/picture.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.15g, not %.15g within %g", got, want, tolerance);
}

/* Two pictures by formulas that any language can repeat. */
struct pair {
    int64_t height, width, channels, length;
    uint8_t *a, *b;
};

static void pair_make(struct pair *p, int64_t height, int64_t width, int64_t channels)
{
    *p = (struct pair){height, width, channels, height * width * channels, NULL, NULL};
    p->a = malloc((size_t)p->length);
    p->b = malloc((size_t)p->length);
    for (int64_t i = 0; i < p->length; i++) {
        int64_t c = i % channels, x = i / channels % width, y = i / channels / width;
        int64_t a = (x * 7 + y * 13 + c * 50 + x * y % 31 * 3) % 256;
        int64_t b = a + (x * 5 + y * 3 + c * 11 + (x * x + y) % 7) % 47 - 23;

        p->a[i] = (uint8_t)a;
        p->b[i] = (uint8_t)(b < 0 ? 0 : b > 255 ? 255 : b);
    }
}

static void pair_release(struct pair *p)
{
    free(p->a);
    free(p->b);
}

static struct similarity compare(const struct pair *p)
{
    struct similarity s;

    assert_int_equal(ssim_pairs(&s, (struct pixel_set){p->a, 1}, (struct pixel_set){p->b, 1},
                                p->height, p->width, p->channels, NULL),
                     OK);
    return s;
}

static void test_golden(void **state)
{
    static const struct {
        int64_t height, width, channels;
        double ssim, psnr;
    } golden[] = {
        {16, 16, 1, 0.9669072646732926, 25.796677751546664},
        {37, 23, 3, 0.9644380332492776, 25.69787705715116},
        {64, 64, 3, 0.9609924373896798, 25.697655134421677},
        {181, 200, 1, 0.9612430999226582, 25.69608097729747},
    };

    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct pair p;

        pair_make(&p, golden[i].height, golden[i].width, golden[i].channels);
        assert_near(compare(&p).ssim, golden[i].ssim, 1e-12);
        assert_near(psnr(p.a, p.b, p.length), golden[i].psnr, 1e-12);
        pair_release(&p);
    }
}

/* --- the definitions, window by window ----------------------------------------------------------
 */

/* One channel in double. */
struct plane {
    int64_t height, width;
    double at[256 * 256];
};

static void plane_take(struct plane *out, const struct pair *p, const uint8_t *pixels, int64_t c)
{
    out->height = p->height;
    out->width = p->width;
    for (int64_t i = 0; i < p->height * p->width; i++)
        out->at[i] = pixels[i * p->channels + c];
}

static double plane_at(const struct plane *p, int64_t y, int64_t x)
{
    y = y < p->height ? y : p->height - 1;
    x = x < p->width ? x : p->width - 1;
    return p->at[y * p->width + x];
}

static void plane_halve(struct plane *p)
{
    static struct plane whole;

    whole = *p;
    p->height = (whole.height + 1) / 2;
    p->width = (whole.width + 1) / 2;
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t x = 0; x < p->width; x++)
            p->at[y * p->width + x] =
                (plane_at(&whole, 2 * y, 2 * x) + plane_at(&whole, 2 * y, 2 * x + 1) +
                 plane_at(&whole, 2 * y + 1, 2 * x) + plane_at(&whole, 2 * y + 1, 2 * x + 1)) /
                4;
}

static void window_at(double *ssim, double *contrast, const struct plane *a, const struct plane *b,
                      int64_t top, int64_t left)
{
    double norm = 0, ma = 0, mb = 0, va = 0, vb = 0, cov = 0, c1 = 6.5025, c2 = 58.5225;

    for (int pass = 0; pass < 3; pass++)
        for (int y = 0; y < 11; y++)
            for (int x = 0; x < 11; x++) {
                double g = exp(-((y - 5) * (y - 5) + (x - 5) * (x - 5)) / 4.5);
                double u = plane_at(a, top + y, left + x), v = plane_at(b, top + y, left + x);

                norm += pass == 0 ? g : 0;
                ma += pass == 1 ? g / norm * u : 0;
                mb += pass == 1 ? g / norm * v : 0;
                va += pass == 2 ? g / norm * (u - ma) * (u - ma) : 0;
                vb += pass == 2 ? g / norm * (v - mb) * (v - mb) : 0;
                cov += pass == 2 ? g / norm * (u - ma) * (v - mb) : 0;
            }
    *contrast = (2 * cov + c2) / (va + vb + c2);
    *ssim = *contrast * (2 * ma * mb + c1) / (ma * ma + mb * mb + c1);
}

static void plain_means(double *ssim, double *contrast, const struct plane *a,
                        const struct plane *b)
{
    int64_t n = (a->height - 10) * (a->width - 10);

    *ssim = *contrast = 0;
    for (int64_t y = 0; y + 11 <= a->height; y++)
        for (int64_t x = 0; x + 11 <= a->width; x++) {
            double s, c;

            window_at(&s, &c, a, b, y, x);
            *ssim += s / (double)n;
            *contrast += c / (double)n;
        }
}

static struct similarity plain(const struct pair *p)
{
    static const double weight[5] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    static struct plane a, b;
    struct similarity sum = {0};

    for (int64_t c = 0; c < p->channels; c++) {
        double ssim[5], contrast[5], whole = 0, product = 1;
        int n = 0;

        plane_take(&a, p, p->a, c);
        plane_take(&b, p, p->b, c);
        for (; n < 5 && a.height >= 11 && a.width >= 11; n++) {
            plain_means(&ssim[n], &contrast[n], &a, &b);
            whole += weight[n];
            plane_halve(&a);
            plane_halve(&b);
        }
        for (int k = 0; k < n; k++) {
            double mean = k == n - 1 ? ssim[k] : contrast[k];

            product *= pow(mean > 0 ? mean : 0, weight[k] / whole);
        }
        sum.ssim += ssim[0] / (double)p->channels;
        sum.ms_ssim += product / (double)p->channels;
    }
    return sum;
}

static void test_definition(void **state)
{
    static const int64_t size[][3] = {{11, 11, 1}, {12, 40, 3}, {45, 21, 2}, {161, 165, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        struct similarity got, want;
        struct pair p;

        pair_make(&p, size[i][0], size[i][1], size[i][2]);
        got = compare(&p);
        want = plain(&p);
        assert_near(got.ssim, want.ssim, 1e-11);
        assert_near(got.ms_ssim, want.ms_ssim, 1e-11);
        pair_release(&p);
    }
}

static void test_scales(void **state)
{
    (void)state;
    assert_int_equal(ssim_scales(10, 500), 0);
    assert_int_equal(ssim_scales(11, 11), 1);
    assert_int_equal(ssim_scales(20, 11), 1);
    assert_int_equal(ssim_scales(21, 21), 2);
    assert_int_equal(ssim_scales(64, 64), 3);
    assert_int_equal(ssim_scales(160, 160), 4);
    assert_int_equal(ssim_scales(161, 161), 5);
    assert_int_equal(ssim_scales(4096, 4096), 5);
}

/* --- what must hold -----------------------------------------------------------------------------
 */

static void test_equal_and_opposite(void **state)
{
    struct similarity s;
    struct pair p;

    (void)state;
    pair_make(&p, 50, 60, 3);
    memcpy(p.b, p.a, (size_t)p.length);
    s = compare(&p);
    assert_near(s.ssim, 1, 1e-12);
    assert_near(s.ms_ssim, 1, 1e-12);
    assert_true(isinf(psnr(p.a, p.b, p.length)));
    for (int64_t i = 0; i < p.length; i++)
        p.b[i] = (uint8_t)(255 - p.a[i]);
    s = compare(&p);
    assert_true(s.ssim < 0);
    assert_near(s.ms_ssim, 0, 0);
    pair_release(&p);
}

/* One grey level everywhere is 48.13 dB, and a flat shift is felt through the means alone. */
static void test_flat(void **state)
{
    enum { SIDE = 20, LENGTH = SIDE * SIDE };
    uint8_t a[LENGTH], b[LENGTH];
    struct pair p = {SIDE, SIDE, 1, LENGTH, a, b};

    (void)state;
    memset(a, 100, LENGTH);
    memset(b, 101, LENGTH);
    assert_near(psnr(a, b, LENGTH), 20 * log10(255), 1e-12);
    assert_near(compare(&p).ssim, (2 * 100.0 * 101 + 6.5025) / (100.0 * 100 + 101 * 101 + 6.5025),
                1e-12);
}

/* --- as measures --------------------------------------------------------------------------------
 */

static const struct measure_value *value_of(const struct measure_result *r, const char *name)
{
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->at[i].name, name))
            return &r->at[i];
    fail_msg("no value %s", name);
    return NULL;
}

static void take(struct measure_result *out, const char *name, const struct measure_task *t)
{
    const struct measure *m;

    memset(out, 0, sizeof *out);
    assert_int_equal(measure_find(&m, name, NULL), OK);
    assert_null(measure_lacks(m, t));
    assert_int_equal(m->run(out, t, NULL), OK);
}

/* Four pictures, the third a copy: mean and spread over the other three. */
static void test_spread(void **state)
{
    enum { N = 4, SIDE = 32, LENGTH = SIDE * SIDE };
    uint8_t a[N * LENGTH], b[N * LENGTH];
    struct measure_task t = {.pictures = {.n = N, .height = SIDE, .width = SIDE, .channels = 1},
                             .paired = true};
    struct rng r = rng_stream(4, RNG_TEST, 0);
    struct measure_result out;
    double ratio[3], mean = 0, square = 0, all = 0;
    int kept = 0;

    (void)state;
    for (int i = 0; i < N * LENGTH; i++) {
        int noise = i / LENGTH == 2 ? 0 : (int)rng_below(&r, 5 + 10 * (uint64_t)(i / LENGTH));

        a[i] = (uint8_t)rng_below(&r, 200);
        b[i] = (uint8_t)(a[i] + noise);
        all += (double)noise * noise / (N * LENGTH);
    }
    for (int i = 0; i < N; i++)
        if (i != 2)
            ratio[kept++] = psnr(a + i * LENGTH, b + i * LENGTH, LENGTH);
    for (int i = 0; i < 3; i++)
        mean += ratio[i] / 3;
    for (int i = 0; i < 3; i++)
        square += pow(ratio[i] - mean, 2) / 2;
    t.reference = t.pictures;
    t.pictures.pixels = a;
    t.reference.pixels = b;
    take(&out, "psnr", &t);
    assert_near(value_of(&out, "psnr")->value, mean, 1e-12);
    assert_near(value_of(&out, "psnr")->deviation, sqrt(square), 1e-12);
    assert_non_null(strstr(value_of(&out, "psnr")->note, "1 more are equal"));
    assert_near(value_of(&out, "psnr_overall")->value, 10 * log10(255 * 255 / all), 1e-9);
    take(&out, "ssim", &t);
    assert_true(value_of(&out, "ssim")->value < 1 && value_of(&out, "ssim")->deviation > 0);
    assert_non_null(strstr(value_of(&out, "ms_ssim")->note, "2 of 5 sizes"));
    t.pictures.pixels = b;
    take(&out, "psnr", &t);
    assert_true(isinf(value_of(&out, "psnr")->value));
    assert_non_null(strstr(value_of(&out, "psnr")->note, "all 4"));
}

static void test_needs(void **state)
{
    uint8_t pixels[100] = {0};
    struct measure_task t = {.pictures = {1, 10, 10, 1, 0, pixels, NULL, NULL, NULL, false}};
    struct measure_result out = {0};
    struct error err = {0};
    const struct measure *m;

    (void)state;
    assert_int_equal(measure_find(&m, "ssim", NULL), OK);
    assert_non_null(strstr(measure_lacks(m, &t), "reference"));
    t.reference = t.pictures;
    assert_non_null(strstr(measure_lacks(m, &t), "same names"));
    t.paired = true;
    assert_null(measure_lacks(m, &t));
    assert_int_equal(m->run(&out, &t, &err), E_ARG);
    assert_non_null(strstr(err.text, "10 x 10"));
}

static void test_threads(void **state)
{
    enum { N = 7, SIDE = 40, LENGTH = SIDE * SIDE * 3 };
    static uint8_t a[N * LENGTH], b[N * LENGTH];
    struct similarity one[N], other[N];
    struct rng r = rng_stream(5, RNG_TEST, 0);
    int before = omp_get_max_threads();

    (void)state;
    for (int i = 0; i < N * LENGTH; i++) {
        a[i] = (uint8_t)rng_below(&r, 256);
        b[i] = (uint8_t)(a[i] / 2 + rng_below(&r, 128));
    }
    for (int threads = 1; threads <= 4; threads++) {
        omp_set_num_threads(threads);
        assert_int_equal(ssim_pairs(threads == 1 ? one : other, (struct pixel_set){a, N},
                                    (struct pixel_set){b, N}, SIDE, SIDE, 3, NULL),
                         OK);
        if (threads > 1)
            assert_memory_equal(one, other, sizeof one);
    }
    omp_set_num_threads(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_definition),
        cmocka_unit_test(test_scales), cmocka_unit_test(test_equal_and_opposite),
        cmocka_unit_test(test_flat),   cmocka_unit_test(test_spread),
        cmocka_unit_test(test_needs),  cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
