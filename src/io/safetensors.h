/*
 * safetensors.h - the file format of published weights, and of our models
 *
 *     8 bytes   u64 little-endian: length of the header
 *     header    JSON: { "__metadata__": {string: string}, NAME: {"dtype", "shape", "data_offsets"}
 * } data      raw little-endian tensors, without gaps, in any order of the header
 *
 * The reader maps the file and is strict: whatever the rules forbid is refused before a byte of it
 * is used.  Nothing is copied; a tensor's bytes are valid until safetensors_close.
 */
#ifndef IMGEN_IO_SAFETENSORS_H
#define IMGEN_IO_SAFETENSORS_H

#include "io/file_tensor.h"
#include "io/save_tensor.h"

struct safetensors;

/* E_IO, E_FORMAT (naming rule, tensor and numbers), E_MEMORY; E_UNSUPPORTED for element types newer
 * than those above and for more than FILE_RANK dimensions. */
enum status safetensors_open(struct safetensors **out, const char *path, struct error *err);
/* The same for bytes in memory, which must outlive the result (fuzzing, embedding). */
enum status safetensors_open_bytes(struct safetensors **out, const uint8_t *bytes, uint64_t n,
                                   const char *name, struct error *err);
void safetensors_close(struct safetensors *f);

/* In the order of their data. */
int64_t safetensors_count(const struct safetensors *f);
const struct file_tensor *safetensors_at(const struct safetensors *f, int64_t i);
/* NULL when there is none of that name. */
const struct file_tensor *safetensors_find(const struct safetensors *f, const char *name);

/* The value of a metadata key, or NULL.  Keys in file order: i in 0 .. n-1. */
const char *safetensors_metadata(const struct safetensors *f, const char *key);
int64_t safetensors_metadata_count(const struct safetensors *f);
void safetensors_metadata_at(const struct safetensors *f, int64_t i, const char **key,
                             const char **value);

/* Write to a temporary file beside path, sync it, rename it over path, sync the folder: at any
 * moment path holds either the old file or the whole new one.  On failure the temporary file is
 * removed.  The data begin at a multiple of 64; tensors whose bytes are a multiple of 64 come
 * first, then the others in order of element size, largest first, otherwise as given, so that each
 * is aligned to its elements and nearly all to 64; equal tensors and texts give equal bytes.  E_ARG
 * for names or texts that are not UTF-8, names given twice, shapes that overflow; E_IO; E_MEMORY.
 */
enum status safetensors_save(const char *path, const struct save_tensor *tensors, int64_t n,
                             const struct save_text *metadata, int64_t n_metadata,
                             struct error *err);

#endif
