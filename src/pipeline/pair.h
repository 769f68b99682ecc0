/*
 * pair.h - a second model in the place of the unguided branch
 */
#ifndef IMGEN_PIPELINE_PAIR_H
#define IMGEN_PIPELINE_PAIR_H

#include "diffusion/predictor.h"
#include "pipeline/predictor.h"

/* What the second model is asked for. */
enum guide_label {
    GUIDE_NONE, /* no label, or the negative one: an unguided model          */
    GUIDE_SAME, /* the picture's own: a weaker version of the model (autoguidance) */
};
const char *guide_label_name(int i); /* NULL past the last */
enum status guide_label_find(enum guide_label *out, const char *name, struct error *err);

/* Whether the guide can be asked so beside the model: it makes pictures, they and path and labels
 * are the model's, and it knows the label that it is to be asked for.  negative: that label is one
 * to guide away from.  E_ARG naming what differs, with the numbers; E_UNSUPPORTED for a network
 * that reads a text. */
enum status pair_check(const struct model *guide, const struct model *model, enum guide_label label,
                       bool negative, struct error *err);

/* Everything of one batch. */
struct pair {
    struct network_predictor net;    /* of the guide */
    struct predictor_pair joined[2]; /* of each prediction of the model */
};

/* label: [rows] of the pictures; prompts: what they stand for to a guide that reads texts; away: a
 * negative label, or below 0.  n_heads: how many predictions
 * of the model are asked for.  E_ARG where the guide knows no null label and a row needs it.
 * Release also after a failure. */
enum status pair_init(struct pair *p, const struct model *guide, struct graph *graph,
                      enum guide_label asked, const int32_t *label, const struct prompts *prompts,
                      int32_t away, int64_t rows, int n_heads, struct error *err);
void pair_release(struct pair *p);

/* *of, prediction `head` of the model, which predicts `predicts` on the path, becomes the pair of
 * both.  p must stay where it is. */
void pair_join(struct pair *p, int head, struct predictor *of, enum prediction predicts,
               const struct path *path);

#endif
