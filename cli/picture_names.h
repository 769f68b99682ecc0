/*
 * picture_names.h - the names of several pictures, made from one
 */
#ifndef CLI_PICTURE_NAMES_H
#define CLI_PICTURE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PICTURE_NAME = 4096 };

/* Whether the name ends in ".png", in any case: the one format here that carries a recipe. */
bool picture_name_ends(const char *name);
/* What stands before the ending of a name, or the whole of one without any: of "a.b/out" that is
 * all of it. */
size_t picture_name_stem(const char *name);
/* "out.png" for one picture, "out-000.png", "out-001.png", ... for several. */
void picture_name(char out[PICTURE_NAME], const char *name, int64_t i, int64_t n);
/* "out-preview.png" */
void picture_name_marked(char out[PICTURE_NAME], const char *name, const char *mark);

#endif
