/*
 * drawn.h - numbers that look random and that any language draws alike
 *
 * Golden files that need large inputs store a name in place of them: the script that made the file
 * draws the numbers by this formula, and so does the test.
 */
#ifndef IMGEN_TEST_SUPPORT_DRAWN_H
#define IMGEN_TEST_SUPPORT_DRAWN_H

#include <stdint.h>

/* FNV-1a of a name. */
uint32_t drawn_seed(const char *name);
/* Number i of 0 .. 2^32 - 1 of a seed. */
uint32_t drawn(uint32_t seed, int64_t i);

#endif
