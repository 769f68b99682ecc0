/*
 * scene.h - a picture as a list of marks, not yet drawn
 *
 * Whoever plots appends marks to a scene; svg.h and raster.h draw it.  Coordinates are points of
 * the page, x to the right and y down, a point being a pixel of an unscaled PNG.
 */
#ifndef IMGEN_PLOT_SCENE_H
#define IMGEN_PLOT_SCENE_H

#include "base/error.h"
#include "plot/colour.h"

#include <stdbool.h>
#include <stdint.h>

enum mark_kind {
    MARK_LINE,   /* joined points; a point that is not finite lifts the pen                  */
    MARK_AREA,   /* a closed outline, filled                                                 */
    MARK_DOTS,   /* a disc about each point                                                  */
    MARK_ARROWS, /* points in pairs, tail and tip                                            */
    MARK_IMAGE,  /* pixels stretched, smoothly, between two corners                          */
    MARK_TEXT,   /* one line at one point: font.h says what '_' and '^' do                   */
};

enum anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };

struct mark_style {
    struct colour colour;
    double opacity; /* in (0, 1]                                                              */
    double size;    /* width of lines and shafts, radius of dots, height of an em of text      */
    double dash;    /* length of dashes and of the gaps between them; 0: none                  */
    enum anchor anchor;
    double turn; /* of text: 0, or 90 degrees against the clock                             */
};

struct box {
    double left, top, right, bottom;
};

struct mark {
    enum mark_kind kind;
    struct mark_style style;
    struct box clip;  /* nothing is drawn outside                */
    int64_t first, n; /* points: scene.xy + 2 first              */
    char *text;       /* MARK_TEXT, heap                         */
    uint8_t *pixels;  /* MARK_IMAGE, heap: [rows, columns, 3]    */
    int64_t rows, columns;
};

/* Zeroed to begin.  A lack of memory is remembered and told by scene_check. */
struct scene {
    double width, height;
    struct mark *marks;
    int64_t n, room;
    double *xy;
    int64_t n_points, point_room;
    struct box clip; /* of the marks to come */
    bool failed;
};

/* An empty page; nothing is clipped at first but by its edges. */
void scene_init(struct scene *s, double width, double height);
void scene_release(struct scene *s);
/* E_MEMORY when some mark found no room. */
enum status scene_check(const struct scene *s, struct error *err);

/* The marks.  xy [n, 2] is copied, and so are texts and pixels. */
void scene_points(struct scene *s, enum mark_kind kind, const struct mark_style *style,
                  const double *xy, int64_t n);
void scene_line(struct scene *s, const struct mark_style *style, double x0, double y0, double x1,
                double y1);
void scene_rectangle(struct scene *s, const struct mark_style *style, const struct box *box);
/* y is the line on which the letters stand. */
void scene_text(struct scene *s, const struct mark_style *style, double x, double y,
                const char *text);
void scene_image(struct scene *s, const struct box *box, const uint8_t *pixels, int64_t rows,
                 int64_t columns);

#endif
