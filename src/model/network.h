/*
 * network.h - what every architecture offers: a configuration, parameters, and a forward
 *
 * A network maps (x, t, request) to a prediction of x's shape.  The request is a label, or a text
 * that an encoder has turned into a sequence of vectors and perhaps one vector for the whole; the
 * null label, or the encoded empty text, asks for nothing.  Which prediction it is (velocity,
 * noise, ...) is not the network's business.  A classifier is a network too: it maps (x, t) to one
 * number for each class.  So is an autoencoder, which maps a picture to itself by way of a latent.
 */
#ifndef IMGEN_MODEL_NETWORK_H
#define IMGEN_MODEL_NETWORK_H

#include "base/option.h"
#include "nn/params.h"
#include "ops/attention.h"

struct network;
struct autoencoder_steps;

/* What goes in.  x [N, H, W, C], or [N, T, H, W, C] where io.frames is not 0;  t [N], as the
 * network was trained to read it (see time_scale of the training configuration);  y int32 [N], or
 * NULL for a network without labels.  For a network that reads an encoded sequence: context [N, L,
 * D] with D = io.context_width and any L; context_mask int32 [N, L], not 0 where a token counts, or
 * NULL when all do; pooled [N, P], P = io.pooled_width, or NULL where that is 0.  For a network
 * that reads texts itself: text int32 [N, io.text_length] as byte_text_read makes it.  drop int32
 * [N, DROP_WORDS] names the samples (op_dropout) in training, for networks that leave values out;
 * NULL: nothing is left out. condition, of x's shape with io.condition_channels: what is known at
 * each place, beside x; NULL where that is 0. identity [io.n_attention]: the self-attention layers,
 * counted from the input, whose maps are replaced by the identity; skip [io.n_skippable]: the
 * blocks, counted likewise, that are left out whole; NULL: none.  Both are asked of one recording
 * and are no part of the network. */
struct network_input {
    struct tensor *x, *t, *y;
    struct tensor *text, *context, *context_mask, *pooled;
    struct tensor *drop;
    struct tensor *condition;
    const bool *identity, *skip;
};

/* Called with intermediate values by their name in public code ("blocks.3"); for tests and lessons.
 */
typedef void network_tap(const char *name, struct tensor *value, void *user);

/* What a network handles, filled in by its kind. */
struct network_io {
    int64_t height, width;
    int64_t step, most; /* sides that pictures may have besides: multiples of step up to most;
                           0: none, they are height x width                                 */
    int64_t in_channels, out_channels;
    int64_t frames;      /* of the videos [N, T, H, W, C] it handles; 0: pictures [N, H, W, C]    */
    int64_t frames_most; /* that a video may have; 0: any number                             */
    int64_t condition_channels; /* of network_input's condition; 0: reads none              */
    double first_frame; /* share of training clips whose condition is their first frame and a mask,
                           that of the others being 0; 0: it is something else (condition.h)    */
    int64_t upscale;            /* the condition is the clip, so many times smaller; 0: it is not */
    int64_t n_classes;          /* 0: takes no label                                              */
    int64_t n_labels;           /* rows of the label table: n_classes, or one more                */
    int32_t null_label;         /* the row that means "no request", or -1 when there is none      */
    int64_t context_width;      /* features of a token of the encoded sequence; 0: reads none   */
    int64_t context_length;     /* tokens of that sequence; 0: any number                       */
    int64_t pooled_width;       /* of the vector that stands for the whole; 0: reads none       */
    int64_t text_length; /* numbers of a text (byte_text.h) that it encodes itself; 0: reads none */
    bool classifies;     /* forward gives logits [N, n_classes] of x; takes no label     */
    bool clean;          /* x is always a picture without noise, and t means nothing     */
    int n_attention;     /* self-attention layers that `identity` can name; 0: none        */
    int middle, n_middle; /* of them, those in the middle of the network                  */
    int64_t vocabulary;   /* of a text encoder: its ids are 0 .. vocabulary - 1; 0: it is none */
    int64_t n_positions;  /* tokens of the longest text it takes; 0: any number            */
    int n_skippable;      /* blocks that `skip` can name; 0: none                         */

    /* Of an autoencoder (autoencoder.h). */
    int64_t factor;       /* a picture's side over its latent's; 0: it is none */
    int64_t frame_factor; /* a video's frames over its latent's, these rounded up; 1: pictures */
    int64_t latent_channels;
    bool gaussian; /* encode gives means and log variances of latents   */
    int64_t codes; /* latents are taken from a codebook of so many; 0: there is none */
    bool has_encoder, has_decoder;
    const struct real_list *scale, *shift; /* of the latents; the configuration's own           */
    const struct real_list *preview;       /* of latents_preview; the same; n = 0: there is none */
};

/* One architecture: one file under model/ ends in one of these. */
struct network_kind {
    const char *name, *summary, *paper;
    const struct option *options; /* rows over the configuration struct */
    size_t config_bytes;

    /* Refuse what cannot be built (E_ARG, naming the option and the numbers). */
    enum status (*check)(const void *config, struct error *err);
    /* Declare parameters under the scope; returns the layers (heap, one block, freed with free())
     * or NULL without memory.  config stays valid as long as the result. */
    void *(*declare)(const void *config, struct scope s);
    void (*io)(const void *config, struct network_io *io);
    struct tensor *(*forward)(struct graph *g, const struct network *net, struct network_input in);
    /* What the layout that adapters are written for calls a parameter, as params_naming has it; 0:
     * as we do.  NULL: there is none (model/adapter.h). */
    int (*pieces)(struct param_piece out[PARAM_PIECES], const char *ours, const void *config);
    /* Give p of a larger network what q of a smaller one has; E_ARG: it cannot be.  NULL: nothing
     * of this kind grows.  Called by network_begin_as. */
    enum status (*grow)(struct param *p, const struct param *q, struct error *err);
    /* The halves of an autoencoder; NULL of all others.  Called by autoencoder.c. */
    struct tensor *(*encode)(struct graph *g, const struct network *net, struct tensor *x);
    struct tensor *(*decode)(struct graph *g, const struct network *net, struct tensor *z);
    struct tensor *(*code_loss)(struct graph *g, const struct network *net, struct tensor *z);
    const struct param *(*last)(const struct network *net);
    const struct autoencoder_steps *steps; /* NULL: the halves cannot be taken apart */
};

struct network {
    const struct network_kind *kind;
    struct params *params;
    struct network_io io;
    const void *config; /* the kind's own struct, owned              */
    void *layers;       /* the kind's own struct, owned              */
    network_tap *tap;   /* NULL, or who looks at intermediate values */
    void *tap_user;
};

/* Every kind of network, in the order of listing; NULL past the last. */
const struct network_kind *network_kind_at(int i);
/* E_ARG names the nearest one. */
enum status network_kind_find(const struct network_kind **out, const char *name, struct error *err);

/* Build from a configuration (a struct of kind->config_bytes, copied; texts and lists in it are
 * moved: the network frees them).  Parameters are declared and have no memory yet: what a
 * description from outside asks for can be told, and refused, before any of it is allocated. */
enum status network_declare(struct network **out, const struct network_kind *kind, void *config,
                            struct error *err);
/* The same with parameters allocated (params_alloc), with gradients when `gradients`, and not yet
 * filled: params_init or params_load does that. */
enum status network_new(struct network **out, const struct network_kind *kind, void *config,
                        bool gradients, struct error *err);
void network_free(struct network *net);
/* network_declare and network_new from the kind's options as a JSON object; absent ones have their
 * defaults.  E_FORMAT as options_from_json. */
enum status network_declare_json(struct network **out, const struct network_kind *kind,
                                 json_t *config, struct error *err);
enum status network_from_json(struct network **out, const struct network_kind *kind, json_t *config,
                              bool gradients, struct error *err);

/* Give `to` what `from`, of the same kind, has learnt.  Parameters of one name and shape are
 * copied, and where shapes differ the kind's grow is asked; what `from` has not stays as it is in
 * `to`. E_ARG: another kind, or naming the first parameter that does not fit. */
enum status network_begin_as(struct network *to, const struct network *from, struct error *err);
/* For kinds: what grow says of two parameters that do not fit. */
enum status network_does_not_fit(const struct param *p, const struct param *q, struct error *err);

/* Whether the network takes pictures of this size; E_ARG says which it takes. */
enum status network_check_size(const struct network *net, int64_t height, int64_t width,
                               struct error *err);

/* From now on io.height and io.width are these, if the network takes them. */
enum status network_resize(struct network *net, int64_t height, int64_t width, struct error *err);

/* Whether the network takes videos of so many frames; E_ARG says which it takes.  And from now on
 * io.frames is that many. */
enum status network_check_frames(const struct network *net, int64_t frames, struct error *err);
enum status network_set_frames(struct network *net, int64_t frames, struct error *err);

/* n pictures or videos of io's size, with so many channels. */
struct shape network_shape(const struct network *net, int64_t n, int64_t channels);
/* Pixels of one of them, in all of its frames. */
int64_t network_places(const struct network *net);

/* Whether a text encoder takes n ids, in texts of L tokens; E_ARG names the first that it has not,
 * or the longest text that it takes. */
enum status network_check_ids(const struct network *net, const int32_t *ids, int64_t n, int64_t L,
                              struct error *err);

/* Record the forward: x's shape with out_channels, or logits [N, n_classes] of a classifier. */
struct tensor *network_forward(struct graph *g, const struct network *net, struct network_input in);

/* For kinds: self-attention layer number `layer` over packed qkv [N, T, 3 D]: op_attention, or,
 * where in->identity says so, each token's own value. */
struct tensor *network_attention(struct graph *g, const struct network_input *in, int layer,
                                 struct tensor *qkv, int64_t heads, enum qkv_order order);
bool network_keeps_values(const struct network_input *in, int layer);

/* For kinds with a stack of n layers: its middle one, or the two of an even n. */
void network_count_attention(struct network_io *io, int64_t n);

/* For kinds: show an intermediate value to whoever looks. */
void network_show(const struct network *net, struct tensor *value, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
