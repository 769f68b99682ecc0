/*
 * loader.h - shuffled batches, prepared in the background
 *
 * A run draws samples 0, 1, 2, ...; which picture sample s is, and whether it is mirrored, are pure
 * functions of (seed, s).  So a run resumes exactly at any sample, whatever the batch size was.
 */
#ifndef IMGEN_DATA_LOADER_H
#define IMGEN_DATA_LOADER_H

#include "data/dataset.h"

#include <stdbool.h>
#include <stdint.h>

/* The index of sample s of a set of `count` pictures: each epoch (count samples) is a permutation
 * of its own.  An endless set (count INT64_MAX) is read in order.  s >= 0, count > 0. */
int64_t loader_index(uint64_t seed, int64_t count, int64_t s);

struct batch {
    const float *pixels;            /* [n, H, W, C], or of clips [n, T, H, W, C]       */
    const int32_t *labels;          /* [n], -1: none                                   */
    char (*captions)[CAPTION_TEXT]; /* [n]                                    */
    int64_t n;                      /* the batch size, always: epochs flow into another */
    int64_t first_sample;           /* pixels[k] is sample first_sample + k            */
};

struct loader;

/* Starts the thread.  The set must outlive the loader.  batch > 0; first_sample >= 0; flip: mirror
 * half of the samples, all frames alike, left to right (whether that does harm is for the caller to
 * know: dataset.flips).  E_MEMORY; E_IO when no thread is to be had. */
enum status loader_new(struct loader **out, const struct dataset *d, int64_t batch, uint64_t seed,
                       int64_t first_sample, bool flip, struct error *err);

/* The next batch, waiting for it when need be; it stays valid until the next call.  A picture that
 * cannot be read is told here, when its batch is due, and at every call from then on.  One caller
 * at a time. */
enum status loader_next(struct loader *l, struct batch *b, struct error *err);

/* Stops the thread and waits for it; NULL is fine. */
void loader_free(struct loader *l);

#endif
