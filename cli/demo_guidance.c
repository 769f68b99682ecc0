/*
 * demo_guidance.c - requests against guidance scales, and how often they are obeyed
 *
 * Guidance trades variety for obedience, and one picture shows it: each row is a request, each
 * group of columns a guidance scale, and inside a group stand the same seeds, so that from left to
 * right one sees the same noise obey more and more.  Under each group stands a number that nobody
 * has to believe by eye: the share of pictures in which the checker of the data set finds the shape
 * and the colour that were asked for, over all labels equally often.
 *
 *              w = 0         w = 1    ...
 *   red star   [] [] [] []   [] [] [] []
 *   ...
 *   obeyed        2 %           61 %
 *
 * theory.md 3.2; Ho and Salimans 2022, "Classifier-free diffusion guidance".
 */
#include "demo.h"
#include "interrupt.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 8, SHOWN = 4, GAP = 2, GROUP_GAP = 18, PICTURE_WIDTH = 64 };

static const char *const requests[ROWS] = {
    "red star",    "blue circle", "green triangle", "yellow heart",
    "purple ring", "cyan square", "red cross",      "blue diamond",
};
static const double scales[DEMO_COLUMNS] = {0, 1, 2, 4, 8};

/* The pictures of one scale: `each` of every label, then what is shown beyond those. */
struct round {
    int64_t each, n, length;
    int label[ROWS];
    struct imgen_item *items; /* [n] */
    float *x;                 /* [n, length] */
};

/* Where seed `seed` of request `row` stands in the round. */
static int64_t shown_at(const struct round *r, const struct demo *d, int row, int64_t seed)
{
    if (seed < r->each)
        return r->label[row] * r->each + seed;
    return d->info.n_labels * r->each + row * (SHOWN - r->each) + seed - r->each;
}

static int round_init(struct round *r, const struct demo *d)
{
    int64_t extra, labels = d->info.n_labels;
    struct imgen_error err;

    for (int row = 0; row < ROWS; row++)
        if (imgen_model_find_label(d->model, requests[row], &r->label[row], &err))
            return command_failed(&command_demo, &err);
    r->each = (d->count + labels - 1) / labels;
    extra = r->each < SHOWN ? SHOWN - r->each : 0;
    r->n = labels * r->each + ROWS * extra;
    r->length = (int64_t)d->info.height * d->info.width * d->info.channels;
    r->items = calloc((size_t)r->n, sizeof *r->items);
    r->x = calloc((size_t)r->n, (size_t)r->length * sizeof *r->x);
    if (!r->items || !r->x)
        return command_broken(&command_demo, "no memory for %" PRId64 " pictures", r->n);
    for (int64_t i = 0; i < labels * r->each; i++)
        r->items[i] = (struct imgen_item){(int)(i / r->each), 0, (uint64_t)(i % r->each)};
    for (int row = 0; row < ROWS; row++)
        for (int64_t seed = 0; seed < SHOWN; seed++)
            r->items[shown_at(r, d, row, seed)] =
                (struct imgen_item){r->label[row], 0, (uint64_t)seed};
    return EXIT_DONE;
}

static void round_release(struct round *r)
{
    free(r->items);
    free(r->x);
}

/* ---- Sampling and measuring ---- */

struct telling {
    struct demo *demo;
    double scale;
};

static int on_progress(const struct imgen_progress *p, void *user)
{
    const struct telling *t = user;

    if (progress_due(&t->demo->progress, false))
        progress_say(&t->demo->progress,
                     "drawing %" PRId64 " pictures at guidance scale %g: %.0f %%", p->n, t->scale,
                     100 * p->done);
    return !interrupt_asked();
}

static int sample_round(struct round *r, struct demo *d, double scale)
{
    struct telling telling = {d, scale};
    struct imgen_request request;
    struct imgen_error err;

    for (int64_t i = 0; i < r->n; i++)
        r->items[i].cfg_scale = scale;
    imgen_request_init(&request, d->model);
    request.items = r->items;
    request.n_items = r->n;
    request.threads = d->threads;
    request.progress = on_progress;
    request.user = &telling;
    if (imgen_sample_floats(d->model, &request, r->x, &err)) {
        progress_end(&d->progress);
        return command_failed(&command_demo, &err);
    }
    return EXIT_DONE;
}

static struct demo_share measure(const struct round *r, const struct demo *d, double scale)
{
    struct demo_share share = {scale, 0, d->info.n_labels * r->each};

    for (int64_t i = 0; i < share.asked; i++)
        share.obeyed +=
            imgen_shapes_label(r->x + i * r->length, d->info.height) == r->items[i].label;
    return share;
}

/* ---- Drawing ---- */

struct layout {
    int64_t zoom, side, left, top, group; /* group: from one scale to the next */
};

static struct layout layout_of(const struct demo *d)
{
    int64_t zoom = demo_zoom(d, PICTURE_WIDTH), side = zoom * d->info.width, widest = 0;

    for (int row = 0; row < ROWS; row++)
        if (canvas_text_width(requests[row], DEMO_TEXT) > widest)
            widest = canvas_text_width(requests[row], DEMO_TEXT);
    return (struct layout){zoom, side, DEMO_MARGIN + widest + GROUP_GAP,
                           DEMO_MARGIN + 2 * DEMO_TEXT_HEIGHT,
                           SHOWN * (side + GAP) - GAP + GROUP_GAP};
}

static void draw_labels(struct canvas *c, const struct layout *l)
{
    for (int row = 0; row < ROWS; row++)
        canvas_text(c, DEMO_MARGIN,
                    l->top + row * (l->side + GAP) + (l->side - DEMO_TEXT_HEIGHT) / 2, DEMO_TEXT,
                    DEMO_INK, requests[row]);
    canvas_text(c, DEMO_MARGIN, DEMO_MARGIN, DEMO_TEXT, DEMO_INK, "guidance");
    canvas_text(c, DEMO_MARGIN, l->top + ROWS * (l->side + GAP) + DEMO_TEXT_HEIGHT, DEMO_TEXT,
                DEMO_INK, "obeyed");
}

static void draw_group(struct canvas *c, const struct layout *l, const struct demo *d,
                       const struct round *r, int column, const struct demo_share *share)
{
    int64_t left = l->left + column * l->group, centre = left + (l->group - GROUP_GAP) / 2;
    char text[32];

    for (int row = 0; row < ROWS; row++)
        for (int64_t seed = 0; seed < SHOWN; seed++)
            canvas_picture(c, left + seed * (l->side + GAP), l->top + row * (l->side + GAP),
                           r->x + shown_at(r, d, row, seed) * r->length, d->info.height,
                           d->info.width, d->info.channels, l->zoom);
    snprintf(text, sizeof text, "w = %g", share->scale);
    demo_centre(c, centre, DEMO_MARGIN, text);
    snprintf(text, sizeof text, "%.0f %%", 100 * (double)share->obeyed / (double)share->asked);
    demo_centre(c, centre, l->top + ROWS * (l->side + GAP) + DEMO_TEXT_HEIGHT, text);
}

static int draw_columns(struct canvas *c, const struct layout *l, struct demo *d, struct round *r,
                        struct demo_share *share)
{
    int code;

    draw_labels(c, l);
    for (int k = 0; k < DEMO_COLUMNS; k++) {
        if ((code = sample_round(r, d, scales[k])))
            return code;
        share[k] = measure(r, d, scales[k]);
        draw_group(c, l, d, r, k, &share[k]);
    }
    return EXIT_DONE;
}

/* The scale that the model takes by itself is measured even where no column shows it. */
static int measure_default(struct demo *d, struct round *r, struct demo_share *share, int *n_shares)
{
    double scale = d->info.cfg_scale;
    int code;

    *n_shares = DEMO_COLUMNS;
    for (int k = 0; k < DEMO_COLUMNS; k++)
        if (fabs(scales[k] - scale) < 1e-9)
            return EXIT_DONE;
    if ((code = sample_round(r, d, scale)))
        return code;
    share[(*n_shares)++] = measure(r, d, scale);
    return EXIT_DONE;
}

int demo_draw_guidance(struct demo *d, const char *path, struct demo_share share[DEMO_SHARES],
                       int *n_shares)
{
    struct layout l = layout_of(d);
    struct canvas canvas = {0};
    struct round r = {0};
    int code;

    if ((code = round_init(&r, d)))
        goto out;
    if (!canvas_init(&canvas, l.left + DEMO_COLUMNS * l.group - GROUP_GAP + DEMO_MARGIN,
                     l.top + ROWS * (l.side + GAP) + 2 * DEMO_TEXT_HEIGHT + DEMO_MARGIN)) {
        code = command_broken(&command_demo, "no memory for %s", path);
        goto out;
    }
    if (!(code = draw_columns(&canvas, &l, d, &r, share)) &&
        !(code = measure_default(d, &r, share, n_shares)))
        code = demo_write(path, &canvas);
out:
    canvas_release(&canvas);
    round_release(&r);
    return code;
}
