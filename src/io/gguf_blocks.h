/*
 * gguf_blocks.h - GGUF's blocks of numbers that share a scale
 */
#ifndef IMGEN_IO_GGUF_BLOCKS_H
#define IMGEN_IO_GGUF_BLOCKS_H

#include <stdint.h>

/* Elements of a block of the older and of the newer ("K") kind. */
enum { GGUF_BLOCK = 32, GGUF_BLOCK_K = 256 };

/* Bytes of one block. */
enum {
    GGUF_BYTES_Q4_0 = 18,
    GGUF_BYTES_Q4_1 = 20,
    GGUF_BYTES_Q5_0 = 22,
    GGUF_BYTES_Q5_1 = 24,
    GGUF_BYTES_Q8_0 = 34,
    GGUF_BYTES_Q2_K = 84,
    GGUF_BYTES_Q3_K = 110,
    GGUF_BYTES_Q4_K = 144,
    GGUF_BYTES_Q5_K = 176,
    GGUF_BYTES_Q6_K = 210,
};

/* out [n] floats = the values of n elements, a multiple of the block, that begin at `in`, which
 * need not be aligned. */
typedef void gguf_widen(void *out, const uint8_t *in, int64_t n);
gguf_widen gguf_from_q4_0, gguf_from_q4_1, gguf_from_q5_0, gguf_from_q5_1, gguf_from_q8_0;
gguf_widen gguf_from_q2_k, gguf_from_q3_k, gguf_from_q4_k, gguf_from_q5_k, gguf_from_q6_k;

/* out = x [n] in blocks of Q8_0, n a multiple of 32: d = max|x| / 127, q = x / d rounded to the
 * nearest, halves away from zero, and d stored as float16 (q is of the d before that).  All x are
 * finite and below 127 * 65520 in size. */
void gguf_to_q8_0(uint8_t *out, const float *x, int64_t n);

#endif
