/*
 * drawn.c - numbers that look random and that any language draws alike
 *
 * A Weyl sequence through a mixer of 32 bits: whole numbers alone, so there is nothing to round
 * differently, and number i needs no number before it.
 */
#include "support/drawn.h"

uint32_t drawn_seed(const char *name)
{
    uint32_t seed = 2166136261u;

    for (; *name; name++)
        seed = (seed ^ (uint8_t)*name) * 16777619u;
    return seed;
}

uint32_t drawn(uint32_t seed, int64_t i)
{
    uint32_t x = seed + (uint32_t)i * 0x9E3779B9u;

    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}
