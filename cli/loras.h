/*
 * loras.h - adapters that a person names, or a picture's recipe
 */
#ifndef CLI_LORAS_H
#define CLI_LORAS_H

#include "cli.h"
#include "picture_names.h"

#define LORA_ROW(at)                                                                       \
    {                                                                                      \
        "lora",                                                                            \
            "an adapter of the model's network, perhaps how much it counts; may be given " \
            "often",                                                                       \
            IMGEN_OPTION_TEXTS, at, .value = "FILE[:WEIGHT]"                               \
    }

/* Apply adapters to the model, "FILE" or "FILE:WEIGHT" each.  An exit code. */
int loras_add(struct imgen_model *model, const struct command *c,
              const struct imgen_text_list *list);

/* Those of a recipe as such texts, where nobody named any: *list, of room's.  An exit code: one
 * that is found neither beside the picture `from` nor here is a failure. */
struct lora_room {
    char text[IMGEN_LORAS][PICTURE_NAME + 32], *at[IMGEN_LORAS];
};
int loras_find(struct imgen_text_list *list, struct lora_room *room, const struct command *c,
               const char *from, const struct imgen_recipe *recipe);

#endif
