/*
 * shapes_check.c - which form and colour does a picture show?
 *
 * Obedience is measured by reading the answer off the picture.  A trained classifier would bring
 * its own mistakes; here the world is known, so the reading is a fit.  Backgrounds are nearly grey
 * and objects are not, so the chroma of a pixel (its colour less its mean) says how much of it the
 * object covers, whatever the background's pattern:
 *
 *     pixel = (1 - m) grey + m object    =>    m = <chroma, c> / <c, c>,  c the object's chroma
 *
 *   1. colour: every clearly coloured pixel votes for the hue nearest to its own;
 *   2. mask: m as above, with the background's own tint taken off first;
 *   3. form: each of the eight is drawn by the code that drew the data, placed by area and centre
 *      of mass; Gauss-Newton steps on sum (m - a T)^2 improve centre, radius and strength a of the
 *      template T.  The form with the least residual wins.
 *
 * The answer must be allowed to be "none": random noise, two forms faded into one another, a form
 * of two colours and an empty picture all look most like *something*.  So a verdict needs one hue
 * (share of votes, angle), a plausible strength and radius, a small residual, and a clear lead over
 * the runner-up.  Noise spread evenly over the picture is no evidence against a form; its level is
 * read from the background (a median, which blobs do not move) and taken off the residual.
 */
#include "data/shapes.h"

#include <inttypes.h>
#include <math.h>

enum { AREA = SHAPES_SIDE_MAX * SHAPES_SIDE_MAX, BINS = 64, STEPS = 6, UNKNOWNS = 4 };

static const double coloured = 0.20;   /* chroma of a pixel that votes; backgrounds: 0.08 */
static const double one_hue = 0.75;    /* share of the votes that one hue must have       */
static const double hue_cosine = 0.95; /* the mean hue lies within 18 degrees of its name */
static const double least_r = 0.17;    /* of one object that has the picture to itself      */
/* Of the square of its least radius: the smallest star, of radius 0.23, covers 0.08 of a picture.
 */
static const double least_area = 1.2;
/* Of the object's chroma against its colour's.  Paler is not that colour any more; strong guidance
 * over-saturates, up to twice for green, and that is still green. */
static const double least_strength = 0.6, most_strength = 2.2;
static const double most_residual = 0.10;
static const double least_lead = 0.02; /* of the runner-up's residual over the winner's ... */
static const double least_gain = 0.5;  /* ... and as a share of the runner-up's         */

/* Area and height of the centre of mass of each form at radius 1. */
static const struct {
    double area, y;
} moments[SHAPES_FORMS] = {
    [SHAPE_CIRCLE] = {2.7172, 0},        [SHAPE_SQUARE] = {2.6896, 0},
    [SHAPE_TRIANGLE] = {1.7300, 0.2233}, [SHAPE_STAR] = {1.4953, 0.1000},
    [SHAPE_RING] = {2.2619, 0},          [SHAPE_CROSS] = {2.1516, 0},
    [SHAPE_HEART] = {2.2848, -0.1708},   [SHAPE_DIAMOND] = {1.6536, 0},
};

struct fit {
    double x, y, r;  /* centre and radius                                           */
    double strength; /* a: 1 when the object has its colour's chroma                */
    double residual; /* (sum (m - a T)^2 - noise) / sum (a T)^2; may fall below 0    */
};

struct picture {
    int64_t size;
    float chroma[AREA][3];
    float m[AREA];
    double noise;     /* variance of m in the background */
    double least_r;   /* smaller is no object            */
    const bool *part; /* whose pixels alone count; NULL: all do, n of them */
    int64_t n;
};

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void colour_chroma(enum shape_colour colour, double c[3])
{
    const double *rgb = shapes_colour_rgb(colour);
    double mean = (rgb[0] + rgb[1] + rgb[2]) / 3;

    for (int k = 0; k < 3; k++)
        c[k] = rgb[k] - mean;
}

static void pixel_chroma(const struct picture *p, int64_t i, double c[3])
{
    for (int k = 0; k < 3; k++)
        c[k] = (double)p->chroma[i][k];
}

/* Fill the chroma; false when a value is not finite. */
static bool chroma_read(struct picture *p, const float *pixels)
{
    for (int64_t i = 0; i < p->size * p->size; i++) {
        double v[3], mean = 0;

        for (int k = 0; k < 3; k++) {
            if (!isfinite(pixels[i * 3 + k]))
                return false;
            v[k] = ((double)pixels[i * 3 + k] + 1) / 2;
            v[k] = v[k] < 0 ? 0 : v[k] > 1 ? 1 : v[k];
            mean += v[k] / 3;
        }
        for (int k = 0; k < 3; k++)
            p->chroma[i][k] = (float)(v[k] - mean);
    }
    return true;
}

/* Take the background's mean tint off all pixels; false when there is hardly any background. */
static bool tint_remove(struct picture *p)
{
    int64_t n = p->size * p->size, count = 0;
    double tint[3] = {0}, c[3];

    for (int64_t i = 0; i < n; i++) {
        pixel_chroma(p, i, c);
        if (dot(c, c) < coloured * coloured) {
            count++;
            for (int k = 0; k < 3; k++)
                tint[k] += c[k];
        }
    }
    if (count < n / 5)
        return false;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            p->chroma[i][k] -= (float)(tint[k] / (double)count);
    return true;
}

static double cosine(const double *a, const double *b)
{
    return dot(a, b) / sqrt(dot(a, a) * dot(b, b) + 1e-12);
}

static int nearest_colour(const double c[3])
{
    double best = -2, named[3];
    int colour = 0;

    for (int k = 0; k < SHAPES_COLOURS; k++) {
        colour_chroma((enum shape_colour)k, named);
        if (cosine(c, named) > best) {
            best = cosine(c, named);
            colour = k;
        }
    }
    return colour;
}

/* The one hue of the picture, or -1. */
static int colour_find(const struct picture *p)
{
    double votes[SHAPES_COLOURS] = {0}, sums[SHAPES_COLOURS][3] = {{0}}, all = 0, c[3];
    int best = 0;

    for (int64_t i = 0; i < p->size * p->size; i++) {
        pixel_chroma(p, i, c);
        if (dot(c, c) > coloured * coloured) {
            int k = nearest_colour(c);

            votes[k] += dot(c, c); /* squared, so that faint noise has little say */
            all += dot(c, c);
            for (int j = 0; j < 3; j++)
                sums[k][j] += c[j];
        }
    }
    for (int k = 1; k < SHAPES_COLOURS; k++)
        if (votes[k] > votes[best])
            best = k;
    colour_chroma((enum shape_colour)best, c);
    if (all == 0 || votes[best] < one_hue * all || cosine(sums[best], c) < hue_cosine)
        return -1;
    return best;
}

static void mask_make(struct picture *p, int colour)
{
    double named[3], c[3];

    colour_chroma((enum shape_colour)colour, named);
    for (int64_t i = 0; i < p->size * p->size; i++) {
        double m;

        pixel_chroma(p, i, c);
        m = dot(c, named) / dot(named, named);
        p->m[i] = (float)(m < -0.5 ? -0.5 : m > most_strength ? most_strength : m);
    }
}

/* The variance of m where the object is not: the median of |m| over pixels with |m| < 1/2, read off
 * a histogram, is 0.6745 sigma for normal noise. */
static void noise_measure(struct picture *p)
{
    int64_t bins[BINS] = {0}, count = 0, seen = 0;
    double sigma;
    int b;

    for (int64_t i = 0; i < p->size * p->size; i++)
        if (fabsf(p->m[i]) < 0.5f && (!p->part || p->part[i])) {
            bins[(int)(fabsf(p->m[i]) * 2 * BINS)]++;
            count++;
        }
    for (b = 0; b < BINS - 1 && 2 * (seen + bins[b]) < count; b++)
        seen += bins[b];
    sigma = b * 0.5 / BINS / 0.6745;
    p->noise = sigma * sigma;
}

/* Place a form by the area and the centre of mass of what is clearly object. */
static bool fit_start(const struct picture *p, struct fit at[SHAPES_FORMS])
{
    double area = 0, x = 0, y = 0, n = (double)p->size;

    for (int64_t i = 0; i < p->size; i++)
        for (int64_t j = 0; j < p->size; j++) {
            double m = (double)p->m[i * p->size + j];

            m = m < 0.3 ? 0 : m > 1 ? 1 : m;
            area += m / (n * n);
            x += m * ((double)j + 0.5) / (n * n * n);
            y += m * ((double)i + 0.5) / (n * n * n);
        }
    if (area < least_area * p->least_r * p->least_r)
        return false;
    for (int f = 0; f < SHAPES_FORMS; f++) {
        double r = sqrt(area / moments[f].area);

        at[f] = (struct fit){x / area, y / area - r * moments[f].y, r, 1, HUGE_VAL};
    }
    return true;
}

/* Solve the symmetric positive system a x = b in place by Cholesky; b becomes x. */
static void solve(double a[UNKNOWNS][UNKNOWNS], double b[UNKNOWNS])
{
    for (int i = 0; i < UNKNOWNS; i++)
        for (int j = 0; j <= i; j++) {
            double s = a[i][j];

            for (int k = 0; k < j; k++)
                s -= a[i][k] * a[j][k];
            a[i][j] = i == j ? sqrt(s > 1e-12 ? s : 1e-12) : s / a[j][j];
        }
    for (int i = 0; i < UNKNOWNS; i++) {
        for (int k = 0; k < i; k++)
            b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (int i = UNKNOWNS - 1; i >= 0; i--) {
        for (int k = i + 1; k < UNKNOWNS; k++)
            b[i] -= a[k][i] * b[k];
        b[i] /= a[i][i];
    }
}

static double within(double x, double limit)
{
    return x < -limit ? -limit : x > limit ? limit : x;
}

/* One Gauss-Newton step for (x, y, r, a), from the template's own slope: moving the centre by dx
 * changes T by -dx dT/dx, and growing r by dr changes it by -dr (u dT/du + v dT/dv) with u, v the
 * place in units of r.  Slopes are differences of neighbouring pixels, so a step costs no further
 * drawing; they are rough at corners, and the steps are bounded. */
static void fit_step(const struct picture *p, const float *t, struct fit *at)
{
    double a[UNKNOWNS][UNKNOWNS] = {{0}}, b[UNKNOWNS] = {0};
    int64_t n = p->size;
    double pixel = 1 / (double)n;

    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const float *c = t + i * n + j;
            double left = (double)(j ? c[-1] : c[0]), right = (double)(j < n - 1 ? c[1] : c[0]);
            double up = (double)(i ? c[-n] : c[0]), down = (double)(i < n - 1 ? c[n] : c[0]);
            double tx = (right - left) / 2 * at->strength, ty = (down - up) / 2 * at->strength;
            double u = (((double)j + 0.5) * pixel - at->x) / at->r;
            double v = (((double)i + 0.5) * pixel - at->y) / at->r;
            double slope[UNKNOWNS] = {-tx, -ty, -(u * tx + v * ty), (double)*c};
            double miss = (double)p->m[i * n + j] - at->strength * (double)*c;

            for (int k = 0; k < UNKNOWNS; k++) {
                b[k] += slope[k] * miss;
                for (int l = 0; l <= k; l++)
                    a[k][l] += slope[k] * slope[l];
            }
        }
    for (int k = 0; k < UNKNOWNS; k++)
        a[k][k] += 1e-3;
    solve(a, b);
    at->x += within(b[0], 1.5) * pixel;
    at->y += within(b[1], 1.5) * pixel;
    at->r += within(b[2] * pixel, 0.15 * at->r);
    at->strength += within(b[3], 0.3);
}

static double fit_residual(const struct picture *p, const float *t, double strength)
{
    double miss = 0, energy = 0;
    int64_t n = p->size * p->size;

    for (int64_t i = 0; i < n; i++) {
        double d = (double)p->m[i] - strength * (double)t[i];

        miss += d * d;
        energy += strength * strength * (double)(t[i] * t[i]);
    }
    return (miss - (double)p->n * p->noise) / (energy + 1e-9);
}

static void fit_improve(const struct picture *p, enum shape_form form, struct fit *at)
{
    float t[AREA];
    struct fit now = *at;
    bool settled;

    for (int step = 0; step <= STEPS; step++) {
        shapes_coverage(form, now.x, now.y, now.r, p->size, t);
        now.residual = fit_residual(p, t, now.strength);
        settled = step > 1 && now.residual > at->residual - 1e-3;
        if (now.residual < at->residual)
            *at = now;
        if (settled)
            return;
        fit_step(p, t, &now);
        now.r = fmin(fmax(now.r, 0.1), 0.7);
        now.strength = fmin(fmax(now.strength, 0.3), most_strength);
    }
}

static void forms_judge(const struct picture *p, const struct fit fits[SHAPES_FORMS], int colour,
                        struct shapes_verdict *out)
{
    int best = 0, second = -1;
    double lead, gain;

    for (int f = 1; f < SHAPES_FORMS; f++)
        if (fits[f].residual < fits[best].residual)
            best = f;
    for (int f = 0; f < SHAPES_FORMS; f++)
        if (f != best && (second < 0 || fits[f].residual < fits[second].residual))
            second = f;
    lead = fits[second].residual - fits[best].residual;
    gain = lead / fmax(fits[second].residual, lead + 1e-9);
    out->residual = fmax(fits[best].residual, 0);
    out->x = fits[best].x, out->y = fits[best].y, out->r = fits[best].r;
    if (out->residual > most_residual || lead < least_lead || gain < least_gain ||
        out->r < p->least_r || out->r > 0.5 || fits[best].strength < least_strength)
        return;
    out->shape = best;
    out->colour = colour;
    out->confidence = gain;
}

static void read_object(struct picture *p, struct shapes_verdict *out)
{
    struct fit fits[SHAPES_FORMS];
    int colour = colour_find(p);

    if (colour < 0)
        return;
    mask_make(p, colour);
    noise_measure(p);
    if (!fit_start(p, fits))
        return;
    for (int f = 0; f < SHAPES_FORMS; f++)
        fit_improve(p, (enum shape_form)f, &fits[f]);
    forms_judge(p, fits, colour, out);
}

static bool picture_read(struct picture *p, const float *pixels)
{
    MUST(p->size >= SHAPES_SIDE_MIN && p->size <= SHAPES_SIDE_MAX, "side %" PRId64, p->size);
    return chroma_read(p, pixels) && tint_remove(p);
}

void shapes_check(const float *pixels, int64_t size, struct shapes_verdict *out)
{
    struct picture p = {.size = size, .least_r = least_r, .n = size * size};

    *out = (struct shapes_verdict){.shape = -1, .colour = -1};
    if (picture_read(&p, pixels))
        read_object(&p, out);
}

bool shapes_coloured(const float *pixels, int64_t size, bool *is_coloured)
{
    struct picture p = {.size = size};
    double c[3];

    if (!picture_read(&p, pixels))
        return false;
    for (int64_t i = 0; i < size * size; i++) {
        pixel_chroma(&p, i, c);
        is_coloured[i] = dot(c, c) > coloured * coloured;
    }
    return true;
}

void shapes_check_part(const float *pixels, int64_t size, const bool *part, double smallest,
                       struct shapes_verdict *out)
{
    struct picture p = {.size = size, .least_r = smallest, .part = part};

    *out = (struct shapes_verdict){.shape = -1, .colour = -1};
    if (!picture_read(&p, pixels))
        return;
    for (int64_t i = 0; i < size * size; i++) {
        p.n += part[i];
        for (int k = 0; k < 3 && !part[i]; k++)
            p.chroma[i][k] = 0;
    }
    read_object(&p, out);
}
