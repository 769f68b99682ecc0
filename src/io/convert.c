/*
 * convert.c - a model's file into another type or format
 *
 * Models are larger than memory, so one is converted a piece at a time: the old file is mapped, a
 * piece of a tensor is widened to float32, rounded to its new type and appended to the new file,
 * and the pages it came from are given back.  What every tensor becomes is decided before, from
 * shapes and names alone, so it can be shown without anything being written.
 *
 * What has its type already is copied as it is: bits do not change where nothing is asked of them.
 * A tensor in bytes has a second one with its scales, one a row (weights.h reads them as one).  The
 * scales are found when the bytes are made, or before, when the format wants them first.
 */
#include "io/convert.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "base/whole.h"
#include "io/encode.h"
#include "io/gguf.h"
#include "io/published.h"
#include "io/safetensors.h"
#include "io/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20 }; /* numbers that are converted at once, or a row that is longer */

static const char scale_end[] = ".scale";

struct item {
    struct conversion *of;
    const struct file_tensor *old;
    const char *name; /* old->name, perhaps from behind its prefix              */
    char *scale_name; /* heap; of bytes with scales beside them, or NULL        */
    float *scale;     /* [rows] once they are known, or NULL                    */
    enum file_dtype to;
    bool copied; /* its bits stay as they are */
    bool left_out;
};

struct conversion {
    struct weights *weights;
    const struct convert_type *type;
    struct item *item; /* [n] */
    int64_t n;
    bool gguf;
    const char *architecture; /* for GGUF, or NULL */

    /* While it runs. */
    conversion_progress *progress;
    void *user;
    uint64_t done, total; /* bytes of the old file */
    float *wide;          /* [piece] */
    uint8_t *narrow;      /* room for them in any type */
    int64_t piece;
};

/* --- deciding -----------------------------------------------------------------------------------
 */

static bool has_prefix(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

/* GGUF files of one network have its names without the prefix that files of several need. */
static size_t common_prefix(const struct weights *w)
{
    const char *prefix = published_part(0)->prefix;

    for (int64_t i = 0; i < weights_count(w); i++)
        if (!has_prefix(weights_at(w, i)->name, prefix))
            return 0;
    return weights_count(w) ? strlen(prefix) : 0;
}

static enum status decide_one(struct item *item, size_t prefix, struct error *err)
{
    const struct file_tensor *t = item->old;
    const struct conversion *c = item->of;
    size_t room = strlen(t->name) + sizeof scale_end;
    char shown[UTF8_SHOWN];
    enum status st;

    item->name = t->name + prefix;
    item->to = t->dtype;
    if (published_marks_float8(t->name)) {
        item->left_out = true;
        return OK;
    }
    if (!convert_rule(&item->to, t, c->type, c->gguf)) {
        item->left_out = published_spare(t->name);
        return item->left_out
                   ? OK
                   : fail(err, E_UNSUPPORTED, "tensor %s holds %s, which GGUF does not have",
                          utf8_shown(shown, t->name), file_dtype_name(t->dtype));
    }
    item->copied = item->to == t->dtype && (!t->n_scale || t->n_scale == t->dim[0]);
    if (item->to != FILE_I8 || (t->dtype == FILE_I8 && !t->n_scale))
        return OK;
    if ((st = mem_new((void **)&item->scale_name, room, 1, "a name", err)))
        return st;
    snprintf(item->scale_name, room, "%s%s", item->name, scale_end);
    return OK;
}

/* What readers of GGUF take the network for. */
static const char *architecture_of(const struct conversion *c)
{
    for (int64_t i = 0; i < c->n; i++)
        if (has_prefix(c->item[i].name, "joint_blocks."))
            return "sd3";
    return NULL;
}

static enum status decide(struct conversion *c, struct error *err)
{
    size_t prefix = c->gguf ? common_prefix(c->weights) : 0;
    int64_t n = weights_count(c->weights);
    enum status st;

    if ((st = mem_new((void **)&c->item, (uint64_t)n, sizeof *c->item, "a list of tensors", err)))
        return st;
    c->piece = PIECE;
    for (; c->n < n; c->n++) {
        struct item *item = &c->item[c->n];

        item->of = c;
        item->old = weights_at(c->weights, c->n);
        if ((st = decide_one(item, prefix, err))) {
            c->n++; /* what it has is released */
            return st;
        }
        c->total += item->left_out ? 0 : item->old->n_bytes;
        if (item->scale_name && item->old->dim[1] > c->piece)
            c->piece = item->old->dim[1];
    }
    c->architecture = c->gguf ? architecture_of(c) : NULL;
    return OK;
}

enum status conversion_open(struct conversion **out, const char *in, const char *type, bool gguf,
                            struct error *err)
{
    struct conversion *c = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&c, 1, sizeof *c, "a conversion", err)))
        return st;
    c->gguf = gguf;
    if (!(st = convert_type_find(&c->type, type, err)) &&
        !(gguf ? c->type->gguf : c->type->safetensors))
        st = fail(err, E_ARG, "%s is no type of %s files", type, gguf ? "GGUF" : "safetensors");
    if (!st && !(st = weights_open(&c->weights, in, err)) && (st = decide(c, err)))
        fail_under(err, "%s", in);
    if (st)
        conversion_close(c);
    else
        *out = c;
    return st;
}

static void forget_scales(struct conversion *c)
{
    for (int64_t i = 0; i < c->n; i++) {
        free(c->item[i].scale);
        c->item[i].scale = NULL;
    }
}

void conversion_close(struct conversion *c)
{
    if (!c)
        return;
    forget_scales(c);
    for (int64_t i = 0; i < c->n; i++)
        free(c->item[i].scale_name);
    free(c->item);
    weights_close(c->weights);
    free(c);
}

int64_t conversion_count(const struct conversion *c)
{
    return c->n;
}

static uint64_t bytes_of(const struct item *item)
{
    uint64_t n = (uint64_t)file_tensor_count(item->old);

    if (item->left_out)
        return 0;
    return n / (uint64_t)file_dtype_block(item->to) * file_dtype_size(item->to) +
           (item->scale_name ? (uint64_t)item->old->dim[0] * sizeof(float) : 0);
}

void conversion_at(const struct conversion *c, int64_t i, struct conversion_row *out)
{
    const struct item *item = &c->item[i];

    MUST(i >= 0 && i < c->n, "tensor %" PRId64 " of %" PRId64, i, c->n);
    *out = (struct conversion_row){
        .name = item->left_out ? "" : item->name,
        .old_name = item->old->name,
        .from = item->old->dtype,
        .to = item->to,
        .rank = item->old->rank,
        .dim = item->old->dim,
        .old_bytes = item->old->n_bytes + (uint64_t)item->old->n_scale * sizeof(float),
        .bytes = bytes_of(item),
    };
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* Bytes first .. first + n - 1 of the old tensor were read. */
static enum status went_on(const struct item *item, uint64_t first, uint64_t n, struct error *err)
{
    struct conversion *c = item->of;

    weights_drop(c->weights, item->old->bytes + first, n);
    c->done += n;
    if (c->progress && !c->progress(c->done, c->total, c->user))
        return fail(err, E_CANCELLED, "the conversion was stopped");
    return OK;
}

/* Numbers first .. first + n - 1 were converted. */
static enum status numbers_went_on(const struct item *item, int64_t first, int64_t n,
                                   struct error *err)
{
    int64_t block = file_dtype_block(item->old->dtype),
            size = (int64_t)file_dtype_size(item->old->dtype);
    int64_t begin = first / block * size, end = (first + n) / block * size;

    return went_on(item, (uint64_t)begin, (uint64_t)(end - begin), err);
}

static enum status put_copied(struct file_writer *w, const struct save_tensor *t, struct error *err)
{
    const struct item *item = t->bytes;
    const struct file_tensor *old = item->old;
    enum status st = OK;

    for (uint64_t first = 0; first < old->n_bytes && !st; first += PIECE) {
        uint64_t n = old->n_bytes - first < PIECE ? old->n_bytes - first : PIECE;

        if (!(st = file_writer_put(w, old->bytes + first, n, err)))
            st = went_on(item, first, n, err);
    }
    return st;
}

static enum status put_numbers(struct file_writer *w, const struct save_tensor *t,
                               struct error *err)
{
    const struct item *item = t->bytes;
    struct conversion *c = item->of;
    int64_t count = file_tensor_count(item->old), block = file_dtype_block(item->to);
    enum status st = OK;

    for (int64_t first = 0; first < count && !st; first += PIECE) {
        int64_t n = whole_min(count - first, PIECE);
        uint64_t bytes = (uint64_t)(n / block) * file_dtype_size(item->to);

        file_tensor_f32_part(item->old, first, n, c->wide);
        if (!(st = encode_floats(c->narrow, item->to, c->wide, n, item->old->name, first, err)) &&
            !(st = file_writer_put(w, c->narrow, bytes, err)))
            st = numbers_went_on(item, first, n, err);
    }
    return st;
}

/* Rows first .. first + n - 1, their scales into item->scale and, when asked, their codes into
 * narrow.  Rows need not be whole blocks of the old type, so what is widened may begin before them
 * and end behind. */
static enum status code_rows(struct item *item, int64_t first, int64_t n, bool wants_codes,
                             struct error *err)
{
    struct conversion *c = item->of;
    int64_t row = item->old->dim[1], block = file_dtype_block(item->old->dtype);
    int64_t from = first * row / block * block;
    int64_t to = whole_parts((first + n) * row, block) * block;
    const float *x = c->wide + (first * row - from);
    enum status st = OK;

    file_tensor_f32_part(item->old, from, to - from, c->wide);
    for (int64_t i = 0; i < n && !st; i++)
        st = encode_row(wants_codes ? (int8_t *)c->narrow + i * row : NULL, &item->scale[first + i],
                        x + i * row, row, item->old->name, first + i, err);
    return st;
}

static enum status need_scales(struct item *item, struct error *err)
{
    if (item->scale)
        return OK;
    return mem_new((void **)&item->scale, (uint64_t)item->old->dim[0], sizeof *item->scale,
                   "scales", err);
}

static int64_t rows_at_once(const struct item *item)
{
    int64_t row = item->old->dim[1];

    return row ? whole_max(item->of->piece / row, 1) : item->old->dim[0];
}

static enum status put_codes(struct file_writer *w, const struct save_tensor *t, struct error *err)
{
    struct item *item = (struct item *)(uintptr_t)t->bytes;
    int64_t rows = item->old->dim[0], row = item->old->dim[1], step = rows_at_once(item);
    enum status st;

    if ((st = need_scales(item, err)))
        return st;
    for (int64_t i = 0; i < rows && !st; i += step) {
        int64_t n = whole_min(rows - i, step);

        if (!(st = code_rows(item, i, n, true, err)) &&
            !(st = file_writer_put(w, item->of->narrow, (uint64_t)(n * row), err)))
            st = numbers_went_on(item, i * row, n * row, err);
    }
    return st;
}

static enum status put_scales(struct file_writer *w, const struct save_tensor *t, struct error *err)
{
    struct item *item = (struct item *)(uintptr_t)t->bytes;
    int64_t rows = item->old->dim[0], step = rows_at_once(item);
    bool known = item->scale;
    enum status st = OK;

    if (item->copied)
        return file_writer_put(w, item->old->scale, (uint64_t)rows * sizeof(float), err);
    if ((st = need_scales(item, err)))
        return st;
    for (int64_t i = 0; i < rows && !known && !st; i += step)
        st = code_rows(item, i, whole_min(rows - i, step), false, err);
    return st ? st : file_writer_put(w, item->scale, (uint64_t)rows * sizeof(float), err);
}

/* --- the whole file -----------------------------------------------------------------------------
 */

/* The tensors to be written; out has room for two an item. */
static int64_t list_tensors(struct save_tensor *out, struct conversion *c)
{
    int64_t n = 0;

    for (int64_t i = 0; i < c->n; i++) {
        struct item *item = &c->item[i];

        if (item->left_out)
            continue;
        out[n] = (struct save_tensor){.name = item->name,
                                      .dtype = item->to,
                                      .rank = item->old->rank,
                                      .bytes = item,
                                      .put = item->copied       ? put_copied
                                             : item->scale_name ? put_codes
                                                                : put_numbers};
        memcpy(out[n++].dim, item->old->dim, sizeof item->old->dim);
        if (item->scale_name)
            out[n++] = (struct save_tensor){.name = item->scale_name,
                                            .dtype = FILE_F32,
                                            .rank = 1,
                                            .dim = {item->old->dim[0]},
                                            .bytes = item,
                                            .put = put_scales};
    }
    return n;
}

/* What the old file says of its model the new one says too, but not how the old one was laid out;
 * out has room for one more. */
static int64_t list_metadata(struct save_text *out, const struct conversion *c)
{
    const char *own = c->gguf ? "general.architecture" : "format";
    const char *value = c->gguf ? c->architecture : "pt";
    int64_t n = 0;

    if (value && !weights_metadata(c->weights, own))
        out[n++] = (struct save_text){own, value};
    for (int64_t i = 0; i < weights_metadata_count(c->weights); i++) {
        struct save_text t;

        weights_metadata_at(c->weights, i, &t.key, &t.value);
        if (!gguf_key_is_own(t.key) && (*t.key || !c->gguf))
            out[n++] = t;
    }
    return n;
}

static enum status write_file(struct conversion *c, const char *path, struct error *err)
{
    uint64_t room = (uint64_t)weights_metadata_count(c->weights) + 1;
    struct save_tensor *tensor = NULL;
    struct save_text *text = NULL;
    int64_t n;
    enum status st;

    if (!(st = mem_new((void **)&tensor, 2 * (uint64_t)c->n, sizeof *tensor, "tensors", err)) &&
        !(st = mem_new((void **)&text, room, sizeof *text, "metadata", err))) {
        n = list_tensors(tensor, c);
        st = (c->gguf ? gguf_save : safetensors_save)(path, tensor, n, text, list_metadata(text, c),
                                                      err);
    }
    free(tensor);
    free(text);
    return st;
}

enum status conversion_run(struct conversion *c, const char *path, conversion_progress *progress,
                           void *user, struct error *err)
{
    /* A row may begin and end inside a block of the old type. */
    uint64_t room = (uint64_t)c->piece + 2 * 256;
    enum status st;

    c->progress = progress;
    c->user = user;
    c->done = 0;
    if (!(st = mem_new((void **)&c->wide, room, sizeof *c->wide, "a piece of a tensor", err)) &&
        !(st = mem_new((void **)&c->narrow, room, sizeof(float), "a piece of a tensor", err)))
        st = write_file(c, path, err);
    forget_scales(c);
    free(c->wide);
    free(c->narrow);
    c->wide = NULL;
    c->narrow = NULL;
    return st;
}
