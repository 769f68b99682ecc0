/*
 * imgen/data.h - data sets, as training sees them
 */
#ifndef IMGEN_DATA_H
#define IMGEN_DATA_H

#include "imgen/model.h"
#include "imgen/train.h"

#ifdef __cplusplus
extern "C" {
#endif

struct imgen_data;

/* The [data] section of a configuration (as imgen_training's first four members). */
IMGEN_API enum imgen_status imgen_data_open(struct imgen_data **out, const struct imgen_training *t,
                                            struct imgen_error *err);
IMGEN_API void imgen_data_close(struct imgen_data *data);

struct imgen_data_info {
    const char *format;
    int64_t count; /* INT64_MAX: endless */
    int height, width, channels, n_labels;
    int frames; /* of each clip; 0 or 1: pictures */
};
IMGEN_API void imgen_data_info(const struct imgen_data *data, struct imgen_data_info *out);
IMGEN_API const char *imgen_data_label(const struct imgen_data *data, int i);
/* The file of picture i, within its folder, or NULL: pictures of this format have no names. */
IMGEN_API const char *imgen_data_name(const struct imgen_data *data, int64_t i);
/* pixels [height, width, channels] in -1 .. 1, of a clip [frames, height, width, channels]; label
 * -1 when there is none; caption may be NULL. */
IMGEN_API enum imgen_status imgen_data_get(const struct imgen_data *data, int64_t i, float *pixels,
                                           int *label, char caption[IMGEN_CAPTION],
                                           struct imgen_error *err);

/* The same for the pictures that are never trained on: those of data.eval_path, or, of an endless
 * set, those of another seed.  E_ARG when a finite set names none. */
IMGEN_API enum imgen_status imgen_data_open_held_out(struct imgen_data **out,
                                                     const struct imgen_training *t,
                                                     struct imgen_error *err);
/* n different pictures in 8 bits, drawn from the seed (of an endless set: the first n): pixels
 * [n, height, width, channels] (of clips [n, frames, ...]), label [n], number [n]: which they are.
 */
IMGEN_API enum imgen_status imgen_data_draw(const struct imgen_data *data, uint64_t seed, int64_t n,
                                            uint8_t *pixels, int *label, int64_t *number,
                                            struct imgen_error *err);

/* What a picture of the set "shapes" shows, or -1: the label when shape and colour are clear.
 * pixels [size, size, 3] in -1 .. 1, size 16 .. 128. */
IMGEN_API int imgen_shapes_label(const float *pixels, int size);

#ifdef __cplusplus
}
#endif

#endif
