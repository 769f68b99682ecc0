/*
 * trainer_step.c - one step of a training run
 *
 *     batch from the loader -> times, noise, dropped labels -> x_t and target    on the host, by
 *                                                                                sample number
 *     network forward, loss (criterion.c), adjoints                              on one tape
 *     norm, clip, AdamW, average                                                 on flat arrays
 *
 * Steps on clips may have some on pictures between them; each kind counts its own samples, and both
 * numbers follow from the step.
 *
 * Sample k of a run is the k-th ever drawn, and everything random about it is a function of the
 * seed and k; so batches may be cut and added up as memory wants.
 */
#include "train/trainer_parts.h"

#include "base/clock.h"
#include "ops/dropout.h"
#include "train/classify.h"
#include "train/power_ema.h"

#include <inttypes.h>
#include <math.h>

int64_t trainer_picture_steps(const struct trainer *t, int64_t steps)
{
    return t->data.pictures ? steps / t->options.image_every : 0;
}

/* Whether the step that comes does. */
static bool shows_pictures(const struct trainer *t)
{
    int64_t step = t->state.model->step;

    return trainer_picture_steps(t, step + 1) > trainer_picture_steps(t, step);
}

/* From now on batches are of clips of so many frames; 1: of pictures. */
static void set_frames(struct trainer *t, int64_t frames)
{
    struct network *net = t->state.model->network;

    net->io.frames = frames;
    t->batch.length = network_places(net) * net->io.in_channels;
    if (t->autoencode)
        autoencode_set_frames(t->autoencode, frames);
}

/* Every label must be one that the network has; unlabelled pictures were given the null label. */
static enum status check_drawn(const struct trainer *t, int64_t first, struct error *err)
{
    const struct network_io *io = &t->state.model->network->io;
    const struct flow_batch *b = &t->batch;

    if (io->classifies)
        return classify_check(b->label, b->rows, io->n_classes, first, err);
    for (int64_t i = 0; io->n_labels && i < b->rows; i++)
        if (b->label[i] < 0 || b->label[i] >= io->n_labels)
            return fail(err, E_ARG,
                        "sample %" PRId64 " is a picture without a label, and the network has no "
                        "null class for it",
                        first + i);
    return OK;
}

struct tensor *trainer_record(struct trainer *t)
{
    const struct network *net = t->state.model->network;
    struct shape shape = network_shape(net, t->batch.rows, net->io.in_channels);
    struct graph *g = t->graph;
    struct network_input in = {0};
    struct tensor *y, *loss;

    graph_reset(g);
    if (t->autoencode)
        return autoencode_record(t->autoencode, g, t->batch.x);
    in.x = graph_input(g, shape, t->batch.x);
    in.t = graph_input(g, SHAPE(t->batch.rows), t->batch.time);
    network_ask(g, &net->io, &in, t->batch.rows, t->batch.label, t->text);
    if (t->encoded)
        network_tell(g, &net->io, &in, t->batch.rows, text_data_tokens(t->encoded), t->context,
                     t->pooled);
    if (t->condition)
        in.condition = condition_batch_record(t->condition, g);
    in.drop = graph_input_i32(g, SHAPE(t->batch.rows, DROP_WORDS), t->batch.drop);
    y = network_forward(g, net, in);
    loss = net->io.classifies ? classify_loss(g, y, t->batch.label)
                              : criterion_record(g, &t->criterion, &t->batch, y, t->pixels);
    graph_backward(g, loss);
    graph_keep(g, loss);
    return loss;
}

/* What is left of the captions after some were dropped. */
static void read_texts(struct trainer *t, char (*caption)[CAPTION_TEXT])
{
    for (int64_t i = 0; i < t->batch.rows; i++)
        prompts_set(&t->prompts, i, caption[i]);
    prompts_gather(&t->prompts, t->text, t->batch.label, t->batch.rows);
}

/* The same of what encoders say. */
static void read_encoded(struct trainer *t, char (*caption)[CAPTION_TEXT])
{
    const struct network_io *io = &t->state.model->network->io;
    int64_t length = text_data_tokens(t->encoded) * io->context_width;

    for (int64_t i = 0; i < t->batch.rows; i++)
        text_data_read(t->encoded, t->batch.label[i] < 0 ? NULL : caption[i],
                       t->context + i * length, t->pooled + i * io->pooled_width);
}

static enum status draw_batch(struct trainer *t, struct error *err)
{
    struct batch b;
    double start = clock_seconds();
    enum status st;

    if ((st = loader_next(shows_pictures(t) ? t->pictures : t->loader, &b, err)))
        return st;
    st = flow_batch_draw(&t->batch, &t->task, b.pixels, t->number ? t->number : b.labels,
                         (uint64_t)b.first_sample, err);
    if (!st)
        st = check_drawn(t, b.first_sample, err);
    if (t->text)
        read_texts(t, b.captions);
    if (t->encoded)
        read_encoded(t, b.captions);
    if (!st && t->condition)
        st = condition_batch_draw(t->condition, b.pixels, b.first_sample, shows_pictures(t), err);
    criterion_draw(&t->criterion, &t->batch);
    if (t->autoencode)
        autoencode_draw(t->autoencode, (uint64_t)b.first_sample);
    t->pixels = b.pixels;
    t->parts.data += clock_seconds() - start;
    return st;
}

/* Batch k of a step: its loss is added to *loss, its gradients lie in the parameters' own array. */
static enum status run_batch(struct trainer *t, int64_t k, double *loss, struct error *err)
{
    struct tensor *value;
    double start;
    float one;
    enum status st;

    if ((st = draw_batch(t, err)))
        return st;
    start = clock_seconds();
    value = trainer_record(t);
    if ((st = graph_run(t->graph, err)))
        return st;
    graph_read(t->graph, value, &one);
    if (t->autoencode)
        autoencode_ran(t->autoencode, t->graph, k, t->options.accumulate);
    *loss += (double)one / (double)t->options.accumulate;
    t->parts.network += clock_seconds() - start;
    return OK;
}

static enum status check_finite(const struct trainer *t, struct error *err)
{
    if (isfinite(t->loss) && isfinite(t->gradient_norm) &&
        (!t->autoencode || autoencode_measure(t->autoencode)))
        return OK;
    return fail(err, E_NOT_FINITE,
                "step %" PRId64 ": the loss is %g and the gradient's norm %g; the weights of step "
                "%" PRId64 " were the last good ones (a smaller train.learning_rate may help)",
                t->state.model->step + 1, t->loss, t->gradient_norm, t->state.model->step);
}

/* Decay of the average in step s, from 0. */
static double average_decay(const struct train_options *o, int64_t s)
{
    if (o->ema_width > 0)
        return power_ema_decay(power_ema_exponent(o->ema_width), s + 1);
    return ema_decay(o->ema, s);
}

struct adamw trainer_constants(const struct trainer *t)
{
    const struct train_options *o = &t->options;
    int64_t s = t->state.model->step;

    return (struct adamw){
        .lr = o->learning_rate *
              rate_at((enum rate_kind)o->schedule, s, o->steps, o->warmup, o->final_rate),
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .eps = o->adam_eps,
        .weight_decay = o->weight_decay,
        .clip = o->clip,
        .ema = average_decay(o, s),
        .step = s + 1,
    };
}

static enum status take_step(struct trainer *t, struct error *err)
{
    struct params *params = model_learns(t->state.model);
    int64_t n = params_n_trained(params);
    float *gradient = t->total ? t->total : params_grads(params);
    struct adamw a = trainer_constants(t);
    double start;
    enum status st;

    t->loss = 0;
    if (t->autoencode)
        autoencode_begin(t->autoencode, t->state.model->step);
    for (int64_t k = 0; k < t->options.accumulate; k++) {
        if ((st = run_batch(t, k, &t->loss, err)))
            return st;
        if (t->total)
            gradient_add(t->total, params_grads(params), n, 1 / (float)t->options.accumulate, !k);
    }
    start = clock_seconds();
    t->gradient_norm = gradient_norm(gradient, n);
    if ((st = check_finite(t, err)))
        return st;
    adamw_step(params_values(params), t->state.m, t->state.v, t->state.average, gradient, n,
               t->gradient_norm, &a);
    params_force_units(params);
    if (t->autoencode)
        autoencode_step(t->autoencode, &a);
    t->state.model->step++;
    t->parts.update += clock_seconds() - start;
    return OK;
}

enum status trainer_step(struct trainer *t, struct error *err)
{
    int64_t frames = t->state.model->network->io.frames;
    bool pictures = shows_pictures(t);
    enum status st;

    if (pictures)
        set_frames(t, 1);
    st = take_step(t, err);
    if (pictures)
        set_frames(t, frames);
    return st;
}
