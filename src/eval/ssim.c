/*
 * ssim.c - whether neighbourhoods look alike: SSIM, and MS-SSIM over several sizes
 *
 * Around every pixel, under a Gaussian window of deviation 1.5 that is 11 pixels wide, two pictures
 * x and y are compared by their means, deviations and correlation:
 *
 *            2 mx my + C1       2 sxy + C2
 *     ssim = ------------  *  ---------------,   C1 = (0.01 * 255)^2,  C2 = (0.03 * 255)^2
 *            mx^2 + my^2 + C1   sx^2 + sy^2 + C2
 *
 * Only windows that lie inside the picture count: what stands outside is nobody's.  The mean of the
 * second factor alone, "contrast", is what coarser sizes are asked for in MS-SSIM, whose five sizes
 * are each half the one before (means of 2 x 2 pixels, a last odd row or column taken twice):
 *
 *     ms_ssim = contrast_1^w1 ... contrast_4^w4 ssim_5^w5,   w = .0448 .2856 .3001 .2363 .1333
 *
 * A negative mean (pictures that are each other's negative) has no such power and counts as 0.
 * Pictures too small for five sizes are compared at those they have, the weights divided by their
 * sum: a figure of its own, to be set beside those of pictures of that size alone.
 *
 * Colours are taken channel by channel.  A row's means along the row wait in a ring of eleven until
 * those across them can be taken, so scratch is that of the two planes; all of it is double, since
 * a variance is a small difference of large numbers.  Wang et al. 2004, (6) to (13); Wang et al.
 * 2003, (6) to (8).
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "base/whole.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { SUMS = 5 /* of x, y, x x, y y and x y */ };

static const double weight_of_scale[SSIM_SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

static const double c1 = 0.01 * 255 * 0.01 * 255, c2 = 0.03 * 255 * 0.03 * 255;

int ssim_scales(int64_t height, int64_t width)
{
    int n = 0;

    for (; n < SSIM_SCALES && whole_min(height, width) >= SSIM_WINDOW; n++) {
        height = whole_parts(height, 2);
        width = whole_parts(width, 2);
    }
    return n;
}

/* One channel of two pictures, at one size. */
struct planes {
    int64_t height, width;
    double *x, *y; /* [height, width]                         */
    double *ring;  /* [SSIM_WINDOW, SUMS, width - SSIM_WINDOW + 1] */
    double window[SSIM_WINDOW];
};

static void planes_release(struct planes *p)
{
    free(p->x);
    free(p->y);
    free(p->ring);
}

static bool planes_init(struct planes *p, int64_t height, int64_t width)
{
    double sum = 0;

    *p = (struct planes){0};
    for (int k = 0; k < SSIM_WINDOW; k++)
        sum += p->window[k] = exp(-(k - 5) * (k - 5) / (2 * 1.5 * 1.5));
    for (int k = 0; k < SSIM_WINDOW; k++)
        p->window[k] /= sum;
    p->x = malloc((size_t)(height * width) * sizeof *p->x);
    p->y = malloc((size_t)(height * width) * sizeof *p->y);
    p->ring = malloc((size_t)(SSIM_WINDOW * SUMS * width) * sizeof *p->ring);
    return p->x && p->y && p->ring;
}

/* The five sums along row r, into its place of the ring. */
static void sum_row(const struct planes *p, int64_t r)
{
    int64_t n = p->width - SSIM_WINDOW + 1;
    const double *x = p->x + r * p->width, *y = p->y + r * p->width;
    double *out = p->ring + r % SSIM_WINDOW * SUMS * n;

    for (int64_t i = 0; i < n; i++) {
        double sum[SUMS] = {0};

        for (int k = 0; k < SSIM_WINDOW; k++) {
            double w = p->window[k], a = x[i + k], b = y[i + k];

            sum[0] += w * a;
            sum[1] += w * b;
            sum[2] += w * a * a;
            sum[3] += w * b * b;
            sum[4] += w * a * b;
        }
        for (int s = 0; s < SUMS; s++)
            out[s * n + i] = sum[s];
    }
}

struct means {
    double ssim, contrast;
};

/* The windows whose last row is r, added to *to. */
static void add_windows(struct means *to, const struct planes *p, int64_t r)
{
    int64_t n = p->width - SSIM_WINDOW + 1;

    for (int64_t i = 0; i < n; i++) {
        double sum[SUMS] = {0}, mean, contrast;

        for (int k = 0; k < SSIM_WINDOW; k++)
            for (int s = 0; s < SUMS; s++)
                sum[s] += p->window[k] *
                          p->ring[((r - SSIM_WINDOW + 1 + k) % SSIM_WINDOW * SUMS + s) * n + i];
        mean = (2 * sum[0] * sum[1] + c1) / (sum[0] * sum[0] + sum[1] * sum[1] + c1);
        contrast = (2 * (sum[4] - sum[0] * sum[1]) + c2) /
                   (sum[2] - sum[0] * sum[0] + sum[3] - sum[1] * sum[1] + c2);
        to->ssim += mean * contrast;
        to->contrast += contrast;
    }
}

static struct means compare(const struct planes *p)
{
    double n = (double)((p->height - SSIM_WINDOW + 1) * (p->width - SSIM_WINDOW + 1));
    struct means m = {0};

    for (int64_t r = 0; r < p->height; r++) {
        sum_row(p, r);
        if (r >= SSIM_WINDOW - 1)
            add_windows(&m, p, r);
    }
    return (struct means){m.ssim / n, m.contrast / n};
}

/* In place: what is written lies before all that is still to be read. */
static void halve(double *x, int64_t height, int64_t width)
{
    for (int64_t i = 0; i < height; i += 2)
        for (int64_t j = 0; j < width; j += 2) {
            const double *up = x + i * width, *low = x + whole_min(i + 1, height - 1) * width;
            int64_t next = whole_min(j + 1, width - 1);

            x[i / 2 * whole_parts(width, 2) + j / 2] = (up[j] + up[next] + low[j] + low[next]) / 4;
        }
}

/* What the planes hold is used up. */
static struct similarity compare_sizes(struct planes *p)
{
    int n = ssim_scales(p->height, p->width);
    struct similarity s = {0, 1};
    double whole = 0;

    for (int k = 0; k < n; k++)
        whole += weight_of_scale[k];
    for (int k = 0; k < n; k++) {
        struct means m = compare(p);

        if (k == 0)
            s.ssim = m.ssim;
        s.ms_ssim *= pow(fmax(k == n - 1 ? m.ssim : m.contrast, 0), weight_of_scale[k] / whole);
        halve(p->x, p->height, p->width);
        halve(p->y, p->height, p->width);
        p->height = whole_parts(p->height, 2);
        p->width = whole_parts(p->width, 2);
    }
    return s;
}

static void compare_pictures(struct similarity *out, struct planes *p, const uint8_t *a,
                             const uint8_t *b, int64_t height, int64_t width, int64_t channels)
{
    *out = (struct similarity){0};
    for (int64_t c = 0; c < channels; c++) {
        struct similarity s;

        p->height = height;
        p->width = width;
        for (int64_t i = 0; i < height * width; i++) {
            p->x[i] = a[i * channels + c];
            p->y[i] = b[i * channels + c];
        }
        s = compare_sizes(p);
        out->ssim += s.ssim / (double)channels;
        out->ms_ssim += s.ms_ssim / (double)channels;
    }
}

enum status ssim_pairs(struct similarity *out, struct pixel_set a, struct pixel_set b,
                       int64_t height, int64_t width, int64_t channels, struct error *err)
{
    int64_t length = height * width * channels;
    bool without = false;

    MUST(a.n == b.n, "%" PRId64 " pictures against %" PRId64, a.n, b.n);
    if (!ssim_scales(height, width))
        return fail(err, E_ARG,
                    "pictures of %" PRId64 " x %" PRId64 " have no room for a window of %d x %d",
                    width, height, SSIM_WINDOW, SSIM_WINDOW);
#pragma omp parallel reduction(|| : without)
    {
        struct planes p;

        without = !planes_init(&p, height, width);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < a.n; i++)
            if (!without)
                compare_pictures(&out[i], &p, a.pixels + i * length, b.pixels + i * length, height,
                                 width, channels);
        planes_release(&p);
    }
    return without ? fail(err, E_MEMORY, "no memory to compare pictures of %" PRId64 " x %" PRId64,
                          width, height)
                   : OK;
}

static double lowest(const double *x, int64_t n)
{
    double low = HUGE_VAL;

    for (int64_t i = 0; i < n; i++)
        low = fmin(low, x[i]);
    return low;
}

static void summarise(struct measure_result *out, const struct similarity *s, double *value,
                      const struct picture_set *p)
{
    int64_t pairs = p->n * set_frames(p);
    int n = ssim_scales(p->height, p->width);
    char sizes[64] = "all 5 sizes";

    for (int64_t i = 0; i < pairs; i++)
        value[i] = s[i].ssim;
    measure_add_mean(out, "ssim", value, pairs, "of %" PRId64 " pairs%s, lowest %.4f", pairs,
                     set_frames(p) > 1 ? " of frames" : "", lowest(value, pairs));
    for (int64_t i = 0; i < pairs; i++)
        value[i] = s[i].ms_ssim;
    if (n < SSIM_SCALES)
        snprintf(sizes, sizeof sizes, "%d of 5 sizes: under 161 pixels a side", n);
    measure_add_mean(out, "ms_ssim", value, pairs, "%s, lowest %.4f", sizes, lowest(value, pairs));
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures;
    struct similarity *s = NULL;
    int64_t n = p->n * set_frames(p); /* of clips every frame is a picture */
    double *value = NULL;
    enum status st;

    if ((st = mem_new((void **)&s, (uint64_t)n, sizeof *s, "similarities", err)) ||
        (st = mem_new((void **)&value, (uint64_t)n, sizeof *value, "similarities", err)) ||
        (st = ssim_pairs(s, (struct pixel_set){p->pixels, n},
                         (struct pixel_set){t->reference.pixels, n}, p->height, p->width,
                         p->channels, err)))
        goto out;
    summarise(out, s, value, p);
out:
    free(value);
    free(s);
    return st;
}

const struct measure measure_ssim = {
    .name = "ssim",
    .summary = "structural similarity of pictures to their originals, at one and at five sizes",
    .paper = "Wang et al. 2004, 2003",
    .needs = NEEDS_REFERENCE | NEEDS_PIXELS | NEEDS_PAIRS,
    .of_clips = true,
    .run = run,
};
