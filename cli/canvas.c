/*
 * canvas.c - a white sheet on which pictures, lines and words are placed
 *
 * Pixels of pictures and lines are filled rectangles, clipped by one function, so that nothing can
 * be drawn past an edge; letters are the library's.
 */
#include "canvas.h"

#include "imgen.h"

#include <stdlib.h>
#include <string.h>

bool canvas_init(struct canvas *c, int64_t width, int64_t height)
{
    *c = (struct canvas){width, height, malloc((size_t)width * (size_t)height * 3)};
    if (!c->pixels)
        return false;
    memset(c->pixels, 255, (size_t)width * (size_t)height * 3);
    return true;
}

void canvas_release(struct canvas *c)
{
    free(c->pixels);
    *c = (struct canvas){0};
}

static int64_t clip(int64_t x, int64_t end)
{
    return x < 0 ? 0 : x > end ? end : x;
}

static void fill(struct canvas *c, int64_t left, int64_t top, int64_t width, int64_t height,
                 const uint8_t rgb[3])
{
    int64_t right = clip(left + width, c->width), bottom = clip(top + height, c->height);

    for (int64_t y = clip(top, c->height); y < bottom; y++)
        for (int64_t x = clip(left, c->width); x < right; x++)
            memcpy(c->pixels + (y * c->width + x) * 3, rgb, 3);
}

void canvas_fill(struct canvas *c, int64_t left, int64_t top, int64_t width, int64_t height,
                 uint8_t grey)
{
    fill(c, left, top, width, height, (const uint8_t[]){grey, grey, grey});
}

static uint8_t level(float x)
{
    float v = (x + 1) * 127.5f + 0.5f;

    return v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
}

void canvas_picture(struct canvas *c, int64_t left, int64_t top, const float *x, int64_t height,
                    int64_t width, int64_t channels, int64_t zoom)
{
    for (int64_t row = 0; row < height; row++)
        for (int64_t column = 0; column < width; column++) {
            const float *p = x + (row * width + column) * channels;
            uint8_t rgb[3];

            for (int k = 0; k < 3; k++)
                rgb[k] = level(p[channels == 3 ? k : 0]);
            fill(c, left + column * zoom, top + row * zoom, zoom, zoom, rgb);
        }
}

/* An em of letters whose capitals are `zoom` times seven pixels high. */
static double em_of(int zoom)
{
    return 10.0 * zoom;
}

void canvas_text(struct canvas *c, int64_t left, int64_t top, int zoom, uint8_t grey,
                 const char *text)
{
    struct imgen_image image = {c->height, c->width, 3, c->pixels};

    /* without memory for letters the picture still stands */
    imgen_text_draw(&image, (double)left, (double)(top + 7 * zoom), em_of(zoom), grey, text, NULL);
}

int64_t canvas_text_width(const char *text, int zoom)
{
    return (int64_t)(imgen_text_width(text, em_of(zoom)) + 0.5);
}
