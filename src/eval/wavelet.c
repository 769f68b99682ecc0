/*
 * wavelet.c - the Frechet distance of wavelet packets
 *
 * Between pixels (which see no detail) and a network (which sees what it was trained to) stands a
 * fixed transform: Haar packets split a picture into 4^L small ones, each of one band of
 * frequencies in each direction, and Gaussians are compared band by band.  Every band counts the
 * same in the mean, so that a model that gets the layout right and the texture wrong cannot hide it
 * behind the large numbers of the low frequencies.
 *
 * Splitting high bands as well as low ones makes the transform of a 2^L x 2^L block of pixels a
 * table of signs: coefficient (u, v) is the sum of the pixels, each with the sign of the parity of
 * (u & y) in its row and (v & x) in its column, over 2^L.  So one packet at a time is computed from
 * the pixels, in whole numbers, and memory is that of one packet.
 *
 * Haar 1910; Coifman and Wickerhauser 1992 for packets; Veeramacheneni et al. 2025, "Frechet
 * wavelet distance: a domain-agnostic metric for image generation".
 */
#include "eval/measure.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LEVELS_MAX = 4, SIDE_MIN = 4 };

int wavelet_levels(int64_t height, int64_t width)
{
    int levels = 0;

    while (levels < LEVELS_MAX && height % 2 == 0 && width % 2 == 0 && height / 2 >= SIDE_MIN &&
           width / 2 >= SIDE_MIN) {
        height /= 2;
        width /= 2;
        levels++;
    }
    return levels;
}

struct packet {
    int64_t height, width, channels; /* of a picture                         */
    int64_t step;                    /* 2^levels: pixels to a coefficient    */
    int32_t down[1 << LEVELS_MAX], across[1 << LEVELS_MAX]; /* signs of rows and columns */
};

static int64_t coefficients(const struct packet *p)
{
    return p->height / p->step * (p->width / p->step) * p->channels;
}

/* Packet (u, v). */
static void choose_packet(struct packet *p, unsigned u, unsigned v)
{
    for (unsigned k = 0; k < p->step; k++) {
        p->down[k] = __builtin_parity(u & k) ? -1 : 1;
        p->across[k] = __builtin_parity(v & k) ? -1 : 1;
    }
}

/* The signed sum of one block of pixels. */
static int32_t block_sum(const struct packet *p, const uint8_t *at)
{
    int32_t sum = 0;

    for (int64_t y = 0; y < p->step; y++) {
        int32_t row = 0;

        for (int64_t x = 0; x < p->step; x++)
            row += p->across[x] * at[(y * p->width + x) * p->channels];
        sum += p->down[y] * row;
    }
    return sum;
}

/* One picture's coefficients.  Grey levels are 2 / 255 of the range from -1 to 1 each. */
static void transform(float *out, const struct packet *p, const uint8_t *pixels)
{
    double scale = 2.0 / 255 / (double)p->step;

    for (int64_t y = 0; y < p->height; y += p->step)
        for (int64_t x = 0; x < p->width; x += p->step)
            for (int64_t c = 0; c < p->channels; c++)
                *out++ =
                    (float)(scale * block_sum(p, pixels + (y * p->width + x) * p->channels + c));
}

static enum status fit(struct gaussian *g, const struct packet *p, struct pixel_set set,
                       float *rows, struct error *err)
{
    int64_t D = coefficients(p), length = p->height * p->width * p->channels;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < set.n; i++)
        transform(rows + i * D, p, set.pixels + i * length);
    return gaussian_fit(g, rows, set.n, D, D, err);
}

static enum status packet_distance(double *out, const struct packet *p, struct pixel_set a,
                                   struct pixel_set b, float *rows, struct error *err)
{
    struct gaussian ours = {0}, theirs = {0};
    struct frechet f = {0};
    enum status st;

    if (!(st = fit(&ours, p, a, rows, err)) && !(st = fit(&theirs, p, b, rows, err)))
        st = frechet_between(&f, &ours, &theirs, err);
    gaussian_release(&ours);
    gaussian_release(&theirs);
    *out = f.distance;
    return st;
}

enum status wavelet_frechet(double *out, struct pixel_set a, struct pixel_set b, int64_t height,
                            int64_t width, int64_t channels, struct error *err)
{
    int64_t step = (int64_t)1 << wavelet_levels(height, width), most = a.n > b.n ? a.n : b.n;
    struct packet p = {height, width, channels, step, {0}, {0}};
    double sum = 0, one;
    float *rows = NULL;
    enum status st;

    *out = 0;
    if (step == 1)
        return fail(err, E_ARG,
                    "pictures of %" PRId64 " x %" PRId64
                    " cannot be halved: wavelets need even sides of 8 or more",
                    height, width);
    if ((st = mem_new((void **)&rows, (uint64_t)most, (uint64_t)coefficients(&p) * sizeof *rows,
                      "wavelet coefficients", err)))
        return st;
    for (int64_t k = 0; k < step * step && !st; k++) {
        choose_packet(&p, (unsigned)(k / step), (unsigned)(k % step));
        st = packet_distance(&one, &p, a, b, rows, err);
        sum += one / (double)(step * step);
    }
    *out = sum;
    free(rows);
    return st;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures;
    int levels = wavelet_levels(p->height, p->width);
    double distance;
    enum status st;

    if ((st = wavelet_frechet(&distance, (struct pixel_set){p->pixels, p->n},
                              (struct pixel_set){t->reference.pixels, t->reference.n}, p->height,
                              p->width, p->channels, err)))
        return st;
    measure_add(out, "wavelet", distance, -1, "mean over %d packets of %d levels",
                1 << (2 * levels), levels);
    return OK;
}

const struct measure measure_wavelet = {
    .name = "wavelet",
    .summary = "Frechet distance of Haar packets of pixels; no network",
    .paper = "Veeramacheneni et al. 2025",
    .needs = NEEDS_REFERENCE | NEEDS_PIXELS,
    .run = run,
};
