/*
 * gguf_format.h - numbers of the GGUF format that its reader and its writer share
 */
#ifndef IMGEN_IO_GGUF_FORMAT_H
#define IMGEN_IO_GGUF_FORMAT_H

#include "io/file_tensor.h"

#define GGUF_MAGIC         "GGUF"
#define GGUF_ALIGNMENT_KEY "general.alignment"
/* Before the name of a tensor that was reshaped: an array with the shape it had. */
#define GGUF_SHAPE_KEY "comfy.gguf.orig_shape."

enum { GGUF_VERSION = 3, GGUF_ALIGNMENT = 32, GGUF_RANK = 4 };

/* Types of metadata. */
enum gguf_value {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_TEXT,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
};

/* The element type of a number in a file, false for those that are not read; and the number of a
 * type, -1 for those that GGUF does not have. */
bool gguf_dtype(enum file_dtype *out, uint32_t id);
int gguf_dtype_id(enum file_dtype t);

#endif
