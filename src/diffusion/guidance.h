/*
 * guidance.h - classifier-free guidance, for any path and any prediction
 *
 * f~ = (1 - w) f(x, t | none) + w f(x, t | y), with f the velocity, score, noise or data
 * prediction. theory.md (3.8), (3.10).
 */
#ifndef IMGEN_DIFFUSION_GUIDANCE_H
#define IMGEN_DIFFUSION_GUIDANCE_H

#include "diffusion/predictor.h"

/* out = (1 - w) unguided + w guided, [n]; out may be either.  w = 0 and w = 1 copy. */
void guidance_combine(double *out, const double *unguided, const double *guided, double w,
                      int64_t n);

/* One picture's two predictions on their way to one; all arrays [n]. */
struct guided_pair {
    const double *unguided, *guided;
    double *out;     /* may not be either of them                               */
    double *running; /* kept from step to step, zero before the first, or NULL  */
    double w, t;
    const double *values; /* of the kind */
    int64_t n;
};

/* A way to make one prediction of two.  With w = 1 every kind gives `guided`; it is not asked. */
struct guidance_kind {
    struct choice is;
    enum prediction on; /* what it is defined on; N_PREDICTIONS: whatever the network predicts    */
    bool remembers;     /* wants `running`                                                        */
    bool renoises;      /* the noise that is put back is the unguided one; the rest as said       */
    bool from_zero;     /* defined for w in [0, 1] alone                                          */
    void (*combine)(const struct guided_pair *p);
    /* NULL, or whether the state is left where it is: what is predicted is then zero. */
    bool (*waits)(const struct guided_pair *p);
};

const struct guidance_kind *guidance_kind_at(int i); /* NULL past the last; 0: classifier-free */
enum status guidance_kind_find(const struct guidance_kind **out, const char *name,
                               struct error *err);

/* What guides beside the kinds, for lists: NULL past the last. */
const struct choice *guidance_way_at(int i);

/* How to guide, beside how much. */
struct guidance_how {
    const struct guidance_kind *kind; /* NULL: classifier-free                                   */
    double values[CHOICE_VALUES];
    double from, to;  /* guided where from < t <= to, as trained elsewhere                       */
    double perturbed; /* s of s (guided - perturbed), which is added; 0: no such branch is asked */
    double perturbed_from, perturbed_to; /* ... where from <= t <= to; nowhere: from > to        */
    double rescale;   /* share in [0, 1] of the result that gets the guided branch's deviation   */
    double threshold; /* quantile in (0, 1] of |E[z | x]| beyond which it is clipped; 0: nothing */
    double clip;      /* |E[z | x]| is held to this before; 0: to nothing                        */
};
/* Classifier-free guidance at all times, nothing else. */
struct guidance_how guidance_plain(void);

struct guidance {
    struct predictor of;
    struct guidance_how how;
    double *w;           /* [rows]: 0 unguided, 1 guided, above 1 strengthened                 */
    double *all;         /* [branch_count(branches), rows, length], when more than one is wanted */
    double *running;     /* [rows, length] of a kind that remembers                            */
    unsigned branches;   /* that some row needs at some time */
    int64_t evaluations; /* branches asked for so far: 2 a call where both are needed */
};

/* w: [rows], copied, each finite and >= 0 (E_ARG).  Where every w is 0, or every w is 1, one branch
 * is evaluated, else both; with how->perturbed > 0 the guided and the perturbed one beside.  how:
 * copied, NULL for guidance_plain; E_ARG for numbers outside their ranges.  `of` is copied; its
 * self must outlive the guidance. */
enum status guidance_init(struct guidance *g, struct predictor of, const double *w,
                          const struct guidance_how *how, struct error *err);
void guidance_release(struct guidance *g);

/* One guided prediction.  out, x: [rows, length], not overlapping; c: the path at the time asked
 * for; is: what the predictor predicts.  *out_is: what `out` holds, which a kind may change.
 * renoise, when not NULL, gets E[eps | x] for the next point where the kind says which;
 * *has_renoise tells.  A row with w = 0 or w = 1 and nothing perturbed holds the very numbers of
 * its branch, as `*out_is`, whatever w its neighbours have. */
enum status guidance_predict(struct guidance *g, double *out, enum prediction *out_is,
                             double *renoise, bool *has_renoise, const double *x,
                             const struct path_coefs *c, enum prediction is, struct error *err);

/* What `of`, another predictor of the same rows and length, says of each row in its own branch: the
 * unguided where w = 0, else the guided.  Asks for the branches that a prediction at t was made
 * from. */
enum status guidance_ask(struct guidance *g, struct predictor of, double *out, const double *x,
                         double t, struct error *err);

/* What classifier guidance adds to a prediction, per unit of w grad log p(y | x_t): b for the
 * velocity, 1 for the score, -beta for the noise, beta^2 / alpha for the data; an infinity where
 * alpha = 0.  theory.md (3.7). */
double guidance_gradient_weight(enum prediction p, const struct path_coefs *c);

#endif
