/*
 * generate.c - requests in, pictures out
 *
 * Items are cut into batches, each batch is one run of the solver.  Nothing of a picture may depend
 * on the cut: its noise is keyed by its own seed, the ops promise that a row's bits do not depend
 * on its neighbours, and a solver that chooses its own steps gets one picture at a time.
 *
 * A model of latents differs at the end alone: what its solver left is decoded (viewer.c), batch by
 * batch.  On the way its numbers are no pixels and have no range, so nothing is clipped.
 */
#include "pipeline/generate.h"

#include "base/memory.h"
#include "base/rng.h"
#include "pipeline/condition.h"
#include "pipeline/guide.h"
#include "pipeline/predictor.h"
#include "pipeline/resolve.h"
#include "pipeline/viewer.h"
#include "pipeline/windows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Enough rows to fill the machine, few enough that a batch's activations stay small. */
enum { BATCH_PIXELS = 1 << 16, BATCH_MAX = 64 };

struct run {
    const struct generate_request *r;
    struct resolved is;
    struct prompts prompts, of_guides; /* texts as the model reads them, and as its guide does */
    struct graph *graph, *own;
    struct graph *of_classifier, *of_guide; /* or NULL */
    struct sampling_request sampling;
    int64_t length, first, count, evaluations;
    struct viewer viewer;
    struct repaint repaint;
    float *condition; /* of all items, or NULL */
    struct teller teller;
};

/* Of a model whose texts are encoded by others. */
static enum status encode_texts(struct prompts *p, struct run *run, const struct model *m,
                                struct error *err)
{
    const struct generate_request *r = run->r;
    const struct encoding_how how = {
        .threads = r->threads, .watch = r->progress ? teller_watch : NULL, .user = &run->teller};
    const char *negative = run->is.settings.negative;
    const char **all = NULL;
    int64_t n = r->n_texts + (*negative != 0);
    enum status st = mem_new((void **)&all, (uint64_t)n + 1, sizeof *all, "prompts", err);

    if (st)
        return st;
    for (int64_t i = 0; i < r->n_texts; i++)
        all[i] = r->texts[i];
    if (*negative)
        all[r->n_texts] = negative;
    teller_begin(&run->teller, PHASE_READING, 0);
    st = prompts_encode(p, m->encoders, &m->network->io, all, n, &how, err);
    free((void *)all);
    return st;
}

/* The request's texts, and behind them the one to guide away from. */
static enum status read_texts(struct prompts *p, struct run *run, const struct model *m,
                              struct error *err)
{
    const struct generate_request *r = run->r;
    const char *negative = run->is.settings.negative;
    enum status st;

    if (m && m->network->io.context_width && r->encoded) {
        MUST(!r->guide && !*negative, "encoded texts for one prediction and one prompt alone");
        return OK;
    }
    if (m && m->network->io.context_width)
        return encode_texts(p, run, m, err);
    if (!m || !m->network->io.text_length)
        return OK;
    if ((st = prompts_init(p, &m->network->io, r->n_texts + (*negative != 0), err)))
        return st;
    for (int64_t i = 0; i < r->n_texts; i++)
        if ((st = prompts_set_whole(p, i, r->texts[i], err)))
            return st;
    return *negative ? prompts_set_whole(p, r->n_texts, negative, err) : OK;
}

/* As asked, and kept in range: pictures are -1 to 1, and latents anything. */
static struct guidance_how guided_how(const struct run *run, enum prediction predicts)
{
    struct guidance_how how = run->is.settings.guidance;
    bool amplified = predicts == PREDICT_NOISE || predicts == PREDICT_SCORE;
    int when = run->r->settings.clip;

    how.clip = when == CLIP_ON || (when == CLIP_AUTO && amplified && !run->r->model->space) ? 1 : 0;
    return how;
}

/* x: the noise of the batch.  Without a step left there is the picture alone, also on paths that
 * end in a little noise. */
static void start_on_picture(struct run *run, double *x)
{
    for (int64_t i = 0; i < run->count; i++)
        if (run->sampling.steps)
            repaint_start(&run->repaint, x + i * run->length, i, run->is.times[0]);
        else
            repaint_copy(&run->repaint, x + i * run->length);
}

static void hold(void *self, double *x, int64_t rows, double t)
{
    struct run *run = self;

    repaint_hold(&run->repaint, x, rows, t);
}

static bool report(void *self, const struct sampling_progress *p)
{
    struct run *run = self;
    const struct generate_request *r = run->r;
    bool due = p->data && p->step % r->preview_every == 0;
    struct generate_progress *now = &run->teller.now;

    now->step = p->step;
    now->t = p->t;
    now->x = p->x;
    now->data = p->data;
    now->preview = due ? viewer_preview(&run->viewer, p->data, run->count) : NULL;
    if (!p->steps)
        now->done = ((double)run->first + p->done * (double)run->count) / (double)r->n;
    return teller_stepped(&run->teller);
}

/* Of a batch whose solver is about to begin. */
static void begin_batch(struct run *run)
{
    struct generate_progress *now = &run->teller.now;

    now->first = run->first;
    now->count = run->count;
    now->steps = run->sampling.sampler->adaptive ? 0 : run->sampling.steps;
    now->t = run->is.times[0];
    now->done = (double)run->first / (double)run->r->n;
    now->shape = run->viewer.previews;
    teller_begin(&run->teller, PHASE_STEP, 1);
}

/* x, what its solver left, to pictures. */
static enum status show_batch(struct run *run, float *out, const double *x, struct error *err)
{
    const struct generate_request *r = run->r;
    struct teller *t = &run->teller;
    bool decodes = r->model->space && !r->rough;
    enum status st;

    t->now.done = (double)(run->first + run->count) / (double)r->n;
    t->now.step = t->now.steps;
    if (decodes)
        teller_begin(t, PHASE_DECODING, 0);
    st = viewer_pictures(&run->viewer, out, x, run->count, r->progress ? teller_watch : NULL, t,
                         err);
    if (st == E_CANCELLED)
        fail_under(err, "decoding");
    if (!st && decodes && !teller_end(t))
        st = fail(err, E_CANCELLED, "stopped after decoding");
    if (!st && r->repaint && !r->rough)
        repaint_restore(&run->repaint, out, run->count);
    return st;
}

/* w counts only where there is something to guide.  An unguided picture of the label that is guided
 * away from is the guided one of that label: a perturbed branch then needs no third one. */
static void split_items(const struct run *run, int32_t *label, double *w)
{
    const struct generate_request *r = run->r;
    bool guided = network_asks(&r->model->network->io) || r->guide;

    for (int64_t i = 0; i < run->count; i++) {
        label[i] = r->items[run->first + i].label;
        w[i] = guided ? r->items[run->first + i].w : 1;
        if ((run->is.identity || run->is.skip) && !r->guide && w[i] == 0 &&
            label[i] == run->is.away)
            w[i] = 1;
    }
}

/* Fresh noise of a step: of each picture's own seed and the step's number. */
static void draw_noise(void *self, double *out, int64_t step)
{
    const struct run *run = self;

    for (int64_t i = 0; i < run->count; i++) {
        struct rng r = rng_stream(run->r->items[run->first + i].seed, RNG_STEP, (uint64_t)step);

        for (int64_t k = 0; k < run->length; k++)
            out[i * run->length + k] = rng_normal(&r);
    }
}

/* One prediction of the network, paired with the guide's and pulled by the classifier where there
 * are such, under guidance. */
struct head {
    struct guide guide;
    struct guidance guidance;
};

/* All that is asked for a batch. */
struct asked {
    struct network_predictor net;
    struct pair pair;
    struct predictor_pair variance;
    struct head head[2];
    struct windows windows[3]; /* of both heads and the variance, where it is made in windows */
    struct field field;
};

/* What predicts windows of the whole, as what predicts the whole. */
static enum status in_windows(struct predictor *of, struct windows *w, const struct model *m,
                              struct error *err)
{
    struct frame_tiles along[3];
    enum status st;

    if (!m->window.height)
        return OK;
    windows_plan(along, m);
    if (!(st = windows_init(w, *of, along, m->network->io.in_channels, err)))
        *of = predictor_of_windows(w);
    return st;
}

static enum status head_init(struct asked *a, int i, const struct run *run, struct predictor of,
                             enum prediction predicts, const int32_t *label, const double *w,
                             struct error *err)
{
    const struct generate_request *r = run->r;
    struct guidance_how how = guided_how(run, a->field.predicts);
    enum status st;

    if ((st = in_windows(&of, &a->windows[i], r->model, err)))
        return st;
    if (r->guide)
        pair_join(&a->pair, i, &of, predicts, &r->model->path);
    if (r->classifier &&
        (st = guide_init(&a->head[i].guide, &of, &r->model->path, predicts, r->classifier,
                         r->classifier_scale, run->of_classifier, label, err)))
        return st;
    return guidance_init(&a->head[i].guidance, of, w, &how, err);
}

/* A guide says nothing of the variance: where there is one, that of an unguided picture is the
 * model's own too. */
static enum status variance_of(struct asked *a, const struct generate_request *r, struct error *err)
{
    struct predictor of = predictor_of_variance(&a->net);
    enum status st;

    if ((st = in_windows(&of, &a->windows[2], r->model, err)))
        return st;
    a->variance = (struct predictor_pair){.unguided = of, .guided = of};
    a->field.variance = r->guide ? predictor_of_pair(&a->variance) : of;
    return OK;
}

/* What this batch is told beforehand. */
static void tell(struct network_predictor *net, const struct run *run)
{
    const struct generate_request *r = run->r;
    int64_t length = condition_length(r->model->network);

    if (!net->condition)
        return;
    if (r->condition)
        network_predictor_condition(net, r->condition + run->first * length, length);
    else
        network_predictor_condition(net, run->condition, 0);
}

static enum status asked_init(struct asked *a, const struct run *run, struct error *err)
{
    const struct generate_request *r = run->r;
    enum use_heads heads = (enum use_heads)r->settings.heads;
    bool both = r->model->options.second && heads == HEADS_BOTH, negative;
    struct network_predictor *net = &a->net;
    int32_t label[BATCH_MAX];
    double w[BATCH_MAX];
    enum status st;

    negative = run->is.away != r->model->network->io.null_label;
    split_items(run, label, w);
    resolve_heads(&a->field, r->model, heads);
    if ((st = network_predictor_init(net, r->model, run->graph, label,
                                     r->encoded ? r->encoded : &run->prompts, run->count, err)) ||
        ((run->is.identity || run->is.skip) &&
         (st = network_predictor_perturb(net, run->is.identity, run->is.skip, err))) ||
        (r->guide &&
         (st = pair_init(&a->pair, r->guide, run->of_guide, r->guide_label, label, &run->of_guides,
                         negative ? run->is.away : -1, run->count, both ? 2 : 1, err))))
        return st;
    net->away = run->is.away;
    tell(net, run);
    tell(&a->pair.net, run);
    if ((st =
             head_init(a, 0, run,
                       heads == HEADS_SECOND ? predictor_of_second(net) : predictor_of_network(net),
                       a->field.predicts, label, w, err)) ||
        (both && (st = head_init(a, 1, run, predictor_of_second(net), a->field.second_predicts,
                                 label, w, err))))
        return st;
    a->field.guidance = &a->head[0].guidance;
    a->field.second = both ? &a->head[1].guidance : NULL;
    return model_has_variance(r->model) ? variance_of(a, r, err) : OK;
}

static void asked_release(struct asked *a)
{
    for (int i = 0; i < 2; i++) {
        guidance_release(&a->head[i].guidance);
        guide_release(&a->head[i].guide);
    }
    for (int i = 0; i < 3; i++)
        windows_release(&a->windows[i]);
    pair_release(&a->pair);
    network_predictor_release(&a->net);
}

static enum status run_batch(struct run *run, float *out, struct error *err)
{
    const struct model *m = run->r->model;
    struct asked asked = {0};
    struct sampling_report count = {0};
    int64_t n = run->count * run->length, channels = m->network->io.in_channels;
    double *x = NULL;
    enum status st;

    if ((st = mem_new((void **)&x, (uint64_t)n, sizeof *x, "a batch of pictures", err)) ||
        (st = asked_init(&asked, run, err)))
        goto out;
    for (int64_t i = 0; run->r->noise && i < n; i++)
        x[i] = (double)run->r->noise[run->first * run->length + i];
    for (int64_t i = 0; !run->r->noise && i < run->count; i++)
        if ((st = start_draw(x + i * run->length, run->r->rng, &m->path,
                             run->r->items[run->first + i].seed, run->length / channels, channels,
                             err)))
            goto out;
    if (run->r->repaint)
        start_on_picture(run, x);
    run->sampling.field = &asked.field;
    begin_batch(run);
    if (run->sampling.steps && (st = sampling_run(x, &run->sampling, &count, err)))
        goto out;
    run->evaluations += (asked.net.evaluations + asked.pair.net.evaluations) * run->count;
    st = show_batch(run, out, x, err);
out:
    asked_release(&asked);
    free(x);
    return st;
}

/* What was packed is not read from the file again, and a model need not be in memory twice.  Small
 * tensors share their pages with neighbours and stay. */
static void drop_packed(const struct tensor *y, void *user)
{
    const struct model *m = user;

    for (int k = 0; k < TENSOR_INS; k++)
        if (y->in[k] && y->in[k]->op == &op_param)
            weights_drop(m->file, y->in[k]->data, tensor_bytes(y->in[k]));
}

/* A graph of the run's own: weights are packed once. */
static enum status graph_of(struct graph **out, const struct generate_request *r,
                            const struct model *m, enum precision precision, struct error *err)
{
    enum status st;

    if ((st = graph_new(out, GRAPH_FROZEN, r->threads, err)))
        return st;
    graph_set_precision(*out, precision);
    if (m->file)
        graph_set_prepared(*out, drop_packed, (void *)(uintptr_t)m);
    return OK;
}

int64_t generate_batch(const struct generate_request *r)
{
    int64_t n = r->batch ? r->batch : BATCH_PIXELS / network_places(r->model->network);

    if (sampler_at(r->settings.sampler)->adaptive || n < 1)
        return 1;
    return n < BATCH_MAX ? n : BATCH_MAX;
}

static enum status read_picture(struct run *run, int64_t batch, struct error *err)
{
    const struct generate_request *r = run->r;
    enum status st;

    teller_begin(&run->teller, PHASE_ENCODING, 0);
    st = repaint_init(&run->repaint, r->model, r->repaint, batch, r->threads,
                      r->progress ? teller_watch : NULL, &run->teller, err);
    if (st == E_CANCELLED)
        fail_under(err, "encoding the picture");
    return st;
}

static enum status read_given(struct run *run, struct error *err)
{
    const struct generate_request *r = run->r;
    enum status st;

    if ((st = mem_new((void **)&run->condition, (uint64_t)condition_length(r->model->network),
                      sizeof *run->condition, "a condition", err)))
        return st;
    teller_begin(&run->teller, PHASE_ENCODING, 0);
    st = condition_read(run->condition, r->model, r->given, r->threads,
                        r->progress ? teller_watch : NULL, &run->teller, err);
    if (st == E_CANCELLED)
        fail_under(err, "encoding what is given");
    return st;
}

/* What is there before the first step.  The decoder is opened first: that it is not to be had is
 * known at once, and a prompt takes seconds. */
static enum status prepare(struct run *run, int64_t batch, struct error *err)
{
    const struct generate_request *r = run->r;
    enum status st;

    if ((st = viewer_init(&run->viewer, r->model, r->preview_autoencoder, r->rough,
                          r->preview_every && r->progress ? batch : 0, r->threads, err)) ||
        (st = read_texts(&run->prompts, run, r->model, err)) ||
        (st = read_texts(&run->of_guides, run, r->guide, err)) ||
        (r->repaint && (st = read_picture(run, batch, err))) ||
        (r->given && (st = read_given(run, err))) ||
        (!r->graph && (st = graph_of(&run->own, r, r->model, r->precision, err))) ||
        (r->guide && (st = graph_of(&run->of_guide, r, r->guide, r->precision, err))) ||
        (r->classifier && (st = graph_new(&run->of_classifier, GRAPH_FROZEN, r->threads, err))))
        return st;
    run->graph = r->graph ? r->graph : run->own;
    teller_attach(&run->teller, run->graph);
    teller_attach(&run->teller, run->of_guide);
    teller_attach(&run->teller, run->of_classifier);
    return OK;
}

/* What holds for all batches. */
static struct sampling_request sampling_of(struct run *run)
{
    const struct generate_request *r = run->r;
    struct sampling_request s = {.sampler = run->is.settings.sampler,
                                 .times = run->is.times,
                                 .steps = run->is.steps,
                                 .diffusion = run->is.settings.diffusion,
                                 .draw = draw_noise,
                                 .draw_self = run,
                                 .wants_preview = r->preview_every > 0,
                                 .hold = r->repaint && r->repaint->mask ? hold : NULL,
                                 .hold_self = run,
                                 .progress = r->progress ? report : NULL,
                                 .self = run};

    memcpy(s.values, run->is.settings.sampler_values, sizeof s.values);
    return s;
}

enum status generate(float *out, const struct generate_request *r, int64_t *evaluations,
                     struct error *err)
{
    const struct network_io *io = &r->model->network->io;
    struct run *run = NULL;
    int64_t batch = generate_batch(r);
    enum status st;

    if ((st = mem_new((void **)&run, 1, sizeof *run, "a run", err)))
        return st;
    run->r = r;
    run->teller = (struct teller){
        .tell = r->progress, .user = r->user, .every = r->every, .now = {.n = r->n}};
    run->length = network_places(r->model->network) * io->in_channels;
    if ((st = resolve(&run->is, r, err)) || (st = prepare(run, batch, err)))
        goto out;
    run->sampling = sampling_of(run);
    for (; run->first < r->n && !st; run->first += batch) {
        run->count = r->n - run->first < batch ? r->n - run->first : batch;
        st = run_batch(run, out + run->first * view_length(&run->viewer.shape), err);
    }
    if (evaluations)
        *evaluations = run->evaluations;
out:
    if (r->graph) /* which stays */
        graph_set_watch(r->graph, NULL, NULL);
    graph_free(run->own);
    graph_free(run->of_guide);
    graph_free(run->of_classifier);
    viewer_release(&run->viewer);
    repaint_release(&run->repaint);
    free(run->condition);
    prompts_release(&run->prompts);
    prompts_release(&run->of_guides);
    resolved_release(&run->is);
    free(run);
    return st;
}

/* What becomes of n results of a solver. */
static enum status measure_viewer(int64_t *bytes, const struct generate_request *r, int64_t n,
                                  struct error *err)
{
    struct viewer v;
    enum status st;

    *bytes = 0;
    if (!(st = viewer_init(&v, r->model, NULL, r->rough, 0, r->threads, err)))
        st = viewer_bytes(&v, bytes, n, err);
    viewer_release(&v);
    return st;
}

enum status generate_measure(struct graph_stats *most, struct generate_beside *beside,
                             const struct generate_request *r, struct error *err)
{
    const struct network_io *io = &r->model->network->io;
    int64_t batch = generate_batch(r), first = r->n < batch ? r->n : batch;
    int64_t counts[2] = {first, r->n % batch};
    int64_t length = network_places(r->model->network) * io->in_channels;
    enum status st = resolve_model(r, err);

    memset(most, 0, sizeof *most);
    for (int k = 0; k < 2 && !st; k++) {
        struct network_predictor net = {0};
        struct graph_stats stats = {0};
        struct prompts none = {.length = io->text_length,
                               .width = io->context_width,
                               .pooled_width = io->pooled_width};
        bool guided = false;

        if (r->model->encoders)
            none.tokens =
                text_encoders_tokens(r->model->encoders, text_encoders_rows(r->texts, r->n_texts));
        for (int64_t i = 0; i < counts[k]; i++)
            guided |= network_asks(io) && r->items[i].w != 0 && r->items[i].w != 1;
        if (counts[k] &&
            !(st = network_predictor_init(&net, r->model, r->graph, NULL,
                                          r->encoded ? r->encoded : &none, counts[k], err)))
            st = network_predictor_measure(&net, guided ? 2 * counts[k] : counts[k], &stats, err);
        network_predictor_release(&net);
        if (stats.arena_bytes > most->arena_bytes)
            most->arena_bytes = stats.arena_bytes;
        if (stats.scratch_bytes > most->scratch_bytes)
            most->scratch_bytes = stats.scratch_bytes;
        if (stats.flops > most->flops)
            most->flops = stats.flops;
    }
    /* Both branches of the network's input and output as floats; x, its predictions, and what a
     * solver and guidance hold, as doubles.  While a batch is decoded most of those are gone, but
     * the system may not have them back. */
    beside->solving =
        first * length *
        (int64_t)(4 * sizeof(float) +
                  (size_t)(sampler_at(r->settings.sampler)->work + 4) * sizeof(double));
    return st ? st : measure_viewer(&beside->viewing, r, first, err);
}
