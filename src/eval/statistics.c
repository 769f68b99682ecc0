/*
 * statistics.c - the features of a reference, kept in a file
 *
 * The training set's features are the same in every comparison and take longest, for it is the
 * larger set.  All features are kept, not their mean and covariance alone: the kernel distance and
 * the manifolds need each one, and the moments follow from them in a tenth of a second.
 *
 * Features of two networks must never be compared, so the file says by which network's content they
 * were made, and whoever loads it checks.
 */
#include "eval/statistics.h"

#include "base/json.h"
#include "base/memory.h"
#include "io/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1, TEXT_LIMIT = 1 << 16, SIDE_MAX = 1 << 16, LABEL_MAX = 1000000 };

static const char key[] = "imgen.statistics", features_name[] = "features", label_name[] = "labels";

void statistics_release(struct statistics *s)
{
    free(s->features);
    free(s->label);
    *s = (struct statistics){0};
}

static enum status describe(char **out, const struct statistics *s, struct error *err)
{
    json_t *root = json_pack("{s:i, s:s, s:s*, s:s, s:I, s:I, s:I}", "format", FORMAT_VERSION,
                             "network", s->network, "protocol", *s->protocol ? s->protocol : NULL,
                             "about", s->about, "height", (json_int_t)s->height, "width",
                             (json_int_t)s->width, "channels", (json_int_t)s->channels);
    enum status st;

    *out = NULL;
    if (!root)
        return fail(err, E_MEMORY, "no memory to describe statistics");
    st = config_dump(out, root, err);
    json_decref(root);
    return st;
}

enum status statistics_save(const char *path, const struct statistics *s, struct error *err)
{
    struct save_tensor tensor[] = {
        {.name = features_name,
         .dtype = FILE_F32,
         .rank = 2,
         .dim = {s->n, s->D},
         .bytes = s->features},
        {.name = label_name, .dtype = FILE_I32, .rank = 1, .dim = {s->n}, .bytes = s->label},
    };
    struct save_text text = {key, NULL};
    char *words;
    enum status st;

    if ((st = describe(&words, s, err)))
        return st;
    text.value = words;
    st = safetensors_save(path, tensor, s->label ? 2 : 1, &text, 1, err);
    free(words);
    return st;
}

/* "" when there is none. */
static enum status copy_text(char *to, size_t room, const json_t *root, const char *name,
                             struct error *err)
{
    const char *text;
    enum status st;

    if ((st = config_text(&text, root, name, "", err)))
        return st;
    if (strlen(text) >= room)
        return fail(err, E_FORMAT, "\"%s\" has %zu letters, not %zu or fewer", name, strlen(text),
                    room - 1);
    memcpy(to, text, strlen(text) + 1);
    return OK;
}

static enum status read_description(struct statistics *s, const char *text, struct error *err)
{
    json_t *root;
    int64_t version;
    enum status st;

    if ((st = config_parse(&root, text, strlen(text), TEXT_LIMIT, key, err)))
        return st;
    if (!(st = config_need_int(&version, root, "format", 1, FORMAT_VERSION, err)) &&
        !(st = config_need(root, "network", err)) &&
        !(st = copy_text(s->network, sizeof s->network, root, "network", err)) &&
        !(st = copy_text(s->protocol, sizeof s->protocol, root, "protocol", err)) &&
        !(st = config_need(root, "about", err)) &&
        !(st = copy_text(s->about, sizeof s->about, root, "about", err)) &&
        !(st = config_int(&s->height, root, "height", 0, 1, SIDE_MAX, err)) &&
        !(st = config_int(&s->width, root, "width", 0, 1, SIDE_MAX, err)))
        st = config_int(&s->channels, root, "channels", 0, 1, SIDE_MAX, err);
    json_decref(root);
    return st;
}

static enum status read_features(struct statistics *s, const struct safetensors *f,
                                 struct error *err)
{
    const struct file_tensor *t = safetensors_find(f, features_name);
    enum status st;

    if (!t || t->rank != 2 || t->dtype != FILE_F32 || t->dim[0] < 1 || t->dim[1] < 1)
        return fail(err, E_FORMAT, "there is no tensor \"%s\" of float32 in two dimensions",
                    features_name);
    s->n = t->dim[0];
    s->D = t->dim[1];
    if ((st = mem_new((void **)&s->features, (uint64_t)s->n, (uint64_t)s->D * sizeof *s->features,
                      "features", err)))
        return st;
    return file_tensor_f32(t, s->features, err);
}

static enum status read_labels(struct statistics *s, const struct safetensors *f, struct error *err)
{
    const struct file_tensor *t = safetensors_find(f, label_name);
    enum status st;

    if (!t)
        return OK;
    if (t->rank != 1 || t->dtype != FILE_I32 || t->dim[0] != s->n)
        return fail(err, E_FORMAT, "tensor \"%s\" is not %" PRId64 " numbers of int32", label_name,
                    s->n);
    if ((st = mem_new((void **)&s->label, (uint64_t)s->n, sizeof *s->label, "labels", err)))
        return st;
    memcpy(s->label, t->bytes, t->n_bytes);
    for (int64_t i = 0; i < s->n; i++)
        if (s->label[i] < -1 || s->label[i] > LABEL_MAX)
            return fail(err, E_FORMAT, "label %" PRId64 " is %d, not -1 to %d", i, s->label[i],
                        LABEL_MAX);
    return OK;
}

enum status statistics_load(struct statistics *s, const char *path, struct error *err)
{
    struct safetensors *f;
    const char *text;
    enum status st;

    *s = (struct statistics){0};
    if ((st = safetensors_open(&f, path, err)))
        return st;
    text = safetensors_metadata(f, key);
    if (!text)
        st = fail(err, E_FORMAT, "no statistics of imgen (no \"%s\" in its metadata)", key);
    else if (!(st = read_description(s, text, err)) && !(st = read_features(s, f, err)))
        st = read_labels(s, f, err);
    if (st)
        fail_under(err, "%s", path);
    safetensors_close(f);
    return st;
}
