/*
 * dit_parts.c - what every diffusion transformer has
 *
 * The class-conditional transformer, the one that attends to a text and the one with two streams
 * differ in their blocks.  How a picture becomes tokens, how time becomes a vector and how tokens
 * become pixels again is the same in all of them, down to the names of the parameters: Peebles and
 * Xie 2023, sections 3.2 and 3.3.
 *
 * Parameters draw their first values from a stream numbered by the order of declaration, so that
 * order is part of what a seed means: it may be added to at the end of a network, not changed.
 */
#include "model/dit_parts.h"

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/norm.h"
#include "ops/resample.h"
#include "ops/sequence.h"

#include <inttypes.h>
#include <math.h>

enum { TIME_FEATURES = 256 };

enum status dit_check_geometry(const char *kind, const struct dit_geometry *d, struct error *err)
{
    if (d->size % d->patch)
        return fail(err, E_ARG,
                    "%s.patch: patches of %" PRId64 " do not divide pictures of %" PRId64, kind,
                    d->patch, d->size);
    if (d->width % 4)
        return fail(err, E_ARG, "%s.width: %" PRId64 " is no multiple of 4", kind, d->width);
    if (d->width % d->heads)
        return fail(err, E_ARG, "%s.heads: %" PRId64 " heads do not divide a width of %" PRId64,
                    kind, d->heads, d->width);
    return OK;
}

/* --- tokens -------------------------------------------------------------------------------------
 */

/* out[0..M-1]: sines then cosines of s over M/2 geometric frequencies. */
static void encode_coordinate(float *out, int64_t M, double s)
{
    for (int64_t k = 0; k < M / 2; k++) {
        double angle = s * pow(10000, -(double)k / ((double)M / 2));

        out[k] = (float)sin(angle);
        out[M / 2 + k] = (float)cos(angle);
    }
}

/* [1, side side, D]: the first half of a row encodes the column of its patch, the second half the
 * row.  A table of another side spans the same coordinates, 0 .. base. */
static void position_table(float *out, struct shape shape, const void *config)
{
    const struct dit_embedders *e = config;
    int64_t D = shape_last(shape);

    for (int64_t i = 0; i < e->side * e->side; i++) {
        encode_coordinate(out + i * D, D / 2, (double)(i % e->side * e->base) / (double)e->side);
        encode_coordinate(out + i * D + D / 2, D / 2,
                          (double)(i / e->side * e->base) / (double)e->side);
    }
}

void dit_embedders_declare(struct dit_embedders *e, const struct dit_geometry *d, struct scope s)
{
    struct scope patches = scope_in(s, "x_embedder.proj");

    e->patch = d->patch;
    e->base = d->size / d->patch;
    e->side = d->positions ? d->positions : e->base;
    e->positions =
        params_add_matrix(s, "pos_embed", SHAPE(1, e->side * e->side, d->width),
                          (struct init){.kind = INIT_TABLE, .table = position_table, .config = e});
    e->patches.weight = params_add_patch(patches, "weight", d->width, d->channels, d->patch,
                                         (struct init){.kind = INIT_XAVIER});
    e->patches.bias =
        params_add(patches, "bias", SHAPE(d->width), (struct init){.kind = INIT_ZERO});
    linear_init_normal(&e->time1, scope_in(s, "t_embedder.mlp.0"), TIME_FEATURES, d->width, 0.02);
    linear_init_normal(&e->time2, scope_in(s, "t_embedder.mlp.2"), d->width, d->width, 0.02);
}

struct tensor *dit_tokens(struct graph *g, const struct network *net, const struct dit_embedders *e,
                          struct tensor *x)
{
    int64_t height = x->shape.dim[1] / e->patch, width = x->shape.dim[2] / e->patch;
    struct tensor *positions = nn_param(g, e->positions);

    x = nn_linear(g, &e->patches, op_patchify(g, x, e->patch));
    network_show(net, x, "x_embedder");
    if (height != e->side || width != e->side || positions->dtype == DTYPE_STORED) {
        positions = op_window(g, positions,
                              (struct grid_window){e->side, (e->side - height) / 2,
                                                   (e->side - width) / 2, height, width});
    }
    network_show(net, positions, "pos_embed");
    return op_add_vec(g, x, positions);
}

struct tensor *dit_time(struct graph *g, const struct network *net, const struct dit_embedders *e,
                        struct tensor *t)
{
    struct tensor *f = op_time_features(g, t, TIME_FEATURES), *c;

    network_show(net, f, "t_freq");
    c = nn_linear(g, &e->time2, nn_linear_act(g, &e->time1, f, ACT_SILU));
    network_show(net, c, "t_embedder");
    return c;
}

/* --- blocks -------------------------------------------------------------------------------------
 */

void dit_mlp_declare(struct dit_mlp *m, struct scope s, int64_t width, int64_t hidden, bool gated)
{
    m->gated = gated;
    linear_init(&m->up, scope_in(s, gated ? "w12" : "fc1"), width, (gated ? 2 : 1) * hidden,
                INIT_XAVIER);
    linear_init(&m->down, scope_in(s, gated ? "w3" : "fc2"), hidden, width, INIT_XAVIER);
}

struct tensor *dit_mlp_forward(struct graph *g, const struct dit_mlp *m, struct tensor *h)
{
    if (m->gated)
        return nn_linear(g, &m->down, op_swiglu(g, nn_linear(g, &m->up, h)));
    return nn_linear(g, &m->down, nn_linear_act(g, &m->up, h, ACT_GELU));
}

struct tensor *dit_norm_modulate(struct graph *g, const struct param *rms, struct tensor *x,
                                 struct tensor *shift, struct tensor *scale)
{
    if (!rms)
        return op_layernorm_modulate(g, x, shift, scale, DIT_EPS);
    return op_modulate(g, op_rmsnorm(g, x, nn_param(g, rms), DIT_EPS), shift, scale);
}

static const struct param *norm_weight(struct scope s, const char *name, int64_t n)
{
    return params_add(s, name, SHAPE(n), (struct init){.kind = INIT_ONE});
}

void dit_block_declare(struct dit_block *b, const struct dit_geometry *d,
                       const struct dit_block_form *form, struct scope s)
{
    struct scope attn = scope_in(s, "attn");
    int64_t D = d->width;

    b->heads = d->heads;
    b->no_shift = form->no_shift;
    b->dropout = form->dropout;
    if (form->rmsnorm) {
        b->norm1 = norm_weight(s, "norm1.weight", D);
        b->norm2 = norm_weight(s, "norm2.weight", D);
    }
    linear_init(&b->qkv, scope_in(attn, "qkv"), D, 3 * D, INIT_XAVIER);
    if (form->qk_norm) {
        b->q_norm = norm_weight(attn, "q_norm.weight", D / d->heads);
        b->k_norm = norm_weight(attn, "k_norm.weight", D / d->heads);
    }
    linear_init(&b->proj, scope_in(attn, "proj"), D, D, INIT_XAVIER);
    dit_mlp_declare(&b->mlp, scope_in(s, "mlp"), D, form->hidden, form->swiglu);
    linear_init(&b->ada, scope_in(s, "adaLN_modulation.1"), D, (form->no_shift ? 4 : 6) * D,
                INIT_ZERO);
}

static struct tensor *attend(struct graph *g, const struct network_input *in, int i,
                             const struct dit_block *b, const struct dit_rotary *rotary,
                             struct tensor *h)
{
    struct tensor *qkv = nn_linear(g, &b->qkv, h);

    if (b->q_norm)
        qkv = op_qk_norm(g, qkv, b->heads, nn_param(g, b->q_norm), nn_param(g, b->k_norm), DIT_EPS);
    if (rotary->cos)
        qkv = op_rope(g, qkv, b->heads, nn_param(g, rotary->cos), nn_param(g, rotary->sin));
    return nn_linear(g, &b->proj, network_attention(g, in, i, qkv, b->heads, QKV_SPLIT));
}

/* The norms are fused with what follows; whoever looks at them alone gets them computed alone. */
static void show_norm(struct graph *g, const struct network *net, const struct dit_block *b,
                      struct tensor *x, int i)
{
    if (net->tap)
        network_show(net,
                     b->norm1 ? op_rmsnorm(g, x, nn_param(g, b->norm1), DIT_EPS)
                              : op_layernorm(g, x, NULL, NULL, DIT_EPS),
                     "blocks.%d.norm1", i);
}

/* Peebles and Xie 2023, figure 3; dropout where Vaswani et al. 2017, 5.4, have it. */
struct tensor *dit_block_forward(struct graph *g, const struct network *net,
                                 const struct network_input *in, int i, const struct dit_block *b,
                                 const struct dit_rotary *rotary, struct tensor *x,
                                 struct tensor *c)
{
    enum { SHIFT1, SCALE1, GATE1, SHIFT2, SCALE2, GATE2 };
    struct tensor *ada = nn_linear(g, &b->ada, c), *part[6] = {0}, *h;

    network_show(net, ada, "blocks.%d.adaLN_modulation", i);
    show_norm(g, net, b, x, i);
    if (b->no_shift) {
        struct tensor *four[4];

        op_chunk(g, ada, 4, four);
        part[SCALE1] = four[0], part[GATE1] = four[1], part[SCALE2] = four[2],
        part[GATE2] = four[3];
    } else {
        op_chunk(g, ada, 6, part);
    }
    h = attend(g, in, i, b, rotary, dit_norm_modulate(g, b->norm1, x, part[SHIFT1], part[SCALE1]));
    network_show(net, h, "blocks.%d.attn", i);
    h = nn_dropout(g, h, in->drop, b->dropout, 2 * i);
    x = op_gated_add(g, x, part[GATE1], h);
    h = dit_mlp_forward(g, &b->mlp, dit_norm_modulate(g, b->norm2, x, part[SHIFT2], part[SCALE2]));
    network_show(net, h, "blocks.%d.mlp", i);
    h = nn_dropout(g, h, in->drop, b->dropout, 2 * i + 1);
    return op_gated_add(g, x, part[GATE2], h);
}

/* --- pixels -------------------------------------------------------------------------------------
 */

void dit_final_declare(struct dit_final *f, const struct dit_geometry *d, bool rms,
                       int64_t out_channels, struct scope s)
{
    if (rms)
        f->rms =
            params_add(s, "norm_final.weight", SHAPE(d->width), (struct init){.kind = INIT_ONE});
    linear_init(&f->linear, scope_in(s, "linear"), d->width, d->patch * d->patch * out_channels,
                INIT_ZERO);
    linear_init(&f->ada, scope_in(s, "adaLN_modulation.1"), d->width, 2 * d->width, INIT_ZERO);
}

struct tensor *dit_final_forward(struct graph *g, const struct dit_final *f, struct tensor *x,
                                 struct tensor *c)
{
    struct tensor *part[2];

    op_chunk(g, nn_linear(g, &f->ada, c), 2, part);
    return nn_linear(g, &f->linear, dit_norm_modulate(g, f->rms, x, part[0], part[1]));
}
