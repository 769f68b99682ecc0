/*
 * parameters.h - how a picture was made, as the text that programs of this field put into PNGs
 */
#ifndef IMGEN_IO_PARAMETERS_H
#define IMGEN_IO_PARAMETERS_H

#include "base/error.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

struct parameter {
    char *key, *value;
};

/* Heap, all of it; prompts are "" where there are none. */
struct parameters {
    char *prompt, *negative;
    struct parameter *at;
    int64_t n, room;
};

/* The first n bytes of text, which need not end in a zero.  E_FORMAT: a zero inside, no line of
 * settings, a quoted value that is none; E_MEMORY.  Release after success. */
enum status parameters_parse(struct parameters *out, const char *text, size_t n, struct error *err);
void parameters_release(struct parameters *p); /* harmless on a zeroed one */

/* The value of the first such key, capitals as they stand; or NULL. */
const char *parameters_find(const struct parameters *p, const char *key);

/* Append a setting, after a comma where it is not the first of its line; quoted where it has to be.
 */
void parameters_add(struct text *t, const char *key, const char *value);

#endif
