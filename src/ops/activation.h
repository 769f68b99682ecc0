/*
 * activation.h - pointwise non-linearities
 */
#ifndef IMGEN_OPS_ACTIVATION_H
#define IMGEN_OPS_ACTIVATION_H

#include "graph/graph.h"

/* x sigmoid(x). */
struct tensor *op_silu(struct graph *g, struct tensor *x);
/* x Phi(x), tanh form: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks and Gimpel 2016.
 */
struct tensor *op_gelu(struct graph *g, struct tensor *x);
/* x Phi(x), exact. */
struct tensor *op_gelu_erf(struct graph *g, struct tensor *x);
/* x sigmoid(1.702 x), an early approximation of the same that CLIP was trained with. */
struct tensor *op_quick_gelu(struct graph *g, struct tensor *x);
struct tensor *op_tanh(struct graph *g, struct tensor *x);
/* x for x > 0, slope x otherwise. */
struct tensor *op_leaky_relu(struct graph *g, struct tensor *x, double slope);
/* x held to low .. high; no slope beyond. */
struct tensor *op_clamp(struct graph *g, struct tensor *x, double low, double high);
/* [a | b] -> silu(a) b: Shazeer 2020. x [..., 2F] -> [..., F]. */
struct tensor *op_swiglu(struct graph *g, struct tensor *x);
/* [a | b] -> a gelu_erf(b). x [..., 2F] -> [..., F]. */
struct tensor *op_geglu(struct graph *g, struct tensor *x);
/* Softmax over the last dimension. */
struct tensor *op_softmax(struct graph *g, struct tensor *x);

#endif
