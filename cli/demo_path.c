/*
 * demo_path.c - the way of a few pictures from noise to data
 *
 * A sample of flow matching travels: dX_t/dt = u_t(X_t), from noise at t = 0 to a picture at t = 1.
 * For each picture two rows show it.  Above, the state X_t itself.  Below, what the model takes it
 * for at that moment, E[z | X_t]: at t = 0 the mean of all that was asked for, then quickly a
 * picture, long before the noise is gone.
 *
 *               t = 0   0.1   0.2   ...   1
 *   red star     []     []    []          []      X_t
 *   E[z|x]       []     []    []          []
 *
 * theory.md 1.2 and 1.4.
 */
#include "demo.h"
#include "interrupt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SAMPLES = 4,
    COLUMNS = 9,
    STEPS = 20,
    FIRST_SEED = 7,
    PICTURE_WIDTH = 80,
    GAP = 4,
    BLOCK_GAP = 16
};

static const char *const requests[SAMPLES] = {"red star", "blue circle", "yellow heart",
                                              "green triangle"};
static const double column_time[COLUMNS] = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1};
static const char below[] = "E[z | x]";

/* What is seen on the way. */
struct film {
    struct demo *demo;
    int64_t length;
    double times[STEPS + 1];
    float *state, *guess; /* [COLUMNS, SAMPLES, length] */
};

static int column_of(double t)
{
    for (int k = 0; k < COLUMNS; k++)
        if (fabs(column_time[k] - t) < 1e-6)
            return k;
    return -1;
}

static void keep(float *film, int column, const double *x, int64_t n)
{
    for (int64_t i = 0; column >= 0 && i < n; i++)
        film[column * n + i] = (float)x[i];
}

/* A step reports the state at its end and the guess from its beginning. */
static int on_progress(const struct imgen_progress *p, void *user)
{
    struct film *f = user;
    int64_t n = SAMPLES * f->length;

    if (p->state)
        keep(f->state, column_of(p->t), p->state, n);
    if (p->preview)
        keep(f->guess, column_of(f->times[p->step - 1]), p->preview, n);
    if (progress_due(&f->demo->progress, false))
        progress_say(&f->demo->progress, "drawing the path: %.0f %%", 100 * p->done);
    return !interrupt_asked();
}

/* At the ends the solver has nothing to report: before the first step stands the noise, and after
 * the last one the guess is the picture. */
static int fill_ends(struct film *f)
{
    int64_t n = SAMPLES * f->length;
    double *noise = calloc((size_t)n, sizeof *noise);

    if (!noise)
        return command_broken(&command_demo, "no memory for the noise of %d pictures", SAMPLES);
    imgen_flow_noise(noise, SAMPLES, f->length, FIRST_SEED);
    keep(f->state, 0, noise, n);
    memcpy(f->guess + (COLUMNS - 1) * n, f->state + (COLUMNS - 1) * n, (size_t)n * sizeof(float));
    free(noise);
    return EXIT_DONE;
}

static int shoot(struct film *f)
{
    struct demo *d = f->demo;
    struct imgen_item items[SAMPLES];
    struct imgen_request request;
    struct imgen_error err;
    float *x = calloc(SAMPLES, (size_t)f->length * sizeof *x);
    int code = EXIT_DONE;

    if (!x)
        return command_broken(&command_demo, "no memory for %d pictures", SAMPLES);
    for (int i = 0; i < SAMPLES && !code; i++) {
        items[i] = (struct imgen_item){0, d->info.cfg_scale, FIRST_SEED + (uint64_t)i};
        if (imgen_model_find_label(d->model, requests[i], &items[i].label, &err))
            code = command_failed(&command_demo, &err);
    }
    for (int k = 0; k <= STEPS; k++)
        f->times[k] = (double)k / STEPS;
    imgen_request_init(&request, d->model);
    request.items = items;
    request.n_items = SAMPLES;
    request.sampler = "heun"; /* one that keeps to the times it is given */
    request.times = f->times;
    request.n_times = STEPS + 1;
    request.threads = d->threads;
    request.wants_preview = 1;
    request.progress = on_progress;
    request.user = f;
    if (!code && imgen_sample_floats(d->model, &request, x, &err)) {
        progress_end(&d->progress);
        code = command_failed(&command_demo, &err);
    }
    free(x);
    return code ? code : fill_ends(f);
}

/* ---- Drawing ---- */

struct layout {
    int64_t zoom, side, left, top, block; /* block: from one sample to the next */
};

static struct layout layout_of(const struct demo *d)
{
    int64_t zoom = demo_zoom(d, PICTURE_WIDTH), side = zoom * d->info.width, widest = 0;

    for (int i = 0; i < SAMPLES; i++)
        if (canvas_text_width(requests[i], DEMO_TEXT) > widest)
            widest = canvas_text_width(requests[i], DEMO_TEXT);
    return (struct layout){zoom, side, DEMO_MARGIN + widest + BLOCK_GAP,
                           DEMO_MARGIN + 2 * DEMO_TEXT_HEIGHT, 2 * (side + GAP) - GAP + BLOCK_GAP};
}

static void draw_sample(struct canvas *c, const struct layout *l, const struct film *f, int i)
{
    int64_t top = l->top + i * l->block, lower = top + l->side + GAP;
    const struct imgen_model_info *m = &f->demo->info;

    canvas_text(c, DEMO_MARGIN, top + (l->side - DEMO_TEXT_HEIGHT) / 2, DEMO_TEXT, DEMO_INK,
                requests[i]);
    canvas_text(c, DEMO_MARGIN, lower + (l->side - DEMO_TEXT_HEIGHT) / 2, DEMO_TEXT, 2 * DEMO_INK,
                below);
    for (int k = 0; k < COLUMNS; k++) {
        int64_t at = (k * SAMPLES + i) * f->length, left = l->left + k * (l->side + GAP);

        canvas_picture(c, left, top, f->state + at, m->height, m->width, m->channels, l->zoom);
        canvas_picture(c, left, lower, f->guess + at, m->height, m->width, m->channels, l->zoom);
    }
}

static int draw(const struct film *f, const char *path)
{
    struct layout l = layout_of(f->demo);
    struct canvas canvas;
    char text[32];
    int code;

    if (!canvas_init(&canvas, l.left + COLUMNS * (l.side + GAP) - GAP + DEMO_MARGIN,
                     l.top + SAMPLES * l.block - BLOCK_GAP + DEMO_MARGIN))
        return command_broken(&command_demo, "no memory for %s", path);
    for (int k = 0; k < COLUMNS; k++) {
        snprintf(text, sizeof text, k ? "%g" : "t = %g", column_time[k]);
        demo_centre(&canvas, l.left + k * (l.side + GAP) + l.side / 2, DEMO_MARGIN, text);
    }
    for (int i = 0; i < SAMPLES; i++)
        draw_sample(&canvas, &l, f, i);
    code = demo_write(path, &canvas);
    canvas_release(&canvas);
    return code;
}

int demo_draw_path(struct demo *d, const char *path)
{
    struct film f = {.demo = d};
    int code;

    f.length = (int64_t)d->info.height * d->info.width * d->info.channels;
    f.state = calloc(COLUMNS * SAMPLES, (size_t)f.length * sizeof *f.state);
    f.guess = calloc(COLUMNS * SAMPLES, (size_t)f.length * sizeof *f.guess);
    if (!f.state || !f.guess)
        code = command_broken(&command_demo, "no memory for %d pictures", COLUMNS * SAMPLES);
    else if (!(code = shoot(&f)))
        code = draw(&f, path);
    free(f.state);
    free(f.guess);
    return code;
}
