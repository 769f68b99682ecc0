/*
 * precision.h - in which numbers products of layers are computed
 *
 * Bytes are for linear layers; of convolutions those of 3 x 3 know bf16 (backend/cpu/winograd.h),
 * and attention without gradients computes in bf16 in either (ops/attention_bf16.c).  Everything
 * else (what is stored between ops, norms, the softmax, the solver, the weights that an
 * optimizer moves) is float32 in every precision.
 */
#ifndef IMGEN_TENSOR_PRECISION_H
#define IMGEN_TENSOR_PRECISION_H

enum precision {
    PRECISION_FLOAT32,
    PRECISION_BF16, /* factors with 8 significant bits, sums in float32                        */
    PRECISION_INT8, /* forward only: weights of 8 bits a channel, activations of 8 bits a row  */
};

/* Name number i, NULL past the last: "float32", "bf16", "int8". */
const char *precision_name(int i);

const char *precision_summary(int i);

/* The same without int8, which cannot be trained in. */
const char *precision_trained_name(int i);

#endif
