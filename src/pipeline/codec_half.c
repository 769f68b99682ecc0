/*
 * codec_half.c - one half of an autoencoder over a batch of pictures, recorded and run
 *
 * The graph is recorded anew for each run, which is cheap, and its plan is kept from run to run,
 * which is not.  Plans of a frozen graph hold packed copies of the weights, each its own.  Only the
 * present one is kept: a folder of pictures of a hundred sizes must not hold the weights a hundred
 * times.
 *
 * A posterior is drawn from by itself, behind the encoder: what comes of a picture in pieces is put
 * together first, and the noise is of the whole picture.  Drawn piece by piece, the noise of two
 * pieces would be averaged where they overlap, and a latent would be less noisy there than the
 * encoder says.
 */
#include "pipeline/codec_half.h"

#include "base/memory.h"
#include "base/rng.h"

#include <stdlib.h>

/* --- sizes --------------------------------------------------------------------------------------
 */

int64_t codec_code_channels(const struct codec *c, bool code)
{
    return c->net->io.latent_channels * (code && c->net->io.gaussian ? 2 : 1);
}

int64_t codec_half_in(const struct codec *c, const struct codec_half *h)
{
    const struct network_io *io = &c->net->io;

    return h->half == HALVES_DECODER
               ? h->rows * h->columns * io->latent_channels
               : h->rows * io->factor * h->columns * io->factor * io->in_channels;
}

int64_t codec_half_out(const struct codec *c, const struct codec_half *h)
{
    struct codec_half back = *h;

    if (h->half != HALVES_DECODER)
        return h->rows * h->columns * codec_code_channels(c, h->code);
    back.half = HALVES_ENCODER;
    return codec_half_in(c, &back);
}

/* --- recording ----------------------------------------------------------------------------------
 */

/* To an autoencoder of videos a picture is a video of one frame. */
static struct shape shape_of(const struct codec *c, const struct codec_half *h, int64_t height,
                             int64_t width, int64_t channels)
{
    return c->net->io.frames ? SHAPE(h->batch, 1, height, width, channels)
                             : SHAPE(h->batch, height, width, channels);
}

struct tensor *codec_half_record(struct codec *c, const struct codec_half *h, const float *x)
{
    const struct network_io *io = &c->net->io;
    struct graph *g = c->graph;
    struct tensor *y;

    graph_reset(g);
    if (h->half == HALVES_DECODER) {
        y = graph_input(g, shape_of(c, h, h->rows, h->columns, io->latent_channels), x);
        y = autoencoder_decode(g, c->net, y);
        if (io->frames)
            y = autoencoder_cut(g, y, 1);
    } else {
        y = graph_input(
            g, shape_of(c, h, h->rows * io->factor, h->columns * io->factor, io->in_channels), x);
        y = autoencoder_encode(g, c->net, y);
        if (!h->code)
            y = autoencoder_latents(g, c->net, y, NULL);
    }
    graph_keep(g, y);
    return y;
}

static bool same(const struct codec_half *a, const struct codec_half *b)
{
    return a->half == b->half && a->code == b->code && a->batch == b->batch && a->rows == b->rows &&
           a->columns == b->columns;
}

void codec_half_choose(struct codec *c, const struct codec_half *h)
{
    if (!same(&c->planned, h))
        graph_forget(c->graph);
    c->planned = *h;
}

enum status codec_half_run(struct codec *c, const struct codec_half *h, float *out, const float *in,
                           struct error *err)
{
    struct tensor *y;
    enum status st;

    codec_half_choose(c, h);
    y = codec_half_record(c, h, in);
    if ((st = graph_run(c->graph, err)))
        return st;
    graph_read(c->graph, y, out);
    return OK;
}

struct graph *codec_graph(struct codec *c)
{
    graph_forget(c->graph);
    c->planned = (struct codec_half){0};
    return c->graph;
}

enum status codec_draw(struct codec *c, uint64_t seed, float *latent, const float *code,
                       int64_t cells, uint64_t index, struct error *err)
{
    int64_t C = c->net->io.latent_channels;
    struct rng r = rng_stream(seed, RNG_LATENT, index);
    struct graph *g = c->graph;
    struct tensor *z;
    float *noise;
    enum status st;

    if ((st = mem_new((void **)&noise, (uint64_t)(cells * C), sizeof *noise, "noise", err)))
        return st;
    rng_normals(&r, noise, cells * C);
    graph_reset(g);
    z = autoencoder_latents(g, c->net, graph_input(g, SHAPE(1, cells, 1, 2 * C), code),
                            graph_input(g, SHAPE(1, cells, 1, C), noise));
    graph_keep(g, z);
    if (!(st = graph_run(g, err)))
        graph_read(g, z, latent);
    free(noise);
    return st;
}
