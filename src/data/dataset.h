/*
 * dataset.h - labelled pictures and clips from any source, one interface
 *
 * A clip is `frames` pictures of one size, one after the other.  Where nothing else is said, what
 * holds for a picture of a set holds for a clip of it.
 */
#ifndef IMGEN_DATA_DATASET_H
#define IMGEN_DATA_DATASET_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What to open.  Zeroed fields mean "as the format says". */
struct dataset_config {
    const char *format;      /* a name of the list: "idx", "shapes", ...             */
    const char *path;        /* a file or a folder; comma-separated files for cifar10 */
    const char *labels;      /* idx: the label file                                   */
    int64_t size;            /* height = width of the pictures handed out             */
    int64_t channels;        /* 1 or 3                                                */
    int64_t frames;          /* of a clip; 0 or 1: pictures                           */
    bool rates;              /* captions of clips begin with the rate: "FPS-16 a red" */
    uint8_t background[3];   /* what alpha is composited on, and what padding shows   */
    uint64_t seed;           /* procedural sets                                       */
    const char *autoencoder; /* latents: SHA-256 of the one they must be of, or NULL    */
    int64_t limit;           /* use the first `limit` pictures only                   */
};

struct dataset_format;

struct dataset {
    const struct dataset_format *format;
    int64_t count; /* pictures; INT64_MAX for an endless set */
    int64_t height, width, channels;
    int64_t frames;     /* of each clip; 0 or 1: pictures                       */
    int64_t n_classes;  /* 0: unlabelled                                        */
    char **class_names; /* [n_classes], owned by the set                        */
    bool flips;         /* a mirrored picture is as good (not digits, not text) */
    void *impl;
};

enum {
    CAPTION_TEXT = 1024,
    DATASET_FRAMES = 1024, /* no clip handed out has more */
};

/* One line lists the formats; each is one file under data/. */
struct dataset_format {
    const char *name, *summary;
    enum status (*open)(struct dataset *d, const struct dataset_config *c, struct error *err);
    void (*close)(struct dataset *d);
    /* Pixels of picture i as float [H, W, C], or of clip i as [T, H, W, C], nominally in [-1, 1],
     * its label (-1: none), and its caption when it has one of its own.  Safe from several threads
     * at once. */
    enum status (*get)(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                       char caption[CAPTION_TEXT], struct error *err);
    /* What picture i is called in its set ("rose/0001.jpg"), or NULL: pictures have no names. */
    const char *(*name_of)(const struct dataset *d, int64_t i);
};

const struct dataset_format *dataset_format_at(int i); /* NULL past the last */

/* E_ARG for an unknown format (naming the nearest), for numbers out of range, and when clips are
 * asked of a set of pictures; else what the format says.  *out is closed by dataset_close, which
 * takes NULL too. */
enum status dataset_open(struct dataset **out, const struct dataset_config *c, struct error *err);
void dataset_close(struct dataset *d);

/* How many numbers dataset_get hands out. */
int64_t dataset_length(const struct dataset *d);

/* Picture i as dataset_format.get describes it.  pixels: [dataset_length]; label and
 * caption may be NULL (the caption is the class name when a set has none, "" without a class).
 * E_ARG when i is not in 0..count-1, and what the format says.  Thread-safe. */
enum status dataset_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                        char caption[CAPTION_TEXT], struct error *err);

/* What picture i, 0 .. count-1, is called, or NULL; the set's. */
const char *dataset_name(const struct dataset *d, int64_t i);

/* For formats: set n_classes and copies of the names; names NULL gives "class 0", "class 1", ... */
enum status dataset_name_classes(struct dataset *d, int64_t n, const char *const *names,
                                 struct error *err);

#endif
