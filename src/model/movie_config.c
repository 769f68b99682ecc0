/*
 * movie_config.c - what a video transformer may be: its options, the sizes that follow, what is
 * refused
 *
 * A configuration comes from a person, or from a file that somebody else wrote.  Whatever passes
 * movie_check can be declared and computed (movie.c), of any size; what does not is told by the
 * names and numbers of the options that do not go together.
 */
#include "model/byte_text.h"
#include "model/movie_parts.h"

#include <inttypes.h>

enum { HIDDEN_UNIT = 8 };

const struct option movie_options[] = {
    {"size", "height and width of the frames it is trained on", OPTION_INT,
     offsetof(struct movie_config, size), "8", .lo = 1, .hi = 4096},
    {"channels", "channels of the frames", OPTION_INT, offsetof(struct movie_config, channels),
     "16", .lo = 1, .hi = 256},
    {"frames", "frames of the videos it is trained on", OPTION_INT,
     offsetof(struct movie_config, frames), "4", .lo = 1, .hi = 65536},
    {"condition_channels", "channels of what is known at each place beforehand; 0: nothing is",
     OPTION_INT, offsetof(struct movie_config, condition_channels), "0", .lo = 0, .hi = 1024},
    {"first_frame",
     "share of training clips that are told their first frame, to continue given ones; 0: none is",
     OPTION_REAL, offsetof(struct movie_config, first_frame), "0", .lo = 0, .hi = 1},
    {"upscale", "make clips so many times larger: it is told of the smaller one; 0: of none",
     OPTION_INT, offsetof(struct movie_config, upscale), "0", .lo = 0, .hi = 16},
    {"patch", "side of a patch in pixels", OPTION_INT, offsetof(struct movie_config, patch), "2",
     .lo = 1, .hi = 256},
    {"width", "features of a token", OPTION_INT, offsetof(struct movie_config, width), "384",
     .lo = 1, .hi = DIT_WIDTH_MAX},
    {"depth", "blocks", OPTION_INT, offsetof(struct movie_config, depth), "10", .lo = 1, .hi = 256},
    {"heads", "attention heads", OPTION_INT, offsetof(struct movie_config, heads), "6", .lo = 1,
     .hi = 1024},
    {"hidden", "features between the two layers of the feed-forward part; 0: 8/3 of the width",
     OPTION_INT, offsetof(struct movie_config, hidden), "0", .lo = 0, .hi = 4 * DIT_WIDTH_MAX},
    {"positions", "rows and columns of patches that a frame may have; 0: those of the size",
     OPTION_INT, offsetof(struct movie_config, positions), "0", .lo = 0, .hi = 4096},
    {"times", "frames that a video may have; 0: those it is trained on", OPTION_INT,
     offsetof(struct movie_config, times), "0", .lo = 0, .hi = 65536},
    {"everywhere", "tell positions to every block, not to the first alone", OPTION_BOOL,
     offsetof(struct movie_config, everywhere), .fallback = "true"},
    {"shared", "one modulation for all blocks", OPTION_BOOL, offsetof(struct movie_config, shared),
     .fallback = "true"},
    {"qk_norm", "norm of queries and keys", OPTION_BOOL, offsetof(struct movie_config, qk_norm),
     .fallback = "false"},
    {"contexts", "features of a token of each encoded text", OPTION_INTS,
     offsetof(struct movie_config, contexts), .lo = 1, .hi = DIT_WIDTH_MAX},
    {"lengths", "tokens of each of several encoded texts", OPTION_INTS,
     offsetof(struct movie_config, lengths), .lo = 1, .hi = 65536},
    {"pooled_width", "features of a vector for the whole text; 0: none", OPTION_INT,
     offsetof(struct movie_config, pooled_width), "0", .lo = 0, .hi = DIT_WIDTH_MAX},
    {"text_length",
     "read texts of up to so many bytes, less one, with an encoder trained beside; 0: texts come "
     "encoded",
     OPTION_INT, offsetof(struct movie_config, text_length), "0", .lo = 0,
     .hi = BYTE_TEXT_LENGTH_MAX},
    {"text_width", "features of a byte in that encoder", OPTION_INT,
     offsetof(struct movie_config, text_width), "192", .lo = 1, .hi = DIT_WIDTH_MAX},
    {"text_depth", "its blocks", OPTION_INT, offsetof(struct movie_config, text_depth), "2",
     .lo = 1, .hi = BYTE_TEXT_DEPTH_MAX},
    {"text_heads", "its attention heads", OPTION_INT, offsetof(struct movie_config, text_heads),
     "4", .lo = 1, .hi = 1024},
    {"text_kernel", "bytes that a convolution in each of its blocks sees, odd; 1: no convolution",
     OPTION_INT, offsetof(struct movie_config, text_kernel), "1", .lo = 1, .hi = 31},
    {0},
};

int64_t movie_table_side(const struct movie_config *c)
{
    return c->positions ? c->positions : c->size / c->patch;
}

int64_t movie_table_times(const struct movie_config *c)
{
    return c->times ? c->times : c->frames;
}

/* A first frame comes with a channel that says where it is. */
int64_t movie_condition_channels(const struct movie_config *c)
{
    if (c->first_frame > 0)
        return c->channels + 1;
    return c->upscale ? c->channels : c->condition_channels;
}

int64_t movie_hidden(const struct movie_config *c)
{
    int64_t least = (8 * c->width + 2) / 3;

    return c->hidden ? c->hidden : (least + HIDDEN_UNIT - 1) / HIDDEN_UNIT * HIDDEN_UNIT;
}

/* Features of the widest encoded text: how wide their common sequence is. */
int64_t movie_context_width(const struct movie_config *c)
{
    int64_t most = 0;

    for (int i = 0; i < c->contexts.n; i++)
        most = c->contexts.at[i] > most ? c->contexts.at[i] : most;
    return most;
}

/* Tokens of their common sequence; 0: there is one text, as long as it is. */
int64_t movie_context_length(const struct movie_config *c)
{
    int64_t sum = 0;

    for (int i = 0; i < c->lengths.n; i++)
        sum += c->lengths.at[i];
    return sum;
}

static enum status check_texts(const struct movie_config *c, struct error *err)
{
    if (c->text_length == 1)
        return fail(err, E_ARG,
                    "movie.text_length: of 1 only the mark at the beginning would be read");
    if (c->text_kernel % 2 == 0)
        return fail(err, E_ARG, "movie.text_kernel: %" PRId64 " is even: there is no middle",
                    c->text_kernel);
    if (c->text_length && c->text_width % c->text_heads)
        return fail(err, E_ARG,
                    "movie.text_width: %" PRId64 " features cannot be dealt to %" PRId64 " heads",
                    c->text_width, c->text_heads);
    if (!c->text_length == !c->contexts.n)
        return fail(err, E_ARG,
                    "movie.text_length, movie.contexts: texts are read here or come encoded, one "
                    "of the two");
    if (c->contexts.n > MOVIE_TEXTS)
        return fail(err, E_ARG, "movie.contexts: %d encoded texts, %d are read", c->contexts.n,
                    MOVIE_TEXTS);
    if (c->lengths.n != (c->contexts.n > 1 ? c->contexts.n : 0))
        return fail(err, E_ARG,
                    "movie.lengths: %d numbers; each of several encoded texts has one, a single "
                    "one may be as long as it is",
                    c->lengths.n);
    return OK;
}

/* What is known beforehand is one thing. */
static enum status check_condition(const struct movie_config *c, struct error *err)
{
    if (c->upscale == 1)
        return fail(err, E_ARG, "movie.upscale: once as large is as large: 2 or more");
    if ((c->first_frame > 0) + (c->upscale > 0) + (c->condition_channels > 0) > 1)
        return fail(err, E_ARG,
                    "movie.first_frame = %g, movie.upscale = %" PRId64
                    ", movie.condition_channels = %" PRId64 ": these exclude each other",
                    c->first_frame, c->upscale, c->condition_channels);
    return OK;
}

enum status movie_check(const void *config, struct error *err)
{
    const struct movie_config *c = config;
    enum status st = check_condition(c, err);

    if (st)
        return st;
    if (c->size % c->patch)
        return fail(err, E_ARG,
                    "movie.patch: patches of %" PRId64 " do not divide frames of %" PRId64,
                    c->patch, c->size);
    if (c->width % c->heads)
        return fail(err, E_ARG, "movie.heads: %" PRId64 " heads do not divide a width of %" PRId64,
                    c->heads, c->width);
    if (movie_table_side(c) < c->size / c->patch)
        return fail(err, E_ARG,
                    "movie.positions: tables of %" PRId64 " patches, frames have %" PRId64,
                    c->positions, c->size / c->patch);
    if (movie_table_times(c) < c->frames)
        return fail(err, E_ARG, "movie.times: a table of %" PRId64 " frames, videos have %" PRId64,
                    c->times, c->frames);
    return check_texts(c, err);
}

void movie_io(const void *config, struct network_io *io)
{
    const struct movie_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .step = c->patch,
        .most = movie_table_side(c) * c->patch,
        .in_channels = c->channels,
        .out_channels = c->channels,
        .frames = c->frames,
        .frames_most = movie_table_times(c),
        .condition_channels = movie_condition_channels(c),
        .first_frame = c->first_frame,
        .upscale = c->upscale,
        .null_label = -1,
        .context_width = movie_context_width(c),
        .context_length = movie_context_length(c),
        .pooled_width = c->pooled_width,
        .text_length = c->text_length,
        .n_skippable = (int)c->depth,
    };
    network_count_attention(io, c->depth);
}
