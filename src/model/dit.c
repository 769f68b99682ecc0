/*
 * dit.c - the diffusion transformer
 *
 * Cut the picture into p x p patches, make each a token, add fixed positions, and run transformer
 * blocks whose normalisations are shifted, scaled and gated by the embedded time and label
 * (adaLN-Zero). Gates and the last layer start at zero, so every block begins as the identity and
 * the network as the constant zero: training then switches the blocks on one by one.  Peebles and
 * Xie 2023, "Scalable diffusion models with transformers".
 *
 *     x [N,H,W,C] -> patches -> linear + positions -> blocks(c) -> norm(c) -> linear -> pixels
 *     c [N,D]     =  mlp(time features of t) + table[y]
 *
 * Patches list their features as (row, column, channel), which is what channels-last pictures give;
 * public checkpoints order the embedding's input as (channel, row, column), and the loader
 * permutes.
 *
 * The modern options are those of Yao et al. 2025, "Reconstruction vs. generation" (LightningDiT):
 * RMS norm, SwiGLU, rotary positions, norms of queries and keys, modulation without shifts.
 */
#include "model/dit.h"
#include "model/dit_parts.h"

#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/resample.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static const struct option options[] = {
    {"size", "height and width of the pictures", OPTION_INT, offsetof(struct dit_config, size),
     "32", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct dit_config, channels), "3",
     .lo = 1, .hi = 256},
    {"classes", "labels a request can name; 0: none", OPTION_INT,
     offsetof(struct dit_config, classes), "0", .lo = 0, .hi = 1000000},
    {"null_class", "one more label that means no request", OPTION_BOOL,
     offsetof(struct dit_config, null_class), .fallback = "true"},
    {"preset", "width, depth and heads of a published size", OPTION_CHOICE,
     offsetof(struct dit_config, preset), "custom",
     .choices = (const char *const[]){"custom", "S", "B", "L", "XL", NULL}},
    {"patch", "side of a patch in pixels", OPTION_INT, offsetof(struct dit_config, patch), "2",
     .lo = 1, .hi = 256},
    {"width", "features of a token, a multiple of 4", OPTION_INT,
     offsetof(struct dit_config, width), "384", .lo = 4, .hi = DIT_WIDTH_MAX},
    {"depth", "blocks", OPTION_INT, offsetof(struct dit_config, depth), "12", .lo = 1, .hi = 256},
    {"heads", "attention heads", OPTION_INT, offsetof(struct dit_config, heads), "6", .lo = 1,
     .hi = 1024},
    {"mlp_ratio", "width of the feed-forward part over the width", OPTION_REAL,
     offsetof(struct dit_config, mlp_ratio), "4", .lo = 0.25, .hi = 16},
    {"dropout", "share of what a block adds that is left out, in training alone", OPTION_REAL,
     offsetof(struct dit_config, dropout), "0", .lo = 0, .hi = 0.9},
    {"learn_sigma", "predict a variance beside each channel", OPTION_BOOL,
     offsetof(struct dit_config, learn_sigma), .fallback = "false"},
    {"rmsnorm", "RMS norm in place of layer norm", OPTION_BOOL,
     offsetof(struct dit_config, rmsnorm), .fallback = "false"},
    {"swiglu", "gated feed-forward (Shazeer 2020)", OPTION_BOOL,
     offsetof(struct dit_config, swiglu), .fallback = "false"},
    {"rope", "rotary positions (Su et al. 2021) besides the table", OPTION_BOOL,
     offsetof(struct dit_config, rope), .fallback = "false"},
    {"qk_norm", "norm of queries and keys", OPTION_BOOL, offsetof(struct dit_config, qk_norm),
     .fallback = "false"},
    {"no_shift", "modulate by scale and gate only", OPTION_BOOL,
     offsetof(struct dit_config, no_shift), .fallback = "false"},
    {0},
};

struct dims {
    int64_t width, depth, heads, hidden;
};

/* Peebles and Xie 2023, table 1. */
static struct dims dims_of(const struct dit_config *c)
{
    static const struct dims preset[] = {
        [DIT_S] = {384, 12, 6, 0},
        [DIT_B] = {768, 12, 12, 0},
        [DIT_L] = {1024, 24, 16, 0},
        [DIT_XL] = {1152, 28, 16, 0},
    };
    struct dims d = c->preset == DIT_CUSTOM ? (struct dims){c->width, c->depth, c->heads, 0}
                                            : preset[c->preset];

    d.hidden = (int64_t)((double)d.width * c->mlp_ratio * (c->swiglu ? 2.0 / 3 : 1));
    return d;
}

static struct dit_geometry geometry_of(const struct dit_config *c)
{
    struct dims d = dims_of(c);

    return (struct dit_geometry){.size = c->size,
                                 .channels = c->channels,
                                 .patch = c->patch,
                                 .width = d.width,
                                 .heads = d.heads};
}

static enum status dit_check(const void *config, struct error *err)
{
    const struct dit_config *c = config;
    struct dit_geometry d = geometry_of(c);
    enum status st;

    if ((st = dit_check_geometry("dit", &d, err)))
        return st;
    if (c->rope && d.width / d.heads % 4)
        return fail(err, E_ARG, "dit.rope: heads of %" PRId64 " features, not a multiple of 4",
                    d.width / d.heads);
    return OK;
}

static void dit_io(const void *config, struct network_io *io)
{
    const struct dit_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .out_channels = c->channels * (c->learn_sigma ? 2 : 1),
        .n_classes = c->classes,
        .n_labels = c->classes + (c->classes && c->null_class),
        .null_label = c->classes && c->null_class ? (int32_t)c->classes : -1,
    };
    network_count_attention(io, dims_of(c).depth);
}

/* --- rotary tables ------------------------------------------------------------------------------
 */

/* [T, d] of cosines or sines: the first half of a head turns with the row, the second with the
 * column; each frequency serves a pair of neighbours. */
static void rotary_table(float *out, struct shape shape, const void *config, double (*wave)(double))
{
    const struct dit_config *c = config;
    int64_t grid = c->size / c->patch, d = shape_last(shape);

    for (int64_t i = 0; i < grid * grid; i++)
        for (int64_t k = 0; k < d; k++) {
            int64_t j = k % (d / 2) / 2;
            double place = (double)(k < d / 2 ? i / grid : i % grid);

            out[i * d + k] = (float)wave(place * pow(10000, -2 * (double)j / ((double)d / 2)));
        }
}

static void rotary_cos(float *out, struct shape shape, const void *config)
{
    rotary_table(out, shape, config, cos);
}

static void rotary_sin(float *out, struct shape shape, const void *config)
{
    rotary_table(out, shape, config, sin);
}

/* --- declaration --------------------------------------------------------------------------------
 */

struct dit {
    struct dims d;
    struct dit_embedders embed;
    const struct param *labels;
    struct dit_rotary rotary;
    struct dit_final last;
    struct dit_block block[];
};

static const struct param *table(struct scope s, const char *name, struct shape shape,
                                 init_table *fill, const void *config)
{
    return params_add(s, name, shape,
                      (struct init){.kind = INIT_TABLE, .table = fill, .config = config});
}

static struct dit_block_form form_of(const struct dit_config *c)
{
    return (struct dit_block_form){
        .hidden = dims_of(c).hidden,
        .rmsnorm = c->rmsnorm,
        .swiglu = c->swiglu,
        .qk_norm = c->qk_norm,
        .no_shift = c->no_shift,
        .dropout = c->dropout,
    };
}

static void embedders_declare(struct dit *m, const struct dit_config *c, int64_t n_labels,
                              struct scope s)
{
    struct dit_geometry d = geometry_of(c);
    int64_t T = (d.size / d.patch) * (d.size / d.patch);

    dit_embedders_declare(&m->embed, &d, s);
    if (n_labels)
        m->labels = params_add(s, "y_embedder.embedding_table.weight", SHAPE(n_labels, d.width),
                               (struct init){.kind = INIT_NORMAL, .std = 0.02});
    if (c->rope) {
        m->rotary.cos = table(s, "feat_rope.freqs_cos", SHAPE(T, d.width / d.heads), rotary_cos, c);
        m->rotary.sin = table(s, "feat_rope.freqs_sin", SHAPE(T, d.width / d.heads), rotary_sin, c);
    }
}

static void *dit_declare(const void *config, struct scope s)
{
    const struct dit_config *c = config;
    struct dims d = dims_of(c);
    struct dit *m = calloc(1, sizeof *m + (size_t)d.depth * sizeof m->block[0]);
    struct dit_geometry geometry = geometry_of(c);
    struct dit_block_form form = form_of(c);
    struct network_io io;

    if (!m)
        return NULL;
    m->d = d;
    dit_io(c, &io);
    embedders_declare(m, c, io.n_labels, s);
    for (int64_t i = 0; i < d.depth; i++)
        dit_block_declare(&m->block[i], &geometry, &form, scope_in(s, "blocks.%d", (int)i));
    dit_final_declare(&m->last, &geometry, c->rmsnorm, io.out_channels, scope_in(s, "final_layer"));
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* c [N, D]: what time and label have to say, added. */
static struct tensor *condition(struct graph *g, const struct network *net, struct network_input in)
{
    const struct dit *m = net->layers;
    struct tensor *c = dit_time(g, net, &m->embed, in.t), *y;

    if (!m->labels)
        return c;
    MUST(in.y, "a class-conditional network needs labels");
    y = op_embedding(g, nn_param(g, m->labels), in.y);
    network_show(net, y, "y_embedder");
    return op_add(g, c, y);
}

static struct tensor *dit_forward(struct graph *g, const struct network *net,
                                  struct network_input in)
{
    const struct dit_config *c = net->config;
    const struct dit *m = net->layers;
    struct tensor *x = dit_tokens(g, net, &m->embed, in.x), *cond;

    cond = condition(g, net, in);
    network_show(net, cond, "c");
    cond = op_silu(g, cond);
    for (int i = 0; i < m->d.depth; i++) {
        struct segment s = segment_open(g);

        x = dit_block_forward(g, net, &in, i, &m->block[i], &m->rotary, x, cond);
        segment_close(g, s);
        network_show(net, x, "blocks.%d", i);
    }
    x = dit_final_forward(g, &m->last, x, cond);
    network_show(net, x, "final_layer");
    return op_unpatchify(g, x, c->size, c->size, c->patch);
}

const struct network_kind network_dit = {
    .name = "dit",
    .summary = "diffusion transformer with adaptive layer norm",
    .paper = "Peebles and Xie 2023",
    .options = options,
    .config_bytes = sizeof(struct dit_config),
    .check = dit_check,
    .declare = dit_declare,
    .io = dit_io,
    .forward = dit_forward,
};
