/*
 * features.c - networks whose features are compared
 *
 * A file says itself which kind it is.  Pictures are taken in batches on a tape whose weights are
 * packed once; features and guesses come from the same run.
 */
#include "eval/features.h"

#include "base/memory.h"
#include "data/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 };

#define FEATURES(X) X(cnn)

#define DECLARE(name) extern const struct features_kind features_##name;
FEATURES(DECLARE)

static const struct features_kind *kind_at(int i)
{
#define ROW(name) &features_##name,
    static const struct features_kind *const all[] = {FEATURES(ROW)};

    return i >= 0 && i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}

/* The first kind that takes the file; what the last one said, when none does. */
static enum status open_kind(struct features *f, struct error *err)
{
    enum status st = OK;

    for (int i = 0; kind_at(i); i++) {
        f->kind = kind_at(i);
        st = f->kind->open(f, err);
        if (st != E_ARG)
            return st;
        f->kind->close(f);
        f->kind = NULL;
    }
    return st;
}

enum status features_open(struct features **out, const char *path, struct error *err)
{
    struct features *f = NULL;
    enum status st;

    *out = NULL;
    if (!(st = mem_new((void **)&f, 1, sizeof *f, "a feature network", err)) &&
        !(st = mem_text(&f->path, path, err)) && !(st = hash_file(f->hash, path, err)) &&
        !(st = open_kind(f, err))) {
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
    float *x, *features, *logits; /* of a batch */
};

static enum status check_input(const struct features *f, const struct features_input *in,
                               struct error *err)
{
    if (in->height == f->height && in->width == f->width && in->channels == f->channels)
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

static enum status run_batch(struct run *r, float *out, int32_t *guess, int64_t first, int64_t rows,
                             struct error *err)
{
    const struct features *f = r->f;
    int64_t length = f->height * f->width * f->channels;
    struct tensor *x, *y, *logits = NULL;
    enum status st;

    picture_floats(r->x, r->in->pixels + first * length, rows * length);
    graph_reset(r->graph);
    x = graph_input(r->graph, SHAPE(rows, f->height, f->width, f->channels), r->x);
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
    uint64_t length = (uint64_t)(f->height * f->width * f->channels);
    struct run r = {.f = f, .in = in};
    enum status st;

    MUST(!guess || f->n_classes, "%s makes no guesses", f->path);
    if ((st = check_input(f, in, err)) ||
        (st = mem_new((void **)&r.x, BATCH, length * sizeof *r.x, "pictures", err)) ||
        (st = mem_new((void **)&r.logits, BATCH, (uint64_t)f->n_classes * sizeof *r.logits,
                      "guesses", err)) ||
        (st = graph_new(&r.graph, GRAPH_FROZEN, in->threads, err)))
        goto out;
    for (int64_t first = 0; first < in->n && !st; first += BATCH) {
        int64_t rows = in->n - first < BATCH ? in->n - first : BATCH;

        st = run_batch(&r, out, guess, first, rows, err);
        if (!st && in->progress && !in->progress(first + rows, in->n, in->user))
            st = fail(err, E_CANCELLED, "stopped after %" PRId64 " of %" PRId64 " pictures",
                      first + rows, in->n);
    }
out:
    graph_free(r.graph);
    free(r.x);
    free(r.logits);
    return st;
}
