/*
 * gguf.h - the file format of weights in blocks of a few bits
 *
 *     "GGUF"  u32 version  u64 number of tensors  u64 number of metadata
 *     metadata    key, u32 type, value
 *     tensors     name, u32 number of dimensions, u64 each (innermost first), u32 type, u64 offset
 *     padding     to the alignment
 *     data        tensors in the order above, each padded to the alignment
 *
 * All little-endian; a text is its u64 length and its bytes.  The reader is strict, as that of
 * safetensors.h is, and copies nothing but names and metadata; weights.h maps files for it.
 */
#ifndef IMGEN_IO_GGUF_H
#define IMGEN_IO_GGUF_H

#include "io/file_tensor.h"
#include "io/save_tensor.h"

struct gguf;

/* Whether these bytes begin as a GGUF file does. */
bool gguf_is(const uint8_t *bytes, uint64_t n);

/* Versions 2 and 3.  bytes must outlive the result; name: of the file, for messages.  E_FORMAT
 * (naming rule, tensor and numbers), E_MEMORY; E_UNSUPPORTED for other versions, files of
 * big-endian machines, and blocks that file_tensor.h does not know. */
enum status gguf_open_bytes(struct gguf **out, const uint8_t *bytes, uint64_t n, const char *name,
                            struct error *err);
void gguf_close(struct gguf *f); /* NULL is fine */

/* In the order of their data, with the shape outermost first; where the file says that a tensor was
 * reshaped for its blocks ("comfy.gguf.orig_shape.NAME"), with the shape it had. */
int64_t gguf_count(const struct gguf *f);
const struct file_tensor *gguf_at(const struct gguf *f, int64_t i);
/* NULL when there is none of that name. */
const struct file_tensor *gguf_find(const struct gguf *f, const char *name);

/* The value of a metadata key as text, or NULL: a text as it is, a number in decimals, an array as
 * JSON, and a long one cut.  Keys in file order: i in 0 .. n-1. */
const char *gguf_metadata(const struct gguf *f, const char *key);
int64_t gguf_metadata_count(const struct gguf *f);
void gguf_metadata_at(const struct gguf *f, int64_t i, const char **key, const char **value);

/* Write version 3 to a temporary file beside path, which then takes its name, as safetensors_save
 * does.  Tensors stand in the order given; metadata besides the texts given: the version of blocks,
 * the type that most tensors have, and the shapes of tensors that do not fit the format.  E_ARG for
 * names or texts that are empty, not UTF-8 or given twice, keys that are the writer's own, shapes
 * that overflow, and types that GGUF does not have; E_IO; E_MEMORY. */
enum status gguf_save(const char *path, const struct save_tensor *tensors, int64_t n,
                      const struct save_text *metadata, int64_t n_metadata, struct error *err);
/* Whether a key tells how a file is laid out: the writer gives it, and nobody else may. */
bool gguf_key_is_own(const char *key);

#endif
