/*
 * convert.h - a model's file into another type or format
 *
 *     conversion_open      look at every tensor and decide what it becomes
 *     conversion_at        what that is
 *     conversion_run       write it
 */
#ifndef IMGEN_IO_CONVERT_H
#define IMGEN_IO_CONVERT_H

#include "io/convert_rule.h"

struct conversion;

/* One tensor; the texts are the conversion's. */
struct conversion_row {
    const char *name; /* in the new file, "" of one that is left out */
    const char *old_name;
    enum file_dtype from, to;
    int rank;
    const int64_t *dim;
    uint64_t old_bytes, bytes; /* of the tensor with its scales */
};

/* in: what weights_open takes.  type: a name of convert_type_at.  GGUF or safetensors.  E_ARG for a
 * type that is unknown or that the format does not have; E_UNSUPPORTED for a tensor that it cannot
 * hold, unless nobody needs it (published_spare); else as weights_open. */
enum status conversion_open(struct conversion **out, const char *in, const char *type, bool gguf,
                            struct error *err);
void conversion_close(struct conversion *c); /* NULL is fine */

/* In the order of the old file. */
int64_t conversion_count(const struct conversion *c);
void conversion_at(const struct conversion *c, int64_t i, struct conversion_row *out);

/* done of `total` bytes of the old file are read; false: stop. */
typedef bool conversion_progress(uint64_t done, uint64_t total, void *user);

/* Write the new file beside path and let it take its name when it is whole (base/file.h): path may
 * be the old file itself.  Memory: some megabytes, whatever the model.  E_CANCELLED; E_IO; E_ARG
 * for names that cannot be written; E_UNSUPPORTED and E_NOT_FINITE for numbers that the type does
 * not hold, naming the tensor. */
enum status conversion_run(struct conversion *c, const char *path, conversion_progress *progress,
                           void *user, struct error *err);

#endif
