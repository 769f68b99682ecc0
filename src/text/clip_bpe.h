/*
 * clip_bpe.h - texts as the ids that CLIP reads
 */
#ifndef IMGEN_TEXT_CLIP_BPE_H
#define IMGEN_TEXT_CLIP_BPE_H

#include "text/ids.h"

#include <stddef.h>

struct clip_bpe;

/* path: a merges file (merges.txt, or the original bpe_simple_vocab_16e6.txt.gz), or a folder that
 * holds merges.txt.  A vocab.json beside a file called merges.txt gives the ids; without one they
 * follow from the order of the merges.  E_IO, E_FORMAT naming the line, E_MEMORY. */
enum status clip_bpe_open(struct clip_bpe **out, const char *path, struct error *err);
/* The same from the bytes of a merges file; name is for messages. */
enum status clip_bpe_open_bytes(struct clip_bpe **out, const void *bytes, size_t n,
                                const char *name, struct error *err);
void clip_bpe_close(struct clip_bpe *b);

/* What stands before and behind a text in a row. */
int32_t clip_bpe_begin(const struct clip_bpe *b);
int32_t clip_bpe_end(const struct clip_bpe *b);

enum clip_bpe_special {
    CLIP_PLAIN,   /* "<|endoftext|>" in a text is so many letters and signs */
    CLIP_SPECIAL, /* ... is the id clip_bpe_end                             */
};

/* Append the ids of a text, without begin and end: normalisation form C, white space squeezed,
 * small letters, cut into words, numerals and signs, and each of these merged from its bytes.
 * Broken UTF-8 counts as U+FFFD.  Several threads may encode with one b.  Time grows with
 * n log n.  E_ARG for more than UNICODE_TEXT_BYTES, E_MEMORY. */
enum status clip_bpe_encode(const struct clip_bpe *b, struct ids *out, const char *text, size_t n,
                            enum clip_bpe_special special, struct error *err);

#endif
