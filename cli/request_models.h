/*
 * request_models.h - the files that have a part in a picture: the model that makes it, its guides,
 * and the picture it is made of
 */
#ifndef CLI_REQUEST_MODELS_H
#define CLI_REQUEST_MODELS_H

#include "cli.h"
#include "loras.h"
#include "picture_names.h"
#include "progress.h"
#include "request_parts.h"

struct request_models {
    struct imgen_model *model, *classifier, *guide; /* the last two: or NULL */
    struct imgen_model_info info;                   /* of the model         */
    struct imgen_image init, mask;                  /* without pixels: none */
    struct imgen_clip init_clip;                    /* in place of init, to be made larger */
};

/* The files, NULL where there is none; `model` must be told, and `autoencoder` only where that of a
 * model of latents is not found by itself; init, mask: a picture to make others of, and where.  An
 * exit code; close also after a failure. */
struct model_files {
    const char *model, *classifier, *guide, *autoencoder;
    struct imgen_parts parts; /* of a published model; all NULL: looked for */
    const char *init, *mask;
    struct imgen_text_list lora; /* "FILE" or "FILE:WEIGHT" each (loras.h) */
};
int request_models_open(struct request_models *m, const struct command *c,
                        const struct model_files *files);
void request_models_close(struct request_models *m);

/* Whoever makes pictures needs the autoencoder of a model of latents: `path`, or NULL for the one
 * that is found.  info: filled in.  An exit code. */
int request_autoencoder(struct imgen_model *model, struct imgen_model_info *info,
                        const struct command *c, const char *path);

/* The file `name` of a recipe beside the picture, or here where it is there alone. */
void request_look_beside(char out[PICTURE_NAME], const char *picture, const char *name);

/* Whose labels a request names: the model's, or, where it has none, its classifier's. */
const struct imgen_model *request_models_labelled(const struct request_models *m);

/* Where the files stand that made the picture `from`: those of `files` that nobody named become
 * the recipe's, looked for beside the picture, then here; room holds their names.  An exit code:
 * one that is not found is a failure. */
struct model_room {
    char name[5][PICTURE_NAME];
    struct lora_room loras;
    struct part_room parts;
};
int recipe_models_find(struct model_files *files, struct model_room *room, const struct command *c,
                       const char *from, const struct imgen_recipe *recipe);

/* Whether the files of the request are those of the recipe, by their content.  A file that merely
 * has the name is refused; one that the user named is taken at his word, with a note.  named: the
 * files as the user typed them. */
int recipe_models_check(const struct request_models *m, const struct command *c, const char *from,
                        const struct imgen_recipe *recipe, const struct imgen_request *r,
                        const struct model_files *named, struct progress *progress);

#endif
