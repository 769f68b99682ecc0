/*
 * clip_merges.h - the vocabulary of CLIP's byte pairs
 *
 *     symbols 0..255          one byte each, in the order 33..126, 161..172, 174..255, the rest
 *     symbols 256..511        the same at the end of a word ("</w>")
 *     512 ..                  what the merges make, in the order of their lines
 */
#ifndef IMGEN_TEXT_CLIP_MERGES_H
#define IMGEN_TEXT_CLIP_MERGES_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CLIP_BYTES = 256,              /* symbols of one byte                              */
    CLIP_FIRST_MERGE = 512,        /* symbol of the first merge                        */
    CLIP_MERGES_PUBLISHED = 48894, /* of them the published vocabulary takes the first */
    CLIP_MERGES_MAX = 1 << 17,
    CLIP_FILE_BYTES = 16 << 20,
};

/* Symbols left and right beside each other become `made`; the lowest rank goes first. */
struct clip_merge {
    int32_t left, right, made, rank; /* made is 0 in a free place of the table */
};

struct clip_merges {
    struct clip_merge *table; /* [mask + 1], open addressing             */
    uint32_t mask;
    int32_t *id; /* [n_symbols]: what stands for each in a row of ids */
    int32_t n_symbols;
    int32_t begin, end; /* ids of <|startoftext|> and <|endoftext|> */
};

/* From the text of a merges file, plain or gzip: a first line with "#version" is passed over, then
 * a line is two symbols and a space between.  A file of more than CLIP_MERGES_MAX lines is the
 * original of which only the first CLIP_MERGES_PUBLISHED lines are in use.
 *
 * vocabulary: the text of a vocab.json ([n_vocabulary] bytes, the name of each symbol -> its id;
 * what is missing there has the id of <|endoftext|>), or NULL: symbols are numbered in order, then
 * come begin and end.  name is for messages.  E_FORMAT naming the line; E_MEMORY. */
enum status clip_merges_read(struct clip_merges *out, const void *bytes, size_t n,
                             const char *vocabulary, size_t n_vocabulary, const char *name,
                             struct error *err);
void clip_merges_release(struct clip_merges *m);

/* How left and right merge, or NULL. */
const struct clip_merge *clip_merges_find(const struct clip_merges *m, int32_t left, int32_t right);

/* The symbol of a byte. */
int32_t clip_byte_symbol(uint8_t byte);

#endif
