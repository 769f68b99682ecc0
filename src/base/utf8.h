/*
 * utf8.h - reading UTF-8 that comes from outside
 */
#ifndef IMGEN_BASE_UTF8_H
#define IMGEN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point at *p, which moves past it; *p < end.  -1 for what is not UTF-8 (overlong forms,
 * surrogates, above U+10FFFF, cut short), and *p moves by one byte. */
int32_t utf8_next(const uint8_t **p, const uint8_t *end);

/* Whether all n bytes are UTF-8. */
bool utf8_valid(const void *text, size_t n);

/* Write code point c in 0 .. 0x10FFFF; returns the number of bytes, 1 to 4. */
size_t utf8_put(uint8_t out[4], int32_t c);

/* A text from a file made fit to stand in an error message: control characters and broken bytes
 * become '?', and what does not fit is cut before an incomplete character.  Returns buf. */
enum { UTF8_SHOWN = 128 };
const char *utf8_shown(char buf[UTF8_SHOWN], const char *text);

#endif
