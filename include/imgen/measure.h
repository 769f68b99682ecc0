/*
 * imgen/measure.h - how good a set of pictures is
 *
 * How far a set of pictures is from another, and whether pictures show what was asked for.  All
 * figures are functions of the arrays, the seed and the options: not of the number of threads.
 */
#ifndef IMGEN_MEASURE_H
#define IMGEN_MEASURE_H

#include "imgen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A network whose features are compared: a classifier trained here (a model whose info says so), or
 * Inception-v3 from published weights in a .safetensors file, whose Frechet distance is the field's
 * FID.  No such weights come with the library; doc/formats.md says how to have them. */
struct imgen_features;

/* What an Inception leaves to choose; NULL members, or NULL for the whole: the first named. */
struct imgen_features_how {
    const char *resize;  /* "tensorflow", "pytorch" or "clean": how a picture becomes 299 x 299 */
    const char *pooling; /* "fid" or "torchvision": which form the weights were trained for     */
};

/* Texts belong to the network. */
struct imgen_features_info {
    const char *kind, *about, *hash; /* hash: SHA-256 of the file                 */
    const char *resize;              /* what it does to a picture first, in words */
    int height, width, channels;     /* of the pictures it takes; 0: any          */
    int frames;                      /* of the clips it takes; 1: pictures        */
    int features;                    /* numbers it makes of one                   */
    int n_labels;                    /* classes it can guess                      */
};
IMGEN_API enum imgen_status imgen_features_open(struct imgen_features **out, const char *path,
                                                const struct imgen_features_how *how,
                                                struct imgen_error *err);
IMGEN_API void imgen_features_close(struct imgen_features *f); /* NULL is fine */
IMGEN_API void imgen_features_info(const struct imgen_features *f, struct imgen_features_info *out);

/* pixels [n, height, width, channels], 1 or 3 channels; label [n]: what was asked for, -1: nothing;
 * or NULL.  label_names [n_labels] or NULL.  All belong to the caller. */
struct imgen_pictures {
    int64_t n;
    int height, width, channels;
    const uint8_t *pixels;
    const int *label;
    int n_labels;
    const char *const *label_names;
    int frames; /* of clips, pixels [n, frames, height, width, channels]; 0 and 1: pictures */
};

/* Return 0 to stop. */
typedef int imgen_measure_progress(const char *what, int64_t done, int64_t n, void *user);

struct imgen_measuring {
    struct imgen_pictures pictures;
    struct imgen_pictures reference;       /* n 0: none                                         */
    int paired;                            /* 1: picture i of both belong together              */
    const char *statistics;                /* or a file written by `save`, or NULL              */
    const struct imgen_features *features; /* or NULL                                     */
    const struct imgen_features *judge;    /* of obedience; NULL: the same                */
    const char *measures; /* "frechet,kid", see imgen_list; NULL: all that what is given allows */
    int neighbours;       /* of precision and recall                             */
    int subsets, subset_size; /* of kid; size 0: 1000, or as many as there are  */
    int projections;          /* of sliced                                      */
    int upscale;              /* of pairs that a model made so many times larger; 0: none did */
    int first_frame;          /* 1: of pairs of clips that a model was given the first frames of */
    uint64_t seed;
    const int64_t *joints; /* [n_joints] of long clips: the frames, rising, before which another
                              tile of a decoder begins or ends (imgen_codec_joints); or NULL */
    int n_joints;
    int threads;                      /* 0: one per processor */
    const char *save;                 /* write the reference's features here, or NULL            */
    const char *about;                /* where the reference came from, for that file, or NULL  */
    imgen_measure_progress *progress; /* may be NULL */
    void *user;
};
/* 3 neighbours, 100 subsets, 512 projections, and nothing else. */
IMGEN_API void imgen_measuring_init(struct imgen_measuring *m);

/* Of one picture: its nearest in the reference, and how far that and the second nearest are, as
 * root mean square differences of a pixel, black to white being 1. */
struct imgen_neighbour {
    int64_t first;
    double distance, second;
};

/* One figure, or, when `lacks` is not NULL, why a measure was left out. */
struct imgen_measure_row {
    const char *measure, *name, *lacks;
    double value, deviation; /* deviation: negative when there is none */
    const char *note;
};
typedef int imgen_measure_callback(const struct imgen_measure_row *row, void *user);

/* What the protocol must say besides the arguments; a statistics file brings its own. */
struct imgen_measured {
    int64_t n_reference;
    char about[512]; /* of the statistics file, else "" */
};

/* nearest: [pictures.n] or NULL: filled in when the measure of that name is taken.  E_ARG when sets
 * have other sizes, when there are too few pictures, when a measure asked for by name lacks what it
 * needs, or when the labels are not those that the judge knows; with the numbers. */
IMGEN_API enum imgen_status imgen_measure(const struct imgen_measuring *m,
                                          struct imgen_measured *out,
                                          struct imgen_neighbour *nearest,
                                          imgen_measure_callback *callback, void *callback_user,
                                          struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
