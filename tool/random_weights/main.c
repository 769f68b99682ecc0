/*
 * main.c - a file of random weights, from lists of names and shapes
 *
 *     random_weights OUT.safetensors TYPE LIST[=PREFIX]...
 *
 * Published weights are gigabytes that not everybody may have; what a program does with their size,
 * its memory, its speed and whether it knows every name, shows with any numbers.  A list has a line
 * "name<tab>16x4" for each tensor (test/golden/sd3/keys); PREFIX is put in front of its names, as
 * single files have them:
 *
 *     random_weights sd3.safetensors f16 sd3-medium.mmdit.tsv
 * clip-l.tsv=text_encoders.clip_l.transformer.
 *
 * Matrices are normal with deviation 1 / sqrt(inputs), so that what goes through keeps its size;
 * what is called a norm is about 1, and other vectors are small.  Tensor k of a run draws from a
 * stream of its own: equal calls give equal bytes.  Written piece by piece, in little memory.
 */
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "io/encode.h"
#include "io/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16, LIST_BYTES = 16 << 20 };

/* All tensors; what save_tensor.bytes points to is the tensor's number. */
struct list {
    struct save_tensor *tensor;
    int64_t n, room;
    enum file_dtype type;
};

static const struct {
    const char *name;
    enum file_dtype type;
} types[] = {{"f32", FILE_F32}, {"f16", FILE_F16}, {"bf16", FILE_BF16}};

/* --- numbers ------------------------------------------------------------------------------------
 */

static double deviation(const struct save_tensor *t)
{
    int64_t inputs = 1;

    for (int k = 1; k < t->rank; k++)
        inputs *= t->dim[k];
    return t->rank > 1 ? 1 / sqrt((double)inputs) : 0.02;
}

static bool is_norm(const struct save_tensor *t)
{
    const char *leaf = strrchr(t->name, '.');

    return t->rank == 1 && leaf && !strcmp(leaf, ".weight");
}

static enum status put_random(struct file_writer *w, const struct save_tensor *t, struct error *err)
{
    static float x[PIECE];
    static uint8_t bytes[PIECE * sizeof(float)];
    struct rng r = rng_stream(1, RNG_INIT, (uint64_t)(uintptr_t)t->bytes);
    double scale = deviation(t), mean = is_norm(t) ? 1 : 0;
    int64_t left = 1;
    enum status st = OK;

    for (int k = 0; k < t->rank; k++)
        left *= t->dim[k];
    for (int64_t n, first = 0; left > 0 && !st; left -= n, first += n) {
        n = left < PIECE ? left : PIECE;
        rng_normals(&r, x, n);
        for (int64_t i = 0; i < n; i++)
            x[i] = (float)(mean + scale * (double)x[i]);
        if (!(st = encode_floats(bytes, t->dtype, x, n, t->name, first, err)))
            st = file_writer_put(w, bytes, (uint64_t)n * file_dtype_size(t->dtype), err);
    }
    return st;
}

/* --- lists --------------------------------------------------------------------------------------
 */

static enum status add_line(struct list *l, const char *line, const char *prefix, struct error *err)
{
    const char *tab = strchr(line, '\t'), *at = tab;
    struct save_tensor t = {.dtype = l->type, .put = put_random};
    size_t room;
    char *name;
    enum status st;

    if (!tab)
        return fail(err, E_FORMAT, "'%.60s' is no name and shape", line);
    while (at && t.rank < FILE_RANK) {
        t.dim[t.rank++] = strtoll(at + 1, NULL, 10);
        at = strchr(at + 1, 'x');
    }
    room = strlen(prefix) + (size_t)(tab - line) + 1;
    if ((st = mem_new((void **)&name, room, 1, "a name", err)))
        return st;
    snprintf(name, room, "%s%.*s", prefix, (int)(tab - line), line);
    t.name = name;
    t.bytes = (const void *)(uintptr_t)l->n;
    if ((st = mem_grow((void **)&l->tensor, &l->room, l->n + 1, sizeof t, err)))
        free(name);
    else
        l->tensor[l->n++] = t;
    return st;
}

static enum status add_list(struct list *l, char *word, struct error *err)
{
    char *equals = strchr(word, '='), *line, *rest;
    uint8_t *text = NULL;
    uint64_t n;
    enum status st;

    if (equals)
        *equals = 0;
    if ((st = file_read(&text, &n, word, LIST_BYTES, err)))
        return st;
    for (line = strtok_r((char *)text, "\n", &rest); line && !st;
         line = strtok_r(NULL, "\n", &rest))
        st = add_line(l, line, equals ? equals + 1 : "", err);
    free(text);
    return st;
}

static bool find_type(enum file_dtype *out, const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) {
            *out = types[i].type;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct list l = {0};
    enum status st = OK;

    if (argc < 4 || !find_type(&l.type, argv[2])) {
        fprintf(stderr, "usage: random_weights OUT.safetensors f32|f16|bf16 LIST[=PREFIX]...\n");
        return 2;
    }
    for (int i = 3; i < argc && !st; i++)
        st = add_list(&l, argv[i], &err);
    if (!st)
        st = safetensors_save(argv[1], l.tensor, l.n, NULL, 0, &err);
    if (st)
        fprintf(stderr, "random_weights: %s\n", err.text);
    for (int64_t i = 0; i < l.n; i++)
        free((void *)(uintptr_t)l.tensor[i].name);
    free(l.tensor);
    return st != OK;
}
