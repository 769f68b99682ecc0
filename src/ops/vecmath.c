/*
 * vecmath.c - the bounds of vecmath.h, out of the compiler's sight
 */
#include "ops/vecmath.h"

const struct vec_bounds vec_bounds = {
    .exp_lo = -104.0f,
    .exp_hi = 89.0f,
    .sigmoid_lo = -89.0f,
    .sigmoid_hi = 87.0f,
    .tanh_hi = 10.0f,
    .erf_hi = 4.0f,
    .exp2_lo = -126.0f,
};
