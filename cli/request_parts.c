/*
 * request_parts.c - the parts of a model in several files, as a picture's recipe names them
 *
 * A published model is a network, an autoencoder, up to three text encoders and their vocabularies.
 * Where the recipe says that an encoder was done without, one that lies about now must not be used
 * either: the same picture is made by the same parts, or the reason why not is told.
 */
#include "request_parts.h"

#include "request_models.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One kind of part: its role in recipes, what people call it, and where its path goes. */
struct kind {
    const char *role, *called, *flag;
    const char **path;
    bool
        needed; /* a vocabulary is found elsewhere too: what it holds tells whether it is the one */
};

enum { KINDS = 6 };

static void kinds_of(struct kind out[KINDS], struct imgen_parts *p, const char **autoencoder)
{
    const struct kind all[KINDS] = {
        {"autoencoder", "autoencoder", "--autoencoder", autoencoder, true},
        {"clip_l", "encoder CLIP-L", "--clip-l", &p->clip_l, true},
        {"clip_g", "encoder CLIP bigG", "--clip-g", &p->clip_g, true},
        {"t5xxl", "encoder T5-XXL", "--t5xxl", &p->t5xxl, true},
        {"merges", "vocabulary of CLIP", "--merges", &p->merges, false},
        {"spiece", "vocabulary of T5", "--spiece", &p->spiece, false},
    };

    memcpy(out, all, sizeof all);
}

static const struct imgen_recipe_part *part_of(const struct imgen_recipe *r, const char *role)
{
    for (int i = 0; i < r->n_parts; i++)
        if (!strcmp(r->part[i].role, role))
            return &r->part[i];
    return NULL;
}

/* As the model's folder calls it, else beside the picture, else here. */
static bool look_for(char out[PICTURE_NAME], const char *model, const char *from, const char *name)
{
    const char *slash = strrchr(model, '/');
    struct stat st;
    int n = slash ? (int)(slash - model) : 0;

    if (!stat(model, &st) && S_ISDIR(st.st_mode))
        snprintf(out, PICTURE_NAME, "%s/%s", model, name);
    else if (slash)
        snprintf(out, PICTURE_NAME, "%.*s/%s", n, model, name);
    else
        snprintf(out, PICTURE_NAME, "%s", name);
    if (access(out, R_OK))
        request_look_beside(out, from, name);
    return !access(out, R_OK);
}

int recipe_parts_find(struct imgen_parts *parts, const char **autoencoder, struct part_room *room,
                      const struct command *c, const char *model, const char *from,
                      const struct imgen_recipe *recipe)
{
    struct kind kind[KINDS];

    kinds_of(kind, parts, autoencoder);
    if (part_of(recipe, "no_t5") && !parts->t5xxl)
        parts->no_t5 = 1;
    for (int i = 0; i < KINDS; i++) {
        const struct imgen_recipe_part *was = part_of(recipe, kind[i].role);

        if (!was || *kind[i].path || (i == 3 && parts->no_t5))
            continue;
        if (!was->file[0])
            *kind[i].path = "";
        else if (look_for(room->name[i], model, from, was->file))
            *kind[i].path = room->name[i];
        else if (kind[i].needed)
            return command_broken(c,
                                  "%s was made with the %s '%s', which is neither about the model "
                                  "nor beside the picture: name it with %s",
                                  from, kind[i].called, was->file, kind[i].flag);
    }
    return EXIT_DONE;
}

static const char *shown(const struct imgen_recipe_part *p)
{
    return p && p->file[0] ? p->file : "none";
}

int recipe_parts_check(const struct imgen_recipe *now, const struct command *c, const char *from,
                       const struct imgen_recipe *recipe, const struct imgen_parts *named,
                       const char *autoencoder, struct progress *progress)
{
    struct imgen_parts typed = *named;
    struct kind kind[KINDS];

    kinds_of(kind, &typed, &autoencoder);
    for (int i = 0; i < KINDS && recipe->n_parts; i++) {
        const struct imgen_recipe_part *is = part_of(now, kind[i].role);
        const struct imgen_recipe_part *was = part_of(recipe, kind[i].role);
        bool is_typed = *kind[i].path || (i == 3 && named->no_t5);

        if (!strcmp(is ? is->hash : "", was ? was->hash : ""))
            continue;
        if (!is_typed && kind[i].needed)
            return command_broken(c,
                                  "%s was made with the %s %s, and now it is %s, of another "
                                  "content: name one with %s to use it all the same",
                                  from, kind[i].called, shown(was), shown(is), kind[i].flag);
        progress_note(progress,
                      "note: %s was made with the %s %s, and now it is %s, of another content: the "
                      "picture will differ",
                      from, kind[i].called, shown(was), shown(is));
    }
    return EXIT_DONE;
}
