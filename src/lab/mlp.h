/*
 * mlp.h - a small network for points in the plane
 *
 *     c = time(t) + label[y]
 *     h = silu(in x + c),   then `depth` times h = h + silu(hidden h + c),   out h
 */
#ifndef IMGEN_LAB_MLP_H
#define IMGEN_LAB_MLP_H

#include "base/error.h"

#include <stdint.h>

struct mlp;

/* n_labels, and one more that means none: label n_labels.  Weights are drawn from the seed. */
enum status mlp_new(struct mlp **out, int64_t width, int64_t depth, int n_labels, uint64_t seed,
                    int threads, struct error *err);
void mlp_free(struct mlp *m); /* NULL is fine */
int64_t mlp_weights(const struct mlp *m);

/* Points a network is shown.  The arrays are the caller's. */
struct mlp_rows {
    int64_t n;
    const float *x;       /* [n, 2]                  */
    const float *t;       /* [n]                     */
    const int32_t *label; /* [n]: 0 .. n_labels      */
};

/* One step of AdamW at this rate on the mean of (gain f(x, t, y) - target)^2; target, gain: [n, 2].
 * *loss is what it was before the step.  Predictions then come from the moving average of the
 * weights.  E_NOT_FINITE. */
enum status mlp_step(struct mlp *m, const struct mlp_rows *rows, const float *target,
                     const float *gain, double rate, double *loss, struct error *err);
/* out [n, 2] = f(x, t, y). */
enum status mlp_predict(struct mlp *m, float *out, const struct mlp_rows *rows, struct error *err);

#endif
