/*
 * loras.c - adapters that a person names, or a picture's recipe
 *
 * A name may hold a colon of its own, so the weight is what stands behind the last one if that is a
 * number, and no file has the whole as its name.
 */
#include "loras.h"

#include "request_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file's name into `file`; the weight. */
static double cut(char file[PICTURE_NAME], const char *text)
{
    const char *colon = strrchr(text, ':');
    double weight = 1;
    char *end;

    snprintf(file, PICTURE_NAME, "%s", text);
    if (!colon || colon == text || !colon[1] || !access(text, F_OK))
        return weight;
    weight = strtod(colon + 1, &end);
    if (*end)
        return 1;
    snprintf(file, PICTURE_NAME, "%.*s", (int)(colon - text), text);
    return weight;
}

int loras_add(struct imgen_model *model, const struct command *c,
              const struct imgen_text_list *list)
{
    for (int i = 0; i < list->n; i++) {
        char file[PICTURE_NAME];
        struct imgen_error err;
        double weight = cut(file, list->at[i]);

        if (imgen_model_add_lora(model, file, weight, &err))
            return command_failed(c, &err);
    }
    return EXIT_DONE;
}

int loras_find(struct imgen_text_list *list, struct lora_room *room, const struct command *c,
               const char *from, const struct imgen_recipe *recipe)
{
    if (list->n)
        return EXIT_DONE;
    for (int i = 0; i < recipe->n_loras; i++) {
        const struct imgen_recipe_lora *l = &recipe->lora[i];
        char file[PICTURE_NAME];

        request_look_beside(file, from, l->file);
        if (!l->file[0] || access(file, R_OK))
            return command_broken(c,
                                  "%s was made with the adapter '%s', which is not beside it: name "
                                  "its file with --lora",
                                  from, l->file);
        snprintf(room->text[i], sizeof room->text[i], "%s:%.17g", file, l->weight);
        room->at[i] = room->text[i];
    }
    *list = (struct imgen_text_list){room->at, recipe->n_loras};
    return EXIT_DONE;
}
