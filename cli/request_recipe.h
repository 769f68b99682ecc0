/*
 * request_recipe.h - the recipe of a picture as a request for the same
 */
#ifndef CLI_REQUEST_RECIPE_H
#define CLI_REQUEST_RECIPE_H

#include "progress.h"
#include "request_models.h"

/* A recipe (imgen_recipe_read), and what a request made of it points to. */
struct request_recipe {
    struct imgen_recipe recipe;
    const char *numbers[sizeof((struct imgen_recipe *)0)->numbers /
                            sizeof((struct imgen_recipe *)0)->numbers[0] +
                        1]; /* its own, and its negative prompt as one more */
    char negative[sizeof((struct imgen_recipe *)0)->negative + 32];
};

/* All of the request that the recipe says but labels, prompts, scales, seeds and files.  The recipe
 * must stay as long as the request. */
void request_recipe_take(struct request_recipe *from, struct imgen_request *r);

/* Tell what the picture `path` of another program does not say, or says in vain to these models. */
void request_recipe_note(const struct request_recipe *from, const char *path,
                         const struct request_models *m, struct progress *progress);

#endif
