/*
 * listing.c - what a folder holds, in an order that does not depend on the file system
 *
 * readdir's order differs from disk to disk and alphasort's from locale to locale; a training run
 * is repeatable only if picture 17 is the same everywhere.  So names are sorted by their bytes.
 */
#include "data/listing.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum status listing_fill(struct listing *l, DIR *dir, const char *folder, struct error *err)
{
    struct dirent *entry;
    enum status st;

    for (errno = 0; (entry = readdir(dir)); errno = 0) {
        if (entry->d_name[0] == '.')
            continue;
        if ((st = mem_grow((void **)&l->names, &l->room, l->n + 1, sizeof *l->names, err)) ||
            (st = mem_text(&l->names[l->n], entry->d_name, err)))
            return st;
        l->n++;
    }
    return errno ? fail_errno(err, E_IO, "%s: cannot list the folder", folder) : OK;
}

enum status listing_read(struct listing *l, const char *folder, struct error *err)
{
    DIR *dir = opendir(folder);
    enum status st;

    *l = (struct listing){0};
    if (!dir)
        return fail_errno(err, E_IO, "%s: cannot open the folder", folder);
    st = listing_fill(l, dir, folder, err);
    closedir(dir);
    if (st)
        listing_release(l);
    else if (l->n)
        qsort(l->names, (size_t)l->n, sizeof *l->names, by_bytes);
    return st;
}

void listing_release(struct listing *l)
{
    for (int64_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    *l = (struct listing){0};
}

enum status listing_path(char **out, const char *folder, const char *name, struct error *err)
{
    size_t room = strlen(folder) + strlen(name) + 2;
    enum status st = mem_new((void **)out, room, 1, "a path", err);

    if (!st)
        snprintf(*out, room, "%s/%s", folder, name);
    return st;
}

bool name_ends(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);

    return n >= m && !strcasecmp(name + n - m, ending);
}

bool path_is_folder(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool path_is_file(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode);
}
