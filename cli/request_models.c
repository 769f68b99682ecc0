/*
 * request_models.c - the files that have a part in a picture: the model that makes it, its guides,
 * and the picture it is made of
 *
 * A picture is a function of its request and of up to five files: the model, a classifier that
 * pulls it, a second model in the place of the unguided prediction, a picture it is made of and a
 * mask of where.  A recipe names all of them by name and content, never by place, since the picture
 * may have been moved together with them; so they are looked for beside the picture, and a picture
 * is made again by those very files or not under that name.  A model of latents needs its
 * autoencoder too, but names it by content itself.
 */
#include "request_models.h"

#include "part_flags.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int request_autoencoder(struct imgen_model *model, struct imgen_model_info *info,
                        const struct command *c, const char *path)
{
    struct imgen_error err;

    imgen_model_info(model, info);
    if (!path && info->height)
        return EXIT_DONE;
    if (imgen_model_use_autoencoder(model, path, &err)) {
        if (!path && err.status == IMGEN_E_IO)
            return command_broken(c, "%s: name it with --autoencoder", err.text);
        return command_failed(c, &err);
    }
    imgen_model_info(model, info);
    return EXIT_DONE;
}

/* A model that makes clips larger is given one; a picture is a clip of one frame. */
static enum imgen_status read_init(struct request_models *m, const char *path,
                                   struct imgen_error *err)
{
    if (!path)
        return IMGEN_OK;
    imgen_model_info(m->model, &m->info);
    return m->info.upscale ? imgen_clip_read(&m->init_clip, path, 0, err)
                           : imgen_image_read(&m->init, path, err);
}

int request_models_open(struct request_models *m, const struct command *c,
                        const struct model_files *files)
{
    struct imgen_parts parts = files->parts;
    struct imgen_error err;
    bool named;
    int code;

    parts.autoencoder = files->autoencoder;
    named = parts_named(&parts);
    if ((named ? imgen_model_open_parts(&m->model, files->model, &parts, &err)
               : imgen_model_open(&m->model, files->model, &err)) ||
        (files->classifier && imgen_model_open(&m->classifier, files->classifier, &err)) ||
        (files->guide && imgen_model_open(&m->guide, files->guide, &err)) ||
        read_init(m, files->init, &err) ||
        (files->mask && imgen_image_read(&m->mask, files->mask, &err)))
        return command_failed(c, &err);
    if ((code = loras_add(m->model, c, &files->lora)))
        return code;
    if (named) {
        imgen_model_info(m->model, &m->info);
        return EXIT_DONE;
    }
    return request_autoencoder(m->model, &m->info, c, files->autoencoder);
}

void request_models_close(struct request_models *m)
{
    imgen_model_close(m->model);
    imgen_model_close(m->classifier);
    imgen_model_close(m->guide);
    imgen_image_release(&m->init);
    imgen_image_release(&m->mask);
    imgen_clip_release(&m->init_clip);
    *m = (struct request_models){0};
}

const struct imgen_model *request_models_labelled(const struct request_models *m)
{
    return m->info.n_labels || !m->classifier ? m->model : m->classifier;
}

/* ---- Of a recipe ---- */

void request_look_beside(char out[PICTURE_NAME], const char *picture, const char *name)
{
    const char *slash = strrchr(picture, '/'), *last = strrchr(name, '/');

    name = last ? last + 1 : name; /* a recipe names a file, never a place */
    snprintf(out, PICTURE_NAME, "%.*s%s", slash ? (int)(slash + 1 - picture) : 0, picture, name);
    if (access(out, R_OK) && !access(name, R_OK))
        snprintf(out, PICTURE_NAME, "%s", name);
}

int recipe_models_find(struct model_files *files, struct model_room *room, const struct command *c,
                       const char *from, const struct imgen_recipe *recipe)
{
    const struct {
        const char **file, *name, *hash, *had, *do_this;
    } all[5] = {
        {&files->model, recipe->model, NULL, "made by the model", "name the model's file"},
        {&files->classifier, recipe->classifier, recipe->classifier_hash,
         "guided by the classifier", "name its file with --classifier"},
        {&files->guide, recipe->guide, recipe->guide_hash, "guided by the model",
         "name its file with --guide"},
        {&files->init, recipe->init, recipe->init_hash, "made of the picture",
         "name its file with --init-img"},
        {&files->mask, recipe->mask, recipe->mask_hash, "made under the mask",
         "name its file with --mask"},
    };
    int code;

    for (int i = 0; i < 5; i++) {
        if (*all[i].file || (all[i].hash && !all[i].hash[0]))
            continue;
        request_look_beside(room->name[i], from, all[i].name);
        if (!all[i].name[0] || access(room->name[i], R_OK))
            return command_broken(c, "%s was %s '%s', which is not beside it: %s", from, all[i].had,
                                  all[i].name, all[i].do_this);
        *all[i].file = room->name[i];
    }
    if ((code = recipe_parts_find(&files->parts, &files->autoencoder, &room->parts, c, files->model,
                                  from, recipe)))
        return code;
    return loras_find(&files->lora, &room->loras, c, from, recipe);
}

/* One file of those that made a picture: what it is, as now and as then, and whether it was named.
 */
struct content {
    const char *what, *name, *now, *then, *named;
};

static int check_content(const struct content *m, const struct command *c, const char *from,
                         struct progress *progress)
{
    if (!*m->now || !*m->then || !strcmp(m->now, m->then))
        return EXIT_DONE;
    if (!m->named)
        return command_broken(c,
                              "%s has another content than the %s that made %s (sha256 %.12s..., "
                              "not %.12s...): name one to use it all the same",
                              m->name, m->what, from, m->now, m->then);
    progress_note(progress,
                  "note: %s is not the %s that made %s (sha256 %.12s..., not %.12s...): the "
                  "picture will differ",
                  m->name, m->what, from, m->now, m->then);
    return EXIT_DONE;
}

int recipe_models_check(const struct request_models *m, const struct command *c, const char *from,
                        const struct imgen_recipe *recipe, const struct imgen_request *r,
                        const struct model_files *named, struct progress *progress)
{
    struct imgen_recipe now;
    const struct content all[5] = {
        {"model", now.model, now.hash, recipe->hash, named->model},
        {"classifier", now.classifier, now.classifier_hash, recipe->classifier_hash,
         named->classifier},
        {"guide", now.guide, now.guide_hash, recipe->guide_hash, named->guide},
        {"initial picture", now.init, now.init_hash, recipe->init_hash, named->init},
        {"mask", now.mask, now.mask_hash, recipe->mask_hash, named->mask},
    };
    struct imgen_error err;
    int code = EXIT_DONE;

    if (imgen_recipe_make(&now, m->model, r, 0, &err))
        return command_failed(c, &err);
    for (int i = 0; i < 5 && !code; i++)
        code = check_content(&all[i], c, from, progress);
    if (!code)
        code =
            recipe_parts_check(&now, c, from, recipe, &named->parts, named->autoencoder, progress);
    for (int i = 0; i < recipe->n_loras && i < now.n_loras && !code; i++)
        code = check_content(&(struct content){"adapter", now.lora[i].file, now.lora[i].hash,
                                               recipe->lora[i].hash,
                                               named->lora.n ? now.lora[i].file : NULL},
                             c, from, progress);
    return code;
}
