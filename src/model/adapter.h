/*
 * adapter.h - small matrices that change what a network does, beside weights that stay as they are
 *
 * An adapter is a change of low rank (nn/low_rank.h) of some of a network's linear layers: made to
 * be trained, or read from a file and applied at some weight.  Others call it a LoRA.
 */
#ifndef IMGEN_MODEL_ADAPTER_H
#define IMGEN_MODEL_ADAPTER_H

#include "io/save_tensor.h"
#include "io/weights.h"
#include "model/network.h"

struct adapter;

/* What is to be trained. */
struct adapter_plan {
    int64_t rank;
    double alpha; /* what is added counts alpha / rank times */
    /* Which layers, separated by commas: "attention", "mlp", "all", or the end of a layer's name
     * as the file of an adapter has it ("attn.to_q"), or a pattern with * and ? for the whole. */
    const char *targets;
};

/* An adapter in training, attached to the network, whose own parameters are not touched: A drawn by
 * `seed` (INIT_KAIMING), B zeros, with gradients.  The network outlives it.  E_ARG: a target that
 * no layer of the network has; E_MEMORY. */
enum status adapter_new(struct adapter **out, struct network *net, const struct adapter_plan *p,
                        uint64_t seed, struct error *err);

/* The adapter in a file, attached to the network; what it adds counts `weight` times.  The file may
 * be closed afterwards.  Tensors come in pairs, float32 or less, PREFIX<layer>END:
 *
 *     transformer. | base_model.model. | [model.]diffusion_model. | lora_unet_ | lora_transformer_
 *     <layer>      a layer's name, ours or the folder layout's; its dots may be '_'
 *     .lora_A.weight [rank, in]     .lora_B.weight [out, rank]     the form of PEFT and diffusers
 *     .lora_down.weight             .lora_up.weight     .alpha     the form of kohya
 *
 * Without an alpha, nor one in the metadata (lora_adapter_metadata), alpha is the rank.  E_FORMAT
 * lists what is missing, has another shape, or belongs to no layer; E_UNSUPPORTED: metadata of
 * something else than this; E_MEMORY. */
enum status adapter_read(struct adapter **out, struct network *net, const struct weights *f,
                         double weight, struct error *err);

/* Detaches it; NULL is fine. */
void adapter_free(struct adapter *a);

/* Its own, A and B of every layer. */
struct params *adapter_params(const struct adapter *a);
int64_t adapter_layers(const struct adapter *a); /* pairs, as files count them */

/* Write `values`, a flat array of its parameters' layout (NULL: their own), as others read it: the
 * names of the folder layout where the network has one, else ours, in the form of PEFT.  alpha /
 * rank is multiplied into B, so that alpha is the rank, which everybody takes it for who is not
 * told.  Atomic. */
enum status adapter_save(const struct adapter *a, const char *path, const float *values,
                         const struct save_text *texts, int n_texts, struct error *err);

#endif
