/*
 * classify.c - the loss of a classifier of noisy pictures
 *
 * A classifier that guides is asked at every noise level, so it learns at every one: the same draw
 * of time and noise makes x_t as for the generator (diffusion/loss.c), and what is asked for is the
 * label in place of a velocity.  Near noise nobody can tell classes apart; the loss there goes to
 * the entropy of the labels, not to zero, and its gradient in x_t, which is all that guidance
 * takes, goes to zero with it.
 */
#include "train/classify.h"

#include "ops/basic.h"
#include "ops/cross_entropy.h"

#include <inttypes.h>
#include <math.h>

enum status classify_check(const int32_t *labels, int64_t n, int64_t classes, int64_t first,
                           struct error *err)
{
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] < 0)
            return fail(err, E_ARG,
                        "sample %" PRId64 " is a picture without a label: a classifier learns from "
                        "labelled ones alone",
                        first + i);
        if (labels[i] >= classes)
            return fail(err, E_ARG, "sample %" PRId64 " has label %d, of %" PRId64 " classes",
                        first + i, (int)labels[i], classes);
    }
    return OK;
}

struct tensor *classify_loss(struct graph *g, struct tensor *logits, const int32_t *labels)
{
    int64_t N = logits->shape.dim[0];
    struct tensor *each = op_cross_entropy(g, logits, graph_input_i32(g, SHAPE(N), labels));

    return op_affine(g, op_sum(g, each), 1 / (double)N, 0);
}

double classify_surprise(bool *right, const float *logits, int64_t classes, int32_t y)
{
    double top = (double)logits[0], sum = 0;
    int64_t best = 0;

    for (int64_t k = 1; k < classes; k++)
        if ((double)logits[k] > top) {
            top = (double)logits[k];
            best = k;
        }
    for (int64_t k = 0; k < classes; k++)
        sum += exp((double)logits[k] - top);
    *right = best == y;
    return log(sum) + top - (double)logits[y];
}
