/*
 * trainer_parts.h - the state of a run, for the files that make it up
 */
#ifndef IMGEN_TRAIN_TRAINER_PARTS_H
#define IMGEN_TRAIN_TRAINER_PARTS_H

#include "data/loader.h"
#include "diffusion/loss.h"
#include "model/prompts.h"
#include "train/adamw.h"
#include "train/checkpoint.h"
#include "train/condition_batch.h"
#include "train/criterion.h"
#include "train/evaluate.h"
#include "train/latent_data.h"
#include "train/log.h"
#include "train/round_trip.h"
#include "train/text_data.h"
#include "train/trainer.h"

_Static_assert((int)COMPANIONS_MAX >= (int)AUTOENCODE_COMPANIONS, "a companion would not be saved");

/* Seconds by part, for the log. */
struct clock_parts {
    double data, network, update, start;
};

struct trainer {
    const struct train_request *r;
    struct train_options options;
    struct training_data data; /* its space is the model's from when there is one */
    struct loader *loader;
    struct loader *pictures; /* of those beside clips, or NULL */
    struct graph *graph;
    struct flow_task task;
    struct flow_batch batch;
    struct criterion criterion;
    struct autoencode *autoencode; /* of an autoencoder, which has this in place of a criterion */
    struct round_trip *round_trip; /* of an autoencoder, in place of an evaluation; or NULL */
    const float *pixels;           /* of the batch */
    struct prompts prompts;    /* of the batch, where the network reads texts: row i's is text i */
    int32_t *number, *text;    /* [rows] 0, 1, ...; [rows, text_length] what each is asked for   */
    struct text_data *encoded; /* of a network that reads encoded texts, or NULL      */
    float *context, *pooled;   /* of the batch, of such a one                         */
    struct prompts sheet_encoded;      /* of sheets, the same                                 */
    const char **sheet_texts;          /* [sample_count] of sheets, or NULL */
    struct condition_batch *condition; /* of a network that is told of its clips, or NULL     */
    float *sheet_condition;            /* [sample_count, condition_length], the same          */
    struct train_state state;
    char *config;
    float *total; /* [n_trained]: gradients summed over accumulated batches, or NULL */
    struct train_log log;
    struct evaluation *evaluation; /* or NULL */
    const char *note;              /* what a person should know, or NULL */
    struct footprint memory;
    int64_t program_bytes, memory_limit;
    struct clock_parts parts;
    const struct eval_losses *evaluated; /* while that is told */
    double right;                        /* of the last one, a classifier's */
    double loss, gradient_norm, mean_loss, logged_loss;
    int64_t logged_steps, first_step;
    double began;
};

/* trainer_data.c, in this order.  Open the model that stays as it is, if an adapter of one learns.
 * writes: latents of the pictures that are not there yet are made. Open the data; build the model,
 * and what its numbers mean; the evaluation of held-out pictures, if any; whether sheets are drawn.
 */
enum status trainer_open_base(struct trainer *t, struct error *err);
enum status trainer_open_data(struct trainer *t, bool writes, struct error *err);
enum status trainer_make_model(struct trainer *t, struct error *err);
enum status trainer_make_evaluation(struct trainer *t, bool writes, struct error *err);
enum status trainer_choose_sheets(struct trainer *t, struct error *err);
/* What clips tell the network beforehand. */
enum status trainer_make_condition(struct trainer *t, struct error *err);
/* Who encodes captions for a network that reads them encoded, and all that they say of the set. */
enum status trainer_open_texts(struct trainer *t, bool writes, struct error *err);
/* What sheets are asked for where the network reads texts, and told of where it is: held-out
 * captions and clips, or the training's. */
enum status trainer_choose_texts(struct trainer *t, struct error *err);
/* The autoencoder and the text encoders under the names by which a model in the run's folder, which
 * is there, sees it. */
enum status trainer_name_autoencoder(struct trainer *t, struct error *err);

/* trainer_setup.c.  All of the above for a run as requested; writes: latents that are missing are
 * made.  Then what hands out the samples, from the step that the model is at.  All of it is given
 * back by the last, whatever of it is there. */
enum status trainer_set_up(struct trainer *t, const struct train_request *r, bool writes,
                           struct error *err);
enum status trainer_start_loader(struct trainer *t, struct error *err);
void trainer_tear_down(struct trainer *t);

/* trainer_step.c.  Record the loss of the batch, whatever it holds, and its adjoints. */
struct tensor *trainer_record(struct trainer *t);

/* How many of the first `steps` steps are of pictures in the place of clips. */
int64_t trainer_picture_steps(const struct trainer *t, int64_t steps);

/* What the optimizer does in the step that comes. */
struct adamw trainer_constants(const struct trainer *t);

/* A step: t->loss, t->gradient_norm and the parts of its time are told.  E_NOT_FINITE leaves the
 * weights as they were. */
enum status trainer_step(struct trainer *t, struct error *err);

#endif
