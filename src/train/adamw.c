/*
 * adamw.c - the optimizer
 *
 * Five arrays stream through memory once: gradient, both moments, parameter and average are read,
 * and all but the gradient written, 36 bytes and some 20 operations an element.  The clipping
 * factor needs the norm first, which is a pass of its own over the gradient (4 bytes an element);
 * everything else is fused, because at 26 GB/s each further pass over a 30-million-parameter model
 * costs 5 ms a step.  A root and a division an element are more than narrow vectors do in the time
 * that memory leaves, so the loops are compiled for what the processor has (base/simd.h).
 *
 * Sums run over fixed blocks whatever the number of threads, so that a run is reproducible bit by
 * bit.
 */
#include "train/adamw.h"

#include "base/simd.h"

#include <math.h>

enum { BLOCK = 1 << 14, DOUBLES = 16 };

/* Sixteen sums in a fixed order, as many as keep the widest vectors' adders busy. */
IMGEN_CLONES static double block_sum(const float *g, int64_t n)
{
    double sum[DOUBLES] = {0};
    int64_t i = 0;

    for (; i + DOUBLES <= n; i += DOUBLES)
        for (int l = 0; l < DOUBLES; l++)
            sum[l] += (double)g[i + l] * (double)g[i + l];
    for (int l = 0; i + l < n; l++)
        sum[l] += (double)g[i + l] * (double)g[i + l];
    for (int half = DOUBLES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0];
}

/* Blocks are summed in groups so that the partial sums need no memory: 64 at a time, in order. */
double gradient_norm(const float *g, int64_t n)
{
    enum { GROUP = 64 };
    double total = 0, part[GROUP];

    for (int64_t first = 0; first < n; first += (int64_t)GROUP * BLOCK) {
        int64_t blocks = (n - first + BLOCK - 1) / BLOCK;

        blocks = blocks < GROUP ? blocks : GROUP;
#pragma omp parallel for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t at = first + b * BLOCK;

            part[b] = block_sum(g + at, n - at < BLOCK ? n - at : BLOCK);
        }
        for (int64_t b = 0; b < blocks; b++)
            total += part[b];
    }
    return sqrt(total);
}

void gradient_add(float *total, const float *g, int64_t n, float scale, bool first)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        total[i] = (first ? 0 : total[i]) + scale * g[i];
}

/* The constants of a step as the loop wants them. */
struct factors {
    float scale;      /* of the gradient                      */
    float b1, c1;     /* m = b1 m + c1 g                      */
    float b2, c2;     /* v = b2 v + c2 g^2                    */
    float keep, rate; /* p = keep p - rate m / ...            */
    float root, eps;  /* ... (sqrt(v) root + eps)             */
    float d, e;       /* average = d average + e p            */
};

static struct factors factors_of(const struct adamw *a, double norm)
{
    double correct1 = 1 - pow(a->beta1, (double)a->step),
           correct2 = 1 - pow(a->beta2, (double)a->step);

    return (struct factors){
        .scale = a->clip > 0 ? (float)fmin(1, a->clip / (norm + 1e-6)) : 1,
        .b1 = (float)a->beta1,
        .c1 = (float)(1 - a->beta1),
        .b2 = (float)a->beta2,
        .c2 = (float)(1 - a->beta2),
        .keep = (float)(1 - a->lr * a->weight_decay),
        .rate = (float)(a->lr / correct1),
        .root = (float)(1 / sqrt(correct2)),
        .eps = (float)a->eps,
        .d = (float)a->ema,
        .e = (float)(1 - a->ema),
    };
}

IMGEN_CLONES static void block_step(float *restrict p, float *restrict m, float *restrict v,
                                    float *restrict average, const float *restrict g, int64_t n,
                                    const struct factors *f)
{
    const struct factors k = *f;

#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * k.scale;
        float mi = k.b1 * m[i] + k.c1 * gi;
        float vi = k.b2 * v[i] + k.c2 * gi * gi;
        float pi = k.keep * p[i] - k.rate * mi / (sqrtf(vi) * k.root + k.eps);

        m[i] = mi;
        v[i] = vi;
        p[i] = pi;
        average[i] = k.d * average[i] + k.e * pi;
    }
}

void adamw_step(float *restrict p, float *restrict m, float *restrict v, float *restrict average,
                const float *restrict g, int64_t n, double norm, const struct adamw *a)
{
    const struct factors f = factors_of(a, norm);

#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t count = n - at < BLOCK ? n - at : BLOCK;

        float nobody[BLOCK];

        block_step(p + at, m + at, v + at, average ? average + at : nobody, g + at, count, &f);
    }
}

double ema_decay(double decay, int64_t s)
{
    return fmin(decay, (1 + (double)s) / (10 + (double)s));
}
