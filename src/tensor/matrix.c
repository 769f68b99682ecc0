/*
 * matrix.c - names and sizes of the types of stored weights
 */
#include "tensor/matrix.h"

static const struct {
    const char *name;
    int64_t numbers, bytes; /* of a block */
} types[] = {
    [MATRIX_F32] = {"f32", 1, 4},
    [MATRIX_F16] = {"f16", 1, 2},
    [MATRIX_BF16] = {"bf16", 1, 2},
    [MATRIX_F8_E4M3] = {"f8_e4m3", 1, 1},
    [MATRIX_F8_E5M2] = {"f8_e5m2", 1, 1},
    [MATRIX_I8] = {"i8", 1, 1},
    [MATRIX_Q8_0] = {"q8_0", MATRIX_Q8_0_NUMBERS, MATRIX_Q8_0_BYTES},
    [MATRIX_OTHER] = {"other", 1, 0},
};

size_t matrix_bytes(enum matrix_type t, int64_t n)
{
    int64_t blocks = types[t].numbers == 1 ? n : n / types[t].numbers;

    return (size_t)(blocks * types[t].bytes);
}

size_t matrix_all_bytes(const struct matrix *s)
{
    size_t bytes = 0;

    for (int64_t k = 0; k < s->pieces; k++)
        bytes += matrix_all_bytes(&s->piece[k]);
    return s->pieces ? bytes : (size_t)(s->rows * s->row_bytes);
}

const char *matrix_name(enum matrix_type t)
{
    return types[t].name;
}
