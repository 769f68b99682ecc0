/*
 * viewer.c - what a solver leaves, as pictures: pixels as they are, latents decoded
 *
 * Sampling is the same in pixels and in latents, up to its last line.  This is that line, and the
 * look at a picture that is under way: whoever asks for pictures gets pictures, of the size that
 * view_shape says, and need not know what the network works on.
 */
#include "pipeline/viewer.h"

#include "base/memory.h"
#include "base/whole.h"

#include <stdlib.h>
#include <string.h>

struct view_shape view_shape(const struct model *m, bool rough)
{
    const struct network_io *io = &m->network->io;
    const struct latent_space *s = m->space;
    int64_t factor = s && !rough ? s->factor : 1;

    if (!s)
        return (struct view_shape){io->height, io->width, io->in_channels, model_frames(m)};
    if (!s->found)
        return (struct view_shape){0};
    return (struct view_shape){factor * io->height, factor * io->width, s->picture_channels,
                               rough ? whole_max(io->frames, 1) : model_frames(m)};
}

int64_t view_length(const struct view_shape *s)
{
    return s->frames * s->height * s->width * s->channels;
}

static enum status open_decoder(struct viewer *v, const char *tiny, int threads, struct error *err)
{
    const struct network_io *io = &v->model->network->io;
    const struct latent_decoder_how how = {.height = io->height,
                                           .width = io->width,
                                           .frames = io->frames,
                                           .clip_frames = model_frames(v->model),
                                           .tiny = tiny,
                                           .threads = threads};
    int64_t factor;
    enum status st;

    if ((st = latent_decoder_open(&v->decoder, v->model->space, &how, err)))
        return st;
    factor = latent_preview_factor(v->decoder);
    if (v->rough && !factor)
        return fail(err, E_ARG, "%s: the autoencoder has no linear preview of its latents",
                    v->model->space->found);
    v->previews.height = factor * io->height;
    v->previews.width = factor * io->width;
    v->previews.frames = whole_max(io->frames, 1);
    return OK;
}

enum status viewer_init(struct viewer *v, const struct model *m, const char *tiny, bool rough,
                        int64_t at_once, int threads, struct error *err)
{
    uint64_t n;
    enum status st;

    *v = (struct viewer){.model = m, .rough = rough};
    v->shape = v->previews = view_shape(m, rough);
    if (!m->space && (rough || tiny))
        return fail(err, E_ARG, "the model makes pixels: there are no latents to preview");
    if (!m->space)
        return OK;
    if ((st = open_decoder(v, tiny, threads, err)))
        return st;
    n = (uint64_t)(at_once * view_length(&v->previews));
    if (!n)
        return OK;
    if ((st = mem_new((void **)&v->seen, n, sizeof *v->seen, "previews", err)))
        return st;
    return mem_new((void **)&v->shown, n, sizeof *v->shown, "previews", err);
}

void viewer_release(struct viewer *v)
{
    latent_decoder_close(v->decoder);
    free(v->seen);
    free(v->shown);
    memset(v, 0, sizeof *v);
}

enum status viewer_pictures(struct viewer *v, float *pictures, const double *x, int64_t n,
                            graph_watch *watch, void *user, struct error *err)
{
    int64_t all = n * view_length(&v->shape);

    if (v->rough)
        return latent_preview(v->decoder, pictures, x, n, err);
    if (v->decoder)
        return latent_decode(v->decoder, pictures, x, n, watch, user, err);
    for (int64_t i = 0; i < all; i++)
        pictures[i] = (float)x[i];
    return OK;
}

enum status viewer_bytes(struct viewer *v, int64_t *bytes, int64_t n, struct error *err)
{
    *bytes = 0;
    return v->decoder && !v->rough ? latent_decoder_bytes(v->decoder, bytes, n, err) : OK;
}

/* A preview that cannot be had is no reason to lose the picture. */
const double *viewer_preview(struct viewer *v, const double *x, int64_t n)
{
    int64_t all = n * view_length(&v->previews);

    if (!v->decoder)
        return x;
    if (!v->shown || latent_preview(v->decoder, v->seen, x, n, NULL))
        return NULL;
    for (int64_t i = 0; i < all; i++)
        v->shown[i] = (double)v->seen[i];
    return v->shown;
}
