/*
 * dit.h - configuration of the diffusion transformer (dit.c)
 */
#ifndef IMGEN_MODEL_DIT_H
#define IMGEN_MODEL_DIT_H

#include <stdbool.h>
#include <stdint.h>

enum dit_preset { DIT_CUSTOM, DIT_S, DIT_B, DIT_L, DIT_XL };

struct dit_config {
    int64_t size, channels; /* pictures [size, size, channels]                      */
    int64_t classes;        /* 0: unconditional                                     */
    bool null_class;        /* one more label, "no request"                         */
    int preset;             /* enum dit_preset; sets width, depth and heads         */
    int64_t patch, width, depth, heads;
    double mlp_ratio;
    double dropout;   /* share of each branch's result left out in training         */
    bool learn_sigma; /* twice the output channels                                  */
    bool rmsnorm, swiglu, rope, qk_norm, no_shift; /* Yao et al. 2025 (LightningDiT) */
};

#endif
