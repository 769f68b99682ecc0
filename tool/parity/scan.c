/*
 * scan.c - finding the fixtures in a folder
 *
 * A fixture may be one file or three that share a name, so the folder is read whole, sorted, and
 * files are put together by name before any is opened.  Which endings are parts
 * ("a.data.safetensors") and which belong to the name ("a.v2.safetensors") is asked of the
 * checkers, so that no second list of them exists.  Links to folders are not followed: a folder
 * that contains itself would never end.
 */
#include "parity.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SCAN_DEPTH = 32 };

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

/* "<folder>/<name>", or the name alone when the folder is "". */
static enum status join(char **out, const char *folder, const char *name, struct error *err)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    enum status st = mem_new((void **)out, bytes, 1, "a path", err);

    if (!st)
        snprintf(*out, bytes, "%s%s%s", folder, folder[0] ? "/" : "", name);
    return st;
}

static enum status fixture_add(struct parity_fixtures *fixtures, struct parity_fixture **out,
                               const char *name, struct error *err)
{
    enum status st = mem_grow((void **)&fixtures->list, &fixtures->room, fixtures->n + 1,
                              sizeof(*fixtures->list), err);

    if (st)
        return st;
    *out = &fixtures->list[fixtures->n];
    memset(*out, 0, sizeof(**out));
    if ((st = mem_text(&(*out)->name, name, err)))
        return st;
    fixtures->n++;
    return OK;
}

/* The fixture of this name, among those from `first` on, that still lacks this part; NULL: none. */
static struct parity_fixture *fixture_waiting(struct parity_fixtures *fixtures, int64_t first,
                                              const char *name, const char *suffix)
{
    for (int64_t i = fixtures->n; i-- > first;) {
        struct parity_fixture *f = &fixtures->list[i];

        if (strcmp(f->name, name) == 0 && f->n_parts > 0 && f->parts[0].suffix[0] &&
            f->n_parts < PARITY_PARTS && !fixture_part(f, suffix))
            return f;
    }
    return NULL;
}

/* File `leaf` of a folder: `shown` is how the folder is called in reports; fixtures from `first` on
 * belong to this folder. */
static enum status file_add(struct parity_fixtures *fixtures, int64_t first, const char *path,
                            const char *shown, const char *leaf, struct error *err)
{
    bool tensors = ends_with(leaf, ".safetensors");
    struct parity_fixture *f = NULL;
    struct parity_part *part;
    const char *suffix = "";
    char *name = NULL, *dot;
    enum status st;

    if ((st = join(&name, shown, leaf, err)))
        return st;
    name[strlen(name) - strlen(tensors ? ".safetensors" : ".json")] = '\0';
    dot = strrchr(name, '.');
    if (tensors && dot && checker_has_part(dot + 1)) {
        *dot = '\0';
        suffix = dot + 1;
        f = fixture_waiting(fixtures, first, name, suffix);
    }
    if (!f && (st = fixture_add(fixtures, &f, name, err)))
        goto out;
    part = &f->parts[f->n_parts];
    if ((st = mem_text(&part->suffix, suffix, err)) || (st = mem_text(&part->path, path, err))) {
        free(part->suffix);
        part->suffix = NULL;
        goto out;
    }
    f->n_parts++;
out:
    free(name);
    return st;
}

static enum status broken_add(struct parity_fixtures *fixtures, const char *shown, const char *why,
                              struct error *err)
{
    struct parity_fixture *f;
    enum status st = fixture_add(fixtures, &f, shown, err);

    return st ? st : mem_text(&f->broken, why, err);
}

static enum status folder_add(struct parity_fixtures *fixtures, const char *folder,
                              const char *shown, int depth, struct error *err);

/* One entry of a folder: a folder, a file we read, or something to pass over. */
static enum status leaf_add(struct parity_fixtures *fixtures, int64_t first, const char *folder,
                            const char *shown, const char *leaf, int depth, struct error *err)
{
    char *path = NULL, *name = NULL;
    enum status st;
    struct stat s;

    if ((st = join(&path, folder, leaf, err)) || (st = join(&name, shown, leaf, err)))
        goto out;
    if (lstat(path, &s))
        goto out; /* gone since the folder was read */
    if (S_ISDIR(s.st_mode))
        st = folder_add(fixtures, path, name, depth + 1, err);
    else if ((S_ISREG(s.st_mode) || S_ISLNK(s.st_mode)) &&
             (ends_with(leaf, ".safetensors") || ends_with(leaf, ".json")))
        st = file_add(fixtures, first, path, shown, leaf, err);
out:
    free(path);
    free(name);
    return st;
}

static bool has_leaf(struct dirent *const *leaves, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(leaves[i]->d_name, name) == 0)
            return true;
    return false;
}

/* The folder as one fixture: what goes into a model and comes out beside its weights. */
static enum status whole_add(struct parity_fixtures *fixtures, const char *folder,
                             const char *shown, const char *model, struct error *err)
{
    const struct {
        const char *suffix, *leaf;
    } parts[] = {{"io", "io.safetensors"}, {"model", model}};
    struct parity_fixture *f;
    enum status st;

    if ((st = fixture_add(fixtures, &f, shown, err)) || (st = mem_text(&f->folder, folder, err)))
        return st;
    for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
        struct parity_part *part = &f->parts[f->n_parts++];

        if ((st = mem_text(&part->suffix, parts[k].suffix, err)) ||
            (st = join(&part->path, folder, parts[k].leaf, err)))
            return st;
    }
    return OK;
}

/* The folder as one fixture of a kind that wants it whole. */
static enum status owned_add(struct parity_fixtures *fixtures, const struct parity_checker *owner,
                             const char *folder, const char *shown, struct error *err)
{
    struct parity_fixture *f;
    enum status st;

    if ((st = fixture_add(fixtures, &f, shown, err)) || (st = mem_text(&f->folder, folder, err)))
        return st;
    return mem_text(&f->kind, owner->kind, err);
}

static enum status folder_add(struct parity_fixtures *fixtures, const char *folder,
                              const char *shown, int depth, struct error *err)
{
    static const char *const models[] = {"model.safetensors", "model.safetensors.index.json"};
    const struct parity_checker *owner = checker_owning(folder);
    int64_t first = fixtures->n;
    struct dirent **leaves = NULL;
    enum status st = OK;
    bool whole = false;
    int n;

    if (depth > SCAN_DEPTH)
        return broken_add(fixtures, shown, "too many folders inside each other", err);
    if (owner)
        return owned_add(fixtures, owner, folder, shown, err);
    n = scandir(folder, &leaves, NULL, alphasort);
    if (n < 0)
        return depth == 0 ? fail_errno(err, E_IO, "cannot read the folder %s", folder)
                          : broken_add(fixtures, shown, strerror(errno), err);
    for (int k = 0; k < 2 && !whole && has_leaf(leaves, n, "io.safetensors"); k++)
        if ((whole = has_leaf(leaves, n, models[k])))
            st = whole_add(fixtures, folder, shown, models[k], err);
    for (int i = 0; i < n; i++) {
        if (!st && !whole && leaves[i]->d_name[0] != '.')
            st = leaf_add(fixtures, first, folder, shown, leaves[i]->d_name, depth, err);
        free(leaves[i]);
    }
    free(leaves);
    return st;
}

/* What a path is called in reports: its last component, "" for "." and the like. */
static enum status shown_name(char **out, const char *path, struct error *err)
{
    enum status st = mem_text(out, path, err);
    char *slash;
    size_t n;

    if (st)
        return st;
    for (n = strlen(*out); n > 0 && (*out)[n - 1] == '/'; n--)
        (*out)[n - 1] = '\0';
    slash = strrchr(*out, '/');
    if (slash)
        memmove(*out, slash + 1, strlen(slash + 1) + 1);
    if (strcmp(*out, ".") == 0 || strcmp(*out, "..") == 0)
        (*out)[0] = '\0';
    return OK;
}

enum status fixture_scan(struct parity_fixtures *fixtures, const char *path, struct error *err)
{
    char *shown = NULL;
    enum status st;
    struct stat s;

    if (stat(path, &s))
        return fail_errno(err, E_IO, "cannot open %s", path);
    if ((st = shown_name(&shown, path, err)))
        return st;
    if (S_ISDIR(s.st_mode))
        st = folder_add(fixtures, path, shown, 0, err);
    else if (ends_with(shown, ".safetensors") || ends_with(shown, ".json"))
        st = file_add(fixtures, fixtures->n, path, "", shown, err);
    else
        st = fail(err, E_ARG, "%s is neither a folder nor a .safetensors or .json file", path);
    free(shown);
    return st;
}

void fixtures_release(struct parity_fixtures *fixtures)
{
    for (int64_t i = 0; i < fixtures->n; i++) {
        struct parity_fixture *f = &fixtures->list[i];

        fixture_close(f);
        for (int k = 0; k < f->n_parts; k++) {
            free(f->parts[k].suffix);
            free(f->parts[k].path);
        }
        free(f->name);
        free(f->folder);
        free(f->kind);
        free(f->broken);
    }
    free(fixtures->list);
    memset(fixtures, 0, sizeof(*fixtures));
}
