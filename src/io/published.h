/*
 * published.h - what the names of tensors in published files say: which part of a model they are
 */
#ifndef IMGEN_IO_PUBLISHED_H
#define IMGEN_IO_PUBLISHED_H

#include <stdbool.h>

/* A network that files hold beside others, under a prefix of its own. */
struct published_part {
    const char *name;   /* "mmdit": short, for people and programs */
    const char *prefix; /* what its names begin with               */
    const char *about;
};

/* Part i, from 0; NULL past the last. */
const struct published_part *published_part(int i);
/* The part that a tensor belongs to by its name, NULL for none of them. */
const struct published_part *published_part_of(const char *tensor);

/* Names, without prefix or with it, of what files hold besides the weights of a network: counters,
 * averages and losses of training, positions that are 0, 1, 2, ..., marks of float8 and scales of
 * activations.  Who loads a network passes them over (params_allow). */
bool published_spare(const char *tensor);
/* Of these, the marks of float8 and the scales of activations: whoever stores the weights in
 * another type must leave them behind. */
bool published_marks_float8(const char *tensor);

#endif
