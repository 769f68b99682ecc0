/*
 * unet.h - configuration of the convolutional U-Nets (unet.c)
 */
#ifndef IMGEN_MODEL_UNET_H
#define IMGEN_MODEL_UNET_H

#include "base/option.h"

/* Whose blocks, and whose names in files. */
enum unet_style {
    UNET_ADM,    /* Dhariwal and Nichol 2021; with a sequence to attend to, Stable Diffusion 1   */
    UNET_DDPMPP, /* Song et al. 2021 as in EDM (Karras et al. 2022)                              */
    UNET_EDM2,   /* Karras et al. 2024: magnitudes are preserved, nothing is normalised away     */
};

struct unet_config {
    int64_t size, channels;    /* pictures [size, size, channels]                              */
    int64_t out_channels;      /* 0: as many as channels                                       */
    int64_t classes;           /* 0: unconditional                                             */
    bool null_class;           /* one more label, "no request"                                 */
    int style;                 /* enum unet_style                                              */
    int64_t width;             /* channels of the first level                                  */
    struct real_list mult;     /* channels of each level over the width                        */
    int64_t blocks;            /* residual blocks a level                                      */
    struct int_list attention; /* factors of reduction at which to attend                      */
    int64_t heads;             /* attention heads, when head_channels is 0                     */
    int64_t head_channels;     /* channels of a head                                           */
    int64_t context_width;     /* features of a token of the sequence attended to; 0: none     */
    int64_t depth;             /* transformer blocks at each attention to a sequence           */
    bool label_token;          /* labels are a learned sequence of one token                   */
    int64_t groups;            /* of group norm                                                */
    double dropout;            /* share of a block's inside left out in training               */
    bool film;                 /* time and label scale and shift (else they are added)         */
    bool residual_resample;    /* residual blocks go down and up (else a convolution does)     */
    bool new_attention_order;  /* packed [q | k | v] (else head by head)                       */
};

#endif
