/*
 * repaint.h - pictures made of a picture: noised part of the way and drawn anew, whole or under a
 * mask
 */
#ifndef IMGEN_PIPELINE_REPAINT_H
#define IMGEN_PIPELINE_REPAINT_H

#include "pipeline/viewer.h"

/* What is given.  Arrays belong to the caller. */
struct repaint_request {
    const float *picture; /* one of view_shape, -1 to 1                                           */
    const float *latent;  /* [length] instead of a picture: as the model's numbers, or NULL       */
    const float *mask; /* [height, width] of it, 1: made anew, 0: kept, between: mixed; or NULL */
};

struct repaint {
    const struct model *model;
    struct repaint_request of;
    struct view_shape shape;
    double *z;     /* [length] the picture as the model's numbers             */
    bool *anew;    /* [cells] which pixels or latents are made anew, or NULL  */
    double *noise; /* [rows, length] of the batch that is being drawn         */
    int64_t rows, length;
    double noise_scale; /* of what a solver starts from: 1, but on variance exploding paths */
};

/* rows: of a batch at most.  A model of latents needs its autoencoder's encoder.  E_ARG for numbers
 * that are not finite or a mask outside 0 .. 1; what codec_open says.  Release also after a
 * failure.  With a latent there is nothing to restore pixels from.  watch: latent_encode's. */
enum status repaint_init(struct repaint *p, const struct model *m, const struct repaint_request *of,
                         int64_t rows, int threads, graph_watch *watch, void *user,
                         struct error *err);
void repaint_release(struct repaint *p);

/* x [length], picture `row` of the batch, holds X_0 and becomes alpha(t) z + beta(t) eps: where a
 * run that begins at t begins. */
void repaint_start(struct repaint *p, double *x, int64_t row, double t);

/* x [length] becomes the picture as it is: where no step is left. */
void repaint_copy(const struct repaint *p, double *x);

/* x [rows, length] at t: what is not made anew stands where the picture would at t.  At t = 1 that
 * is the picture. */
void repaint_hold(struct repaint *p, double *x, int64_t rows, double t);

/* pictures, n of view_shape: what is kept is the picture given, not what an autoencoder made of it.
 */
void repaint_restore(const struct repaint *p, float *pictures, int64_t n);

#endif
