/*
 * fuzz_weights.c - any bytes as a file of named tensors, with scales that belong to others
 *
 * fuzz_safetensors and fuzz_gguf look at what the formats promise; this one at what is made of it:
 * each name once, each scale as long as its tensor needs it.
 */
#include "base/error.h"
#include "io/weights.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_tensor(const struct weights *w, const struct file_tensor *t)
{
    float values[MOST];
    int64_t count = file_tensor_count(t);

    MUST(weights_find(w, t->name) == t, "not found by its name");
    MUST(!t->n_scale == !t->scale, "scales that are not there");
    MUST(t->n_scale <= 1 || t->n_scale == t->dim[0], "scales for other rows");
    if (count <= MOST)
        file_tensor_f32(t, values, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct weights *w;

    if (weights_open_bytes(&w, bytes, n, "fuzz", &err)) {
        MUST(err.text[0] && !w, "a failure without a sentence");
        return 0;
    }
    for (int64_t i = 0; i < weights_count(w); i++)
        check_tensor(w, weights_at(w, i));
    for (int64_t i = 0; i < weights_metadata_count(w); i++) {
        const char *key, *value;

        weights_metadata_at(w, i, &key, &value);
        MUST(weights_metadata(w, key) == value, "metadata");
    }
    weights_close(w);
    return 0;
}
