/*
 * idx.c - the IDX format of MNIST and its kin
 *
 *      byte 0   1    2        3        4            8
 *         +---+---+------+--------+------------+------------+-- - - --+------- - - -
 *         | 0 | 0 | type | n_dims | dims[0] BE | dims[1] BE |   ...   |  elements
 *         +---+---+------+--------+------------+------------+-- - - --+------- - - -
 *
 * Type 8 is unsigned bytes, the only one in use for pictures: 00 00 08 03 begins a file of pictures
 * [count, rows, columns], 00 00 08 01 one of labels.  Files come plain or as gzip, and pictures and
 * labels are two files whose names differ in a known way.
 *
 * The header's claim decides nothing by itself: it is checked against the most that the bytes can
 * hold before memory is asked for, and memory grows only as elements arrive, so a file of 40 bytes
 * that claims four thousand million pictures costs nothing.
 */
#include "data/idx.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/listing.h"
#include "io/packed.h"
#include "data/stored.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 4, TYPE_BYTES = 8, FIRST_ROOM = 1 << 20, PATH_TEXT = 4096 };

static const uint64_t most_file = UINT64_C(1) << 34;

static int64_t big_endian(const uint8_t b[4])
{
    return (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

static enum status header_take(struct packed *p, int n_dims, struct idx *out, struct error *err)
{
    uint8_t head[HEADER + 4 * 3];
    uint64_t want = HEADER + 4 * (uint64_t)n_dims, got;
    enum status st;

    if ((st = packed_take(p, head, want, &got, err)))
        return st;
    if (got < want)
        return fail(err, E_FORMAT, "%s: %" PRIu64 " bytes are no IDX header of %" PRIu64, p->name,
                    got, want);
    if (head[0] || head[1] || head[2] != TYPE_BYTES || head[3] != n_dims)
        return fail(
            err, E_FORMAT,
            "%s: starts with %02x %02x %02x %02x, but IDX bytes of %d dimensions start with "
            "00 00 08 %02x",
            p->name, head[0], head[1], head[2], head[3], n_dims, (unsigned)n_dims);
    out->n_dims = n_dims;
    for (int i = 0; i < n_dims; i++)
        out->dims[i] = big_endian(head + HEADER + 4 * i);
    return OK;
}

/* The bytes that the dimensions ask for, after checking them one by one. */
static enum status elements_count(const struct idx *a, const struct packed *p, uint64_t *out,
                                  struct error *err)
{
    uint64_t each = 1;

    for (int i = 1; i < a->n_dims; i++) {
        if (a->dims[i] < 1 || a->dims[i] > IDX_SIDE)
            return fail(err, E_FORMAT,
                        "%s: pictures of %" PRId64 " x %" PRId64 " pixels; sides are 1..%d",
                        p->name, a->dims[1], a->dims[2], IDX_SIDE);
        each *= (uint64_t)a->dims[i];
    }
    *out = each * (uint64_t)a->dims[0]; /* under 2^32 * 2^24 */
    if (*out > packed_most(p))
        return fail(err, E_FORMAT,
                    "%s: claims %" PRId64 " items of %" PRIu64 " bytes, and %s at most %" PRIu64
                    " bytes",
                    p->name, a->dims[0], each, p->gzip ? "can unpack to" : "has", packed_most(p));
    return OK;
}

/* Memory doubles as elements arrive and never passes what is needed. */
static enum status elements_take(struct packed *p, uint64_t want, struct idx *out,
                                 struct error *err)
{
    uint64_t room = want < FIRST_ROOM ? want : FIRST_ROOM, have = 0, got;
    enum status st;

    for (;;) {
        uint8_t *bigger = realloc(out->bytes, room ? room : 1);

        if (!bigger)
            return fail(err, E_MEMORY, "%s: no memory for %" PRIu64 " bytes", p->name, room);
        out->bytes = bigger;
        if ((st = packed_take(p, out->bytes + have, room - have, &got, err)))
            return st;
        have += got;
        if (have < room)
            return fail(err, E_FORMAT,
                        "%s: %" PRIu64 " bytes of elements are there, %" PRIu64 " are claimed",
                        p->name, have, want);
        if (have == want)
            return OK;
        room = room < want / 2 ? 2 * room : want;
    }
}

enum status idx_decode(struct idx *out, int n_dims, const uint8_t *bytes, uint64_t n,
                       const char *name, struct error *err)
{
    struct packed p = {0};
    uint8_t more;
    uint64_t want = 0, got;
    enum status st;

    MUST(n_dims == 1 || n_dims == 3, "%d dimensions", n_dims);
    *out = (struct idx){0};
    if ((st = packed_open(&p, bytes, n, name, err)) || (st = header_take(&p, n_dims, out, err)) ||
        (st = elements_count(out, &p, &want, err)) || (st = elements_take(&p, want, out, err)))
        goto out;
    /* Asking for one byte more also makes gzip verify its checksum. */
    if ((st = packed_take(&p, &more, 1, &got, err)))
        goto out;
    if (got)
        st = fail(err, E_FORMAT, "%s: holds more than the %" PRIu64 " bytes of elements it claims",
                  name, want);
out:
    packed_close(&p);
    if (st)
        idx_release(out);
    return st;
}

void idx_release(struct idx *a)
{
    free(a->bytes);
    *a = (struct idx){0};
}

static enum status idx_read(struct idx *out, int n_dims, const char *path, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n;
    enum status st;

    *out = (struct idx){0};
    if ((st = file_read(&bytes, &n, path, most_file, err)))
        return st;
    st = idx_decode(out, n_dims, bytes, n, path, err);
    free(bytes);
    return st;
}

/* The pictures' file: the path itself, or the training pictures of the folder it names. */
static enum status images_find(char out[PATH_TEXT], const char *path, struct error *err)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-images-idx3-ubyte.gz",
                                        "train-images.idx3-ubyte", "train-images.idx3-ubyte.gz"};

    if (strlen(path) + 64 > PATH_TEXT)
        return fail(err, E_ARG, "idx: a path of %zu letters is too long", strlen(path));
    snprintf(out, PATH_TEXT, "%s", path);
    if (!path_is_folder(path))
        return OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(out, PATH_TEXT, "%s/%s", path, names[i]);
        if (path_is_file(out))
            return OK;
    }
    return fail(err, E_IO, "%s: no %s or %s.gz in this folder", path, names[0], names[0]);
}

/* "...train-images-idx3-ubyte.gz" to "...train-labels-idx1-ubyte.gz", with or without .gz,
 * whichever is there.  False when the name has another form or no such file exists. */
static bool labels_find(char out[PATH_TEXT], const char *images)
{
    const char *slash = strrchr(images, '/');
    size_t folder = slash ? (size_t)(slash - images) + 1 : 0, n;
    char *at;

    snprintf(out, PATH_TEXT, "%s", images);
    if (!(at = strstr(out + folder, "images")))
        return false;
    memcpy(at, "labels", 6);
    if ((at = strstr(at, "idx3")))
        at[3] = '1';
    if (path_is_file(out))
        return true;
    n = strlen(out);
    if (n > 3 && !strcmp(out + n - 3, ".gz"))
        out[n - 3] = 0;
    else
        memcpy(out + n, ".gz", 4);
    return path_is_file(out);
}

static bool names_fashion(const char *path)
{
    static const char word[] = "fashion";

    for (; *path; path++) {
        size_t i = 0;

        while (word[i] && tolower((unsigned char)path[i]) == word[i])
            i++;
        if (!word[i])
            return true;
    }
    return false;
}

static enum status classes_name(struct dataset *d, const struct stored *s, const char *path,
                                struct error *err)
{
    static const char *const fashion[] = {"t-shirt/top", "trouser",   "pullover", "dress",
                                          "coat",        "sandal",    "shirt",    "sneaker",
                                          "bag",         "ankle boot"};
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    int most = 0;

    for (int64_t i = 0; i < s->n; i++)
        most = s->labels[i] > most ? s->labels[i] : most;
    if (most < 10 && names_fashion(path)) {
        d->flips = true; /* clothes may be mirrored, digits may not */
        return dataset_name_classes(d, 10, fashion, err);
    }
    return dataset_name_classes(d, most + 1, most == 9 ? digits : NULL, err);
}

static enum status labels_read(struct stored *s, const char *path, struct error *err)
{
    struct idx labels = {0};
    enum status st;

    if ((st = idx_read(&labels, 1, path, err)))
        return st;
    if (labels.dims[0] != s->n)
        st = fail(err, E_FORMAT, "%s: %" PRId64 " labels for %" PRId64 " pictures", path,
                  labels.dims[0], s->n);
    else {
        s->labels = labels.bytes;
        labels.bytes = NULL;
    }
    idx_release(&labels);
    return st;
}

static enum status idx_open(struct dataset *d, const struct dataset_config *c, struct error *err)
{
    char images[PATH_TEXT], labels[PATH_TEXT];
    struct idx a = {0};
    struct stored *s;
    bool labelled;
    enum status st;

    if (!c->path || !*c->path)
        return fail(err, E_ARG, "idx: no path is given");
    if ((st = images_find(images, c->path, err)) || (st = idx_read(&a, 3, images, err)))
        return st;
    if ((st = mem_new(&d->impl, 1, sizeof *s, "an IDX set", err))) {
        idx_release(&a);
        return st;
    }
    s = d->impl;
    *s = (struct stored){a.dims[0], a.dims[1], a.dims[2], 1, a.bytes, NULL, {0}};
    memcpy(s->background, c->background, sizeof s->background);
    stored_describe(d, s, c);
    labelled = c->labels && *c->labels;
    if (!labelled && !labels_find(labels, images))
        return OK;
    if ((st = labels_read(s, labelled ? c->labels : labels, err)))
        return st;
    return classes_name(d, s, images, err);
}

static void idx_close(struct dataset *d)
{
    stored_release(d->impl);
    free(d->impl);
}

static enum status idx_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                           char caption[CAPTION_TEXT], struct error *err)
{
    (void)caption;
    return stored_get(d, d->impl, i, pixels, label, err);
}

const struct dataset_format dataset_idx = {
    .name = "idx",
    .summary = "IDX files of MNIST and Fashion-MNIST, plain or .gz",
    .open = idx_open,
    .close = idx_close,
    .get = idx_get,
};
