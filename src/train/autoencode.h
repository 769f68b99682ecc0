/*
 * autoencode.h - what an autoencoder is trained for, recorded
 */
#ifndef IMGEN_TRAIN_AUTOENCODE_H
#define IMGEN_TRAIN_AUTOENCODE_H

#include "base/option.h"
#include "model/autoencoder.h"
#include "train/opponent.h"

/* Section [autoencoder] of a configuration.  Weights are against sums over a picture's numbers, as
 * published ones are (reconstruction.h). */
struct autoencoder_options {
    int pixels;        /* enum pixel_distance                                               */
    double kl;         /* weight of the divergence of Gaussian latents                      */
    double edges;      /* weight of the squared differences of neighbouring pixels          */
    char *inflate;     /* of videos: the autoencoder of pictures that it begins as, or NULL */
    double outliers;   /* weight of the penalty of outlying latents, against a mean         */
    double codebook;   /* weight of the codebook's loss, against a mean over the numbers    */
    double noise;      /* deviation of noise on the decoder's latents, over theirs          */
    double perceptual; /* weight of the perceptual distance; 0: none                        */
    char *features;    /* perceptual_open's path ...                                        */
    char *heads;       /* ... and heads                                                     */
    bool log_scale;    /* train the scale of the errors                                     */
    struct opponent_options opponent; /* how.weight 0: none                                  */
    int64_t statistics; /* pictures over which the finished latents are measured; 0: all     */
};
extern const struct option autoencoder_option_rows[];

/* What training has beside the network: other networks, noise, what learns with it. */
struct autoencode;

/* net is referred to and has both halves; batches are of `rows` pictures, of which `accumulate`
 * make a step.  E_ARG for options that cannot be, files as perceptual_open, E_MEMORY.  Freed by
 * autoencode_free (NULL is fine). */
struct autoencode_setting {
    const struct autoencoder_options *options; /* referred to */
    const struct network *net;
    int64_t rows, accumulate;
    uint64_t seed;
};
enum status autoencode_new(struct autoencode **out, const struct autoencode_setting *setting,
                           struct error *err);
void autoencode_free(struct autoencode *a);

/* From now on batches are of videos of so many frames, as many as it was made for or fewer; 1:
 * pictures.  The network's own are the caller's to set. */
void autoencode_set_frames(struct autoencode *a, int64_t frames);

/* Draw the noise of a batch whose first picture is sample number `first`: a function of the seed
 * and each sample's number. */
void autoencode_draw(struct autoencode *a, uint64_t first);

/* The step that comes, counted from 0: it decides whether there is an opponent. */
void autoencode_begin(struct autoencode *a, int64_t step);

/* Record the loss of pictures [rows, H, W, C], or videos of io's frames, valid until the run, with
 * all adjoints; the loss as it is told is kept: that of the autoencoder without what the opponent
 * says, over the numbers of a picture, [1]. */
struct tensor *autoencode_record(struct autoencode *a, struct graph *g, const float *pictures);
/* After that tape has run, for batch k of n of a step. */
void autoencode_ran(struct autoencode *a, struct graph *g, int64_t k, int64_t n);

/* What learns beside the network: before the step, whether all its gradients are finite; and the
 * step, with the network's own constants. */
bool autoencode_measure(struct autoencode *a);
void autoencode_step(struct autoencode *a, const struct adamw *how);
/* All of it, for a checkpoint, whether it learns in this step or not: out[0 .. result - 1]. */
enum { AUTOENCODE_COMPANIONS = 2 };
int autoencode_companions(struct autoencode *a, struct companion *out[AUTOENCODE_COMPANIONS]);

/* What the opponent said of the last batch. */
struct opponent_says autoencode_said(const struct autoencode *a);

/* Record how far y [N, H, W, C] is from x, over the numbers of a picture: the part of the loss that
 * held-out pictures are told by. */
struct tensor *autoencode_distance(const struct autoencode *a, struct graph *g, struct tensor *x,
                                   struct tensor *y);

#endif
