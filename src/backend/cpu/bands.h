/*
 * bands.h - convolutions of single pictures, cut into bands of rows
 *
 * A picture's result depends on the picture and the weights alone: not on how many pictures there
 * are, not on the number of threads.
 */
#ifndef IMGEN_BACKEND_CPU_BANDS_H
#define IMGEN_BACKEND_CPU_BANDS_H

#include "backend/cpu/dnn.h"

struct bands;

/* The convolution of one picture that gives rows [first, first + rows) of s's result.  *in_first:
 * the first row of the input that it reads. */
struct dnn_conv bands_part(const struct dnn_conv *s, int64_t first, int64_t rows,
                           int64_t *in_first);

/* s: the forward convolution with all its pictures; s->N may be 0; padding less than the kernel.
 * kind: DNN_CONV_FORWARD (in bands) or DNN_CONV_DATA (whole pictures).  step: how the stored
 * weights lie, [O, I, kh, kw].  For the number of threads that OpenMP is set to now; works with
 * any. *out is given to bands_free.  Fails as dnn_conv. */
enum status bands_new(struct bands **out, enum dnn_conv_kind kind, const struct dnn_conv *s,
                      const int64_t step[4], struct error *err);
void bands_free(struct bands *b);

size_t bands_packed_bytes(const struct bands *b);
/* Scratch of `threads` threads; a multiple of 64. */
size_t bands_scratch_bytes(const struct bands *b, int threads);

/* Stored weights into packed (bands_packed_bytes, aligned to 64).  The scratch is bands_run's. */
void bands_pack(const struct bands *b, const float *weights, float *packed, void *scratch);

/* out = in * weights + bias.  Forward: x to y.  Data: dy to dx.  bias: one a channel of out, or
 * NULL. */
void bands_run(const struct bands *b, const float *in, const float *packed, float *out,
               const float *bias, void *scratch);

#endif
