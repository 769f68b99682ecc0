/*
 * opponent.c - the discriminator of an autoencoder's training, with all that it learns by
 *
 * The game itself is adversary.c's and the network patchgan.c's; here is what of it lasts from step
 * to step.  Both sides move at once: the discriminator's gradient is taken of the very pictures
 * that the autoencoder made in this step, on the same tape, which costs one pass through the
 * autoencoder where moves in turn cost two.
 *
 * It begins late (Esser et al. 2021): before pictures look like anything, telling them from true
 * ones is no art and teaches nothing.  Its optimizer counts from its own first step, so that the
 * moments' bias is corrected.  Weights do not decay: it is to follow, not to be simple.
 */
#include "train/opponent.h"

#include "base/memory.h"
#include "ops/basic.h"

#include <stdlib.h>

enum { FALSE_ONES, TRUE_ONES, BOTH };

/* Parameters of a network are drawn by (seed, number); the model's own has the same numbers. */
static const uint64_t OTHER_SEED = 0x6f70706f6e656e74;

struct opponent {
    const struct opponent_options *options;
    struct patchgan *d;
    struct companion companion;
    struct patchgan_seen seen[BOTH];
    struct tensor *loss, *ratio; /* of the present tape */
    struct opponent_says says;
};

enum status opponent_new(struct opponent **out, const struct opponent_setting *setting,
                         struct error *err)
{
    const struct opponent_options *options = setting->options;
    const struct patchgan_config config = {setting->channels, options->width, options->layers};
    struct opponent *o = NULL;
    enum status st;

    *out = NULL;
    if ((st = adversary_check(&options->how, err)) ||
        (st = mem_new((void **)&o, 1, sizeof *o, "an opponent", err)))
        return st;
    o->options = options;
    if ((st = patchgan_new(&o->d, &config, err)) ||
        (st = patchgan_check(o->d, setting->height, setting->width, err)) ||
        (st = companion_init(&o->companion, "discriminator", patchgan_params(o->d),
                             setting->batches, err))) {
        opponent_free(o);
        return st;
    }
    params_init(patchgan_params(o->d), setting->seed ^ OTHER_SEED);
    *out = o;
    return OK;
}

void opponent_free(struct opponent *o)
{
    if (!o)
        return;
    companion_release(&o->companion);
    patchgan_free(o->d);
    free(o);
}

struct companion *opponent_companion(struct opponent *o)
{
    return &o->companion;
}

bool opponent_begun(const struct opponent *o, int64_t step)
{
    return adversary_begun(&o->options->how, step);
}

struct tensor *opponent_record(struct opponent *o, struct graph *g, const struct opponent_move *m)
{
    struct tensor *fake = patchgan_forward(g, o->d, m->shown, &o->seen[FALSE_ONES]);
    struct tensor *real = patchgan_forward(g, o->d, m->x, &o->seen[TRUE_ONES]), *decoder;

    decoder = adversary_join(g, &o->options->how, m->y, m->shown, m->last, m->nll,
                             hinge_generator(g, fake), &o->ratio);
    o->loss = hinge_discriminator(g, real, fake);
    graph_keep(g, o->loss);
    graph_keep(g, o->ratio);
    return op_mix(g, decoder, o->loss, m->share, 1);
}

void opponent_ran(struct opponent *o, struct graph *g, int64_t k, int64_t n)
{
    float loss, ratio;

    patchgan_update(o->d, g, &o->seen[TRUE_ONES]);
    patchgan_update(o->d, g, &o->seen[FALSE_ONES]);
    graph_read(g, o->loss, &loss);
    graph_read(g, o->ratio, &ratio);
    o->says = (struct opponent_says){true, (double)loss, (double)ratio};
    companion_add(&o->companion, k, n);
}

struct opponent_says opponent_said(const struct opponent *o)
{
    return o->says;
}

void opponent_step(struct opponent *o, const struct adamw *a)
{
    struct adamw own = *a;

    own.lr *= o->options->rate;
    own.weight_decay = 0;
    own.step -= o->options->how.start;
    companion_step(&o->companion, &own);
}
