/*
 * codec_half.h - one half of an autoencoder over a batch of pictures, recorded and run
 *
 * For the files of a codec alone; who uses one includes codec.h.
 */
#ifndef IMGEN_PIPELINE_CODEC_HALF_H
#define IMGEN_PIPELINE_CODEC_HALF_H

#include "pipeline/autoencoder_file.h"
#include "pipeline/codec.h"

/* What is recorded: a batch of pictures of rows x columns cells through one half. */
struct codec_half {
    enum autoencoder_halves half;
    bool code; /* encode: leave the code as it is; else its mean */
    int64_t batch, rows, columns;
};

/* What a plan is a function of, besides the network: codec_plan.h. */
struct codec_question {
    enum autoencoder_halves half;
    bool code;
    int64_t n, height, width, memory, tile, overlap;
};

struct codec {
    struct autoencoder_file file; /* zeroed where the network is the caller's */
    const struct network *net;
    char hash[HASH_TEXT];
    struct graph *graph;
    int threads;
    struct codec_half planned;   /* what the graph holds a plan of            */
    struct codec_question asked; /* last, and the answer; half 0: nothing yet */
    struct codec_plan answer;
};

/* Channels of what an encoder leaves: of a latent, or of the code that says its mean and variance.
 */
int64_t codec_code_channels(const struct codec *c, bool code);
/* Numbers of one picture before and after. */
int64_t codec_half_in(const struct codec *c, const struct codec_half *h);
int64_t codec_half_out(const struct codec *c, const struct codec_half *h);

/* Recorded on the codec's graph, which is emptied before; returns what comes out, kept.  Shapes
 * alone matter until it is run: x may be NULL before. */
struct tensor *codec_half_record(struct codec *c, const struct codec_half *h, const float *x);
/* From here on plans are of this: that of anything else is forgotten. */
void codec_half_choose(struct codec *c, const struct codec_half *h);
/* Recorded and run: in [batch, codec_half_in], out [batch, codec_half_out].  Fails as graph_run. */
enum status codec_half_run(struct codec *c, const struct codec_half *h, float *out, const float *in,
                           struct error *err);

/* The codec's graph, to record something else on; what was planned on it before is forgotten. */
struct graph *codec_graph(struct codec *c);
/* A latent [cells, C] drawn from its code [cells, 2 C] by the seed and the picture's number. */
enum status codec_draw(struct codec *c, uint64_t seed, float *latent, const float *code,
                       int64_t cells, uint64_t index, struct error *err);

#endif
