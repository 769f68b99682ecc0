/*
 * listing.c - what a folder holds, in an order that does not depend on the file system
 *
 * readdir's order differs from disk to disk and alphasort's from locale to locale; a training run
 * is repeatable only if picture 17 is the same everywhere.  So names are sorted by their bytes.
 */
#include "data/listing.h"

#include "base/memory.h"
#include "base/text.h"

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

/* --- names of files -----------------------------------------------------------------------------
 */

/* Letters of the folders that both begin with, "/a/b" and "/a/c" being 2; both from realpath. */
static size_t common_folders(const char *a, const char *b)
{
    size_t n = 0;

    for (size_t i = 0;; i++) {
        bool ends = (!a[i] || a[i] == '/') && (!b[i] || b[i] == '/');

        if (ends)
            n = i;
        if (!a[i] || !b[i] || a[i] != b[i])
            return n;
    }
}

/* How somebody in `from` calls `last` in `to`: "../autoencoder/model.safetensors". */
static char *name_from(const char *from, const char *to, const char *last)
{
    size_t n = common_folders(from, to);
    struct text t;

    text_init(&t, NULL, 0);
    for (const char *at = from + n; *at; at++)
        if (*at == '/' && at[1])
            text_add(&t, "../");
    to += n + (to[n] == '/');
    text_add(&t, "%s%s%s", to, *to ? "/" : "", last);
    return text_take(&t);
}

static enum status relative_name(char **out, const char *folder, const char *path,
                                 struct error *err)
{
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    char *from = realpath(folder, NULL), *there = NULL, *to = NULL;
    enum status st = OK;

    *out = NULL;
    if (slash && !(there = strndup(path, (size_t)(slash - path))))
        st = fail(err, E_MEMORY, "no memory for a name");
    else if (!from || !(to = realpath(there ? there : ".", NULL)))
        st = fail_errno(err, E_IO, "%s: cannot be named as %s sees it", path, folder);
    else if (!(*out = name_from(from, to, last)))
        st = fail(err, E_MEMORY, "no memory for a name");
    free(from);
    free(there);
    free(to);
    return st;
}

enum status path_seen_from(char **out, const char *folder, const char *path, struct error *err)
{
    char *plain;
    size_t n;
    enum status st;

    *out = NULL;
    if ((st = mem_text(&plain, path, err)))
        return st;
    for (n = strlen(plain); n > 1 && plain[n - 1] == '/';)
        plain[--n] = 0;
    st = *plain == '/' ? mem_text(out, plain, err) : relative_name(out, folder, plain, err);
    free(plain);
    return st;
}

enum status path_from(char **out, const char *file, const char *name, struct error *err)
{
    const char *slash = strrchr(file, '/');
    char *folder;
    enum status st;

    *out = NULL;
    if (*name == '/' || !slash)
        return mem_text(out, name, err);
    if ((st = mem_text(&folder, file, err)))
        return st;
    folder[slash == file ? 1 : slash - file] = 0;
    st = listing_path(out, folder, name, err);
    free(folder);
    return st;
}
