/*
 * sd3.h - Stable Diffusion 3 and 3.5 as published: one model of what lies in one file, or in many
 */
#ifndef IMGEN_PIPELINE_SD3_H
#define IMGEN_PIPELINE_SD3_H

#include "pipeline/model.h"

/* Where parts lie that are not found by themselves; NULL: looked for, "": done without.  Paths as
 * weights_open takes them, but merges and spiece, which are vocabularies. */
struct sd3_parts {
    const char *clip_l, *clip_g, *t5, *autoencoder, *merges, *spiece;
    bool no_t5; /* leave T5 out, whether it is there or not: zeros stand for it */
};

/* Whether a path leads to such a model: a folder with model_index.json, or a file that holds the
 * network.  What cannot be read is none. */
bool sd3_is(const char *path);

/* Open it, a model like others: a straight path, the way to the noise predicted, its own schedule.
 *
 *     folder/                 transformer/, vae/, text_encoder/, text_encoder_2/, text_encoder_3/,
 *                             tokenizer/, tokenizer_3/, scheduler/
 *     file.safetensors, .gguf the network, perhaps the autoencoder, perhaps encoders; what it lacks
 *                             is looked for beside it and in text_encoders/ there, under the names
 *                             that are usual: clip_l, clip_g, t5xxl_fp16, ...
 *
 * Missing encoders are no error here (prompts_encode); a missing autoencoder is.  The picture's
 * size is the network's own, 1024 x 1024 of the released ones, until network_resize.  E_FORMAT,
 * E_IO, E_MEMORY as the readers tell, naming the file. */
enum status sd3_open(struct model **out, const char *path, const struct sd3_parts *parts,
                     struct error *err);

#endif
