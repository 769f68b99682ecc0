/*
 * vocabulary.h - where the vocabulary of a text encoder lies
 */
#ifndef IMGEN_TEXT_VOCABULARY_H
#define IMGEN_TEXT_VOCABULARY_H

#include "base/error.h"

enum vocabulary {
    VOCABULARY_CLIP, /* merges.txt, for clip_bpe_open   */
    VOCABULARY_T5,   /* spiece.model, for unigram_open  */
};

/* *out = the path of a vocabulary, a heap string that the caller frees: `given` where it is not
 * NULL, without a look whether it is there; else the first of these that is: a file of a
 * checkpoint's folder (tokenizer/merges.txt and the like; folder may be NULL), and what is
 * installed with the program, which holds CLIP's merges.  E_IO naming all the places; E_MEMORY. */
enum status vocabulary_find(char **out, enum vocabulary which, const char *given,
                            const char *folder, struct error *err);

#endif
