/*
 * file.h - files: mapped, read whole, and replaced without ever being half written
 */
#ifndef IMGEN_BASE_FILE_H
#define IMGEN_BASE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file as memory, read-only.  bytes is never NULL once mapped, not even for an empty file. */
struct file_map {
    const uint8_t *bytes;
    uint64_t n;
    bool mapped; /* bytes belong to the kernel's mapping (an empty file has none) */
};

/* Map a regular file.  E_IO naming path; *out is zeroed on failure.  The mapping outlives a rename
 * over the path (file_writer), but a file cut short by another process while it is mapped ends this
 * one with SIGBUS: read small files that others may edit with file_read instead. */
enum status file_map(struct file_map *out, const char *path, struct error *err);
void file_map_release(struct file_map *m); /* zeroes it; fine on a zeroed one */
/* These bytes will hardly be read again: their memory may go.  They come back when they are read.
 */
void file_map_drop(const struct file_map *m, const void *bytes, uint64_t n);

/* The whole of a file, pipe or device: *out is heap (freed by the caller), n bytes followed by one
 * zero byte, so that text can be used as a string.  E_IO; E_FORMAT when it holds more than `limit`
 * bytes; E_MEMORY. */
enum status file_read(uint8_t **out, uint64_t *n, const char *path, uint64_t limit,
                      struct error *err);

/* What stands between a file's name and the rest of its temporary's name. */
#define FILE_TEMPORARY_MARK ".tmp-"

/* A file being replaced: pieces go to "<path>.tmp-<process>-<number>" beside it, and commit puts it
 * in place.  At any moment, even at a power cut, path holds the old file or the whole new one.
 *
 *     struct file_writer w = {0};
 *     if ((st = file_writer_open(&w, path, err)) || (st = file_writer_put(&w, bytes, n, err)) ||
 * ...) goto out; st = file_writer_commit(&w, err); out: file_writer_close(&w);
 */
struct file_writer {
    char *path, *temporary; /* heap; path with symbolic links followed */
    int fd, folder;         /* the temporary and where it stands, or -1 */
    uint64_t n;             /* bytes written so far                     */
};

/* Everything that can fail for want of memory or rights fails here, not after hours of training:
 * E_IO when the folder refuses a new file or path exists and is no regular file; E_MEMORY. */
enum status file_writer_open(struct file_writer *w, const char *path, struct error *err);
/* Append n bytes.  E_IO naming path, bytes and offset (a full disk is one).  After a failure only
 * close is of use. */
enum status file_writer_put(struct file_writer *w, const void *bytes, uint64_t n,
                            struct error *err);
/* Sync the file, rename it over path, sync the folder.  E_IO; a failure to sync the folder, alone,
 * leaves the new file in place. */
enum status file_writer_commit(struct file_writer *w, struct error *err);
/* Remove the temporary unless committed, and free; fine on a zeroed one, keeps errno. */
void file_writer_close(struct file_writer *w);

/* The three calls for bytes already in memory. */
enum status file_write(const char *path, const void *bytes, uint64_t n, struct error *err);

#endif
