/*
 * repaint.c - the picture and the mask of a request, as the model wants them
 *
 * Whoever asks has a picture of any size and number of channels, and a mask painted over it.  Both
 * go the same way to the model's size, so a pixel of the one stays under that of the other; for
 * that they must have one size to begin with, and a mask of another is refused rather than fitted,
 * since nobody knows how it was meant.
 *
 * White means anew, as everywhere in this field.  A mask painted on a transparent layer is white
 * where something was painted, so alpha lies over black there, and over white in the picture.
 */
#include "api/api.h"

#include "base/memory.h"
#include "data/picture.h"
#include "pipeline/condition.h"

#include <inttypes.h>
#include <stdlib.h>

enum status api_image_check(const struct imgen_image *im, const char *what, struct error *err)
{
    if (im->height > 0 && im->width > 0 && im->channels >= 1 && im->channels <= 4 && im->pixels)
        return OK;
    return fail(err, E_ARG,
                "%s of %" PRId64 " x %" PRId64 " pixels with %" PRId64 " channels is none", what,
                im->width, im->height, im->channels);
}

static enum status check_mask(const struct imgen_request *r, struct error *err)
{
    enum status st;

    if (!r->mask)
        return OK;
    if (!r->init)
        return fail(err, E_ARG, "a mask without the picture that it belongs to");
    if ((st = api_image_check(r->mask, "a mask", err)))
        return st;
    if (r->mask->height == r->init->height && r->mask->width == r->init->width)
        return OK;
    return fail(err, E_ARG,
                "the mask is %" PRId64 " x %" PRId64 " pixels, and its picture %" PRId64
                " x %" PRId64,
                r->mask->width, r->mask->height, r->init->width, r->init->height);
}

/* *out (heap): of the shape; alpha over this grey. */
static enum status bring(float **out, const struct imgen_image *im, const struct view_shape *s,
                         uint8_t under, struct error *err)
{
    const uint8_t background[3] = {under, under, under};
    const struct image in = api_image(im);
    int64_t n = view_length(s);
    struct image shaped;
    enum status st;

    if (!(st = picture_shape(&shaped, &in, s->height, s->width, s->channels, background, false,
                             err)) &&
        !(st = mem_new((void **)out, (uint64_t)n, sizeof **out, "a picture to begin with", err)))
        picture_floats(*out, shaped.pixels, n);
    image_release(&shaped);
    return st;
}

enum status api_repaint_init(struct api_repaint *p, const struct imgen_request *r,
                             const struct model *m, struct error *err)
{
    const struct view_shape shape = view_shape(m, false), grey = {shape.height, shape.width, 1, 1};
    enum status st;

    *p = (struct api_repaint){0};
    if (condition_is_made(condition_kind_of(&m->network->io)))
        return OK;
    if ((st = check_mask(r, err)) || !r->init)
        return st;
    if ((st = api_image_check(r->init, "a picture to begin with", err)) ||
        (st = bring(&p->picture, r->init, &shape, 255, err)) ||
        (r->mask && (st = bring(&p->mask, r->mask, &grey, 0, err))))
        return st;
    for (int64_t i = 0; p->mask && i < view_length(&grey); i++)
        p->mask[i] = 0.5f * (p->mask[i] + 1);
    p->request = (struct repaint_request){.picture = p->picture, .mask = p->mask};
    return OK;
}

void api_repaint_release(struct api_repaint *p)
{
    free(p->picture);
    free(p->mask);
}
