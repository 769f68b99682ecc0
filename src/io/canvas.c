/*
 * canvas.c - frames that are drawn over one another
 *
 * GIF and APNG store of a frame the rectangle that changes, whether its transparent pixels let the
 * frame before show through, and what becomes of the rectangle before the next: it stays, is
 * cleared, or is put back to what it was.  Both mean the same by it, so it is written once, here.
 * PNG specification, third edition, 11.3.6.2; GIF89a, section 23.
 */
#include "io/clip_codec.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum status canvas_init(struct canvas *c, int64_t height, int64_t width, struct error *err)
{
    enum status st;

    *c = (struct canvas){.height = height, .width = width};
    if ((st = image_check_size(height, width, err)) ||
        (st = mem_new((void **)&c->pixels, (uint64_t)(height * width), 4, "a canvas", err)))
        return st;
    return mem_new((void **)&c->before, (uint64_t)(height * width), 4, "a canvas", err);
}

void canvas_release(struct canvas *c)
{
    free(c->pixels);
    free(c->before);
    *c = (struct canvas){0};
}

enum status canvas_check(const struct canvas *c, const struct canvas_area *a, struct error *err)
{
    if (a->width < 1 || a->height < 1 || a->x < 0 || a->y < 0 || a->x > c->width - a->width ||
        a->y > c->height - a->height)
        return fail(err, E_FORMAT,
                    "%" PRId64 " x %" PRId64 " pixels at %" PRId64 ", %" PRId64
                    " are not within the %" PRId64 " x %" PRId64 " of the clip",
                    a->width, a->height, a->x, a->y, c->width, c->height);
    return OK;
}

/* in over out, neither multiplied by its alpha: Porter and Duff 1984, in whole numbers. */
static void blend(uint8_t out[4], const uint8_t in[4])
{
    uint32_t a = in[3], left = out[3] * (255 - a), sum = a * 255 + left;

    if (a == 0)
        return;
    for (int k = 0; k < 3; k++)
        out[k] = (uint8_t)((in[k] * a * 255 + out[k] * left + sum / 2) / sum);
    out[3] = (uint8_t)((sum + 127) / 255);
}

static void draw(struct canvas *c, const uint8_t *pixels, const struct canvas_area *a)
{
    for (int64_t i = 0; i < a->height; i++) {
        uint8_t *to = c->pixels + ((a->y + i) * c->width + a->x) * 4;
        const uint8_t *from = pixels + i * a->width * 4;

        if (!a->over)
            memcpy(to, from, (size_t)a->width * 4);
        for (int64_t j = 0; j < a->width && a->over; j++)
            blend(to + j * 4, from + j * 4);
    }
}

enum status canvas_show(struct canvas *c, struct clip *to, const uint8_t *pixels,
                        const struct canvas_area *a, struct error *err)
{
    size_t bytes = (size_t)(c->height * c->width) * 4;
    enum status st;

    if (a->after == CANVAS_RESTORE)
        memcpy(c->before, c->pixels, bytes);
    draw(c, pixels, a);
    if ((st = clip_add(to, c->pixels, err)))
        return st;
    if (a->after == CANVAS_RESTORE)
        memcpy(c->pixels, c->before, bytes);
    for (int64_t i = 0; i < a->height && a->after == CANVAS_CLEAR; i++)
        memset(c->pixels + ((a->y + i) * c->width + a->x) * 4, 0, (size_t)a->width * 4);
    return OK;
}
