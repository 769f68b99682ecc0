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
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/norm.h"
#include "ops/resample.h"

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

/* [1, T, D]: the first half of a row encodes the column of its patch, the second half the row. */
static void position_table(float *out, struct shape shape, const void *config)
{
    int64_t grid = (int64_t)sqrt((double)shape.dim[1]), D = shape_last(shape);

    (void)config;
    for (int64_t i = 0; i < grid * grid; i++) {
        encode_coordinate(out + i * D, D / 2, (double)(i % grid));
        encode_coordinate(out + i * D + D / 2, D / 2, (double)(i / grid));
    }
}

void dit_embedders_declare(struct dit_embedders *e, const struct dit_geometry *d, struct scope s)
{
    struct scope patches = scope_in(s, "x_embedder.proj");
    int64_t grid = d->size / d->patch;

    e->patch = d->patch;
    e->positions = params_add(s, "pos_embed", SHAPE(1, grid * grid, d->width),
                              (struct init){.kind = INIT_TABLE, .table = position_table});
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
    x = nn_linear(g, &e->patches, op_patchify(g, x, e->patch));
    network_show(net, x, "x_embedder");
    return op_add_vec(g, x, nn_param(g, e->positions));
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
