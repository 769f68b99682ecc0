/*
 * latents_write.c - encoding a set of pictures, once
 *
 * Encoding a large set takes hours, and something always happens on the way.  So latents are
 * written in parts, each whole or not there at all (base/file.h), and whoever comes back goes on
 * behind the last part.  Parts are named by their first picture and may have any length: when the
 * work stops half-way through one, the half is written too, so that no picture is encoded twice;
 * only a process that is killed loses the part it was at.
 *
 * What was encoded before is trusted only as far as it can be shown to belong here.  Its checksum
 * says that it is what was written; the autoencoder's hash, by whom; and the hash of its pictures
 * is compared with that of the pictures as they are now, which are read again (reading is cheap
 * beside encoding), and so is each caption.  A mismatch is an error and never a reason to write
 * over a file: the cache may belong to somebody else's set.
 *
 * Means and deviations of the channels are merged latent by latent (Chan, Golub and LeVeque 1979),
 * in the order of the set, so that they have the same bits however often the work was interrupted.
 */
#include "data/latents.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "base/whole.h"
#include "data/latents_file.h"
#include "data/latents_index.h"
#include "data/latents_part.h"
#include "data/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const int64_t part_bytes = INT64_C(64) << 20;

struct writing {
    const struct latents_job *job;
    int64_t n;              /* latents in all, mirrored ones included     */
    int64_t part;           /* at most so many a file                     */
    int64_t length, values; /* of a picture, of a latent                  */
    float *pictures;        /* [batch, length]                            */
    float *latents;         /* [part, values]                             */
    int32_t *labels;        /* [part]                                     */
    struct text captions;   /* of the part, each ended by a zero          */
    uint8_t *digests;       /* [part, HASH_BYTES], one a picture          */
    struct hash all;        /* over the digests of the whole set          */
    struct latents_index index;
    int64_t parts_room;
    double seen; /* latents behind index.mean and index.deviation, which holds sums of squares */
};

/* --- pictures -----------------------------------------------------------------------------------
 */

/* Rows of one picture, or of all frames of a clip. */
static void mirror(float *x, int64_t height, int64_t width, int64_t channels)
{
    for (int64_t y = 0; y < height; y++)
        for (int64_t i = 0; i < width / 2; i++)
            for (int64_t c = 0; c < channels; c++) {
                float *a = x + (y * width + i) * channels + c;
                float *b = x + (y * width + width - 1 - i) * channels + c;
                float kept = *a;

                *a = *b;
                *b = kept;
            }
}

/* Picture `at` of what is encoded, its label, and the hash of both and of their shape; the caption
 * is its own, or empty. */
static enum status read_picture(const struct writing *w, int64_t at, float *x, int32_t *label,
                                char caption[CAPTION_TEXT], uint8_t digest[HASH_BYTES],
                                struct error *err)
{
    const struct dataset *d = w->job->pictures;
    struct hash h;
    char line[128];
    int n;
    enum status st;

    if ((st = dataset_get(d, w->job->mirrored ? at / 2 : at, x, label, caption, err)))
        return st;
    if (*label >= 0 && *label < d->n_classes && !strcmp(caption, d->class_names[*label]))
        caption[0] = 0; /* the index has the names of classes */
    if (w->job->mirrored && at % 2)
        mirror(x, w->length / (d->width * d->channels), d->width, d->channels);
    n = d->frames > 1 ? snprintf(line, sizeof line, "clip %" PRId64 " ", d->frames) : 0;
    n += snprintf(line + n, sizeof line - (size_t)n, "%s%" PRId64 " %" PRId64 " %" PRId64 " %d\n",
                  n ? "" : "picture ", d->height, d->width, d->channels, *label);
    hash_begin(&h);
    hash_add(&h, line, (uint64_t)n);
    hash_add(&h, x, (uint64_t)w->length * sizeof *x);
    hash_digest(&h, digest);
    return OK;
}

/* --- statistics ---------------------------------------------------------------------------------
 */

/* One channel's `n` values more, `stride` apart, to a mean and a sum of squares over `seen`. */
static void merge(double *mean, double *square, double seen, const float *x, int64_t n,
                  int64_t stride)
{
    double own = 0, spread = 0, step;

    for (int64_t i = 0; i < n; i++)
        own += (double)x[i * stride] / (double)n;
    for (int64_t i = 0; i < n; i++)
        spread += ((double)x[i * stride] - own) * ((double)x[i * stride] - own);
    step = own - *mean;
    *mean += step * (double)n / (seen + (double)n);
    *square += spread + step * step * seen * (double)n / (seen + (double)n);
}

static void add_latent(struct writing *w, const float *z)
{
    int64_t C = w->job->channels, n = w->values / C;

    for (int64_t c = 0; c < C; c++)
        merge(&w->index.mean[c], &w->index.deviation[c], w->seen * (double)n, z + c, n, C);
    w->seen++;
}

/* Sums of squares to deviations.  A channel that never changes has none, and is left as it is. */
static void finish_statistics(struct writing *w)
{
    double n = w->seen * (double)(w->values / w->job->channels);

    for (int64_t c = 0; c < w->job->channels; c++) {
        double deviation = sqrt(w->index.deviation[c] / n);

        w->index.deviation[c] = deviation > 0 ? deviation : 1;
    }
}

/* --- parts --------------------------------------------------------------------------------------
 */

/* A part is written, or was found right: it belongs to the set from here on. */
static enum status keep_part(struct writing *w, const struct latents_part *p,
                             const uint8_t *digests, struct error *err)
{
    struct latents_index *x = &w->index;
    struct latents_entry *e;
    enum status st;

    if ((st = mem_grow((void **)&x->parts, &w->parts_room, x->n_parts + 1, sizeof *x->parts, err)))
        return st;
    e = &x->parts[x->n_parts++];
    *e = (struct latents_entry){.first = p->first, .count = p->n};
    memcpy(e->checksum, p->checksum, HASH_TEXT);
    hash_add(&w->all, digests, (uint64_t)p->n * HASH_BYTES);
    x->count = p->first + p->n;
    return OK;
}

static void hash_digests(char out[HASH_TEXT], const uint8_t *digests, int64_t n)
{
    struct hash h;

    hash_begin(&h);
    hash_add(&h, digests, (uint64_t)n * HASH_BYTES);
    hash_end(&h, out);
}

static bool any_caption(const struct writing *w)
{
    for (size_t i = 0; i < w->captions.used; i++)
        if (w->captions.data[i])
            return true;
    return false;
}

static enum status save_part(struct writing *w, const char *path, int64_t first, int64_t n,
                             struct error *err)
{
    const struct latents_job *j = w->job;
    bool captioned = any_caption(w);
    struct latents_part p = {.first = first,
                             .n = n,
                             .frames = j->frames,
                             .height = j->height,
                             .width = j->width,
                             .channels = j->channels,
                             .sampled = j->sampled,
                             .seed = j->seed,
                             .latents = (const uint8_t *)w->latents,
                             .labels = (const uint8_t *)w->labels,
                             .captions = captioned ? w->captions.data : NULL,
                             .caption_bytes = captioned ? (int64_t)w->captions.used : 0};
    enum status st;

    memcpy(p.autoencoder, j->autoencoder, HASH_TEXT);
    hash_digests(p.pictures, w->digests, n);
    if ((st = latents_part_save(path, &p, err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        add_latent(w, w->latents + i * w->values);
    return keep_part(w, &p, w->digests, err);
}

static enum status check_finite(const float *z, int64_t n, int64_t values, int64_t first,
                                struct error *err)
{
    for (int64_t i = 0; i < n * values; i++)
        if (!isfinite(z[i]))
            return fail(err, E_NOT_FINITE,
                        "the latent of picture %" PRId64 " holds no number at %" PRId64,
                        first + i / values, i % values);
    return OK;
}

static enum status add_caption(struct writing *w, const char *caption, int64_t i, struct error *err)
{
    if (!utf8_valid(caption, strlen(caption)))
        return fail(err, E_ARG, "the caption of picture %" PRId64 " is not UTF-8", i);
    text_add_bytes(&w->captions, caption, strlen(caption) + 1);
    return w->captions.cut ? fail(err, E_MEMORY, "no memory for captions") : OK;
}

/* n more, behind the `done` that the part has. */
static enum status encode_batch(struct writing *w, int64_t first, int64_t done, int64_t n,
                                struct error *err)
{
    const struct latents_job *j = w->job;
    float *z = w->latents + done * w->values;
    char caption[CAPTION_TEXT];
    enum status st;

    for (int64_t i = 0; i < n; i++)
        if ((st = read_picture(w, first + done + i, w->pictures + i * w->length,
                               &w->labels[done + i], caption, w->digests + (done + i) * HASH_BYTES,
                               err)) ||
            (st = add_caption(w, caption, first + done + i, err)))
            return st;
    if ((st = j->encode(z, w->pictures, n, j->user, err)))
        return st;
    return check_finite(z, n, w->values, first + done, err);
}

static enum status tell(const struct latents_job *j, int64_t done, int64_t n, struct error *err)
{
    if (!j->progress || j->progress(done, n, j->user))
        return OK;
    return fail(err, E_CANCELLED, "stopped after %" PRId64 " of %" PRId64 " pictures", done, n);
}

/* How many pictures the part from `first` on may hold: where one between two others was taken away,
 * it ends where the next one begins. */
static enum status room_for_part(int64_t *out, const struct writing *w, int64_t first,
                                 struct error *err)
{
    struct listing l;
    enum status st;

    *out = whole_min(w->part, w->n - first);
    if ((st = listing_read(&l, w->job->folder, err)))
        return st;
    for (int64_t i = 0; i < l.n; i++) {
        int64_t there = latents_part_named(l.names[i]);

        if (there > first)
            *out = whole_min(*out, there - first);
    }
    listing_release(&l);
    return OK;
}

/* The part that begins where the parts so far end. */
static enum status encode_part(struct writing *w, const char *path, struct error *err)
{
    int64_t first = w->index.count, n, done = 0;
    enum status st;

    if ((st = room_for_part(&n, w, first, err)))
        return st;
    w->captions.used = 0;
    while (done < n && !st) {
        int64_t rows = whole_min(w->job->batch, n - done);
        size_t captions = w->captions.used;

        if ((st = encode_batch(w, first, done, rows, err))) {
            w->captions.used = captions; /* of what is encoded */
            break;
        }
        done += rows;
        st = tell(w->job, first + done, w->n, err);
    }
    if (!st)
        return save_part(w, path, first, n, err);
    /* Why it stopped is what matters now; a half that cannot be kept is encoded again. */
    if (done)
        save_part(w, path, first, done, NULL);
    return st;
}

enum { DRAWN = 48 };

static const char *say_drawn(char out[DRAWN], bool sampled, uint64_t seed)
{
    snprintf(out, DRAWN, sampled ? "drawn by the seed %" PRIu64 : "means", seed);
    return out;
}

static enum status check_part(const struct writing *w, const struct latents_part *p,
                              struct error *err)
{
    const struct latents_job *j = w->job;
    char there[DRAWN], wanted[DRAWN];

    if (strcmp(p->autoencoder, j->autoencoder) != 0)
        return fail(err, E_FORMAT, "latents of the autoencoder %s, not of %s", p->autoencoder,
                    j->autoencoder);
    if (p->sampled != j->sampled || (p->sampled && p->seed != j->seed))
        return fail(err, E_FORMAT, "latents that are %s, not %s",
                    say_drawn(there, p->sampled, p->seed), say_drawn(wanted, j->sampled, j->seed));
    if (p->frames != j->frames)
        return fail(err, E_FORMAT,
                    "latents of %" PRId64 " frames, not of %" PRId64 " (0: of pictures)", p->frames,
                    j->frames);
    if (p->height != j->height || p->width != j->width || p->channels != j->channels)
        return fail(err, E_FORMAT,
                    "latents of %" PRId64 " x %" PRId64 " x %" PRId64 ", not %" PRId64 " x %" PRId64
                    " x %" PRId64,
                    p->height, p->width, p->channels, j->height, j->width, j->channels);
    if (p->first != w->index.count || p->n > w->n - p->first)
        return fail(err, E_FORMAT,
                    "pictures %" PRId64 " to %" PRId64 ", where those from %" PRId64 " to %" PRId64
                    " are wanted",
                    p->first, p->first + p->n - 1, w->index.count, w->n - 1);
    return OK;
}

static enum status other_caption(const struct latents_part *p, int64_t i, const char *now,
                                 struct error *err)
{
    char shown[UTF8_SHOWN], shown_now[UTF8_SHOWN];

    utf8_shown(shown_now, now);
    if (!p->captions)
        return fail(err, E_FORMAT,
                    "latents without captions, and picture %" PRId64 " of the set has one, \"%s\"",
                    p->first + i, shown_now);
    return fail(err, E_FORMAT,
                "latents with other captions: that of picture %" PRId64
                " is \"%s\" there, and \"%s\" now",
                p->first + i, utf8_shown(shown, latents_part_caption(p, i)), shown_now);
}

/* The pictures of a part as they are now: are they still those that were encoded, and is the same
 * said of them? */
static enum status check_pictures(const struct writing *w, const struct latents_part *p,
                                  uint8_t *digests, struct error *err)
{
    char now[HASH_TEXT], caption[CAPTION_TEXT], other[CAPTION_TEXT];
    int64_t differs = -1;
    int32_t label;
    enum status st;

    for (int64_t i = 0; i < p->n; i++) {
        if ((st = read_picture(w, p->first + i, w->pictures, &label, caption,
                               digests + i * HASH_BYTES, err)))
            return st;
        if (differs < 0 && strcmp(caption, latents_part_caption(p, i)) != 0) {
            differs = i;
            memcpy(other, caption, sizeof other);
        }
    }
    hash_digests(now, digests, p->n);
    if (strcmp(now, p->pictures) != 0)
        return fail(err, E_FORMAT,
                    "latents of other pictures (%s; pictures %" PRId64 " to %" PRId64
                    " of the set are now %s)",
                    p->pictures, p->first, p->first + p->n - 1, now);
    return differs < 0 ? OK : other_caption(p, differs, other, err);
}

static enum status accept_part(struct writing *w, const char *path, struct error *err)
{
    struct latents_part p;
    uint8_t *digests = NULL;
    enum status st;

    if ((st = latents_part_open(&p, path, err)))
        goto out;
    if (!(st = check_part(w, &p, err)) &&
        !(st = mem_new((void **)&digests, (uint64_t)p.n, HASH_BYTES, "hashes of pictures", err)))
        st = check_pictures(w, &p, digests, err);
    if (st) {
        fail_under(err, "%s", path);
        goto out;
    }
    for (int64_t i = 0; i < p.n; i++) {
        latents_part_read(&p, i, w->latents);
        add_latent(w, w->latents);
    }
    if (!(st = keep_part(w, &p, digests, err)))
        st = tell(w->job, w->index.count, w->n, err);
out:
    free(digests);
    latents_part_close(&p);
    return st;
}

/* --- together -----------------------------------------------------------------------------------
 */

static enum status check_job(const struct latents_job *j, struct error *err)
{
    MUST(j->batch > 0 && j->part >= 0, "%" PRId64 " pictures a call, %" PRId64 " a file", j->batch,
         j->part);
    MUST(hash_is(j->autoencoder), "'%s' is no SHA-256", j->autoencoder);
    if (j->pictures->count > INT64_MAX / 2)
        return fail(err, E_ARG, "an endless set of pictures cannot be encoded: give it a limit");
    if (j->frames < 0 || j->frames > DATASET_FRAMES)
        return fail(err, E_ARG, "latents of %" PRId64 " frames", j->frames);
    if (j->height < 1 || j->height > LATENTS_SIDE || j->width < 1 || j->width > LATENTS_SIDE ||
        j->channels < 1 || j->channels > LATENTS_CHANNELS)
        return fail(err, E_ARG, "latents of %" PRId64 " x %" PRId64 " with %" PRId64 " channels",
                    j->width, j->height, j->channels);
    return OK;
}

static enum status writing_init(struct writing *w, const struct latents_job *j, struct error *err)
{
    const struct dataset *d = j->pictures;
    struct latents_index *x = &w->index;
    enum status st;

    if ((st = check_job(j, err)))
        return st;
    w->n = j->mirrored ? 2 * d->count : d->count;
    w->length = dataset_length(d);
    w->values = (j->frames ? j->frames : 1) * j->height * j->width * j->channels;
    w->part = j->part ? j->part : part_bytes / (w->values * (int64_t)sizeof(float));
    if (!j->part && w->part > j->batch)
        w->part -= w->part % j->batch; /* a shorter call would want a plan of its own */
    w->part = whole_clamp(w->part, 1, w->n);
    x->frames = j->frames;
    x->clip_frames = j->frames ? whole_max(d->frames, 1) : 0;
    x->height = j->height;
    x->width = j->width;
    x->channels = j->channels;
    x->mirrored = j->mirrored;
    x->sampled = j->sampled;
    x->seed = j->seed;
    memcpy(x->autoencoder, j->autoencoder, HASH_TEXT);
    text_init(&w->captions, NULL, 0);
    hash_begin(&w->all);
    if ((st = mem_new((void **)&w->pictures, (uint64_t)whole_min(j->batch, w->n),
                      (uint64_t)w->length * sizeof *w->pictures, "a batch of pictures", err)) ||
        (st = mem_new((void **)&w->latents, (uint64_t)w->part,
                      (uint64_t)w->values * sizeof *w->latents, "a part of the latents", err)) ||
        (st = mem_new((void **)&w->labels, (uint64_t)w->part, sizeof *w->labels, "labels", err)) ||
        (st = mem_new((void **)&w->digests, (uint64_t)w->part, HASH_BYTES, "hashes of pictures",
                      err)) ||
        (st = mem_new((void **)&x->mean, (uint64_t)j->channels, sizeof *x->mean, "means", err)))
        return st;
    return mem_new((void **)&x->deviation, (uint64_t)j->channels, sizeof *x->deviation,
                   "deviations", err);
}

static void writing_release(struct writing *w)
{
    w->index.classes = NULL; /* the set's, lent */
    latents_index_release(&w->index);
    free(w->pictures);
    free(w->latents);
    free(w->labels);
    text_release(&w->captions);
    free(w->digests);
}

static enum status write_parts(struct writing *w, struct error *err)
{
    enum status st = OK;

    while (w->index.count < w->n && !st) {
        char *path;

        if ((st = latents_part_path(&path, w->job->folder, w->index.count, err)))
            return st;
        st = path_is_file(path) ? accept_part(w, path, err) : encode_part(w, path, err);
        free(path);
    }
    return st;
}

static enum status write_index(struct writing *w, struct error *err)
{
    char *path;
    enum status st;

    finish_statistics(w);
    hash_end(&w->all, w->index.pictures);
    w->index.classes = w->job->pictures->class_names;
    w->index.n_classes = w->job->pictures->n_classes;
    if ((st = latents_index_path(&path, w->job->folder, err)))
        return st;
    st = latents_index_save(path, &w->index, err);
    free(path);
    return st;
}

enum status latents_write(const struct latents_job *job, struct error *err)
{
    struct writing w = {.job = job};
    enum status st;

    if (mkdir(job->folder, 0777) && errno != EEXIST)
        return fail_errno(err, E_IO, "cannot make the folder %s", job->folder);
    if (!(st = writing_init(&w, job, err)) && !(st = write_parts(&w, err)))
        st = write_index(&w, err);
    writing_release(&w);
    return st;
}
