/*
 * fuzz_gguf.c - any bytes as a GGUF file
 *
 * What is accepted must obey the rules that readers rely on: every tensor inside the file, none
 * over another, as many bytes as its shape says, found again by its name, and convertible as a
 * whole and in parts.
 */
#include "base/error.h"
#include "io/gguf.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_values(const struct file_tensor *t)
{
    int64_t count = file_tensor_count(t), block = file_dtype_block(t->dtype), whole[MOST];
    float values[MOST], last[256];
    double wide[MOST];

    if (count > MOST)
        return;
    file_tensor_f32(t, values, NULL);
    file_tensor_f64(t, wide, NULL);
    file_tensor_i64(t, whole, NULL);
    if (!count)
        return;
    file_tensor_f32_part(t, count - block, block, last);
    MUST(!memcmp(last, values + count - block, (size_t)block * sizeof *last), "another last block");
}

static void check_tensor(const struct gguf *f, const struct file_tensor *t, const uint8_t *bytes,
                         size_t n)
{
    uint64_t count = (uint64_t)file_tensor_count(t), block = (uint64_t)file_dtype_block(t->dtype);

    MUST(t->bytes >= bytes && t->bytes + t->n_bytes <= bytes + n, "outside the file");
    MUST(count % block == 0 && count / block * file_dtype_size(t->dtype) == t->n_bytes,
         "shape and bytes");
    MUST(gguf_find(f, t->name) == t, "not found by its name");
    check_values(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const uint8_t *end = bytes;
    struct error err = {0};
    struct gguf *f;

    if (gguf_open_bytes(&f, bytes, n, "fuzz", &err)) {
        MUST(err.text[0] && !f, "a failure without a sentence");
        return 0;
    }
    for (int64_t i = 0; i < gguf_count(f); i++) {
        const struct file_tensor *t = gguf_at(f, i);

        check_tensor(f, t, bytes, n);
        MUST(t->bytes >= end, "tensors over each other");
        end = t->bytes + t->n_bytes;
    }
    for (int64_t i = 0; i < gguf_metadata_count(f); i++) {
        const char *key, *value;

        gguf_metadata_at(f, i, &key, &value);
        MUST(gguf_metadata(f, key) == value, "metadata");
    }
    gguf_close(f);
    return 0;
}
