/*
 * latent_data.c - what a run learns from: pictures, or latents of them
 *
 * A latent model is trained on what an autoencoder made of the pictures, once.  Whoever has a cache
 * of latents names it; whoever has pictures names an autoencoder and a folder, and the cache is
 * made there before the first step, gone on with where it was left, or found complete, after a look
 * at every picture.  One configuration then does all, and the same one, asked for its pictures
 * (`imgen eval -r`), has pictures: only a run sees latents.
 *
 * What the numbers of a cache mean, the cache knows: the autoencoder's hash, and mean and deviation
 * of each channel.  Held-out pictures have a mean of their own, which must not be used: their
 * latents are brought to the numbers that the model is trained on.
 *
 * A run that only says what it would take writes nothing.  Where there is no cache yet, noise
 * stands in for latents: it takes the same time and memory.
 */
#include "train/latent_data.h"

#include "base/memory.h"
#include "base/rng.h"
#include "base/whole.h"
#include "data/latents.h"
#include "data/latents_file.h"
#include "data/listing.h"
#include "pipeline/condition_set.h"
#include "pipeline/encode_set.h"
#include "pipeline/latent_decoder.h"
#include "train/evaluate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool given(const char *text)
{
    return text && *text;
}

static bool is_latents(const struct experiment *e)
{
    return !strcmp(dataset_format_at(e->data.format)->name, "latents");
}

static const char *autoencoder_of(const struct training_data_request *r)
{
    return r->autoencoder ? r->autoencoder : r->experiment->data.autoencoder;
}

static enum status check_keys(const struct training_data_request *r, struct error *err)
{
    const struct experiment *e = r->experiment;
    bool autoencoder = given(autoencoder_of(r)), cache = given(e->data.cache);

    if (r->autoencoder && given(e->data.autoencoder))
        return fail(err, E_ARG, "data.autoencoder: the model has its own, %s", r->autoencoder);
    if (is_latents(e) && cache)
        return fail(err, E_ARG,
                    "data.cache: the latents of data.path are one already; it is of pictures");
    if (cache && !autoencoder)
        return fail(err, E_ARG,
                    "data.cache: latents by which autoencoder? data.autoencoder "
                    "names it");
    if (autoencoder && !cache && !is_latents(e))
        return fail(err, E_ARG,
                    "data.autoencoder: where are latents of these pictures to be kept? data.cache "
                    "names a folder");
    return OK;
}

/* --- making a cache -----------------------------------------------------------------------------
 */

static enum status check_pictures(const struct dataset *d, const struct network *net,
                                  struct error *err)
{
    enum status st;

    if (d->channels != net->io.in_channels)
        return fail(err, E_ARG,
                    "data.autoencoder: it takes pictures of %" PRId64
                    " channels, and these have %" PRId64 " (data.channels)",
                    net->io.in_channels, d->channels);
    if ((st = autoencoder_check_size(net, d->height, d->width, err)))
        fail_under(err, "data.size");
    return st;
}

/* Write the cache of these pictures, or what is missing of it. */
static enum status make_cache(const char *folder, const struct dataset *pictures, bool mirrored,
                              struct codec *codec, const struct training_data_request *r,
                              struct error *err)
{
    const struct encode_set set = {.codec = codec,
                                   .pictures = pictures,
                                   .folder = folder,
                                   .mirrored = mirrored,
                                   .progress = r->progress,
                                   .user = r->user};
    int64_t encoded;

    return encode_set(&set, &encoded, err);
}

static enum status open_cache(struct dataset **out, const char *folder, const struct codec *codec,
                              struct error *err)
{
    const struct dataset_config c = {
        .format = "latents", .path = folder, .autoencoder = codec_hash(codec)};

    return dataset_open(out, &c, err);
}

/* --- noise in its place -------------------------------------------------------------------------
 */

static enum status noise_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                             char caption[CAPTION_TEXT], struct error *err)
{
    struct rng r = rng_stream(0, RNG_DATA, (uint64_t)i);

    (void)caption;
    (void)err;
    rng_normals(&r, pixels, dataset_length(d));
    *label = d->n_classes ? (int32_t)(i % d->n_classes) : -1;
    return OK;
}

static const struct dataset_format noise_format = {.name = "noise", .get = noise_get};

/* frames: of a latent; 0: they have none. */
static enum status open_noise(struct dataset **out, const struct dataset *pictures, bool mirrored,
                              const struct network_io *io, int64_t frames, struct error *err)
{
    struct dataset *d;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&d, 1, sizeof *d, "a data set", err)))
        return st;
    *d = (struct dataset){.format = &noise_format,
                          .count = mirrored ? 2 * pictures->count : pictures->count,
                          .height = pictures->height / io->factor,
                          .width = pictures->width / io->factor,
                          .channels = io->latent_channels,
                          .frames = frames};
    if (pictures->n_classes &&
        (st = dataset_name_classes(d, pictures->n_classes,
                                   (const char *const *)pictures->class_names, err))) {
        dataset_close(d);
        return st;
    }
    *out = d;
    return OK;
}

/* --- the space ----------------------------------------------------------------------------------
 */

static enum status space_of_cache(struct training_data *out, struct error *err)
{
    const struct latents_info *info = latents_info(out->set);

    enum status st = latent_space_new(&out->space, info->autoencoder, info->mean, info->deviation,
                                      out->set->channels, err);

    if (!st)
        out->space->frames = info->clip_frames;
    return st;
}

/* Noise is what it is. */
static enum status space_of_noise(struct training_data *out, const struct codec *codec,
                                  struct error *err)
{
    uint64_t n = (uint64_t)out->set->channels;
    double *numbers;
    enum status st;

    if ((st = mem_new((void **)&numbers, 2 * n, sizeof *numbers, "means", err)))
        return st;
    for (uint64_t i = 0; i < n; i++)
        numbers[n + i] = 1;
    st = latent_space_new(&out->space, codec_hash(codec), numbers, numbers + n, (int64_t)n, err);
    free(numbers);
    return st;
}

/* The set is of the same autoencoder, and from here on in the numbers of the space.  Of a published
 * model's there is no hash: its own has made them. */
static enum status in_space(struct dataset *d, const struct latent_space *s, const char *key,
                            struct error *err)
{
    const struct latents_info *info = latents_info(d);

    if (!info || d->channels != s->channels)
        return fail(err, E_ARG, "%s: no latents of %" PRId64 " channels", key, s->channels);
    if (!s->published && strcmp(info->autoencoder, s->hash) != 0)
        return fail(err, E_FORMAT, "%s: latents of the autoencoder %s, and the model's are of %s",
                    key, info->autoencoder, s->hash);
    latents_normalise_as(d, s->mean, s->deviation);
    return OK;
}

/* --- together -----------------------------------------------------------------------------------
 */

static enum status is_complete(bool *out, const char *folder, struct error *err)
{
    char *index;
    enum status st;

    if ((st = latents_index_path(&index, folder, err)))
        return st;
    *out = path_is_file(index);
    free(index);
    return OK;
}

/* Clips or pictures whose latents stand in `folder`, or for whom noise stands in. */
struct encoded {
    const char *folder;
    const struct dataset *pictures;
    bool mirrored, stands_in;
    struct codec *codec;
    const struct latent_space *space;
};

/* Beside these, what the network is told of beforehand, in the same numbers; NULL: it is told of
 * nothing. */
static enum status encode_known(struct dataset **out, const struct encoded *of,
                                const struct training_data_request *r, struct error *err)
{
    const struct network_io *io = &codec_network(of->codec)->io;
    struct dataset *told = NULL;
    char name[CONDITION_NAME], *inside = NULL;
    bool there;
    enum status st;

    *out = NULL;
    if (!condition_is_made(r->told))
        return OK;
    if ((st = condition_set_open(&told, of->pictures, r->told, err)) ||
        (st = listing_path(&inside, of->folder, condition_name(name, r->told), err)) ||
        (st = is_complete(&there, inside, err)))
        goto out;
    if (of->stands_in || (!r->writes && !there)) {
        st = open_noise(out, told, of->mirrored, io, encode_set_frames(of->codec, told), err);
        goto out;
    }
    if ((r->writes && (st = make_cache(inside, told, of->mirrored, of->codec, r, err))) ||
        (st = open_cache(out, inside, of->codec, err)))
        goto out;
    latents_normalise_as(*out, of->space->mean, of->space->deviation);
out:
    dataset_close(told);
    free(inside);
    return st;
}

/* Beside latents of clips, those of pictures, in the same numbers. */
static enum status encode_pictures(struct training_data *out, struct codec *codec,
                                   const struct training_data_request *r, struct error *err)
{
    const struct experiment *e = r->experiment;
    const struct network_io *io = &codec_network(codec)->io;
    struct dataset *pictures = NULL;
    char *folder = NULL;
    bool mirrored;
    enum status st;

    if ((st = experiment_pictures(e, &pictures, err)) ||
        (st = listing_path(&folder, e->data.cache, "pictures", err)))
        goto out;
    mirrored = e->train.flip && pictures->flips;
    if (out->stands_in) {
        st = open_noise(&out->pictures, pictures, mirrored, io, encode_set_frames(codec, pictures),
                        err);
        goto out;
    }
    if ((r->writes && (st = make_cache(folder, pictures, mirrored, codec, r, err))) ||
        (st = open_cache(&out->pictures, folder, codec, err)))
        goto out;
    latents_normalise_as(out->pictures, out->space->mean, out->space->deviation);
out:
    if (!st && r->told.upscale) /* the first frame of a picture would be all of it */
        st = encode_known(
            &out->pictures_known,
            &(struct encoded){folder, pictures, mirrored, out->stands_in, codec, out->space}, r,
            err);
    dataset_close(pictures);
    free(folder);
    return st;
}

/* Latents of the pictures that the configuration names. */
static enum status open_encoded(struct training_data *out, const struct training_data_request *r,
                                struct error *err)
{
    const struct experiment *e = r->experiment;
    struct dataset *pictures = NULL;
    struct codec *codec = NULL;
    bool mirrored, there;
    enum status st;

    if ((st = codec_open(&codec, autoencoder_of(r), HALVES_BOTH, r->threads, err)) ||
        (st = experiment_data(e, &pictures, err)) ||
        (st = check_pictures(pictures, codec_network(codec), err)) ||
        (condition_is_made(r->told) && (st = condition_set_check(pictures, r->told, err))) ||
        (st = is_complete(&there, e->data.cache, err)))
        goto out;
    mirrored = e->train.flip && pictures->flips;
    out->encoded = true;
    if (r->writes || there) {
        if ((r->writes && (st = make_cache(e->data.cache, pictures, mirrored, codec, r, err))) ||
            (st = open_cache(&out->set, e->data.cache, codec, err)))
            goto out;
        st = space_of_cache(out, err);
    } else {
        if ((st = open_noise(&out->set, pictures, mirrored, &codec_network(codec)->io,
                             encode_set_frames(codec, pictures), err)))
            goto out;
        out->stands_in = true;
        if (!(st = space_of_noise(out, codec, err)) && out->set->frames)
            out->space->frames = whole_max(pictures->frames, 1);
    }
    if (!st)
        st = encode_known(
            &out->known,
            &(struct encoded){e->data.cache, pictures, mirrored, out->stands_in, codec, out->space},
            r, err);
    if (!st && e->train.image_every)
        st = encode_pictures(out, codec, r, err);
out:
    dataset_close(pictures);
    codec_free(codec);
    return st;
}

/* Latents, or pictures, that the configuration names. */
static enum status open_named(struct training_data *out, const struct training_data_request *r,
                              struct error *err)
{
    const struct experiment *e = r->experiment;
    enum status st;

    if ((st = experiment_data(e, &out->set, err)))
        return st;
    if (latents_info(out->set) && condition_is_made(r->told))
        return fail(err, E_ARG,
                    "%s: data.path has latents of clips alone; data.cache makes those of what they "
                    "tell beside them",
                    r->told.upscale ? "movie.upscale" : "movie.first_frame");
    if (condition_is_made(r->told) && (st = condition_set_check(out->set, r->told, err)))
        return st;
    if (!latents_info(out->set))
        return e->train.image_every ? experiment_pictures(e, &out->pictures, err) : OK;
    if (e->train.image_every)
        return fail(
            err, E_ARG,
            "train.image_every: data.path has latents of clips alone; data.cache makes those "
            "of pictures beside them");
    return space_of_cache(out, err);
}

enum status training_data_open(struct training_data *out, const struct training_data_request *r,
                               struct error *err)
{
    const struct experiment *e = r->experiment;
    enum status st;

    memset(out, 0, sizeof *out);
    if ((st = check_keys(r, err)) ||
        (st = given(e->data.cache) ? open_encoded(out, r, err) : open_named(out, r, err)) ||
        !given(autoencoder_of(r)))
        return st;
    if ((st = autoencoder_find(out->space, NULL, autoencoder_of(r), err)))
        fail_under(err, "data.autoencoder");
    return st;
}

enum status training_data_as(struct training_data *d, const struct latent_space *s,
                             struct error *err)
{
    if (s && !d->space)
        return fail(err, E_ARG,
                    "data: the model works on latents, and these are pictures: data.cache names a "
                    "folder for their latents");
    if (!s && d->space)
        return fail(err, E_ARG, "data: the model works on pixels, and these are latents");
    if (s && d->set->channels != s->channels)
        return fail(err, E_ARG,
                    "data: latents of %" PRId64 " channels, and the model's have %" PRId64,
                    d->set->channels, s->channels);
    latent_space_free(d->space);
    d->space = NULL;
    if (s && d->known && !d->stands_in)
        latents_normalise_as(d->known, s->mean, s->deviation);
    return s && !d->stands_in ? in_space(d->set, s, "data", err) : OK;
}

void training_data_release(struct training_data *d)
{
    dataset_close(d->set);
    dataset_close(d->pictures);
    dataset_close(d->known);
    dataset_close(d->pictures_known);
    latent_space_free(d->space);
    memset(d, 0, sizeof *d);
}

/* --- held out -----------------------------------------------------------------------------------
 */

/* known: as training_data_held_out's. */
static enum status encode_held_out(struct dataset **out, struct dataset **known,
                                   const struct dataset *pictures, const struct latent_space *space,
                                   const struct training_data_request *r, struct error *err)
{
    struct codec *codec = NULL;
    char *folder = NULL;
    enum status st;

    if ((st = listing_path(&folder, r->experiment->data.cache, "held-out", err)) ||
        (st = codec_open(&codec, autoencoder_of(r), HALVES_BOTH, r->threads, err)) ||
        (st = check_pictures(pictures, codec_network(codec), err)) ||
        (st = make_cache(folder, pictures, false, codec, r, err)) ||
        (st = open_cache(out, folder, codec, err)))
        goto out;
    if (known)
        st = encode_known(known, &(struct encoded){folder, pictures, false, false, codec, space}, r,
                          err);
out:
    codec_free(codec);
    free(folder);
    return st;
}

/* Noise as the training's, where that is noise. */
static enum status noise_held_out(struct dataset **out, struct dataset **known,
                                  const struct training_data *of, struct error *err)
{
    struct network_io io = {.factor = 1, .latent_channels = of->set->channels};
    enum status st = open_noise(out, of->set, false, &io, of->set->frames, err);

    return st || !known || !of->known
               ? st
               : open_noise(known, of->known, false, &io, of->known->frames, err);
}

enum status training_data_held_out(struct dataset **out, struct dataset **known,
                                   const struct latent_space *space, const struct training_data *of,
                                   const struct training_data_request *r, struct error *err)
{
    const struct train_options *t = &r->experiment->train;
    struct dataset *d = NULL, *pictures = NULL;
    enum status st;

    *out = NULL;
    if (known)
        *known = NULL;
    if (of->stands_in)
        return noise_held_out(out, known, of, err);
    if ((st = evaluation_data(r->experiment, &d, err)))
        goto out;
    if (space && !latents_info(d)) {
        pictures = d;
        d = NULL;
        if (pictures->count == INT64_MAX) /* endless: what evaluations and sheets look at */
            pictures->count = t->eval_count > t->sample_count ? t->eval_count : t->sample_count;
        if ((st = encode_held_out(&d, known, pictures, space, r, err)))
            goto out;
    }
    if (space && known && !*known && condition_is_made(r->told)) {
        st = fail(err, E_ARG,
                  "data.eval_path: latents of clips alone, and the network is told of "
                  "more");
        goto out;
    }
    if (!space || !(st = in_space(d, space, "data.eval_path", err))) {
        *out = d;
        d = NULL;
    }
out:
    dataset_close(pictures);
    dataset_close(d);
    return st;
}
