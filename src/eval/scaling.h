/*
 * scaling.h - pictures of any size, scaled as published measures scale them
 *
 * A way is a row in scaling.c, named after the program that made it known.
 */
#ifndef IMGEN_EVAL_SCALING_H
#define IMGEN_EVAL_SCALING_H

#include "base/error.h"

#include <stdint.h>

struct scaling_way {
    const char *name, *about; /* about: for the protocol */
    double middle, half;      /* a level v of 0 .. 255 becomes (v - middle) / half */
    /* The weights of result i of `to` along an axis of `from` pixels, and which pixels they are
     * for, as resize_weights; at most room(from, to) of them. */
    int64_t (*weights)(double *out, int64_t *first, int64_t i, int64_t from, int64_t to);
    int64_t (*room)(int64_t from, int64_t to);
};

const struct scaling_way *scaling_at(int i); /* NULL past the last; the first is the usual one */
/* E_ARG for a name that there is not, with those that there are. */
enum status scaling_find(const struct scaling_way **out, const char *name, struct error *err);

/* One way, from 8-bit pictures [height, width, channels], channels 1 or 3, to [side, side, 3]; grey
 * is repeated.  E_MEMORY; freed by scaling_free (NULL is fine). */
struct scaling;
enum status scaling_new(struct scaling **out, const struct scaling_way *way, int64_t height,
                        int64_t width, int64_t channels, int64_t side, struct error *err);
void scaling_free(struct scaling *s);

/* n pictures, one after another: out [n, side, side, 3].  The same bits on any number of threads.
 * E_MEMORY. */
enum status scaling_run(const struct scaling *s, float *out, const uint8_t *pixels, int64_t n,
                        int threads, struct error *err);

#endif
