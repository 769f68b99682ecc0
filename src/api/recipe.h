/*
 * recipe.h - how a picture was made, as the line that people and other programs read
 */
#ifndef IMGEN_API_RECIPE_H
#define IMGEN_API_RECIPE_H

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "imgen.h"

#include <stddef.h>

/* Append the text of "parameters" of a picture of this size. */
void recipe_line_write(struct text *t, const struct imgen_recipe *r, int64_t width, int64_t height);

/* *out, zeroed by the caller: what the n bytes of such a text of another program say.  E_FORMAT: it
 * is none, names no steps or no seed, or a number is none; E_MEMORY. */
enum status recipe_line_read(struct imgen_recipe *out, const char *text, size_t n,
                             struct error *err);

/* out[room] = the text; E_FORMAT where it does not fit, naming `what`. */
enum status recipe_put(char *out, size_t room, const char *what, const char *text,
                       struct error *err);

/* What the model's parts beside its network are (pipeline/parts.h), found once a model.  E_IO;
 * E_MEMORY. */
enum status recipe_put_parts(struct imgen_recipe *out, struct imgen_model *m, struct error *err);
/* The same as JSON, a new reference, NULL: no memory; and back, E_FORMAT. */
json_t *recipe_parts_json(const struct imgen_recipe *r);
enum status recipe_read_parts(struct imgen_recipe *out, const json_t *root, struct error *err);

/* Whether the noise of the picture's seed is drawn as this program draws it. */
bool recipe_own_rng(const struct imgen_recipe *r);

#endif
