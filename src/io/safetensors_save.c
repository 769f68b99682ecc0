/*
 * safetensors_save.c - writing weights so that the old file survives whatever happens
 *
 * Equal tensors give equal bytes: the header's members stand in the order of the data, and the
 * header is padded with spaces so that the data begin at a multiple of 64.  The format forbids gaps
 * between tensors, so those whose size is a multiple of 64 bytes come first, each aligned to a
 * cache line; the others follow by element size, largest first, each aligned to its elements.  A
 * mapped file can then be used where it lies.  The bytes go to a temporary file that takes the name
 * when it is whole and on the disk (base/file.h).
 */
#include "io/safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8, ALIGN = 64 };

/* Names become keys of one JSON object. */
static enum status check_name(const json_t *object, const char *name, const char *what,
                              struct error *err)
{
    char shown[UTF8_SHOWN];

    if (!utf8_valid(name, strlen(name)))
        return fail(err, E_ARG, "%s %s is not UTF-8", what, utf8_shown(shown, name));
    if (json_object_get(object, name) || !strcmp(name, "__metadata__"))
        return fail(err, E_ARG, "%s %s is given twice, or taken by the format", what,
                    utf8_shown(shown, name));
    return OK;
}

static enum status no_memory(struct error *err)
{
    return fail(err, E_MEMORY, "no memory for the header of a safetensors file");
}

static enum status add_metadata(json_t *header, const struct save_text *metadata, int64_t n,
                                struct error *err)
{
    json_t *object = json_object();
    enum status st;

    if (n == 0 || !object) {
        json_decref(object);
        return n ? no_memory(err) : OK;
    }
    /* The header owns it from here on, and frees it whatever happens. */
    if (json_object_set_new(header, "__metadata__", object))
        return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        if ((st = check_name(object, metadata[i].key, "metadata", err)))
            return st;
        if (!utf8_valid(metadata[i].value, strlen(metadata[i].value)))
            return fail(err, E_ARG, "metadata %s: its text is not UTF-8", metadata[i].key);
        if (json_object_set_new(object, metadata[i].key, json_string(metadata[i].value)))
            return no_memory(err);
    }
    return OK;
}

static json_t *integers(const int64_t *x, int n)
{
    json_t *array = json_array();

    for (int i = 0; i < n && array; i++) {
        if (json_array_append_new(array, json_integer(x[i]))) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

/* The entry of t, whose data begin at *end, which moves past them. */
static enum status add_tensor(json_t *header, uint64_t *end, const struct save_tensor *t,
                              struct error *err)
{
    json_t *entry = json_object();
    int64_t offsets[2];
    uint64_t bytes = 0;
    enum status st;

    MUST(file_dtype_block(t->dtype) == 1, "%s: safetensors has no blocks", t->name);
    if (!entry || json_object_set_new(entry, "dtype", json_string(file_dtype_name(t->dtype))) ||
        json_object_set_new(entry, "shape", integers(t->dim, t->rank))) {
        st = no_memory(err);
        goto out;
    }
    if ((st = check_name(header, t->name, "tensor", err)) ||
        (st = save_tensor_size(&bytes, t, err)))
        goto out;
    offsets[0] = (int64_t)*end;
    if (__builtin_add_overflow(*end, bytes, end) || *end > INT64_MAX) {
        st = fail(err, E_ARG, "tensor %s: the bytes of all tensors overflow", t->name);
        goto out;
    }
    offsets[1] = (int64_t)*end;
    if (json_object_set_new(entry, "data_offsets", integers(offsets, 2)) ||
        json_object_set(header, t->name, entry))
        st = no_memory(err);
out:
    json_decref(entry);
    return st;
}

static bool fills_lines(const struct save_tensor *t)
{
    uint64_t bytes = 0;

    return !save_tensor_size(&bytes, t, NULL) && bytes % ALIGN == 0;
}

/* order[0..n-1]: whole cache lines first, then by element size, largest first; otherwise as given.
 */
static void order_tensors(const struct save_tensor **order, const struct save_tensor *tensors,
                          int64_t n)
{
    int64_t k = 0;

    for (int64_t i = 0; i < n; i++)
        if (fills_lines(&tensors[i]))
            order[k++] = &tensors[i];
    for (size_t size = 8; size > 0; size /= 2)
        for (int64_t i = 0; i < n; i++)
            if (file_dtype_size(tensors[i].dtype) == size && !fills_lines(&tensors[i]))
                order[k++] = &tensors[i];
}

/* *out: length and header, n bytes in all, a multiple of 64. */
static enum status make_header(uint8_t **out, uint64_t *n, const struct save_tensor **order,
                               int64_t n_tensors, const struct save_text *metadata,
                               int64_t n_metadata, struct error *err)
{
    json_t *header = json_object();
    uint64_t end = 0, length;
    char *text = NULL;
    enum status st;

    if (!header)
        return no_memory(err);
    if ((st = add_metadata(header, metadata, n_metadata, err)))
        goto out;
    for (int64_t i = 0; i < n_tensors; i++)
        if ((st = add_tensor(header, &end, order[i], err)))
            goto out;
    if ((st = config_dump(&text, header, err)))
        goto out;
    *n = (PREFIX + strlen(text) + ALIGN - 1) / ALIGN * ALIGN;
    length = *n - PREFIX;
    if ((st = mem_new((void **)out, *n, 1, "the header", err)))
        goto out;
    for (int i = 0; i < PREFIX; i++)
        (*out)[i] = (uint8_t)(length >> 8 * i);
    memset(*out + PREFIX, ' ', length);
    memcpy(*out + PREFIX, text, strlen(text));
out:
    free(text);
    json_decref(header);
    return st;
}

enum status safetensors_save(const char *path, const struct save_tensor *tensors, int64_t n,
                             const struct save_text *metadata, int64_t n_metadata,
                             struct error *err)
{
    const struct save_tensor **order = NULL;
    struct file_writer w = {0};
    uint8_t *header = NULL;
    uint64_t bytes = 0;
    enum status st;

    if ((st = mem_new((void **)&order, (uint64_t)n, sizeof *order, "a list of tensors", err)))
        goto out;
    order_tensors(order, tensors, n);
    if ((st = make_header(&header, &bytes, order, n, metadata, n_metadata, err))) {
        fail_under(err, "%s", path);
        goto out;
    }
    if ((st = file_writer_open(&w, path, err)) || (st = file_writer_put(&w, header, bytes, err)))
        goto out;
    for (int64_t i = 0; i < n; i++)
        if ((st = save_tensor_put(&w, order[i], err)))
            goto out;
    st = file_writer_commit(&w, err);
out:
    file_writer_close(&w);
    free(header);
    free(order);
    return st;
}
