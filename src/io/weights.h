/*
 * weights.h - the named tensors of a published model, from any file that holds them
 *
 *     name.safetensors              one file
 *     name.safetensors.index.json   several, which lie beside the index that lists their tensors
 *     name.gguf                     one file, its tensors perhaps in blocks of a few bits
 *     folder/                       one of the above, by the names that are usual there
 *
 * Files are mapped and nothing is copied; a tensor's bytes are valid until weights_close.  Which
 * format a file has, its bytes say; an index is known by its name's end, ".json".
 *
 * Scales that lie beside a tensor of 8-bit numbers belong to it (struct file_tensor) and are not
 * tensors of their own here:
 *
 *     <layer>.weight with <layer>.scale_weight or <layer>.weight_scale: float8 as published
 *     <name> of type I8 with <name>.scale: ours, doc/formats.md
 */
#ifndef IMGEN_IO_WEIGHTS_H
#define IMGEN_IO_WEIGHTS_H

#include "io/file_tensor.h"

struct weights;

/* In a folder: diffusion_pytorch_model or model, .safetensors or .safetensors.index.json; where
 * there is none of these, the same with ".fp16".  Exactly one of them may be there: E_ARG names
 * what is there.  E_IO, E_FORMAT, E_UNSUPPORTED, E_MEMORY as the format's reader tells; E_FORMAT
 * too for an index that names files outside its folder or does not agree with its files, and for
 * scales that do not fit. */
enum status weights_open(struct weights **out, const char *path, struct error *err);
/* A single file as bytes in memory, which must outlive the result (fuzzing, embedding). */
enum status weights_open_bytes(struct weights **out, const uint8_t *bytes, uint64_t n,
                               const char *name, struct error *err);
void weights_close(struct weights *w); /* NULL is fine */

/* These bytes of a tensor will hardly be read again: their memory may go (file_map_drop). */
void weights_drop(const struct weights *w, const void *bytes, uint64_t n);

/* What the files are: "safetensors", "GGUF"; and how many. */
const char *weights_format(const struct weights *w);
int weights_files(const struct weights *w);

/* In the order of the files and of their data. */
int64_t weights_count(const struct weights *w);
const struct file_tensor *weights_at(const struct weights *w, int64_t i);
/* NULL when there is none of that name. */
const struct file_tensor *weights_find(const struct weights *w, const char *name);

/* The value of a metadata key, or NULL; of several files, that of the first that has it.  Keys in
 * the order of the files, each once: i in 0 .. n-1. */
const char *weights_metadata(const struct weights *w, const char *key);
int64_t weights_metadata_count(const struct weights *w);
void weights_metadata_at(const struct weights *w, int64_t i, const char **key, const char **value);

#endif
