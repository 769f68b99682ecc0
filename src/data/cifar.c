/*
 * cifar.c - the binary version of CIFAR-10
 *
 *         +-------+------------+------------+------------+
 *         | label | 1024 red   | 1024 green | 1024 blue  |   3073 bytes a record, nothing else
 *         +-------+------------+------------+------------+
 *
 * A file has no header: its size and its labels are all there is to check, so both are.  Planes are
 * woven into channels-last pixels once, at opening.  The path is a file, several with commas
 * between them, or a folder, whose .bin files are taken in order without test_batch.bin, which is
 * for measuring.  Names of the classes stand in batches.meta.txt beside the files when it is there.
 */
#include "data/cifar.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/listing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PLANE = CIFAR_SIDE * CIFAR_SIDE, NAMES_BYTES = 4096 };

static const uint64_t most_file = UINT64_C(1) << 32;

/* Room for `more` further records; what is there stays. */
static enum status records_room(struct stored *s, int64_t more, const char *name, struct error *err)
{
    size_t n = (size_t)(s->n + more);
    uint8_t *pixels = realloc(s->pixels, n * 3 * PLANE), *labels;

    if (pixels)
        s->pixels = pixels;
    labels = realloc(s->labels, n);
    if (labels)
        s->labels = labels;
    if (!pixels || !labels)
        return fail(err, E_MEMORY, "%s: no memory for %zu pictures", name, n);
    return OK;
}

enum status cifar_decode(struct stored *s, const uint8_t *bytes, uint64_t n, const char *name,
                         struct error *err)
{
    int64_t records = (int64_t)(n / CIFAR_RECORD);
    enum status st;

    if (n == 0 || n % CIFAR_RECORD)
        return fail(err, E_FORMAT,
                    "%s: %" PRIu64 " bytes are not whole records of %d bytes "
                    "(%" PRIu64 " left over)",
                    name, n, CIFAR_RECORD, n % CIFAR_RECORD);
    for (int64_t i = 0; i < records; i++)
        if (bytes[i * CIFAR_RECORD] >= CIFAR_CLASSES)
            return fail(err, E_FORMAT, "%s: record %" PRId64 " has label %d; labels are 0..%d",
                        name, i, bytes[i * CIFAR_RECORD], CIFAR_CLASSES - 1);
    if ((st = records_room(s, records, name, err)))
        return st;
    s->height = s->width = CIFAR_SIDE;
    s->channels = 3;
    for (int64_t i = 0; i < records; i++, s->n++) {
        const uint8_t *record = bytes + i * CIFAR_RECORD;
        uint8_t *out = s->pixels + s->n * 3 * PLANE;

        s->labels[s->n] = record[0];
        for (int j = 0; j < PLANE; j++)
            for (int k = 0; k < 3; k++)
                out[3 * j + k] = record[1 + k * PLANE + j];
    }
    return OK;
}

static enum status cifar_read(struct stored *s, const char *path, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n;
    enum status st;

    if ((st = file_read(&bytes, &n, path, most_file, err)))
        return st;
    st = cifar_decode(s, bytes, n, path, err);
    free(bytes);
    return st;
}

static enum status folder_read(struct stored *s, const char *folder, struct error *err)
{
    struct listing l;
    enum status st;

    if ((st = listing_read(&l, folder, err)))
        return st;
    for (int64_t i = 0; i < l.n && !st; i++) {
        char *path = NULL;

        if (!name_ends(l.names[i], ".bin") || !strcmp(l.names[i], "test_batch.bin"))
            continue;
        if (!(st = listing_path(&path, folder, l.names[i], err)))
            st = cifar_read(s, path, err);
        free(path);
    }
    listing_release(&l);
    if (!st && !s->n)
        st = fail(err, E_IO, "%s: no .bin files of CIFAR-10 in this folder", folder);
    return st;
}

/* Files with commas between them; `paths` is cut up. */
static enum status files_read(struct stored *s, char *paths, struct error *err)
{
    char *rest = NULL;
    enum status st = OK;

    for (char *one = strtok_r(paths, ",", &rest); one && !st; one = strtok_r(NULL, ",", &rest))
        st = path_is_folder(one) ? folder_read(s, one, err) : cifar_read(s, one, err);
    return st;
}

/* Ten lines of text become names; fewer are no reason to fail. */
static enum status names_set(struct dataset *d, char *text, struct error *err)
{
    const char *names[CIFAR_CLASSES];
    char *rest = NULL;
    int n = 0;

    for (char *line = strtok_r(text, "\r\n", &rest); line && n < CIFAR_CLASSES;
         line = strtok_r(NULL, "\r\n", &rest))
        names[n++] = line;
    return dataset_name_classes(d, CIFAR_CLASSES, n == CIFAR_CLASSES ? names : NULL, err);
}

/* batches.meta.txt in the folder, or beside the first file. */
static enum status names_read(struct dataset *d, const char *path, struct error *err)
{
    char *folder = NULL, *meta = NULL, *slash;
    uint8_t *text = NULL;
    uint64_t n;
    enum status st;

    if ((st = mem_text(&folder, path, err)))
        return st;
    if (!path_is_folder(folder)) {
        slash = strrchr(folder, '/');
        if (!slash)
            folder[0] = '.'; /* a name has a letter at least */
        folder[slash ? slash - folder + 1 : 1] = 0;
    }
    if ((st = listing_path(&meta, folder, "batches.meta.txt", err)))
        goto out;
    if (!path_is_file(meta))
        st = dataset_name_classes(d, CIFAR_CLASSES, NULL, err);
    else if (!(st = file_read(&text, &n, meta, NAMES_BYTES, err)))
        st = names_set(d, (char *)text, err);
out:
    free(folder);
    free(meta);
    free(text);
    return st;
}

static enum status cifar_open(struct dataset *d, const struct dataset_config *c, struct error *err)
{
    struct stored *s;
    char *paths = NULL;
    enum status st;

    if (!c->path || !*c->path)
        return fail(err, E_ARG, "cifar10: no path is given");
    if ((st = mem_new(&d->impl, 1, sizeof *s, "a CIFAR-10 set", err)) ||
        (st = mem_text(&paths, c->path, err)))
        goto out;
    s = d->impl;
    memcpy(s->background, c->background, sizeof s->background);
    if ((st = files_read(s, paths, err)))
        goto out;
    stored_describe(d, s, c);
    d->flips = true;
    st = names_read(d, paths, err); /* files_read left the first path in paths */
out:
    free(paths);
    return st;
}

static void cifar_close(struct dataset *d)
{
    stored_release(d->impl);
    free(d->impl);
}

static enum status cifar_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                             char caption[CAPTION_TEXT], struct error *err)
{
    (void)caption;
    return stored_get(d, d->impl, i, pixels, label, err);
}

const struct dataset_format dataset_cifar10 = {
    .name = "cifar10",
    .summary = "CIFAR-10, binary version: a file, several, or a folder",
    .open = cifar_open,
    .close = cifar_close,
    .get = cifar_get,
};
