/*
 * picture.c - pictures in files, and on sheets
 *
 * What the library calls an image and what its header calls one are the same numbers under two
 * names: pixels are handed over, never copied.
 */
#include "api/api.h"

#include "data/clip_files.h"
#include "io/image.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <string.h>

struct image api_image(const struct imgen_image *im)
{
    return (struct image){im->height, im->width, im->channels, im->pixels};
}

void api_image_out(struct imgen_image *out, const struct image *im)
{
    *out = (struct imgen_image){im->height, im->width, im->channels, im->pixels};
}

struct clip api_clip(const struct imgen_clip *c)
{
    return (struct clip){.frames = c->frames,
                         .height = c->height,
                         .width = c->width,
                         .channels = c->channels,
                         .rate = c->rate,
                         .pixels = (uint8_t *)(uintptr_t)c->pixels};
}

void api_clip_out(struct imgen_clip *out, const struct clip *c)
{
    *out = (struct imgen_clip){c->frames, c->height, c->width, c->channels, c->rate, c->pixels};
}

enum imgen_status imgen_image_read(struct imgen_image *out, const char *path,
                                   struct imgen_error *err)
{
    struct error e = {0};
    struct image im = {0};
    enum status st = image_read(&im, path, &e);

    api_image_out(out, &im);
    return api_status(err, &e, st);
}

enum imgen_status imgen_image_write(const char *path, const struct imgen_image *image,
                                    struct imgen_error *err)
{
    struct error e = {0};
    struct image im = api_image(image);

    return api_status(err, &e, image_write(path, &im, NULL, 0, &e));
}

void imgen_image_release(struct imgen_image *image)
{
    struct image im = api_image(image);

    image_release(&im);
    api_image_out(image, &im);
}

enum imgen_status imgen_clip_read(struct imgen_clip *out, const char *path, int64_t most,
                                  struct imgen_error *err)
{
    struct error e = {0};
    struct clip c = {0};
    enum status st = most < 0 ? fail(&e, E_ARG, "%s: the first %" PRId64 " frames", path, most)
                              : clip_path_read(&c, path, most, &e);

    api_clip_out(out, &c);
    return api_status(err, &e, st);
}

void imgen_clip_release(struct imgen_clip *clip)
{
    struct clip c = api_clip(clip);

    clip_release(&c);
    api_clip_out(clip, &c);
}

static enum status find_filter(enum resize_filter *out, const char *name, struct error *err)
{
    static const char *const names[] = {[RESIZE_BOX] = "box",
                                        [RESIZE_BILINEAR] = "bilinear",
                                        [RESIZE_BICUBIC] = "bicubic",
                                        [RESIZE_LANCZOS] = "lanczos"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *out = (enum resize_filter)i;
            return OK;
        }
    return fail(err, E_ARG, "'%.40s' is none of box, bilinear, bicubic and lanczos", name);
}

static enum status resize_clip(struct clip *out, const struct clip *in, int64_t height,
                               int64_t width, const char *filter, struct error *err)
{
    enum resize_filter by = RESIZE_BOX;
    enum status st;

    if ((st = find_filter(&by, filter, err)) ||
        (st = clip_begin(out, height, width, in->channels, err)))
        return st;
    out->rate = in->rate;
    for (int64_t t = 0; t < in->frames && !st; t++) {
        const struct image frame = clip_frame(in, t);
        struct image made = {0};

        if (!(st = image_resize(&made, &frame, height, width, by, err)))
            st = clip_add(out, made.pixels, err);
        image_release(&made);
    }
    return st;
}

enum imgen_status imgen_clip_resize(struct imgen_clip *out, const struct imgen_clip *in,
                                    int64_t height, int64_t width, const char *filter,
                                    struct imgen_error *err)
{
    const struct clip from = api_clip(in);
    struct error e = {0};
    struct clip c = {0};
    enum status st = resize_clip(&c, &from, height, width, filter, &e);

    if (st)
        clip_release(&c);
    api_clip_out(out, &c);
    return api_status(err, &e, st);
}

enum imgen_status imgen_clip_hash(char out[65], const char *path, struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, clip_path_hash(out, path, &e));
}

enum imgen_status imgen_sheet_draw(struct imgen_image *out, const float *x,
                                   const struct imgen_sheet *s, struct imgen_error *err)
{
    struct sheet sheet = {s->rows,     s->columns, s->height, s->width,
                          s->channels, s->gap,     s->zoom,   (uint8_t)s->ground};
    struct error e = {0};
    struct image im = {0};
    enum status st = picture_sheet(&im, x, &sheet, &e);

    api_image_out(out, &im);
    return api_status(err, &e, st);
}
