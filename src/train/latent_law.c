/*
 * latent_law.c - how an autoencoder's latents are spread, and what they look like
 *
 * A penalty of 1e-6 does not make latents normal: their means and deviations are whatever training
 * left, and differ from channel to channel.  A generator wants mean 0 and deviation 1, so both are
 * measured over the training set and written into the model,
 *
 *     z' = (z - shift) scale,    shift = mean,    scale = 1 / deviation,
 *
 * channel by channel (architectures.md 3.3).  A posterior's deviation counts: what the generator is
 * shown may be a sample, and a channel that the encoder does not use, all noise and no mean, must
 * not be blown up to look like one.
 *
 * What a latent looks like is nearly linear: the picture averaged over each factor x factor cell is
 * fitted by least squares from the latent there, a matrix of a few dozen numbers that costs nothing
 * to apply while a generator runs.  All that the fit needs are sums of products, so one pass over
 * the set measures everything and keeps no latents, but those of a few pictures for histograms.
 */
#include "train/latent_law.h"

#include "base/cholesky.h"
#include "base/memory.h"
#include "data/loader.h"
#include "plot/figure.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_PICTURES = 256, DRAWN_CHANNELS = 64, LAW_PATH = 4096 };
static const uint64_t ORDER_SEED = 0x6c6174656e74;
static const double DEAD = 1e-6;  /* a deviation below it is none            */
static const double RIDGE = 1e-6; /* so that such channels have weight 0     */

/* Sums over cells, a cell being one place of one latent. */
struct sums {
    int64_t cells;
    double *z, *zz;      /* [C], [C, C]: of means and their products */
    double *variance;    /* [C]: of posteriors                       */
    double *p, *pp, *zp; /* [K], [K], [C, K]: of colours             */
};

struct survey {
    const struct latent_survey *s;
    int64_t C, K, factor, height, width; /* the last two of a latent    */
    int64_t frames, per_frame; /* of a latent; frames of a clip that one of them stands for */
    int64_t length;            /* numbers of a picture or clip                       */
    int64_t n;                 /* pictures                    */
    struct sums sums;
    double *all;     /* all of the sums, in one block                   */
    float *pictures; /* [batch, H, W, K]                                */
    float *code;     /* [batch, h, w, C or 2 C]                         */
    float *kept;     /* [n_kept, h w, C]                                */
    int64_t n_kept;
};

/* ---- Setting up ---- */

static enum status make_sums(struct survey *v, struct error *err)
{
    int64_t C = v->C, K = v->K, n = 2 * C + C * C + 2 * K + C * K;
    double *at;
    enum status st;

    if ((st = mem_new((void **)&v->all, (uint64_t)n, sizeof *v->all, "sums over latents", err)))
        return st;
    at = v->all;
    v->sums = (struct sums){.z = at, .variance = at + C, .zz = at + 2 * C};
    at += 2 * C + C * C;
    v->sums.p = at;
    v->sums.pp = at + K;
    v->sums.zp = at + 2 * K;
    return OK;
}

/* Of one latent. */
static int64_t cells_of(const struct survey *v)
{
    return v->frames * v->height * v->width;
}

static enum status survey_init(struct survey *v, const struct latent_survey *s, struct error *err)
{
    const struct network_io *io = &s->net->io;
    int64_t all = s->set->count == INT64_MAX ? LATENT_ENDLESS : s->set->count;
    uint64_t cells, pixels = (uint64_t)(network_places(s->net) * io->in_channels);
    enum status st;

    *v = (struct survey){
        .s = s,
        .C = io->latent_channels,
        .K = io->in_channels,
        .factor = io->factor,
        .height = io->height / io->factor,
        .width = io->width / io->factor,
        .frames = io->frames ? autoencoder_latent_frames(s->net, io->frames) : 1,
        .per_frame = io->frame_factor,
        .length = (int64_t)pixels,
        .n = s->limit && (s->limit < all || s->set->count == INT64_MAX) ? s->limit : all,
    };
    v->n_kept = v->n < KEPT_PICTURES ? v->n : KEPT_PICTURES;
    cells = (uint64_t)(cells_of(v) * v->C);
    if ((st = make_sums(v, err)) ||
        (st = mem_new((void **)&v->pictures, (uint64_t)s->batch * pixels, sizeof(float), "pictures",
                      err)) ||
        (st = mem_new((void **)&v->code, 2 * (uint64_t)s->batch * cells, sizeof(float), "latents",
                      err)))
        return st;
    return mem_new((void **)&v->kept, (uint64_t)v->n_kept * cells, sizeof(float), "latents", err);
}

static void survey_release(struct survey *v)
{
    free(v->all);
    free(v->pictures);
    free(v->code);
    free(v->kept);
}

/* ---- One pass ---- */

/* A part of the set is a random part. */
static int64_t picture_at(const struct survey *v, int64_t i)
{
    return v->n < v->s->set->count ? loader_index(ORDER_SEED, v->s->set->count, i) : i;
}

static enum status encode(struct survey *v, int64_t first, int64_t rows, struct error *err)
{
    struct graph *g = v->s->graph;
    struct tensor *code;
    enum status st;

    for (int64_t i = 0; i < rows; i++)
        if ((st = dataset_get(v->s->set, picture_at(v, first + i), v->pictures + i * v->length,
                              NULL, NULL, err)))
            return st;
    graph_reset(g);
    code = autoencoder_encode(g, v->s->net,
                              graph_input(g, network_shape(v->s->net, rows, v->K), v->pictures));
    graph_keep(g, code);
    if ((st = graph_run(g, err)))
        return st;
    graph_read(g, code, v->code);
    return OK;
}

/* The mean colour under one cell of picture i of the batch; of a clip over the frames that a cell
 * stands for, those behind its last one left out. */
static void cell_colour(double *out, const struct survey *v, int64_t i, int64_t cell)
{
    int64_t F = v->factor, W = v->width * F, plane = v->height * F * W * v->K;
    int64_t frames = v->length / plane, place = cell % (v->height * v->width);
    int64_t first = cell / (v->height * v->width) * v->per_frame;
    int64_t last = first + v->per_frame < frames ? first + v->per_frame : frames;
    int64_t y = place / v->width, x = place % v->width;
    double share = 1 / (double)(F * F * (last - first));

    for (int64_t k = 0; k < v->K; k++)
        out[k] = 0;
    for (int64_t t = first; t < last; t++) {
        const float *at = v->pictures + i * v->length + t * plane + (y * F * W + x * F) * v->K;

        for (int64_t p = 0; p < F * F * v->K; p++)
            out[p % v->K] += share * (double)at[p / (F * v->K) * W * v->K + p % (F * v->K)];
    }
}

/* code: means, and where there is a posterior its log variances; colour [K]. */
static void add_cell(struct survey *v, const float *code, const double *colour)
{
    struct sums *s = &v->sums;
    int64_t C = v->C, K = v->K;

    s->cells++;
    for (int64_t c = 0; c < C; c++) {
        double z = (double)code[c];

        s->z[c] += z;
        if (v->s->net->io.gaussian)
            s->variance[c] += exp(posterior_held((double)code[C + c]));
        for (int64_t d = 0; d <= c; d++)
            s->zz[c * C + d] += z * (double)code[d];
        for (int64_t k = 0; k < K; k++)
            s->zp[c * K + k] += z * colour[k];
    }
    for (int64_t k = 0; k < K; k++) {
        s->p[k] += colour[k];
        s->pp[k] += colour[k] * colour[k];
    }
}

static enum status add_picture(struct survey *v, int64_t number, int64_t i, double *colour,
                               struct error *err)
{
    int64_t C = v->C, row = v->s->net->io.gaussian ? 2 * C : C, cells = cells_of(v);

    for (int64_t at = 0; at < cells; at++) {
        const float *code = v->code + (i * cells + at) * row;

        for (int64_t c = 0; c < row; c++)
            if (!isfinite(code[c]))
                return fail(err, E_NOT_FINITE, "the latents of a picture are not finite");
        cell_colour(colour, v, i, at);
        add_cell(v, code, colour);
        if (number < v->n_kept)
            memcpy(v->kept + (number * cells + at) * C, code, (size_t)C * sizeof *code);
    }
    return OK;
}

static enum status look_at_all(struct survey *v, struct error *err)
{
    double *colour = NULL;
    enum status st;

    st = mem_new((void **)&colour, (uint64_t)v->K, sizeof *colour, "a colour", err);
    for (int64_t first = 0; first < v->n && !st; first += v->s->batch) {
        int64_t rows = v->n - first < v->s->batch ? v->n - first : v->s->batch;

        st = encode(v, first, rows, err);
        for (int64_t i = 0; i < rows && !st; i++)
            st = add_picture(v, first + i, i, colour, err);
    }
    free(colour);
    return st;
}

/* ---- What the sums say ---- */

static void find_moments(struct latent_law *l, const struct survey *v)
{
    const struct sums *s = &v->sums;
    double n = (double)s->cells;

    for (int64_t c = 0; c < v->C; c++) {
        double mean = s->z[c] / n, square = s->zz[c * v->C + c] / n - mean * mean;

        l->mean[c] = mean;
        l->deviation[c] = sqrt(fmax(square, 0) + s->variance[c] / n);
    }
}

static double scale_of(const struct latent_law *l, int64_t c)
{
    return l->deviation[c] > DEAD ? 1 / l->deviation[c] : 1;
}

/* The weights of colour k, by the factor of (covariance + ridge); returns how much of the colour's
 * variance they explain. */
static double fit_colour(struct latent_law *l, const struct survey *v, const double *factor,
                         int64_t k, double *w)
{
    const struct sums *s = &v->sums;
    double n = (double)s->cells, mean = s->p[k] / n, explained = 0;

    for (int64_t c = 0; c < v->C; c++)
        l->weight[c * v->K + k] = w[c] =
            scale_of(l, c) * (s->zp[c * v->K + k] / n - l->mean[c] * mean);
    cholesky_solve(w, factor, v->C);
    for (int64_t c = 0; c < v->C; c++) {
        explained += w[c] * l->weight[c * v->K + k];
        l->weight[c * v->K + k] = w[c];
    }
    l->weight[v->C * v->K + k] = mean;
    return explained;
}

/* Of latents of mean 0: (covariance + ridge) w = covariance with the colour, for each colour. */
static enum status fit_preview(struct latent_law *l, const struct survey *v, struct error *err)
{
    const struct sums *s = &v->sums;
    int64_t C = v->C;
    double n = (double)s->cells, *a = NULL, total = 0, explained = 0;
    enum status st;

    if ((st = mem_new((void **)&a, (uint64_t)(C * C + C), sizeof *a, "a fit of colours", err)))
        return st;
    for (int64_t c = 0; c < C; c++)
        for (int64_t d = 0; d <= c; d++)
            a[c * C + d] =
                scale_of(l, c) * scale_of(l, d) * (s->zz[c * C + d] / n - l->mean[c] * l->mean[d]) +
                (c == d ? RIDGE : 0);
    if (!cholesky_factor(a, C))
        st = fail(err, E_NOT_FINITE, "the latents of %" PRId64 " pictures have no preview",
                  l->pictures);
    for (int64_t k = 0; k < v->K && !st; k++) {
        explained += fit_colour(l, v, a, k, a + C * C);
        total += s->pp[k] / n - s->p[k] / n * (s->p[k] / n);
    }
    l->unexplained = total > 0 ? fmax(0, 1 - explained / total) : 0;
    free(a);
    return st;
}

static void find_densities(struct latent_law *l, const struct survey *v)
{
    int64_t C = v->C, n = v->n_kept * cells_of(v);
    double bin = 2 * LATENT_REACH / LATENT_BINS;

    for (int64_t i = 0; i < n * C; i++) {
        int64_t c = i % C;
        double z = ((double)v->kept[i] - l->mean[c]) * scale_of(l, c);
        double at = floor((z + LATENT_REACH) / bin);

        if (at >= 0 && at < LATENT_BINS)
            l->density[c * LATENT_BINS + (int64_t)at] += 1 / ((double)n * bin);
    }
}

enum status latent_law_measure(struct latent_law *out, const struct latent_survey *s,
                               struct error *err)
{
    struct survey v;
    enum status st;

    memset(out, 0, sizeof *out);
    if ((st = survey_init(&v, s, err)))
        goto out;
    out->channels = v.C;
    out->colours = v.K;
    out->pictures = v.n;
    if ((st = mem_new((void **)&out->mean, (uint64_t)v.C, sizeof(double), "means", err)) ||
        (st =
             mem_new((void **)&out->deviation, (uint64_t)v.C, sizeof(double), "deviations", err)) ||
        (st = mem_new((void **)&out->weight, (uint64_t)((v.C + 1) * v.K), sizeof(double),
                      "a preview", err)) ||
        (st = mem_new((void **)&out->density, (uint64_t)(v.C * LATENT_BINS), sizeof(double),
                      "histograms", err)) ||
        (st = look_at_all(&v, err)))
        goto out;
    find_moments(out, &v);
    find_densities(out, &v);
    st = fit_preview(out, &v, err);
out:
    survey_release(&v);
    return st;
}

void latent_law_release(struct latent_law *l)
{
    free(l->mean);
    free(l->deviation);
    free(l->weight);
    free(l->density);
    memset(l, 0, sizeof *l);
}

enum status latent_law_apply(const struct latent_law *l, struct network *net, struct error *err)
{
    int64_t weights = (l->channels + 1) * l->colours;
    double *scale = NULL;
    enum status st;

    if ((st = mem_new((void **)&scale, (uint64_t)l->channels, sizeof *scale, "scales", err)))
        return st;
    for (int64_t c = 0; c < l->channels; c++)
        scale[c] = scale_of(l, c);
    if (!(st = autoencoder_set(net, "scale", scale, l->channels, err)) &&
        !(st = autoencoder_set(net, "shift", l->mean, l->channels, err)) &&
        weights <= OPTION_LIST_MAX)
        st = autoencoder_set(net, "preview", l->weight, weights, err);
    free(scale);
    return st;
}

/* ---- The drawing ---- */

static struct mark_style pen(struct colour colour, double width, double opacity)
{
    return (struct mark_style){.colour = colour, .size = width, .opacity = opacity};
}

static void draw_channels(struct figure *f, const struct latent_law *l)
{
    struct mark_style line = pen(colour_of_kind(0), 2, 1), dot = pen(colour_ink, 2, 1);
    double lo = 0, hi = 0;
    struct panel *p;

    for (int64_t c = 0; c < l->channels; c++) {
        lo = fmin(lo, l->mean[c] - l->deviation[c]);
        hi = fmax(hi, l->mean[c] + l->deviation[c]);
    }
    hi += hi > lo ? 0 : 1;
    p = figure_panel(f, 260, "Mean and deviation of each channel",
                     (struct axis){"channel", -0.5, (double)l->channels - 0.5, .grid = false},
                     (struct axis){"latent", lo, hi, .grid = true});
    for (int64_t c = 0; c < l->channels; c++) {
        const double xy[] = {(double)c, l->mean[c] - l->deviation[c], (double)c,
                             l->mean[c] + l->deviation[c]};

        panel_points(p, MARK_LINE, &line, xy, 2);
        panel_points(p, MARK_DOTS, &dot, (double[]){(double)c, l->mean[c]}, 1);
    }
}

static double density_at(const struct latent_law *l, int64_t channel, int bin)
{
    double sum = 0;

    if (channel >= 0)
        return l->density[channel * LATENT_BINS + bin];
    for (int64_t c = 0; c < l->channels; c++)
        sum += l->density[c * LATENT_BINS + bin] / (double)l->channels;
    return sum;
}

/* channel -1: of all. */
static void draw_density(struct panel *p, const struct mark_style *style,
                         const struct latent_law *l, int64_t channel)
{
    double xy[2 * LATENT_BINS];

    for (int b = 0; b < LATENT_BINS; b++) {
        xy[2 * b] = LATENT_REACH * ((2 * b + 1) / (double)LATENT_BINS - 1);
        xy[2 * b + 1] = density_at(l, channel, b);
    }
    panel_points(p, MARK_LINE, style, xy, LATENT_BINS);
}

static void draw_densities(struct figure *f, const struct latent_law *l)
{
    struct mark_style one = pen(colour_faint, 1, 0.6), all = pen(colour_of_kind(0), 2, 1);
    struct mark_style normal = pen(colour_ink, 1, 1);
    double xy[2 * LATENT_BINS], top = 0.5;
    struct panel *p;

    normal.dash = 4;
    for (int64_t c = 0; c < l->channels && c < DRAWN_CHANNELS; c++)
        for (int b = 0; b < LATENT_BINS; b++)
            top = fmax(top, fmin(density_at(l, c, b), 2));
    p = figure_panel(f, 260, "Latents, shifted and scaled",
                     (struct axis){"z'", -LATENT_REACH, LATENT_REACH, .grid = false},
                     (struct axis){"density", 0, top, .grid = true});
    for (int64_t c = 0; c < l->channels && c < DRAWN_CHANNELS; c++)
        draw_density(p, &one, l, c);
    draw_density(p, &all, l, -1);
    for (int b = 0; b < LATENT_BINS; b++) {
        double z = LATENT_REACH * (2 * b / (double)(LATENT_BINS - 1) - 1);

        xy[2 * b] = z;
        xy[2 * b + 1] = exp(-z * z / 2) / sqrt(2 * acos(-1));
    }
    panel_points(p, MARK_LINE, &normal, xy, LATENT_BINS);
    figure_key(f, MARK_LINE, &one, "one channel");
    figure_key(f, MARK_LINE, &all, "all");
    figure_key(f, MARK_LINE, &normal, "normal");
}

enum status latent_law_draw(const struct latent_law *l, const char *path, struct error *err)
{
    struct figure *f = NULL;
    char title[128];
    enum status st;

    snprintf(title, sizeof title,
             "Latents of %" PRId64 " pictures; the preview knows %.1f %% of the colours",
             l->pictures, 100 * (1 - l->unexplained));
    if ((st = figure_new(&f, title, err)))
        return st;
    figure_row(f, 180);
    draw_channels(f, l);
    draw_densities(f, l);
    st = figure_write(f, path, 2, NULL, err);
    figure_free(f);
    return st;
}

enum status latent_law_settle(const struct latent_survey *s, struct network *net, float *values,
                              const char *folder, struct error *err)
{
    char path[LAW_PATH];
    struct latent_law law;
    enum status st;

    if (snprintf(path, sizeof path, "%s/latents.png", folder) >= (int)sizeof path)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", LAW_PATH);
    params_use(net->params, values);
    st = latent_law_measure(&law, s, err);
    params_use(net->params, NULL);
    if (!st && !(st = latent_law_apply(&law, net, err)))
        st = latent_law_draw(&law, path, err);
    latent_law_release(&law);
    return st;
}
