/*
 * safetensors.c - reading the file format of published weights
 *
 * The file is mapped and its header parsed once; a tensor is then a name, a shape and a pointer
 * into the mapping.  The header is JSON, read by jansson into a tree that stays for as long as the
 * file, since it owns the names.  Lookups by name go through a sorted index, because a model asks
 * for each of its thousands of names.
 *
 * A file of weights is often a stranger's.  Every rule of the format is checked before a pointer is
 * made: the header's length, the JSON (no key twice, bounded in depth and number), the types, each
 * shape against the bytes it claims, and that the tensors in order of their data tile it without
 * gap or overlap.  That last rule leaves no byte unaccounted for: nothing can hide in a file, and
 * no two tensors share memory.  What the format allows and we cannot represent (newer element
 * types, more than eight dimensions) is refused as such, not as an error of the file.
 */
#include "io/safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "base/numbers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_LIMIT = 100000000, PREFIX = 8 };

struct safetensors {
    struct file_map map;
    json_t *header; /* owns all names and metadata texts */
    const uint8_t *data;
    uint64_t data_bytes;
    struct file_tensor *tensors;        /* [n] in order of their data */
    const struct file_tensor **by_name; /* [n] sorted                 */
    struct save_text *metadata;         /* [n_metadata] in file order */
    const json_t *metadata_object;
    int64_t n, n_metadata;
};

/* Names the format knows and this reader does not: told apart from nonsense. */
static const char *const foreign_dtypes[] = {"F8_E8M0", "C64", "F4", "F6_E2M3", "F6_E3M2"};

static enum status read_dtype(enum file_dtype *out, const json_t *entry, const char *name,
                              struct error *err)
{
    const char *text = json_string_value(json_object_get(entry, "dtype"));
    char shown[UTF8_SHOWN];

    if (!text)
        return fail(err, E_FORMAT, "tensor %s: no text \"dtype\"", name);
    if (file_dtype_parse(out, text))
        return OK;
    for (size_t i = 0; i < sizeof foreign_dtypes / sizeof *foreign_dtypes; i++)
        if (!strcmp(text, foreign_dtypes[i]))
            return fail(err, E_UNSUPPORTED, "tensor %s: dtype %s is not supported", name, text);
    return fail(err, E_FORMAT, "tensor %s: unknown dtype \"%s\"", name, utf8_shown(shown, text));
}

/* The dimensions, and into *bytes what they and the type amount to.  A dimension of zero must not
 * hide an overflow of the others: strides are products too. */
static enum status read_shape(struct file_tensor *t, uint64_t *bytes, const json_t *entry,
                              const char *name, struct error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t rank = json_array_size(shape);
    uint64_t product = file_dtype_size(t->dtype);
    bool empty = false;

    if (!json_is_array(shape))
        return fail(err, E_FORMAT, "tensor %s: no array \"shape\"", name);
    if (rank > FILE_RANK)
        return fail(err, E_UNSUPPORTED, "tensor %s: %zu dimensions, at most %d are supported", name,
                    rank, FILE_RANK);
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        int64_t d = json_integer_value(dim);

        if (!json_is_integer(dim) || d < 0)
            return fail(err, E_FORMAT, "tensor %s: dimension %zu is not an integer from 0 up", name,
                        i);
        if (__builtin_mul_overflow(product, d ? (uint64_t)d : 1, &product) || product > INT64_MAX)
            return fail(err, E_FORMAT, "tensor %s: the product of its shape overflows", name);
        t->dim[i] = d;
        empty |= d == 0;
    }
    t->rank = (int)rank;
    *bytes = empty ? 0 : product;
    return OK;
}

static enum status read_offsets(uint64_t range[2], const json_t *entry, const char *name,
                                struct error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");

    if (!json_is_array(offsets) || json_array_size(offsets) != 2)
        return fail(err, E_FORMAT, "tensor %s: no array \"data_offsets\" of two", name);
    for (size_t i = 0; i < 2; i++) {
        const json_t *offset = json_array_get(offsets, i);

        if (!json_is_integer(offset) || json_integer_value(offset) < 0)
            return fail(err, E_FORMAT, "tensor %s: an offset is not an integer from 0 up", name);
        range[i] = (uint64_t)json_integer_value(offset);
    }
    return OK;
}

/* One entry of the header, checked against the data.  key is borrowed from the header's tree. */
static enum status read_tensor(struct file_tensor *t, const struct safetensors *f, const char *key,
                               const json_t *entry, struct error *err)
{
    uint64_t bytes = 0, range[2] = {0};
    char name[UTF8_SHOWN];
    enum status st;

    utf8_shown(name, key);
    *t = (struct file_tensor){.name = key};
    if (!json_is_object(entry))
        return fail(err, E_FORMAT, "tensor %s: its entry is not an object", name);
    if ((st = read_dtype(&t->dtype, entry, name, err)) ||
        (st = read_shape(t, &bytes, entry, name, err)) ||
        (st = read_offsets(range, entry, name, err)))
        return st;
    if (json_object_size(entry) != 3)
        return fail(err, E_FORMAT, "tensor %s: %zu members in its entry, 3 are known", name,
                    json_object_size(entry));
    if (range[0] > range[1] || range[1] > f->data_bytes)
        return fail(err, E_FORMAT,
                    "tensor %s: data from %" PRIu64 " to %" PRIu64 ", the file has %" PRIu64, name,
                    range[0], range[1], f->data_bytes);
    if (range[1] - range[0] != bytes)
        return fail(err, E_FORMAT,
                    "tensor %s: shape and type make %" PRIu64 " bytes, the offsets %" PRIu64, name,
                    bytes, range[1] - range[0]);
    t->bytes = f->data + range[0];
    t->n_bytes = bytes;
    return OK;
}

static enum status read_metadata(struct safetensors *f, json_t *object, struct error *err)
{
    char shown[UTF8_SHOWN];
    const char *key;
    json_t *value;
    enum status st;

    if (!json_is_object(object))
        return fail(err, E_FORMAT, "\"__metadata__\" is not an object");
    if ((st = mem_new((void **)&f->metadata, json_object_size(object), sizeof *f->metadata,
                      "metadata", err)))
        return st;
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return fail(err, E_FORMAT, "metadata \"%s\" is not a text", utf8_shown(shown, key));
        f->metadata[f->n_metadata++] = (struct save_text){key, json_string_value(value)};
    }
    f->metadata_object = object;
    return OK;
}

/* By place in the data; tensors without bytes come before the one that begins where they stand. */
static int compare_place(const void *a, const void *b)
{
    const struct file_tensor *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_name(const void *a, const void *b)
{
    const struct file_tensor *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static int compare_wanted(const void *wanted, const void *b)
{
    const struct file_tensor *const *y = b;

    return strcmp(wanted, (*y)->name);
}

static enum status read_entries(struct safetensors *f, struct error *err)
{
    uint64_t room = json_object_size(f->header);
    const char *key;
    json_t *entry;
    enum status st;

    if ((st = mem_new((void **)&f->tensors, room, sizeof *f->tensors, "tensors", err)) ||
        (st = mem_new((void **)&f->by_name, room, sizeof *f->by_name, "tensors", err)))
        return st;
    json_object_foreach(f->header, key, entry)
    {
        if (!strcmp(key, "__metadata__"))
            st = read_metadata(f, entry, err);
        else
            st = read_tensor(&f->tensors[f->n++], f, key, entry, err);
        if (st)
            return st;
    }
    qsort(f->tensors, (size_t)f->n, sizeof *f->tensors, compare_place);
    for (int64_t i = 0; i < f->n; i++)
        f->by_name[i] = &f->tensors[i];
    qsort(f->by_name, (size_t)f->n, sizeof *f->by_name, compare_name);
    return OK;
}

/* Each tensor begins where the one before it ends, the first at 0, and the last ends the file. */
static enum status check_tiling(const struct safetensors *f, struct error *err)
{
    char name[UTF8_SHOWN];
    uint64_t end = 0;

    for (int64_t i = 0; i < f->n; i++) {
        const struct file_tensor *t = &f->tensors[i];
        uint64_t begin = (uint64_t)(t->bytes - f->data);

        if (begin != end)
            return fail(err, E_FORMAT,
                        "tensor %s begins at %" PRIu64 ", the data before it ends at %" PRIu64,
                        utf8_shown(name, t->name), begin, end);
        end = begin + t->n_bytes;
    }
    if (end != f->data_bytes)
        return fail(err, E_FORMAT, "the tensors end at %" PRIu64 ", the data at %" PRIu64, end,
                    f->data_bytes);
    return OK;
}

static enum status read_header(struct safetensors *f, const uint8_t *bytes, uint64_t n,
                               struct error *err)
{
    const char *text = (const char *)bytes + PREFIX;
    uint64_t length = 0, used;
    enum status st;

    if (n < PREFIX)
        return fail(err, E_FORMAT, "%" PRIu64 " bytes are too few for a safetensors file", n);
    for (int i = 0; i < PREFIX; i++)
        length |= (uint64_t)bytes[i] << 8 * i;
    if (length > HEADER_LIMIT)
        return fail(err, E_FORMAT, "the header claims %" PRIu64 " bytes, at most %d are allowed",
                    length, HEADER_LIMIT);
    if (length > n - PREFIX)
        return fail(err, E_FORMAT,
                    "the header claims %" PRIu64 " bytes, the file has %" PRIu64
                    " after its length",
                    length, n - PREFIX);
    for (used = length; used && text[used - 1] == ' ';)
        used--;
    if (!used || text[0] != '{' || text[used - 1] != '}')
        return fail(err, E_FORMAT, "the header is not one JSON object padded with spaces");
    f->data = bytes + PREFIX + length;
    f->data_bytes = n - PREFIX - length;
    if ((st = config_parse(&f->header, text, used, HEADER_LIMIT, "header", err)) ||
        (st = read_entries(f, err)))
        return st;
    return check_tiling(f, err);
}

enum status safetensors_open_bytes(struct safetensors **out, const uint8_t *bytes, uint64_t n,
                                   const char *name, struct error *err)
{
    struct safetensors *f = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&f, 1, sizeof *f, name, err)))
        return st;
    if ((st = read_header(f, bytes, n, err))) {
        fail_under(err, "%s", name);
        safetensors_close(f);
        return st;
    }
    *out = f;
    return OK;
}

enum status safetensors_open(struct safetensors **out, const char *path, struct error *err)
{
    struct file_map map;
    enum status st;

    *out = NULL;
    if ((st = file_map(&map, path, err)))
        return st;
    if ((st = safetensors_open_bytes(out, map.bytes, map.n, path, err)))
        file_map_release(&map);
    else
        (*out)->map = map;
    return st;
}

void safetensors_close(struct safetensors *f)
{
    if (!f)
        return;
    file_map_release(&f->map);
    json_decref(f->header);
    free(f->tensors);
    free(f->by_name);
    free(f->metadata);
    free(f);
}

int64_t safetensors_count(const struct safetensors *f)
{
    return f->n;
}

const struct file_tensor *safetensors_at(const struct safetensors *f, int64_t i)
{
    MUST(i >= 0 && i < f->n, "tensor %" PRId64 " of %" PRId64, i, f->n);
    return &f->tensors[i];
}

const struct file_tensor *safetensors_find(const struct safetensors *f, const char *name)
{
    const struct file_tensor **found =
        bsearch(name, f->by_name, (size_t)f->n, sizeof *f->by_name, compare_wanted);

    return found ? *found : NULL;
}

const char *safetensors_metadata(const struct safetensors *f, const char *key)
{
    return json_string_value(json_object_get(f->metadata_object, key));
}

int64_t safetensors_metadata_count(const struct safetensors *f)
{
    return f->n_metadata;
}

void safetensors_metadata_at(const struct safetensors *f, int64_t i, const char **key,
                             const char **value)
{
    MUST(i >= 0 && i < f->n_metadata, "metadata %" PRId64 " of %" PRId64, i, f->n_metadata);
    *key = f->metadata[i].key;
    *value = f->metadata[i].value;
}
