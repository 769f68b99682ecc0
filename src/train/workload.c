/*
 * workload.c - what a network takes, counted on its tape before any of it exists
 *
 * A network of thirty thousand million weights has no place in the machine that plans it, but its
 * tape has: recording looks at shapes alone.  So nothing here is a formula of an architecture.  The
 * very forward that a small network is trained with is recorded, with its adjoints, on parameters
 * that have addresses and no memory (params_imagine), and then counted:
 *
 *     operations    of every node that would run, by what it is
 *     values        the largest sum of bytes alive at once, as the plan of a run has it
 *     weights       matrices of blocks, which a group of machines can share out by rows and
 *                   columns; the rest of blocks; and what lies outside
 *     branches      how often a block leaves the stream of tokens and comes back to it: once for
 *                   each attention, once for the feed-forward
 *
 * A change of the network changes the plan by itself.  What must stay true: a tape recorded here is
 * never run.  cluster.c divides the counts among machines.
 */
#include "train/workload.h"

#include "model/autoencoder.h"
#include "model/prompts.h"
#include "ops/attention_tiles.h"
#include "ops/basic.h"

#include <string.h>

/* Leaves point here; nobody reads it. */
static const float nothing[1];
static const int32_t no_number[1];

/* --- weights ------------------------------------------------------------------------------------
 */

static bool in_block(const struct param *q)
{
    static const char *const homes[] = {"blocks.", "joint_blocks.", "transformer_blocks."};

    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++)
        if (!strncmp(q->name, homes[i], strlen(homes[i])))
            return true;
    return false;
}

static void count_weights(struct workload *w, struct params *p)
{
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);
        int64_t n = q->trained ? shape_count(q->shape) : 0;

        w->weights += n;
        if (!in_block(q))
            w->outside += n;
        else if (q->matrix && q->shape.rank == 2)
            w->split += n;
        else
            w->whole += n;
    }
}

/* --- nodes --------------------------------------------------------------------------------------
 */

static bool begins(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

static void add_work(const struct tensor *y, void *user)
{
    struct work *w = user;
    double flops = y->op->flops ? y->op->flops(y) : 0;

    if (begins(y->op->name, "attention"))
        w->attention += flops;
    else if (begins(y->op->name, "linear") || begins(y->op->name, "conv"))
        w->linear += flops;
    else
        w->other += flops;
}

/* Attention of the longest sequence is the network's own; a text that it reads itself has its own
 * attention too. */
static void see_attention(const struct tensor *y, void *user)
{
    struct workload *w = user;
    int64_t tokens, width;

    if (strcmp(y->op->name, "attention") != 0)
        return;
    tokens = y->shape.dim[1];
    width = shape_last(y->shape);
    if (tokens * width > w->tokens * w->width) {
        w->tokens = tokens;
        w->width = width;
        w->heads = heads_of(y).heads;
        w->selves = w->branches = 0;
    }
    if (tokens != w->tokens || width != w->width)
        return;
    w->branches++;
    w->selves += shape_last(y->in[0]->shape) == 3 * width;
}

/* --- recording ----------------------------------------------------------------------------------
 */

static struct tensor *record_forward(struct graph *g, const struct network *net,
                                     const struct workload_question *q)
{
    const struct network_io *io = &net->io;
    int64_t rows = q->samples, tokens = io->context_length ? io->context_length : q->tokens;
    struct network_input in = {0};

    in.x = graph_input(g, network_shape(net, rows, io->in_channels), nothing);
    in.t = graph_input(g, SHAPE(rows), nothing);
    network_ask(g, io, &in, rows, no_number, no_number);
    if (io->context_width)
        network_tell(g, io, &in, rows, tokens, nothing, nothing);
    if (io->condition_channels)
        in.condition = graph_input(g, network_shape(net, rows, io->condition_channels), nothing);
    return network_forward(g, net, in);
}

/* Count the forward alone, on a graph of its own: no adjoint asks for anything to be kept. */
static enum status count_forward(struct workload *w, const struct network *net,
                                 const struct workload_question *q, struct error *err)
{
    struct graph_stats stats;
    struct graph *g;
    enum status st;

    if ((st = graph_new(&g, GRAPH_FROZEN, 1, err)))
        return st;
    graph_keep(g, record_forward(g, net, q));
    w->blocks = graph_segments(g);
    if (!(st = graph_visit(g, add_work, &w->forward, err)) &&
        !(st = graph_visit(g, see_attention, w, err)) && !(st = graph_outline(g, &stats, err)))
        w->values = stats.floor_bytes;
    w->branches += w->blocks;
    w->pass = w->forward;
    graph_free(g);
    return st;
}

static enum status count_training(struct workload *w, const struct network *net,
                                  const struct workload_question *q, struct error *err)
{
    struct graph_stats stats;
    struct tensor *y, *loss;
    struct graph *g;
    enum status st;

    if ((st = graph_new(&g, 0, 1, err)))
        return st;
    graph_set_recompute(g, q->repeats ? RECOMPUTE_ALL : RECOMPUTE_NOTHING);
    y = record_forward(g, net, q);
    loss = op_mse(g, y, graph_input(g, y->shape, nothing));
    graph_backward(g, loss);
    graph_keep(g, loss);
    w->pass = (struct work){0};
    if (!(st = graph_visit(g, add_work, &w->pass, err)) && !(st = graph_outline(g, &stats, err)))
        w->values = stats.floor_bytes;
    graph_free(g);
    return st;
}

enum status workload_find(struct workload *out, struct network *net,
                          const struct workload_question *q, struct error *err)
{
    enum status st;

    MUST(q->samples > 0, "a pass of no samples");
    *out = (struct workload){.samples = q->samples, .trains = q->trains, .repeats = q->repeats};
    if (net->io.factor || net->io.classifies)
        return fail(err, E_ARG, "a '%s' predicts nothing that pictures are made of",
                    net->kind->name);
    if (net->io.context_width && !net->io.context_length && q->tokens < 1)
        return fail(err, E_ARG, "a '%s' reads an encoded text, and nobody says of how many tokens",
                    net->kind->name);
    count_weights(out, net->params);
    if ((st = params_imagine(net->params, q->trains, err)) ||
        (st = count_forward(out, net, q, err)))
        return st;
    return q->trains ? count_training(out, net, q, err) : OK;
}

static struct shape half_shape(const struct network *net, const struct workload_half *h)
{
    const struct network_io *io = &net->io;
    int64_t by = h->decodes ? io->factor : 1;
    int64_t channels = h->decodes ? io->latent_channels : io->in_channels;
    int64_t frames = h->decodes ? autoencoder_latent_frames(net, h->frames) : h->frames;

    return io->frames ? SHAPE(1, frames, h->height / by, h->width / by, channels)
                      : SHAPE(1, h->height / by, h->width / by, channels);
}

enum status workload_find_half(struct workload *out, struct network *net,
                               const struct workload_half *half, struct error *err)
{
    struct graph_stats stats;
    struct tensor *x;
    struct graph *g;
    enum status st;

    *out = (struct workload){.samples = 1};
    if (!net->io.factor)
        return fail(err, E_ARG, "a '%s' is no autoencoder", net->kind->name);
    if ((st = autoencoder_check_size(net, half->height, half->width, err)) ||
        (st = params_imagine(net->params, false, err)) ||
        (st = graph_new(&g, GRAPH_FROZEN, 1, err)))
        return st;
    count_weights(out, net->params);
    x = graph_input(g, half_shape(net, half), nothing);
    graph_keep(g, half->decodes ? autoencoder_decode(g, net, x) : autoencoder_encode(g, net, x));
    if (!(st = graph_visit(g, add_work, &out->forward, err)) &&
        !(st = graph_outline(g, &stats, err)))
        out->values = stats.floor_bytes;
    out->pass = out->forward;
    graph_free(g);
    return st;
}
