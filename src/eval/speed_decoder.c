/*
 * speed_decoder.c - the ops of an autoencoder's decoder, from latents to pixels
 *
 * The sizes are those of the 16-channel decoder of Stable Diffusion 3: 512 channels at the latents'
 * resolution, then three doublings down to 128 channels, three residual blocks a level.  At 64 x 64
 * latents it takes 2.5 Tflop; here it starts from 32 x 32, a quarter of that.  Weights are random:
 * this says what the ops would do in that model, not what the model draws.
 */
#include "eval/speed_case.h"

#include "base/memory.h"
#include "nn/layers.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/resample.h"

#include <stdlib.h>

enum { LATENTS = 16, WIDE = 512, GROUPS = 32, LEVELS = 4, BLOCKS = 3 };
static const double EPS = 1e-6;
static const int64_t channels[LEVELS] = {512, 512, 256, 128};

struct block {
    struct group_norm norm1, norm2;
    struct conv conv1, conv2, skip;
    bool has_skip;
};

struct decoder {
    struct params *params;
    struct conv first, last, up[LEVELS];
    struct block middle[2], block[LEVELS][BLOCKS];
    struct group_norm norm, attend;
    struct linear qkv, proj;
    float *x; /* the job's block */
};

static void declare_block(struct block *b, struct scope s, int64_t in, int64_t out)
{
    b->has_skip = in != out;
    group_norm_init(&b->norm1, scope_in(s, "norm1"), in, GROUPS, EPS);
    conv_init(&b->conv1, scope_in(s, "conv1"), in, out, 3, 1, INIT_KAIMING);
    group_norm_init(&b->norm2, scope_in(s, "norm2"), out, GROUPS, EPS);
    conv_init(&b->conv2, scope_in(s, "conv2"), out, out, 3, 1, INIT_KAIMING);
    if (b->has_skip)
        conv_init(&b->skip, scope_in(s, "skip"), in, out, 1, 1, INIT_KAIMING);
}

static void declare_decoder(struct decoder *d)
{
    struct scope s = scope_root(d->params);
    int64_t in = WIDE;

    conv_init(&d->first, scope_in(s, "first"), LATENTS, WIDE, 3, 1, INIT_KAIMING);
    for (int k = 0; k < 2; k++)
        declare_block(&d->middle[k], scope_in(s, "middle.%d", k), WIDE, WIDE);
    group_norm_init(&d->attend, scope_in(s, "attend"), WIDE, GROUPS, EPS);
    linear_init(&d->qkv, scope_in(s, "qkv"), WIDE, 3 * WIDE, INIT_KAIMING);
    linear_init(&d->proj, scope_in(s, "proj"), WIDE, WIDE, INIT_KAIMING);
    for (int l = 0; l < LEVELS; l++) {
        for (int k = 0; k < BLOCKS; k++) {
            declare_block(&d->block[l][k], scope_in(s, "block.%d.%d", l, k), in, channels[l]);
            in = channels[l];
        }
        if (l < LEVELS - 1)
            conv_init(&d->up[l], scope_in(s, "up.%d", l), in, in, 3, 1, INIT_KAIMING);
    }
    group_norm_init(&d->norm, scope_in(s, "norm"), in, GROUPS, EPS);
    conv_init(&d->last, scope_in(s, "last"), in, 3, 3, 1, INIT_KAIMING);
}

static struct tensor *block_forward(struct graph *g, const struct block *b, struct tensor *x)
{
    struct tensor *h = nn_conv(g, &b->conv1, nn_group_norm(g, &b->norm1, x, NULL, true));

    h = nn_conv(g, &b->conv2, nn_group_norm(g, &b->norm2, h, NULL, true));
    return op_add(g, b->has_skip ? nn_conv(g, &b->skip, x) : x, h);
}

static struct tensor *attention_forward(struct graph *g, const struct decoder *d, struct tensor *x)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1] * x->shape.dim[2];
    struct tensor *h = nn_group_norm(g, &d->attend, x, NULL, false);

    h = nn_linear(g, &d->qkv, op_reshape(g, h, SHAPE(N, T, WIDE)));
    h = nn_linear(g, &d->proj, op_attention(g, h, 1, QKV_SPLIT));
    return op_add(g, x, op_reshape(g, h, x->shape));
}

static struct tensor *decoder_forward(struct graph *g, const struct decoder *d, struct tensor *x)
{
    x = block_forward(g, &d->middle[0], nn_conv(g, &d->first, x));
    x = block_forward(g, &d->middle[1], attention_forward(g, d, x));
    for (int l = 0; l < LEVELS; l++) {
        for (int k = 0; k < BLOCKS; k++)
            x = block_forward(g, &d->block[l][k], x);
        if (l < LEVELS - 1)
            x = nn_conv(g, &d->up[l], op_upsample2(g, x));
    }
    return nn_conv(g, &d->last, nn_group_norm(g, &d->norm, x, NULL, true));
}

static void close_decoder(void *own)
{
    struct decoder *d = own;

    if (!d)
        return;
    params_free(d->params);
    free(d);
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
    if ((st = params_new(&d->params, err)))
        return st;
    declare_decoder(d);
    if ((st = params_alloc(d->params, false, err)) || (st = speed_graph(j, GRAPH_FROZEN, err)))
        return st;
    params_init(d->params, 1);
    j->weights = params_weights(d->params);
    d->x = speed_values(j, n[0] * n[1] * n[1] * LATENTS);
    if (j->failed && err)
        *err = j->failure;
    return j->failed;
}

static enum status run_decoder(struct speed_job *j, struct error *err)
{
    const struct decoder *d = j->own;
    const int64_t *n = j->is->n;

    graph_reset(j->graph);
    graph_keep(j->graph,
               decoder_forward(j->graph, d,
                               graph_input(j->graph, SHAPE(n[0], n[1], n[1], LATENTS), d->x)));
    return graph_run(j->graph, err);
}

static const struct speed_case decoder_cases[] = {
    {"decoder ops, 32 x 32 x 16 to 256 x 256, batch 1", NULL, {1, 32}, NULL},
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
