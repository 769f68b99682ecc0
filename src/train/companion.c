/*
 * companion.c - parameters that learn beside the model's
 *
 * Some losses have parameters of their own: a discriminator, the scale of an error.  They are no
 * part of the model, which is sampled without them, but they are part of the run: moments and all
 * must be in its checkpoint, or a resumed run would be another.  So each keeps the arrays that an
 * optimizer needs, and the checkpoint takes a list of them.
 *
 * There is no average: it would be an average of opponents, which nobody meets again.
 */
#include "train/companion.h"

#include "base/memory.h"

#include <string.h>

static enum status make(float **out, const struct companion *l, struct error *err)
{
    return mem_block_new((void **)out, (uint64_t)params_n_trained(l->params), sizeof **out, l->name,
                         err);
}

enum status companion_init(struct companion *l, const char *name, struct params *params,
                           int64_t batches, struct error *err)
{
    enum status st;

    *l = (struct companion){.name = name, .params = params};
    if ((st = make(&l->m, l, err)) || (st = make(&l->v, l, err)))
        return st;
    return batches > 1 ? make(&l->total, l, err) : OK;
}

void companion_release(struct companion *l)
{
    uint64_t n = l->params ? (uint64_t)params_n_trained(l->params) : 0;

    mem_block_free(l->m, n, sizeof *l->m);
    mem_block_free(l->v, n, sizeof *l->v);
    mem_block_free(l->total, n, sizeof *l->total);
    memset(l, 0, sizeof *l);
}

void companion_add(struct companion *l, int64_t k, int64_t n)
{
    if (l->total)
        gradient_add(l->total, params_grads(l->params), params_n_trained(l->params), 1 / (float)n,
                     !k);
}

static const float *gradient_of(const struct companion *l)
{
    return l->total ? l->total : params_grads(l->params);
}

double companion_measure(struct companion *l)
{
    l->norm = gradient_norm(gradient_of(l), params_n_trained(l->params));
    return l->norm;
}

void companion_step(struct companion *l, const struct adamw *a)
{
    adamw_step(params_values(l->params), l->m, l->v, NULL, gradient_of(l),
               params_n_trained(l->params), l->norm, a);
}

void companion_blocks(struct footprint_block out[COMPANION_BLOCKS], const struct companion *l)
{
    uint64_t n = (uint64_t)params_n_values(l->params) * sizeof(float);
    uint64_t n_trained = (uint64_t)params_n_trained(l->params) * sizeof(float);

    out[0] = (struct footprint_block){params_values(l->params), n};
    out[1] = (struct footprint_block){params_grads(l->params), n_trained};
    out[2] = (struct footprint_block){l->m, n_trained};
    out[3] = (struct footprint_block){l->v, n_trained};
    out[4] = (struct footprint_block){l->total, l->total ? n_trained : 0};
}
