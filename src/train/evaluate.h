/*
 * evaluate.h - the loss on pictures that were not trained on, and how often a classifier is right
 */
#ifndef IMGEN_TRAIN_EVALUATE_H
#define IMGEN_TRAIN_EVALUATE_H

#include "train/experiment.h"
#include "train/text_data.h"

/* Fixed pictures at fixed times with fixed noise, drawn once. */
struct evaluation;

enum { EVAL_TIMES = 16 };

struct eval_losses {
    double raw;                 /* of the weights as they are        */
    double average;             /* of the averaged weights            */
    double quarter[4];          /* of the averages, by quarters of t  */
    double by_time[EVAL_TIMES]; /* the same by sixteenths; NaN where no picture has such a time */

    /* Of a classifier: share of pictures whose label it gives the largest logit, by the averaged
     * weights; of another network all 0. */
    bool classifies, clean; /* clean: of pictures without noise, all at t = 1 */
    double right, right_quarter[4];

    /* Of an autoencoder (round_trip.h): peak signal to noise of what the averaged weights make of
     * the pictures, mean over the pictures, in dB. */
    bool rebuilds;
    double psnr;
};

/* Pictures that are never trained on are drawn from their set by this seed. */
enum { EVAL_SEED = 0x6576616c };

/* Open the set that is never trained on: the one data.eval_path names, or, of an endless set, that
 * of another seed.  E_ARG when a finite set names none. */
enum status evaluation_data(const struct experiment *e, struct dataset **out, struct error *err);

/* Draw train.eval_count pictures of d, which is not read afterwards; encoded: what a network that
 * reads that is told of their captions, which were needed already, kept by the caller; else NULL.
 * known: what clips of d tell a network that is told of them, as condition_of_clip has it, not read
 * afterwards; all do, whatever the share in training.  It runs on g, the caller's, as many pictures
 * at once as a training step has: what a step fits in, it fits in too. */
enum status evaluation_new(struct evaluation **out, const struct experiment *e,
                           const struct model *m, const struct text_data *encoded,
                           const struct dataset *d, const struct dataset *known, struct graph *g,
                           struct error *err);
void evaluation_free(struct evaluation *v);

/* What its largest batch takes: planned, not run. */
enum status evaluation_measure(struct evaluation *v, const struct model *m, struct graph_stats *out,
                               struct error *err);

/* The network's own weights are in use again afterwards; average: a flat array of its layout. */
enum status evaluation_run(struct evaluation *v, struct model *m, float *average,
                           struct eval_losses *out, struct error *err);

#endif
