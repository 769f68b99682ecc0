/*
 * imgen/weights.h - files of weights: looked into and converted
 */
#ifndef IMGEN_WEIGHTS_H
#define IMGEN_WEIGHTS_H

#include "imgen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct imgen_file;

struct imgen_file_tensor {
    const char *name, *dtype;
    int rank;
    int64_t dim[8];
    uint64_t bytes;
    int64_t scales;   /* that lie beside it and that its numbers are multiplied with; 0: none */
    const char *part; /* of which part of a published model it is, by its name, or NULL        */
};
/* Any file of tensors: safetensors, GGUF, the index (.index.json) of a model in several files, or a
 * folder that holds one of these under the usual names. */
IMGEN_API enum imgen_status imgen_file_open(struct imgen_file **out, const char *path,
                                            struct imgen_error *err);
IMGEN_API void imgen_file_close(struct imgen_file *file);
/* "safetensors" or "GGUF", and of how many files. */
IMGEN_API const char *imgen_file_format(const struct imgen_file *file);
IMGEN_API int imgen_file_count(const struct imgen_file *file);
/* 0 past the last, else 1. */
IMGEN_API int imgen_file_tensor(const struct imgen_file *file, int64_t i,
                                struct imgen_file_tensor *out);
IMGEN_API int imgen_file_metadata(const struct imgen_file *file, int64_t i, const char **key,
                                  const char **value);
/* out [count] = the values of a tensor, in the order of the file, whatever its type.  E_ARG when
 * there is none of that name or it does not hold `count` numbers. */
IMGEN_API enum imgen_status imgen_file_read(const struct imgen_file *file, const char *name,
                                            float *out, int64_t count, struct imgen_error *err);
/* Every number is read: E_NOT_FINITE names the first tensor with a NaN or an infinity. */
IMGEN_API enum imgen_status imgen_file_verify(const struct imgen_file *file,
                                              struct imgen_error *err);

/* A model's file into another type or format.  Opening decides what every tensor becomes and writes
 * nothing. */
struct imgen_conversion;

/* in: what imgen_file_open takes.  type: see imgen_list (IMGEN_STORED).  format: "safetensors" or
 * "GGUF".  E_ARG for a type that is unknown or that the format does not have. */
IMGEN_API enum imgen_status imgen_conversion_open(struct imgen_conversion **out, const char *in,
                                                  const char *type, const char *format,
                                                  struct imgen_error *err);
IMGEN_API void imgen_conversion_close(struct imgen_conversion *c); /* NULL is fine */

/* What becomes of one tensor; texts belong to the conversion. */
struct imgen_conversion_row {
    const char *name, *old_name; /* name: NULL of one that the format has no place for */
    const char *from, *to;       /* types                                               */
    int rank;
    int64_t dim[8];
    uint64_t old_bytes, bytes; /* with the scales beside it */
};
/* 0 past the last, else 1. */
IMGEN_API int imgen_conversion_row(const struct imgen_conversion *c, int64_t i,
                                   struct imgen_conversion_row *out);

/* done of `total` bytes of the old file are read.  Return 0 to stop. */
typedef int imgen_conversion_progress(uint64_t done, uint64_t total, void *user);

/* Write it in some megabytes of memory; the new file takes its name when it is whole and on the
 * disk, and may take that of the old one.  E_UNSUPPORTED, E_NOT_FINITE: the type does not hold a
 * number, with its tensor. */
IMGEN_API enum imgen_status imgen_conversion_run(struct imgen_conversion *c, const char *out,
                                                 imgen_conversion_progress *progress, void *user,
                                                 struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
