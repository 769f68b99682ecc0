/*
 * save_tensor.h - a named tensor that is to be written to a file, whatever its format
 */
#ifndef IMGEN_IO_SAVE_TENSOR_H
#define IMGEN_IO_SAVE_TENSOR_H

#include "base/file.h"
#include "io/file_tensor.h"

struct save_tensor {
    const char *name;
    enum file_dtype dtype;
    int rank; /* at most FILE_RANK */
    int64_t dim[8];
    const void *bytes; /* dense values in memory, or what put makes them from */
    /* NULL, or what appends the tensor to the file, in as many pieces as it likes: exactly as many
     * bytes as its shape and type make.  So a tensor need not be in memory as it will be stored. */
    enum status (*put)(struct file_writer *w, const struct save_tensor *t, struct error *err);
};
struct save_text {
    const char *key, *value;
};

/* Bytes of t by its shape and type; E_ARG where they overflow or are not whole blocks. */
enum status save_tensor_size(uint64_t *bytes, const struct save_tensor *t, struct error *err);
/* Append t to the file. */
enum status save_tensor_put(struct file_writer *w, const struct save_tensor *t, struct error *err);

#endif
