/*
 * weights.c - the named tensors of a published model, from any file that holds them
 *
 * A model is one file, or several with an index; whoever loads it asks for names and wants neither
 * to know.  So the tensors of all files stand in one list with one sorted index, and each still
 * points into its own mapping.
 *
 * The index of several files is checked against them: a tensor that lies elsewhere than it says, or
 * in two files, means that files of different models lie in one folder, and half a model is worse
 * than none.  What the files hold beyond the index is taken: who loads sees it as unexpected.
 *
 * Scales are looked for by their names once the list stands, and leave it: to a network a float8
 * weight is a weight.  One that has no tensor stays, and is unexpected in its turn; none is
 * ignored.
 */
#include "io/weights.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "io/shards.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INDEX_LIMIT = 100000000 };

/* One file, of one of the two formats. */
struct part {
    struct file_map map; /* none of bytes in memory */
    struct safetensors *file;
    struct gguf *gguf;
    char *name;
};

struct weights {
    struct part *part; /* [n_parts] */
    int n_parts;
    struct file_tensor *all;            /* [n_all] of all files, scales too       */
    const struct file_tensor **list;    /* [n] in the order of files, without     */
    const struct file_tensor **by_name; /* [n] sorted                             */
    float *scales;                      /* what file_tensor.scale points into     */
    struct save_text *text;             /* [n_text] of all files, each key once   */
    int64_t n_all, n, n_text;
};

/* --- one file -----------------------------------------------------------------------------------
 */

static int64_t part_count(const struct part *p)
{
    return p->gguf ? gguf_count(p->gguf) : safetensors_count(p->file);
}

static const struct file_tensor *part_at(const struct part *p, int64_t i)
{
    return p->gguf ? gguf_at(p->gguf, i) : safetensors_at(p->file, i);
}

static const struct file_tensor *part_find(const struct part *p, const char *name)
{
    return p->gguf ? gguf_find(p->gguf, name) : safetensors_find(p->file, name);
}

static const char *part_metadata(const struct part *p, const char *key)
{
    return p->gguf ? gguf_metadata(p->gguf, key) : safetensors_metadata(p->file, key);
}

static int64_t part_metadata_count(const struct part *p)
{
    return p->gguf ? gguf_metadata_count(p->gguf) : safetensors_metadata_count(p->file);
}

static void part_metadata_at(const struct part *p, int64_t i, struct save_text *out)
{
    if (p->gguf)
        gguf_metadata_at(p->gguf, i, &out->key, &out->value);
    else
        safetensors_metadata_at(p->file, i, &out->key, &out->value);
}

static void part_close(struct part *p)
{
    safetensors_close(p->file);
    gguf_close(p->gguf);
    file_map_release(&p->map);
    free(p->name);
}

static enum status part_open_bytes(struct part *p, const uint8_t *bytes, uint64_t n,
                                   const char *name, struct error *err)
{
    enum status st;

    if ((st = mem_text(&p->name, name, err)))
        return st;
    return gguf_is(bytes, n) ? gguf_open_bytes(&p->gguf, bytes, n, name, err)
                             : safetensors_open_bytes(&p->file, bytes, n, name, err);
}

static enum status part_open(struct weights *w, const char *path, struct error *err)
{
    struct part *p = &w->part[w->n_parts++];
    enum status st;

    if ((st = file_map(&p->map, path, err)))
        return st;
    return part_open_bytes(p, p->map.bytes, p->map.n, path, err);
}

/* --- several ------------------------------------------------------------------------------------
 */

static enum status new_parts(struct weights *w, int n, struct error *err)
{
    return mem_new((void **)&w->part, (uint64_t)n, sizeof *w->part, "a list of files", err);
}

static enum status open_single(struct weights *w, const char *path, struct error *err)
{
    enum status st;

    if ((st = new_parts(w, 1, err)))
        return st;
    return part_open(w, path, err);
}

/* Every tensor lies where the index says. */
static enum status check_index(const struct weights *w, const struct shards *s, struct error *err)
{
    char name[UTF8_SHOWN], file[UTF8_SHOWN];

    for (int64_t i = 0; i < s->n; i++) {
        const struct shard_entry *e = &s->tensor[i];

        if (!part_find(&w->part[e->file], e->tensor))
            return fail(err, E_FORMAT, "the index has tensor %s in %s, which does not hold it",
                        utf8_shown(name, e->tensor), utf8_shown(file, s->file[e->file]));
    }
    return OK;
}

static enum status open_shards(struct weights *w, const struct shards *s, const char *index,
                               struct error *err)
{
    const char *slash = strrchr(index, '/');
    int folder = slash ? (int)(slash - index) + 1 : 0;
    enum status st;

    if ((st = new_parts(w, s->n_files, err)))
        return st;
    for (int i = 0; i < s->n_files && !st; i++) {
        struct text path;

        text_init(&path, NULL, 0);
        text_add(&path, "%.*s%s", folder, index, s->file[i]);
        st = path.cut ? fail(err, E_MEMORY, "no memory for a path") : part_open(w, path.data, err);
        text_release(&path);
    }
    return st ? st : check_index(w, s, err);
}

static enum status open_index(struct weights *w, const char *path, struct error *err)
{
    struct shards shards = {0};
    uint8_t *text = NULL;
    uint64_t n;
    enum status st;

    if ((st = file_read(&text, &n, path, INDEX_LIMIT, err)))
        return st;
    if ((st = shards_parse(&shards, text, n, err)) || (st = open_shards(w, &shards, path, err)))
        fail_under(err, "%s", path);
    shards_release(&shards);
    free(text);
    return st;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && !strcmp(text + n - m, end);
}

static enum status open_file(struct weights *w, const char *path, struct error *err)
{
    return ends_with(path, ".json") ? open_index(w, path, err) : open_single(w, path, err);
}

/* --- folders ------------------------------------------------------------------------------------
 */

/* The usual names, those of full precision first; an index of another precision is written in both
 * ways. */
static const char *const usual[2][6] = {
    {"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json",
     "model.safetensors", "model.safetensors.index.json"},
    {"diffusion_pytorch_model.fp16.safetensors",
     "diffusion_pytorch_model.fp16.safetensors.index.json",
     "diffusion_pytorch_model.safetensors.index.fp16.json", "model.fp16.safetensors",
     "model.fp16.safetensors.index.json", "model.safetensors.index.fp16.json"},
};

/* *path = the one of names that is in the folder, NULL where there is none.  E_ARG when there are
 * two. */
static enum status one_of(char **path, const char *folder, const char *const names[6],
                          struct error *err)
{
    const char *found = NULL;
    enum status st = OK;

    *path = NULL;
    for (int i = 0; i < 6 && names[i] && !st; i++) {
        struct stat info;
        struct text t;

        text_init(&t, NULL, 0);
        text_add(&t, "%s/%s", folder, names[i]);
        if (t.cut) {
            st = fail(err, E_MEMORY, "no memory for a path");
        } else if (!stat(t.data, &info)) {
            if (found)
                st = fail(err, E_ARG, "%s holds %s and %s: name the one that is meant", folder,
                          found, names[i]);
            found = names[i];
            free(*path);
            *path = text_take(&t);
        }
        text_release(&t);
    }
    return st;
}

static enum status open_folder(struct weights *w, const char *folder, struct error *err)
{
    char *path = NULL;
    enum status st = OK;

    for (int i = 0; i < 2 && !path && !st; i++)
        st = one_of(&path, folder, usual[i], err);
    if (!st && !path)
        st = fail(err, E_ARG, "%s holds no weights: neither %s nor %s, nor their .index.json",
                  folder, usual[0][0], usual[0][2]);
    if (!st)
        st = open_file(w, path, err);
    free(path);
    return st;
}

/* --- one list -----------------------------------------------------------------------------------
 */

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

static void sort_names(struct weights *w)
{
    for (int64_t i = 0; i < w->n; i++)
        w->by_name[i] = w->list[i];
    qsort(w->by_name, (size_t)w->n, sizeof *w->by_name, compare_name);
}

static enum status told_twice(const struct weights *w, const char *tensor, struct error *err)
{
    const char *first = NULL;
    char name[UTF8_SHOWN];

    for (int i = 0; i < w->n_parts; i++) {
        if (!part_find(&w->part[i], tensor))
            continue;
        if (first)
            return fail(err, E_FORMAT, "tensor %s is in %s and in %s", utf8_shown(name, tensor),
                        first, w->part[i].name);
        first = w->part[i].name;
    }
    return OK;
}

static enum status check_names(const struct weights *w, struct error *err)
{
    for (int64_t i = 1; i < w->n; i++)
        if (!strcmp(w->by_name[i - 1]->name, w->by_name[i]->name))
            return told_twice(w, w->by_name[i]->name, err);
    return OK;
}

static enum status gather(struct weights *w, struct error *err)
{
    enum status st;

    for (int i = 0; i < w->n_parts; i++)
        w->n_all += part_count(&w->part[i]);
    if ((st = mem_new((void **)&w->all, (uint64_t)w->n_all, sizeof *w->all, "tensors", err)) ||
        (st = mem_new((void **)&w->list, (uint64_t)w->n_all, sizeof *w->list, "tensors", err)) ||
        (st =
             mem_new((void **)&w->by_name, (uint64_t)w->n_all, sizeof *w->by_name, "tensors", err)))
        return st;
    for (int i = 0; i < w->n_parts; i++)
        for (int64_t k = 0; k < part_count(&w->part[i]); k++, w->n++) {
            w->all[w->n] = *part_at(&w->part[i], k);
            w->list[w->n] = &w->all[w->n];
        }
    sort_names(w);
    return check_names(w, err);
}

/* Of a key that several files have, the first is meant. */
static enum status gather_metadata(struct weights *w, struct error *err)
{
    uint64_t room = 0;
    enum status st;

    for (int i = 0; i < w->n_parts; i++)
        room += (uint64_t)part_metadata_count(&w->part[i]);
    if ((st = mem_new((void **)&w->text, room, sizeof *w->text, "metadata", err)))
        return st;
    for (int i = 0; i < w->n_parts; i++) {
        for (int64_t k = 0; k < part_metadata_count(&w->part[i]); k++) {
            struct save_text t;

            part_metadata_at(&w->part[i], k, &t);
            if (weights_metadata(w, t.key) == t.value)
                w->text[w->n_text++] = t;
        }
    }
    return OK;
}

/* --- scales -------------------------------------------------------------------------------------
 */

static const struct {
    const char *scale, *tensor; /* ends of the two names */
    bool int8;                  /* and only for tensors of that type */
} companions[] = {
    {".scale_weight", ".weight", false},
    {".weight_scale", ".weight", false},
    {".scale", "", true},
};

static bool holds_floats(const struct file_tensor *t)
{
    return t->dtype == FILE_F32 || t->dtype == FILE_F16 || t->dtype == FILE_BF16;
}

/* *out = the tensor that t is the scale of, or NULL. */
static enum status scaled_by(struct file_tensor **out, const struct weights *w,
                             const struct file_tensor *t, struct error *err)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof companions / sizeof *companions && !*out; i++) {
        const struct file_tensor *found;
        struct text name;

        if (!ends_with(t->name, companions[i].scale))
            continue;
        text_init(&name, NULL, 0);
        text_add(&name, "%.*s%s", (int)(strlen(t->name) - strlen(companions[i].scale)), t->name,
                 companions[i].tensor);
        if (name.cut)
            return fail(err, E_MEMORY, "no memory for a name");
        found = weights_find(w, name.data);
        text_release(&name);
        /* The list points to what is the list's own. */
        if (found && found != t && (!companions[i].int8 || found->dtype == FILE_I8))
            *out = &w->all[found - w->all];
    }
    return OK;
}

static enum status check_scale(const struct file_tensor *t, const struct file_tensor *scale,
                               struct error *err)
{
    int64_t n = file_tensor_count(scale), rows = t->rank ? t->dim[0] : 1;
    char name[UTF8_SHOWN];

    utf8_shown(name, scale->name);
    if (!holds_floats(scale))
        return fail(err, E_UNSUPPORTED, "tensor %s is a scale of type %s, must be F32, F16 or BF16",
                    name, file_dtype_name(scale->dtype));
    if (n < 1 || (n != 1 && n != rows))
        return fail(err, E_UNSUPPORTED,
                    "tensor %s holds %" PRId64 " scales of a tensor of %" PRId64
                    " rows, must be one of all or one a row",
                    name, n, rows);
    if (t->scale)
        return fail(err, E_FORMAT, "tensor %s is a second scale of one tensor", name);
    return OK;
}

/* Scales move from the list to their tensors.  The names stay sorted meanwhile, and are sorted anew
 * in the end. */
static enum status attach_scales(struct weights *w, struct error *err)
{
    struct file_tensor *t;
    int64_t room = 0, n = 0;
    float *next;
    enum status st;

    for (int64_t i = 0; i < w->n_all; i++) {
        if ((st = scaled_by(&t, w, &w->all[i], err)) ||
            (t && (st = check_scale(t, &w->all[i], err))))
            return st;
        room += t ? file_tensor_count(&w->all[i]) : 0;
    }
    if (!room)
        return OK;
    if ((st = mem_new((void **)&w->scales, (uint64_t)room, sizeof *w->scales, "scales", err)))
        return st;
    next = w->scales;
    for (int64_t i = 0; i < w->n_all; i++) {
        const struct file_tensor *scale = &w->all[i];

        if ((st = scaled_by(&t, w, scale, err)))
            return st;
        if (!t) {
            w->list[n++] = scale;
            continue;
        }
        if ((st = check_scale(t, scale, err)) || (st = file_tensor_f32(scale, next, err)))
            return st;
        t->scale = next;
        t->n_scale = file_tensor_count(scale);
        next += t->n_scale;
    }
    w->n = n;
    sort_names(w);
    return OK;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static enum status finish(struct weights **out, struct weights *w, enum status st, const char *name,
                          struct error *err)
{
    if (!st &&
        ((st = gather(w, err)) || (st = gather_metadata(w, err)) || (st = attach_scales(w, err))))
        fail_under(err, "%s", name);
    if (st)
        weights_close(w);
    else
        *out = w;
    return st;
}

enum status weights_open(struct weights **out, const char *path, struct error *err)
{
    struct weights *w = NULL;
    struct stat info;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&w, 1, sizeof *w, path, err)))
        return st;
    if (!stat(path, &info) && S_ISDIR(info.st_mode))
        st = open_folder(w, path, err);
    else
        st = open_file(w, path, err);
    return finish(out, w, st, path, err);
}

enum status weights_open_bytes(struct weights **out, const uint8_t *bytes, uint64_t n,
                               const char *name, struct error *err)
{
    struct weights *w = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&w, 1, sizeof *w, name, err)))
        return st;
    if (!(st = new_parts(w, 1, err))) {
        w->n_parts = 1;
        st = part_open_bytes(&w->part[0], bytes, n, name, err);
    }
    return finish(out, w, st, name, err);
}

void weights_close(struct weights *w)
{
    if (!w)
        return;
    for (int i = 0; i < w->n_parts; i++)
        part_close(&w->part[i]);
    free(w->part);
    free(w->all);
    free(w->list);
    free(w->by_name);
    free(w->scales);
    free(w->text);
    free(w);
}

void weights_drop(const struct weights *w, const void *bytes, uint64_t n)
{
    for (int i = 0; i < w->n_parts; i++)
        file_map_drop(&w->part[i].map, bytes, n);
}

const char *weights_format(const struct weights *w)
{
    return w->part[0].gguf ? "GGUF" : "safetensors";
}

int weights_files(const struct weights *w)
{
    return w->n_parts;
}

int64_t weights_count(const struct weights *w)
{
    return w->n;
}

const struct file_tensor *weights_at(const struct weights *w, int64_t i)
{
    MUST(i >= 0 && i < w->n, "tensor %" PRId64 " of %" PRId64, i, w->n);
    return w->list[i];
}

const struct file_tensor *weights_find(const struct weights *w, const char *name)
{
    const struct file_tensor **found =
        bsearch(name, w->by_name, (size_t)w->n, sizeof *w->by_name, compare_wanted);

    return found ? *found : NULL;
}

const char *weights_metadata(const struct weights *w, const char *key)
{
    const char *value = NULL;

    for (int i = 0; i < w->n_parts && !value; i++)
        value = part_metadata(&w->part[i], key);
    return value;
}

int64_t weights_metadata_count(const struct weights *w)
{
    return w->n_text;
}

void weights_metadata_at(const struct weights *w, int64_t i, const char **key, const char **value)
{
    MUST(i >= 0 && i < w->n_text, "metadata %" PRId64 " of %" PRId64, i, w->n_text);
    *key = w->text[i].key;
    *value = w->text[i].value;
}
