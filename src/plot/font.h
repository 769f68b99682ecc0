/*
 * font.h - letters for pictures: outlines drawn with one pen
 */
#ifndef IMGEN_PLOT_FONT_H
#define IMGEN_PLOT_FONT_H

#include <stdbool.h>
#include <stdint.h>

/* In the units of the drawings: a text of size s has s / FONT_UNITS pixels a unit. */
enum { FONT_UNITS = 20, FONT_CAPITAL = 14, FONT_DESCENT = 4 };
/* The width of the pen. */
extern const double font_pen;

/* Units from one letter to the next.  A letter that the font has not is a box. */
double font_advance(int32_t letter);

/* Take one stroke of a letter after the other: xy[0..2n-1] in units, x to the right of where the
 * letter begins, y up from the line. */
typedef void font_stroke(void *self, const double *xy, int n);
void font_draw(int32_t letter, font_stroke *stroke, void *self);

/* ---- Lines of text ----
 *
 * "x_t", "10^-3", "p_{t, 1}": what follows '_' or '^', one letter or all in braces (after '^' a
 * minus with what stands up to the next blank), is smaller and lower or higher.  "\_" is the sign
 * itself.  Bytes that are no UTF-8 are boxes. */

/* A run of letters of one size. */
struct font_run {
    const char *text;
    int n;        /* bytes                                                  */
    double scale; /* of its letters: 1, or less where it is set low or high */
    double rise;  /* of its line, in parts of the text's size               */
};
/* The next run of *text, which is moved on; false at the end. */
bool font_next_run(struct font_run *run, const char **text);

/* The width of a line of size 1. */
double font_width(const char *text);

/* Write to out[room] a text that stands for itself, with a backslash before '_', '^' and '\'; cut
 * where it does not fit.  Returns out. */
const char *font_escape(char *out, int room, const char *text);

#endif
