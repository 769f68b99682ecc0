/*
 * info.h - what the parts of `imgen info` share
 */
#ifndef CLI_INFO_H
#define CLI_INFO_H

#include "cli.h"
#include "json_out.h"

struct info_options {
    bool help, verify, json, tensors;
};

/* Texts of a stranger's file, without the letters that steer a terminal. */
void info_plain(const char *s);

/* A picture and its recipe.  An exit code. */
int info_picture(const char *path, const struct info_options *o);

/* An animation, a picture without a recipe, or a folder of frames.  An exit code. */
int info_clip(const char *path, const struct info_options *o);

/* A file of tensors, a model or not, or a folder with a published one.  An exit code. */
int info_weights(const char *path, const struct info_options *o);

/* What a model is and can be asked for; and the same as the member "model". */
void info_model(const struct imgen_model *model);
void info_model_json(struct json_out *j, const struct imgen_model *model);

#endif
