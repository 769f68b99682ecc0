/*
 * autoencoder_file.h - autoencoders in files, ours and published ones
 */
#ifndef IMGEN_PIPELINE_AUTOENCODER_FILE_H
#define IMGEN_PIPELINE_AUTOENCODER_FILE_H

#include "base/hash.h"
#include "model/autoencoder.h"
#include "pipeline/model.h"

struct autoencoder_file {
    struct network *network; /* the model's, or own                       */
    struct model *model;     /* a model file of ours, or NULL             */
    char hash[HASH_TEXT];    /* what the autoencoder is named by; see below */
    bool unnamed;            /* the hash was not taken: zeros               */
};

/* Open what a path leads to:
 *
 *     a model file of ours, or a checkpoint     of a network that is an autoencoder
 *     a published file                          of the Stable Diffusion family (model/vae.h), alone
 *                                               or inside a larger model; with config.json beside
 *                                               it where it has the folder layout's name
 *     one of NAME_encoder.safetensors,          a tiny autoencoder (model/tae.h); the other half is
 *     NAME_decoder.safetensors                  looked for beside it
 *     a folder                                  with one of these, or with vae/ that has one
 *
 * halves: what is wanted of it, at least; of published files nothing else is loaded.  The hash is
 * the SHA-256 of the file with the weights, and of two halves that of their two hashes, as texts,
 * encoder first; it does not depend on which half is wanted.
 *
 * E_FORMAT, naming what was looked for or what the file is; E_IO; E_MEMORY; and what the readers
 * say.  Release also after a failure. */
enum status autoencoder_file_open(struct autoencoder_file *a, const char *path,
                                  enum autoencoder_halves halves, struct error *err);
/* The same without the hash, for which a file of gigabytes would be read through. */
enum status autoencoder_file_open_unnamed(struct autoencoder_file *a, const char *path,
                                          enum autoencoder_halves halves, struct error *err);
void autoencoder_file_release(struct autoencoder_file *a); /* zeroes it; fine on a zeroed one */

#endif
