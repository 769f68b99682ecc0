/*
 * folder.c - folders of PNG, JPEG and WebP pictures
 *
 * The set most people have: a folder of pictures, or one subfolder a class.
 *
 *      flowers/rose/0001.jpg       class 0, "rose"
 *      flowers/tulip/a.png         class 1, "tulip"
 *      flowers/unknown.webp        no class (label -1)
 *
 * Opening reads names only, sorted by bytes, so that picture 17 is the same on every disk; a
 * picture is decoded when it is asked for.  It is laid over the background where it is transparent,
 * its shorter side is scaled to the asked size and the centre is cut out.  When the whole set at
 * that size fits in 512 MiB, each result is kept as bytes: the second epoch then costs a copy
 * instead of a JPEG.  The place of a kept picture is an atomic pointer that goes once from NULL to
 * its bytes, so readers need no lock; two threads that decode the same picture at once both get it,
 * and one of the results is dropped.  A picture that cannot be read is an error that names the
 * file, never a silent gap.
 */
#include "base/memory.h"
#include "data/listing.h"
#include "data/picture.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const int64_t most_kept = INT64_C(512) << 20;

struct entry {
    char *path;
    int32_t label;
};

struct folder {
    struct entry *entries;
    int64_t n, room;
    size_t root;    /* letters of the folder's own path, the slash included */
    char **classes; /* in order of label */
    int64_t n_classes, classes_room;
    uint8_t background[3];
    _Atomic(uint8_t *) *kept; /* [n], or NULL when the set is too large to keep */
};

static bool is_picture(const char *name)
{
    return name_ends(name, ".png") || name_ends(name, ".jpg") || name_ends(name, ".jpeg") ||
           name_ends(name, ".webp");
}

static enum status entry_add(struct folder *f, const char *folder, const char *name, int32_t label,
                             struct error *err)
{
    enum status st;

    if ((st = mem_grow((void **)&f->entries, &f->room, f->n + 1, sizeof *f->entries, err)) ||
        (st = listing_path(&f->entries[f->n].path, folder, name, err)))
        return st;
    f->entries[f->n++].label = label;
    return OK;
}

/* The pictures directly in one subfolder; a subfolder without any is not a class. */
static enum status class_scan(struct folder *f, const char *path, const char *name,
                              struct error *err)
{
    struct listing l;
    int64_t before = f->n;
    enum status st;

    if ((st = listing_read(&l, path, err)))
        return st;
    for (int64_t i = 0; i < l.n && !st; i++)
        if (is_picture(l.names[i]))
            st = entry_add(f, path, l.names[i], (int32_t)f->n_classes, err);
    listing_release(&l);
    if (st || f->n == before)
        return st;
    if (f->n_classes == INT32_MAX)
        return fail(err, E_UNSUPPORTED, "%s: more than %d classes", path, INT32_MAX);
    if ((st = mem_grow((void **)&f->classes, &f->classes_room, f->n_classes + 1, sizeof *f->classes,
                       err)) ||
        (st = mem_text(&f->classes[f->n_classes], name, err)))
        return st;
    f->n_classes++;
    return OK;
}

static enum status folder_scan(struct folder *f, const char *root, struct error *err)
{
    struct listing l;
    enum status st;

    if ((st = listing_read(&l, root, err)))
        return st;
    for (int64_t i = 0; i < l.n && !st; i++) {
        char *path = NULL;

        if ((st = listing_path(&path, root, l.names[i], err)))
            break;
        if (path_is_folder(path))
            st = class_scan(f, path, l.names[i], err);
        else if (is_picture(l.names[i]))
            st = entry_add(f, root, l.names[i], -1, err);
        free(path);
    }
    listing_release(&l);
    if (!st && !f->n)
        st = fail(err, E_IO, "%s: no .png, .jpg or .webp pictures in this folder or one below it",
                  root);
    return st;
}

static enum status folder_open(struct dataset *d, const struct dataset_config *c, struct error *err)
{
    struct folder *f;
    int64_t bytes;
    enum status st;

    if (!c->path || !*c->path)
        return fail(err, E_ARG, "folder: no path is given");
    if (!c->size)
        return fail(err, E_ARG, "folder: %s holds pictures of any size; a size must be given",
                    c->path);
    if ((st = mem_new(&d->impl, 1, sizeof *f, "a folder of pictures", err)))
        return st;
    f = d->impl;
    f->root = strlen(c->path) + 1;
    memcpy(f->background, c->background, sizeof f->background);
    if ((st = folder_scan(f, c->path, err)))
        return st;
    d->count = f->n;
    d->height = d->width = c->size;
    d->channels = c->channels ? c->channels : 3;
    d->flips = true;
    bytes = d->height * d->width * d->channels;
    if (f->n <= most_kept / bytes && (st = mem_new((void **)&f->kept, (uint64_t)f->n,
                                                   sizeof *f->kept, "a list of pictures", err)))
        return st;
    return f->n_classes
               ? dataset_name_classes(d, f->n_classes, (const char *const *)f->classes, err)
               : OK;
}

static void folder_close(struct dataset *d)
{
    struct folder *f = d->impl;

    for (int64_t i = 0; i < f->n; i++) {
        free(f->entries[i].path);
        if (f->kept)
            free(atomic_load(&f->kept[i]));
    }
    for (int64_t i = 0; i < f->n_classes; i++)
        free(f->classes[i]);
    free(f->entries);
    free(f->classes);
    free((void *)f->kept);
    free(f);
}

static enum status picture_load(struct image *out, const struct dataset *d, const struct folder *f,
                                int64_t i, struct error *err)
{
    struct image whole = {0};
    enum status st;

    if ((st = image_read(&whole, f->entries[i].path, err)))
        return st;
    st = picture_shape(out, &whole, d->height, d->width, d->channels, f->background, false, err);
    if (st)
        fail_under(err, "%s", f->entries[i].path);
    image_release(&whole);
    return st;
}

static enum status folder_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                              char caption[CAPTION_TEXT], struct error *err)
{
    const struct folder *f = d->impl;
    int64_t n = d->height * d->width * d->channels;
    const uint8_t *kept = f->kept ? atomic_load(&f->kept[i]) : NULL;
    uint8_t *none = NULL;
    struct image im = {0};
    enum status st;

    (void)caption;
    *label = f->entries[i].label;
    if (kept) {
        picture_floats(pixels, kept, n);
        return OK;
    }
    if ((st = picture_load(&im, d, f, i, err)))
        return st;
    picture_floats(pixels, im.pixels, n);
    if (f->kept && atomic_compare_exchange_strong(&f->kept[i], &none, im.pixels))
        im.pixels = NULL; /* the set owns it now */
    image_release(&im);
    return OK;
}

static const char *folder_name_of(const struct dataset *d, int64_t i)
{
    const struct folder *f = d->impl;

    return f->entries[i].path + f->root;
}

const struct dataset_format dataset_folder = {
    .name = "folder",
    .summary = "folders of PNG, JPEG and WebP; a subfolder is a class",
    .open = folder_open,
    .close = folder_close,
    .get = folder_get,
    .name_of = folder_name_of,
};
