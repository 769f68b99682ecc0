/*
 * features.c - networks whose features are compared
 *
 * A file says itself which kind it is.  Pictures are taken in batches on a tape whose weights are
 * packed once; features and guesses come from the same run.  A network that takes one size alone
 * may name a way to bring pictures to it (scaling.h); they are scaled a batch at a time, for scaled
 * ones may be a thousand times the bytes that came in.
 */
#include "eval/features.h"

#include "base/memory.h"
#include "base/whole.h"
#include "data/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The first that takes a file has it; cnn takes any, and tells what is wrong with it. */
#define FEATURES(X) X(inception) X(cnn)

#define DECLARE(name) extern const struct features_kind features_##name;
FEATURES(DECLARE)

static const struct features_kind *kind_at(int i)
{
#define ROW(name) &features_##name,
    static const struct features_kind *const all[] = {FEATURES(ROW)};

    return i >= 0 && i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}

static enum status open_kind(struct features *f, const struct features_how *how, struct error *err)
{
    static const struct features_how usual;
    struct weights *file;
    enum status st;
    int i = 0;

    if ((st = weights_open(&file, f->path, err)))
        return st;
    while (!kind_at(i)->takes(file))
        i++;
    f->kind = kind_at(i);
    f->frames = 1;
    st = f->kind->open(f, file, how ? how : &usual, err);
    weights_close(file);
    return st;
}

enum status features_open(struct features **out, const char *path, const struct features_how *how,
                          struct error *err)
{
    struct features *f = NULL;
    enum status st;

    *out = NULL;
    if (!(st = mem_new((void **)&f, 1, sizeof *f, "a feature network", err)) &&
        !(st = mem_text(&f->path, path, err)) && !(st = hash_file(f->hash, path, err)) &&
        !(st = open_kind(f, how, err))) {
        *out = f;
        return OK;
    }
    features_close(f);
    return st;
}

void features_close(struct features *f)
{
    if (!f)
        return;
    if (f->kind)
        f->kind->close(f);
    free(f->path);
    free(f);
}

/* --- running ------------------------------------------------------------------------------------
 */

struct run {
    const struct features *f;
    const struct features_input *in;
    struct graph *graph;
    struct scaling *scaling; /* or NULL */
    float *x, *logits;       /* of a batch */
};

static enum status check_input(const struct features *f, const struct features_input *in,
                               struct error *err)
{
    int64_t frames = whole_max(in->frames, 1);

    if (f->frames == 1 && frames > 1)
        return fail(err, E_ARG, "%s takes pictures, and these are clips of %" PRId64 " frames",
                    f->path, frames);
    if (frames != f->frames)
        return fail(err, E_ARG, "%s takes clips of %" PRId64 " frames, and these have %" PRId64,
                    f->path, f->frames, frames);
    if (f->scaling && in->height > 0 && in->width > 0 && (in->channels == 1 || in->channels == 3))
        return OK;
    if (!f->scaling && in->height == f->height && in->width == f->width &&
        in->channels == f->channels)
        return OK;
    return fail(err, E_ARG,
                "%s takes pictures of %" PRId64 " x %" PRId64 " with %" PRId64
                " channels, and these are %" PRId64 " x %" PRId64 " with %" PRId64,
                f->path, f->width, f->height, f->channels, in->width, in->height, in->channels);
}

static int32_t best_of(const float *logits, int64_t n)
{
    int64_t best = 0;

    for (int64_t k = 1; k < n; k++)
        if (logits[k] > logits[best])
            best = k;
    return (int32_t)best;
}

/* Pictures first .. first + rows - 1 as the network wants them, in r->x. */
static enum status prepare_batch(struct run *r, int64_t first, int64_t rows, struct error *err)
{
    const struct features_input *in = r->in;
    int64_t length = r->f->frames * in->height * in->width * in->channels;
    const uint8_t *pixels = in->pixels + first * length;

    if (r->scaling)
        return scaling_run(r->scaling, r->x, pixels, rows, in->threads, err);
    picture_floats(r->x, pixels, rows * length);
    return OK;
}

static enum status run_batch(struct run *r, float *out, int32_t *guess, int64_t first, int64_t rows,
                             struct error *err)
{
    const struct features *f = r->f;
    struct tensor *x, *y, *logits = NULL;
    enum status st;

    if ((st = prepare_batch(r, first, rows, err)))
        return st;
    graph_reset(r->graph);
    x = graph_input(r->graph,
                    f->frames > 1 ? SHAPE(rows, f->frames, f->height, f->width, f->channels)
                                  : SHAPE(rows, f->height, f->width, f->channels),
                    r->x);
    y = f->kind->record(r->graph, f, x, &logits);
    graph_keep(r->graph, y);
    if (logits)
        graph_keep(r->graph, logits);
    if ((st = graph_run(r->graph, err)))
        return st;
    if (out)
        graph_read(r->graph, y, out + first * f->D);
    if (logits && guess) {
        graph_read(r->graph, logits, r->logits);
        for (int64_t i = 0; i < rows; i++)
            guess[first + i] = best_of(r->logits + i * f->n_classes, f->n_classes);
    }
    return OK;
}

enum status features_extract(const struct features *f, float *out, int32_t *guess,
                             const struct features_input *in, struct error *err)
{
    uint64_t length = (uint64_t)(f->frames * f->height * f->width * f->channels);
    int64_t batch = f->kind->batch;
    struct run r = {.f = f, .in = in};
    enum status st;

    MUST(!guess || f->n_classes, "%s makes no guesses", f->path);
    if ((st = check_input(f, in, err)) ||
        (f->scaling && (st = scaling_new(&r.scaling, f->scaling, in->height, in->width,
                                         in->channels, f->height, err))) ||
        (st = mem_new((void **)&r.x, (uint64_t)batch, length * sizeof *r.x, "pictures", err)) ||
        (st = mem_new((void **)&r.logits, (uint64_t)batch,
                      (uint64_t)f->n_classes * sizeof *r.logits, "guesses", err)) ||
        (st = graph_new(&r.graph, GRAPH_FROZEN, in->threads, err)))
        goto out;
    for (int64_t first = 0; first < in->n && !st; first += batch) {
        int64_t rows = in->n - first < batch ? in->n - first : batch;

        st = run_batch(&r, out, guess, first, rows, err);
        if (!st && in->progress && !in->progress(first + rows, in->n, in->user))
            st = fail(err, E_CANCELLED, "stopped after %" PRId64 " of %" PRId64 " pictures",
                      first + rows, in->n);
    }
out:
    graph_free(r.graph);
    scaling_free(r.scaling);
    free(r.x);
    free(r.logits);
    return st;
}
