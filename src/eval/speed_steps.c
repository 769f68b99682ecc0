/*
 * speed_steps.c - whole steps of training and of sampling
 *
 * A training step is what the trainer does between two batches: record, run forward and backward,
 * norm, clip, AdamW, average.  A sampling step is one of Euler's under guidance: both branches in
 * one batch through a frozen network, combined, and the state moved, in double.  Both are timed
 * from outside, so that what is not a node of the tape shows as a row of its own.
 *
 * An autoencoder's training step is the whole of its loss but for discriminators and feature
 * networks, which have a choice of their own.
 *
 * The pictures are random numbers, the texts one and the same, and the weights freshly initialised:
 * no kernel's time depends on values.
 */
#include "eval/speed_case.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "model/byte_text.h"
#include "ops/basic.h"
#include "pipeline/predictor.h"
#include "train/adamw.h"
#include "train/autoencode.h"

#include <stdlib.h>
#include <string.h>

/* n: batch.  Latents of 32 x 32 with patches of 2 make 256 tokens. */
static const char *const dit[] = {"dit",       "size=32",  "channels=4", "classes=10", "patch=2",
                                  "width=384", "depth=12", "heads=6",    NULL};
static const char *const unet[] = {
    "unet",       "size=32",  "channels=3",  "classes=10",       "width=128",
    "mult=1,2,2", "blocks=2", "attention=2", "head_channels=64", NULL};
/* Clips: a transformer of movie-gen.md 3.7 ("micro") on 8 x 16 x 16 latents with patches of 2, and
 * the one that config/moving.ini trains, on 4 x 8 x 8 with patches of 1. */
static const char *const movie[] = {"movie",          "size=16",   "channels=8", "frames=8",
                                    "patch=2",        "width=384", "depth=10",   "heads=6",
                                    "text_length=64", NULL};
static const char *const moving[] = {
    "movie",        "size=8",  "channels=8",     "frames=4",      "patch=1",        "width=256",
    "depth=6",      "heads=4", "text_length=64", "text_kernel=5", "text_width=128", "text_depth=2",
    "text_heads=4", NULL};
/* And their autoencoders: a quarter as wide as the published, and config/moving-autoencoder.ini's.
 */
static const char *const temporal[] = {"video_vae",          "size=64",    "frames=16",
                                       "latent_channels=16", "width=64",   "mult=1,2,4,4",
                                       "blocks=2",           "halvings=3", NULL};
static const char *const moving_autoencoder[] = {
    "video_vae",  "size=32",  "frames=8", "latent_channels=8",      "width=24",
    "mult=1,2,2", "blocks=1", "groups=8", "middle_attention=false", "halvings=1",
    NULL};
static const char caption[] = "FPS-8 a red circle moves to the left";

/* --- the model ---------------------------------------------------------------------------------
 */

/* settings: the kind of network, then its options. */
static enum status make_config(void *config, const struct network_kind *kind,
                               struct model_options *options, const char *const *settings,
                               struct error *err)
{
    struct option_group group[] = {{"model", model_option_rows, options, NULL},
                                   {"", kind->options, config, NULL}};
    struct option_set set = {group, 2};
    enum status st = options_default(&set, err);

    for (settings++; !st && *settings; settings++)
        st = options_assign(&set, *settings, err);
    while (network_kind_at(options->network) != kind)
        options->network++;
    return st;
}

static enum status make_model(struct model **out, const char *const *settings, bool gradients,
                              struct error *err)
{
    double path_values[CHOICE_VALUES] = {0};
    struct model_options options = {0};
    const struct network_kind *kind;
    struct option_group group;
    void *config = NULL;
    enum status st;

    if ((st = network_kind_find(&kind, settings[0], err)) ||
        (st = mem_new(&config, 1, kind->config_bytes, "a configuration", err)))
        return st;
    if (!(st = make_config(config, kind, &options, settings, err))) {
        choice_defaults(path_values, &path_kind_at(options.path)->is);
        st = model_new(out, &options, path_values, config, err);
    }
    if (!st && !(st = params_alloc((*out)->network->params, gradients, err)))
        params_init((*out)->network->params, 1);
    group = (struct option_group){"", kind->options, config, NULL};
    options_release(&(struct option_set){&group, 1});
    free(config);
    return st;
}

/* --- training ----------------------------------------------------------------------------------
 */

struct training {
    struct model *model;
    float *m, *v, *average;
    float *x, *target, *t;         /* the job's blocks */
    int32_t *label, *text;         /* text: NULL where none is read */
    struct autoencode *autoencode; /* or NULL: it is none   */
    struct autoencoder_options how;
    int64_t batch, steps;
};

static void close_training(void *own)
{
    struct training *s = own;

    if (!s)
        return;
    autoencode_free(s->autoencode);
    model_free(s->model);
    free(s->m);
    free(s->v);
    free(s->average);
    free(s->label);
    free(s->text);
    free(s);
}

static enum status open_requests(struct training *s, struct error *err)
{
    int64_t length = s->model->network->io.text_length, rows = s->batch;
    enum status st;

    if ((st = mem_new((void **)&s->label, (uint64_t)rows, sizeof *s->label, "labels", err)) ||
        !length)
        return st;
    st = mem_new((void **)&s->text, (uint64_t)(rows * length), sizeof *s->text, "texts", err);
    for (int64_t i = 0; i < rows && !st; i++)
        byte_text_read(s->text + i * length, length, caption);
    return st;
}

/* The loss of an autoencoder, with the options that nobody has set. */
static enum status open_autoencode(struct training *s, struct error *err)
{
    struct option_group group = {"", autoencoder_option_rows, &s->how, NULL};
    const struct autoencode_setting setting = {
        .options = &s->how, .net = s->model->network, .rows = s->batch, .accumulate = 1, .seed = 1};
    enum status st;

    if (!s->model->network->io.factor ||
        (st = options_default(&(struct option_set){&group, 1}, err)))
        return s->model->network->io.factor ? st : OK;
    return autoencode_new(&s->autoencode, &setting, err);
}

static enum status open_training(struct speed_job *j, struct error *err)
{
    struct training *s;
    struct network_io *io;
    uint64_t n;
    enum status st;

    if ((st = mem_new(&j->own, 1, sizeof *s, "a training run", err)))
        return st;
    s = j->own;
    s->batch = j->is->n[0];
    if ((st = make_model(&s->model, j->is->settings, true, err)) || (st = speed_graph(j, 0, err)))
        return st;
    io = &s->model->network->io;
    n = (uint64_t)params_n_values(s->model->network->params);
    j->weights = params_weights(s->model->network->params);
    s->x = speed_values(j, s->batch * network_places(s->model->network) * io->in_channels);
    s->target = speed_values(j, s->batch * network_places(s->model->network) * io->out_channels);
    s->t = speed_values(j, s->batch);
    if (j->failed && err)
        *err = j->failure;
    if ((st = j->failed) ||
        (st = mem_new((void **)&s->m, n, sizeof(float), "first moments", err)) ||
        (st = mem_new((void **)&s->v, n, sizeof(float), "second moments", err)) ||
        (st = mem_new((void **)&s->average, n, sizeof(float), "averaged weights", err)) ||
        (st = open_requests(s, err)))
        return st;
    return open_autoencode(s, err);
}

static struct tensor *record_step(struct graph *g, struct training *s)
{
    const struct network *net = s->model->network;
    const struct network_io *io = &net->io;
    struct network_input in = {0};
    struct tensor *y, *loss;

    graph_reset(g);
    if (s->autoencode) {
        autoencode_draw(s->autoencode, (uint64_t)(s->steps * s->batch));
        autoencode_begin(s->autoencode, s->steps);
        return autoencode_record(s->autoencode, g, s->x);
    }
    in.x = graph_input(g, network_shape(net, s->batch, io->in_channels), s->x);
    in.t = graph_input(g, SHAPE(s->batch), s->t);
    network_ask(g, io, &in, s->batch, s->label, s->text);
    y = network_forward(g, net, in);
    loss = op_mse(g, y, graph_input(g, y->shape, s->target));
    graph_backward(g, loss);
    graph_keep(g, loss);
    return loss;
}

static enum status run_training(struct speed_job *j, struct error *err)
{
    struct training *s = j->own;
    struct params *p = s->model->network->params;
    struct adamw a = {
        .lr = 1e-4, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1, .ema = 0.999};
    int64_t n = params_n_trained(p);
    double start, norm;
    float value;
    struct tensor *loss = record_step(j->graph, s);
    enum status st;

    if ((st = graph_run(j->graph, err)))
        return st;
    graph_read(j->graph, loss, &value);
    start = clock_seconds();
    norm = gradient_norm(params_grads(p), n);
    a.step = ++s->steps;
    adamw_step(params_values(p), s->m, s->v, s->average, params_grads(p), n, norm, &a);
    speed_count(j, "adamw + clip + average", clock_seconds() - start, 0, 40 * (double)n);
    return OK;
}

static const struct speed_case training_cases[] = {
    {"training step, DiT 384 x 12, 256 tokens, batch 16", NULL, {16}, dit},
    {"training step, U-Net 128, 32 x 32, batch 16", NULL, {16}, unet},
    {"training step, video transformer 384 x 10, 512 tokens, batch 4", NULL, {4}, movie},
    {"training step, video transformer 256 x 6, 256 tokens, batch 32", NULL, {32}, moving},
    {"training step, temporal autoencoder 64, 16 x 64 x 64, batch 1", NULL, {1}, temporal},
    {"training step, temporal autoencoder 24, 8 x 32 x 32, batch 8", NULL, {8}, moving_autoencoder},
    {0},
};

const struct speed_family family_training = {
    .name = "training step",
    .whole = "",
    .open = open_training,
    .run = run_training,
    .close = close_training,
    .cases = training_cases,
};

/* --- sampling ----------------------------------------------------------------------------------
 */

struct drawing {
    struct model *model;
    struct prompts prompts; /* of a network that reads texts */
    struct network_predictor net;
    struct guidance guidance;
    struct field field;
    double *x;
    double times[2];
    struct sampling_request request;
};

static void close_sampling(void *own)
{
    struct drawing *s = own;

    if (!s)
        return;
    guidance_release(&s->guidance);
    network_predictor_release(&s->net);
    prompts_release(&s->prompts);
    model_free(s->model);
    free(s->x);
    free(s);
}

static enum status open_guidance(struct speed_job *j, struct drawing *s, struct error *err)
{
    enum { BATCH_MAX = 64 };
    int32_t label[BATCH_MAX] = {0};
    double w[BATCH_MAX];
    int64_t batch = j->is->n[0];
    bool reads = s->model->network->io.text_length > 0;
    enum status st;

    MUST(batch <= BATCH_MAX, "a batch of more than %d", BATCH_MAX);
    for (int k = 0; k < BATCH_MAX; k++)
        w[k] = 4;
    if (reads && (st = prompts_init(&s->prompts, &s->model->network->io, 1, err)))
        return st;
    if (reads)
        prompts_set(&s->prompts, 0, caption);
    if ((st = network_predictor_init(&s->net, s->model, j->graph, label, reads ? &s->prompts : NULL,
                                     batch, err)))
        return st;
    return guidance_init(&s->guidance, predictor_of_network(&s->net), w, NULL, err);
}

static enum status open_sampling(struct speed_job *j, struct error *err)
{
    struct drawing *s;
    enum status st;

    if ((st = mem_new(&j->own, 1, sizeof *s, "a sampling run", err)))
        return st;
    s = j->own;
    if ((st = make_model(&s->model, j->is->settings, false, err)) ||
        (st = speed_graph(j, GRAPH_FROZEN, err)) || (st = open_guidance(j, s, err)) ||
        (st = mem_new((void **)&s->x, (uint64_t)(s->net.rows * s->net.length), sizeof *s->x,
                      "a batch of pictures", err)))
        return st;
    j->weights = params_weights(s->model->network->params);
    s->field = (struct field){.path = s->model->path,
                              .predicts = (enum prediction)s->model->options.prediction,
                              .guidance = &s->guidance};
    s->times[0] = 0.5;
    s->times[1] = 0.52;
    s->request = (struct sampling_request){.times = s->times, .steps = 1, .field = &s->field};
    for (int64_t i = 0; i < s->net.rows; i++)
        sampling_start(s->x + i * s->net.length, &s->model->path, 1, (uint64_t)i, s->net.length);
    if ((st = sampler_find(&s->request.sampler, "euler", err)))
        return st;
    choice_defaults(s->request.values, &s->request.sampler->is);
    return OK;
}

static enum status run_sampling(struct speed_job *j, struct error *err)
{
    struct drawing *s = j->own;

    return sampling_run(s->x, &s->request, NULL, err);
}

static const struct speed_case sampling_cases[] = {
    {"sampling step, DiT 384 x 12, 256 tokens, guided, batch 1", NULL, {1}, dit},
    {"sampling step, DiT 384 x 12, 256 tokens, guided, batch 16", NULL, {16}, dit},
    {"sampling step, U-Net 128, 32 x 32, guided, batch 1", NULL, {1}, unet},
    {"sampling step, U-Net 128, 32 x 32, guided, batch 16", NULL, {16}, unet},
    {"sampling step, video transformer 384 x 10, 512 tokens, guided, batch 1", NULL, {1}, movie},
    {"sampling step, video transformer 256 x 6, 256 tokens, guided, batch 8", NULL, {8}, moving},
    {0},
};

const struct speed_family family_sampling = {
    .name = "sampling step",
    .whole = "",
    .open = open_sampling,
    .run = run_sampling,
    .close = close_sampling,
    .cases = sampling_cases,
};
