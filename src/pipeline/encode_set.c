/*
 * encode_set.c - a set of pictures through an autoencoder, into a cache of latents
 *
 * The cache asks for latents a batch at a time, in the order of the set, and begins behind those
 * that it has; so the number of the next latent is what it last said was done.
 */
#include "pipeline/encode_set.h"

#include "base/whole.h"
#include "data/latents.h"
#include "pipeline/codec_video.h"

#include <inttypes.h>

enum { BATCH_MOST = 64, BATCH_PIXELS = 1 << 16 };

struct encoding {
    const struct encode_set *set;
    struct codec_limits limits;
    int64_t done, n, encoded;
};

static bool between(int64_t done, int64_t n, void *user)
{
    const struct encoding *e = user;

    (void)done;
    (void)n;
    return !e->set->progress || e->set->progress(e->done, e->n, e->set->user);
}

static bool after(int64_t done, int64_t n, void *user)
{
    struct encoding *e = user;

    e->done = done;
    return between(done, n, e);
}

static enum status encode(float *latents, const float *pictures, int64_t n, void *user,
                          struct error *err)
{
    struct encoding *e = user;
    const struct dataset *d = e->set->pictures;
    enum status st;

    e->limits.first = (uint64_t)e->done;
    if (d->frames > 1)
        st = codec_encode_videos(e->set->codec, latents, pictures, n,
                                 &(struct video_size){d->frames, d->height, d->width}, &e->limits,
                                 err);
    else
        st =
            codec_encode(e->set->codec, latents, pictures, n, d->height, d->width, &e->limits, err);
    e->encoded += st ? 0 : n;
    return st;
}

static enum status check(const struct encode_set *s, struct error *err)
{
    int64_t channels = codec_network(s->codec)->io.in_channels;

    if (s->pictures->channels == channels)
        return OK;
    return fail(err, E_ARG,
                "the pictures have %" PRId64 " channels, and the autoencoder takes %" PRId64
                ": data.channels brings them to that",
                s->pictures->channels, channels);
}

int64_t encode_set_frames(const struct codec *c, const struct dataset *d)
{
    if (d->frames > 1)
        return codec_frames(c, d->frames);
    return codec_network(c)->io.frames ? 1 : 0;
}

static int64_t clips_at_once(const struct dataset *d)
{
    return whole_clamp(BATCH_PIXELS / (d->frames * d->height * d->width), 1, BATCH_MOST);
}

enum status encode_set(const struct encode_set *s, int64_t *encoded, struct error *err)
{
    const struct network_io *io = &codec_network(s->codec)->io;
    const struct dataset *d = s->pictures;
    struct encoding e = {.set = s, .limits = s->limits};
    struct codec_plan plan;
    enum status st;

    *encoded = 0;
    if ((st = check(s, err)))
        return st;
    e.n = d->count > INT64_MAX / 2 ? d->count : d->count * (s->mirrored ? 2 : 1);
    e.limits.progress = between;
    e.limits.user = &e;
    if ((st = codec_plan(&plan, s->codec, HALVES_ENCODER, whole_min(e.n, BATCH_MOST), d->height,
                         d->width, &e.limits, err)))
        return st;
    st = latents_write(&(struct latents_job){.pictures = d,
                                             .folder = s->folder,
                                             .autoencoder = codec_hash(s->codec),
                                             .height = plan.tiling.down.cells,
                                             .width = plan.tiling.across.cells,
                                             .channels = io->latent_channels,
                                             .frames = encode_set_frames(s->codec, d),
                                             .batch = d->frames > 1 ? clips_at_once(d) : plan.batch,
                                             .mirrored = s->mirrored,
                                             .sampled = s->limits.sample && io->gaussian,
                                             .seed = s->limits.seed,
                                             .encode = encode,
                                             .progress = after,
                                             .user = &e},
                       err);
    *encoded = e.encoded;
    return st;
}
