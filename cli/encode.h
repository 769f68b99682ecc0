/*
 * encode.h - what the parts of `imgen encode` share
 */
#ifndef CLI_ENCODE_H
#define CLI_ENCODE_H

#include "coding_flags.h"

struct encode_options {
    bool help, force, mirrored, clips, json, quiet;
    char *output;
    uint64_t seed; /* of --sample */
    int split;
    struct coding_flags coding;
    struct imgen_text_list settings;
};
enum { SPLIT_TRAIN, SPLIT_HELD_OUT };

/* An open autoencoder, and how to use it. */
struct encode_job {
    const struct encode_options *options;
    const char *autoencoder; /* its path               */
    bool sampled;            /* --sample was given      */
    struct imgen_codec *codec;
    struct imgen_codec_info info;
    struct imgen_coding how;
    struct progress progress;
};

/* Of the pictures of a configuration: its cache of latents.  Returns an exit code. */
int encode_cache(struct encode_job *job, const char *config);

#endif
