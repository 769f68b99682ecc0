/*
 * trainer_setup.c - all that a run holds, from its configuration, and all of it given back
 *
 * The order is forced: what the data are decides what the model can be, that decides what a sample
 * is shown with, and all of them what the arrays of the optimizer weigh.  Nothing here is written
 * to the run's folder, so that a run that is only measured (train_measure) sets up the same.
 */
#include "train/trainer_parts.h"

#include "base/memory.h"
#include "base/text.h"
#include "ops/loss.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum status describe_config(struct trainer *t, struct error *err)
{
    struct option_group group[EXPERIMENT_SECTIONS];
    struct option_set set = experiment_options(t->r->experiment, group);
    json_t *root = NULL;
    enum status st;

    if ((st = options_to_json(&set, &root, err)))
        return st;
    t->config = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return t->config ? OK : fail(err, E_MEMORY, "no memory to describe a run");
}

static enum status make_autoencode(struct trainer *t, struct error *err)
{
    const struct autoencode_setting setting = {
        .options = &t->r->experiment->autoencoder,
        .net = t->state.model->network,
        .rows = t->options.batch,
        .accumulate = t->options.accumulate,
        .seed = t->options.seed,
    };
    enum status st = autoencode_new(&t->autoencode, &setting, err);

    if (!st)
        t->state.n_companions = autoencode_companions(t->autoencode, t->state.companion);
    return st;
}

static enum status make_task(struct trainer *t, struct error *err)
{
    const struct network_io *io = &t->state.model->network->io;
    uint64_t rows = (uint64_t)t->options.batch;
    enum status st;

    t->criterion = (struct criterion){
        .task = &t->task,
        .direction = t->options.direction,
        .variance = t->options.variance,
    };
    if ((st = experiment_task(t->r->experiment, t->state.model, &t->task, err)) ||
        (st = criterion_check(&t->criterion, io, err)))
        return st;
    if (io->factor)
        return make_autoencode(t, err);
    return t->options.variance > 0 ? mem_new((void **)&t->criterion.numbers, rows,
                                             VB_NUMBERS * sizeof(float), "variances", err)
                                   : OK;
}

static enum status check_labels(const struct trainer *t, struct error *err)
{
    const struct network_io *io = &t->state.model->network->io;

    if (io->n_labels && io->null_label < 0 && t->r->experiment->train.label_drop > 0)
        return fail(err, E_ARG,
                    "train.label_drop: labels are dropped with probability %g, but the network has "
                    "no null class",
                    t->r->experiment->train.label_drop);
    return OK;
}

static enum status make_texts(struct trainer *t, struct error *err)
{
    const struct network_io *io = &t->state.model->network->io;
    uint64_t rows = (uint64_t)t->options.batch;
    enum status st;

    if (!io->text_length && !t->encoded)
        return OK;
    if ((st = mem_new((void **)&t->number, rows, sizeof *t->number, "numbers of texts", err)) ||
        (io->text_length && (st = prompts_init(&t->prompts, io, t->options.batch, err))) ||
        (io->text_length &&
         (st = mem_new((void **)&t->text, rows, (uint64_t)io->text_length * sizeof *t->text,
                       "texts", err))))
        return st;
    for (int64_t i = 0; i < t->options.batch; i++)
        t->number[i] = (int32_t)i;
    return OK;
}

static enum status make_arrays(struct trainer *t, struct error *err)
{
    const struct network *net = t->state.model->network;
    struct params *learned = model_learns(t->state.model);
    uint64_t n = (uint64_t)params_n_values(learned);
    uint64_t n_trained = (uint64_t)params_n_trained(learned);
    int64_t length = network_places(net) * net->io.in_channels;
    enum status st;

    if ((st = mem_block_new((void **)&t->state.average, n, sizeof(float), "averaged weights",
                            err)) ||
        (st =
             mem_block_new((void **)&t->state.m, n_trained, sizeof(float), "first moments", err)) ||
        (st = mem_block_new((void **)&t->state.v, n_trained, sizeof(float), "second moments",
                            err)) ||
        (st = flow_batch_init_for(&t->batch, &t->task, t->options.batch, length, err)))
        return st;
    if ((st = make_texts(t, err)))
        return st;
    if (t->options.accumulate > 1 &&
        (st = mem_block_new((void **)&t->total, n_trained, sizeof(float), "summed gradients", err)))
        return st;
    memcpy(t->state.average, params_values(learned), n * sizeof(float));
    return OK;
}

static enum status read_limit(struct trainer *t, struct error *err)
{
    const char *text = t->options.memory_limit;

    if (!text || !*text || (text_to_bytes(text, &t->memory_limit) && t->memory_limit > 0))
        return OK;
    return fail(err, E_ARG,
                "train.memory_limit: '%s' is no size: bytes, or a number with K, M or G as in 2.5G",
                text);
}

enum status trainer_set_up(struct trainer *t, const struct train_request *r, bool writes,
                           struct error *err)
{
    struct experiment *e = r->experiment;
    enum status st;

    t->r = r;
    t->options = e->train;
    if ((st = read_limit(t, err)) || (st = trainer_open_base(t, err)))
        return st;
    t->program_bytes = mem_resident();
    if ((st = trainer_open_data(t, writes, err)) || (st = describe_config(t, err)) ||
        (st = trainer_make_model(t, err)) || (st = trainer_open_texts(t, writes, err)) ||
        (st = check_labels(t, err)) || (st = make_task(t, err)) || (st = make_arrays(t, err)) ||
        (st = trainer_make_condition(t, err)) || (st = graph_new(&t->graph, 0, r->threads, err)) ||
        (st = trainer_make_evaluation(t, writes, err)) || (st = trainer_choose_sheets(t, err)) ||
        (st = trainer_choose_texts(t, err)))
        return st;
    t->state.config = t->config;
    graph_set_precision(t->graph, (enum precision)e->train.precision);
    return OK;
}

enum status trainer_start_loader(struct trainer *t, struct error *err)
{
    int64_t per_step = t->options.batch * t->options.accumulate, step = t->state.model->step;
    int64_t of_pictures = trainer_picture_steps(t, step);
    bool flip = t->options.flip && t->data.set->flips;
    enum status st = loader_new(&t->loader, t->data.set, t->options.batch, t->options.seed,
                                (step - of_pictures) * per_step, flip, err);

    return st || !t->data.pictures ? st
                                   : loader_new(&t->pictures, t->data.pictures, t->options.batch,
                                                t->options.seed, of_pictures * per_step, flip, err);
}

void trainer_tear_down(struct trainer *t)
{
    struct params *params = t->state.model ? model_learns(t->state.model) : NULL;
    uint64_t n = params ? (uint64_t)params_n_values(params) : 0;
    uint64_t n_trained = params ? (uint64_t)params_n_trained(params) : 0;

    loader_free(t->loader);
    loader_free(t->pictures);
    training_data_release(&t->data);
    graph_free(t->graph);
    flow_batch_release(&t->batch);
    free(t->criterion.numbers);
    prompts_release(&t->prompts);
    prompts_release(&t->sheet_encoded);
    text_data_close(t->encoded);
    condition_batch_free(t->condition);
    free(t->sheet_condition);
    free(t->context);
    free(t->pooled);
    free(t->number);
    free(t->text);
    free((void *)t->sheet_texts);
    log_close(&t->log);
    evaluation_free(t->evaluation);
    round_trip_free(t->round_trip);
    autoencode_free(t->autoencode);
    mem_block_free(t->state.average, n, sizeof(float));
    mem_block_free(t->state.m, n_trained, sizeof(float));
    mem_block_free(t->state.v, n_trained, sizeof(float));
    mem_block_free(t->total, n_trained, sizeof(float));
    model_free(t->state.model);
    free(t->config);
    free(t);
}
