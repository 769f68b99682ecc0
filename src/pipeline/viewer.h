/*
 * viewer.h - what a solver leaves, as pictures: pixels as they are, latents decoded
 */
#ifndef IMGEN_PIPELINE_VIEWER_H
#define IMGEN_PIPELINE_VIEWER_H

#include "pipeline/latent_decoder.h"
#include "pipeline/model.h"

/* [height, width, channels] of a picture, or [frames, height, width, channels] of a clip. */
struct view_shape {
    int64_t height, width, channels;
    int64_t frames; /* 1 of a picture */
};

/* What a model makes: of a latent one, its decoded pictures, all 0 while its autoencoder was not
 * found (autoencoder_find); rough: its linear previews in their place. */
struct view_shape view_shape(const struct model *m, bool rough);
int64_t view_length(const struct view_shape *s);

struct viewer {
    const struct model *model;
    bool rough;
    struct latent_decoder *decoder;    /* or NULL: the numbers are pixels       */
    struct view_shape shape, previews; /* of what is handed out, and of previews */
    float *seen;                       /* previews of latents ...               */
    double *shown;                     /* ... as a callback sees them           */
};

/* The model must outlive it.  tiny, threads: struct latent_decoder_how; rough: hand out linear
 * previews; at_once: previews that are asked for together, 0: none are.  E_ARG for rough pictures
 * of an autoencoder that has no numbers for them, and of pixels.  Release also after a failure. */
enum status viewer_init(struct viewer *v, const struct model *m, const char *tiny, bool rough,
                        int64_t at_once, int threads, struct error *err);
void viewer_release(struct viewer *v);

/* x, n of what the solver left, to n pictures of v->shape: -1 black to 1 white, not clamped. watch:
 * latent_decode's. */
enum status viewer_pictures(struct viewer *v, float *pictures, const double *x, int64_t n,
                            graph_watch *watch, void *user, struct error *err);
/* What that takes besides x and pictures, in bytes. */
enum status viewer_bytes(struct viewer *v, int64_t *bytes, int64_t n, struct error *err);

/* What x looks like: n pictures of v->previews, the viewer's, or x itself; NULL: there is no
 * telling. */
const double *viewer_preview(struct viewer *v, const double *x, int64_t n);

#endif
