/*
 * text.h - building sentences and reading numbers from them
 *
 * A builder that cannot overrun, the nearest of some names for "did you mean", and numbers that
 * read and print the same whatever locale the embedding program has set.
 */
#ifndef IMGEN_BASE_TEXT_H
#define IMGEN_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The nearest of names[0..n-1] to a mistyped word, or NULL when none is near: at most one mistake
 * in three letters.  Capitals count as small letters, and '-', '_' and ' ' as one.  Points into
 * names; NULL entries are skipped; the first of equals wins. */
const char *text_nearest(const char *word, const char *const *names, int n);

/* A text that grows at its end: over the caller's array (cut when full) or on the heap (grown). */
struct text {
    char *data;  /* always a valid string after text_init; belongs to the builder when it grows  */
    size_t used; /* letters before the closing zero                                              */
    size_t room; /* bytes of data                                                                */
    bool grows;  /* on the heap                                                                  */
    bool cut;    /* something did not fit, or there was no memory: the text is only a beginning  */
};

/* array, room: where the text stands, room > 0; or NULL, 0 for a text on the heap. */
void text_init(struct text *t, char *array, size_t room);
/* Append as printf does. */
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Append the first n bytes as they are. */
void text_add_bytes(struct text *t, const char *bytes, size_t n);
/* Append n bytes as base64 (RFC 4648), padded. */
void text_add_base64(struct text *t, const void *bytes, size_t n);
/* Frees a heap text; harmless on the other kind and on a zeroed one. */
void text_release(struct text *t);
/* Hands the heap text to the caller, who frees it, and leaves *t released; NULL when it was cut. */
char *text_take(struct text *t);

/* The whole text as a number with a decimal point, never a comma.  False, with *out untouched,
 * unless all of it is one finite decimal number: no blanks, nothing behind it, no hexadecimal, no
 * "inf". */
bool text_to_real(const char *text, double *out);
/* The same for whole numbers.  Seeds take the full unsigned range and no sign. */
bool text_to_int(const char *text, int64_t *out);
bool text_to_seed(const char *text, uint64_t *out);

/* A size: a number of bytes, or of 1024-fold K, M, G or T ("1.5G", "800M"). */
bool text_to_bytes(const char *text, int64_t *out);

enum { TEXT_REAL = 40 };
/* The shortest decimal that reads back as exactly x; returns out. */
const char *text_from_real(char out[TEXT_REAL], double x);

#endif
