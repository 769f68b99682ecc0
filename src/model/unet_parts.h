/*
 * unet_parts.h - what U-Nets are made of: blocks of three styles, time, the encoder
 *
 * All U-Nets walk the same way: a first convolution, blocks down the levels whose results are
 * remembered, two in the middle, blocks up the levels that each take one result back, a last
 * convolution.  What a block is, and how time and label reach it, is a style's affair:
 *
 *     unet_normed.c       group norms: ADM, Stable Diffusion 1, DDPM++
 *     unet_preserving.c   unit magnitudes: EDM2
 */
#ifndef IMGEN_MODEL_UNET_PARTS_H
#define IMGEN_MODEL_UNET_PARTS_H

#include "model/network.h"
#include "model/spatial_transformer.h"
#include "model/unet.h"
#include "nn/layers.h"
#include "ops/attention.h"

enum {
    UNET_LEVELS_MAX = 8,
    UNET_BLOCKS_MAX = 16,
    UNET_CHANNELS_MAX = 65536,
    UNET_SKIPS_MAX = UNET_LEVELS_MAX * (UNET_BLOCKS_MAX + 1) + 1,
};

#define UNET_EPS 1e-5 /* of ADM's group norms */

/* Of a configuration. */
int64_t unet_level_channels(const struct unet_config *c, int level);
bool unet_attends(const struct unet_config *c, int64_t reduction);
int64_t unet_heads(const struct unet_config *c, int64_t channels);
int64_t unet_groups(const struct unet_config *c, int64_t channels); /* of a group norm         */
int64_t unet_labels(const struct unet_config *c);                   /* rows of a label table   */
int64_t unet_out_channels(const struct unet_config *c);

/* Refuse sizes that cannot be built (E_ARG); `kind` names the network in the message. */
enum status unet_check_sizes(const char *kind, const struct unet_config *c, struct error *err);

/* --- blocks ------------------------------------------------------------------------------------
 */

enum resample { SAME, DOWN, UP };

/* Group norms: a residual block and what attends after it, or one convolution to another size. */
struct normed_block {
    enum resample resample;
    bool is_conv, film, has_skip, attends, reads;
    double rescale; /* of each sum: 1, or sqrt(1/2)                                     */
    struct group_norm norm1, norm2;
    struct conv conv1, conv2, skip;
    struct linear embed; /* time and label -> scale and shift, or an addend              */
    struct group_norm attn_norm;
    struct linear qkv, proj;
    int64_t heads;
    enum qkv_order order;
    struct spatial_transformer transformer; /* `reads`: in the place of qkv and proj     */
};

/* Weights without bias whose rows are used at unit length. */
struct mp_layer {
    const struct param *weight;
    int64_t k; /* 3: a convolution; 1: of one pixel; 0: a matrix in files too            */
};

/* EDM2. */
struct mp_block {
    enum resample resample;
    bool encodes, has_skip, attends;
    struct mp_layer res0, res1, skip, embed, qkv, proj;
    const struct param *embed_gain;
    int64_t heads;
};

/* One step of the walk. */
struct unet_entry {
    char name[40];        /* of its module in public files: "input_blocks.3", "enc.16x16_block1" */
    bool is_first, joins; /* the first convolution; sees a result of the encoder beside its own   */
    bool shows;           /* the last step of its module                                          */
    int order;            /* among the steps of the whole walk                                    */
    int attention;        /* number of its self-attention from the input on, or -1: has none      */
    union {
        struct normed_block normed;
        struct mp_block mp;
        struct conv first;
        struct mp_layer mp_first;
    };
};

enum unet_step { STEP_FIRST, STEP_ENCODER, STEP_DOWN, STEP_MIDDLE, STEP_DECODER, STEP_UP };

/* Where a step stands. */
struct unet_place {
    enum unet_step step;
    int level, index; /* index: among the blocks of its level                                  */
    int number, part; /* ADM's names: which of input_blocks, and the first module in it        */
    int64_t in, out;  /* channels                                                              */
};

bool unet_place_attends(const struct unet_config *c, const struct unet_place *p);
/* How many places before this one attend: the number of its self-attention; -1 where it has none.
 */
int unet_place_attention(const struct unet_config *c, const struct unet_place *p);
/* All that attend in encoder, middle and decoder, and in the encoder alone. */
int unet_attention_count(const struct unet_config *c);
int unet_attention_before_middle(const struct unet_config *c);
enum resample unet_place_resample(const struct unet_place *p);
/* x at half, double or the same size. */
struct tensor *unet_resample(struct graph *g, struct tensor *x, enum resample resample);

/* The inside of a residual block before its last convolution, with values left out in training as
 * the configuration says (Ho et al. 2020). */
struct tensor *unet_dropout(struct graph *g, const struct network *net, const struct unet_entry *e,
                            const struct network_input *in, struct tensor *h);

/* --- styles ------------------------------------------------------------------------------------
 */

/* "time_embed" of ADM. */
struct unet_time {
    struct linear first, second;
    int64_t width;
};

/* The way of time and label, and what lies after the last block. */
struct unet_ends {
    union {
        struct {
            struct unet_time time;
            struct linear label;
            const struct param *labels; /* a row a label, or NULL */
            struct group_norm norm;
            struct conv last;
        } normed;
        struct {
            const struct param *frequencies, *phases, *out_gain;
            struct mp_layer noise, label, last;
        } mp;
    };
};

struct unet_style_ops {
    /* Declare under s: time and label; a step, whose name stands in e; norm and last convolution.
     */
    void (*declare_embedding)(struct unet_ends *m, const struct unet_config *c, struct scope s);
    void (*declare_entry)(struct unet_entry *e, const struct unet_config *c, struct scope s,
                          const struct unet_place *p);
    void (*declare_output)(struct unet_ends *m, const struct unet_config *c, struct scope s);

    /* Time and label as every block reads them, [N, E]. */
    struct tensor *(*embedding)(struct graph *g, const struct network *net,
                                const struct unet_ends *m, const struct network_input *in);
    struct tensor *(*entry)(struct graph *g, const struct network *net, const struct unet_entry *e,
                            struct tensor *x, struct tensor *emb, const struct network_input *in);
    /* What the decoder has beside what the encoder had at this place. */
    struct tensor *(*join)(struct graph *g, struct tensor *x, struct tensor *skip);
    struct tensor *(*output)(struct graph *g, const struct unet_ends *m, struct tensor *x);
};
extern const struct unet_style_ops unet_normed, unet_preserving;
const struct unet_style_ops *unet_style_of(const struct unet_config *c);

/* Declare one step of the walk, whose order is set, under s. */
void unet_entry_declare(struct unet_entry *e, const struct unet_config *c, struct scope s,
                        const struct unet_place *p);
/* Record it, in a segment of its own.  emb: of `embedding`; in: read for its context, identity and
 * drop. */
struct tensor *unet_entry_forward(struct graph *g, const struct network *net,
                                  const struct unet_style_ops *style, const struct unet_entry *e,
                                  struct tensor *x, struct tensor *emb,
                                  const struct network_input *in);

void unet_time_declare(struct unet_time *m, const struct unet_config *c, struct scope s);
/* t [N] -> [N, 4 width], before SiLU. */
struct tensor *unet_time_forward(struct graph *g, const struct network *net,
                                 const struct unet_time *m, struct tensor *t);

/* --- the encoder and the middle ------------------------------------------------------------------
 */

struct unet_encoder {
    const struct unet_style_ops *style;
    int n;                        /* steps                                        */
    int64_t skip[UNET_SKIPS_MAX]; /* channels of their results                    */
    struct unet_entry *entry;     /* the owner's, unet_encoder_blocks(c) or more  */
    struct unet_entry middle[2];
};
int unet_encoder_blocks(const struct unet_config *c);
void unet_encoder_declare(struct unet_encoder *m, struct unet_entry *entry,
                          const struct unet_config *c, struct scope s);
/* skip: gets the m->n results of the steps, or NULL.  Returns what the middle makes of the last. */
struct tensor *unet_encoder_forward(struct graph *g, const struct network *net,
                                    const struct unet_encoder *m, const struct network_input *in,
                                    struct tensor *emb, struct tensor *skip[]);

#endif
