/*
 * figure_parts.h - what the files of the figure share
 */
#ifndef IMGEN_PLOT_FIGURE_PARTS_H
#define IMGEN_PLOT_FIGURE_PARTS_H

#include "plot/figure.h"
#include "plot/ticks.h"

struct panel {
    struct scene marks; /* in the coordinates of the axes */
    char *title;
    struct axis x, y;
    double width, height; /* inside the frame; width 0 until placed */
    int row, column;
    /* placed: */
    struct tick x_ticks[TICKS_MAX], y_ticks[TICKS_MAX];
    int n_x, n_y;
    double left_room; /* for numbers and label left of the frame */
    struct box frame;
};

struct entry {
    bool of_amounts;
    double darkest;
    enum mark_kind kind;
    struct mark_style style;
    char *label;
};

struct figure {
    char *title;
    struct panel **panels; /* [n], in rows from the top, from the left */
    int64_t n, panel_room;
    double *heights; /* [rows] */
    int64_t rows, row_room;
    struct entry *keys;
    int64_t n_keys, key_room;
    struct panel lost; /* what panels for which there was no memory are drawn into */
    bool failed;
};

/* The colours of amounts in even steps, up to colour_of_amount(darkest). */
enum { FIGURE_AMOUNTS = 256 };
void figure_amounts(struct colour table[FIGURE_AMOUNTS], double darkest);

#endif
