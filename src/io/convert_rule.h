/*
 * convert_rule.h - which tensor of a model is stored as what
 */
#ifndef IMGEN_IO_CONVERT_RULE_H
#define IMGEN_IO_CONVERT_RULE_H

#include "io/file_tensor.h"

/* What a model may be converted to. */
struct convert_type {
    const char *name, *about;
    enum file_dtype dtype;  /* of the large matrices, or of all numbers     */
    bool coded;             /* matrices alone: whole numbers with a scale   */
    bool safetensors, gguf; /* formats that have it                         */
};
/* Type i, from 0; NULL past the last. */
const struct convert_type *convert_type_at(int i);
/* E_ARG, with the nearest name, when there is none. */
enum status convert_type_find(const struct convert_type **out, const char *name, struct error *err);

/* *to = what t becomes in a file of that type, of format GGUF or safetensors.  False: the format
 * has no such elements (integers of some kinds in GGUF). */
bool convert_rule(enum file_dtype *to, const struct file_tensor *t, const struct convert_type *type,
                  bool gguf);

#endif
