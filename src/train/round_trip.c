/*
 * round_trip.c - pictures, and what an autoencoder in training makes of them
 *
 * An autoencoder has no times and no noise to be averaged over: a picture goes through and is
 * compared with itself.  The mean of the latent's law is decoded, not a sample, as one decodes when
 * it is used.  The loss is the training's own distance without what the latent costs; PSNR is in
 * grey levels, of what would be written to a file, so that it is the number that is published.
 *
 * On a sheet the originals stand above: what is lost is seen at a glance, and a PSNR does not say
 * whether it is edges or colours.
 */
#include "train/round_trip.h"

#include "base/memory.h"
#include "base/whole.h"
#include "data/loader.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIP_BATCH = 64, SHEET_COLUMNS = 8, SHEET_WIDTH = 512, SHEET_GAP = 2 };

struct round_trip {
    struct graph *g;
    const struct network *net;
    const struct autoencode *loss;
    int64_t n, batch, length; /* pictures, of them at once, numbers of each */
    int64_t frames;           /* of each; 1: it is a picture            */
    int64_t sheet;            /* of them at most on a sheet                 */
    float *x;                 /* [n, length]                                */
    float *y;                 /* [batch, length]                            */
    uint8_t *level[2];        /* [length]: of one picture, before and after */
};

/* ---- Pictures ---- */

static enum status check_set(const struct dataset *d, const struct network_io *io,
                             struct error *err)
{
    int64_t frames = whole_max(d->frames, 1), want = whole_max(io->frames, 1);

    if (frames != want)
        return fail(err, E_ARG,
                    "data.eval_path: clips of %" PRId64 " frames, where the training has %" PRId64,
                    frames, want);
    if (d->height == io->height && d->width == io->width && d->channels == io->in_channels)
        return OK;
    return fail(err, E_ARG,
                "data.eval_path: pictures of %" PRId64 " x %" PRId64 " x %" PRId64
                ", where the training has %" PRId64 " x %" PRId64 " x %" PRId64,
                d->height, d->width, d->channels, io->height, io->width, io->in_channels);
}

static int64_t fewer(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum status fill(struct round_trip *t, const struct dataset *d, struct error *err)
{
    enum status st = OK;

    for (int64_t i = 0; i < t->n && !st; i++)
        st = dataset_get(d, loader_index(EVAL_SEED, d->count, i), t->x + i * t->length, NULL, NULL,
                         err);
    return st;
}

static enum status take_pictures(struct round_trip *t, const struct round_trip_setting *s,
                                 const struct dataset *d, struct error *err)
{
    const struct train_options *o = &s->experiment->train;
    const struct network_io *io = &s->net->io;
    enum status st;

    t->g = s->graph;
    t->net = s->net;
    t->loss = s->loss;
    t->n = fewer(o->eval_every ? o->eval_count : o->sample_count, d->count);
    t->sheet = fewer(o->sample_count, t->n);
    t->batch = fewer(fewer(o->batch, TRIP_BATCH), t->n);
    t->frames = whole_max(io->frames, 1);
    t->length = network_places(s->net) * io->in_channels;
    if ((st = check_set(d, io, err)) ||
        (st = mem_new((void **)&t->x, (uint64_t)(t->n * t->length), sizeof *t->x, "pictures",
                      err)) ||
        (st = mem_new((void **)&t->y, (uint64_t)(t->batch * t->length), sizeof *t->y,
                      "reconstructions", err)))
        return st;
    for (int k = 0; k < 2; k++)
        if ((st = mem_new((void **)&t->level[k], (uint64_t)t->length, 1, "a picture", err)))
            return st;
    return fill(t, d, err);
}

/* Held-out pictures where there are any: a set of them is named, or the set is endless. */
static bool has_held_out(const struct round_trip_setting *s)
{
    const char *path = s->experiment->data.eval_path;

    return (path && *path) || s->trained->count == INT64_MAX;
}

enum status round_trip_new(struct round_trip **out, const struct round_trip_setting *setting,
                           struct error *err)
{
    const struct train_options *o = &setting->experiment->train;
    struct dataset *held_out = NULL;
    struct round_trip *t = NULL;
    enum status st = OK;

    *out = NULL;
    if (!o->eval_every && !o->sample_every)
        return OK;
    if (o->eval_every || has_held_out(setting))
        st = evaluation_data(setting->experiment, &held_out, err);
    if (!st && !(st = mem_new((void **)&t, 1, sizeof *t, "an evaluation", err)))
        st = take_pictures(t, setting, held_out ? held_out : setting->trained, err);
    if (st)
        round_trip_free(t);
    else
        *out = t;
    dataset_close(held_out);
    return st;
}

void round_trip_free(struct round_trip *t)
{
    if (!t)
        return;
    free(t->x);
    free(t->y);
    free(t->level[0]);
    free(t->level[1]);
    free(t);
}

/* ---- Running ---- */

/* There and back, of pictures `first` and on; *distance: of them, or NULL. */
static struct tensor *record_trip(struct round_trip *t, int64_t first, int64_t rows,
                                  struct tensor **distance)
{
    const struct network_io *io = &t->net->io;
    struct network_input in = {0};
    struct tensor *y;

    graph_reset(t->g);
    in.x =
        graph_input(t->g, network_shape(t->net, rows, io->in_channels), t->x + first * t->length);
    y = network_forward(t->g, t->net, in);
    if (io->frames)
        y = autoencoder_cut(t->g, y, t->frames);
    graph_keep(t->g, y);
    if (distance) {
        *distance = autoencode_distance(t->loss, t->g, in.x, y);
        graph_keep(t->g, *distance);
    }
    return y;
}

/* y into t->y; *loss: the mean distance of these pictures, or NULL. */
static enum status run_trip(struct round_trip *t, int64_t first, int64_t rows, double *loss,
                            struct error *err)
{
    struct tensor *distance = NULL, *y = record_trip(t, first, rows, loss ? &distance : NULL);
    float value;
    enum status st;

    if ((st = graph_run(t->g, err)))
        return st;
    graph_read(t->g, y, t->y);
    if (loss) {
        graph_read(t->g, distance, &value);
        *loss = (double)value;
    }
    return OK;
}

enum status round_trip_measure(struct round_trip *t, struct graph_stats *most, int64_t *beside,
                               struct error *err)
{
    struct tensor *distance;

    *beside = 2 * t->sheet * t->length * (int64_t)sizeof(float);
    record_trip(t, 0, t->batch, &distance);
    return graph_measure(t->g, most, err);
}

/* Of picture `first` + i, now in t->y. */
static enum status picture_psnr(double *out, struct round_trip *t, int64_t first, int64_t i,
                                struct error *err)
{
    enum status st;

    if ((st = picture_levels(t->level[0], t->x + (first + i) * t->length, t->length, err)) ||
        (st = picture_levels(t->level[1], t->y + i * t->length, t->length, err)))
        return st;
    *out = psnr(t->level[0], t->level[1], t->length);
    return OK;
}

/* Pictures that came back as they were have no noise to be told, and are left out of the mean. */
static enum status measure(struct round_trip *t, double *loss, double *decibels, struct error *err)
{
    int64_t finite = 0;
    double sum = 0, part, one;
    enum status st;

    *loss = 0;
    for (int64_t first = 0; first < t->n; first += t->batch) {
        int64_t rows = fewer(t->batch, t->n - first);

        if ((st = run_trip(t, first, rows, &part, err)))
            return st;
        *loss += part * (double)rows / (double)t->n;
        for (int64_t i = 0; i < rows; i++) {
            if ((st = picture_psnr(&one, t, first, i, err)))
                return st;
            sum += isfinite(one) ? one : 0;
            finite += isfinite(one);
        }
    }
    *decibels = finite ? sum / (double)finite : HUGE_VAL;
    return OK;
}

enum status round_trip_evaluate(struct round_trip *t, float *average, struct eval_losses *out,
                                struct error *err)
{
    double unused;
    enum status st;

    *out = (struct eval_losses){.rebuilds = true, .clean = true};
    for (int k = 0; k < EVAL_TIMES; k++)
        out->by_time[k] = (double)NAN;
    if ((st = measure(t, &out->raw, &unused, err)))
        return st;
    params_use(t->net->params, average);
    st = measure(t, &out->average, &out->psnr, err);
    params_use(t->net->params, NULL);
    return st;
}

/* ---- The sheet ---- */

/* Picture i of the originals on the sheet; what it became stands a row lower.  Of a clip each frame
 * that is shown has a cell, and the clip a row. */
static int64_t place(int64_t i, int64_t columns)
{
    return i / columns * 2 * columns + i % columns;
}

static enum status lay_out(struct round_trip *t, float *cells, int64_t count, const struct sheet *s,
                           struct error *err)
{
    int64_t frame = s->height * s->width * s->channels;
    int64_t shown = t->frames > 1 ? s->columns : 1, each = s->columns / shown;
    enum status st;

    for (int64_t first = 0; first < count; first += t->batch) {
        int64_t rows = fewer(t->batch, count - first);

        if ((st = run_trip(t, first, rows, NULL, err)))
            return st;
        for (int64_t i = 0; i < rows; i++) {
            float *to = cells + place(first + i, each) * shown * frame;

            picture_frames(to, t->x + (first + i) * t->length, t->frames, shown, frame);
            picture_frames(to + s->columns * frame, t->y + i * t->length, t->frames, shown, frame);
        }
    }
    return OK;
}

enum status round_trip_sheet(struct round_trip *t, const char *path, float *values, int64_t count,
                             struct error *err)
{
    const struct network_io *io = &t->net->io;
    int64_t shown = fewer(count, t->n), n;
    struct sheet layout = {
        .columns = t->frames > 1 ? fewer(t->frames, SHEET_FRAMES) : fewer(shown, SHEET_COLUMNS),
        .height = io->height,
        .width = io->width,
        .channels = io->in_channels,
        .gap = SHEET_GAP,
        .ground = 255,
    };
    struct image im = {0};
    float *cells = NULL;
    enum status st;

    layout.rows = t->frames > 1 ? 2 * shown : 2 * whole_parts(shown, layout.columns);
    layout.zoom = 1 + (SHEET_WIDTH - 1) / (layout.columns * io->width);
    n = layout.rows * layout.columns * io->height * io->width * io->in_channels;
    if ((st = mem_new((void **)&cells, (uint64_t)n, sizeof *cells, "a sheet of pictures", err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        cells[i] = 1; /* where the last row is not full */
    params_use(t->net->params, values);
    st = lay_out(t, cells, shown, &layout, err);
    params_use(t->net->params, NULL);
    if (!st && !(st = picture_sheet(&im, cells, &layout, err)))
        st = png_write(path, &im, NULL, 0, err);
    image_release(&im);
    free(cells);
    return st;
}
