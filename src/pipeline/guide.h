/*
 * guide.h - a classifier of noisy pictures as a guide: the gradient of its label's probability
 */
#ifndef IMGEN_PIPELINE_GUIDE_H
#define IMGEN_PIPELINE_GUIDE_H

#include "diffusion/classifier_guidance.h"
#include "pipeline/model.h"

/* Whether the classifier can guide the generator: it classifies, pictures and path are the same,
 * and where both have labels they are the same labels.  E_ARG naming what differs, with the
 * numbers. */
enum status classifier_check(const struct model *classifier, const struct model *generator,
                             struct error *err);

/* Fields are its own; labels [rows] are copied.  One thread at a time. */
struct network_classifier {
    const struct model *model;
    struct graph *graph; /* the caller's, of this classifier alone */
    int64_t rows, length;
    int32_t *label;    /* [rows]                            */
    float *x, *t, *dx; /* [rows, length], [rows], as x      */
};

/* label: [rows], each one of its classes, or below 0 where no gradient is wanted (it is then that
 * of label 0).  Release also after a failure. */
enum status network_classifier_init(struct network_classifier *c, const struct model *model,
                                    struct graph *graph, const int32_t *label, int64_t rows,
                                    struct error *err);
void network_classifier_release(struct network_classifier *c);

/* grad log p(y | x, t) by the tape; c must stay where it is.  A row's bits depend on itself alone.
 */
struct label_gradient gradient_of_classifier(struct network_classifier *c);

/* Everything of one batch: the classifier, and the predictor that it pulls. */
struct guide {
    struct network_classifier network;
    struct classifier_guidance pull;
};

/* *of, which predicts `predicts` on the path, becomes the pulled one.  Rows whose label is no
 * class of the classifier's (a null label) are left alone.  guide must stay where it is; release
 * also after a failure. */
enum status guide_init(struct guide *guide, struct predictor *of, const struct path *path,
                       enum prediction predicts, const struct model *classifier, double scale,
                       struct graph *graph, const int32_t *label, struct error *err);
void guide_release(struct guide *guide);

#endif
