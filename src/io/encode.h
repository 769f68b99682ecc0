/*
 * encode.h - float32 into the types that files store
 */
#ifndef IMGEN_IO_ENCODE_H
#define IMGEN_IO_ENCODE_H

#include "io/file_tensor.h"

/* out = x [n] as elements of type `to`: F32, F16, BF16 (nearest, ties to even), or Q8_0, of which n
 * must be whole blocks.  name, first: of the tensor and of x[0] in it, for messages.
 * E_UNSUPPORTED where a number is too large for the type, E_NOT_FINITE where one has no place in a
 * block; infinities and NaN of plain types stay what they are. */
enum status encode_floats(uint8_t *out, enum file_dtype to, const float *x, int64_t n,
                          const char *name, int64_t first, struct error *err);

/* Row number `row` of weights, x [n], as bytes: *scale = max |x| / 127, out = x 127 / max |x| to
 * the nearest, ties to even; of a row of zeros both are zero.  These are the codes and scales by
 * which int8 linear layers compute (backend/cpu/words.h).  out: NULL for the scale alone.
 * E_NOT_FINITE as above. */
enum status encode_row(int8_t *out, float *scale, const float *x, int64_t n, const char *name,
                       int64_t row, struct error *err);

#endif
