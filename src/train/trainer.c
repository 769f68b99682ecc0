/*
 * trainer.c - a training run
 *
 * Around the steps (trainer_step.c): what is set up before them and told, saved, drawn and
 * evaluated between them.  Since all that is random about a sample is a function of the seed and
 * its number, a run's state is four arrays and the step, and a resumed run continues with the bits
 * of the uncut one.
 *
 * theory.md 1.5 and 3.6; Lipman et al. 2023, "Flow matching for generative modeling"; Ho and
 * Salimans 2022, "Classifier-free diffusion guidance".
 */
#include "train/trainer.h"

#include "train/trainer_parts.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "train/latent_law.h"
#include "train/report.h"
#include "train/sheet.h"
#include "train/tuning.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* --- memory -------------------------------------------------------------------------------------
 */

static struct sheet_request sheet_of(const struct trainer *t)
{
    return (struct sheet_request){
        .model = t->state.model,
        .values = t->state.average,
        .count = t->options.sample_count,
        .texts = t->sheet_texts,
        .encoded = t->encoded ? &t->sheet_encoded : NULL,
        .condition = t->sheet_condition,
        .batch = t->options.batch / 2,
        .graph = t->graph,
        .threads = t->r->threads,
        .rough = t->options.sample_preview,
    };
}

/* Of an autoencoder the last step is the largest: then it has its opponent. */
static void record_step(void *self)
{
    struct trainer *t = self;

    if (t->autoencode)
        autoencode_begin(t->autoencode, t->options.steps - 1);
    trainer_record(t);
}

/* Sheets and evaluations, and what a sheet takes beside the graph. */
static enum status plan_others(void *self, struct graph_stats *most, int64_t *beside,
                               struct error *err)
{
    struct trainer *t = self;
    struct sheet_request sheet = sheet_of(t);
    struct graph_stats stats = {0};
    enum status st;

    if (t->round_trip)
        return round_trip_measure(t->round_trip, most, beside, err);
    if (t->options.sample_every && (st = sheet_measure(most, beside, &sheet, err)))
        return st;
    if (t->evaluation && (st = evaluation_measure(t->evaluation, t->state.model, &stats, err)))
        return st;
    if (stats.arena_bytes > most->arena_bytes)
        most->arena_bytes = stats.arena_bytes;
    if (stats.scratch_bytes > most->scratch_bytes)
        most->scratch_bytes = stats.scratch_bytes;
    return OK;
}

enum { OWN_BLOCKS = 6 };
_Static_assert(OWN_BLOCKS + COMPANIONS_MAX * COMPANION_BLOCKS <= FOOTPRINT_BLOCKS,
               "memory would not be counted");

static enum status plan_memory(struct trainer *t, struct error *err)
{
    struct params *p = model_learns(t->state.model);
    uint64_t n = (uint64_t)params_n_values(p) * sizeof(float);
    uint64_t n_trained = (uint64_t)params_n_trained(p) * sizeof(float);
    struct footprint_task task = {
        .graph = t->graph,
        .record = record_step,
        .others = plan_others,
        .self = t,
        .block = {{params_values(p), n},
                  {params_grads(p), n_trained},
                  {t->state.average, n},
                  {t->state.m, n_trained},
                  {t->state.v, n_trained},
                  {t->total, t->total ? n_trained : 0}},
        .program = t->program_bytes,
        .beside = checkpoint_bytes(&t->state),
        .level = t->options.recompute ? RECOMPUTE_ALL : RECOMPUTE_NOTHING,
        .limit = t->memory_limit,
        .batch = t->options.batch,
    };

    for (int k = 0; k < t->state.n_companions; k++)
        companion_blocks(task.block + OWN_BLOCKS + k * COMPANION_BLOCKS, t->state.companion[k]);
    return footprint_find(&t->memory, &task, err);
}

/* --- around the steps ---------------------------------------------------------------------------
 */

static bool tell(struct trainer *t, enum train_event_kind kind, const char *path)
{
    int64_t done = t->state.model->step - t->first_step;
    double rate = done ? (double)done / (clock_seconds() - t->began) : 0;
    struct train_event e = {
        .kind = kind,
        .step = t->state.model->step,
        .steps = t->options.steps,
        .loss = t->loss,
        .mean_loss = t->mean_loss,
        .gradient_norm = t->gradient_norm,
        .learning_rate = trainer_constants(t).lr,
        .steps_per_s = rate,
        .seconds_left = rate > 0 ? (double)(t->options.steps - t->state.model->step) / rate : 0,
        .path = path,
        .evaluated = t->evaluated,
        .memory = &t->memory,
        .peak_bytes = kind == TRAIN_DONE ? mem_peak() : 0,
    };

    return t->r->callback ? t->r->callback(&e, t->r->user) : true;
}

static enum status write_log(struct trainer *t, struct error *err)
{
    double n = (double)t->logged_steps, all = clock_seconds() - t->parts.start;
    struct log_row row = {
        .step = t->state.model->step,
        .loss = t->logged_loss / n,
        .gradient_norm = t->gradient_norm,
        .learning_rate = trainer_constants(t).lr,
        .steps_per_s = n / all,
        .data_s = t->parts.data / n,
        .network_s = t->parts.network / n,
        .update_s = t->parts.update / n,
        .other_s = (all - t->parts.data - t->parts.network - t->parts.update) / n,
        .opponent = t->autoencode ? autoencode_said(t->autoencode) : (struct opponent_says){0},
    };

    t->parts = (struct clock_parts){.start = clock_seconds()};
    t->logged_loss = 0;
    t->logged_steps = 0;
    return log_write(&t->log, &row, err);
}

static enum status save(struct trainer *t, struct error *err)
{
    char path[CHECKPOINT_PATH];
    enum status st;

    if ((st = checkpoint_save(&t->state, t->options.out, t->options.keep, err)) ||
        (st = checkpoint_path(path, t->options.out, t->state.model->step, err)))
        return st;
    tell(t, TRAIN_SAVED, path);
    return OK;
}

static enum status draw_sheet(struct trainer *t, struct error *err)
{
    const struct sheet_request sheet = sheet_of(t);
    char path[CHECKPOINT_PATH];
    enum status st;

    if (snprintf(path, sizeof path, "%s/samples-%08" PRId64 ".png", t->options.out,
                 t->state.model->step) >= (int)sizeof path)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", CHECKPOINT_PATH);
    st = t->round_trip ? round_trip_sheet(t->round_trip, path, sheet.values, sheet.count, err)
                       : sheet_write(path, &sheet, err);
    if (st || (st = log_write_sheet(&t->log, t->state.model->step, path, err)))
        return st;
    tell(t, TRAIN_SAMPLED, path);
    return OK;
}

static enum status evaluate(struct trainer *t, struct error *err)
{
    struct log_eval row = {.step = t->state.model->step};
    double loss = t->loss, mean_loss = t->mean_loss;
    enum status st;

    st = t->round_trip
             ? round_trip_evaluate(t->round_trip, t->state.average, &row.losses, err)
             : evaluation_run(t->evaluation, t->state.model, t->state.average, &row.losses, err);
    if (st)
        return st;
    t->loss = row.losses.raw;
    t->mean_loss = row.losses.average;
    t->right = row.losses.right;
    t->evaluated = &row.losses;
    tell(t, TRAIN_EVALUATED, NULL);
    t->evaluated = NULL;
    t->loss = loss;
    t->mean_loss = mean_loss;
    return log_write_eval(&t->log, &row, err);
}

static bool due(int64_t step, int64_t every)
{
    return every && step % every == 0;
}

static enum status after_step(struct trainer *t, struct error *err)
{
    int64_t step = t->state.model->step;
    bool last = step == t->options.steps;
    bool evaluates = t->options.eval_every && (due(step, t->options.eval_every) || last);
    enum status st;

    t->mean_loss += (t->loss - t->mean_loss) /
                    (double)(step - t->first_step < 100 ? step - t->first_step : 100);
    t->logged_loss += t->loss;
    t->logged_steps++;
    if ((due(step, t->options.log_every) || last) && (st = write_log(t, err)))
        return st;
    if (evaluates && (st = evaluate(t, err)))
        return st;
    if ((due(step, t->options.save_every) || last) && (st = save(t, err)))
        return st;
    if ((due(step, t->options.sample_every) || (last && t->options.sample_every)) &&
        (st = draw_sheet(t, err)))
        return st;
    if ((evaluates || last) && (st = report_write(t->options.out, err)))
        return st;
    if (tell(t, TRAIN_STEP, NULL) || last)
        return OK;
    if (!due(step, t->options.save_every) && (st = save(t, err)))
        return st;
    if ((st = report_write(t->options.out, err)))
        return st;
    return fail(err, E_CANCELLED, "stopped after step %" PRId64 " of %" PRId64, step,
                t->options.steps);
}

static enum status make_folder(const char *path, struct error *err)
{
    if (mkdir(path, 0777) && errno != EEXIST)
        return fail_errno(err, E_IO, "%s: the folder cannot be made", path);
    return OK;
}

/* *from: path, where the run goes on from a checkpoint. */
static enum status resume_or_refuse(struct trainer *t, char path[CHECKPOINT_PATH],
                                    const char **from, struct error *err)
{
    enum status st;

    if (t->r->resume && checkpoint_exists(t->options.out)) {
        if ((st = checkpoint_find(path, t->options.out, err)) ||
            (st = checkpoint_load(&t->state, path, err)))
            return st;
        *from = path;
    } else if (checkpoint_exists(t->options.out)) {
        return fail(err, E_ARG, "%s already holds a run: resume it, or choose another train.out",
                    t->options.out);
    }
    if (t->state.model->step > t->options.steps)
        return fail(err, E_ARG, "%s: step %" PRId64 " is past train.steps, %" PRId64, path,
                    t->state.model->step, t->options.steps);
    t->first_step = t->state.model->step;
    return OK;
}

/* What a judge of clean pictures is worth is part of what it is:
 * "idx; 91.22 % of 10000 held-out pictures right". */
static enum status describe_judge(struct trainer *t, struct error *err)
{
    struct model *m = t->state.model;
    struct text words;

    if (!m->network->io.classifies || !m->network->io.clean || !t->evaluation)
        return OK;
    text_init(&words, NULL, 0);
    text_add(&words, "%s; %.2f %% of %" PRId64 " held-out pictures right",
             t->data.set->format->name, 100 * t->right, t->options.eval_count);
    return model_set_about(m, &words, err);
}

/* What a generator must know of the finished autoencoder's latents. */
static enum status settle_latents(struct trainer *t, struct error *err)
{
    const struct latent_survey survey = {
        .net = t->state.model->network,
        .set = t->data.set,
        .graph = t->graph,
        .limit = t->r->experiment->autoencoder.statistics,
        .batch = t->options.batch,
    };
    enum status st =
        latent_law_settle(&survey, t->state.model->network, t->state.average, t->options.out, err);

    return st ? st : report_write(t->options.out, err);
}

static enum status finish(struct trainer *t, struct error *err)
{
    char path[CHECKPOINT_PATH];
    enum status st;

    if (snprintf(path, sizeof path, "%s/%s.safetensors", t->options.out,
                 t->state.model->learning ? "adapter" : "model") >= (int)sizeof path)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", CHECKPOINT_PATH);
    if ((st = describe_judge(t, err)) || (t->autoencode && (st = settle_latents(t, err))))
        return st;
    st = t->state.model->learning
             ? tuning_save(t->state.model, t->r->experiment, path, t->state.average, err)
             : model_save(t->state.model, path, t->state.average, err);
    if (st)
        return st;
    tell(t, TRAIN_DONE, path);
    return OK;
}

static enum status open_log(struct trainer *t, struct error *err)
{
    const struct log_options o = {
        .folder = t->options.out,
        .step = t->state.model->step,
        .config = t->config,
        .eval = !t->options.eval_every                   ? LOG_EVAL_NONE
                : t->autoencode                          ? LOG_EVAL_PSNR
                : t->state.model->network->io.classifies ? LOG_EVAL_ACCURACY
                                                         : LOG_EVAL_LOSS,
        .tensorboard = t->options.tensorboard,
    };

    return log_open(&t->log, &o, err);
}

static enum status run_steps(struct trainer *t, struct error *err)
{
    char path[CHECKPOINT_PATH];
    const char *from = NULL;
    enum status st;

    /* Nothing is written before it is known that the run fits. */
    if ((st = resume_or_refuse(t, path, &from, err)) || (st = trainer_start_loader(t, err)) ||
        (st = plan_memory(t, err)) || (st = make_folder(t->options.out, err)) ||
        (st = trainer_name_autoencoder(t, err)))
        return st;
    checkpoint_clean(t->options.out);
    if ((st = open_log(t, err)))
        return st;
    t->began = t->parts.start = clock_seconds();
    tell(t, TRAIN_STARTED, from);
    if (t->note)
        tell(t, TRAIN_NOTE, t->note);
    while (t->state.model->step < t->options.steps)
        if ((st = trainer_step(t, err)) || (st = after_step(t, err)))
            return st;
    return finish(t, err);
}

enum status train_run(const struct train_request *r, struct error *err)
{
    int before = omp_get_max_threads();
    struct trainer *t;
    enum status st;

    if ((st = mem_new((void **)&t, 1, sizeof *t, "a trainer", err)))
        return st;
    omp_set_num_threads(r->threads);
    if (!(st = trainer_set_up(t, r, true, err)))
        st = run_steps(t, err);
    trainer_tear_down(t);
    omp_set_num_threads(before);
    return st;
}

/* --- what it would take -------------------------------------------------------------------------
 */

static enum status probe(struct trainer *t, struct train_plan *out, struct error *err)
{
    struct graph_stats stats;
    double second[3], start, high;
    enum status st;

    for (int k = 0; k < 3; k++) {
        start = clock_seconds();
        if ((st = trainer_step(t, err)))
            return st;
        second[k] = clock_seconds() - start;
    }
    if ((st = graph_measure(t->graph, &stats, err)))
        return st;
    high = fmax(second[0], fmax(second[1], second[2]));
    out->step_seconds =
        fmax(fmin(second[0], second[1]),
             fmin(high, fmax(fmin(second[0], second[2]), fmin(second[1], second[2]))));
    out->step_flops = stats.flops * (double)t->options.accumulate;
    return OK;
}

enum status train_measure(const struct train_request *r, struct train_plan *out, struct error *err)
{
    int before = omp_get_max_threads();
    struct trainer *t;
    enum status st;

    memset(out, 0, sizeof *out);
    if ((st = mem_new((void **)&t, 1, sizeof *t, "a trainer", err)))
        return st;
    omp_set_num_threads(r->threads);
    if ((st = trainer_set_up(t, r, false, err)) || (st = trainer_start_loader(t, err)) ||
        (st = plan_memory(t, err)) || (st = probe(t, out, err)))
        goto out;
    out->weights = params_weights(model_learns(t->state.model));
    out->memory = t->memory;
    out->total_seconds = out->step_seconds * (double)t->options.steps;
    out->pictures = t->data.set->count;
out:
    trainer_tear_down(t);
    omp_set_num_threads(before);
    return st;
}
