/*
 * unet_parts.h - what the U-Nets of the ADM family are made of: blocks, time, the encoder
 */
#ifndef IMGEN_MODEL_UNET_PARTS_H
#define IMGEN_MODEL_UNET_PARTS_H

#include "model/network.h"
#include "model/unet.h"
#include "nn/layers.h"
#include "ops/attention.h"

enum {
    UNET_LEVELS_MAX = 8,
    UNET_BLOCKS_MAX = 16,
    UNET_CHANNELS_MAX = 65536,
    UNET_SKIPS_MAX = UNET_LEVELS_MAX * (UNET_BLOCKS_MAX + 1) + 1,
};
#define UNET_EPS 1e-5 /* of all norms */

/* Of a configuration: its classes and out_channels are not looked at. */
int64_t unet_level_channels(const struct unet_config *c, int level);
bool unet_attends(const struct unet_config *c, int64_t reduction);
int64_t unet_heads(const struct unet_config *c, int64_t channels);

/* Refuse sizes that cannot be built (E_ARG); `kind` names the network in the message. */
enum status unet_check_sizes(const char *kind, const struct unet_config *c, struct error *err);

/* --- blocks: X_declare names the parameters under the scope, X_forward records --------------- */

enum resample { SAME, DOWN, UP };

/* A residual block: x [N, H, W, C];  emb [N, 4 width], after SiLU. */
struct unet_res {
    enum resample resample;
    bool film, has_skip;
    struct group_norm norm1, norm2;
    struct conv conv1, conv2, skip;
    struct linear embed; /* time and label -> scale and shift, or an addend */
};
void unet_res_declare(struct unet_res *r, const struct unet_config *c, struct scope s, int64_t in,
                      int64_t out, enum resample resample);
struct tensor *unet_res_forward(struct graph *g, const struct unet_res *r, struct tensor *x,
                                struct tensor *emb);

/* Self-attention over the pixels, added: x [N, H, W, C]. */
struct unet_attn {
    struct group_norm norm;
    struct linear qkv, proj;
    int64_t heads;
    enum qkv_order order;
};
void unet_attn_declare(struct unet_attn *a, const struct unet_config *c, struct scope s,
                       int64_t channels);
struct tensor *unet_attn_forward(struct graph *g, const struct unet_attn *a, struct tensor *x);

/* A linear layer that public files keep as a convolution over a line of pixels: [out, in, 1]. */
void unet_pixel_linear(struct linear *l, struct scope s, int64_t in, int64_t out,
                       enum init_kind rule);

/* One of input_blocks or output_blocks: what is there runs in this order. */
struct unet_entry {
    bool has_res, has_attn, has_res2, has_conv;
    struct unet_res res;
    struct unet_attn attn;
    struct unet_res res2;   /* goes up, or down                                    */
    enum resample resample; /* of conv: DOWN strides, UP repeats pixels before it  */
    struct conv conv;
};
/* The step to the next level, in module `place` of the block. */
void unet_resample_declare(struct unet_entry *e, const struct unet_config *c, struct scope s,
                           int place, int64_t channels, enum resample resample);
/* In a segment of its own. */
struct tensor *unet_entry_forward(struct graph *g, const struct unet_entry *e, struct tensor *x,
                                  struct tensor *emb);

/* --- time: "time_embed" --------------------------------------------------------------------------
 */

struct unet_time {
    struct linear first, second;
    int64_t width;
};
void unet_time_declare(struct unet_time *m, const struct unet_config *c, struct scope s);
/* t [N] -> [N, 4 width], before SiLU. */
struct tensor *unet_time_forward(struct graph *g, const struct network *net,
                                 const struct unet_time *m, struct tensor *t);

/* --- the encoder and the middle: "input_blocks", "middle_block" ----------------------------------
 */

struct unet_encoder {
    int n;                        /* blocks                                       */
    int64_t skip[UNET_SKIPS_MAX]; /* channels of their results                    */
    struct unet_entry *entry;     /* the owner's, unet_encoder_blocks(c) or more  */
    struct unet_res middle1, middle2;
    struct unet_attn attn;
};
int unet_encoder_blocks(const struct unet_config *c);
void unet_encoder_declare(struct unet_encoder *m, struct unet_entry *entry,
                          const struct unet_config *c, struct scope s);
/* skip: gets the m->n results of the blocks, or NULL.  Returns what the middle makes of the last.
 */
struct tensor *unet_encoder_forward(struct graph *g, const struct network *net,
                                    const struct unet_encoder *m, struct tensor *x,
                                    struct tensor *emb, struct tensor *skip[]);

#endif
