/*
 * gguf_save.c - writing weights in blocks of a few bits
 *
 * As in safetensors_save.c the header is made whole before a tensor is touched, equal tensors give
 * equal bytes, and the old file survives whatever happens.
 *
 * GGUF has at most four dimensions, and blocks along the innermost one.  A tensor that does not
 * fit is written in another shape of as many elements, with its own shape in the metadata beside
 * it, as readers of such files have agreed: "comfy.gguf.orig_shape.NAME".
 */
#include "io/gguf.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "base/whole.h"
#include "io/gguf_blocks.h"
#include "io/gguf_format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What readers are told of the whole file; the numbers are those of the format. */
enum { BLOCKS_VERSION = 2, MOSTLY_F32 = 0, MOSTLY_F16 = 1, MOSTLY_Q8_0 = 7, MOSTLY_BF16 = 32 };

static void put_number(struct text *out, uint64_t x, int bytes)
{
    char raw[8];

    for (int i = 0; i < bytes; i++)
        raw[i] = (char)(x >> 8 * i);
    text_add_bytes(out, raw, (size_t)bytes);
}

static void put_text(struct text *out, const char *text)
{
    put_number(out, strlen(text), 8);
    text_add_bytes(out, text, strlen(text));
}

static void put_u32(struct text *out, const char *key, uint32_t value)
{
    put_text(out, key);
    put_number(out, GGUF_U32, 4);
    put_number(out, value, 4);
}

/* --- shapes -------------------------------------------------------------------------------------
 */

/* The shape that t has in the file, its type being in blocks or its dimensions too many. */
static struct save_tensor fitted(const struct save_tensor *t)
{
    int64_t block = file_dtype_block(t->dtype), count = 1;
    struct save_tensor out = *t;

    for (int k = 0; k < t->rank; k++)
        count *= t->dim[k];
    if (block > 1 && (t->rank == 0 || t->dim[t->rank - 1] % block)) {
        int64_t row = count % GGUF_BLOCK_K ? block : GGUF_BLOCK_K;

        out.rank = 2;
        out.dim[0] = count / row;
        out.dim[1] = row;
    }
    for (; out.rank > GGUF_RANK; out.rank--) {
        out.dim[0] *= out.dim[1];
        memmove(out.dim + 1, out.dim + 2, (size_t)(out.rank - 2) * sizeof *out.dim);
    }
    return out;
}

static bool is_fitted(const struct save_tensor *t)
{
    struct save_tensor as = fitted(t);

    return as.rank != t->rank || memcmp(as.dim, t->dim, (size_t)t->rank * sizeof *t->dim) != 0;
}

static enum status put_shape(struct text *out, const struct save_tensor *t, struct error *err)
{
    struct text key;

    text_init(&key, NULL, 0);
    text_add(&key, GGUF_SHAPE_KEY "%s", t->name);
    if (!key.cut)
        put_text(out, key.data);
    out->cut |= key.cut;
    text_release(&key);
    put_number(out, GGUF_ARRAY, 4);
    put_number(out, GGUF_I32, 4);
    put_number(out, (uint64_t)t->rank, 8);
    for (int k = 0; k < t->rank; k++) {
        if (t->dim[k] > INT32_MAX)
            return fail(err, E_ARG,
                        "tensor %s: dimension %d is %" PRId64 ", past what a shape holds", t->name,
                        k, t->dim[k]);
        put_number(out, (uint64_t)t->dim[k], 4);
    }
    return OK;
}

/* --- header -------------------------------------------------------------------------------------
 */

struct header {
    struct text text;
    uint64_t entries; /* of the metadata */
};

static bool has_type(const struct save_tensor *t, int64_t n, enum file_dtype dtype)
{
    for (int64_t i = 0; i < n; i++)
        if (t[i].dtype == dtype)
            return true;
    return false;
}

static uint32_t mostly(const struct save_tensor *t, int64_t n)
{
    if (has_type(t, n, FILE_Q8_0))
        return MOSTLY_Q8_0;
    if (has_type(t, n, FILE_F16))
        return MOSTLY_F16;
    return has_type(t, n, FILE_BF16) ? MOSTLY_BF16 : MOSTLY_F32;
}

static enum status check_text(const char *text, const char *what, struct error *err)
{
    char shown[UTF8_SHOWN];

    if (!*text || !utf8_valid(text, strlen(text)))
        return fail(err, E_ARG, "%s \"%s\" is empty or not UTF-8", what, utf8_shown(shown, text));
    return OK;
}

static const char version_key[] = "general.quantization_version", type_key[] = "general.file_type";

bool gguf_key_is_own(const char *key)
{
    return !strcmp(key, version_key) || !strcmp(key, type_key) ||
           !strcmp(key, GGUF_ALIGNMENT_KEY) ||
           !strncmp(key, GGUF_SHAPE_KEY, strlen(GGUF_SHAPE_KEY));
}

static enum status put_metadata(struct header *h, const struct save_text *metadata,
                                int64_t n_metadata, const struct save_tensor *t, int64_t n,
                                struct error *err)
{
    enum status st = OK;

    for (int64_t i = 0; i < n_metadata && !st; i++, h->entries++) {
        if ((st = check_text(metadata[i].key, "the key", err)) ||
            (*metadata[i].value && (st = check_text(metadata[i].value, "the text", err))))
            return st;
        if (gguf_key_is_own(metadata[i].key))
            return fail(err, E_ARG, "the key %s is the format's own", metadata[i].key);
        put_text(&h->text, metadata[i].key);
        put_number(&h->text, GGUF_TEXT, 4);
        put_text(&h->text, metadata[i].value);
    }
    put_u32(&h->text, version_key, BLOCKS_VERSION);
    put_u32(&h->text, type_key, mostly(t, n));
    h->entries += 2;
    for (int64_t i = 0; i < n && !st; i++) {
        if (is_fitted(&t[i])) {
            st = put_shape(&h->text, &t[i], err);
            h->entries++;
        }
    }
    return st;
}

/* *end: where the data of the tensors so far end, relative to their start. */
static enum status put_tensor(struct text *out, const struct save_tensor *t, uint64_t *end,
                              struct error *err)
{
    struct save_tensor as = fitted(t);
    uint64_t bytes = 0;
    enum status st;

    if ((st = check_text(t->name, "the name", err)) || (st = save_tensor_size(&bytes, t, err)))
        return st;
    if (gguf_dtype_id(t->dtype) < 0)
        return fail(err, E_ARG, "tensor %s: GGUF has no elements of type %s", t->name,
                    file_dtype_name(t->dtype));
    put_text(out, t->name);
    put_number(out, (uint64_t)as.rank, 4);
    for (int k = as.rank; k-- > 0;)
        put_number(out, (uint64_t)as.dim[k], 8);
    put_number(out, (uint64_t)gguf_dtype_id(t->dtype), 4);
    put_number(out, *end, 8);
    if (__builtin_add_overflow(*end, bytes + GGUF_ALIGNMENT - 1, end) || *end > INT64_MAX)
        return fail(err, E_ARG, "tensor %s: the bytes of all tensors overflow", t->name);
    *end = *end / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
    return OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* names: room for n. */
static enum status check_twice(const char **names, int64_t n, const char *what, struct error *err)
{
    char shown[UTF8_SHOWN];

    qsort(names, (size_t)n, sizeof *names, compare_texts);
    for (int64_t i = 1; i < n; i++)
        if (!strcmp(names[i - 1], names[i]))
            return fail(err, E_ARG, "%s %s is given twice", what, utf8_shown(shown, names[i]));
    return OK;
}

static enum status check_names(const struct save_tensor *t, int64_t n,
                               const struct save_text *metadata, int64_t n_metadata,
                               struct error *err)
{
    const char **names = NULL;
    enum status st;

    if ((st = mem_new((void **)&names, (uint64_t)whole_max(n, n_metadata), sizeof *names,
                      "a list of names", err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        names[i] = t[i].name;
    st = check_twice(names, n, "tensor", err);
    for (int64_t i = 0; i < n_metadata; i++)
        names[i] = metadata[i].key;
    if (!st)
        st = check_twice(names, n_metadata, "metadata", err);
    free(names);
    return st;
}

/* All up to the data, padding included. */
static enum status make_header(struct text *out, const struct save_tensor *t, int64_t n,
                               const struct save_text *metadata, int64_t n_metadata,
                               struct error *err)
{
    struct header h = {0};
    uint64_t end = 0, bytes;
    enum status st;

    /* Before anything is made of their shapes. */
    for (int64_t i = 0; i < n; i++)
        if ((st = save_tensor_size(&bytes, &t[i], err)))
            return st;
    text_init(&h.text, NULL, 0);
    if ((st = check_names(t, n, metadata, n_metadata, err)) ||
        (st = put_metadata(&h, metadata, n_metadata, t, n, err)))
        goto out;
    text_add_bytes(out, GGUF_MAGIC, strlen(GGUF_MAGIC));
    put_number(out, GGUF_VERSION, 4);
    put_number(out, (uint64_t)n, 8);
    put_number(out, h.entries, 8);
    text_add_bytes(out, h.text.data, h.text.used);
    for (int64_t i = 0; i < n && !st; i++)
        st = put_tensor(out, &t[i], &end, err);
    while (out->used % GGUF_ALIGNMENT && !out->cut)
        put_number(out, 0, 1);
    if (!st && (h.text.cut || out->cut))
        st = fail(err, E_MEMORY, "no memory for the header of a GGUF file");
out:
    text_release(&h.text);
    return st;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static enum status put_data(struct file_writer *w, const struct save_tensor *t, struct error *err)
{
    static const uint8_t zeros[GGUF_ALIGNMENT];
    enum status st;

    if ((st = save_tensor_put(w, t, err)))
        return st;
    return file_writer_put(w, zeros, (GGUF_ALIGNMENT - w->n % GGUF_ALIGNMENT) % GGUF_ALIGNMENT,
                           err);
}

enum status gguf_save(const char *path, const struct save_tensor *tensors, int64_t n,
                      const struct save_text *metadata, int64_t n_metadata, struct error *err)
{
    struct file_writer w = {0};
    struct text header;
    enum status st;

    text_init(&header, NULL, 0);
    if ((st = make_header(&header, tensors, n, metadata, n_metadata, err))) {
        fail_under(err, "%s", path);
        goto out;
    }
    if ((st = file_writer_open(&w, path, err)) ||
        (st = file_writer_put(&w, header.data, header.used, err)))
        goto out;
    for (int64_t i = 0; i < n; i++)
        if ((st = put_data(&w, &tensors[i], err)))
            goto out;
    st = file_writer_commit(&w, err);
out:
    file_writer_close(&w);
    text_release(&header);
    return st;
}
