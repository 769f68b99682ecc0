/*
 * given.c - the frame or clip of a request that its model is told of beforehand, as the model wants
 * it
 *
 * A first frame may be any picture: it goes the way of a picture to make others of, to the model's
 * size.  A clip to be made larger has its size already, and the model makes that many times as much
 * of it; whoever has another one asks the model for other sizes, and nothing is scaled in silence.
 */
#include "api/api.h"

#include "base/memory.h"
#include "data/picture.h"
#include "pipeline/condition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t white[3] = {255, 255, 255};

static enum status read_frame(uint8_t **out, const struct imgen_image *init, const struct model *m,
                              struct error *err)
{
    const struct view_shape s = view_shape(m, false);
    struct image in, shaped = {0};
    enum status st;

    if ((st = api_image_check(init, "a first frame", err)))
        return st;
    in = api_image(init);
    if (!(st = picture_shape(&shaped, &in, s.height, s.width, s.channels, white, false, err)))
        *out = shaped.pixels;
    return st;
}

static enum status check_clip(const struct imgen_clip *c, const struct model *m, struct error *err)
{
    const struct view_shape s = view_shape(m, false);
    int64_t times = m->network->io.upscale;

    if (c->frames < 1 || c->height < 1 || c->width < 1 || c->channels < 1 || c->channels > 4 ||
        !c->pixels)
        return fail(err, E_ARG,
                    "a clip of %" PRId64 " frames of %" PRId64 " x %" PRId64 " with %" PRId64
                    " channels is none",
                    c->frames, c->width, c->height, c->channels);
    if (c->frames == s.frames && times * c->height == s.height && times * c->width == s.width)
        return OK;
    return fail(err, E_ARG,
                "a clip of %" PRId64 " frames of %" PRId64 " x %" PRId64
                ", and the model makes such of %" PRId64 " frames of %" PRId64 " x %" PRId64
                " %" PRId64 " times larger",
                c->frames, c->width, c->height, s.frames, s.width / times, s.height / times, times);
}

/* Frame by frame, alpha over white. */
static enum status read_clip(uint8_t **out, const struct imgen_clip *c, const struct model *m,
                             struct error *err)
{
    const int64_t channels = view_shape(m, false).channels;
    const struct clip in = api_clip(c);
    size_t bytes = (size_t)(c->height * c->width * channels);
    enum status st;

    if ((st = check_clip(c, m, err)) ||
        (st = mem_new((void **)out, (uint64_t)c->frames, bytes, "a clip", err)))
        return st;
    for (int64_t t = 0; t < c->frames && !st; t++) {
        const struct image frame = clip_frame(&in, t);
        struct image flat = {0};

        if (!(st = image_convert(&flat, &frame, channels, white, err)))
            memcpy(*out + (size_t)t * bytes, flat.pixels, bytes);
        image_release(&flat);
    }
    return st;
}

enum status api_given_init(uint8_t **out, const struct imgen_request *r, const struct model *m,
                           struct error *err)
{
    const struct condition_kind k = condition_kind_of(&m->network->io);
    struct imgen_clip one;

    *out = NULL;
    if (r->init_clip && !k.upscale)
        return fail(err, E_ARG, "a clip is given, and the model makes none larger");
    if (r->init_clip && r->init)
        return fail(err, E_ARG, "a picture and a clip to make larger: one of the two");
    if (!condition_is_made(k) || (!r->init && !r->init_clip))
        return OK;
    if (r->mask)
        return fail(err, E_ARG, "a mask: nothing of a clip is made anew under one");
    if (k.first_frame)
        return read_frame(out, r->init, m, err);
    if (r->init_clip)
        return read_clip(out, r->init_clip, m, err);
    one = (struct imgen_clip){.frames = 1,
                              .height = r->init->height,
                              .width = r->init->width,
                              .channels = r->init->channels,
                              .pixels = r->init->pixels};
    return read_clip(out, &one, m, err);
}
