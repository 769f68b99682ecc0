/*
 * imgen/picture.h - files of pictures, and the recipes they carry
 */
#ifndef IMGEN_PICTURE_H
#define IMGEN_PICTURE_H

#include "imgen/sample.h"

#ifdef __cplusplus
extern "C" {
#endif

/* pixels [height, width, channels], rows from the top; 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. */
struct imgen_image {
    int64_t height, width, channels;
    uint8_t *pixels;
};
/* PNG, JPEG or WebP, by content.  Give it back with imgen_image_release. */
IMGEN_API enum imgen_status imgen_image_read(struct imgen_image *out, const char *path,
                                             struct imgen_error *err);
/* Format by the name's ending; written whole or not at all. */
IMGEN_API enum imgen_status imgen_image_write(const char *path, const struct imgen_image *image,
                                              struct imgen_error *err);
IMGEN_API void imgen_image_release(struct imgen_image *image);

/* x [rows columns, height, width, channels] in -1 .. 1 as one picture: `gap` pixels of grey level
 * `ground` around each, every pixel drawn zoom x zoom times. */
struct imgen_sheet {
    int64_t rows, columns, height, width, channels, gap, zoom;
    int ground;
};
IMGEN_API enum imgen_status imgen_sheet_draw(struct imgen_image *out, const float *x,
                                             const struct imgen_sheet *sheet,
                                             struct imgen_error *err);

/* Room for a prompt in a recipe, with its end; longer ones have none. */
#define IMGEN_PROMPT 8192

#define IMGEN_PARTS 6

/* How a picture was made: written into its PNG as text ("parameters" for people and other programs,
 * "imgen" as JSON).  Read from a picture of another program it holds what that program's
 * "parameters" say: texts are "", numbers 0 and item.cfg_scale -1 where they say nothing, and names
 * that mean nothing here stand as they are, for imgen_sample to refuse. */
struct imgen_recipe {
    int foreign;                 /* 1: of another program               */
    char model[256];             /* name of the file                    */
    char hash[65];               /* SHA-256 of the file; of a folder, of what its network is */
    char label[IMGEN_PROMPT];    /* name or number, or the prompt; "none" */
    char negative[IMGEN_PROMPT]; /* guidance.negative, which is none of the numbers below; or "" */
    struct imgen_item item;
    int width, height;   /* of the picture */
    int frames;          /* of the clip; 0 and 1: a picture */
    int tiled;           /* 1: made in tiles of the size that the model was trained on ... */
    double tile_overlap; /* ... that share this part (imgen_model_tile) */
    /* The picture it was made of and its mask, "" where there are none: the names of the files, and
     * SHA-256 of their size and pixels. */
    char init[256], init_hash[65], mask[256], mask_hash[65];
    double strength;
    char sampler[48], schedule[48], precision[16], heads[16], clip[16], rng[16];
    char classifier[256], classifier_hash[65]; /* "": guided by none */
    double classifier_scale;
    /* Of a model in several files the parts beside its network: how the model's folder calls each,
     * or, where that is elsewhere, its last word; "" done without.  hash: of its size and of pieces
     * of it, not of all it holds; several parts may lie in one file, as in the model's own. */
    struct imgen_recipe_part {
        char role[16]; /* "autoencoder", "clip_l", "clip_g", "t5xxl", "merges", "spiece"; "no_t5":
                          as with imgen_parts.no_t5 */
        char file[256], hash[65];
    } part[IMGEN_PARTS];
    int n_parts;
    struct imgen_recipe_lora {
        char file[256], hash[65];
        double weight;
    } lora[IMGEN_LORAS]; /* adapters, in the order in which they were applied */
    int n_loras;
    char guide[256], guide_hash[65], guide_label[16]; /* "": one model gave both predictions */
    double shift;
    int steps;
    double times[1001]; /* when n_times > 0 */
    int n_times;
    char numbers[24][80]; /* of the request */
    int n_numbers;
};
/* The recipe of item i of a request.  The model's file is read once more, for its hash.  E_ARG: a
 * prompt or number that a recipe has no room for. */
IMGEN_API enum imgen_status imgen_recipe_make(struct imgen_recipe *out, struct imgen_model *model,
                                              const struct imgen_request *r, int64_t i,
                                              struct imgen_error *err);
/* Write one picture as PNG with its recipe. Equal pictures and recipes give equal bytes. */
IMGEN_API enum imgen_status imgen_picture_write(const char *path, const struct imgen_image *image,
                                                const struct imgen_recipe *recipe,
                                                struct imgen_error *err);
/* A clip.  pixels [frames, height, width, channels], 8 bits; rate: frames a second, 0 unknown. */
struct imgen_clip {
    int64_t frames, height, width, channels;
    double rate;
    const uint8_t *pixels;
};

/* The first `most` frames, 0: all, of an animated WebP, APNG, GIF or Y4M file, or, with the plugin
 * for video, of another one, by content; of any other picture, which is one frame; or of a folder
 * of pictures of one size, in the order of their names, numbers by their values.  Give it back with
 * imgen_clip_release.  E_FORMAT names what is broken, a folder without pictures, and frames of
 * different sizes. */
IMGEN_API enum imgen_status imgen_clip_read(struct imgen_clip *out, const char *path, int64_t most,
                                            struct imgen_error *err);
IMGEN_API void imgen_clip_release(struct imgen_clip *clip); /* zeroes it; of one that was read */
/* SHA-256 of such a file, in small letters; of a folder that of its frames' hashes, as texts. */
IMGEN_API enum imgen_status imgen_clip_hash(char out[65], const char *path,
                                            struct imgen_error *err);

/* The clip in another size, frame by frame, antialiased: by "box", "bilinear", "bicubic" or
 * "lanczos".  *out is released by the caller. */
IMGEN_API enum imgen_status imgen_clip_resize(struct imgen_clip *out, const struct imgen_clip *in,
                                              int64_t height, int64_t width, const char *filter,
                                              struct imgen_error *err);

/* Write a clip by its name's ending: .webp, .png or .apng (animated, with the recipe, where it is
 * not NULL), .y4m, .mp4, .m4v, .webm; or, where the name has no ending of those, as a folder of
 * pictures, 00000.png and on, each with the recipe. */
IMGEN_API enum imgen_status imgen_clip_write(const char *path, const struct imgen_clip *clip,
                                             const struct imgen_recipe *recipe,
                                             struct imgen_error *err);

/* 1: the name has such an ending. */
IMGEN_API int imgen_clip_named(const char *path);

/* Whether a clip of such a name could be written here: IMGEN_E_UNSUPPORTED where what writes the
 * format is not installed (.mp4, .webm: the plugin for video), saying what to install. */
IMGEN_API enum imgen_status imgen_clip_check(const char *path, struct imgen_error *err);

/* E_FORMAT when the PNG holds no recipe, nor "parameters" as other programs write them. */
IMGEN_API enum imgen_status imgen_recipe_read(struct imgen_recipe *out, const char *path,
                                              struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
