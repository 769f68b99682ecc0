/*
 * json.h - JSON from outside: parsed within limits, read with its type and range checked
 *
 * A thin layer over jansson, whose own names start with json_; ours start with config_, because
 * what is read is always somebody's configuration: a model's, a recipe's, a request's.
 */
#ifndef IMGEN_BASE_JSON_H
#define IMGEN_BASE_JSON_H

#include "base/error.h"
#include "base/hash.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONFIG_DEPTH = 64,       /* arrays and objects inside each other                */
    CONFIG_VALUES = 8000000, /* values in one text: bounds the memory a parse takes */
    CONFIG_BYTES = 16 << 20, /* the usual limit of a text's size                    */
};

/* Parse n bytes of text, at most `limit` of them.  The top is an object or an array; a key given
 * twice, a NUL in a string, bad UTF-8, anything after the end: E_FORMAT, `name` in front of the
 * message.  *out is a new reference, given back with json_decref; NULL on failure. */
enum status config_parse(json_t **out, const char *text, size_t n, size_t limit, const char *name,
                         struct error *err);

/* The members of an object.  A missing key (or an object that is NULL) gives the fallback; a value
 * of another type or outside lo .. hi is E_FORMAT, naming key, value and range, and leaves *out as
 * it was.  Strings, arrays and objects are borrowed from the parent. */
enum status config_int(int64_t *out, const json_t *object, const char *key, int64_t fallback,
                       int64_t lo, int64_t hi, struct error *err);
/* An integer is taken for a number with a fraction too. */
enum status config_double(double *out, const json_t *object, const char *key, double fallback,
                          double lo, double hi, struct error *err);
enum status config_bool(bool *out, const json_t *object, const char *key, bool fallback,
                        struct error *err);
enum status config_text(const char **out, const json_t *object, const char *key,
                        const char *fallback, struct error *err);
/* A seed takes all 64 bits, which a number of JSON does not: it is written as a text.  *there:
 * whether the key is; without it *out stays as it was. */
enum status config_seed(uint64_t *out, bool *there, const json_t *object, const char *key,
                        struct error *err);
/* Set one: 0, or -1 for want of memory, as json_object_set_new. */
int config_set_seed(json_t *object, const char *key, uint64_t seed);
/* A SHA-256 in small letters, as base/hash.h makes it; E_FORMAT when the key is missing. */
enum status config_hash(char out[HASH_TEXT], const json_t *object, const char *key,
                        struct error *err);
/* *out is NULL when the key is missing. */
enum status config_array(json_t **out, const json_t *object, const char *key, struct error *err);
enum status config_object(json_t **out, const json_t *object, const char *key, struct error *err);
/* An array of at most `room` integers in lo .. hi; *n is how many, 0 when the key is missing. */
enum status config_ints(int64_t *out, int64_t *n, int64_t room, const json_t *object,
                        const char *key, int64_t lo, int64_t hi, struct error *err);

/* E_FORMAT when a key is missing: for members that have no sensible fallback. */
enum status config_need(const json_t *object, const char *key, struct error *err);
enum status config_need_int(int64_t *out, const json_t *object, const char *key, int64_t lo,
                            int64_t hi, struct error *err);

/* One line of text of a value, keys in the order they were set: *out is heap, freed with free().
 * Equal values give equal bytes.  E_MEMORY. */
enum status config_dump(char **out, const json_t *value, struct error *err);

#endif
