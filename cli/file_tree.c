/*
 * file_tree.c - the files that words of a command line name: files, and folders with all below them
 *
 * What is made of a file stands where the file stood: below the folder of results as it was below
 * the folder that was named, under its name with another ending.  So two files that differ in their
 * endings alone cannot both be taken.
 */
#include "file_tree.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DEPTH_MOST = 64 };

static char *join(const char *folder, const char *name, const char *ending)
{
    size_t n = strlen(folder) + strlen(name) + strlen(ending) + 2;
    char *out = malloc(n);

    if (out)
        snprintf(out, n, "%s%s%s%s", folder, *folder ? "/" : "", name, ending);
    return out;
}

/* Where the ending begins: at the last dot, if a letter stands before it. */
static size_t before_ending(const char *name)
{
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    const char *dot = strrchr(last, '.');

    return dot && dot > last ? (size_t)(dot - name) : strlen(name);
}

/* name: its first `letters`. */
static int add_entry(struct file_tree *t, const struct command *c, const char *path,
                     const char *name, size_t letters)
{
    struct tree_file *f;

    if (t->n == t->room) {
        int64_t room = t->room ? 2 * t->room : 64;
        struct tree_file *at = realloc(t->at, (size_t)room * sizeof *at);

        if (!at)
            return command_broken(c, "no memory for the names of %" PRId64 " files", room);
        t->at = at;
        t->room = room;
    }
    f = &t->at[t->n];
    f->path = strdup(path);
    f->name = strndup(name, letters);
    if (f->path && f->name) {
        t->n++;
        return EXIT_DONE;
    }
    free(f->path);
    free(f->name);
    return command_broken(c, "no memory for the name of %s", path);
}

static int add_file(struct file_tree *t, const struct command *c, const char *path,
                    const char *name)
{
    return add_entry(t, c, path, name, before_ending(name));
}

/* A folder that counts as one; within: its name in the one that was named, "" that one itself. */
static int add_whole(struct file_tree *t, const struct command *c, const char *path,
                     const char *within)
{
    const char *name = *within ? within : path;
    size_t n = strlen(name), from = 0;

    if (!*within) { /* the last part of its path */
        while (n > 1 && name[n - 1] == '/')
            n--;
        for (from = n; from > 0 && name[from - 1] != '/'; from--)
            ;
    }
    return add_entry(t, c, path, name + from, n - from);
}

static bool ends(const char *name, const char *const *endings)
{
    size_t n = strlen(name);

    for (; *endings; endings++) {
        size_t m = strlen(*endings);

        if (n > m && !strcasecmp(name + n - m, *endings))
            return true;
    }
    return false;
}

/* name: of the folder within the one that was named; "" at the top. */
static int add_folder(struct file_tree *t, const struct command *c, const char *path,
                      const char *name, const char *const *endings, int depth)
{
    DIR *d = opendir(path);
    const struct dirent *entry;
    bool taken = false;
    int code = EXIT_DONE;

    if (!d)
        return command_broken(c, "cannot read the folder %s: %s", path, strerror(errno));
    while (!code && depth < DEPTH_MOST && (entry = readdir(d))) {
        char *below, *own;
        struct stat s;

        if (entry->d_name[0] == '.')
            continue;
        below = join(path, entry->d_name, "");
        own = join(name, entry->d_name, "");
        if (!below || !own)
            code = command_broken(c, "no memory for a path");
        else if (!lstat(below, &s) && S_ISDIR(s.st_mode))
            code = add_folder(t, c, below, own, endings, depth + 1);
        else if (ends(own, endings) && !t->folders)
            code = add_file(t, c, below, own);
        else if (ends(own, endings) && !taken && (taken = true))
            code = add_whole(t, c, path, name);
        free(below);
        free(own);
    }
    closedir(d);
    return code;
}

int file_tree_add(struct file_tree *t, const struct command *c, const char *word,
                  const char *const *endings)
{
    const char *slash = strrchr(word, '/');
    int64_t before = t->n;
    struct stat s;
    int code;

    if (stat(word, &s))
        return command_broken(c, "%s: %s", word, strerror(errno));
    if (!S_ISDIR(s.st_mode))
        return add_file(t, c, word, slash ? slash + 1 : word);
    if ((code = add_folder(t, c, word, "", endings, 0)))
        return code;
    if (t->n > before)
        return EXIT_DONE;
    return command_broken(c, "%s: nothing in this folder or below ends in %s%s", word, endings[0],
                          endings[1] ? " or the like" : "");
}

static int by_name(const void *a, const void *b)
{
    const struct tree_file *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->path, y->path);
}

static bool names_a_file(const char *output, const char *ending)
{
    const char *const one[] = {ending, NULL};

    return *ending && ends(output, one);
}

int file_tree_check(struct file_tree *t, const struct command *c, const char *output,
                    const char *ending)
{
    if (t->n != 1 && names_a_file(output, ending))
        return command_misused(c, "-o %s: one file, to be made of %" PRId64, output, t->n);
    if (t->n)
        qsort(t->at, (size_t)t->n, sizeof *t->at, by_name);
    for (int64_t i = 1; i < t->n; i++)
        if (!strcmp(t->at[i - 1].name, t->at[i].name))
            return command_misused(c, "%s and %s would both become %s", t->at[i - 1].path,
                                   t->at[i].path, t->at[i].name);
    return EXIT_DONE;
}

void file_tree_release(struct file_tree *t)
{
    for (int64_t i = 0; i < t->n; i++) {
        free(t->at[i].path);
        free(t->at[i].name);
    }
    free(t->at);
    *t = (struct file_tree){0};
}

char *file_tree_output(const struct command *c, const char *output, const char *name,
                       const char *ending)
{
    char *path = names_a_file(output, ending) ? join("", output, "") : join(output, name, ending);

    for (char *at = path ? strchr(path + 1, '/') : NULL; at; at = strchr(at + 1, '/')) {
        *at = 0;
        if (mkdir(path, 0777) && errno != EEXIST) {
            command_broken(c, "cannot make the folder %s: %s", path, strerror(errno));
            free(path);
            return NULL;
        }
        *at = '/';
    }
    if (!path)
        command_broken(c, "no memory for a path");
    return path;
}
