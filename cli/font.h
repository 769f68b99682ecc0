/*
 * font.h - letters for pictures
 */
#ifndef CLI_FONT_H
#define CLI_FONT_H

#include <stdbool.h>

/* Dots of a letter; the lowest two rows lie below the line.  Letters stand FONT_ADVANCE apart. */
enum { FONT_WIDTH = 5, FONT_HEIGHT = 9, FONT_ABOVE = 7, FONT_ADVANCE = 6 };

/* Whether the dot is inked; row in 0 .. FONT_HEIGHT - 1 from the top, column in 0 .. FONT_WIDTH
 * - 1. A letter that the font has not is a box. */
bool font_dot(char c, int row, int column);

#endif
