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
 * picture is decoded when it is asked for (data/kept.h).  One that cannot be read is an error that
 * names the file, never a silent gap.
 *
 * Where clips are asked for, animations take the pictures' place.  Folders of frames cannot be told
 * from classes here; sets with captions have those (captioned.c).
 */
#include "base/memory.h"
#include "data/kept.h"
#include "data/listing.h"
#include "data/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *path;
    int32_t label;
};

struct folder {
    struct entry *entries;
    int64_t n, room;
    int64_t frames; /* of the clips asked for; 0 and 1: pictures are */
    size_t root;    /* letters of the folder's own path, the slash included */
    char **classes; /* in order of label */
    int64_t n_classes, classes_room;
    struct kept kept;
};

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

static bool takes(const struct folder *f, const char *name)
{
    return f->frames > 1 ? clip_named(name) : picture_named(name);
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
        if (takes(f, l.names[i]))
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
        else if (takes(f, l.names[i]))
            st = entry_add(f, root, l.names[i], -1, err);
        free(path);
    }
    listing_release(&l);
    if (!st && !f->n)
        st = fail(err, E_IO, "%s: no %s in this folder or one below it", root,
                  f->frames > 1 ? ".webp, .png, .apng, .gif or .y4m clips"
                                : ".png, .jpg or .webp pictures");
    return st;
}

static enum status read_entry(struct clip *out, int64_t i, const void *user, struct error *err)
{
    const struct folder *f = user;
    const char *path = f->entries[i].path;
    struct image im;
    enum status st;

    if (f->frames > 1) {
        if ((st = clip_read(out, path, f->frames, err)))
            return st;
        if (out->frames == f->frames)
            return OK;
        st = fail(err, E_FORMAT, "%s: %" PRId64 " frame%s, and clips of %" PRId64 " are asked for",
                  path, out->frames, out->frames == 1 ? "" : "s", f->frames);
        clip_release(out);
        return st;
    }
    if (!(st = image_read(&im, path, err)))
        *out = clip_of_image(&im);
    return st;
}

static enum status folder_open(struct dataset *d, const struct dataset_config *c, struct error *err)
{
    struct folder *f;
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
    f->frames = d->frames = c->frames > 1 ? c->frames : 0;
    if ((st = folder_scan(f, c->path, err)))
        return st;
    d->count = f->n;
    d->height = d->width = c->size;
    d->channels = c->channels ? c->channels : 3;
    d->flips = true;
    if ((st = kept_init(&f->kept, d, c->background, read_entry, f, err)))
        return st;
    return f->n_classes
               ? dataset_name_classes(d, f->n_classes, (const char *const *)f->classes, err)
               : OK;
}

static void folder_close(struct dataset *d)
{
    struct folder *f = d->impl;

    kept_release(&f->kept);
    for (int64_t i = 0; i < f->n; i++)
        free(f->entries[i].path);
    for (int64_t i = 0; i < f->n_classes; i++)
        free(f->classes[i]);
    free(f->entries);
    free(f->classes);
    free(f);
}

static enum status folder_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                              char caption[CAPTION_TEXT], struct error *err)
{
    const struct folder *f = d->impl;

    (void)caption;
    *label = f->entries[i].label;
    return kept_get(&f->kept, pixels, NULL, i, err);
}

static const char *folder_name_of(const struct dataset *d, int64_t i)
{
    const struct folder *f = d->impl;

    return f->entries[i].path + f->root;
}

const struct dataset_format dataset_folder = {
    .name = "folder",
    .summary = "folders of PNG, JPEG and WebP, or of animations; a subfolder is a class",
    .open = folder_open,
    .close = folder_close,
    .get = folder_get,
    .name_of = folder_name_of,
};
