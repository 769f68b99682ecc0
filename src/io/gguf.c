/*
 * gguf.c - reading the file format of weights in blocks of a few bits
 *
 * The header is a run of counted texts and numbers, so reading it is one pass of a cursor that
 * never goes past the end; gguf_value.c reads what metadata hold.  Every count is held against the
 * bytes that are left before memory is asked for: a file of a hundred bytes cannot claim a billion
 * tensors.
 *
 * The rules about data leave no room either: offsets are those that the sizes make, one tensor
 * after the other, padded to the alignment, the last one inside the file.  Nothing overlaps, and
 * what a tensor claims is there.
 *
 * Dimensions stand innermost first in the file and are turned round here.  Blocks run along the
 * innermost one, which some weights do not allow; who writes them reshapes them and notes the true
 * shape beside, and that one is what the tensor then has.
 */
#include "io/gguf.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "io/gguf_format.h"
#include "io/gguf_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAGIC = 4,
    LEAST_METADATA = 8 + 1 + 4 + 1, /* bytes of the smallest entry */
    LEAST_TENSOR = 8 + 1 + 4 + 4 + 8,
};

struct gguf {
    struct gguf_entry *entry;           /* [n_entries] in file order */
    const struct gguf_entry **by_key;   /* [n_entries] sorted        */
    struct file_tensor *tensors;        /* [n] in order of their data; names are heap */
    const struct file_tensor **by_name; /* [n] sorted                */
    int64_t n_entries, n;
};

bool gguf_is(const uint8_t *bytes, uint64_t n)
{
    return n >= MAGIC && !memcmp(bytes, GGUF_MAGIC, MAGIC);
}

/* --- types --------------------------------------------------------------------------------------
 */

static const struct {
    uint32_t id;
    enum file_dtype dtype;
} dtypes[] = {
    {0, FILE_F32},   {1, FILE_F16},   {2, FILE_Q4_0},  {3, FILE_Q4_1},  {6, FILE_Q5_0},
    {7, FILE_Q5_1},  {8, FILE_Q8_0},  {10, FILE_Q2_K}, {11, FILE_Q3_K}, {12, FILE_Q4_K},
    {13, FILE_Q5_K}, {14, FILE_Q6_K}, {24, FILE_I8},   {25, FILE_I16},  {26, FILE_I32},
    {27, FILE_I64},  {28, FILE_F64},  {30, FILE_BF16},
};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

bool gguf_dtype(enum file_dtype *out, uint32_t id)
{
    for (int i = 0; i < N_DTYPES; i++) {
        if (dtypes[i].id == id) {
            *out = dtypes[i].dtype;
            return true;
        }
    }
    return false;
}

int gguf_dtype_id(enum file_dtype t)
{
    for (int i = 0; i < N_DTYPES; i++)
        if (dtypes[i].dtype == t)
            return (int)dtypes[i].id;
    return -1;
}

/* --- tensors ------------------------------------------------------------------------------------
 */

/* The dimensions, turned round, and the bytes that they and the type make. */
static enum status read_shape(struct file_tensor *t, struct gguf_cursor *c, const char *name,
                              struct error *err)
{
    uint64_t product = 1, dim = 0;
    uint32_t rank = 0;
    bool empty = false;
    enum status st;

    if ((st = gguf_take(&rank, c, sizeof rank, err)))
        return st;
    if (rank > GGUF_RANK)
        return fail(err, E_FORMAT, "tensor %s: %" PRIu32 " dimensions, at most %d are allowed",
                    name, rank, GGUF_RANK);
    t->rank = (int)rank;
    for (int i = t->rank; i-- > 0;) {
        if ((st = gguf_take(&dim, c, sizeof dim, err)))
            return st;
        if (dim > INT64_MAX || __builtin_mul_overflow(product, dim ? dim : 1, &product) ||
            product > INT64_MAX)
            return fail(err, E_FORMAT, "tensor %s: the product of its shape overflows", name);
        t->dim[i] = (int64_t)dim;
        empty |= dim == 0;
    }
    t->n_bytes = empty ? 0 : product;
    return OK;
}

/* After read_shape, whose product becomes bytes. */
static enum status read_dtype(struct file_tensor *t, struct gguf_cursor *c, const char *name,
                              struct error *err)
{
    int64_t inner = t->rank ? t->dim[t->rank - 1] : 1, block;
    uint32_t id = 0;
    enum status st;

    if ((st = gguf_take(&id, c, sizeof id, err)))
        return st;
    if (!gguf_dtype(&t->dtype, id))
        return fail(err, E_UNSUPPORTED, "tensor %s: elements of type %" PRIu32 " are not supported",
                    name, id);
    block = file_dtype_block(t->dtype);
    if (inner % block)
        return fail(err, E_FORMAT,
                    "tensor %s: rows of %" PRId64
                    " elements, of type %s must be blocks of %" PRId64,
                    name, inner, file_dtype_name(t->dtype), block);
    if (__builtin_mul_overflow(t->n_bytes / (uint64_t)block, file_dtype_size(t->dtype),
                               &t->n_bytes) ||
        t->n_bytes > INT64_MAX)
        return fail(err, E_FORMAT, "tensor %s: the product of its shape overflows", name);
    return OK;
}

/* *end: where the data of the tensors so far end, relative to their start, padding included. */
static enum status read_tensor(struct gguf *f, struct gguf_cursor *c, uint64_t alignment,
                               uint64_t *end, struct error *err)
{
    struct file_tensor *t = &f->tensors[f->n];
    char shown[UTF8_SHOWN], *name = NULL;
    uint64_t offset = 0;
    enum status st;

    if ((st = gguf_take_text(&name, c, "the name of a tensor", err)))
        return st;
    t->name = name;
    f->n++;
    utf8_shown(shown, name);
    if (!*name)
        return fail(err, E_FORMAT, "tensor %" PRId64 " has no name", f->n - 1);
    if ((st = read_shape(t, c, shown, err)) || (st = read_dtype(t, c, shown, err)) ||
        (st = gguf_take(&offset, c, sizeof offset, err)))
        return st;
    if (offset != *end)
        return fail(err, E_FORMAT,
                    "tensor %s begins at %" PRIu64 ", the data before it end at %" PRIu64, shown,
                    offset, *end);
    if (__builtin_add_overflow(offset + t->n_bytes, alignment - 1, end) || *end > INT64_MAX)
        return fail(err, E_FORMAT, "tensor %s: the bytes of all tensors overflow", shown);
    *end = *end / alignment * alignment;
    return OK;
}

/* Offsets were checked; now the bytes must be there.  The padding of the last need not be. */
static enum status place_tensors(struct gguf *f, const struct gguf_cursor *c, uint64_t alignment,
                                 struct error *err)
{
    uint64_t at = ((uint64_t)(c->at - c->begin) + alignment - 1) / alignment * alignment;
    uint64_t n = (uint64_t)(c->end - c->begin);
    char shown[UTF8_SHOWN];

    for (int64_t i = 0; i < f->n; i++) {
        struct file_tensor *t = &f->tensors[i];

        if (at > n || t->n_bytes > n - at)
            return fail(err, E_FORMAT,
                        "tensor %s: data from %" PRIu64 " to %" PRIu64 ", the file has %" PRIu64,
                        utf8_shown(shown, t->name), at, at + t->n_bytes, n);
        t->bytes = c->begin + at;
        at = (at + t->n_bytes + alignment - 1) / alignment * alignment;
    }
    return OK;
}

static int compare_name(const void *a, const void *b)
{
    const struct file_tensor *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static int compare_wanted_name(const void *wanted, const void *b)
{
    const struct file_tensor *const *y = b;

    return strcmp(wanted, (*y)->name);
}

static enum status sort_names(struct gguf *f, struct error *err)
{
    char shown[UTF8_SHOWN];

    for (int64_t i = 0; i < f->n; i++)
        f->by_name[i] = &f->tensors[i];
    qsort(f->by_name, (size_t)f->n, sizeof *f->by_name, compare_name);
    for (int64_t i = 1; i < f->n; i++)
        if (!strcmp(f->by_name[i - 1]->name, f->by_name[i]->name))
            return fail(err, E_FORMAT, "tensor %s is there twice",
                        utf8_shown(shown, f->by_name[i]->name));
    return OK;
}

static enum status read_tensors(struct gguf *f, struct gguf_cursor *c, uint64_t n,
                                uint64_t alignment, struct error *err)
{
    uint64_t end = 0;
    enum status st;

    if (n > gguf_left(c) / LEAST_TENSOR)
        return fail(err, E_FORMAT,
                    "the header claims %" PRIu64 " tensors, the file has %" PRIu64 " bytes left", n,
                    gguf_left(c));
    if ((st = mem_new((void **)&f->tensors, n, sizeof *f->tensors, "tensors", err)) ||
        (st = mem_new((void **)&f->by_name, n, sizeof *f->by_name, "tensors", err)))
        return st;
    while ((uint64_t)f->n < n)
        if ((st = read_tensor(f, c, alignment, &end, err)))
            return st;
    if ((st = place_tensors(f, c, alignment, err)))
        return st;
    return sort_names(f, err);
}

/* --- metadata -----------------------------------------------------------------------------------
 */

static int compare_key(const void *a, const void *b)
{
    const struct gguf_entry *const *x = a, *const *y = b;

    return strcmp((*x)->key, (*y)->key);
}

static int compare_wanted_key(const void *wanted, const void *b)
{
    const struct gguf_entry *const *y = b;

    return strcmp(wanted, (*y)->key);
}

static const struct gguf_entry *find_entry(const struct gguf *f, const char *key)
{
    const struct gguf_entry **found =
        bsearch(key, f->by_key, (size_t)f->n_entries, sizeof *f->by_key, compare_wanted_key);

    return found ? *found : NULL;
}

static enum status read_metadata(struct gguf *f, struct gguf_cursor *c, uint64_t n,
                                 struct error *err)
{
    char shown[UTF8_SHOWN];
    enum status st;

    if (n > gguf_left(c) / LEAST_METADATA)
        return fail(err, E_FORMAT,
                    "the header claims %" PRIu64 " metadata, the file has %" PRIu64 " bytes left",
                    n, gguf_left(c));
    if ((st = mem_new((void **)&f->entry, n, sizeof *f->entry, "metadata", err)) ||
        (st = mem_new((void **)&f->by_key, n, sizeof *f->by_key, "metadata", err)))
        return st;
    while ((uint64_t)f->n_entries < n)
        if ((st = gguf_entry_read(&f->entry[f->n_entries++], c, err)))
            return st;
    for (int64_t i = 0; i < f->n_entries; i++)
        f->by_key[i] = &f->entry[i];
    qsort(f->by_key, n, sizeof *f->by_key, compare_key);
    for (uint64_t i = 1; i < n; i++)
        if (!strcmp(f->by_key[i - 1]->key, f->by_key[i]->key))
            return fail(err, E_FORMAT, "metadata %s is there twice",
                        utf8_shown(shown, f->by_key[i]->key));
    return OK;
}

static enum status find_alignment(uint64_t *out, const struct gguf *f, struct error *err)
{
    const struct gguf_entry *e = find_entry(f, GGUF_ALIGNMENT_KEY);

    *out = GGUF_ALIGNMENT;
    if (!e)
        return OK;
    if (e->type != GGUF_U32 || e->n_shape != 1 || e->shape[0] < 1 ||
        (e->shape[0] & (e->shape[0] - 1)))
        return fail(err, E_FORMAT, GGUF_ALIGNMENT_KEY " is %.40s, must be a u32 and a power of two",
                    e->value);
    *out = (uint64_t)e->shape[0];
    return OK;
}

/* The shapes that tensors had before they were reshaped. */
static enum status restore_shapes(struct gguf *f, struct error *err)
{
    size_t prefix = strlen(GGUF_SHAPE_KEY);
    char shown[UTF8_SHOWN];

    for (int64_t i = 0; i < f->n_entries; i++) {
        const struct gguf_entry *e = &f->entry[i];
        const struct file_tensor *found;
        struct file_tensor *t;
        int64_t count = 1;

        if (strncmp(e->key, GGUF_SHAPE_KEY, prefix) != 0 ||
            !(found = gguf_find(f, e->key + prefix)))
            continue;
        t = &f->tensors[found - f->tensors];
        if (e->type != GGUF_ARRAY || e->n_shape < 0)
            return fail(err, E_FORMAT, "metadata %s is not a shape of at most %d dimensions",
                        utf8_shown(shown, e->key), FILE_RANK);
        for (int k = 0; k < e->n_shape; k++)
            if (e->shape[k] < 0 || __builtin_mul_overflow(count, e->shape[k], &count))
                return fail(err, E_FORMAT, "metadata %s is not a shape", utf8_shown(shown, e->key));
        if (count != file_tensor_count(t))
            return fail(err, E_FORMAT,
                        "metadata %s makes %" PRId64 " elements, the tensor has %" PRId64,
                        utf8_shown(shown, e->key), count, file_tensor_count(t));
        t->rank = e->n_shape;
        memcpy(t->dim, e->shape, sizeof t->dim);
    }
    return OK;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static enum status read_header(struct gguf *f, struct gguf_cursor *c, struct error *err)
{
    uint64_t tensors = 0, metadata = 0, alignment;
    uint32_t version = 0;
    enum status st;

    if (!gguf_is(c->begin, gguf_left(c)))
        return fail(err, E_FORMAT, "does not begin with " GGUF_MAGIC);
    c->at += MAGIC;
    if ((st = gguf_take(&version, c, sizeof version, err)))
        return st;
    if (version && !(version & 0xFFFF))
        return fail(err, E_UNSUPPORTED, "was written for big-endian machines");
    if (version < 2 || version > GGUF_VERSION)
        return fail(err, E_UNSUPPORTED, "version %" PRIu32 " of GGUF, 2 and 3 are supported",
                    version);
    if ((st = gguf_take(&tensors, c, sizeof tensors, err)) ||
        (st = gguf_take(&metadata, c, sizeof metadata, err)) ||
        (st = read_metadata(f, c, metadata, err)) || (st = find_alignment(&alignment, f, err)) ||
        (st = read_tensors(f, c, tensors, alignment, err)))
        return st;
    return restore_shapes(f, err);
}

enum status gguf_open_bytes(struct gguf **out, const uint8_t *bytes, uint64_t n, const char *name,
                            struct error *err)
{
    struct gguf_cursor c = {.begin = bytes, .at = bytes, .end = bytes + n};
    struct gguf *f = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&f, 1, sizeof *f, name, err)))
        return st;
    if ((st = read_header(f, &c, err))) {
        fail_under(err, "%s", name);
        gguf_close(f);
        return st;
    }
    *out = f;
    return OK;
}

void gguf_close(struct gguf *f)
{
    if (!f)
        return;
    for (int64_t i = 0; i < f->n_entries; i++)
        gguf_entry_release(&f->entry[i]);
    /* The names are the reader's own, whatever a tensor promises about them. */
    for (int64_t i = 0; i < f->n; i++)
        free((void *)(uintptr_t)f->tensors[i].name);
    free(f->entry);
    free(f->by_key);
    free(f->tensors);
    free(f->by_name);
    free(f);
}

int64_t gguf_count(const struct gguf *f)
{
    return f->n;
}

const struct file_tensor *gguf_at(const struct gguf *f, int64_t i)
{
    MUST(i >= 0 && i < f->n, "tensor %" PRId64 " of %" PRId64, i, f->n);
    return &f->tensors[i];
}

const struct file_tensor *gguf_find(const struct gguf *f, const char *name)
{
    const struct file_tensor **found =
        bsearch(name, f->by_name, (size_t)f->n, sizeof *f->by_name, compare_wanted_name);

    return found ? *found : NULL;
}

const char *gguf_metadata(const struct gguf *f, const char *key)
{
    const struct gguf_entry *e = find_entry(f, key);

    return e ? e->value : NULL;
}

int64_t gguf_metadata_count(const struct gguf *f)
{
    return f->n_entries;
}

void gguf_metadata_at(const struct gguf *f, int64_t i, const char **key, const char **value)
{
    MUST(i >= 0 && i < f->n_entries, "metadata %" PRId64 " of %" PRId64, i, f->n_entries);
    *key = f->entry[i].key;
    *value = f->entry[i].value;
}
