/*
 * text_data.h - what frozen encoders say of a run's captions, asked once and kept on disk
 */
#ifndef IMGEN_TRAIN_TEXT_DATA_H
#define IMGEN_TRAIN_TEXT_DATA_H

#include "data/dataset.h"
#include "pipeline/text_encoders.h"

struct text_data;

/* Of n captions `done` are encoded; false stops, and the parts that are written are kept. */
typedef bool text_progress(int64_t done, int64_t n, void *user);

struct text_data_request {
    const struct text_encoders *encoders; /* stay as long as the result                        */
    const struct network_io *io;          /* of a network that reads encoded texts; the same   */
    const char *folder; /* made when it is missing; what these encoders say is in a folder inside */
    int threads;
    bool writes;             /* captions that are not there yet are encoded; else zeros stand in */
    text_progress *progress; /* may be NULL */
    void *user;
};

/* Open what is there of these encoders.  E_FORMAT naming a file that is damaged or no part of it;
 * E_IO; E_MEMORY. */
enum status text_data_open(struct text_data **out, const struct text_data_request *r,
                           struct error *err);
void text_data_close(struct text_data *t); /* NULL is fine */

/* Have these captions too, and the empty one; those that are missing are encoded and written at
 * once, with the encoders' memory given back before this returns.  Fails as prompts_encode;
 * E_CANCELLED. */
enum status text_data_need(struct text_data *t, const char *const *caption, int64_t n,
                           struct error *err);
/* The same of n samples of a set, in the order of loader_index(seed), or, n < 0, of all its
 * pictures.  E_ARG for all of an endless set. */
enum status text_data_need_set(struct text_data *t, const struct dataset *d, uint64_t seed,
                               int64_t n, struct error *err);

int64_t text_data_count(const struct text_data *t);  /* captions that are there */
int64_t text_data_tokens(const struct text_data *t); /* of each                 */

/* context [tokens, io.context_width], pooled [io.pooled_width] (not looked at where that is 0) of a
 * caption that was needed; NULL: the empty one. */
void text_data_read(const struct text_data *t, const char *caption, float *context, float *pooled);

#endif
