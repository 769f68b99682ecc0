/*
 * evaluate.c - the loss on pictures that were not trained on
 *
 * The training loss says little: its times and noise change from step to step, labels are dropped,
 * and a network that learns its pictures by heart makes it small.  Here pictures, times and noise
 * are drawn once, no label is dropped, and times and noise levels count alike whatever law and
 * weight the training uses, so that runs with different ones can be compared.  A score is graded as
 * noise, its own error being infinite near the data.  The quarters of t show where a network fails:
 * near noise (the layout), or near the data (the detail).
 *
 * A perfect model does not reach zero but the floor of theory.md (1.8).
 */
#include "train/evaluate.h"

#include "base/memory.h"
#include "base/whole.h"
#include "data/loader.h"
#include "model/byte_text.h"
#include "model/prompts.h"
#include "pipeline/condition.h"
#include "train/classify.h"
#include "train/condition_batch.h"
#include "train/criterion.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVAL_BATCH = 64 };

struct evaluation {
    struct graph *g;
    int64_t batch; /* pictures at once                       */
    struct flow_task task;
    struct flow_batch samples;       /* all of them                            */
    int32_t *text;                   /* [rows, text_length] of their captions, or NULL */
    const struct text_data *encoded; /* or NULL                             */
    char (*caption)[CAPTION_TEXT];   /* [rows], of encoded ones             */
    float *context, *pooled;         /* [batch] of the same                 */
    float *condition;                /* [rows, condition_length], or NULL   */
    float *y;                        /* [batch, H, W, out_channels], or logits */
    int64_t row;                     /* floats of a row of y                   */
};

enum status evaluation_data(const struct experiment *e, struct dataset **out, struct error *err)
{
    struct experiment other = *e;
    enum status st;

    if (e->data.eval_path && *e->data.eval_path) {
        other.data.path = e->data.eval_path;
        other.data.labels = e->data.eval_labels;
        other.data.limit = 0;
        return experiment_data(&other, out, err);
    }
    other.data.seed = e->data.seed + 1;
    if ((st = experiment_data(&other, out, err)))
        return st;
    if ((*out)->count == INT64_MAX)
        return OK;
    dataset_close(*out);
    *out = NULL;
    return fail(err, E_ARG, "there are no held-out pictures: name them with data.eval_path");
}

static enum status fill(struct evaluation *v, const struct dataset *d, float *pixels,
                        int32_t *labels, int64_t numbers, struct error *err)
{
    int64_t length = dataset_length(d);
    char caption[CAPTION_TEXT];
    enum status st;

    for (int64_t i = 0; i < v->samples.rows; i++) {
        if ((st = dataset_get(d, loader_index(EVAL_SEED, d->count, i), pixels + i * length,
                              &labels[i], caption, err)))
            return st;
        if (v->text)
            byte_text_read(v->text + i * numbers, numbers, caption);
        if (v->caption)
            memcpy(v->caption[i], caption, sizeof caption);
    }
    return OK;
}

static enum status draw(struct evaluation *v, const struct dataset *d, const struct network_io *io,
                        struct error *err)
{
    int64_t rows = v->samples.rows, length = v->samples.length;
    float *pixels = NULL;
    int32_t *labels = NULL;
    enum status st;

    if (!(st = mem_new((void **)&pixels, (uint64_t)(rows * length), sizeof *pixels, "pictures",
                       err)) &&
        !(st = mem_new((void **)&labels, (uint64_t)rows, sizeof *labels, "labels", err)) &&
        !(st = fill(v, d, pixels, labels, io->text_length, err)))
        st = flow_batch_draw(&v->samples, &v->task, pixels, io->n_classes ? labels : NULL, 0, err);
    free(pixels);
    free(labels);
    return st;
}

/* What is trained, without what makes one run's loss another's: the law of the times (but an index
 * is an index), the weights, and an error that has no bound at the ends. */
static enum status make_task(struct evaluation *v, const struct experiment *e,
                             const struct model *m, struct error *err)
{
    bool indexed = m->options.time_input == TIME_INDEX;
    double ends[2] = {0, 1};
    enum status st;

    if ((st = experiment_task(e, m, &v->task, err)) ||
        (st = time_init(&v->task.time, indexed ? "discrete" : "uniform", err)))
        return st;
    v->task.eta = 0;
    v->task.seed = EVAL_SEED;
    time_ends(&v->task.time, &v->task.path, ends);
    for (int h = 0; h < HEADS_MAX; h++) {
        struct objective *o = &v->task.head[h];
        const int fallback[] = {0, 1 + PREDICT_NOISE};

        o->weighting = (struct weighting){0};
        for (int k = 0;
             k < 2 && objective_check(o, &v->task.precondition, &v->task.path, ends, NULL); k++)
            o->graded_as = fallback[k];
    }
    return OK;
}

static enum status make_texts(struct evaluation *v, const struct network_io *io, struct error *err)
{
    uint64_t rows = (uint64_t)v->samples.rows, batch = (uint64_t)v->batch;
    enum status st;

    if (io->text_length)
        return mem_new((void **)&v->text, rows, (uint64_t)io->text_length * sizeof *v->text,
                       "texts", err);
    if (!v->encoded)
        return OK;
    if ((st = mem_new((void **)&v->caption, rows, sizeof *v->caption, "captions", err)) ||
        (st = mem_new((void **)&v->context, batch * (uint64_t)text_data_tokens(v->encoded),
                      (uint64_t)io->context_width * sizeof *v->context, "encoded captions", err)))
        return st;
    return mem_new((void **)&v->pooled, batch, (uint64_t)io->pooled_width * sizeof *v->pooled,
                   "encoded captions", err);
}

static bool frames_agree(const struct dataset *d, const struct network_io *io)
{
    return whole_max(d->frames, 1) == whole_max(io->frames, 1);
}

static enum status check_set(const struct dataset *d, const struct model *m, struct error *err)
{
    const struct network_io *io = &m->network->io;

    if (d->height == io->height && d->width == io->width && d->channels == io->in_channels &&
        frames_agree(d, io) &&
        (io->text_length || io->context_width || d->n_classes == io->n_classes))
        return OK;
    if (!frames_agree(d, io))
        return fail(err, E_ARG,
                    "data.eval_path: clips of %" PRId64 " frames, where the training has %" PRId64,
                    whole_max(d->frames, 1), whole_max(io->frames, 1));
    return fail(err, E_ARG,
                "data.eval_path: pictures of %" PRId64 " x %" PRId64 " x %" PRId64 " in %" PRId64
                " classes, where the training has %" PRId64 " x %" PRId64 " x %" PRId64
                " in %" PRId64,
                d->height, d->width, d->channels, d->n_classes, io->height, io->width,
                io->in_channels, io->n_classes);
}

/* No label is dropped, so every one that is missing is a picture's that had none. */
static enum status check_labels(const struct evaluation *v, const struct network_io *io,
                                struct error *err)
{
    int64_t most = io->classifies ? io->n_classes : io->n_labels;
    enum status st = most ? classify_check(v->samples.label, v->samples.rows, most, 0, err) : OK;

    if (st)
        fail_under(err, "data.eval_path");
    return st;
}

enum status evaluation_new(struct evaluation **out, const struct experiment *e,
                           const struct model *m, const struct text_data *encoded,
                           const struct dataset *d, const struct dataset *known, struct graph *g,
                           struct error *err)
{
    const struct network_io *io = &m->network->io;
    int64_t pixels = network_places(m->network), rows = e->train.eval_count;
    int64_t row = io->classifies ? io->n_classes : pixels * io->out_channels;
    struct evaluation *v = NULL;
    enum status st;

    *out = NULL;
    if ((st = check_set(d, m, err)) ||
        (st = mem_new((void **)&v, 1, sizeof *v, "an evaluation", err)))
        goto out;
    v->g = g;
    v->encoded = encoded;
    v->batch = e->train.batch < EVAL_BATCH ? e->train.batch : EVAL_BATCH;
    if ((st = make_task(v, e, m, err)) ||
        (st = flow_batch_init_for(&v->samples, &v->task, rows, pixels * io->in_channels, err)) ||
        (st = mem_new((void **)&v->y, (uint64_t)(v->batch * row), sizeof *v->y, "predictions",
                      err)) ||
        (st = make_texts(v, io, err)) || (st = draw(v, d, io, err)) ||
        (condition_is_made(condition_kind_of(io)) &&
         (st = condition_of_set(&v->condition, m->network, d, known, EVAL_SEED, rows, err))) ||
        (st = check_labels(v, io, err)))
        goto out;
    v->row = row;
    *out = v;
    v = NULL;
out:
    evaluation_free(v);
    return st;
}

void evaluation_free(struct evaluation *v)
{
    if (!v)
        return;
    flow_batch_release(&v->samples);
    free(v->text);
    free(v->caption);
    free(v->context);
    free(v->pooled);
    free(v->condition);
    free(v->y);
    free(v);
}

/* --- running ------------------------------------------------------------------------------------
 */

static void read_encoded(struct evaluation *v, const struct network_io *io, int64_t first,
                         int64_t rows)
{
    int64_t length = text_data_tokens(v->encoded) * io->context_width;

    for (int64_t i = 0; i < rows; i++)
        text_data_read(v->encoded, v->caption[first + i], v->context + i * length,
                       v->pooled + i * io->pooled_width);
}

static struct tensor *record_rows(struct evaluation *v, const struct network *net, int64_t first,
                                  int64_t rows)
{
    const struct network_io *io = &net->io;
    struct graph *g = v->g;
    struct network_input in = {0};
    struct tensor *y;

    graph_reset(g);
    in.x = graph_input(g, network_shape(net, rows, io->in_channels),
                       v->samples.x + first * v->samples.length);
    in.t = graph_input(g, SHAPE(rows), v->samples.time + first);
    network_ask(g, io, &in, rows, v->samples.label + first,
                v->text ? v->text + first * io->text_length : NULL);
    if (v->encoded) {
        read_encoded(v, io, first, rows);
        network_tell(g, io, &in, rows, text_data_tokens(v->encoded), v->context, v->pooled);
    }
    if (v->condition)
        in.condition = graph_input(g, network_shape(net, rows, io->condition_channels),
                                   v->condition + first * condition_length(net));
    y = network_forward(g, net, in);
    graph_keep(g, y);
    return y;
}

static enum status predict(struct evaluation *v, const struct network *net, int64_t first,
                           int64_t rows, struct error *err)
{
    struct tensor *y = record_rows(v, net, first, rows);
    enum status st;

    if ((st = graph_run(v->g, err)))
        return st;
    graph_read(v->g, y, v->y);
    return OK;
}

enum status evaluation_measure(struct evaluation *v, const struct model *m, struct graph_stats *out,
                               struct error *err)
{
    int64_t rows = v->samples.rows < v->batch ? v->samples.rows : v->batch;

    record_rows(v, m->network, 0, rows);
    return graph_measure(v->g, out, err);
}

/* The loss of one sample, or a classifier's surprise. */
static double sample_loss(const struct evaluation *v, const struct network_io *io, int64_t at,
                          int64_t row, bool *right)
{
    const float *got = v->y + row * v->row;

    *right = false;
    if (io->classifies)
        return classify_surprise(right, got, io->n_classes, v->samples.label[at]);
    return criterion_of_row(&v->task, &v->samples, at, got, io->in_channels, io->out_channels);
}

/* sum [bins] of losses, as means. */
static void divide(double *sum, const int64_t *count, int bins, double empty)
{
    for (int k = 0; k < bins; k++)
        sum[k] = count[k] ? sum[k] / (double)count[k] : empty;
}

static int bin_of(float t, int bins)
{
    int k = (int)((float)bins * t);

    return k < bins ? k : bins - 1;
}

static enum status measure(struct evaluation *v, const struct network *net, double *mean,
                           struct eval_losses *out, struct error *err)
{
    int64_t n = v->samples.rows, count[4] = {0}, at_time[EVAL_TIMES] = {0};
    enum status st;

    *mean = out->right = 0;
    memset(out->quarter, 0, sizeof out->quarter);
    memset(out->right_quarter, 0, sizeof out->right_quarter);
    memset(out->by_time, 0, sizeof out->by_time);
    for (int64_t first = 0; first < n; first += v->batch) {
        int64_t rows = n - first < v->batch ? n - first : v->batch;

        if ((st = predict(v, net, first, rows, err)))
            return st;
        for (int64_t i = 0; i < rows; i++) {
            bool right;
            double loss = sample_loss(v, &net->io, first + i, i, &right);
            int q = bin_of(v->samples.t[first + i], 4);
            int k = bin_of(v->samples.t[first + i], EVAL_TIMES);

            *mean += loss / (double)n;
            out->quarter[q] += loss;
            out->right += right ? 1 / (double)n : 0;
            out->right_quarter[q] += right;
            count[q]++;
            out->by_time[k] += loss;
            at_time[k]++;
        }
    }
    divide(out->quarter, count, 4, 0);
    divide(out->right_quarter, count, 4, 0);
    divide(out->by_time, at_time, EVAL_TIMES, (double)NAN);
    return OK;
}

enum status evaluation_run(struct evaluation *v, struct model *m, float *average,
                           struct eval_losses *out, struct error *err)
{
    enum status st;

    out->classifies = m->network->io.classifies;
    out->clean = m->network->io.clean;
    if ((st = measure(v, m->network, &out->raw, out, err)))
        return st;
    params_use(model_learns(m), average);
    st = measure(v, m->network, &out->average, out, err);
    params_use(model_learns(m), NULL);
    return st;
}
