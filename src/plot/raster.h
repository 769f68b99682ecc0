/*
 * raster.h - a scene as pixels
 */
#ifndef IMGEN_PLOT_RASTER_H
#define IMGEN_PLOT_RASTER_H

#include "io/image.h"
#include "plot/scene.h"

/* *out = the scene on white, RGB, `scale` pixels a point, antialiased; a pure function of both.
 * scale in [0.25, 8] and at most IMAGE_SIDE pixels a side, else E_ARG.  E_MEMORY. */
enum status raster_draw(struct image *out, const struct scene *s, double scale, struct error *err);

/* One line of text onto a picture with 3 channels; x, y: where its first letter stands on the line;
 * size: of an em, all in pixels. */
enum status raster_text(struct image *im, double x, double y, double size, struct colour colour,
                        const char *text, struct error *err);

#endif
