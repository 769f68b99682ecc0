/*
 * latent_decoder.c - the one place where latents become pictures, and pictures latents
 *
 * A latent model's file names its autoencoder by hash and says under which name it was last seen.
 * Files are moved and renamed, most often together, so besides that name the model's own folder is
 * searched; what is found is believed by its hash alone.
 *
 * A picture must not depend on the machine, on its batch or on its threads, so how it is cut into
 * tiles may not follow from memory: a latent of up to TILE cells a side is decoded whole, a larger
 * one in tiles of that side, always.
 *
 * A preview is looked at for a second while the solver works.  The linear one costs nothing; a tiny
 * autoencoder (taesd and its kin) shows nearly the picture at a thousandth of the decoder's price.
 * Those are distilled on latents as generators see them, scaled by the large one's numbers, and
 * what was undone of the model's own numbers is scaled so again.
 */
#include "pipeline/latent_decoder.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/whole.h"
#include "data/listing.h"
#include "pipeline/codec_video.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 64 };

/* --- finding ------------------------------------------------------------------------------------
 */

struct found {
    char hash[HASH_TEXT];
    int64_t factor, frame_factor, picture_channels, latent_channels;
    bool previews;
};

/* What autoencoder stands there. */
static enum status look_at(struct found *out, const char *path, struct error *err)
{
    const struct network_io *io;
    struct codec *c;
    enum status st;

    if ((st = codec_open(&c, path, HALVES_DECODER, 1, err)))
        return st;
    io = &codec_network(c)->io;
    *out = (struct found){.factor = io->factor,
                          .frame_factor = io->frame_factor,
                          .picture_channels = io->in_channels,
                          .latent_channels = io->latent_channels,
                          .previews = io->preview->n > 0};
    memcpy(out->hash, codec_hash(c), HASH_TEXT);
    codec_free(c);
    return OK;
}

static bool is_it(const struct latent_space *s, const struct found *f)
{
    return !strcmp(s->hash, f->hash) && s->channels == f->latent_channels;
}

static enum status take(struct latent_space *s, const char *path, const struct found *f,
                        struct error *err)
{
    s->factor = f->factor;
    s->frame_factor = f->frame_factor;
    s->picture_channels = f->picture_channels;
    s->previews = f->previews;
    return mem_text(&s->found, path, err);
}

static enum status take_named(struct latent_space *s, const char *path, struct error *err)
{
    struct found f;
    enum status st;

    if ((st = look_at(&f, path, err)))
        return st;
    if (is_it(s, &f))
        return take(s, path, &f, err);
    return fail(err, E_FORMAT,
                "%s: the autoencoder %s, of %" PRId64
                " channels, and the latents are those of the autoencoder %s, of %" PRId64,
                path, f.hash, f.latent_channels, s->hash, s->channels);
}

/* Whether it is the one; what else stands there, or why nothing does, is told in `seen`. */
static enum status try(struct latent_space *s, const char *path, struct text *seen,
                       struct error *err)
{
    struct error why = {0};
    struct found f;
    enum status st = look_at(&f, path, &why);

    if (st == E_MEMORY)
        return fail(err, st, "%s", why.text);
    if (!st && is_it(s, &f))
        return take(s, path, &f, err);
    if (st)
        text_add(seen, "%.240s; ", why.text);
    else
        text_add(seen, "%.160s: another autoencoder, with sha256 %.12s...; ", path, f.hash);
    return OK;
}

/* Under the name that the model knows, and under that in the model's folder. */
static enum status try_name(struct latent_space *s, const char *folder, struct text *seen,
                            struct error *err)
{
    const char *last = strrchr(s->file, '/');
    char *path = NULL;
    enum status st;

    if ((st = s->file[0] == '/' ? mem_text(&path, s->file, err)
                                : listing_path(&path, folder, s->file, err)) ||
        (st = try(s, path, seen, err)) || s->found || !last)
        goto out;
    free(path);
    if (!(st = listing_path(&path, folder, last + 1, err)))
        st = try(s, path, seen, err);
out:
    free(path);
    return st;
}

/* Any autoencoder in the folder; *n: how many files were looked at. */
static enum status try_folder(struct latent_space *s, const char *folder, int64_t *n,
                              struct error *err)
{
    struct text unsaid;
    struct listing l;
    char ignored[8];
    enum status st;

    text_init(&unsaid, ignored, sizeof ignored);
    if ((st = listing_read(&l, folder, err)))
        return st == E_MEMORY ? st : OK;
    for (int64_t i = 0; i < l.n && !s->found && !st; i++) {
        char *path;

        if (!name_ends(l.names[i], ".safetensors"))
            continue;
        ++*n;
        if ((st = listing_path(&path, folder, l.names[i], err)))
            break;
        st = try(s, path, &unsaid, err);
        free(path);
    }
    listing_release(&l);
    return st;
}

static enum status search(struct latent_space *s, const char *folder, struct error *err)
{
    char said[560];
    struct text seen;
    int64_t n = 0;
    enum status st;

    text_init(&seen, said, sizeof said);
    if ((s->file && (st = try_name(s, folder, &seen, err))) ||
        (!s->found && (st = try_folder(s, folder, &n, err))))
        return st;
    if (s->found)
        return OK;
    return fail(err, E_IO,
                "the latents are those of the autoencoder with sha256 %s, which was not found: "
                "%snone of the %" PRId64 " .safetensors files in %s is it",
                s->hash, said, n, folder);
}

enum status autoencoder_find(struct latent_space *s, const char *folder, const char *named,
                             struct error *err)
{
    free(s->found);
    s->found = NULL;
    s->factor = s->picture_channels = s->frame_factor = 0;
    s->previews = false;
    return named ? take_named(s, named, err) : search(s, folder ? folder : ".", err);
}

/* --- decoding -----------------------------------------------------------------------------------
 */

struct latent_decoder {
    const struct latent_space *space;
    struct codec *codec, *tiny;  /* tiny: or NULL */
    int64_t height, width;       /* of latents    */
    int64_t frames, clip_frames; /* as asked: frames 0 of pictures */
};

static enum status check_tiny(const struct latent_decoder *d, const char *path, struct error *err)
{
    const struct network_io *io = &codec_network(d->tiny)->io;

    if (io->latent_channels == d->space->channels && io->in_channels == d->space->picture_channels)
        return OK;
    return fail(err, E_ARG,
                "%s: makes pictures of %" PRId64 " channels from latents of %" PRId64
                ", and the model's autoencoder makes them of %" PRId64 " from %" PRId64,
                path, io->in_channels, io->latent_channels, d->space->picture_channels,
                d->space->channels);
}

static enum status open_half(struct codec **out, const struct latent_space *s,
                             enum autoencoder_halves half, int threads, struct error *err)
{
    return (s->published ? codec_open_unnamed : codec_open)(out, s->found, half, threads, err);
}

enum status latent_decoder_open(struct latent_decoder **out, const struct latent_space *s,
                                const struct latent_decoder_how *how, struct error *err)
{
    struct latent_decoder *d;
    enum status st;

    *out = NULL;
    MUST(s->found, "an autoencoder that was not found is opened");
    if ((st = mem_new((void **)&d, 1, sizeof *d, "a decoder of latents", err)))
        return st;
    d->space = s;
    d->height = how->height;
    d->width = how->width;
    d->frames = how->frames;
    d->clip_frames = how->clip_frames;
    if ((st = open_half(&d->codec, s, HALVES_DECODER, how->threads, err)) ||
        (how->tiny && ((st = codec_open(&d->tiny, how->tiny, HALVES_DECODER, how->threads, err)) ||
                       (st = check_tiny(d, how->tiny, err)))))
        latent_decoder_close(d);
    else
        *out = d;
    return st;
}

void latent_decoder_close(struct latent_decoder *d)
{
    if (!d)
        return;
    codec_free(d->codec);
    codec_free(d->tiny);
    free(d);
}

/* Of one latent, in all of its frames. */
static int64_t places(const struct latent_decoder *d)
{
    return whole_max(d->frames, 1) * d->height * d->width;
}

static struct video_size size_of(const struct latent_decoder *d)
{
    int64_t factor = d->space->factor;

    return (struct video_size){d->clip_frames, factor * d->height, factor * d->width};
}

/* *z: the latents as the autoencoder makes them, heap. */
static enum status undo(const struct latent_decoder *d, float **z, const double *x, int64_t n,
                        struct error *err)
{
    int64_t cells = n * places(d);
    enum status st;

    if ((st = mem_new((void **)z, (uint64_t)(cells * d->space->channels), sizeof **z, "latents",
                      err)))
        return st;
    latent_space_undo(d->space, *z, x, cells);
    return OK;
}

/* Pictures of a published model are those of other programs: whole, or in strips. */
static struct codec_limits limits_of(const struct latent_space *s)
{
    if (s->published)
        return (struct codec_limits){.memory = codec_memory_usual()};
    return (struct codec_limits){.tile = TILE};
}

enum status latent_decode(struct latent_decoder *d, float *pictures, const double *x, int64_t n,
                          graph_watch *watch, void *user, struct error *err)
{
    struct codec_limits limits = limits_of(d->space);
    const struct video_size size = size_of(d);
    float *z;
    enum status st;

    limits.watch = watch;
    limits.watch_user = user;
    if ((st = undo(d, &z, x, n, err)))
        return st;
    st = d->frames ? codec_decode_videos(d->codec, pictures, z, n, &size, &limits, err)
                   : codec_decode(d->codec, pictures, z, n, size.height, size.width, &limits, err);
    free(z);
    return st;
}

enum status latent_decoder_bytes(struct latent_decoder *d, int64_t *bytes, int64_t n,
                                 struct error *err)
{
    const struct codec_limits limits = limits_of(d->space);
    const struct video_size size = size_of(d);
    struct codec_plan plan = {0};
    enum status st;

    if ((st = d->frames ? codec_videos_bytes(d->codec, HALVES_DECODER, &plan.bytes, n, &size, err)
                        : codec_plan(&plan, d->codec, HALVES_DECODER, n, size.height, size.width,
                                     &limits, err)))
        return st;
    *bytes = plan.bytes + n * places(d) * d->space->channels * (int64_t)sizeof(float);
    return OK;
}

enum status latent_encode(const struct latent_space *s, double *x, const float *pixels,
                          int64_t frames, int64_t height, int64_t width, int threads,
                          graph_watch *watch, void *user, struct error *err)
{
    const struct video_size size = {frames, height, width};
    struct codec_limits limits = limits_of(s);
    int64_t cells = height / s->factor * (width / s->factor);
    struct codec *c = NULL;
    float *z = NULL;
    enum status st;

    MUST(s->found, "an autoencoder that was not found is opened");
    limits.watch = watch;
    limits.watch_user = user;
    if ((st = open_half(&c, s, HALVES_ENCODER, threads, err)))
        goto out;
    cells *= frames ? codec_frames(c, frames) : 1;
    if (!(st = mem_new((void **)&z, (uint64_t)(cells * s->channels), sizeof *z, "latents", err)) &&
        !(st = frames ? codec_encode_videos(c, z, pixels, 1, &size, &limits, err)
                      : codec_encode(c, z, pixels, 1, height, width, &limits, err)))
        latent_space_apply(s, x, z, cells);
out:
    codec_free(c);
    free(z);
    return st;
}

/* --- previews -----------------------------------------------------------------------------------
 */

int64_t latent_preview_factor(const struct latent_decoder *d)
{
    if (d->tiny)
        return codec_network(d->tiny)->io.factor;
    return codec_network(d->codec)->io.preview->n ? 1 : 0;
}

enum status latent_preview(struct latent_decoder *d, float *pictures, const double *x, int64_t n,
                           struct error *err)
{
    const struct network *net = codec_network(d->codec);
    const struct codec_limits limits = limits_of(d->space);
    int64_t cells = n * places(d), factor = latent_preview_factor(d);
    int64_t frames = whole_max(d->frames, 1);
    float *z;
    enum status st;

    MUST(factor, "previews of latents whose autoencoder has no numbers for them");
    if ((st = undo(d, &z, x, n, err)))
        return st;
    latents_scale(net, z, cells);
    if (d->tiny)
        st = codec_decode(d->tiny, pictures, z, n * frames, factor * d->height, factor * d->width,
                          &limits, err);
    else
        latents_preview(net, pictures, z, cells);
    free(z);
    return st;
}
