/*
 * clip_files.c - clips among the files of a set: an animation each, or a folder of frames
 *
 * Most programs write frames as numbered pictures, many without leading zeros, so the order of
 * bytes would show frame 10 before frame 2.  Names are compared letter by letter, but runs of
 * digits by what they count.  Only as many frames are decoded as are asked for.
 */
#include "data/clip_files.h"

#include "base/memory.h"
#include "base/whole.h"
#include "data/listing.h"
#include "data/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Two runs of digits: without their zeros in front the longer is more.  Both pointers move behind
 * them. */
static int by_value(const char **a, const char **b)
{
    size_t n = 0, m = 0;
    int order;

    while (**a == '0')
        ++*a;
    while (**b == '0')
        ++*b;
    while (is_digit((*a)[n]))
        n++;
    while (is_digit((*b)[m]))
        m++;
    order = n != m ? (n > m) - (n < m) : strncmp(*a, *b, n);
    *a += n;
    *b += m;
    return order;
}

static int by_number(const void *x, const void *y)
{
    const char *first = (*(const struct bundle_file *const *)x)->name;
    const char *second = (*(const struct bundle_file *const *)y)->name, *a = first, *b = second;

    while (*a && *b) {
        int order;

        if (is_digit(*a) && is_digit(*b)) {
            if ((order = by_value(&a, &b)))
                return order;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++, b++;
        }
    }
    return *a || *b ? (*a ? 1 : -1) : strcmp(first, second);
}

/* Whether a name lies in the folder of `length` letters, and directly. */
static bool is_below(const char *name, const char *folder, size_t length)
{
    return !strncmp(name, folder, length) && name[length] == '/';
}

static bool is_frame(const char *name, const char *folder, size_t length)
{
    return is_below(name, folder, length) && !strchr(name + length + 1, '/') && picture_named(name);
}

/* How the names of a folder stand to a name, in the order of bytes. */
static int compare_folder(const char *folder, size_t length, const char *name)
{
    int order = strncmp(folder, name, length);

    return order ? order : '/' - (unsigned char)name[length];
}

int64_t clip_folder_find(const struct bundle *b, const char *folder, size_t length)
{
    int64_t low = 0, high = b->n;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (compare_folder(folder, length, b->files[middle].name) <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    for (; low < b->n && is_below(b->files[low].name, folder, length); low++)
        if (is_frame(b->files[low].name, folder, length))
            return low;
    return -1;
}

/* Append the picture; the first says what all have to be. */
static enum status add_frame(struct clip *out, const struct bundle *b, const struct bundle_file *f,
                             struct error *err)
{
    struct image im = {0};
    enum status st;

    if ((st = bundle_picture(&im, b, f - b->files, err)))
        return st;
    if (!out->frames)
        st = clip_begin(out, im.height, im.width, im.channels, err);
    else if (im.height != out->height || im.width != out->width || im.channels != out->channels)
        st = fail(err, E_FORMAT,
                  "%s/%s: %" PRId64 " x %" PRId64 " pixels of %" PRId64
                  " channels, and the frames before it have %" PRId64 " x %" PRId64 " of %" PRId64,
                  b->path, f->name, im.width, im.height, im.channels, out->width, out->height,
                  out->channels);
    if (!st)
        st = clip_add(out, im.pixels, err);
    image_release(&im);
    return st;
}

static enum status read_folder(struct clip *out, const struct bundle *b, int64_t i, int64_t frames,
                               struct error *err)
{
    const char *folder = b->files[i].name;
    size_t length = (size_t)(strrchr(folder, '/') - folder);
    const struct bundle_file **order = NULL;
    int64_t n = 0, room = 0;
    enum status st = OK;

    for (; i < b->n && is_below(b->files[i].name, folder, length) && !st; i++)
        if (is_frame(b->files[i].name, folder, length) &&
            !(st = mem_grow((void **)&order, &room, n + 1, sizeof *order, err)))
            order[n++] = &b->files[i];
    if (!st)
        qsort((void *)order, (size_t)n, sizeof *order, by_number);
    for (int64_t t = 0; t < whole_min(n, frames) && !st; t++)
        st = add_frame(out, b, order[t], err);
    free((void *)order);
    return st;
}

enum status clip_files_read(struct clip *out, const struct bundle *b, int64_t i, bool folder,
                            int64_t frames, struct error *err)
{
    const char *name = b->files[i].name;
    enum status st;

    *out = (struct clip){0};
    st = folder ? read_folder(out, b, i, frames, err) : bundle_clip(out, b, i, frames, err);
    if (!st && out->frames < frames) {
        const char *end = folder ? strrchr(name, '/') : name + strlen(name);

        st = fail(err, E_FORMAT,
                  "%s/%.*s: %" PRId64 " frame%s, and clips of %" PRId64 " are asked for", b->path,
                  (int)(end - name), name, out->frames, out->frames == 1 ? "" : "s", frames);
    }
    if (st)
        clip_release(out);
    return st;
}

/* --- one clip by its path ----------------------------------------------------------------------
 */

/* The frames of a folder, in order; *b is released by the caller, also after a failure. */
static enum status list_frames(const struct bundle_file ***out, int64_t *n, struct bundle *b,
                               const char *path, struct error *err)
{
    int64_t room = 0;
    enum status st = bundle_open(b, path, err);

    *n = 0;
    for (int64_t i = 0; i < b->n && !st; i++) {
        const struct bundle_file *f = &b->files[i];

        if (!strchr(f->name, '/') && picture_named(f->name) &&
            !(st = mem_grow((void **)out, &room, *n + 1, sizeof **out, err)))
            (*out)[(*n)++] = f;
    }
    if (!st && !*n)
        st = fail(err, E_FORMAT, "%s: no .png, .jpg or .webp frames in this folder", path);
    if (!st)
        qsort((void *)*out, (size_t)*n, sizeof **out, by_number);
    return st;
}

enum status clip_path_read(struct clip *out, const char *path, int64_t most, struct error *err)
{
    const struct bundle_file **frame = NULL;
    struct bundle b = {0};
    int64_t n;
    enum status st;

    *out = (struct clip){0};
    if (!path_is_folder(path))
        return clip_read(out, path, most, err);
    st = list_frames(&frame, &n, &b, path, err);
    for (int64_t t = 0; !st && t < (most > 0 ? whole_min(n, most) : n); t++)
        st = add_frame(out, &b, frame[t], err);
    if (st)
        clip_release(out);
    free((void *)frame);
    bundle_release(&b);
    return st;
}

enum status clip_path_hash(char out[HASH_TEXT], const char *path, struct error *err)
{
    const struct bundle_file **frame = NULL;
    struct bundle b = {0};
    char one[HASH_TEXT], *name;
    struct hash h;
    int64_t n;
    enum status st;

    if (!path_is_folder(path))
        return hash_file(out, path, err);
    st = list_frames(&frame, &n, &b, path, err);
    hash_begin(&h);
    for (int64_t t = 0; !st && t < n; t++)
        if (!(st = listing_path(&name, path, frame[t]->name, err))) {
            if (!(st = hash_file(one, name, err)))
                hash_add(&h, one, strlen(one));
            free(name);
        }
    hash_end(&h, out);
    free((void *)frame);
    bundle_release(&b);
    return st;
}
