/*
 * file.c - files of weights, for whoever wants to look inside
 */
#include "api/api.h"

#include "base/memory.h"
#include "io/published.h"
#include "io/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

struct imgen_file {
    struct weights *f;
};

enum imgen_status imgen_file_open(struct imgen_file **out, const char *path,
                                  struct imgen_error *err)
{
    struct imgen_file *file = NULL;
    struct error e = {0};
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&file, 1, sizeof *file, "a file", &e)) ||
        (st = weights_open(&file->f, path, &e)))
        imgen_file_close(file);
    else
        *out = file;
    return api_status(err, &e, st);
}

void imgen_file_close(struct imgen_file *file)
{
    if (!file)
        return;
    weights_close(file->f);
    free(file);
}

const char *imgen_file_format(const struct imgen_file *file)
{
    return weights_format(file->f);
}

int imgen_file_count(const struct imgen_file *file)
{
    return weights_files(file->f);
}

int imgen_file_tensor(const struct imgen_file *file, int64_t i, struct imgen_file_tensor *out)
{
    const struct published_part *part;
    const struct file_tensor *t;

    if (i < 0 || i >= weights_count(file->f))
        return 0;
    t = weights_at(file->f, i);
    part = published_part_of(t->name);
    *out = (struct imgen_file_tensor){
        .name = t->name,
        .dtype = file_dtype_name(t->dtype),
        .rank = t->rank,
        .bytes = t->n_bytes,
        .scales = t->n_scale,
        .part = part ? part->name : NULL,
    };
    for (int k = 0; k < t->rank; k++)
        out->dim[k] = t->dim[k];
    return 1;
}

int imgen_file_metadata(const struct imgen_file *file, int64_t i, const char **key,
                        const char **value)
{
    if (i < 0 || i >= weights_metadata_count(file->f))
        return 0;
    weights_metadata_at(file->f, i, key, value);
    return 1;
}

static const struct file_tensor *find(const struct imgen_file *file, const char *name,
                                      struct error *err)
{
    const struct file_tensor *t = weights_find(file->f, name);

    if (!t)
        fail(err, E_ARG, "there is no tensor '%.100s' among the %" PRId64 " of the file", name,
             weights_count(file->f));
    return t;
}

enum imgen_status imgen_file_read(const struct imgen_file *file, const char *name, float *out,
                                  int64_t count, struct imgen_error *err)
{
    struct error e = {0};
    const struct file_tensor *t = find(file, name, &e);
    enum status st = E_ARG;

    if (t && file_tensor_count(t) != count)
        fail(&e, E_ARG, "%s holds %" PRId64 " numbers, not %" PRId64, name, file_tensor_count(t),
             count);
    else if (t)
        st = file_tensor_f32(t, out, &e);
    return api_status(err, &e, st);
}

static enum status verify_one(const struct file_tensor *t, struct error *err)
{
    int64_t n = file_tensor_count(t);
    double *x = NULL;
    enum status st;

    if ((st = mem_new((void **)&x, (uint64_t)n, sizeof *x, t->name, err)))
        return st;
    st = file_tensor_f64(t, x, err);
    for (int64_t i = 0; i < n && !st; i++)
        if (!isfinite(x[i]))
            st = fail(err, E_NOT_FINITE, "%s: number %" PRId64 " of %" PRId64 " is %g", t->name, i,
                      n, x[i]);
    free(x);
    return st;
}

enum imgen_status imgen_file_verify(const struct imgen_file *file, struct imgen_error *err)
{
    struct error e = {0};
    enum status st = OK;

    for (int64_t i = 0; i < weights_count(file->f) && !st; i++)
        st = verify_one(weights_at(file->f, i), &e);
    return api_status(err, &e, st);
}
