/*
 * clip_files.h - clips among the files of a set: an animation each, or a folder of frames
 */
#ifndef IMGEN_DATA_CLIP_FILES_H
#define IMGEN_DATA_CLIP_FILES_H

#include "base/hash.h"
#include "data/bundle.h"
#include "io/clip.h"

#include <stdbool.h>
#include <stddef.h>

/* The number of the first picture directly in a folder of the set, of which the path within has
 * `length` letters, without a slash at the end; -1: none is there. */
int64_t clip_folder_find(const struct bundle *b, const char *folder, size_t length);

/* The first `frames` frames, positive, of a clip: of the animation or picture that is file i, or of
 * the folder that picture i is the first of, its pictures in the order of their names, with numbers
 * by their values: "9.png" before "10.png".  E_FORMAT when there are fewer, or when pictures of a
 * folder differ in size or channels, naming files and numbers; else as clip_read.  Released by the
 * caller.  Safe from several threads. */
enum status clip_files_read(struct clip *out, const struct bundle *b, int64_t i, bool folder,
                            int64_t frames, struct error *err);

/* The first `most` frames, 0: all, of the animation or picture that a path names, or of the
 * pictures directly in the folder that it names, in that order.  E_FORMAT, naming it, for a folder
 * without pictures and for what differs in one; else as clip_read.  Released by the caller. */
enum status clip_path_read(struct clip *out, const char *path, int64_t most, struct error *err);
/* SHA-256 of such a file; of a folder that of its pictures' hashes, as texts, in that order. */
enum status clip_path_hash(char out[HASH_TEXT], const char *path, struct error *err);

#endif
