/*
 * resolve.h - a request's words as numbers, and whether its model can do what they ask
 */
#ifndef IMGEN_PIPELINE_RESOLVE_H
#define IMGEN_PIPELINE_RESOLVE_H

#include "pipeline/generate.h"

struct resolved {
    const struct generate_request *r;
    struct settings settings;
    int32_t away;   /* the label to guide away from: none, or the negative one            */
    bool *identity; /* [io.n_attention]: layers whose attention is perturbed, or NULL     */
    bool *skip;     /* [io.n_skippable]: blocks that a perturbed branch lacks, or NULL    */
    double times[STEPS_MAX + 1]; /* those that are taken: without the first ones where there is a
                                    picture to begin with                                 */
    int steps;
};

/* *o of a request that stays where it is.  E_ARG for whatever generate.h says is refused, but what
 * files are and what a guide's own prompts say; E_UNSUPPORTED; E_MEMORY.  Release also after a
 * failure. */
enum status resolve(struct resolved *o, const struct generate_request *r, struct error *err);
void resolved_release(struct resolved *o);

/* Whether the model makes pictures at all, as it is asked and with what it has. */
enum status resolve_model(const struct generate_request *r, struct error *err);

/* Of a network with two predictions, those that are asked: f's path and what it predicts. */
void resolve_heads(struct field *f, const struct model *m, enum use_heads heads);

#endif
