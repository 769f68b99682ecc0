/*
 * request_parts.h - the parts of a model in several files, as a picture's recipe names them
 */
#ifndef CLI_REQUEST_PARTS_H
#define CLI_REQUEST_PARTS_H

#include "cli.h"
#include "picture_names.h"
#include "progress.h"

/* Names of parts that were found. */
struct part_room {
    char name[IMGEN_PARTS][PICTURE_NAME];
};

/* Parts that nobody named become the recipe's: looked for about the model, beside the picture
 * `from`, then here; done without where the recipe says so.  autoencoder: that of --autoencoder.
 * An exit code: one that is found nowhere is a failure. */
int recipe_parts_find(struct imgen_parts *parts, const char **autoencoder, struct part_room *room,
                      const struct command *c, const char *model, const char *from,
                      const struct imgen_recipe *recipe);

/* Whether the parts at hand, those of `now`, are the recipe's.  As recipe_models_check has it;
 * named: as the user typed them. */
int recipe_parts_check(const struct imgen_recipe *now, const struct command *c, const char *from,
                       const struct imgen_recipe *recipe, const struct imgen_parts *named,
                       const char *autoencoder, struct progress *progress);

#endif
