/*
 * params_source.h - a file of others, seen through the names of our parameters: sizes off shapes
 */
#ifndef IMGEN_NN_PARAMS_SOURCE_H
#define IMGEN_NN_PARAMS_SOURCE_H

#include "nn/params.h"

/* A network in a file, as its tensors are called there. */
struct params_source {
    const struct weights *file;
    struct params_naming naming;
};

/* The tensor in which our parameter of this name begins, or NULL. */
const struct file_tensor *source_find(const struct params_source *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Dimension k of that tensor, counted from the last one for k < 0; E_FORMAT when there is no such
 * tensor, or it has too few dimensions, or none of any size. */
enum status source_dim(int64_t *out, const struct params_source *s, int k, struct error *err,
                       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* How many of the names "<before>0<after>", "<before>1<after>" and so on there are, at most `most`.
 */
int64_t source_count(const struct params_source *s, const char *before, const char *after,
                     int64_t most);

#endif
