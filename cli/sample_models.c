/*
 * sample_models.c - the files that have a part in the pictures of `imgen sample`
 *
 * What is typed comes first; with --from, what is not typed is what the recipe says, looked for
 * beside the picture and held against the content that made it.
 */
#include "sample.h"

#include <inttypes.h>

/* Before there is another size: tiles have the present one. */
static int choose_tiles(struct sample_job *job)
{
    const struct sample_options *o = job->options;
    bool typed = sample_typed(job, "tile_overlap");
    double overlap =
        !typed && job->from.recipe.tiled ? job->from.recipe.tile_overlap : o->tile_overlap;
    struct imgen_error err;

    if (!o->tile && !job->from.recipe.tiled)
        return typed ? command_misused(&command_sample, "--tile-overlap goes with --tile")
                     : EXIT_DONE;
    if (imgen_model_tile(job->models.model, overlap, &err))
        return sample_failed(&err);
    return EXIT_DONE;
}

/* As typed, or, where the model can, as the recipe says. */
static int choose_size(struct sample_job *job)
{
    struct imgen_model_info *m = &job->models.info;
    int64_t width = job->options->width, height = job->options->height;
    bool asked = width || height;
    struct imgen_error err;

    if (!asked) {
        width = job->from.recipe.width;
        height = job->from.recipe.height;
    }
    width = width ? width : m->width;
    height = height ? height : m->height;
    if (width == m->width && height == m->height)
        return EXIT_DONE;
    if (imgen_model_resize(job->models.model, (int)width, (int)height, &err))
        return asked ? sample_failed(&err) : EXIT_DONE;
    imgen_model_info(job->models.model, m);
    return EXIT_DONE;
}

/* Likewise the length of a clip. */
static int choose_frames(struct sample_job *job)
{
    struct imgen_model_info *m = &job->models.info;
    int64_t frames = job->options->frames ? job->options->frames : job->from.recipe.frames;
    struct imgen_error err;

    if (!frames || frames == m->frames)
        return EXIT_DONE;
    if (imgen_model_set_frames(job->models.model, (int)frames, &err))
        return sample_failed(&err);
    imgen_model_info(job->models.model, m);
    return EXIT_DONE;
}

/* A clip that is made larger says how large. */
static int fit_clip(struct sample_job *job)
{
    const struct imgen_clip *c = &job->models.init_clip;
    struct imgen_model_info *m = &job->models.info;
    int64_t width = m->upscale * c->width, height = m->upscale * c->height;
    struct imgen_error err;

    if (sample_typed(job, "width") || sample_typed(job, "height") || sample_typed(job, "frames"))
        return command_misused(&command_sample,
                               "--width, --height, --frames: %s is made %d times larger, and says "
                               "itself how large",
                               job->files.init, m->upscale);
    if (width > 16384 || height > 16384 || c->frames > 1024)
        return command_misused(&command_sample,
                               "%s: %" PRId64 " frames of %" PRId64 " x %" PRId64
                               " are too many to be made %d times larger",
                               job->files.init, c->frames, c->width, c->height, m->upscale);
    if (((width != m->width || height != m->height) &&
         imgen_model_resize(job->models.model, (int)width, (int)height, &err)) ||
        (c->frames != m->frames && imgen_model_set_frames(job->models.model, (int)c->frames, &err)))
        return sample_failed(&err);
    imgen_model_info(job->models.model, m);
    return EXIT_DONE;
}

/* What goes with a picture to make others of, and not with what a model is told beforehand. */
static int check_told(const struct sample_job *job)
{
    const struct imgen_model_info *m = &job->models.info;

    if (!m->first_frame && !m->upscale)
        return EXIT_DONE;
    if (job->files.mask)
        return command_misused(&command_sample,
                               "--mask: the model is told of a %s and makes nothing anew under one",
                               m->upscale ? "clip" : "first frame");
    if (sample_typed(job, "strength"))
        return command_misused(&command_sample,
                               "--strength: the model is told of a %s, and takes all of its steps",
                               m->upscale ? "clip" : "first frame");
    if (m->upscale && !job->files.init)
        return command_misused(&command_sample,
                               "the model makes clips %d times larger: which? Name it with "
                               "--init-img",
                               m->upscale);
    return EXIT_DONE;
}

/* The files as the user typed them. */
static struct model_files typed_files(const struct sample_job *job, const char *word)
{
    const struct sample_options *o = job->options;

    return (struct model_files){.model = word,
                                .classifier = o->solver.classifier,
                                .guide = o->solver.guide.model,
                                .autoencoder = o->solver.autoencoder,
                                .parts = part_flags_parts(&o->parts, NULL),
                                .init = o->init,
                                .mask = o->mask,
                                .lora = o->lora};
}

static int check_init(const struct sample_job *job)
{
    if (job->files.init)
        return EXIT_DONE;
    if (job->files.mask)
        return command_misused(&command_sample,
                               "--mask: of which picture? Name it with --init-img");
    if (sample_typed(job, "strength"))
        return command_misused(&command_sample,
                               "--strength: of which picture? Name it with --init-img");
    return EXIT_DONE;
}

int sample_open(struct sample_job *job, const char *word)
{
    const struct sample_options *o = job->options;
    struct imgen_error err;
    int code;

    job->files = typed_files(job, word);
    if (o->from && imgen_recipe_read(&job->from.recipe, o->from, &err))
        return sample_failed(&err);
    if (job->from.recipe.foreign && !word)
        return command_misused(&command_sample,
                               "another program made %s: with which model shall it be tried?",
                               o->from);
    if ((o->from && (code = recipe_models_find(&job->files, &job->room, &command_sample, o->from,
                                               &job->from.recipe))) ||
        (code = check_init(job)) ||
        (code = solver_flags_check_guides(&command_sample, job->given, job->files.classifier,
                                          job->files.guide)))
        return code;
    if ((code = request_models_open(&job->models, &command_sample, &job->files)))
        return code;
    if ((code = check_told(job)))
        return code;
    if (job->models.init_clip.pixels)
        return fit_clip(job);
    if ((code = choose_tiles(job)) || (code = choose_size(job)))
        return code;
    return choose_frames(job);
}

/* The same pictures can be made by the same models only. */
int sample_check(struct sample_job *job, const char *word)
{
    const struct model_files named = typed_files(job, word);

    request_recipe_note(&job->from, job->options->from, &job->models, &job->progress);
    return recipe_models_check(&job->models, &command_sample, job->options->from, &job->from.recipe,
                               &job->request, &named, &job->progress);
}
