/*
 * mmdit.h - configuration of the transformer of two streams (mmdit.c), and its published files
 */
#ifndef IMGEN_MODEL_MMDIT_H
#define IMGEN_MODEL_MMDIT_H

#include "io/weights.h"
#include "model/network.h"

struct mmdit_config {
    int64_t size, channels; /* pictures [size, size, channels]; others: `positions`      */
    int64_t out_channels;   /* of the prediction; 0: channels                            */
    int64_t context_width;  /* features of a token of the text                           */
    int64_t pooled_width;   /* of the vector for the whole text; 0: none                 */
    int64_t patch, width, depth, heads;
    int64_t positions; /* side of the table of positions, in patches; 0: that of size */
    double mlp_ratio;
    bool qk_norm;
    struct int_list dual; /* blocks in which the picture attends to itself as well     */
    int64_t text_length;  /* bytes of a text it reads itself; 0: others encode it, as above */
    int64_t text_width, text_depth, text_heads;
    int64_t text_kernel; /* bytes that a convolution of its blocks sees; 1: none */
    int64_t text_group;  /* neighbouring bytes that are one token of the text for the picture */
};

extern const struct network_kind network_mmdit;

/* The network in a published file: SD3 medium, SD3.5 medium and large, or any other size of the
 * same form, in the original layout (with or without "model.diffusion_model." before the names) or
 * in that of the folder transformer/.  Sizes come from the shapes; how many heads there are, and
 * for which side the table of positions is, from `config`: the folder's config.json, or NULL for
 * the metadata "config" of the file, where there is one.  Without any: heads of 64 features, and a
 * side of 64 patches.
 *
 * gradients: values are copied and gradients allocated.  Otherwise values are mapped where they can
 * be (params_map), and f must outlive the network.
 *
 * E_FORMAT when there is no such network in f, for tensors that are missing, unexpected or of
 * another shape, and for a configuration that does not fit them; E_MEMORY.  (mmdit_published.c) */
enum status mmdit_open_published(struct network **out, const struct weights *f,
                                 const json_t *config, bool gradients, struct error *err);

/* What the folder layout calls a parameter of ours, as params_naming's pieces have it; user: the
 * depth, an int. */
int mmdit_folder_pieces(struct param_piece out[PARAM_PIECES], const char *ours, int attempt,
                        const void *user);

#endif
