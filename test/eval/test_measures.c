/*
 * test_measures.c - measures against closed forms and against the plain formula in double
 *
 * Distances of known Gaussians, sets that are equal, apart or shifted by a known amount, and random
 * sets on which each measure is computed once more by the obvious loop.  Everything again on 1, 2,
 * 3 and 4 threads, asking for the same bits.
 */
#include "eval/measure.h"

#include "base/rng.h"
#include "eval/symmetric.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Independent normal rows with the given deviation and shift of every column. */
static float *normal_rows(int64_t n, int64_t D, double std, double shift, uint64_t index)
{
    struct rng r = rng_stream(1, RNG_TEST, index);
    float *x = malloc((size_t)(n * D) * sizeof *x);

    assert_non_null(x);
    for (int64_t i = 0; i < n * D; i++)
        x[i] = (float)(shift + std * rng_normal(&r));
    return x;
}

static uint8_t *noise_pixels(int64_t n, int64_t length, int low, int high, uint64_t index)
{
    struct rng r = rng_stream(2, RNG_TEST, index);
    uint8_t *x = malloc((size_t)(n * length));

    assert_non_null(x);
    for (int64_t i = 0; i < n * length; i++)
        x[i] = (uint8_t)(low + (int)rng_below(&r, (uint64_t)(high - low + 1)));
    return x;
}

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.12g, not %.12g within %g", got, want, tolerance);
}

/* --- symmetric matrices ------------------------------------------------------------------------
 */

/* Q diag(value) Q^T with Q = I - 2 u u^T, twice over two vectors: known eigenvalues. */
static void reflected(double *a, const double *value, int64_t n)
{
    struct rng r = rng_stream(3, RNG_TEST, (uint64_t)n);
    double *u = calloc((size_t)n, sizeof *u), *au = calloc((size_t)n, sizeof *au);

    memset(a, 0, (size_t)(n * n) * sizeof *a);
    for (int64_t i = 0; i < n; i++)
        a[i * n + i] = value[i];
    for (int turn = 0; turn < 3; turn++) {
        double square = 0, uau = 0;

        for (int64_t i = 0; i < n; i++) {
            u[i] = rng_normal(&r);
            square += u[i] * u[i];
        }
        for (int64_t i = 0; i < n; i++)
            u[i] /= sqrt(square);
        for (int64_t i = 0; i < n; i++) {
            au[i] = 0;
            for (int64_t j = 0; j < n; j++)
                au[i] += a[i * n + j] * u[j];
        }
        for (int64_t i = 0; i < n; i++)
            uau += u[i] * au[i];
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++)
                a[i * n + j] += 4 * uau * u[i] * u[j] - 2 * u[i] * au[j] - 2 * au[i] * u[j];
    }
    free(u);
    free(au);
}

static void check_eigenvalues(int64_t n, double least, double ratio)
{
    double *value = calloc((size_t)n, sizeof *value), *got = calloc((size_t)n, sizeof *got);
    double *a = malloc((size_t)(n * n) * sizeof *a), largest = 0;

    for (int64_t i = 0; i < n; i++)
        value[i] = i ? value[i - 1] * ratio : least;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(value[i]));
    reflected(a, value, n);
    assert_int_equal(symmetric_eigenvalues(got, a, n, NULL), 0);
    for (int64_t i = 0; i < n; i++)
        assert_near(got[i], value[i], 2e-14 * largest * sqrt((double)n));
    free(value);
    free(got);
    free(a);
}

static void test_eigenvalues(void **state)
{
    (void)state;
    check_eigenvalues(1, 3, 1);
    check_eigenvalues(2, 1, 2);
    check_eigenvalues(3, 1e-9, 1e4);
    check_eigenvalues(40, 1, 1); /* all equal */
    check_eigenvalues(65, 1e-6, 1.3);
    check_eigenvalues(300, 1e-3, 1.05);
}

static void test_negative_eigenvalues(void **state)
{
    double a[] = {0, 1, 1, 0}, value[2];

    (void)state;
    assert_int_equal(symmetric_eigenvalues(value, a, 2, NULL), 0);
    assert_near(value[0], -1, 1e-15);
    assert_near(value[1], 1, 1e-15);
}

/* A matrix of rank 20 in 50 dimensions: the factor finds the rank, and its square is the matrix. */
static void test_factor(void **state)
{
    enum { N = 50, RANK = 20 };
    static double value[N], a[N * N], l[N * N];
    int64_t rank;

    (void)state;
    for (int i = 0; i < N; i++)
        value[i] = i < RANK ? 1 + i : 0;
    reflected(a, value, N);
    assert_int_equal(symmetric_factor(l, &rank, a, N, NULL), 0);
    assert_int_equal(rank, RANK);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;

            for (int k = 0; k < RANK; k++)
                sum += l[i * N + k] * l[j * N + k];
            assert_near(sum, a[i * N + j], 1e-12);
        }
}

/* --- Frechet -----------------------------------------------------------------------------------
 */

/* Gaussians given outright, with commuting covariances: sum of (sqrt a_i - sqrt b_i)^2. */
static void test_frechet_closed_form(void **state)
{
    enum { D = 12 };
    double va[D], vb[D], ca[D * D], cb[D * D], ma[D], mb[D], want = 0;
    struct gaussian a = {100, D, ma, ca}, b = {100, D, mb, cb};
    struct frechet got;

    (void)state;
    for (int i = 0; i < D; i++) {
        va[i] = 0.1 + i;
        vb[i] = i == 3 ? 0 : 5.0 / (1 + i);
        ma[i] = i;
        mb[i] = i + 0.5;
        want += (sqrt(va[i]) - sqrt(vb[i])) * (sqrt(va[i]) - sqrt(vb[i]));
    }
    reflected(ca, va, D);
    reflected(cb, vb, D);
    assert_int_equal(frechet_between(&got, &a, &b, NULL), 0);
    assert_near(got.mean, D * 0.25, 1e-12);
    assert_near(got.covariance, want, 1e-7);
    assert_near(got.distance, got.mean + got.covariance, 1e-12);
    assert_int_equal(frechet_between(&got, &b, &a, NULL), 0);
    assert_near(got.covariance, want, 1e-7);
}

/* In two dimensions tr (A B)^(1/2) = sqrt(tr AB + 2 sqrt(det A det B)), also where A and B do not
 * commute. */
static void test_frechet_two_dimensions(void **state)
{
    double ca[] = {2, 0.7, 0.7, 1}, cb[] = {1, -0.9, -0.9, 3}, mean[2] = {0};
    struct gaussian a = {9, 2, mean, ca}, b = {9, 2, mean, cb};
    double product = ca[0] * cb[0] + 2 * ca[1] * cb[1] + ca[3] * cb[3];
    double det = (2 - 0.49) * (3 - 0.81), want = 3 + 4 - 2 * sqrt(product + 2 * sqrt(det));
    struct frechet got;

    (void)state;
    assert_int_equal(frechet_between(&got, &a, &b, NULL), 0);
    assert_near(got.distance, want, 1e-13);
}

static void check_fit(int64_t n, int64_t D)
{
    float *x = normal_rows(n, D, 2, 3, (uint64_t)(n + D));
    struct gaussian g;

    assert_int_equal(gaussian_fit(&g, x, n, D, D, NULL), 0);
    for (int64_t p = 0; p < D; p++)
        for (int64_t q = 0; q < D; q++) {
            double mp = 0, mq = 0, sum = 0;

            for (int64_t i = 0; i < n; i++) {
                mp += (double)x[i * D + p] / (double)n;
                mq += (double)x[i * D + q] / (double)n;
            }
            for (int64_t i = 0; i < n; i++)
                sum += ((double)x[i * D + p] - mp) * ((double)x[i * D + q] - mq);
            assert_near(g.mean[p], mp, 1e-12);
            assert_near(g.covariance[p * D + q], sum / (double)(n - 1), 1e-11);
        }
    gaussian_release(&g);
    free(x);
}

static void test_fit(void **state)
{
    (void)state;
    check_fit(2, 1);
    check_fit(41, 7);
    check_fit(600, 33);
}

/* Sets drawn from known Gaussians: N(0, 1) and N(1, 4) in every column. */
static void test_frechet_of_sets(void **state)
{
    enum { N = 20000, D = 8 };
    float *x = normal_rows(N, D, 1, 0, 1), *y = normal_rows(N, D, 2, 1, 2);
    struct frechet got;

    (void)state;
    assert_int_equal(frechet_distance(&got, x, N, y, N, D, NULL), 0);
    assert_near(got.mean, D, 0.5);
    assert_near(got.covariance, D, 0.3);
    assert_int_equal(frechet_distance(&got, x, N, x, N, D, NULL), 0);
    assert_near(got.distance, 0, 1e-7);
    free(x);
    free(y);
}

/* The floor of a reference of two classes far apart: were they dealt by chance, the parts' means
 * would differ by some hundredths of the distance between the classes. */
static void test_frechet_floor(void **state)
{
    enum { N = 401, D = 4 };
    float *x = normal_rows(N, D, 1, 0, 12);
    int32_t label[N];
    struct measure_task t = {.pictures = {.n = 100, .features = x},
                             .reference = {.n = N, .features = x, .label = label},
                             .D = D,
                             .options = {.seed = 5}};
    const struct measure *m;
    struct measure_result r = {0};

    (void)state;
    for (int i = 0; i < N; i++) {
        label[i] = i % 3 ? 1 : -1;
        x[i * D] += (float)(i % 3 ? 1000 : 0);
    }
    assert_int_equal(measure_find(&m, "frechet", NULL), 0);
    assert_int_equal(m->run(&r, &t, NULL), 0);
    assert_int_equal(r.n, 2);
    assert_string_equal(r.at[1].name, "frechet_floor");
    assert_non_null(strstr(r.at[1].note, "100 pictures of the reference against its 301 others"));
    assert_true(r.at[1].value < 110); /* a picture of 100 too many moves the mean by 10 */
    t.reference.label = NULL;
    r.n = 0;
    assert_int_equal(m->run(&r, &t, NULL), 0);

    assert_true(r.at[1].value > 300);
    free(x);
}

/* --- KID ---------------------------------------------------------------------------------------
 */

static double kernel(const float *a, const float *b, int64_t D)
{
    double sum = 0;

    for (int64_t d = 0; d < D; d++)
        sum += (double)a[d] * (double)b[d];
    return pow(sum / (double)D + 1, 3);
}

static double mean_kernel(const float *x, const float *y, int64_t n, int64_t D, bool itself)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            sum += itself && i == j ? 0 : kernel(x + i * D, y + j * D, D);
    return sum / (double)(itself ? n * (n - 1) : n * n);
}

/* One subset that is the whole set: the order in which it is drawn does not matter. */
static void test_kid_formula(void **state)
{
    enum { N = 131, D = 19 };
    float *x = normal_rows(N, D, 1, 0, 3), *y = normal_rows(N, D, 1.5, 0.2, 4);
    double want = mean_kernel(x, x, N, D, true) + mean_kernel(y, y, N, D, true) -
                  2 * mean_kernel(x, y, N, D, false);
    struct kid got;

    (void)state;
    assert_int_equal(kid_distance(&got, x, N, y, N, D, 1, N, 7, NULL), 0);
    assert_near(got.mean, want, 1e-5);
    assert_near(got.deviation, 0, 0);
    free(x);
    free(y);
}

/* Two sets of one law: no bias, so the mean over many subsets is within its own deviation of 0. */
static void test_kid_of_equal_laws(void **state)
{
    enum { N = 4000, D = 16, SUBSETS = 40, SIZE = 200 };
    float *x = normal_rows(N, D, 1, 0.5, 5), *y = normal_rows(N, D, 1, 0.5, 6);
    float *z = normal_rows(N, D, 1, 0.8, 7);
    struct kid got, apart;

    (void)state;
    assert_int_equal(kid_distance(&got, x, N, y, N, D, SUBSETS, SIZE, 1, NULL), 0);
    assert_true(got.deviation > 0);
    assert_near(got.mean, 0, got.deviation);
    assert_int_equal(kid_distance(&apart, x, N, z, N, D, SUBSETS, SIZE, 1, NULL), 0);
    assert_true(apart.mean > 10 * got.deviation);
    free(x);
    free(y);
    free(z);
}

/* --- precision and recall ----------------------------------------------------------------------
 */

static double plain_distance(const float *a, const float *b, int64_t D)
{
    double sum = 0;

    for (int64_t d = 0; d < D; d++)
        sum += ((double)a[d] - (double)b[d]) * ((double)a[d] - (double)b[d]);
    return sum;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The share of x within the balls of y, as the paper says it. */
static double plain_precision(const float *x, int64_t nx, const float *y, int64_t ny, int64_t D,
                              int64_t k)
{
    double *d = malloc((size_t)ny * sizeof *d), *radius = malloc((size_t)ny * sizeof *radius);
    int64_t inside = 0;

    for (int64_t j = 0; j < ny; j++) {
        for (int64_t i = 0; i < ny; i++)
            d[i] = i == j ? -1 : plain_distance(y + i * D, y + j * D, D);
        qsort(d, (size_t)ny, sizeof *d, by_size);
        radius[j] = d[k];
    }
    for (int64_t i = 0; i < nx; i++) {
        bool in = false;

        for (int64_t j = 0; j < ny; j++)
            in |= plain_distance(x + i * D, y + j * D, D) <= radius[j];
        inside += in;
    }
    free(d);
    free(radius);
    return (double)inside / (double)nx;
}

static void test_manifold_formula(void **state)
{
    enum { NX = 190, NY = 137, D = 5 };
    float *x = normal_rows(NX, D, 1, 0, 8), *y = normal_rows(NY, D, 0.8, 0.5, 9);
    struct manifold got;

    (void)state;
    for (int64_t k = 1; k < 6; k += 2) {
        assert_int_equal(manifold_compare(&got, x, NX, y, NY, D, k, NULL), 0);
        assert_near(got.precision, plain_precision(x, NX, y, NY, D, k), 1e-12);
        assert_near(got.recall, plain_precision(y, NY, x, NX, D, k), 1e-12);
    }
    free(x);
    free(y);
}

/* A set against itself, against one far away, and against half of its two clusters. */
static void test_manifold_by_hand(void **state)
{
    enum { N = 200, D = 6 };
    float *x = normal_rows(N, D, 1, 0, 10), *y = normal_rows(N, D, 1, 100, 11);
    float *both = malloc(2 * N * D * sizeof *both);
    struct manifold got;

    (void)state;
    memcpy(both, x, N * D * sizeof *both);
    memcpy(both + N * D, y, N * D * sizeof *both);
    assert_int_equal(manifold_compare(&got, x, N, x, N, D, 3, NULL), 0);
    assert_near(got.precision, 1, 0);
    assert_near(got.recall, 1, 0);
    assert_int_equal(manifold_compare(&got, x, N, y, N, D, 3, NULL), 0);
    assert_near(got.precision, 0, 0);
    assert_near(got.recall, 0, 0);
    assert_int_equal(manifold_compare(&got, x, N, both, 2 * N, D, 3, NULL), 0);
    assert_near(got.precision, 1, 0);
    assert_near(got.recall, 0.5, 0);
    /* Copies of one row have balls of no size: only themselves are inside. */
    for (int64_t i = 1; i < N; i++)
        memcpy(y + i * D, y, D * sizeof *y);
    assert_int_equal(manifold_compare(&got, x, N, y, N, D, 3, NULL), 0);
    assert_near(got.precision, 0, 0);
    assert_int_equal(manifold_compare(&got, y, N, y, N, D, 3, NULL), 0);
    assert_near(got.precision, 1, 0);
    free(x);
    free(y);
    free(both);
}

/* --- pixels ------------------------------------------------------------------------------------
 */

/* Every pixel brighter by s grey levels: W_2^2 along theta is (sum theta)^2 (2 s / 255)^2, of mean
 * (2 s / 255)^2. */
static void test_sliced_shift(void **state)
{
    enum { N = 300, LENGTH = 48, SHIFT = 30 };
    uint8_t *a = noise_pixels(N, LENGTH, 0, 200, 1), *b = malloc(N * LENGTH);
    struct sliced got;

    (void)state;
    for (int64_t i = 0; i < N * LENGTH; i++)
        b[(N * LENGTH + i - 5 * LENGTH) % (N * LENGTH)] = (uint8_t)(a[i] + SHIFT);
    assert_int_equal(sliced_wasserstein(&got, (struct pixel_set){a, N}, (struct pixel_set){b, N},
                                        LENGTH, 4000, 1, NULL),
                     0);
    assert_true(got.deviation > 0);
    assert_near(got.distance, 2.0 * SHIFT / 255, 4 * got.deviation);
    assert_int_equal(sliced_wasserstein(&got, (struct pixel_set){a, N}, (struct pixel_set){a, N},
                                        LENGTH, 64, 1, NULL),
                     0);
    assert_near(got.distance, 0, 0);
    free(a);
    free(b);
}

/* Pictures of one pixel have one direction, up to its sign: the distance is that of the sorted
 * numbers, here {0, 0, 255} against {0, 255}, whose quantiles differ on a sixth of the way. */
static void test_sliced_by_hand(void **state)
{
    static const uint8_t a[] = {255, 0, 0}, b[] = {255, 0};
    struct sliced got;

    (void)state;
    assert_int_equal(
        sliced_wasserstein(&got, (struct pixel_set){a, 3}, (struct pixel_set){b, 2}, 1, 3, 1, NULL),
        0);
    assert_near(got.distance, sqrt(4.0 / 6), 1e-6);
}

/* Haar packets of one level written out: means and differences of each square of four pixels. */
static double plain_wavelet(const uint8_t *const set[2], const int64_t n[2], int64_t side)
{
    int64_t half = side / 2, D = half * half;
    double mean = 0;

    for (int packet = 0; packet < 4; packet++) {
        float *row[2];
        struct frechet f;

        for (int s = 0; s < 2; s++) {
            row[s] = malloc((size_t)(n[s] * D) * sizeof(float));
            for (int64_t i = 0; i < n[s] * D; i++) {
                const uint8_t *p =
                    set[s] + i / D * side * side + i % D / half * 2 * side + i % half * 2;
                double q[4] = {p[0], p[1], p[side], p[side + 1]}, sum = 0;

                for (int k = 0; k < 4; k++)
                    sum += (packet & 2 && k & 2 ? -1 : 1) * (packet & 1 && k & 1 ? -1 : 1) *
                           (q[k] / 127.5 - 1);
                row[s][i] = (float)(sum / 2);
            }
        }
        assert_int_equal(frechet_distance(&f, row[0], n[0], row[1], n[1], D, NULL), 0);
        mean += f.distance / 4;
        free(row[0]);
        free(row[1]);
    }
    return mean;
}

static void test_wavelet(void **state)
{
    enum { NA = 90, NB = 70, SIDE = 10 };
    uint8_t *a = noise_pixels(NA, SIDE * SIDE, 0, 255, 2);
    uint8_t *b = noise_pixels(NB, SIDE * SIDE, 40, 200, 3);
    const uint8_t *const sets[] = {a, b};
    double got;

    (void)state;
    assert_int_equal(wavelet_levels(SIDE, SIDE), 1);
    assert_int_equal(wavelet_levels(28, 28), 2);
    assert_int_equal(wavelet_levels(32, 32), 3);
    assert_int_equal(wavelet_levels(256, 256), 4);
    assert_int_equal(wavelet_levels(27, 28), 0);
    assert_int_equal(wavelet_frechet(&got, (struct pixel_set){a, NA}, (struct pixel_set){b, NB},
                                     SIDE, SIDE, 1, NULL),
                     0);
    assert_near(got, plain_wavelet(sets, (const int64_t[]){NA, NB}, SIDE), 1e-4);
    assert_int_equal(wavelet_frechet(&got, (struct pixel_set){a, NA}, (struct pixel_set){a, NA},
                                     SIDE, SIDE, 1, NULL),
                     0);
    assert_near(got, 0, 1e-6);
    free(a);
    free(b);
}

/* Three levels on a chessboard of single pixels: all of it in the packet that alternates both ways,
 * so every other packet agrees with that of a flat grey, and the sum of squares is kept. */
static void test_wavelet_energy(void **state)
{
    enum { N = 60, SIDE = 32, LENGTH = SIDE * SIDE };
    uint8_t *board = malloc(N * LENGTH), *grey = malloc(N * LENGTH);
    double got, want = 0;

    (void)state;
    for (int64_t i = 0; i < N * LENGTH; i++) {
        int64_t y = i % LENGTH / SIDE, x = i % SIDE;

        board[i] = (y + x) % 2 ? 255 : 0;
        grey[i] = 127 + (uint8_t)(i % 2 == 0);
        want += (double)(board[i] - grey[i]) * (double)(board[i] - grey[i]) * 4 / 255 / 255 / N;
    }
    assert_int_equal(wavelet_frechet(&got, (struct pixel_set){board, N},
                                     (struct pixel_set){grey, N}, SIDE, SIDE, 1, NULL),
                     0);
    assert_near(got, want / 64, 1e-4 * want);
    free(board);
    free(grey);
}

static void test_nearest(void **state)
{
    enum { N = 37, M = 53, LENGTH = 70 };
    uint8_t *a = noise_pixels(N, LENGTH, 0, 255, 4), *b = noise_pixels(M, LENGTH, 0, 255, 5);
    struct neighbour got[N];

    (void)state;
    memcpy(a + 5 * LENGTH, b + 11 * LENGTH, LENGTH);
    assert_int_equal(
        nearest_find(got, (struct pixel_set){a, N}, (struct pixel_set){b, M}, LENGTH, NULL), 0);
    for (int64_t i = 0; i < N; i++) {
        double d[M], sorted[M];

        for (int64_t j = 0; j < M; j++) {
            d[j] = 0;
            for (int64_t k = 0; k < LENGTH; k++)
                d[j] += pow((a[i * LENGTH + k] - b[j * LENGTH + k]) / 255.0, 2) / LENGTH;
            sorted[j] = d[j];
        }
        qsort(sorted, M, sizeof *sorted, by_size);
        assert_near(got[i].distance, sqrt(sorted[0]), 1e-12);
        assert_near(got[i].second, sqrt(sorted[1]), 1e-12);
        assert_near(d[got[i].first], sorted[0], 1e-15);
    }
    assert_int_equal(got[5].first, 11);
    assert_near(got[5].distance, 0, 0);
    free(a);
    free(b);
}

/* --- laws --------------------------------------------------------------------------------------
 */

struct everything {
    struct frechet frechet;
    struct kid kid;
    struct manifold manifold;
    struct sliced sliced;
    double wavelet;
    struct neighbour nearest[150];
};

static void measure_all(struct everything *e, int threads)
{
    enum { N = 150, M = 210, SIDE = 16, LENGTH = SIDE * SIDE, D = 70 };
    float *x = normal_rows(N, D, 1, 0, 20), *y = normal_rows(M, D, 1.2, 0.1, 21);
    uint8_t *a = noise_pixels(N, LENGTH, 0, 255, 22), *b = noise_pixels(M, LENGTH, 9, 240, 23);
    struct pixel_set ours = {a, N}, theirs = {b, M};

    memset(e, 0, sizeof *e);
    omp_set_num_threads(threads);
    assert_int_equal(frechet_distance(&e->frechet, x, N, y, M, D, NULL), 0);
    assert_int_equal(kid_distance(&e->kid, x, N, y, M, D, 5, 100, 3, NULL), 0);
    assert_int_equal(manifold_compare(&e->manifold, x, N, y, M, D, 3, NULL), 0);
    assert_int_equal(sliced_wasserstein(&e->sliced, ours, theirs, LENGTH, 100, 3, NULL), 0);
    assert_int_equal(wavelet_frechet(&e->wavelet, ours, theirs, SIDE, SIDE, 1, NULL), 0);
    assert_int_equal(nearest_find(e->nearest, ours, theirs, LENGTH, NULL), 0);
    free(x);
    free(y);
    free(a);
    free(b);
}

static void test_threads(void **state)
{
    int before = omp_get_max_threads();
    static struct everything one, other;

    (void)state;
    measure_all(&one, 1);
    for (int threads = 2; threads <= 4; threads++) {
        measure_all(&other, threads);
        assert_memory_equal(&one, &other, sizeof one);
    }
    omp_set_num_threads(before);
}

static void refused(enum status st, const struct error *e, const char *a, const char *b)
{
    assert_int_equal(st, E_ARG);
    if (!strstr(e->text, a) || !strstr(e->text, b))
        fail_msg("'%s' names neither %s nor %s", e->text, a, b);
}

static void test_refusals(void **state)
{
    enum { N = 30, D = 30 };
    float *x = normal_rows(N, D, 1, 0, 30);
    uint8_t *a = noise_pixels(N, 49, 0, 255, 31);
    struct pixel_set set = {a, N}, one = {a, 1};
    struct neighbour near[1];
    struct frechet f;
    struct kid k;
    struct manifold m;
    struct sliced s;
    struct error e = {0};
    double w;

    (void)state;
    refused(frechet_distance(&f, x, N, x, N, D, &e), &e, "30 pictures", "31");
    refused(kid_distance(&k, x, N, x, N, D, 1, 31, 1, &e), &e, "31", "30");
    refused(kid_distance(&k, x, N, x, N, D, 0, 3, 1, &e), &e, "0 subsets", "0");
    refused(manifold_compare(&m, x, 3, x, N, D, 3, &e), &e, "3 neighbours", "30");
    refused(sliced_wasserstein(&s, set, (struct pixel_set){a, 0}, 49, 8, 1, &e), &e, "30", "0");
    refused(wavelet_frechet(&w, set, set, 7, 7, 1, &e), &e, "7 x 7", "halved");
    refused(nearest_find(near, one, one, 49, &e), &e, "1 pictures", "second");
    x[D + 3] = NAN;
    assert_int_equal(frechet_distance(&f, x, N, x, N, 5, &e), E_NOT_FINITE);
    assert_int_equal(kid_distance(&k, x, N, x, N, D, 1, N, 1, &e), E_NOT_FINITE);
    assert_int_equal(manifold_compare(&m, x, N, x, N, D, 3, &e), E_NOT_FINITE);
    free(x);
    free(a);
}

/* As large as people measure: it ends. */
static void test_ten_thousand(void **state)
{
    enum { N = 10000, D = 256 };
    float *x = normal_rows(N, D, 1, 0, 40), *y = normal_rows(N, D, 1, 0, 41);
    struct frechet f;
    struct manifold m;
    struct kid k;

    (void)state;
    assert_int_equal(frechet_distance(&f, x, N, y, N, D, NULL), 0);
    /* The bias of equal laws, D^2 / 2 N or so. */
    assert_true(f.distance > 0.5 && f.distance < 10);
    assert_int_equal(kid_distance(&k, x, N, y, N, D, 20, 1000, 0, NULL), 0);
    assert_near(k.mean, 0, k.deviation);
    assert_int_equal(manifold_compare(&m, x, N, y, N, D, 3, NULL), 0);
    assert_true(m.precision > 0 && m.recall > 0);
    free(x);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eigenvalues),
        cmocka_unit_test(test_negative_eigenvalues),
        cmocka_unit_test(test_factor),
        cmocka_unit_test(test_frechet_closed_form),
        cmocka_unit_test(test_frechet_two_dimensions),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_frechet_of_sets),
        cmocka_unit_test(test_frechet_floor),
        cmocka_unit_test(test_kid_formula),
        cmocka_unit_test(test_kid_of_equal_laws),
        cmocka_unit_test(test_manifold_formula),
        cmocka_unit_test(test_manifold_by_hand),
        cmocka_unit_test(test_sliced_shift),
        cmocka_unit_test(test_sliced_by_hand),
        cmocka_unit_test(test_wavelet),
        cmocka_unit_test(test_wavelet_energy),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_ten_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
