/*
 * convert_rule.c - which tensor of a model is stored as what
 *
 * Nearly all numbers of a network stand in the matrices of its linear layers, and those bear being
 * rounded to eight bits with a scale: an error of one part in 250 of the largest weight of a row or
 * block, which averages out over thousands of products.  What is added to the stream (biases,
 * positions), scales it (norms), or stands at its very ends (patches, time, condition, output) is
 * a small part of the bytes and a large part of the error, and stays in sixteen bits; so does the
 * autoencoder, whose errors are seen as they are.
 *
 * In GGUF vectors are float32 by custom, as its readers expect.
 */
#include "io/convert_rule.h"

#include "base/text.h"
#include "io/gguf_format.h"
#include "io/published.h"

#include <string.h>

static const struct convert_type types[] = {
    {"f32", "float32, 4 bytes a number", FILE_F32, false, true, true},
    {"f16", "float16, 2 bytes a number", FILE_F16, false, true, true},
    {"bf16", "bfloat16, 2 bytes a number: fewer digits, any size", FILE_BF16, false, true, true},
    {"int8", "matrices as bytes with a scale a row, the rest 16 bits", FILE_I8, true, true, false},
    {"q8_0", "matrices as bytes with a scale for 32 numbers, the rest 16 or 32 bits", FILE_Q8_0,
     true, false, true},
};
enum { N_TYPES = sizeof types / sizeof *types };

const struct convert_type *convert_type_at(int i)
{
    return i >= 0 && i < N_TYPES ? &types[i] : NULL;
}

enum status convert_type_find(const struct convert_type **out, const char *name, struct error *err)
{
    const char *names[N_TYPES], *nearest;

    for (int i = 0; i < N_TYPES; i++) {
        names[i] = types[i].name;
        if (!strcmp(name, types[i].name)) {
            *out = &types[i];
            return OK;
        }
    }
    nearest = text_nearest(name, names, N_TYPES);
    return fail(err, E_ARG, "there is no type '%.40s'; %s%s%s", name,
                nearest ? "did you mean '" : "f32, f16, bf16, int8 and q8_0 are",
                nearest ? nearest : "", nearest ? "'?" : "");
}

static bool is_float(enum file_dtype t)
{
    return t == FILE_F32 || t == FILE_F16 || t == FILE_BF16 || t == FILE_F64 || t == FILE_F8_E4M3 ||
           t == FILE_F8_E5M2 || file_dtype_block(t) > 1;
}

/* Whether one of the parts between the dots of a name is among the ends of the stream. */
static bool stands_at_an_end(const char *name)
{
    static const char *const ends[] = {
        "pos_embed",
        "position_embedding",
        "positional_embedding",
        "x_embedder",
        "t_embedder",
        "y_embedder",
        "context_embedder",
        "final_layer",
        "time_text_embed",
        "relative_attention_bias",
        "time_embed",
        "label_emb",
        "norm_out",
        "proj_out",
        "text_projection",
        "attn_rel_b",
    };
    const struct published_part *part = published_part_of(name);

    if (part && !strcmp(part->name, "autoencoder"))
        return true;
    while (*name) {
        size_t n = strcspn(name, ".");

        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            if (strlen(ends[i]) == n && !memcmp(name, ends[i], n))
                return true;
        name += n + (name[n] == '.');
    }
    return false;
}

/* A matrix of a linear layer, or of embedded tokens. */
static bool bears_codes(const struct file_tensor *t, enum file_dtype codes)
{
    return t->rank == 2 && t->dim[0] > 1 && t->dim[1] > 1 && !stands_at_an_end(t->name) &&
           file_tensor_count(t) % file_dtype_block(codes) == 0;
}

/* What stays in sixteen bits, or in the thirty-two it has where those are few. */
static enum file_dtype kept(const struct file_tensor *t)
{
    if (t->dtype == FILE_F16 || t->dtype == FILE_BF16)
        return t->dtype;
    return t->rank <= 1 ? FILE_F32 : FILE_F16;
}

bool convert_rule(enum file_dtype *to, const struct file_tensor *t, const struct convert_type *type,
                  bool gguf)
{
    bool codes = t->dtype == FILE_I8 && t->n_scale;

    if (!is_float(t->dtype) && !codes)
        *to = t->dtype;
    else if (gguf && t->rank <= 1)
        *to = FILE_F32;
    else if (!type->coded)
        *to = type->dtype;
    else
        *to = bears_codes(t, type->dtype) ? type->dtype : kept(t);
    return !gguf || gguf_dtype_id(*to) >= 0;
}
