/*
 * listing.h - what a folder holds, in an order that does not depend on the file system
 */
#ifndef IMGEN_DATA_LISTING_H
#define IMGEN_DATA_LISTING_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct listing {
    char **names; /* [n], heap, sorted by bytes */
    int64_t n, room;
};

/* The names in a folder, without those that begin with a dot.  E_IO naming the folder; E_MEMORY. */
enum status listing_read(struct listing *l, const char *folder, struct error *err);
void listing_release(struct listing *l); /* zeroes it; fine on a zeroed one */

/* "<folder>/<name>" on the heap, freed by the caller. */
enum status listing_path(char **out, const char *folder, const char *name, struct error *err);

/* *out, heap: how somebody in `folder` calls the file or folder `path`, both there: an absolute
 * path as it is, another from the folder, so that both may be moved together.  E_IO; E_MEMORY. */
enum status path_seen_from(char **out, const char *folder, const char *path, struct error *err);
/* The other way, *out heap: the file that is called `name` in the folder of `file`.  E_MEMORY. */
enum status path_from(char **out, const char *file, const char *name, struct error *err);

/* Whether a name ends so, capitals or not: (".png"). */
bool name_ends(const char *name, const char *ending);
/* What a path leads to, symbolic links followed; false when nothing is there. */
bool path_is_folder(const char *path);
bool path_is_file(const char *path);

#endif
