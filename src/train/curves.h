/*
 * curves.h - a few curves over one axis, as an SVG drawing inside an HTML page
 */
#ifndef IMGEN_TRAIN_CURVES_H
#define IMGEN_TRAIN_CURVES_H

#include "base/text.h"

enum { CURVES_MAX = 6 };

struct curve {
    const char *name; /* in the legend, or NULL when the title says it */
    const double *x, *y;
    int64_t n;
};

struct curves {
    const char *title, *x_label;
    const struct curve *curve; /* [n], the k-th in the page's colour --ck */
    int n;                     /* at most CURVES_MAX                      */
    double x_end;              /* the horizontal axis goes from 0 at least to here */
    bool from_zero;            /* the vertical axis begins at 0           */
};

/* Append <svg>...</svg>.  Title and names are markup already.  Points that are not finite (or
 * beyond 1e100) leave a gap.  The vertical axis is logarithmic where positive values span more than
 * a factor of five.  Colours are the page's: --c0 .. --c5 curves, --fg and --dim letters, --line
 * lines. */
void curves_svg(struct text *out, const struct curves *c);

#endif
