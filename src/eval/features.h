/*
 * features.h - networks whose features are compared
 *
 * A kind of feature network is one file that ends in one descriptor; one line in features.c lists
 * it.
 */
#ifndef IMGEN_EVAL_FEATURES_H
#define IMGEN_EVAL_FEATURES_H

#include "base/error.h"
#include "base/hash.h"
#include "eval/scaling.h"
#include "graph/graph.h"
#include "io/weights.h"

#include <stdbool.h>
#include <stdint.h>

enum { FEATURES_PROTOCOL = 96 };

/* An open network; texts are its own. */
struct features {
    const struct features_kind *kind;
    char *path, hash[HASH_TEXT];       /* SHA-256 of the file                                     */
    int64_t frames;                    /* of the clips it takes; 1: pictures                      */
    int64_t height, width, channels;   /* of the pictures it takes                                */
    const struct scaling_way *scaling; /* brings any picture to height = width and 3 channels;
                                          NULL: pictures come as they must be                     */
    const char *resize;                /* what happens to a picture first, in words               */
    char protocol[FEATURES_PROTOCOL];  /* what decides features besides file and pictures, or ""  */
    int64_t D;
    int64_t n_classes;        /* of its guesses; 0: it makes none                                */
    char *const *class_names; /* [n_classes] or NULL                                             */
    const char *about;        /* what it was trained on and how well it does, or NULL            */
    void *impl;               /* the kind's own                                                  */
};

/* What the person who measures may choose; NULL: the kind's usual. */
struct features_how {
    const char *resize;  /* a way of scaling.h                                      */
    const char *pooling; /* of an Inception: fid or torchvision                     */
};

struct features_kind {
    const char *name;
    int batch;                                 /* pictures at a time          */
    bool (*takes)(const struct weights *file); /* whether it is of this kind  */
    /* Fill in everything from height on.  E_ARG for a choice that the kind does not leave. */
    enum status (*open)(struct features *f, const struct weights *file,
                        const struct features_how *how, struct error *err);
    void (*close)(struct features *f); /* also after a failure */
    /* Record x [N, height, width, channels], of clips [N, frames, ...], -1 .. 1, to features
     * [N, D]; *logits [N, n_classes], or NULL. */
    struct tensor *(*record)(struct graph *g, const struct features *f, struct tensor *x,
                             struct tensor **logits);
};

/* how: NULL for the usual; not kept.  E_IO, E_FORMAT, E_MEMORY; E_ARG for a model that is no
 * feature network and for a choice that there is not.  Closed by the caller. */
enum status features_open(struct features **out, const char *path, const struct features_how *how,
                          struct error *err);
void features_close(struct features *f); /* NULL is fine */

/* 8-bit pictures or clips of one size. */
struct features_input {
    const uint8_t *pixels; /* [n, height, width, channels], of clips [n, frames, ...] */
    int64_t n, height, width, channels;
    int64_t frames; /* of clips; 0 and 1: pictures */
    int threads;
    bool (*progress)(int64_t done, int64_t n, void *user); /* false stops; or NULL */
    void *user;
};
/* out [n, D] and guess [n], either of which may be NULL.  E_ARG when the pictures are not what the
 * network takes and it does not scale them, with both sizes, and for clips of another length;
 * E_CANCELLED; E_MEMORY.  A picture's features do not depend on the pictures beside it, nor on the
 * threads. */
enum status features_extract(const struct features *f, float *out, int32_t *guess,
                             const struct features_input *in, struct error *err);

#endif
