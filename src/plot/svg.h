/*
 * svg.h - a scene as scalable vector graphics
 */
#ifndef IMGEN_PLOT_SVG_H
#define IMGEN_PLOT_SVG_H

#include "base/text.h"
#include "plot/scene.h"

/* Append the scene as an SVG 1.1 document, UTF-8, with letters as text; title: for readers who
 * cannot see it; about: how it was made, or NULL.  Equal scenes give equal bytes.  E_MEMORY. */
enum status svg_write(struct text *out, const struct scene *s, const char *title, const char *about,
                      struct error *err);

#endif
