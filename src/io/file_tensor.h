/*
 * file_tensor.h - a named tensor as it lies in a file, whatever the format of the file
 *
 * The currency between files and networks: a name, a shape, and bytes in a mapping.  Numbers are
 * stored one by one, or in blocks that share a scale (GGUF); a tensor may have scales of its own
 * besides (float8 and int8 checkpoints).  Whoever reads asks for float32 and gets the numbers that
 * are meant: dequantised and scaled.
 */
#ifndef IMGEN_IO_FILE_TENSOR_H
#define IMGEN_IO_FILE_TENSOR_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Element types as files know them.  The last ten are GGUF's and come in blocks of 32 or 256. */
enum file_dtype {
    FILE_BOOL,
    FILE_U8,
    FILE_I8,
    FILE_I16,
    FILE_U16,
    FILE_F16,
    FILE_BF16,
    FILE_I32,
    FILE_U32,
    FILE_F32,
    FILE_F64,
    FILE_I64,
    FILE_U64,
    FILE_F8_E4M3,
    FILE_F8_E5M2,
    FILE_Q4_0,
    FILE_Q4_1,
    FILE_Q5_0,
    FILE_Q5_1,
    FILE_Q8_0,
    FILE_Q2_K,
    FILE_Q3_K,
    FILE_Q4_K,
    FILE_Q5_K,
    FILE_Q6_K,
};
/* The name of a type, in capitals as files have it; and the type of a name, false when there is
 * none. */
const char *file_dtype_name(enum file_dtype t);
bool file_dtype_parse(enum file_dtype *out, const char *name);
/* Elements in a block, 1 where each stands for itself, and the bytes of one block. */
int64_t file_dtype_block(enum file_dtype t);
size_t file_dtype_size(enum file_dtype t);

enum { FILE_RANK = 8 };

struct file_tensor {
    const char *name;
    enum file_dtype dtype;
    int rank;             /* at most FILE_RANK                                              */
    int64_t dim[8];       /* outermost first                                                */
    const uint8_t *bytes; /* not aligned                                                    */
    uint64_t n_bytes;
    const float *scale; /* what is stored is times this: n_scale numbers, or NULL          */
    int64_t n_scale;    /* 0: none; 1: one of all; dim[0]: one a row                       */
};

/* Number of elements of t.  Those of block types are a multiple of the block. */
int64_t file_tensor_count(const struct file_tensor *t);

/* Its values as float32, dequantised and scaled, or as double; or as int64 (integers and bool;
 * E_FORMAT for floating ones, those in blocks, and scaled ones).  out has room for all. */
enum status file_tensor_f32(const struct file_tensor *t, float *out, struct error *err);
enum status file_tensor_f64(const struct file_tensor *t, double *out, struct error *err);
enum status file_tensor_i64(const struct file_tensor *t, int64_t *out, struct error *err);

/* Elements first .. first + n - 1 of t as file_tensor_f32 has them, in row-major order: whole
 * blocks, so both are multiples of file_dtype_block.  out [n].  Several threads may read parts of
 * one tensor at once. */
void file_tensor_f32_part(const struct file_tensor *t, int64_t first, int64_t n, float *out);

#endif
