/*
 * movie_parts.h - what the files of the video transformer share: its options and their sizes
 */
#ifndef IMGEN_MODEL_MOVIE_PARTS_H
#define IMGEN_MODEL_MOVIE_PARTS_H

#include "model/movie.h"

extern const struct option movie_options[];
/* network_kind's check and io. */
enum status movie_check(const void *config, struct error *err);
void movie_io(const void *config, struct network_io *io);

/* Rows of the tables of rows and columns, and of that of times. */
int64_t movie_table_side(const struct movie_config *c);
int64_t movie_table_times(const struct movie_config *c);
/* Of what is known beforehand: a first frame comes with a channel that says where it is. */
int64_t movie_condition_channels(const struct movie_config *c);
/* Features inside the feed-forward. */
int64_t movie_hidden(const struct movie_config *c);
/* Features of the widest encoded text, which are those of the common sequence; and its tokens, 0:
 * there is one text, as long as it is. */
int64_t movie_context_width(const struct movie_config *c);
int64_t movie_context_length(const struct movie_config *c);

#endif
