/*
 * fuzz_safetensors.c - any bytes as a file of weights
 *
 * What is accepted must obey the rules that readers rely on: every tensor inside the file, as many
 * bytes as its shape says, found again by its name, and convertible.
 */
#include "base/error.h"
#include "io/safetensors.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_tensor(const struct safetensors *f, const struct file_tensor *t,
                         const uint8_t *bytes, size_t n)
{
    int64_t count = file_tensor_count(t), whole[MOST];
    double wide[MOST];
    float values[MOST];

    MUST(t->bytes >= bytes && t->bytes + t->n_bytes <= bytes + n, "outside the file");
    MUST((uint64_t)count * file_dtype_size(t->dtype) == t->n_bytes, "shape and bytes");
    MUST(safetensors_find(f, t->name) == t, "not found by its name");
    if (count > MOST)
        return;
    file_tensor_f32(t, values, NULL);
    file_tensor_f64(t, wide, NULL);
    file_tensor_i64(t, whole, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct safetensors *f;

    if (safetensors_open_bytes(&f, bytes, n, "fuzz", &err)) {
        MUST(err.text[0] && !f, "a failure without a sentence");
        return 0;
    }
    for (int64_t i = 0; i < safetensors_count(f); i++)
        check_tensor(f, safetensors_at(f, i), bytes, n);
    for (int64_t i = 0; i < safetensors_metadata_count(f); i++) {
        const char *key, *value;

        safetensors_metadata_at(f, i, &key, &value);
        MUST(!strcmp(safetensors_metadata(f, key), value), "metadata");
    }
    safetensors_close(f);
    return 0;
}
