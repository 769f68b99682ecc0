/*
 * ticks.h - round numbers along an axis
 */
#ifndef IMGEN_PLOT_TICKS_H
#define IMGEN_PLOT_TICKS_H

#include <stdbool.h>

enum { TICKS_MAX = 16, TICK_TEXT = 24 };

struct tick {
    double at;
    char label[TICK_TEXT]; /* as font.h reads it */
};

/* The ticks inside [lo, hi], at most TICKS_MAX; returns how many.  lo < hi, finite; logarithmic: lo
 * > 0.  about: how many there is room for, at least 2. */
int ticks_make(struct tick out[TICKS_MAX], double lo, double hi, bool logarithmic, int about);

#endif
