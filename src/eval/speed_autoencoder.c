/*
 * speed_autoencoder.c - an autoencoder's halves, from pixels to latents and from latents to pixels
 *
 * The 16-channel autoencoder of Stable Diffusion 3: 512 channels at the latents' resolution, an
 * eighth of the picture's, and 128 at the picture's.  The decoder has three residual blocks a level
 * to the encoder's two and doubles the picture before a level's convolutions, not behind them, so
 * it takes more than twice as long: 2.5 Tflop for a picture of 512 x 512, and a quarter of that at
 * 256 x 256.  The temporal one has half its channels and looks along time behind every layer: a
 * tile of clips as they are coded, 32 frames that become 4.  Weights are random: this says how long
 * the model takes, not what it draws.
 */
#include "eval/speed_case.h"

#include "base/memory.h"
#include "model/vae.h"
#include "model/video_vae.h"

#include <stdlib.h>

enum { LATENTS = 16, CHANNELS = 3, WIDTH = 128, TEMPORAL_WIDTH = 64 };

struct half {
    struct network *net;
    float *in; /* the job's block */
};

static void close_half(void *own)
{
    struct half *h = own;

    if (!h)
        return;
    network_free(h->net);
    free(h);
}

/* width: channels at the picture's resolution. */
static enum status make_network(struct network **out, enum autoencoder_halves which, bool video,
                                struct error *err)
{
    json_t *config =
        json_pack("{s:i, s:i, s:s}", "latent_channels", LATENTS, "width",
                  video ? TEMPORAL_WIDTH : WIDTH, "halves", autoencoder_halves_names[which]);
    enum status st;

    if (!config)
        return fail(err, E_MEMORY, "no memory for a configuration");
    st = network_from_json(out, video ? &network_video_vae : &network_vae, config, false, err);
    json_decref(config);
    return st;
}

/* What goes in.  n: pictures, their side; and, of clips, how many frames. */
static struct shape shape_in(const int64_t *n, int64_t channels)
{
    return n[2] ? SHAPE(n[0], n[2], n[1], n[1], channels) : SHAPE(n[0], n[1], n[1], channels);
}

static enum status open_half(struct speed_job *j, enum autoencoder_halves which, int64_t channels,
                             struct error *err)
{
    const int64_t *n = j->is->n;
    struct half *h;
    enum status st;

    if ((st = mem_new(&j->own, 1, sizeof *h, "half an autoencoder", err)))
        return st;
    h = j->own;
    if ((st = make_network(&h->net, which, n[2] > 0, err)) ||
        (st = speed_graph(j, GRAPH_FROZEN, err)))
        return st;
    params_init(h->net->params, 1);
    j->weights = params_weights(h->net->params);
    h->in = speed_values(j, shape_count(shape_in(n, channels)));
    if (j->failed && err)
        *err = j->failure;
    return j->failed;
}

static enum status open_encoder(struct speed_job *j, struct error *err)
{
    return open_half(j, HALVES_ENCODER, CHANNELS, err);
}

static enum status open_decoder(struct speed_job *j, struct error *err)
{
    return open_half(j, HALVES_DECODER, LATENTS, err);
}

static enum status run_encoder(struct speed_job *j, struct error *err)
{
    const struct half *h = j->own;
    struct graph *g = j->graph;

    graph_reset(g);
    graph_keep(g,
               autoencoder_encode(g, h->net, graph_input(g, shape_in(j->is->n, CHANNELS), h->in)));
    return graph_run(g, err);
}

static enum status run_decoder(struct speed_job *j, struct error *err)
{
    const struct half *h = j->own;
    struct graph *g = j->graph;

    graph_reset(g);
    graph_keep(g,
               autoencoder_decode(g, h->net, graph_input(g, shape_in(j->is->n, LATENTS), h->in)));
    return graph_run(g, err);
}

static const struct speed_case encoder_cases[] = {
    {"encoder 256 x 256 to 32 x 32 x 16, batch 1", NULL, {1, 256}, NULL},
    {"encoder 512 x 512 to 64 x 64 x 16, batch 1", NULL, {1, 512}, NULL},
    {"encoder, temporal, 32 x 64 x 64 to 4 x 8 x 8 x 16, batch 1", NULL, {1, 64, 32}, NULL},
    {0},
};

static const struct speed_case decoder_cases[] = {
    {"decoder 32 x 32 x 16 to 256 x 256, batch 1", NULL, {1, 32}, NULL},
    {"sd3 decoder 64 x 64 x 16 to 512 x 512, batch 1", NULL, {1, 64}, NULL},
    {"decoder, temporal, 4 x 8 x 8 x 16 to 32 x 64 x 64, batch 1", NULL, {1, 8, 4}, NULL},
    {0},
};

const struct speed_family family_encoder = {
    .name = "encoder",
    .whole = "",
    .open = open_encoder,
    .run = run_encoder,
    .close = close_half,
    .cases = encoder_cases,
};

const struct speed_family family_decoder = {
    .name = "decoder",
    .whole = "",
    .open = open_decoder,
    .run = run_decoder,
    .close = close_half,
    .cases = decoder_cases,
};
