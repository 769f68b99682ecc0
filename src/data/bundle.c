/*
 * bundle.c - the files of a set, whether they lie in a folder or in one tar archive
 *
 * What a set's files mean (which text belongs to which picture) is the same in both, so both are
 * made one here: names in the order of their bytes, which no disk and no archiver decides, and
 * bytes by number.  A folder's files are opened when they are asked for; an archive is mapped, and
 * its pictures are decoded where they lie.
 *
 * Symbolic links are followed, because large sets are put together of them; a link that leads back
 * up would never end, and ends at DEPTH.
 */
#include "data/bundle.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/listing.h"
#include "io/tar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 32 };

static enum status add(struct bundle *b, const char *name, const uint8_t *bytes, uint64_t n,
                       struct error *err)
{
    struct bundle_file *f;
    enum status st;

    if ((st = mem_grow((void **)&b->files, &b->room, b->n + 1, sizeof *b->files, err)))
        return st;
    f = &b->files[b->n];
    if ((st = mem_text(&f->name, name, err)))
        return st;
    f->bytes = bytes;
    f->n = n;
    b->n++;
    return OK;
}

/* --- a folder -----------------------------------------------------------------------------------
 */

static enum status scan(struct bundle *b, const char *folder, int depth, struct error *err);

/* What stands at a path: a file, or a folder of them. */
static enum status scan_path(struct bundle *b, const char *path, int depth, struct error *err)
{
    if (path_is_folder(path))
        return scan(b, path, depth + 1, err);
    return path_is_file(path) ? add(b, path + strlen(b->path) + 1, NULL, 0, err) : OK;
}

static enum status scan(struct bundle *b, const char *folder, int depth, struct error *err)
{
    struct listing l;
    enum status st;

    if (depth > DEPTH)
        return fail(err, E_FORMAT, "%s: more than %d folders one in the other (a link upwards?)",
                    folder, DEPTH);
    if ((st = listing_read(&l, folder, err)))
        return st;
    for (int64_t i = 0; i < l.n && !st; i++) {
        char *path;

        if ((st = listing_path(&path, folder, l.names[i], err)))
            break;
        st = scan_path(b, path, depth, err);
        free(path);
    }
    listing_release(&l);
    return st;
}

/* --- an archive ---------------------------------------------------------------------------------
 */

static bool is_hidden(const char *name)
{
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (*part == '.')
            return true;
    }
    return false;
}

static enum status open_archive(struct bundle *b, struct error *err)
{
    enum status st;

    if ((st = tar_open(&b->tar, b->path, err)))
        return st;
    for (int64_t i = 0; i < tar_count(b->tar) && !st; i++) {
        const struct tar_file *f = tar_at(b->tar, i);

        if (!is_hidden(f->name))
            st = add(b, f->name, f->bytes, f->n, err);
    }
    return st;
}

/* --- both ---------------------------------------------------------------------------------------
 */

/* Equal names in the order of their places in the archive. */
static int by_name(const void *a, const void *b)
{
    const struct bundle_file *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Of equal names the last stays. */
static void drop_doubles(struct bundle *b)
{
    int64_t n = 0;

    for (int64_t i = 0; i < b->n; i++)
        if (i + 1 < b->n && !strcmp(b->files[i].name, b->files[i + 1].name))
            free(b->files[i].name);
        else
            b->files[n++] = b->files[i];
    b->n = n;
}

enum status bundle_open(struct bundle *b, const char *path, struct error *err)
{
    size_t n;
    enum status st;

    *b = (struct bundle){0};
    if ((st = mem_text(&b->path, path, err)))
        return st;
    for (n = strlen(b->path); n > 1 && b->path[n - 1] == '/'; n--)
        b->path[n - 1] = 0;
    if (path_is_file(b->path) && !name_ends(b->path, ".tar"))
        return fail(err, E_FORMAT, "%s: neither a folder nor a .tar archive", b->path);
    st = path_is_file(b->path) ? open_archive(b, err) : scan(b, b->path, 0, err);
    if (st || !b->n)
        return st;
    qsort(b->files, (size_t)b->n, sizeof *b->files, by_name);
    drop_doubles(b);
    return OK;
}

void bundle_release(struct bundle *b)
{
    for (int64_t i = 0; i < b->n; i++)
        free(b->files[i].name);
    free(b->files);
    free(b->path);
    tar_close(b->tar);
    *b = (struct bundle){0};
}

int64_t bundle_find(const struct bundle *b, const char *name)
{
    int64_t low = 0, high = b->n;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(name, b->files[middle].name);

        if (!order)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

enum status bundle_path(char **out, const struct bundle *b, int64_t i, struct error *err)
{
    return listing_path(out, b->path, b->files[i].name, err);
}

static enum status copy_text(char **out, const struct bundle_file *f, const char *path,
                             uint64_t limit, struct error *err)
{
    enum status st;

    if (f->n > limit)
        return fail(err, E_FORMAT, "%s holds %" PRIu64 " bytes, more than the %" PRIu64 " allowed",
                    path, f->n, limit);
    if ((st = mem_new((void **)out, f->n + 1, 1, path, err)))
        return st;
    memcpy(*out, f->bytes, f->n);
    return OK;
}

enum status bundle_text(char **out, uint64_t *n, const struct bundle *b, int64_t i, uint64_t limit,
                        struct error *err)
{
    const struct bundle_file *f = &b->files[i];
    char *path;
    enum status st;

    *out = NULL;
    *n = f->n;
    if ((st = bundle_path(&path, b, i, err)))
        return st;
    st = f->bytes ? copy_text(out, f, path, limit, err)
                  : file_read((uint8_t **)out, n, path, limit, err);
    free(path);
    return st;
}

enum status bundle_picture(struct image *out, const struct bundle *b, int64_t i, struct error *err)
{
    const struct bundle_file *f = &b->files[i];
    char *path;
    enum status st;

    if ((st = bundle_path(&path, b, i, err)))
        return st;
    st = f->bytes ? image_decode(out, f->bytes, f->n, path, err) : image_read(out, path, err);
    free(path);
    return st;
}

enum status bundle_clip(struct clip *out, const struct bundle *b, int64_t i, int64_t most,
                        struct error *err)
{
    const struct bundle_file *f = &b->files[i];
    char *path;
    enum status st;

    if ((st = bundle_path(&path, b, i, err)))
        return st;
    st = f->bytes ? clip_decode(out, f->bytes, f->n, most, path, err)
                  : clip_read(out, path, most, err);
    free(path);
    return st;
}
