/*
 * condition.c - what a network is told of a clip beforehand: its first frame, or all of it, smaller
 *
 * A network that sees what is known of a clip beside the noise, as further channels of the same
 * places, learns to make the rest of it.  Given the first frame it makes that picture move; given
 * the clip in a smaller size it makes the detail, which is an upsampler.  Nothing else of training
 * or sampling changes: the noise, the loss and the solver are of the clip alone.  Polyak et al.
 * 2024, "Movie Gen", sections 3.1.5 and 5; movie-gen.md 5.
 *
 * What a user gives is pictures in files, so what training shows is what such files would have
 * held: a clip is made smaller into 8 bits and brought back to its size in the same way.  Bilinear
 * interpolation back, as the paper has it, adds no edges of its own that would have to be unlearnt.
 *
 * In latents the first frame goes through the autoencoder alone, as a picture.  The first latent of
 * a clip would not do: an autoencoder of videos sees the next frames in it, which nobody has who is
 * about to have them made.
 */
#include "pipeline/condition.h"

#include "base/memory.h"
#include "base/whole.h"
#include "data/picture.h"
#include "pipeline/latent_decoder.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct condition_kind condition_kind_of(const struct network_io *io)
{
    return (struct condition_kind){.first_frame = io->first_frame > 0, .upscale = io->upscale};
}

bool condition_is_made(struct condition_kind k)
{
    return k.first_frame || k.upscale;
}

const char *condition_name(char out[CONDITION_NAME], struct condition_kind k)
{
    if (k.upscale)
        snprintf(out, CONDITION_NAME, "upscale-%" PRId64, k.upscale);
    else
        snprintf(out, CONDITION_NAME, "first-frame");
    return out;
}

/* --- as a network reads it ----------------------------------------------------------------------
 */

int64_t condition_length(const struct network *net)
{
    return network_places(net) * net->io.condition_channels;
}

int64_t condition_source(const struct network *net)
{
    const struct network_io *io = &net->io;
    int64_t places = io->upscale ? network_places(net) : io->height * io->width;

    return places * io->in_channels;
}

void condition_fill(float *out, const struct network *net, const float *source)
{
    int64_t C = net->io.in_channels, n = condition_source(net), K = C + 1;

    if (net->io.upscale) {
        memcpy(out, source, (size_t)n * sizeof *out);
        return;
    }
    memset(out, 0, (size_t)condition_length(net) * sizeof *out);
    for (int64_t i = 0; source && i < n / C; i++) {
        memcpy(out + i * K, source + i * C, (size_t)C * sizeof *out);
        out[i * K + C] = 1;
    }
}

/* --- in pixels ----------------------------------------------------------------------------------
 */

/* One of the frames of a clip in 8 bits; pixels stay the clip's. */
static struct image frame_of(const uint8_t *clip, int64_t t, int64_t height, int64_t width,
                             int64_t channels)
{
    return (struct image){height, width, channels,
                          (uint8_t *)(uintptr_t)clip + t * height * width * channels};
}

enum status condition_shrink(uint8_t *small, const uint8_t *clip, const struct view_shape *shape,
                             int64_t times, struct error *err)
{
    int64_t height = shape->height / times, width = shape->width / times;
    size_t bytes = (size_t)(height * width * shape->channels);
    enum status st = OK;

    for (int64_t t = 0; t < shape->frames && !st; t++) {
        const struct image in = frame_of(clip, t, shape->height, shape->width, shape->channels);
        struct image made = {0};

        if (!(st = image_resize(&made, &in, height, width, RESIZE_BICUBIC, err)))
            memcpy(small + (size_t)t * bytes, made.pixels, bytes);
        image_release(&made);
    }
    return st;
}

enum status condition_enlarge(float *clip, const uint8_t *small, const struct view_shape *shape,
                              int64_t times, struct error *err)
{
    int64_t frame = shape->height * shape->width * shape->channels;
    enum status st = OK;

    for (int64_t t = 0; t < shape->frames && !st; t++) {
        const struct image in =
            frame_of(small, t, shape->height / times, shape->width / times, shape->channels);
        struct image made = {0};

        if (!(st = image_resize(&made, &in, shape->height, shape->width, RESIZE_BILINEAR, err)))
            picture_floats(clip + t * frame, made.pixels, frame);
        image_release(&made);
    }
    return st;
}

enum status condition_blur(float *out, const float *clip, const struct view_shape *shape,
                           int64_t times, struct error *err)
{
    int64_t n = view_length(shape);
    uint8_t *levels = NULL, *small = NULL;
    enum status st;

    if (!(st = mem_new((void **)&levels, (uint64_t)n, sizeof *levels, "a clip", err)) &&
        !(st = mem_new((void **)&small, (uint64_t)(n / (times * times)), sizeof *small,
                       "a smaller clip", err)) &&
        !(st = picture_levels(levels, clip, n, err)) &&
        !(st = condition_shrink(small, levels, shape, times, err)))
        st = condition_enlarge(out, small, shape, times, err);
    free(levels);
    free(small);
    return st;
}

/* --- of a request -------------------------------------------------------------------------------
 */

/* Of the pictures whose latents, or whose pixels, the condition is made of. */
static struct view_shape shape_of(const struct model *m)
{
    struct view_shape s = view_shape(m, false);

    if (!m->network->io.upscale)
        s.frames = 1;
    return s;
}

int64_t condition_given(const struct model *m)
{
    const struct view_shape s = shape_of(m);
    int64_t times = whole_max(m->network->io.upscale, 1);

    return view_length(&s) / (times * times);
}

/* source [condition_source] from pixels of this shape. */
static enum status encode(float *source, const struct model *m, const float *pixels,
                          const struct view_shape *shape, int threads, graph_watch *watch,
                          void *user, struct error *err)
{
    int64_t n = condition_source(m->network);
    double *x;
    enum status st;

    if ((st = mem_new((void **)&x, (uint64_t)n, sizeof *x, "latents", err)))
        return st;
    st = latent_encode(m->space, x, pixels, m->network->io.upscale ? shape->frames : 0,
                       shape->height, shape->width, threads, watch, user, err);
    for (int64_t i = 0; i < n && !st; i++)
        source[i] = (float)x[i];
    free(x);
    return st;
}

enum status condition_read(float *out, const struct model *m, const uint8_t *given, int threads,
                           graph_watch *watch, void *user, struct error *err)
{
    const struct view_shape shape = shape_of(m);
    int64_t n = view_length(&shape), times = m->network->io.upscale;
    float *pixels = NULL, *source = NULL;
    enum status st;

    if ((st = mem_new((void **)&pixels, (uint64_t)n, sizeof *pixels, "what is given", err)) ||
        (m->space && (st = mem_new((void **)&source, (uint64_t)condition_source(m->network),
                                   sizeof *source, "latents", err))))
        goto out;
    if (times)
        st = condition_enlarge(pixels, given, &shape, times, err);
    else
        picture_floats(pixels, given, n);
    if (!st && m->space)
        st = encode(source, m, pixels, &shape, threads, watch, user, err);
    if (!st)
        condition_fill(out, m->network, source ? source : pixels);
out:
    free(pixels);
    free(source);
    return st;
}
