/*
 * latents_file.h - where the files of a cache of latents lie, and what they may hold
 *
 *     FOLDER/latents-000000000000.safetensors      a part: pictures 0 ..  (latents_part.h)
 *            latents-000000001024.safetensors      the next: pictures 1024 ..
 *            latents.json                          the index, written last  (latents_index.h)
 */
#ifndef IMGEN_DATA_LATENTS_FILE_H
#define IMGEN_DATA_LATENTS_FILE_H

#include "base/error.h"

#include <stdint.h>

enum {
    LATENTS_SIDE = 16384,
    LATENTS_CHANNELS = 4096,
    LATENTS_CLASSES = 1000000,
};
/* Pictures of a cache at most: what counts them stays far from where a sum would overflow. */
#define LATENTS_PICTURES (INT64_C(1) << 50)

/* "<folder>/latents-<first>.safetensors", and the index's; heap, freed by the caller. */
enum status latents_part_path(char **out, const char *folder, int64_t first, struct error *err);
/* The first picture of a part by the name of its file, or -1: no part's name. */
int64_t latents_part_named(const char *name);
enum status latents_index_path(char **out, const char *folder, struct error *err);

#endif
