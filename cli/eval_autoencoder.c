/*
 * eval_autoencoder.c - what `imgen eval` measures of an autoencoder: the pictures or clips it gives
 * back, against those it was given
 *
 * Its reconstructions are pairs with the reference, so that everything that can be said of pairs is
 * said: each picture or frame by itself, and of clips whether they tremble.  They are rounded to 8
 * bits first, as a file of them would be, so that figures are those of `imgen encode` and `imgen
 * decode` with files between.  What the pictures show is asked of the reconstructions too.
 *
 * A clip that is longer than a tile is decoded in tiles, and the frames at which they meet are
 * handed on: whether it jumps there is one of the measures.
 */
#include "eval.h"

#include "interrupt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of a batch, about: floats of it and of its latents stay in tens of megabytes. */
enum { BATCH_NUMBERS = 1 << 22 };

struct work {
    struct eval_job *job;
    struct imgen_codec *codec;
    struct imgen_codec_info info;
    struct imgen_coding how;
    struct imgen_clip_size size;
    int64_t cells, length, latent; /* numbers of a clip, and of its latent */
    int64_t n, batch, first;
    float *x, *z; /* [batch] */
};

static int on_run(int64_t done, int64_t n, void *user)
{
    const struct work *w = user;
    struct progress *p = &w->job->progress;

    (void)done, (void)n;
    if (progress_due(p, false))
        progress_say(p, "encoding and decoding %" PRId64 "/%" PRId64, w->first, w->n);
    return !interrupt_asked();
}

static int failed(const struct work *w, const struct imgen_error *err)
{
    progress_end(&w->job->progress);
    return command_failed(&command_eval, err);
}

/* Sides of pictures may be any, those of clips multiples of the factor. */
static void measure_sizes(struct work *w, const struct imgen_pictures *p)
{
    int64_t f = w->info.factor;

    w->size = (struct imgen_clip_size){p->frames, p->height, p->width};
    w->n = p->n;
    w->cells = p->frames > 1 ? imgen_clip_cells(w->codec, p->frames) : 1;
    w->length = (int64_t)(p->frames > 1 ? p->frames : 1) * p->height * p->width * p->channels;
    w->latent =
        w->cells * ((p->height + f - 1) / f) * ((p->width + f - 1) / f) * w->info.latent_channels;
    w->batch = BATCH_NUMBERS / w->length;
    w->batch = w->batch < 1 ? 1 : w->batch > w->n ? w->n : w->batch;
}

static int open_codec(struct work *w, const char *path)
{
    const struct eval_options *o = w->job->options;
    const struct imgen_pictures *p = &w->job->reference.pictures;
    struct imgen_error err;

    if (imgen_codec_open(&w->codec, path, IMGEN_BOTH, (int)o->threads, &err))
        return failed(w, &err);
    imgen_codec_info(w->codec, &w->info);
    if (w->info.channels != p->channels)
        return command_misused(&command_eval,
                               "%s takes pictures of %d channels, and %s has %d: --channels brings "
                               "them to others",
                               path, w->info.channels, w->job->reference.word, p->channels);
    imgen_coding_init(&w->how);
    w->how.frames = o->tile_frames;
    w->how.progress = on_run;
    w->how.user = w;
    measure_sizes(w, p);
    w->x = calloc((size_t)w->batch, (size_t)w->length * sizeof *w->x);
    w->z = calloc((size_t)w->batch, (size_t)w->latent * sizeof *w->z);
    if (!w->x || !w->z)
        return command_broken(&command_eval, "no memory for %" PRId64 " pictures", w->batch);
    return EXIT_DONE;
}

static enum imgen_status there_and_back(struct work *w, int64_t n, struct imgen_error *err)
{
    const struct imgen_clip_size *s = &w->size;
    enum imgen_status st;

    if (s->frames > 1)
        return (st = imgen_encode_clips(w->codec, w->z, w->x, n, s, &w->how, err))
                   ? st
                   : imgen_decode_clips(w->codec, w->x, w->z, n, s, &w->how, err);
    return (st = imgen_encode(w->codec, w->z, w->x, n, s->height, s->width, &w->how, err))
               ? st
               : imgen_decode(w->codec, w->x, w->z, n, s->height, s->width, &w->how, err);
}

static uint8_t level(float x)
{
    float y = (x + 1) * 127.5f;

    return (uint8_t)(y > 255 ? 255 : y > 0 ? y + 0.5f : 0);
}

static int reconstruct(struct work *w, uint8_t *out, const uint8_t *in)
{
    struct imgen_error err;

    for (; w->first < w->n; w->first += w->batch) {
        int64_t n = w->n - w->first < w->batch ? w->n - w->first : w->batch;
        int64_t at = w->first * w->length;

        for (int64_t i = 0; i < n * w->length; i++)
            w->x[i] = (float)in[at + i] / 127.5f - 1;
        if (there_and_back(w, n, &err))
            return failed(w, &err);
        for (int64_t i = 0; i < n * w->length; i++)
            out[at + i] = level(w->x[i]);
    }
    progress_end(&w->job->progress);
    return EXIT_DONE;
}

/* The reconstructions have what the reference has, but their own pixels. */
static int make_room(struct eval_job *job, const char *path, const struct work *w)
{
    struct picture_source *s = &job->pictures;
    const struct picture_source *r = &job->reference;

    *s = (struct picture_source){.kind = SOURCE_AUTOENCODER,
                                 .word = path,
                                 .pictures = r->pictures,
                                 .pixels = calloc((size_t)w->n, (size_t)w->length),
                                 .number = calloc((size_t)w->n, sizeof *s->number),
                                 .resize = "none"};
    if (!s->pixels || !s->number)
        return command_broken(&command_eval, "no memory for %" PRId64 " pictures", w->n);
    s->pictures.pixels = s->pixels;
    memcpy(s->number, r->number, (size_t)w->n * sizeof *s->number);
    snprintf(s->about, sizeof s->about, "%.200s (sha256 %.12s...), what it makes of the reference",
             path, w->info.hash);
    return EXIT_DONE;
}

static int find_joints(struct eval_job *job, struct work *w)
{
    struct imgen_error err;
    int64_t n;

    if (job->n_joints || w->size.frames < 3)
        return EXIT_DONE;
    if (w->size.frames > EVAL_JOINTS)
        return command_misused(&command_eval, "clips of %" PRId64 " frames are more than %d",
                               w->size.frames, EVAL_JOINTS);
    if (imgen_codec_joints(job->joint, &n, w->codec, &w->size, &w->how, &err))
        return failed(w, &err);
    job->n_joints = (int)n;
    return EXIT_DONE;
}

int eval_read_reconstructions(struct eval_job *job, const char *autoencoder,
                              const struct source_wish *wish)
{
    struct work w = {.job = job};
    int code;

    if ((code = source_read(&job->reference, wish)))
        return code;
    if (job->reference.kind == SOURCE_MODEL)
        return command_misused(&command_eval,
                               "an autoencoder is measured on true pictures: --reference names a "
                               "folder or a configuration");
    if (!(code = open_codec(&w, autoencoder)) && !(code = make_room(job, autoencoder, &w)) &&
        !(code = find_joints(job, &w)))
        code = reconstruct(&w, job->pictures.pixels, job->reference.pixels);
    imgen_codec_close(w.codec);
    free(w.x);
    free(w.z);
    return code;
}
