/*
 * canvas.h - a white sheet on which pictures, lines and words are placed
 */
#ifndef CLI_CANVAS_H
#define CLI_CANVAS_H

#include <stdbool.h>
#include <stdint.h>

struct canvas {
    int64_t width, height;
    uint8_t *pixels; /* [height, width, 3], heap */
};

/* A white canvas; false when there is no memory. */
bool canvas_init(struct canvas *c, int64_t width, int64_t height);
void canvas_release(struct canvas *c);

/* What lies outside the canvas is not drawn.  Colours are grey levels, 0 black to 255 white. */
void canvas_fill(struct canvas *c, int64_t left, int64_t top, int64_t width, int64_t height,
                 uint8_t grey);
/* x [height, width, channels], channels 1 or 3, -1 black to 1 white, clipped; each pixel zoom x
 * zoom. */
void canvas_picture(struct canvas *c, int64_t left, int64_t top, const float *x, int64_t height,
                    int64_t width, int64_t channels, int64_t zoom);
/* One line of text; top is the top of its capitals, which are 7 zoom pixels high. */
void canvas_text(struct canvas *c, int64_t left, int64_t top, int zoom, uint8_t grey,
                 const char *text);
/* The width canvas_text covers. */
int64_t canvas_text_width(const char *text, int zoom);

#endif
