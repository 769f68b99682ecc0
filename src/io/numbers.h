/*
 * numbers.h - element types of files: their names, sizes and single values
 */
#ifndef IMGEN_IO_NUMBERS_H
#define IMGEN_IO_NUMBERS_H

#include "io/safetensors.h"

#include <stdbool.h>
#include <stdint.h>

/* The type of that name, in capitals as files have it; false when there is none. */
bool file_dtype_parse(enum file_dtype *out, const char *name);

/* Exact values of the short floating formats: every one of them is a float32.  NaN stays NaN. */
float f16_value(uint16_t bits);
float bf16_value(uint16_t bits);
float f8_e4m3_value(uint8_t bits); /* bias 7, no infinities, 0x7F and 0xFF are NaN, largest 448 */
float f8_e5m2_value(uint8_t bits); /* bias 15, infinities and NaN as in IEEE 754                */

/* The nearest float16 or bfloat16, ties to even; past the largest comes infinity. */
uint16_t f16_bits(float x);
uint16_t bf16_bits(float x);

#endif
