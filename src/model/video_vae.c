/*
 * video_vae.c - the temporal autoencoder: videos to latents that are smaller in time as well
 *
 * Of a video's frames each is nearly the one before it, and a latent for every frame would say
 * everything eight times.  So the autoencoder of latent diffusion (vae.c) is inflated: behind every
 * convolution and attention that sees one frame stands one along time (vae_time.c), and where the
 * picture is halved or doubled, time is.  Polyak et al. 2024, "Movie Gen", section 3.1.1 (where it
 * is called TAE; the tiny autoencoder of tae.c is another); movie-gen.md 2.
 *
 *     frames    T  --- ceil(T / 2^halvings) ---> latent frames --- 2^halvings each ---> frames
 *
 * Any number of frames will do, one of them too: a picture.  What is decoded may have a few frames
 * more than went in, and those at its end are dropped (autoencoder_cut).
 *
 * The names of what sees a frame are those of the picture's autoencoder, and all others have
 * ".time." in them: so inflation is copying by name.  Group norms take a frame by itself, so that a
 * frame's statistics do not depend on how a video is cut into tiles.
 *
 * Videos too long for memory are cut in time (pipeline/frame_tiles.c); there are no steps for
 * strips.
 */
#include "model/video_vae.h"

#include <inttypes.h>
#include <string.h>

static const struct option options[] = {
    VAE_SIZE_OPTIONS,
    VAE_LATENT_OPTIONS,
    {"frames", "frames of the videos it is trained on", OPTION_INT,
     offsetof(struct video_vae_config, frames), "16", .lo = 1, .hi = 65536},
    {"halvings", "how often time is halved, by the first changes of size", OPTION_INT,
     offsetof(struct video_vae_config, halvings), "3", .lo = 0, .hi = 7},
    {"log_variance", "what the log variances of latents begin with", OPTION_REAL,
     offsetof(struct video_vae_config, log_variance), "-6", .lo = -30, .hi = 20},
    {0},
};

static void video_vae_io(const void *config, struct network_io *io)
{
    const struct video_vae_config *c = config;

    vae_io(&c->space, io);
    io->frames = c->frames;
    io->frame_factor = (int64_t)1 << c->halvings;
}

static enum status video_vae_check(const void *config, struct error *err)
{
    const struct video_vae_config *c = config;
    enum status st = vae_check_form("video_vae", &c->space, err);

    if (!st && c->halvings > c->space.mult.n - 1)
        st = fail(err, E_ARG,
                  "video_vae.halvings: time is halved %" PRId64 " times, and frames change their "
                  "size %d times",
                  c->halvings, c->space.mult.n - 1);
    return st;
}

static void *video_vae_declare(const void *config, struct scope s)
{
    const struct video_vae_config *c = config;
    struct vae_form form = {&c->space, true, c->halvings, c->log_variance};

    return vae_declare_form(&form, s);
}

/* --- inflation ----------------------------------------------------------------------------------
 */

static bool along_time(const struct param *p)
{
    return strstr(p->name, ".time.") != NULL;
}

static enum status take_params(struct network *net, const struct network *image, struct error *err)
{
    int64_t taken = 0;

    for (int64_t i = 0; i < params_count(net->params); i++) {
        struct param *p = params_at(net->params, i);
        const struct param *q = params_find(image->params, p->name);
        char here[SHAPE_TEXT], there[SHAPE_TEXT];

        if (along_time(p))
            continue;
        if (!q || !shape_equal(p->shape, q->shape))
            return fail(err, E_ARG, "%s: the autoencoder of pictures has %s, that of videos %s",
                        p->name, q ? shape_text(there, q->shape) : "none",
                        shape_text(here, p->shape));
        param_read(p->value, q);
        taken++;
    }
    if (taken < params_count(image->params))
        return fail(err, E_ARG,
                    "the autoencoder of pictures has %" PRId64 " parameters that that of videos "
                    "has not",
                    params_count(image->params) - taken);
    return OK;
}

enum status video_vae_inflate(struct network *net, const struct network *image, struct error *err)
{
    const struct network_io *io = &image->io;
    enum status st;

    MUST(net->kind == &network_video_vae, "a %s cannot be inflated to", net->kind->name);
    if (image->kind != &network_vae)
        return fail(err, E_ARG,
                    "a '%s' cannot be inflated to an autoencoder of videos; a 'vae' "
                    "can",
                    image->kind->name);
    if ((st = take_params(net, image, err)) ||
        (st = autoencoder_set(net, "scale", io->scale->at, io->scale->n, err)) ||
        (st = autoencoder_set(net, "shift", io->shift->at, io->shift->n, err)))
        return st;
    return autoencoder_set(net, "preview", io->preview->at, io->preview->n, err);
}

const struct network_kind network_video_vae = {
    .name = "video_vae",
    .summary = "autoencoder of videos, inflated from one of pictures",
    .paper = "Polyak et al. 2024",
    .options = options,
    .config_bytes = sizeof(struct video_vae_config),
    .check = video_vae_check,
    .declare = video_vae_declare,
    .io = video_vae_io,
    .forward = autoencoder_forward,
    .encode = vae_encode,
    .decode = vae_decode,
    .last = vae_last,
};
