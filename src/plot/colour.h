/*
 * colour.h - colours that keep their order and their differences, in print and for every eye
 */
#ifndef IMGEN_PLOT_COLOUR_H
#define IMGEN_PLOT_COLOUR_H

#include <stdint.h>

struct colour {
    uint8_t r, g, b;
};

/* Letters and axes; lines that stand back; the page. */
extern const struct colour colour_ink, colour_faint, colour_paper;

/* Colours of things that differ in kind, told apart by the colour-blind too; repeats after
 * COLOUR_KINDS. */
enum { COLOUR_KINDS = 7 };
struct colour colour_of_kind(int i);

/* Amounts: 0 is the page, 1 is dark; equal steps look equal.  s outside 0 .. 1 counts as the nearer
 * end. */
struct colour colour_of_amount(double s);
/* Places in an order, all of them visible on the page: 0 dark blue, 1 light orange. */
struct colour colour_of_place(double s);

#endif
