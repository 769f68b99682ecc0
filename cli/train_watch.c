/*
 * train_watch.c - following a training run: progress for people, what is left for the report
 *
 * The loss that is shown is the running mean: the loss of one step jumps with the times it drew,
 * and nobody can see a trend in it.
 */
#include "train_watch.h"

#include "interrupt.h"
#include "units.h"

#include <inttypes.h>
#include <stdio.h>

static void keep_path(char out[WATCH_PATH], const char *path)
{
    snprintf(out, WATCH_PATH, "%s", path ? path : "");
}

static void say_step(struct train_watch *w, const struct imgen_train_event *e)
{
    char left[UNITS_ROOM], more[96] = "";

    if (!progress_due(&w->progress, e->step == e->steps))
        return;
    if (w->verbose)
        snprintf(more, sizeof more, "   gradient %.3g   rate %.3g", e->gradient_norm,
                 e->learning_rate);
    progress_say(&w->progress,
                 "step %" PRId64 "/%" PRId64 "  %3.0f %%   %.2f it/s   ETA %s   loss %.4f%s",
                 e->step, e->steps, 100 * (double)e->step / (double)e->steps, e->steps_per_s,
                 units_seconds(left, e->seconds_left), e->mean_loss, more);
}

const char *watch_recompute(char out[WATCH_TEXT], int level, int segments)
{
    int blocks = level - 1 < segments ? level - 1 : segments;

    *out = 0;
    if (level == 1)
        snprintf(out, WATCH_TEXT, ", norms and activations computed again");
    else if (level > 1)
        snprintf(out, WATCH_TEXT, ", norms, activations and %d of %d blocks computed again", blocks,
                 segments);
    return out;
}

static void say_evaluated(struct train_watch *w, const struct imgen_train_event *e)
{
    const double *q = e->accuracy_quarter;

    progress_note(&w->progress, "step %" PRId64 ": loss on held-out pictures %.4f, averaged %.4f",
                  e->step, e->loss, e->mean_loss);
    if (e->rebuilds)
        progress_note(&w->progress, "step %" PRId64 ": PSNR %.2f dB", e->step, e->psnr);
    if (e->classifies && e->clean)
        progress_note(&w->progress, "step %" PRId64 ": %.2f %% right", e->step, 100 * e->accuracy);
    else if (e->classifies)
        progress_note(&w->progress,
                      "step %" PRId64
                      ": %.1f %% right; by quarters of t, from noise to data: %.1f, "
                      "%.1f, %.1f, %.1f %%",
                      e->step, 100 * e->accuracy, 100 * q[0], 100 * q[1], 100 * q[2], 100 * q[3]);
}

static void say_memory(struct train_watch *w, const struct imgen_train_event *e)
{
    char bytes[UNITS_ROOM], more[WATCH_TEXT];

    w->planned_bytes = e->planned_bytes;
    if (w->verbose || e->recompute)
        progress_note(&w->progress, "memory: %s at most%s",
                      units_bytes(bytes, (double)e->planned_bytes),
                      watch_recompute(more, e->recompute, e->segments));
}

static void say_encoding(struct train_watch *w, const struct imgen_train_event *e)
{
    if (progress_due(&w->progress, e->step == e->steps))
        progress_say(&w->progress, "encoding %s %" PRId64 "/%" PRId64 "  %3.0f %%",
                     e->kind == IMGEN_TRAIN_ENCODING ? "picture" : "caption", e->step, e->steps,
                     100 * (double)e->step / (double)e->steps);
}

int train_watch_event(const struct imgen_train_event *e, void *user)
{
    struct train_watch *w = user;

    w->step = e->step;
    w->steps = e->steps;
    switch (e->kind) {
    case IMGEN_TRAIN_STARTED:
        if (e->path)
            progress_note(&w->progress, "going on from %s", e->path);
        say_memory(w, e);
        break;
    case IMGEN_TRAIN_STEP:
        w->loss = e->mean_loss;
        say_step(w, e);
        break;
    case IMGEN_TRAIN_SAVED:
        keep_path(w->saved, e->path);
        if (w->verbose)
            progress_note(&w->progress, "saved %s", e->path);
        break;
    case IMGEN_TRAIN_SAMPLED:
        progress_note(&w->progress, "drew %s", e->path);
        break;
    case IMGEN_TRAIN_EVALUATED:
        say_evaluated(w, e);
        break;
    case IMGEN_TRAIN_DONE:
        keep_path(w->model, e->path);
        w->peak_bytes = e->peak_bytes;
        break;
    case IMGEN_TRAIN_ENCODING:
    case IMGEN_TRAIN_ENCODING_TEXTS:
        say_encoding(w, e);
        break;
    case IMGEN_TRAIN_NOTE:
        progress_note(&w->progress, "note: %s", e->path);
        break;
    }
    return !interrupt_asked();
}
