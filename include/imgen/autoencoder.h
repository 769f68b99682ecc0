/*
 * imgen/autoencoder.h - pictures to latents and back
 *
 * Pictures to latents and back:
 *
 *     struct imgen_codec *codec = NULL;
 *     struct imgen_coding how;
 *     struct imgen_latent latent = {0};
 *
 *     imgen_codec_open(&codec, "autoencoder.safetensors", IMGEN_BOTH, 0, &err);
 *     imgen_coding_init(&how);
 *     imgen_encode_image(&latent, codec, &picture, &how, &err);
 *     imgen_decode_latent(&again, codec, &latent, &how, &err);
 *
 * A latent has rows = ceil(height / factor) and columns = ceil(width / factor) cells; a picture
 * comes back in exactly its own size.  Latents are as the autoencoder makes them, not scaled.
 */
#ifndef IMGEN_AUTOENCODER_H
#define IMGEN_AUTOENCODER_H

#include "imgen/data.h"
#include "imgen/picture.h"

#ifdef __cplusplus
extern "C" {
#endif

struct imgen_codec;

enum imgen_half { IMGEN_BOTH, IMGEN_ENCODER, IMGEN_DECODER };

/* A model file trained here; a published one of the Stable Diffusion family, alone or inside a
 * larger model's single file; a folder that holds one, or vae/ with one, with its config.json; or
 * either file of a pair NAME_encoder.safetensors, NAME_decoder.safetensors of a tiny autoencoder.
 * half: what will be asked of it.  threads 0: one per processor.  *out is closed by the caller; one
 * call at a time. */
IMGEN_API enum imgen_status imgen_codec_open(struct imgen_codec **out, const char *path,
                                             enum imgen_half half, int threads,
                                             struct imgen_error *err);
IMGEN_API void imgen_codec_close(struct imgen_codec *codec); /* NULL is fine */

/* Texts belong to the codec. */
struct imgen_codec_info {
    const char *network;
    const char *hash; /* SHA-256 of the file, of a pair that of both hashes: what latents name */
    int channels;     /* of pictures                                                           */
    int latent_channels;
    int factor;   /* pixels to a side of a cell                                            */
    int gaussian; /* 1: a latent is drawn from a posterior, or its mean                    */
    int encodes, decodes;
    int videos;       /* 1: of clips; a picture is a clip of one frame                        */
    int frame_factor; /* frames of a clip to one of its latent, these rounded up; 1: pictures */
    int64_t weights;
};
IMGEN_API void imgen_codec_info(const struct imgen_codec *codec, struct imgen_codec_info *out);

/* Runs of the network that are done, of n: after each, and ten times a second during one.  Return 0
 * to stop: the call then fails with IMGEN_E_CANCELLED, before the next operation begins. */
typedef int imgen_coding_callback(int64_t done, int64_t n, void *user);

/* How to work.  Uncut, results are functions of the picture alone, bit for bit.  A picture that
 * does not fit into `memory` goes through a few layers at a time, in strips, which takes up to
 * twice as long and gives the same to 16 bits.  One that does not fit even so, or where `tile` asks
 * for it, is cut into tiles, and then norms and attention see a tile and not the picture.  What
 * fits is a matter of the number of threads too. */
struct imgen_coding {
    int64_t memory;  /* bytes that weights and values may take together, your arrays not
                        counted; 0: no limit                                                   */
    int64_t tile;    /* a tile's side in cells; 0: tiles only where nothing else fits          */
    int64_t overlap; /* cells that neighbours share; 0: 8, or half a tile                      */
    int64_t frames;  /* of the tiles in which clips go through; 0: 32.  Decoded tiles share half
                        of theirs, blended; encoded ones nothing                               */
    int sample;      /* 1: encoding draws from the posterior, where there is one ...           */
    uint64_t seed, first; /* ... picture i of a call by (seed, first + i)                       */
    imgen_coding_callback *progress; /* may be NULL */
    void *user;
};
/* The posterior's mean, and a memory limit of three quarters of what the machine has free. */
IMGEN_API void imgen_coding_init(struct imgen_coding *how);

/* What a call would do. */
struct imgen_coding_plan {
    int64_t rows, columns;            /* cells of a latent                       */
    int64_t tiles_down, tiles_across; /* 1 and 1: the picture in one piece       */
    int64_t tile_rows, tile_columns;  /* cells of a tile                         */
    int64_t overlap;                  /* cells that neighbours share at least    */
    int64_t strips;                   /* runs a picture that goes through in strips, a few
                                         layers at a time; 0: it does not         */
    int64_t batch;                    /* pictures a run of the network           */
    int64_t runs;                     /* for all pictures                        */
    int64_t bytes;                    /* at most, as `memory` counts             */
};
/* half: IMGEN_ENCODER or IMGEN_DECODER.  E_ARG; E_MEMORY, with the numbers, when the limit allows
 * no tile. */
IMGEN_API enum imgen_status imgen_codec_plan(struct imgen_coding_plan *out,
                                             struct imgen_codec *codec, enum imgen_half half,
                                             int64_t n, int64_t height, int64_t width,
                                             const struct imgen_coding *how,
                                             struct imgen_error *err);

/* pictures [n, height, width, channels] in -1 .. 1, latents [n, rows, columns, latent_channels].
 * how NULL: no limit, the mean.  Decoded numbers are not clipped to -1 .. 1. */
IMGEN_API enum imgen_status imgen_encode(struct imgen_codec *codec, float *latents,
                                         const float *pictures, int64_t n, int64_t height,
                                         int64_t width, const struct imgen_coding *how,
                                         struct imgen_error *err);
IMGEN_API enum imgen_status imgen_decode(struct imgen_codec *codec, float *pictures,
                                         const float *latents, int64_t n, int64_t height,
                                         int64_t width, const struct imgen_coding *how,
                                         struct imgen_error *err);

/* The same of n clips [n, frames, height, width, channels] and their latents [n, cells, rows,
 * columns, latent_channels]; sides are multiples of the factor.  Of an autoencoder of pictures
 * every frame has a latent, else cells = ceil(frames / frame_factor), which imgen_clip_cells says.
 * Clips of more than how->frames go through in tiles of so many; `memory` and `tile` count for
 * autoencoders of pictures alone. */
struct imgen_clip_size {
    int64_t frames, height, width;
};
IMGEN_API int64_t imgen_clip_cells(const struct imgen_codec *codec, int64_t frames);
IMGEN_API enum imgen_status imgen_encode_clips(struct imgen_codec *codec, float *latents,
                                               const float *clips, int64_t n,
                                               const struct imgen_clip_size *size,
                                               const struct imgen_coding *how,
                                               struct imgen_error *err);
IMGEN_API enum imgen_status imgen_decode_clips(struct imgen_codec *codec, float *clips,
                                               const float *latents, int64_t n,
                                               const struct imgen_clip_size *size,
                                               const struct imgen_coding *how,
                                               struct imgen_error *err);
/* The frames, rising, before which another tile of a decoded clip begins or ends: joint [frames],
 * *n of them; none in one piece. */
IMGEN_API enum imgen_status imgen_codec_joints(int64_t *joint, int64_t *n,
                                               struct imgen_codec *codec,
                                               const struct imgen_clip_size *size,
                                               const struct imgen_coding *how,
                                               struct imgen_error *err);

/* The latent of one picture or clip, as files have it. */
struct imgen_latent {
    char autoencoder[65];  /* its hash; "": not known                                           */
    char picture[65];      /* SHA-256 of the picture's file, yours to fill in, or ""            */
    int64_t height, width; /* of the picture; 0: not known                         */
    int sampled;           /* 1: drawn from the posterior by the seed              */
    uint64_t seed;
    int64_t tile_rows, tile_columns; /* of the tiles it was made in; 0: in one piece         */
    int64_t frames;                  /* of the clip; 0: of a picture                         */
    double rate;                     /* of the clip, frames a second; 0: not known           */
    int64_t cells;                   /* frames of a clip's latent; 1 of a picture's          */
    int64_t rows, columns, channels;
    float *values; /* [rows, columns, channels], of a clip [cells, ...]; freed by
                      imgen_latent_release                                                  */
};
IMGEN_API void imgen_latent_release(struct imgen_latent *latent); /* zeroes it */

/* Alpha is laid over white.  A sample is drawn by the seed and the picture's pixels, `first` is not
 * looked at. */
IMGEN_API enum imgen_status imgen_encode_image(struct imgen_latent *out, struct imgen_codec *codec,
                                               const struct imgen_image *image,
                                               const struct imgen_coding *how,
                                               struct imgen_error *err);
/* In the picture's own size.  E_FORMAT when the cells are not those of such a picture; whose latent
 * it is, is not asked. */
IMGEN_API enum imgen_status imgen_decode_latent(struct imgen_image *out, struct imgen_codec *codec,
                                                const struct imgen_latent *latent,
                                                const struct imgen_coding *how,
                                                struct imgen_error *err);
/* The same of clips of any size and number of frames; latent->frames > 0. */
IMGEN_API enum imgen_status imgen_encode_clip(struct imgen_latent *out, struct imgen_codec *codec,
                                              const struct imgen_clip *clip,
                                              const struct imgen_coding *how,
                                              struct imgen_error *err);
IMGEN_API enum imgen_status imgen_decode_clip(struct imgen_clip *out, struct imgen_codec *codec,
                                              const struct imgen_latent *latent,
                                              const struct imgen_coding *how,
                                              struct imgen_error *err);
/* E_FORMAT, with both hashes, when another autoencoder made it. */
IMGEN_API enum imgen_status imgen_latent_check(const struct imgen_codec *codec,
                                               const struct imgen_latent *latent,
                                               struct imgen_error *err);

/* Files of ours (doc/formats.md), checked against their checksum, and others that hold one tensor,
 * [rows, columns, channels] or [1, channels, rows, columns]; channels: the autoencoder's. */
IMGEN_API enum imgen_status imgen_latent_read(struct imgen_latent *out, const char *path,
                                              int64_t channels, struct imgen_error *err);
/* Written whole or not at all.  Whose it is, and of a picture of which size, must be set. */
IMGEN_API enum imgen_status imgen_latent_write(const char *path, const struct imgen_latent *latent,
                                               struct imgen_error *err);

/* Encode a set into a folder that training reads (data.format = latents), or go on where that was
 * left: what is there is checked and kept, nothing is encoded twice.  E_FORMAT, with both hashes,
 * when it is damaged or of other pictures or of another autoencoder.  mirrored: every picture also
 * left to right.  `how->first` is not looked at, and its callback counts latents.
 * *encoded, or NULL: how many were made now. */
IMGEN_API enum imgen_status imgen_encode_set(struct imgen_codec *codec,
                                             const struct imgen_data *pictures, const char *folder,
                                             int mirrored, const struct imgen_coding *how,
                                             int64_t *encoded, struct imgen_error *err);

/* A size as people type it, "800M" or "1.5G": 1, or 0 when it is none. */
IMGEN_API int imgen_bytes(const char *text, int64_t *out);

/* SHA-256 of a file, in small letters. */
IMGEN_API enum imgen_status imgen_file_hash(char out[65], const char *path,
                                            struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
