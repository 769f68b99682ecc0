/*
 * statistics.h - the features of a reference, kept in a file
 *
 *     NAME.safetensors
 *       metadata  "imgen.statistics": JSON {format, network, protocol, about, height, width,
 * channels}, protocol where there is any tensors   "features" [n, D] float32, "labels" [n] int32
 * where there are any
 */
#ifndef IMGEN_EVAL_STATISTICS_H
#define IMGEN_EVAL_STATISTICS_H

#include "base/error.h"
#include "base/hash.h"

#include <stdint.h>

struct statistics {
    int64_t n, D;
    float *features;                 /* [n, D], heap */
    int32_t *label;                  /* [n], -1: none; heap, or NULL             */
    int64_t height, width, channels; /* of the pictures they were taken from                 */
    char network[HASH_TEXT]; /* SHA-256 of the feature network's file                        */
    char protocol[96];       /* what else decided the features: struct features; or ""       */
    char about[512];         /* where the pictures came from, in words                       */
};

/* Atomically, as safetensors_save. */
enum status statistics_save(const char *path, const struct statistics *s, struct error *err);
/* E_IO; E_FORMAT when it is no such file or contradicts itself; E_MEMORY.  Release also after a
 * failure. */
enum status statistics_load(struct statistics *s, const char *path, struct error *err);
void statistics_release(struct statistics *s);

#endif
