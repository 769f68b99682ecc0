/*
 * model_case.h - a network of a fixture, what goes into it, and one run of it
 */
#ifndef IMGEN_PARITY_MODEL_CASE_H
#define IMGEN_PARITY_MODEL_CASE_H

#include "model/network.h"
#include "parity.h"

enum { MODEL_TAPS = 512 };

struct model_case;
struct model_results;
struct model_taps;
typedef enum status model_case_runner(struct model_case *m, struct graph *g,
                                      struct model_results *r, struct model_taps *taps);

/* Everything but the network lies in the fixture's memory.  Arrays that the network does not read
 * are empty. */
struct model_case {
    struct parity_fixture *fixture;
    const struct parity_part *data;
    struct network *net;
    struct parity_array x, t, cot;       /* x [N, H, W, C];  cot: of the output              */
    struct parity_array context, pooled; /* [N, L, D], [N, P]                                */
    int32_t *y, *mask;                   /* [N], [N, L]; NULL: none                          */
    const char *out_name, *cot_name;     /* "out.model" or "out.logits", and the cotangent's */
    bool squared;           /* the loss is the mean of (out - cot)^2, and not <out, cot> */
    model_case_runner *run; /* one run; results are compared by cot.n outputs   */
    struct error *err;
};

/* What one run leaves: n floats of each gradient of an input, empty where there is none. */
struct model_results {
    float loss;
    float *out, *grad_x, *grad_context, *grad_pooled;
    float *grads; /* of all parameters, at their offsets */
};

/* Intermediate values of a run, by name. */
struct model_taps {
    struct graph *graph;
    struct {
        char name[96];
        struct tensor *value;
    } at[MODEL_TAPS];
    int n;
};

/* Let taps (NULL: nobody) keep what the network shows from now on. */
void model_case_tap(struct model_case *m, struct graph *g, struct model_taps *taps);

/* Read the inputs that m->net wants, whose sizes must be those of its configuration.  E_FORMAT. */
enum status model_case_load(struct model_case *m);

/* A map of this shape (channels last; in the file they are second) of the data part;  a picture
 * [N, H, W, channels], N as in in.t;  or any array of this shape, whose layout is ours. */
enum status model_case_map(struct model_case *m, struct parity_array *out, const char *name,
                           struct shape want);
enum status model_case_picture(struct model_case *m, struct parity_array *out, const char *name,
                               int64_t channels);
enum status model_case_array(struct model_case *m, struct parity_array *out, const char *name,
                             struct shape want);
/* Labels [N], each one that the network has. */
enum status model_case_labels(struct model_case *m, int32_t **out, const char *name);

/* Record the inputs, with these labels (NULL: none). */
struct network_input model_case_record(struct model_case *m, struct graph *g, const int32_t *y);

/* A kept tensor's values, in the fixture's memory. */
enum status model_case_read(struct model_case *m, struct graph *g, float **out,
                            const struct tensor *t);

/* Forward and backward of the loss on an empty graph; taps may be NULL. */
model_case_runner model_case_run;

/* One claim: b has the parameters of a, to the bit. */
void weights_compare(struct parity_report *r, struct params *a, struct params *b);

/* parity_model.c: the gradients of all of p that is trained, at their offsets in got, against the
 * fixture's part "grads". */
enum status gradients_compare(struct parity_report *r, struct parity_fixture *f, struct params *p,
                              const float *got, struct error *err);

/* The gradients of all parameters into r->grads. */
enum status model_case_grads(struct model_case *m, struct model_results *r);

/* parity_model.c.  All "act.*" of the file against what the network showed; m->run in every way the
 * engine has against `base`. */
enum status model_activations_compare(struct model_case *m, struct graph *g,
                                      struct parity_report *r, const struct model_taps *taps);
enum status model_ways_compare(struct model_case *m, struct parity_report *r,
                               const struct model_results *base);

/* Build m->net from the fixture's configuration, compare its tables and load its weights; the
 * caller frees it. */
enum status model_case_open(struct model_case *m, struct parity_report *r, struct parity_fixture *f,
                            struct error *err);

/* Load the fixture into m (net included, which the caller frees) and compare all
 * that is common to networks. */
enum status model_case_compare(struct model_case *m, struct parity_report *r,
                               struct parity_fixture *f, const struct parity_options *options,
                               struct error *err);

#endif
