/*
 * parity_gguf.c - blocks of few bits, and files of them
 *
 * A folder that holds a .gguf file is one fixture.  What each of its files is, the names in them
 * say:
 *
 *     X.safetensors with T.bytes and T.values     blocks of type T and what they stand for
 *     X.safetensors with T.bytes and values       numbers, and the bytes they are written as
 *     X.gguf beside X.safetensors                 the same tensors in both
 *     X.gguf beside X.io.safetensors              a network, what goes in and what comes out
 *
 * Dequantising is exact, so bits are compared; the last place is left open where a type has a
 * minimum, since there a fused multiply-add rounds once instead of twice.
 */
#include "parity_mmdit.h"

#include "base/memory.h"
#include "io/gguf_blocks.h"
#include "base/numbers.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 4096, NAME_ROOM = 256 };

static const struct parity_limit last_place = {.of_each = 1.2e-7};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static bool owns_gguf(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    bool owns = false;

    if (!d)
        return false;
    while (!owns && (e = readdir(d)))
        owns = ends_with(e->d_name, ".gguf");
    closedir(d);
    return owns;
}

/* --- tensors ------------------------------------------------------------------------------------
 */

static enum status read_f32(struct parity_fixture *f, float **out, const struct file_tensor *t,
                            struct error *err)
{
    enum status st =
        fixture_new(f, (void **)out, (uint64_t)file_tensor_count(t), sizeof **out, err);

    return st ? st : file_tensor_f32(t, *out, err);
}

static enum status compare_tensors(struct parity_report *r, struct parity_fixture *f,
                                   const struct file_tensor *got, const struct file_tensor *want,
                                   struct error *err)
{
    float *a, *b;
    enum status st;

    if (got->rank != want->rank || memcmp(got->dim, want->dim, sizeof got->dim) != 0) {
        parity_claim(r, got->name, false, "another shape than the reference");
        return OK;
    }
    if ((st = read_f32(f, &a, got, err)) || (st = read_f32(f, &b, want, err)))
        return st;
    parity_compare_f32(r, got->name, a, b, file_tensor_count(got), last_place);
    return OK;
}

/* NaN codes are compared as such: float8 has two or more. */
static enum status compare_codes(struct parity_report *r, struct parity_fixture *f,
                                 const struct file_tensor *got, const struct file_tensor *want,
                                 struct error *err)
{
    int64_t n = file_tensor_count(got), wrong = 0;
    float *a, *b;
    enum status st;

    if ((st = read_f32(f, &a, got, err)) || (st = read_f32(f, &b, want, err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        wrong += number_bits(a[i]) != number_bits(b[i]) && (a[i] == a[i] || b[i] == b[i]);
    parity_claim(r, want->name, !wrong, "%lld of %lld codes differ", (long long)wrong,
                 (long long)n);
    return OK;
}

/* --- blocks -------------------------------------------------------------------------------------
 */

/* T.values: of T.bytes, or of all codes of a type of one byte. */
static enum status check_values(struct parity_report *r, struct parity_fixture *f,
                                const struct weights *w, const struct file_tensor *values,
                                struct error *err)
{
    int n = (int)(strlen(values->name) - strlen(".values"));
    char type[NAME_ROOM], name[NAME_ROOM + 16];
    const struct file_tensor *bytes;
    struct file_tensor t = {.rank = 1, .dim = {file_tensor_count(values)}};
    uint8_t codes[256];

    snprintf(type, sizeof type, "%.*s", n, values->name);
    snprintf(name, sizeof name, "%s.bytes", type);
    bytes = weights_find(w, name);
    if (!file_dtype_parse(&t.dtype, type)) {
        parity_skip(r, values->name, "this type is not implemented");
        return OK;
    }
    t.name = type;
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    t.bytes = bytes ? bytes->bytes : codes;
    t.n_bytes = bytes ? bytes->n_bytes : sizeof codes;
    if (t.dim[0] % file_dtype_block(t.dtype) ||
        t.n_bytes != (uint64_t)(t.dim[0] / file_dtype_block(t.dtype)) * file_dtype_size(t.dtype)) {
        parity_claim(r, values->name, false, "bytes and values do not agree");
        return OK;
    }
    return compare_codes(r, f, &t, values, err);
}

/* T.bytes: how "values" are written. */
static enum status check_writing(struct parity_report *r, struct parity_fixture *f,
                                 const struct file_tensor *values, const struct file_tensor *bytes,
                                 struct error *err)
{
    int64_t n = file_tensor_count(values), wrong = 0;
    bool blocks = strcmp(bytes->name, "Q8_0.bytes") == 0;
    uint8_t *got;
    float *x;
    enum status st;

    if (!blocks && strcmp(bytes->name, "BF16.bytes") != 0) {
        parity_skip(r, bytes->name, "this type is not written");
        return OK;
    }
    if ((blocks ? n / GGUF_BLOCK * GGUF_BYTES_Q8_0 : n * 2) != (int64_t)bytes->n_bytes) {
        parity_claim(r, bytes->name, false, "bytes and values do not agree");
        return OK;
    }
    if ((st = read_f32(f, &x, values, err)) ||
        (st = fixture_new(f, (void **)&got, bytes->n_bytes, 1, err)))
        return st;
    if (blocks) {
        gguf_to_q8_0(got, x, n);
    } else {
        for (int64_t i = 0; i < n; i++) {
            uint16_t bits = bf16_bits(x[i]);

            memcpy(got + 2 * i, &bits, sizeof bits);
        }
    }
    for (uint64_t i = 0; i < bytes->n_bytes; i++)
        wrong += got[i] != bytes->bytes[i];
    parity_claim(r, bytes->name, !wrong, "%lld of %lld bytes differ", (long long)wrong,
                 (long long)bytes->n_bytes);
    return OK;
}

static enum status check_blocks(struct parity_report *r, struct parity_fixture *f,
                                const struct weights *w, struct error *err)
{
    const struct file_tensor *values = weights_find(w, "values");
    enum status st = OK;

    for (int64_t i = 0; i < weights_count(w) && !st; i++) {
        const struct file_tensor *t = weights_at(w, i);

        if (values && ends_with(t->name, ".bytes"))
            st = check_writing(r, f, values, t, err);
        else if (ends_with(t->name, ".values"))
            st = check_values(r, f, w, t, err);
    }
    return st;
}

/* --- files --------------------------------------------------------------------------------------
 */

static enum status check_same(struct parity_report *r, struct parity_fixture *f,
                              const struct weights *got, const struct weights *want,
                              struct error *err)
{
    enum status st = OK;

    parity_claim(r, "tensors", weights_count(got) == weights_count(want), "%lld tensors, not %lld",
                 (long long)weights_count(got), (long long)weights_count(want));
    for (int64_t i = 0; i < weights_count(want) && !st; i++) {
        const struct file_tensor *t = weights_at(want, i), *u = weights_find(got, t->name);

        if (u)
            st = compare_tensors(r, f, u, t, err);
        else
            parity_claim(r, t->name, false, "missing");
    }
    return st;
}

/* "X.gguf": against "X.safetensors" where that is there. */
static enum status check_gguf(struct parity_report *r, struct parity_fixture *f, const char *path,
                              struct error *err)
{
    struct weights *got = NULL, *want = NULL;
    int stem = (int)(strlen(path) - strlen(".gguf"));
    char other[PATH_ROOM];
    enum status st;

    if ((st = weights_open(&got, path, err)))
        return st;
    snprintf(other, sizeof other, "%.*s.safetensors", stem, path);
    if (!weights_open(&want, other, NULL))
        st = check_same(r, f, got, want, err);
    else
        parity_claim(r, "readable", true, "it is");
    weights_close(want);
    weights_close(got);
    return st;
}

/* "X.io.safetensors": the network in "X.gguf", run. */
static enum status check_network(struct parity_report *r, struct parity_fixture *f,
                                 const char *path, const struct parity_options *options,
                                 struct error *err)
{
    int stem = (int)(strlen(path) - strlen(".io.safetensors"));
    struct parity_part data = {0};
    struct weights *w = NULL;
    char other[PATH_ROOM], copy[PATH_ROOM];
    enum status st;

    snprintf(other, sizeof other, "%.*s.gguf", stem, path);
    snprintf(copy, sizeof copy, "%s", path);
    data.path = copy;
    if (!(st = weights_open(&data.file, path, err)) && !(st = weights_open(&w, other, err)))
        st = mmdit_output_compare(r, f, w, &data, options, err);
    weights_close(w);
    weights_close(data.file);
    return st;
}

static enum status check_file(struct parity_report *r, struct parity_fixture *f, const char *leaf,
                              const struct parity_options *options, struct error *err)
{
    struct weights *w = NULL;
    char path[PATH_ROOM];
    enum status st = OK;

    report_group(r, leaf);
    if (snprintf(path, sizeof path, "%s/%s", f->folder, leaf) >= PATH_ROOM)
        return fail(err, E_ARG, "%s/%s: too long a path", f->folder, leaf);
    if (ends_with(leaf, ".gguf"))
        return check_gguf(r, f, path, err);
    if (ends_with(leaf, ".io.safetensors"))
        return check_network(r, f, path, options, err);
    if (!(st = weights_open(&w, path, err)))
        st = check_blocks(r, f, w, err);
    weights_close(w);
    return st;
}

static enum status gguf_check(struct parity_report *r, struct parity_fixture *f,
                              const struct parity_options *options, struct error *err)
{
    struct dirent **leaves = NULL;
    enum status st = OK;
    int n = scandir(f->folder, &leaves, NULL, alphasort);

    if (n < 0)
        return fail_errno(err, E_IO, "cannot read the folder %s", f->folder);
    for (int i = 0; i < n; i++) {
        const char *leaf = leaves[i]->d_name;

        if (!st && (ends_with(leaf, ".gguf") || ends_with(leaf, ".safetensors")))
            st = check_file(r, f, leaf, options, err);
        free(leaves[i]);
    }
    free(leaves);
    return st;
}

const struct parity_checker parity_gguf = {.kind = "gguf", .owns = owns_gguf, .check = gguf_check};
