/*
 * save_tensor.c - a named tensor that is to be written to a file, whatever its format
 *
 * Both writers decide where everything lies before a byte is written, from shapes and types alone;
 * so what puts a tensor must put exactly what these say, and that is held against the file.
 */
#include "io/save_tensor.h"

#include <inttypes.h>

enum status save_tensor_size(uint64_t *bytes, const struct save_tensor *t, struct error *err)
{
    uint64_t product = 1, block = (uint64_t)file_dtype_block(t->dtype);

    MUST(t->rank >= 0 && t->rank <= FILE_RANK, "%s has rank %d", t->name, t->rank);
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] < 0 || __builtin_mul_overflow(product, (uint64_t)t->dim[i], &product))
            return fail(err, E_ARG, "tensor %s: dimension %d is %" PRId64 ", its bytes overflow",
                        t->name, i, t->dim[i]);
    if (product % block)
        return fail(err, E_ARG, "tensor %s: %" PRIu64 " elements are no blocks of %" PRIu64,
                    t->name, product, block);
    if (__builtin_mul_overflow(product / block, file_dtype_size(t->dtype), bytes) ||
        *bytes > INT64_MAX)
        return fail(err, E_ARG, "tensor %s: its bytes overflow", t->name);
    return OK;
}

enum status save_tensor_put(struct file_writer *w, const struct save_tensor *t, struct error *err)
{
    uint64_t bytes = 0, before = w->n;
    enum status st;

    if ((st = save_tensor_size(&bytes, t, err)))
        return st;
    if (!t->put)
        return file_writer_put(w, t->bytes, bytes, err);
    if ((st = t->put(w, t, err)))
        return st;
    MUST(w->n - before == bytes, "%s: %" PRIu64 " bytes were put, not %" PRIu64, t->name,
         w->n - before, bytes);
    return OK;
}
