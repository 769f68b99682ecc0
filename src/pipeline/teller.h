/*
 * teller.h - how far a request is: what its callback is told, and when
 */
#ifndef IMGEN_PIPELINE_TELLER_H
#define IMGEN_PIPELINE_TELLER_H

#include "pipeline/viewer.h"

#include <stdbool.h>
#include <stdint.h>

/* What is being done.  A request goes through them in this order, batch by batch from PHASE_STEP
 * on, and leaves out those that it has no need of. */
enum generate_phase {
    PHASE_READING,  /* encoders read the texts                      */
    PHASE_ENCODING, /* the picture to begin with becomes a latent   */
    PHASE_STEP,     /* the solver is inside of a step               */
    PHASE_STEPPED,  /* a step is done: told once each               */
    PHASE_DECODING, /* latents become pictures                      */
};

/* False stops the request with E_CANCELLED, inside a run of a network as anywhere. */
struct generate_progress {
    enum generate_phase phase;
    double share;          /* of the phase, of PHASE_STEP and _STEPPED of that step, in [0, 1] */
    int64_t first, count;  /* the items of this batch                                          */
    int64_t n;             /* items in all                                                     */
    int step, steps;       /* of this batch, from 1; steps 0: adaptive solver                  */
    double done;           /* share of everything, in [0, 1]; 0 before the first step          */
    double t;              /* reached */
    const double *x;       /* PHASE_STEPPED: [count, H, W, C]: the state at t; else NULL   */
    const double *data;    /* the same: what its end would be by now; NULL unless asked    */
    const double *preview; /* [count] of that as pictures of `shape`: data itself, or what latents
                             look like; NULL unless asked, and where there is no telling   */
    struct view_shape shape;
};
typedef bool generate_callback(const struct generate_progress *p, void *user);

/* Belongs to one run, one thread at a time. */
struct teller {
    generate_callback *tell; /* NULL: nobody is told, and nothing is stopped          */
    void *user;
    double every;                 /* seconds between two calls inside a phase         */
    struct generate_progress now; /* what holds until something changes               */
    double told;                  /* when the last call was; -HUGE_VAL: the next is due */
    double last;                  /* share of the network's run, when asked last      */
    int runs, usual; /* runs in this step before the present one; in a whole one, 0: not known */
};

/* now.n, .first, .count, .steps, .shape are the caller's to fill in.  A phase begins; step: of
 * PHASE_STEP. */
void teller_begin(struct teller *t, enum generate_phase phase, int step);

/* A graph_watch; user: the teller.  Calls back at the beginning of a phase or step, then every so
 * often. */
bool teller_watch(double done, void *teller);

/* Tell what t->now says, at once; false: stop. */
bool teller_tell(struct teller *t);

/* A step is done: t->now.x and what goes with it hold during this call.  The next one begins. */
bool teller_stepped(struct teller *t);

/* The phase is done. */
bool teller_end(struct teller *t);

/* Ask it between the operations of a graph, unless nobody is told. */
void teller_attach(struct teller *t, struct graph *g);

#endif
