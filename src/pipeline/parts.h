/*
 * parts.h - what a model of several files is made of, and what each of them is
 */
#ifndef IMGEN_PIPELINE_PARTS_H
#define IMGEN_PIPELINE_PARTS_H

#include "base/hash.h"
#include "pipeline/model.h"

enum { MODEL_PARTS = 6 };

/* A part beside the network. */
struct model_part {
    const char *role;     /* "autoencoder", "clip_l", "clip_g", "t5xxl", "merges", "spiece",
                             or "no_t5": T5 was left out, and nothing stands for it */
    char *path;           /* heap; NULL: there is none                                      */
    char hash[HASH_TEXT]; /* once model_parts_hash was asked: path_fingerprint, "" of none  */
};

struct model_parts {
    struct model_part at[MODEL_PARTS];
    int n;
};

/* The autoencoder of a published model, the encoders of one that reads encoded texts, and the
 * vocabularies that those need.  None of a model that is all in one file, and none of an
 * autoencoder that the model's own file names by content.  Nothing is opened.
 * E_MEMORY.  Release also after a failure. */
enum status model_parts_find(struct model_parts *p, const struct model *m, struct error *err);
enum status model_parts_hash(struct model_parts *p, struct error *err); /* E_IO; E_MEMORY */
void model_parts_release(struct model_parts *p); /* zeroes it; fine on a zeroed one */

/* SHA-256 of a file's size and of pieces of it that lie evenly from its beginning to its end, all
 * of a small file: what tells weights apart without reading gigabytes.  It is no hash of the file.
 * Of a folder: of the names of its weights and configurations (.safetensors, .gguf, .json) and
 * their fingerprints.  E_IO; E_MEMORY. */
enum status path_fingerprint(char out[HASH_TEXT], const char *path, struct error *err);

/* The same of the network of a published folder: transformer/, and scheduler/ where it is there. */
enum status folder_fingerprint(char out[HASH_TEXT], const char *folder, struct error *err);

#endif
