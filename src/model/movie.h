/*
 * movie.h - configuration of the video transformer (movie.c), and a larger one from a smaller
 */
#ifndef IMGEN_MODEL_MOVIE_H
#define IMGEN_MODEL_MOVIE_H

#include "model/network.h"

enum { MOVIE_TEXTS = 3 }; /* encoders whose findings stand side by side, at most */

struct movie_config {
    int64_t size, channels, frames; /* videos [frames, size, size, channels]; others: positions,
                                       times                                                   */
    int64_t condition_channels;     /* of what is known at each place; 0: nothing, or ...      */
    double first_frame; /* ... the first frame, to this share of training clips; 0: none is    */
    int64_t upscale;    /* ... or the clip, so many times smaller; 0: it is not                */
    int64_t patch, width, depth, heads;
    int64_t hidden;    /* features between, in the feed-forward; 0: 8/3 of the width           */
    int64_t positions; /* rows of the tables of rows and columns, in patches; 0: those of size */
    int64_t times;     /* rows of the table of times; 0: frames                                */
    bool everywhere;   /* positions are added before every block, not before the first alone   */
    bool shared;       /* one modulation for all blocks, each with a table of its own          */
    bool qk_norm;
    struct int_list contexts; /* features of a token of each encoded text                      */
    struct int_list lengths;  /* tokens of each, where there are several                       */
    int64_t pooled_width;     /* of a vector beside the time; 0: none                          */
    int64_t text_length;      /* bytes of a text it reads itself; 0: others encode it          */
    int64_t text_width, text_depth, text_heads;
    int64_t text_kernel; /* bytes that a convolution of its blocks sees; 1: none */
};

extern const struct network_kind network_movie;

/* How it grows (network_kind.grow), for a training that goes on with larger pictures or longer
 * videos: over a longer table of rows or columns the old one is stretched (linearly between its
 * rows, end on end), and of a longer table of times the old rows come first, since a frame stays as
 * far from the next; the times behind its last stay as they are.  E_ARG: another form, or a smaller
 * one. */
enum status movie_grow(struct param *p, const struct param *q, struct error *err);

#endif
