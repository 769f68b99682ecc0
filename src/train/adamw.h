/*
 * adamw.h - AdamW, gradient clipping and the moving average of the weights, over flat arrays
 */
#ifndef IMGEN_TRAIN_ADAMW_H
#define IMGEN_TRAIN_ADAMW_H

#include <stdbool.h>
#include <stdint.h>

/* One step's constants.  Loshchilov and Hutter 2019. */
struct adamw {
    double lr;           /* of this step                                              */
    double beta1, beta2; /* decay of the two moments                                  */
    double eps;
    double weight_decay; /* decoupled: p <- p (1 - lr wd) before the step             */
    double clip;         /* gradients are scaled to at most this norm; 0: never       */
    double ema;          /* decay of the average; 0 keeps the average equal to p      */
    int64_t step;        /* this one's number, from 1, for the bias corrections       */
};

/* The euclidean norm of g[0..n-1]: partial sums of fixed blocks in double, added in order. */
double gradient_norm(const float *g, int64_t n);

/* total[i] = scale g[i], or of a later batch of the step, which is not `first`, that much more. */
void gradient_add(float *total, const float *g, int64_t n, float scale, bool first);

/* p, m, v, average: [n], updated in place; average may be NULL, for none;  g: [n];  norm:
 * gradient_norm(g, n).  One pass: g' = g min(1, clip / (norm + 1e-6));  m, v, p as in the paper;
 * average = d average + (1 - d)
 * p */
void adamw_step(float *p, float *m, float *v, float *average, const float *g, int64_t n,
                double norm, const struct adamw *a);

/* Decay of step s (from 0) of an average that begins short, so that it forgets the initial weights:
 * min(decay, (1 + s) / (10 + s)). */
double ema_decay(double decay, int64_t s);

#endif
