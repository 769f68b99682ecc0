/*
 * unigram.h - texts as the ids that T5 reads
 */
#ifndef IMGEN_TEXT_UNIGRAM_H
#define IMGEN_TEXT_UNIGRAM_H

#include "text/ids.h"

#include <stddef.h>

struct unigram;

enum { UNIGRAM_END = 1, UNIGRAM_PAD = 0 }; /* ids of T5, after a text and behind it */

/* path: a spiece.model, or a folder that holds one.  E_IO, E_FORMAT, E_UNSUPPORTED, E_MEMORY. */
enum status unigram_open(struct unigram **out, const char *path, struct error *err);
/* The same from the bytes of one; name is for messages. */
enum status unigram_open_bytes(struct unigram **out, const void *bytes, size_t n, const char *name,
                               struct error *err);
void unigram_close(struct unigram *u);

/* *out = the text in the spelling that pieces have, a heap string of *n bytes that the caller
 * frees: characters mapped, spaces single, one in front, each as U+2581, as the model asks for it.
 * E_ARG for more than UNICODE_TEXT_BYTES, E_FORMAT where a map makes a text grow out of measure,
 * E_MEMORY. */
enum status unigram_normalise(const struct unigram *u, char **out, size_t *n, const char *text,
                              size_t bytes, struct error *err);

/* Append the ids of a text, without the end: those whose scores have the largest sum.  What fits no
 * piece is one unknown id, or its bytes where the model has pieces for them.  Several threads may
 * encode with one u.  Errors as unigram_normalise. */
enum status unigram_encode(const struct unigram *u, struct ids *out, const char *text, size_t n,
                           struct error *err);

#endif
