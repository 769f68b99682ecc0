/*
 * codec.c - autoencoders, for users of the library
 *
 * A codec keeps the plan of what it did last, so unlike a model it serves one call at a time.
 */
#include "api/api.h"

#include "base/memory.h"
#include "base/text.h"
#include "pipeline/codec_clip.h"
#include "pipeline/codec_picture.h"
#include "pipeline/codec_video.h"
#include "pipeline/encode_set.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)IMGEN_BOTH == (int)HALVES_BOTH && (int)IMGEN_ENCODER == (int)HALVES_ENCODER &&
                   (int)IMGEN_DECODER == (int)HALVES_DECODER,
               "halves have the same numbers");
_Static_assert(sizeof(((struct imgen_latent *)0)->picture) == HASH_TEXT, "hashes have one length");

struct imgen_codec {
    struct codec *codec;
};

enum imgen_status imgen_codec_open(struct imgen_codec **out, const char *path, enum imgen_half half,
                                   int threads, struct imgen_error *err)
{
    struct imgen_codec *c = NULL;
    struct error e = {0};
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&c, 1, sizeof *c, "a codec", &e)) ||
        (st = codec_open(&c->codec, path, (enum autoencoder_halves)half, api_threads(threads), &e)))
        imgen_codec_close(c);
    else
        *out = c;
    return api_status(err, &e, st);
}

void imgen_codec_close(struct imgen_codec *codec)
{
    if (!codec)
        return;
    codec_free(codec->codec);
    free(codec);
}

void imgen_codec_info(const struct imgen_codec *codec, struct imgen_codec_info *out)
{
    const struct network *net = codec_network(codec->codec);

    *out = (struct imgen_codec_info){
        .network = net->kind->name,
        .hash = codec_hash(codec->codec),
        .channels = (int)net->io.in_channels,
        .latent_channels = (int)net->io.latent_channels,
        .factor = (int)net->io.factor,
        .gaussian = net->io.gaussian,
        .encodes = net->io.has_encoder,
        .decodes = net->io.has_decoder,
        .videos = net->io.frames != 0,
        .frame_factor = (int)net->io.frame_factor,
        .weights = params_weights(net->params),
    };
}

/* --- how ----------------------------------------------------------------------------------------
 */

void imgen_coding_init(struct imgen_coding *how)
{
    *how = (struct imgen_coding){.memory = codec_memory_usual()};
}

static bool relay(int64_t done, int64_t n, void *user)
{
    const struct imgen_coding *how = user;

    return how->progress(done, n, how->user) != 0;
}

static struct codec_limits limits_of(const struct imgen_coding *how)
{
    if (!how)
        return (struct codec_limits){0};
    return (struct codec_limits){.memory = how->memory,
                                 .tile = how->tile,
                                 .overlap = how->overlap,
                                 .frames = how->frames,
                                 .sample = how->sample != 0,
                                 .seed = how->seed,
                                 .first = how->first,
                                 .progress = how->progress ? relay : NULL,
                                 .every = API_CALLBACK_SECONDS,
                                 .user = (void *)(uintptr_t)how};
}

enum imgen_status imgen_codec_plan(struct imgen_coding_plan *out, struct imgen_codec *codec,
                                   enum imgen_half half, int64_t n, int64_t height, int64_t width,
                                   const struct imgen_coding *how, struct imgen_error *err)
{
    struct codec_limits l = limits_of(how);
    struct codec_plan p = {0};
    struct error e = {0};
    enum status st =
        codec_plan(&p, codec->codec, (enum autoencoder_halves)half, n, height, width, &l, &e);

    *out = (struct imgen_coding_plan){
        .rows = p.tiling.down.cells,
        .columns = p.tiling.across.cells,
        .tiles_down = p.tiling.down.n,
        .tiles_across = p.tiling.across.n,
        .tile_rows = p.tiling.down.tile,
        .tile_columns = p.tiling.across.tile,
        .overlap = p.tiling.overlap,
        .strips = p.strips.runs,
        .batch = p.batch,
        .runs = p.runs,
        .bytes = p.bytes,
    };
    return api_status(err, &e, st);
}

/* --- arrays -------------------------------------------------------------------------------------
 */

enum imgen_status imgen_encode(struct imgen_codec *codec, float *latents, const float *pictures,
                               int64_t n, int64_t height, int64_t width,
                               const struct imgen_coding *how, struct imgen_error *err)
{
    struct codec_limits l = limits_of(how);
    struct error e = {0};

    return api_status(err, &e,
                      codec_encode(codec->codec, latents, pictures, n, height, width, &l, &e));
}

enum imgen_status imgen_decode(struct imgen_codec *codec, float *pictures, const float *latents,
                               int64_t n, int64_t height, int64_t width,
                               const struct imgen_coding *how, struct imgen_error *err)
{
    struct codec_limits l = limits_of(how);
    struct error e = {0};

    return api_status(err, &e,
                      codec_decode(codec->codec, pictures, latents, n, height, width, &l, &e));
}

/* --- clips --------------------------------------------------------------------------------------
 */

int64_t imgen_clip_cells(const struct imgen_codec *codec, int64_t frames)
{
    return codec_frames(codec->codec, frames);
}

static struct video_size inner_size(const struct imgen_clip_size *size)
{
    return (struct video_size){size->frames, size->height, size->width};
}

enum imgen_status imgen_encode_clips(struct imgen_codec *codec, float *latents, const float *clips,
                                     int64_t n, const struct imgen_clip_size *size,
                                     const struct imgen_coding *how, struct imgen_error *err)
{
    const struct video_size own = inner_size(size);
    struct codec_limits l = limits_of(how);
    struct error e = {0};

    return api_status(err, &e, codec_encode_videos(codec->codec, latents, clips, n, &own, &l, &e));
}

enum imgen_status imgen_decode_clips(struct imgen_codec *codec, float *clips, const float *latents,
                                     int64_t n, const struct imgen_clip_size *size,
                                     const struct imgen_coding *how, struct imgen_error *err)
{
    const struct video_size own = inner_size(size);
    struct codec_limits l = limits_of(how);
    struct error e = {0};

    return api_status(err, &e, codec_decode_videos(codec->codec, clips, latents, n, &own, &l, &e));
}

enum imgen_status imgen_codec_joints(int64_t *joint, int64_t *n, struct imgen_codec *codec,
                                     const struct imgen_clip_size *size,
                                     const struct imgen_coding *how, struct imgen_error *err)
{
    const struct video_size own = inner_size(size);
    struct codec_limits l = limits_of(how);
    struct error e = {0};

    return api_status(err, &e, codec_video_joints(joint, n, codec->codec, &own, &l, &e));
}

/* --- pictures and files -------------------------------------------------------------------------
 */

/* Values stay where they are. */
static struct picture_latent inner(const struct imgen_latent *z)
{
    struct picture_latent out = {.height = z->height,
                                 .width = z->width,
                                 .sampled = z->sampled != 0,
                                 .seed = z->seed,
                                 .tile_rows = z->tile_rows,
                                 .tile_columns = z->tile_columns,
                                 .frames = z->frames,
                                 .rate = z->rate,
                                 .cells = z->cells,
                                 .rows = z->rows,
                                 .columns = z->columns,
                                 .channels = z->channels,
                                 .values = z->values};

    memcpy(out.autoencoder, z->autoencoder, HASH_TEXT);
    memcpy(out.picture, z->picture, HASH_TEXT);
    return out;
}

static void outer(struct imgen_latent *out, const struct picture_latent *z)
{
    *out = (struct imgen_latent){.height = z->height,
                                 .width = z->width,
                                 .sampled = z->sampled,
                                 .seed = z->seed,
                                 .tile_rows = z->tile_rows,
                                 .tile_columns = z->tile_columns,
                                 .frames = z->frames,
                                 .rate = z->rate,
                                 .cells = z->cells,
                                 .rows = z->rows,
                                 .columns = z->columns,
                                 .channels = z->channels,
                                 .values = z->values};
    memcpy(out->autoencoder, z->autoencoder, HASH_TEXT);
    memcpy(out->picture, z->picture, HASH_TEXT);
}

void imgen_latent_release(struct imgen_latent *latent)
{
    free(latent->values);
    *latent = (struct imgen_latent){0};
}

enum imgen_status imgen_encode_image(struct imgen_latent *out, struct imgen_codec *codec,
                                     const struct imgen_image *image,
                                     const struct imgen_coding *how, struct imgen_error *err)
{
    struct codec_limits l = limits_of(how);
    struct picture_latent z = {0};
    struct image im = api_image(image);
    struct error e = {0};
    enum status st;

    if ((st = codec_encode_picture(&z, codec->codec, &im, &l, &e)))
        picture_latent_release(&z);
    outer(out, &z);
    return api_status(err, &e, st);
}

enum imgen_status imgen_decode_latent(struct imgen_image *out, struct imgen_codec *codec,
                                      const struct imgen_latent *latent,
                                      const struct imgen_coding *how, struct imgen_error *err)
{
    struct codec_limits l = limits_of(how);
    struct picture_latent z = inner(latent);
    struct image im = {0};
    struct error e = {0};
    enum status st = codec_decode_picture(&im, codec->codec, &z, &l, &e);

    api_image_out(out, &im);
    return api_status(err, &e, st);
}

enum imgen_status imgen_encode_clip(struct imgen_latent *out, struct imgen_codec *codec,
                                    const struct imgen_clip *clip, const struct imgen_coding *how,
                                    struct imgen_error *err)
{
    struct codec_limits l = limits_of(how);
    struct picture_latent z = {0};
    struct clip own = api_clip(clip);
    struct error e = {0};
    enum status st;

    if ((st = codec_encode_clip(&z, codec->codec, &own, &l, &e)))
        picture_latent_release(&z);
    outer(out, &z);
    return api_status(err, &e, st);
}

enum imgen_status imgen_decode_clip(struct imgen_clip *out, struct imgen_codec *codec,
                                    const struct imgen_latent *latent,
                                    const struct imgen_coding *how, struct imgen_error *err)
{
    struct codec_limits l = limits_of(how);
    struct picture_latent z = inner(latent);
    struct clip own = {0};
    struct error e = {0};
    enum status st = z.frames ? codec_decode_clip(&own, codec->codec, &z, &l, &e)
                              : fail(&e, E_FORMAT, "the latent of a picture, not of a clip");

    api_clip_out(out, &own);
    return api_status(err, &e, st);
}

enum imgen_status imgen_latent_check(const struct imgen_codec *codec,
                                     const struct imgen_latent *latent, struct imgen_error *err)
{
    struct picture_latent z = inner(latent);
    struct error e = {0};

    return api_status(err, &e, codec_check_latent(codec->codec, &z, &e));
}

enum imgen_status imgen_latent_read(struct imgen_latent *out, const char *path, int64_t channels,
                                    struct imgen_error *err)
{
    struct picture_latent z;
    struct error e = {0};
    enum status st;

    if ((st = picture_latent_read(&z, path, channels, &e)))
        picture_latent_release(&z);
    outer(out, &z);
    return api_status(err, &e, st);
}

enum imgen_status imgen_latent_write(const char *path, const struct imgen_latent *latent,
                                     struct imgen_error *err)
{
    struct picture_latent z = inner(latent);
    struct error e = {0};

    return api_status(err, &e, picture_latent_save(path, &z, &e));
}

/* --- sets ---------------------------------------------------------------------------------------
 */

enum imgen_status imgen_encode_set(struct imgen_codec *codec, const struct imgen_data *pictures,
                                   const char *folder, int mirrored, const struct imgen_coding *how,
                                   int64_t *encoded, struct imgen_error *err)
{
    struct codec_limits l = limits_of(how);
    struct encode_set set = {.codec = codec->codec,
                             .pictures = pictures->set,
                             .folder = folder,
                             .mirrored = mirrored != 0,
                             .limits = l,
                             .progress = l.progress,
                             .user = l.user};
    struct error e = {0};
    int64_t n;
    enum status st = encode_set(&set, &n, &e);

    if (encoded)
        *encoded = n;
    return api_status(err, &e, st);
}

int imgen_bytes(const char *text, int64_t *out)
{
    return text_to_bytes(text, out);
}

enum imgen_status imgen_file_hash(char out[65], const char *path, struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, hash_file(out, path, &e));
}
