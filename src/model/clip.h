/*
 * clip.h - the text encoders of CLIP (clip.c), and their published files
 */
#ifndef IMGEN_MODEL_CLIP_H
#define IMGEN_MODEL_CLIP_H

#include "io/weights.h"
#include "model/network.h"

enum clip_activation { CLIP_QUICK_GELU, CLIP_GELU };

struct clip_config {
    int64_t width, depth, heads, hidden; /* hidden: of the feed-forward              */
    int64_t vocabulary, positions;       /* ids, and tokens of the longest text      */
    int64_t projection;                  /* features of the projected text; 0: none  */
    int activation;                      /* enum clip_activation                     */
    double eps;                          /* of layer norms                           */
};

/* Not among the networks that a configuration can name: it predicts nothing. */
extern const struct network_kind network_clip;

/* What is read of a text.  Of these a run computes what is kept. */
struct clip_states {
    struct tensor *penultimate; /* [N, L, width]: behind all layers but the last, not normed      */
    struct tensor *last;        /* [N, L, width]: behind the last and the final norm              */
    struct tensor *pooled;      /* [N, width]: the row of `last` where the text ends              */
    struct tensor *projected;   /* [N, projection], or NULL where there is none                   */
};

/* ids: int32 [N, L], as network_check_ids allows; a text ends where its largest id first stands. */
void clip_forward(struct graph *g, const struct network *net, struct tensor *ids,
                  struct clip_states *out);

/* Which of the two text encoders of Stable Diffusion 3 is meant: a single file holds both. */
enum clip_form { CLIP_L, CLIP_G };

/* The encoder in a published file: its own file (text_encoder/model.safetensors,
 * clip_l.safetensors, OpenCLIP's) or one with a whole model (Stable Diffusion 1, XL, 3), under the
 * names of Hugging Face or of OpenCLIP.  Sizes come from the shapes; heads, activation and epsilon
 * from `config`, the folder's config.json, or NULL: heads of 64 features, quick GELU for L and GELU
 * for G, 1e-5.  L has a projection only where a configuration stands beside it: other files carry
 * one that is not meant (sd3.md 8.1).
 *
 * Values are mapped where they can be, and f must outlive the network.  E_FORMAT when the encoder
 * is not there or does not fit; E_UNSUPPORTED for another activation; E_MEMORY. */
enum status clip_open_published(struct network **out, const struct weights *f, enum clip_form form,
                                const json_t *config, struct error *err);

#endif
