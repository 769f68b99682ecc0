/*
 * strips.c - half an autoencoder over a picture that memory does not hold at once
 *
 * Tiles (tiling.h) see themselves alone.  What a convolution misses at their edges an overlap gives
 * back, but a group norm divides by statistics of the whole picture and the middle's attention
 * looks at all of it, and both differ from tile to tile: decoded so, pictures of 1024 x 1024 come
 * within 17 to 40 dB of what they should be (doc/decisions).  Statistics that are only nearly right
 * do not help, for dozens of norms stand one behind the other and their errors grow on the way.
 *
 * So the whole picture goes through the network a few steps at a time, in strips of rows:
 *
 *       waiting values       a strip, and around it
 *      +----------------+    what its steps reach
 *      |                | -> +- - - - - - - - +            waiting values
 *      |----------------|    |----------------|   steps   +----------------+
 *      |     strip      |    |     strip      |  ------>  |                |
 *      |----------------|    |----------------|           |----------------|
 *      |                | -> +- - - - - - - - +           |     strip      |
 *      |                |                                 |----------------|
 *      +----------------+
 *
 * Statistics of a norm can be taken once those of all norms before it are known.  So the strips of
 * a span of steps are run once for each norm, up to that norm, and once more for the result; with
 * spans of one residual block that makes one and a half times the work.  Values between spans wait
 * in 16 bits (plane.h).  A step that attends to everything is run whole, and so is whatever fits:
 * most of a decoder's steps are at resolutions where the picture is small.
 *
 * Longer spans need less memory, since inside of them nothing waits: a doubling and the block
 * behind it leave 128 channels and not 256.  And they take more time, since more of them is run
 * again for each norm.  Which spans to take is found from the end, for each step the best way from
 * there on, with the work counted as multiplications by a look at the shapes; of ways that cost the
 * same the one with the shorter spans, whose packed weights are fewer at a time.
 *
 * A span from places of one shape to places of the same shape leaves its result in their place:
 * rows above a strip that the next one still reads are in its hands already, for windows follow
 * each other downwards and the next one begins with the last rows of this one.
 */
#include "pipeline/strips.h"

#include "base/memory.h"
#include "base/whole.h"
#include "ops/norm.h"
#include "pipeline/plane.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Longer ones run the same steps again too often. */
enum { SPAN_STEPS = 4 };

/* What the planner knows. */
struct sketch {
    const struct strips_task *task;
    int n;                             /* steps                                       */
    struct shape at[STRIPS_STEPS + 1]; /* [1, rows, columns, channels] between them   */
    double work[STRIPS_STEPS + 1];     /* of steps 0 .. i - 1                         */
    int64_t memory, fixed;             /* the limit; bytes that shapes do not tell    */
    double cost[STRIPS_STEPS + 1];     /* of the best way from here on                */
    struct strips_span best[STRIPS_STEPS];
};

static int64_t values_of(struct shape s)
{
    return shape_count(s) * (int64_t)sizeof(float);
}

/* --- recording ----------------------------------------------------------------------------------
 */

/* Steps first .. last - 1 over x, `rows` rows of what goes in. */
static struct tensor *record_steps(const struct sketch *k, const struct strips_span *s,
                                   int64_t rows, const float *x, struct norm_parts *norms)
{
    const struct strips_task *t = k->task;
    struct shape in = k->at[s->first];
    struct tensor *y;

    in.dim[1] = rows;
    graph_reset(t->graph);
    y = graph_input(t->graph, in, x);
    for (int i = s->first; i < s->last; i++)
        y = t->net->kind->steps->record(t->graph, t->net, t->half, i, y, norms);
    if (s->last == k->n && t->half == HALVES_ENCODER && !t->code)
        y = autoencoder_latents(t->graph, t->net, y, NULL);
    return y;
}

static int64_t rows_of_window(const struct sketch *k, const struct strips_span *s)
{
    return whole_min(k->at[s->first].dim[1], s->rows + 2 * s->reach);
}

static bool is_whole(const struct sketch *k, const struct strips_span *s)
{
    return s->rows == k->at[s->first].dim[1];
}

/* --- the plan -----------------------------------------------------------------------------------
 */

static enum status look(struct sketch *k, const struct strips_task *t, int64_t memory,
                        struct error *err)
{
    const struct network_io *io = &t->net->io;
    bool decodes = t->half == HALVES_DECODER;
    int64_t scale = decodes ? 1 : io->factor;

    k->task = t;
    k->memory = memory;
    k->fixed = params_numbers(t->net->params) * (int64_t)sizeof(float);
    k->n = autoencoder_n_steps(t->net, t->half);
    if (!k->n || k->n > STRIPS_STEPS)
        return fail(err, E_ARG, "a %s of %d steps cannot be run in strips", t->net->kind->name,
                    k->n);
    k->at[0] = SHAPE(1, whole_parts(t->height, io->factor) * scale,
                     whole_parts(t->width, io->factor) * scale,
                     decodes ? io->latent_channels : io->in_channels);
    for (int i = 0; i < k->n; i++) {
        const struct strips_span one = {.first = i, .last = i + 1};
        struct shape to = record_steps(k, &one, k->at[i].dim[1], NULL, NULL)->shape;

        k->at[i + 1] = to;
        k->work[i + 1] = k->work[i] + (double)shape_count(to) * (double)shape_last(k->at[i]) +
                         (double)shape_count(k->at[i]);
    }
    return OK;
}

/* Rows of what goes in that a strip must begin at a multiple of. */
static int64_t unit_of(const struct sketch *k, const struct strips_span *s)
{
    int64_t unit = 1;

    for (int i = s->first; i < s->last; i++)
        unit = whole_max(unit, k->at[s->first].dim[1] / k->at[i + 1].dim[1]);
    return unit;
}

/* Back from the result's own rows: what each step needs of its input around them. */
static int64_t reach_of(const struct sketch *k, const struct strips_span *s)
{
    const struct strips_task *t = k->task;
    int64_t reach = 0, unit = unit_of(k, s);

    for (int i = s->last - 1; i >= s->first; i--) {
        int64_t in = k->at[i].dim[1], out = k->at[i + 1].dim[1];

        reach = out > in ? whole_parts(reach, out / in) : reach * (in / out);
        reach += t->net->kind->steps->reach(t->net, t->half, i);
    }
    return whole_parts(reach, unit) * unit;
}

/* Values that wait before and behind a span. */
static int64_t waiting(const struct sketch *k, const struct strips_span *s)
{
    struct shape from = k->at[s->first], to = k->at[s->last];
    int64_t bytes = 0;

    if (s->first > 0)
        bytes += plane_bytes(from.dim[1], from.dim[2], from.dim[3]);
    if (s->last < k->n && !(s->first > 0 && shape_equal(from, to)))
        bytes += plane_bytes(to.dim[1], to.dim[2], to.dim[3]);
    return bytes;
}

/* All that a span takes, by shapes; fixed: besides. */
static enum status span_bytes(int64_t *out, const struct sketch *k, const struct strips_span *s,
                              struct error *err)
{
    struct norm_parts norms = {.known = s->norms};
    struct graph *g = k->task->graph;
    struct shape in = k->at[s->first];
    struct graph_stats stats;
    struct tensor *y;
    enum status st;

    in.dim[1] = rows_of_window(k, s);
    y = record_steps(k, s, in.dim[1], NULL, is_whole(k, s) ? NULL : &norms);
    graph_keep(g, y);
    if ((st = graph_outline(g, &stats, err)))
        return st;
    *out = k->fixed + waiting(k, s) + values_of(in) + values_of(y->shape) + stats.arena_bytes;
    return OK;
}

/* As many rows a strip as fit; none: E_MEMORY. */
static enum status fit_rows(const struct sketch *k, struct strips_span *s, struct error *err)
{
    int64_t unit = unit_of(k, s), fits = 0, fails = k->at[s->first].dim[1] / unit + 1, bytes;
    enum status st;

    while (fails - fits > 1) {
        int64_t middle = fits + (fails - fits) / 2;

        s->rows = middle * unit;
        if ((st = span_bytes(&bytes, k, s, err)))
            return st;
        if (bytes <= k->memory)
            fits = middle;
        else
            fails = middle;
    }
    if (!fits)
        return E_MEMORY;
    s->rows = whole_even(k->at[s->first].dim[1], fits * unit, unit);
    return OK;
}

static void consider(struct sketch *k, const struct strips_span *s, double cost)
{
    cost += k->cost[s->last];
    if (cost < k->cost[s->first]) {
        k->cost[s->first] = cost;
        k->best[s->first] = *s;
    }
}

/* Spans from step i that are run whole.  Their own values, and not what waits behind them, only
 * grow with their length. */
static enum status consider_whole(struct sketch *k, int i, struct error *err)
{
    enum status st;
    int64_t bytes;

    for (int j = i + 1; j <= k->n; j++) {
        const struct strips_span s = {.first = i, .last = j, .rows = k->at[i].dim[1]};

        if ((st = span_bytes(&bytes, k, &s, err)))
            return st;
        if (bytes <= k->memory)
            consider(k, &s, k->work[j] - k->work[i]);
        else if (bytes - waiting(k, &s) > k->memory)
            break;
    }
    return OK;
}

static enum status consider_strips(struct sketch *k, int i, struct error *err)
{
    const struct strips_task *t = k->task;
    enum status st;

    for (int j = i + 1; j <= k->n && j <= i + SPAN_STEPS; j++) {
        struct strips_span s = {.first = i, .last = j};
        struct norm_parts norms = {0};
        double again;

        if (t->net->kind->steps->reach(t->net, t->half, j - 1) == REACH_ALL)
            break;
        record_steps(k, &s, k->at[i].dim[1], NULL, &norms);
        s.norms = norms.met;
        s.reach = reach_of(k, &s);
        if (s.norms > NORM_PARTS)
            break;
        if (waiting(k, &s) > k->memory || (st = fit_rows(k, &s, err)) == E_MEMORY)
            continue;
        if (st)
            return st;
        again = (s.norms + 1) * (1 + 2 * (double)s.reach / (double)s.rows);
        consider(k, &s, again * (k->work[j] - k->work[i]));
    }
    return OK;
}

static enum status find_spans(struct strips_plan *out, struct sketch *k, struct error *err)
{
    enum status st;

    for (int i = k->n - 1; i >= 0; i--) {
        k->cost[i] = HUGE_VAL;
        if ((st = consider_whole(k, i, err)) || (st = consider_strips(k, i, err)))
            return st;
    }
    if (!(k->cost[0] < HUGE_VAL))
        return fail(err, E_MEMORY,
                    "a picture of %" PRId64 " x %" PRId64 " does not go through the %s in %" PRId64
                    " bytes",
                    k->task->width, k->task->height, k->task->net->kind->name, k->memory);
    *out = (struct strips_plan){0};
    for (int i = 0; i < k->n; i = k->best[i].last)
        out->span[out->n++] = k->best[i];
    return OK;
}

/* With primitives made: what shapes alone do not tell is known then. */
static enum status measure(struct strips_plan *p, struct sketch *k, struct error *err)
{
    int64_t told = params_numbers(k->task->net->params) * (int64_t)sizeof(float);
    struct graph *g = k->task->graph;

    p->bytes = p->runs = 0;
    for (int i = 0; i < p->n; i++) {
        const struct strips_span *s = &p->span[i];
        struct norm_parts norms = {.known = s->norms};
        struct graph_stats stats;
        int64_t bytes, fixed;
        enum status st;

        if ((st = span_bytes(&bytes, k, s, err)))
            return st;
        graph_forget(g);
        graph_keep(g,
                   record_steps(k, s, rows_of_window(k, s), NULL, is_whole(k, s) ? NULL : &norms));
        if ((st = graph_measure(g, &stats, err)))
            return st;
        fixed = told + stats.scratch_bytes + stats.held_bytes;
        p->bytes = whole_max(p->bytes, bytes - k->fixed + fixed);
        p->runs += whole_parts(k->at[s->first].dim[1], s->rows) * (s->norms + 1);
        if (bytes - k->fixed + fixed > k->memory)
            k->fixed = whole_max(k->fixed, fixed);
    }
    graph_forget(g);
    return OK;
}

enum status strips_fit(struct strips_plan *out, const struct strips_task *t, int64_t memory,
                       struct error *err)
{
    struct sketch *k = NULL;
    enum status st;

    *out = (struct strips_plan){0};
    if ((st = mem_new((void **)&k, 1, sizeof *k, "a plan of strips", err)))
        return st;
    if ((st = look(k, t, memory, err)))
        goto out;
    do
        st = find_spans(out, k, err);
    while (!st && !(st = measure(out, k, err)) && out->bytes > memory);
out:
    graph_forget(t->graph);
    free(k);
    return st;
}

/* --- the work -----------------------------------------------------------------------------------
 */

/* A span at work. */
struct work {
    const struct sketch *sketch;
    const struct strips_span *span;
    bool whole;
    int64_t window;             /* rows that a strip reads                                    */
    float *in, *out;            /* what a run is given and gives: [window, ...]              */
    int64_t above, below;       /* rows above .. below - 1 of what waits are in `in`         */
    float *moments[NORM_PARTS]; /* [2, groups] of each norm so far                           */
    struct moments *sum;        /* [groups] of the present one, over the strips so far        */
    strips_progress *progress;
    void *user;
};

/* Rows own[0] .. own[1] - 1 of a run's value are those of the strip. */
struct own {
    int32_t rows[2];
};

static struct own own_rows(const struct work *w, int64_t first, int64_t last,
                           const struct tensor *y)
{
    int64_t rows = y->shape.dim[1];

    return (struct own){{(int32_t)((first - w->above) * rows / w->window),
                         (int32_t)((last - w->above) * rows / w->window)}};
}

/* Rows top .. top + window - 1, of which the strip before has left some. */
static void load(struct work *w, const struct plane *from, int64_t top)
{
    int64_t row = from->columns * from->channels, kept = whole_max(w->below - top, 0);

    if (kept > 0 && top > w->above)
        memmove(w->in, w->in + (top - w->above) * row, (size_t)(kept * row) * sizeof *w->in);
    plane_read(from, w->in + kept * row, top + kept, top + w->window, w->sketch->task->threads);
    w->above = top;
    w->below = top + w->window;
}

static struct norm_parts known_norms(const struct work *w, int n)
{
    struct norm_parts norms = {.known = n};

    for (int i = 0; i < n; i++)
        norms.moments[i] = w->moments[i];
    return norms;
}

/* What the rows first .. last - 1 add to the statistics of norm n. */
static enum status gather(struct work *w, int64_t first, int64_t last, int n, struct error *err)
{
    struct norm_parts norms = known_norms(w, n);
    struct graph *g = w->sketch->task->graph;
    float *mean = w->moments[n], *variance;
    struct tensor *y;
    struct own own;
    double count;
    enum status st;

    record_steps(w->sketch, w->span, w->window, w->in, &norms);
    own = own_rows(w, first, last, norms.next);
    count = (double)(own.rows[1] - own.rows[0]) * (double)norms.next->shape.dim[2] *
            (double)(shape_last(norms.next->shape) / norms.groups);
    y = op_group_moments(g, norms.next, norms.groups, graph_input_i32(g, SHAPE(2), own.rows));
    graph_keep(g, y);
    if ((st = graph_run(g, err)))
        return st;
    graph_read(g, y, mean);
    variance = mean + norms.groups;
    for (int64_t i = 0; i < norms.groups; i++)
        w->sum[i] = moments_merge(
            w->sum[i], (struct moments){count, (double)mean[i], count * (double)variance[i]});
    return OK;
}

/* The rows first .. last - 1 through the span. */
static enum status make(struct work *w, struct plane *to, int64_t first, int64_t last,
                        struct error *err)
{
    struct norm_parts norms = known_norms(w, w->span->norms);
    struct graph *g = w->sketch->task->graph;
    int64_t row = to->columns * to->channels, top;
    struct tensor *y;
    struct own own;
    enum status st;

    y = record_steps(w->sketch, w->span, w->window, w->in, w->whole ? NULL : &norms);
    graph_keep(g, y);
    if ((st = graph_run(g, err)))
        return st;
    graph_read(g, y, w->out);
    own = own_rows(w, first, last, y);
    top = first * y->shape.dim[1] / w->window;
    plane_write(to, w->out + own.rows[0] * row, top, top + own.rows[1] - own.rows[0],
                w->sketch->task->threads);
    return OK;
}

/* All strips: for the statistics of norm n, or, behind the last norm, for the result. */
static enum status pass(struct work *w, struct plane *to, const struct plane *from, int n,
                        struct error *err)
{
    int64_t rows = from->rows;
    enum status st;

    w->above = w->below = 0;
    for (int64_t first = 0; first < rows; first += w->span->rows) {
        int64_t last = whole_min(first + w->span->rows, rows);

        load(w, from, whole_clamp(first - w->span->reach, 0, rows - w->window));
        st = n < w->span->norms ? gather(w, first, last, n, err) : make(w, to, first, last, err);
        if (!st && w->progress && !w->progress(w->user))
            st = fail(err, E_CANCELLED, "stopped at row %" PRId64 " of %" PRId64, last, rows);
        if (st)
            return st;
    }
    return OK;
}

/* The statistics of norm n, those before being known. */
static enum status find_moments(struct work *w, const struct plane *from, int n, struct error *err)
{
    struct norm_parts norms = known_norms(w, n);
    enum status st;

    record_steps(w->sketch, w->span, w->window, w->in, &norms);
    if ((st = mem_new((void **)&w->moments[n], 2 * (uint64_t)norms.groups, sizeof(float),
                      "statistics of a norm", err)) ||
        (st = mem_new((void **)&w->sum, (uint64_t)norms.groups, sizeof *w->sum,
                      "statistics of a norm", err)) ||
        (st = pass(w, NULL, from, n, err)))
        goto out;
    for (int64_t i = 0; i < norms.groups; i++) {
        w->moments[n][i] = (float)w->sum[i].mean;
        w->moments[n][norms.groups + i] = (float)(w->sum[i].m2 / w->sum[i].count);
    }
out:
    free(w->sum);
    w->sum = NULL;
    return st;
}

/* Plans of a pass hold weights packed for it, of which the next one has no use. */
static enum status run_span(struct work *w, struct plane *to, const struct plane *from,
                            struct error *err)
{
    const struct sketch *k = w->sketch;
    int64_t in = w->window * from->columns * from->channels;
    int64_t out = w->window * to->rows / from->rows * to->columns * to->channels;
    enum status st;

    if ((st = mem_block_new((void **)&w->in, (uint64_t)in, sizeof *w->in, "a strip", err)) ||
        (st = mem_block_new((void **)&w->out, (uint64_t)out, sizeof *w->out, "a strip", err)))
        goto out;
    for (int n = 0; n < w->span->norms && !st; n++) {
        st = find_moments(w, from, n, err);
        graph_forget(k->task->graph);
    }
    if (!st)
        st = pass(w, to, from, w->span->norms, err);
    graph_forget(k->task->graph);
out:
    mem_block_free(w->in, (uint64_t)in, sizeof *w->in);
    mem_block_free(w->out, (uint64_t)out, sizeof *w->out);
    for (int n = 0; n < NORM_PARTS; n++)
        free(w->moments[n]);
    return st;
}

/* Where a span's result goes: the caller's array, the place of what it is made from, or a place of
 * its own. */
static enum status place_result(struct plane *to, const struct plane *from, struct shape shape,
                                struct error *err)
{
    if (!from->from && from->rows == shape.dim[1] && from->columns == shape.dim[2] &&
        from->channels == shape.dim[3]) {
        *to = *from;
        return OK;
    }
    return plane_init(to, shape.dim[1], shape.dim[2], shape.dim[3], err);
}

/* The caller's picture, whose last cells may stand out over its edge, or its latents. */
static struct plane callers(const struct sketch *k, struct shape s, bool picture)
{
    return (struct plane){.rows = s.dim[1],
                          .columns = s.dim[2],
                          .channels = s.dim[3],
                          .height = picture ? k->task->height : s.dim[1],
                          .width = picture ? k->task->width : s.dim[2]};
}

static enum status run_spans(const struct strips_plan *p, const struct sketch *k, struct plane from,
                             struct plane last, strips_progress *progress, void *user,
                             struct error *err)
{
    enum status st = OK;

    for (int i = 0; i < p->n && !st; i++) {
        struct work w = {.sketch = k, .span = &p->span[i], .progress = progress, .user = user};
        struct plane to = last;

        w.whole = is_whole(k, w.span);
        w.window = rows_of_window(k, w.span);
        if (i < p->n - 1)
            st = place_result(&to, &from, k->at[w.span->last], err);
        if (!st)
            st = run_span(&w, &to, &from, err);
        if (to.numbers != from.numbers)
            plane_release(&from);
        from = to;
    }
    plane_release(&from);
    return st;
}

enum status strips_run(const struct strips_plan *p, const struct strips_task *t, float *out,
                       const float *in, strips_progress *progress, void *user, struct error *err)
{
    bool decodes = t->half == HALVES_DECODER;
    struct sketch *k = NULL;
    struct plane from, to;
    enum status st;

    if ((st = mem_new((void **)&k, 1, sizeof *k, "a plan of strips", err)))
        return st;
    if ((st = look(k, t, 0, err)))
        goto out;
    from = callers(k, k->at[0], !decodes);
    from.from = in;
    to = callers(k, k->at[k->n], decodes);
    to.to = out;
    st = run_spans(p, k, from, to, progress, user, err);
out:
    graph_forget(t->graph);
    free(k);
    return st;
}
