/*
 * params_source.c - a file of others, seen through the names of our parameters
 *
 * A configuration beside a file can be lost, or belong to another one; what the shapes of the
 * tensors say is what can be loaded.  So sizes are read off shapes, found under our names whatever
 * the file calls them, and a configuration is asked for what leaves no trace in shapes.
 */
#include "nn/params_source.h"

#include <stdarg.h>
#include <stdio.h>

static const struct file_tensor *find(const struct params_source *s, const char *fmt, va_list ap,
                                      char name[PARAM_NAME]) __attribute__((format(printf, 2, 0)));

static const struct file_tensor *find(const struct params_source *s, const char *fmt, va_list ap,
                                      char name[PARAM_NAME])
{
    vsnprintf(name, PARAM_NAME, fmt, ap);
    return params_tensor(s->file, &s->naming, name);
}

const struct file_tensor *source_find(const struct params_source *s, const char *fmt, ...)
{
    const struct file_tensor *t;
    char name[PARAM_NAME];
    va_list ap;

    va_start(ap, fmt);
    t = find(s, fmt, ap, name);
    va_end(ap);
    return t;
}

enum status source_dim(int64_t *out, const struct params_source *s, int k, struct error *err,
                       const char *fmt, ...)
{
    const struct file_tensor *t;
    char name[PARAM_NAME];
    va_list ap;

    va_start(ap, fmt);
    t = find(s, fmt, ap, name);
    va_end(ap);
    if (!t)
        return fail(err, E_FORMAT, "the file has no %s", name);
    k += k < 0 ? t->rank : 0;
    if (k < 0 || k >= t->rank || t->dim[k] < 1 || t->dim[k] > INT32_MAX)
        return fail(err, E_FORMAT, "%s has %s", t->name,
                    k < 0 || k >= t->rank ? "too few dimensions" : "a dimension of no use");
    *out = t->dim[k];
    return OK;
}

int64_t source_count(const struct params_source *s, const char *before, const char *after,
                     int64_t most)
{
    int64_t n = 0;

    while (n < most && source_find(s, "%s%d%s", before, (int)n, after))
        n++;
    return n;
}
