/*
 * dit_parts.h - what every diffusion transformer has: patches in, time, feed-forward, pixels out
 */
#ifndef IMGEN_MODEL_DIT_PARTS_H
#define IMGEN_MODEL_DIT_PARTS_H

#include "model/network.h"
#include "nn/layers.h"

enum { DIT_WIDTH_MAX = 16384 };
#define DIT_EPS 1e-6 /* of all norms */

/* Pictures [size, size, channels] cut into patches, as tokens of `width` features. */
struct dit_geometry {
    int64_t size, channels, patch, width, heads;
    int64_t positions; /* side of the table of positions, in patches; 0: that of size */
};

/* Refuse what cannot be cut (E_ARG); `kind` names the network in the message. */
enum status dit_check_geometry(const char *kind, const struct dit_geometry *d, struct error *err);

/* "pos_embed", "x_embedder.proj", "t_embedder.mlp": in this order. */
struct dit_embedders {
    const struct param *positions; /* [1, side side, width] */
    struct linear patches, time1, time2;
    int64_t patch, side;
    int64_t base; /* patches of a picture's side by which the table is spaced */
};
/* e must live as long as the parameters. */
void dit_embedders_declare(struct dit_embedders *e, const struct dit_geometry *d, struct scope s);

/* x [N, H, W, C] -> tokens [N, T, width] with their positions: the middle of the table, rounded
 * down, where the picture is smaller; sides are multiples of patch and at most patch side. */
struct tensor *dit_tokens(struct graph *g, const struct network *net, const struct dit_embedders *e,
                          struct tensor *x);
/* t [N] -> [N, width]. */
struct tensor *dit_time(struct graph *g, const struct network *net, const struct dit_embedders *e,
                        struct tensor *t);

/* "fc1", "fc2": width -> hidden -> width, GELU between; or "w12", "w3" with a gate (SwiGLU: Shazeer
 * 2020). */
struct dit_mlp {
    struct linear up, down;
    bool gated;
};
void dit_mlp_declare(struct dit_mlp *m, struct scope s, int64_t width, int64_t hidden, bool gated);
struct tensor *dit_mlp_forward(struct graph *g, const struct dit_mlp *m, struct tensor *h);

/* Tables [T, d] of rotary positions (op_rope), or NULL. */
struct dit_rotary {
    const struct param *cos, *sin;
};

/* What may differ from Peebles and Xie 2023; the options are those of Yao et al. 2025. */
struct dit_block_form {
    int64_t hidden; /* of the feed-forward */
    bool rmsnorm, swiglu, qk_norm, no_shift;
    double dropout; /* of what either branch adds, in training */
};

/* A block with adaLN-Zero: "attn", "mlp", "adaLN_modulation.1". */
struct dit_block {
    int64_t heads;
    bool no_shift;
    double dropout;
    const struct param *norm1, *norm2; /* RMS norm only                               */
    struct linear ada;                 /* c -> shift, scale and gate of both branches */
    struct linear qkv, proj;
    const struct param *q_norm, *k_norm;
    struct dit_mlp mlp;
};
void dit_block_declare(struct dit_block *b, const struct dit_geometry *d,
                       const struct dit_block_form *form, struct scope s);
/* Block i of a network: x [N, T, D];  c [N, D], after SiLU.  in: read for `identity` and `drop`
 * alone; the block's attention is layer i. */
struct tensor *dit_block_forward(struct graph *g, const struct network *net,
                                 const struct network_input *in, int i, const struct dit_block *b,
                                 const struct dit_rotary *rotary, struct tensor *x,
                                 struct tensor *c);

/* norm(x) (1 + scale) + shift: layer norm, or root-mean-square norm when `rms` (a weight [width])
 * is not NULL.  x [N, T, D]; shift, scale [N, D]; shift may be NULL. */
struct tensor *dit_norm_modulate(struct graph *g, const struct param *rms, struct tensor *x,
                                 struct tensor *shift, struct tensor *scale);

/* "final_layer.": tokens to pixels; `rms` adds "norm_final.weight". */
struct dit_final {
    const struct param *rms;
    struct linear linear, ada;
};
void dit_final_declare(struct dit_final *f, const struct dit_geometry *d, bool rms,
                       int64_t out_channels, struct scope s);
/* c [N, width], after SiLU -> [N, T, patch patch out_channels]. */
struct tensor *dit_final_forward(struct graph *g, const struct dit_final *f, struct tensor *x,
                                 struct tensor *c);

#endif
