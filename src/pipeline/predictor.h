/*
 * predictor.h - a network as a predictor: pictures in, predictions out, both branches in one batch
 */
#ifndef IMGEN_PIPELINE_PREDICTOR_H
#define IMGEN_PIPELINE_PREDICTOR_H

#include "model/prompts.h"
#include "pipeline/model.h"

struct network_predictor;

/* One of the predictions that a network makes. */
struct network_head {
    struct network_predictor *of;
    int index;
};

/* Fields are its own; labels [rows] are copied.  One thread at a time.  Of a model with windows x
 * is one of them (windows_shape). */
struct network_predictor {
    const struct model *model;
    struct graph *graph; /* the caller's */
    int64_t rows, length;
    int32_t *label;   /* [rows]                                     */
    int32_t away;     /* the label of the unguided branch: the null label unless set */
    float *x, *t, *y; /* [2 rows, length], [2 rows], as x; y [3 rows, length] once perturbed */
    const bool *identity, *skip;   /* of the perturbed branch: network_input; NULL: there is none */
    int32_t *fed;                  /* [2 rows]: the labels of a batch            */
    const struct prompts *prompts; /* what labels stand for, of a network that reads texts */
    int32_t *text;                 /* [2 rows, text_length]: the texts of a batch, or NULL */
    float *context, *pooled;       /* [2 rows, ...]: the same of encoded ones, or NULL     */
    const float *known;            /* the caller's; NULL: nothing is, and the condition is 0 */
    int64_t known_step;            /* from one row's to the next's                         */
    float *condition;              /* [2 rows, condition_length] of a batch, or NULL       */
    struct network_head head[2];
    double *asked;           /* [rows, length] where y was computed, of one that remembers */
    double asked_t;          /* and when                                                   */
    unsigned asked_branches; /* and of which branches; 0: y holds nothing yet              */
    int64_t evaluations;     /* branches computed so far                                   */
};

/* label: [rows], each below the network's n_labels, or of `prompts`, which stay and which a network
 * that reads texts has to have; ignored by an unconditional network.  A frozen graph packs the
 * weights once.  Release also after a failure. */
enum status network_predictor_init(struct network_predictor *p, const struct model *model,
                                   struct graph *graph, const int32_t *label,
                                   const struct prompts *prompts, int64_t rows, struct error *err);
void network_predictor_release(struct network_predictor *p);

/* From now on it has a perturbed branch: identity [io.n_attention], skip [io.n_skippable], one of
 * them NULL, kept by the caller. */
enum status network_predictor_perturb(struct network_predictor *p, const bool *identity,
                                      const bool *skip, struct error *err);
/* From now on what was asked last is remembered, and asked again runs nothing; one of a network
 * with two predictions, or with a variance, does so from the start. */
enum status network_predictor_remember(struct network_predictor *p, struct error *err);

/* What its rows are told beforehand, of a network with a condition, in both branches: each has
 * known [condition_length] `step` numbers behind the one before (0: all have the same), kept by the
 * caller; NULL: zeros. */
void network_predictor_condition(struct network_predictor *p, const float *known, int64_t step);

/* What a run of so many rows (at most twice its own) takes: planned, not run. */
enum status network_predictor_measure(struct network_predictor *p, int64_t rows,
                                      struct graph_stats *out, struct error *err);

/* The predictor; p must stay where it is. */
struct predictor predictor_of_network(struct network_predictor *p);
/* Of the second prediction of a network with two.  Asking both at one point and time runs the
 * network once. */
struct predictor predictor_of_second(struct network_predictor *p);
/* Of the variance beside the prediction (model_has_variance), as the network says it; likewise. */
struct predictor predictor_of_variance(struct network_predictor *p);

#endif
