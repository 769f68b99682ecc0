/*
 * speed_decoder.c - an autoencoder's decoder, from latents to pixels
 *
 * The 16-channel decoder of Stable Diffusion 3: 512 channels at the latents' resolution, then three
 * doublings down to 128 channels, three residual blocks a level.  At 64 x 64 latents, a picture of
 * 512 x 512, it takes 2.5 Tflop; 32 x 32 are a quarter of that.  Weights are random: this says how
 * long the model takes, not what it draws.
 */
#include "eval/speed_case.h"

#include "base/memory.h"
#include "model/vae.h"

#include <stdlib.h>

enum { LATENTS = 16 };

struct decoder {
    struct network *net;
    float *z; /* the job's block */
};

static void close_decoder(void *own)
{
    struct decoder *d = own;

    if (!d)
        return;
    network_free(d->net);
    free(d);
}

static enum status make_network(struct network **out, struct error *err)
{
    json_t *config = json_pack("{s:i, s:s}", "latent_channels", LATENTS, "halves",
                               autoencoder_halves_names[HALVES_DECODER]);
    enum status st;

    if (!config)
        return fail(err, E_MEMORY, "no memory for a configuration");
    st = network_from_json(out, &network_vae, config, false, err);
    json_decref(config);
    return st;
}

/* n: pictures, side of the latents. */
static enum status open_decoder(struct speed_job *j, struct error *err)
{
    const int64_t *n = j->is->n;
    struct decoder *d;
    enum status st;

    if ((st = mem_new(&j->own, 1, sizeof *d, "a decoder", err)))
        return st;
    d = j->own;
    if ((st = make_network(&d->net, err)) || (st = speed_graph(j, GRAPH_FROZEN, err)))
        return st;
    params_init(d->net->params, 1);
    j->weights = params_weights(d->net->params);
    d->z = speed_values(j, n[0] * n[1] * n[1] * LATENTS);
    if (j->failed && err)
        *err = j->failure;
    return j->failed;
}

static enum status run_decoder(struct speed_job *j, struct error *err)
{
    const struct decoder *d = j->own;
    const int64_t *n = j->is->n;
    struct graph *g = j->graph;

    graph_reset(g);
    graph_keep(
        g, autoencoder_decode(g, d->net, graph_input(g, SHAPE(n[0], n[1], n[1], LATENTS), d->z)));
    return graph_run(g, err);
}

static const struct speed_case decoder_cases[] = {
    {"decoder 32 x 32 x 16 to 256 x 256, batch 1", NULL, {1, 32}, NULL},
    {"decoder 64 x 64 x 16 to 512 x 512, batch 1", NULL, {1, 64}, NULL},
    {0},
};

const struct speed_family family_decoder = {
    .name = "decoder",
    .whole = "",
    .open = open_decoder,
    .run = run_decoder,
    .close = close_decoder,
    .cases = decoder_cases,
};
