/*
 * unicode.h - texts as code points: composed, in small letters, free of broken bytes
 *
 * The properties of characters come from utf8proc, so a character assigned after the Unicode
 * version of the library at hand counts as a plain symbol without case.
 */
#ifndef IMGEN_TEXT_UNICODE_H
#define IMGEN_TEXT_UNICODE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNICODE_REPLACEMENT = 0xFFFD };

/* The longest text that is taken from a person, in bytes. */
enum { UNICODE_TEXT_BYTES = 1 << 20 };

/* A text as code points, on the heap; zeroed is empty. */
struct code_points {
    int32_t *c;
    int64_t n, room;
};

void code_points_release(struct code_points *t);

/* *t = the code points of n bytes of UTF-8, a byte that begins none as U+FFFD.  E_ARG for more than
 * UNICODE_TEXT_BYTES; E_MEMORY. */
enum status code_points_read(struct code_points *t, const char *text, size_t n, struct error *err);

/* t in normalisation form C (Unicode Standard Annex 15): marks in canonical order, and one code
 * point for a letter and its mark where there is one.  Time grows with the length alone, whatever
 * marks are heaped up.  E_MEMORY. */
enum status code_points_compose(struct code_points *t, struct error *err);

/* t in small letters by the full mapping: U+0130 becomes two code points, and a capital sigma at
 * the end of a word becomes the final one.  E_MEMORY. */
enum status code_points_lower(struct code_points *t, struct error *err);

/* Each run of white space one space, none at the ends. */
void code_points_squeeze(struct code_points *t);

/* *out = t as UTF-8 with a zero byte behind it, *n bytes without that; the caller frees it.
 * E_MEMORY. */
enum status code_points_write(char **out, size_t *n, const struct code_points *t,
                              struct error *err);

/* White space as the Unicode property White_Space has it. */
bool unicode_is_space(int32_t c);

#endif
