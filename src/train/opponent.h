/*
 * opponent.h - the discriminator of an autoencoder's training, with all that it learns by
 */
#ifndef IMGEN_TRAIN_OPPONENT_H
#define IMGEN_TRAIN_OPPONENT_H

#include "model/patchgan.h"
#include "train/adversary.h"
#include "train/companion.h"

/* rate: its learning rate over the autoencoder's.  how.weight is above 0. */
struct opponent_options {
    struct adversary how;
    int64_t width, layers; /* patchgan_config */
    double rate;
};

struct opponent;

/* For pictures of this shape; drawn from the seed.  batches: of which a step is made.  E_ARG naming
 * the option, E_MEMORY.  Freed by opponent_free (NULL is fine). */
struct opponent_setting {
    const struct opponent_options *options; /* referred to */
    int64_t height, width, channels, batches;
    uint64_t seed;
};
enum status opponent_new(struct opponent **out, const struct opponent_setting *setting,
                         struct error *err);
void opponent_free(struct opponent *o);

struct companion *opponent_companion(struct opponent *o);
/* Whether the step, counted from 0, has an opponent. */
bool opponent_begun(const struct opponent *o, int64_t step);

/* Record both sides of the game: a scalar whose gradients are, for what made y, those of
 * (nll + weight ratio gan) share, and for the discriminator those of its own loss.  y, shown, last,
 * nll: as adversary_join has them; x: the true pictures. */
struct opponent_move {
    struct tensor *x, *y, *shown, *last, *nll;
    double share;
};
struct tensor *opponent_record(struct opponent *o, struct graph *g, const struct opponent_move *m);

/* After that tape has run, for batch k of n of a step: running statistics and gradients are taken.
 */
void opponent_ran(struct opponent *o, struct graph *g, int64_t k, int64_t n);

/* What the last batch said, for the log. */
struct opponent_says {
    bool is;      /* whether there was one                             */
    double loss;  /* the hinge loss: 1 knows nothing, 0 is never wrong */
    double ratio; /* adversary_join's                                  */
};
struct opponent_says opponent_said(const struct opponent *o);

/* The step of its parameters, after companion_measure; a: the autoencoder's own constants. */
void opponent_step(struct opponent *o, const struct adamw *a);

#endif
