/*
 * resolve.c - a request's words as numbers, and whether its model can do what they ask
 *
 * Everything that can be refused is refused here, before anything is computed: reading a prompt
 * takes seconds, and whoever mistyped a number should not wait for them.  What is left over are the
 * refusals of files, which are opened when they are needed.
 *
 * Steps are counted by whoever made the list of times and by nobody behind it.  What a person says
 * of steps (which of them leave out blocks, sd3.md 5.3; how many are left out of a picture made of
 * another) becomes times here.
 */
#include "pipeline/resolve.h"

#include "base/memory.h"
#include "pipeline/condition.h"
#include "pipeline/guide.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum status check_latents(const struct generate_request *r, struct error *err)
{
    const struct latent_space *s = r->model->space;

    if (!s)
        return OK;
    if (!s->found)
        return fail(err, E_ARG,
                    "the model makes latents of the autoencoder with sha256 %s, which was not "
                    "found: there is nothing to decode them with",
                    s->hash);
    if (r->settings.clip == CLIP_ON)
        return fail(err, E_ARG,
                    "clip: the model works on latents, which have no range to be kept in");
    return OK;
}

/* What a network is told beforehand must be there, or may be, or there is nobody to tell. */
static enum status check_condition(const struct generate_request *r, struct error *err)
{
    const struct network *net = r->model->network;
    const struct condition_kind k = condition_kind_of(&net->io);
    bool given = r->given || r->condition;

    if (net->io.condition_channels && !condition_is_made(k))
        return fail(err, E_UNSUPPORTED, "a '%s' that is told of a picture, and none is given",
                    net->kind->name);
    if (given && !condition_is_made(k))
        return fail(err, E_ARG,
                    "the model was not trained to begin with a given frame (movie.first_frame) or "
                    "to make clips larger (movie.upscale)");
    if (k.upscale && !given)
        return fail(err, E_ARG, "the model makes clips %" PRId64 " times larger, and none is given",
                    k.upscale);
    if (k.first_frame && r->given && net->io.frames < 2)
        return fail(err, E_ARG,
                    "a clip of %" PRId64 " frames that begins with a given one: there is nothing "
                    "left to make",
                    model_frames(r->model));
    return OK;
}

/* Who else looks at a picture was not asked about windows of it, and what a network is told of is
 * not cut into any. */
static enum status check_windows(const struct generate_request *r, struct error *err)
{
    bool told = r->model->network->io.condition_channels;

    if (!r->model->window.height || (!r->classifier && !r->guide && !told))
        return OK;
    if (told)
        return fail(err, E_UNSUPPORTED,
                    "a '%s' that is told of a frame or a clip makes nothing in tiles",
                    r->model->network->kind->name);
    return fail(err, E_UNSUPPORTED,
                "a picture in tiles takes no %s: that one knows pictures of its own size alone",
                r->classifier ? "classifier" : "guide");
}

enum status resolve_model(const struct generate_request *r, struct error *err)
{
    const struct network *net = r->model->network;
    enum status st;

    if (net->io.classifies)
        return fail(err, E_ARG,
                    "a '%s' tells labels from pictures and makes none; it can guide a model that "
                    "does",
                    net->kind->name);
    if (net->io.factor)
        return fail(err, E_ARG,
                    "a '%s' turns pictures into latents and latents into pictures, and makes none "
                    "of noise",
                    net->kind->name);
    if (net->io.context_width && !r->model->encoders)
        return fail(err, E_UNSUPPORTED,
                    "a '%s' reads an encoded text, and the model has no encoders to make one",
                    net->kind->name);
    if (r->settings.heads == HEADS_SECOND && !r->model->options.second)
        return fail(err, E_ARG, "heads: the model makes one prediction, there is no second");
    if (net->io.frames && r->repaint)
        return fail(err, E_UNSUPPORTED,
                    "a '%s' makes videos, and draws none over a picture; one that was trained with "
                    "movie.first_frame begins with it",
                    net->kind->name);
    if ((st = check_condition(r, err)) || (st = check_latents(r, err)) ||
        (st = check_windows(r, err)))
        return st;
    if ((st = sampler_check(sampler_at(r->settings.sampler), &r->model->path,
                            model_has_variance(r->model), err)))
        return st;
    return r->classifier ? classifier_check(r->classifier, r->model, err) : OK;
}

static enum status check_item(const struct generate_request *r, const struct generate_item *item,
                              int64_t i, bool negative, struct error *err)
{
    const struct network_io *io = &r->model->network->io;
    int64_t told = r->classifier ? r->classifier->network->io.n_classes : 0;

    if (!(item->w >= 0) || isinf(item->w))
        return fail(err, E_ARG, "picture %" PRId64 ": a guidance scale of %g is not 0 or more", i,
                    item->w);
    if (!io->n_classes && told && item->label >= told)
        return fail(err, E_ARG, "picture %" PRId64 ": label %d is not in 0..%" PRId64, i,
                    item->label, told - 1);
    if ((io->text_length || io->context_width) && (item->label < -1 || item->label >= r->n_texts))
        return fail(err, E_ARG, "picture %" PRId64 ": text %d is not in 0..%" PRId64, i,
                    item->label, r->n_texts - 1);
    if (!io->n_classes)
        return OK;
    if (item->label < 0 || item->label >= io->n_labels)
        return fail(err, E_ARG, "picture %" PRId64 ": label %d is not in 0..%" PRId64, i,
                    item->label, io->n_labels - 1);
    if (io->null_label < 0 && !negative && !r->guide && item->w != 1)
        return fail(err, E_ARG,
                    "picture %" PRId64 ": a guidance scale of %g needs a model trained "
                    "with label dropping; this one has no null label",
                    i, item->w);
    return OK;
}

static bool has_number(const struct choice *c, const char *name)
{
    for (const struct option *o = c->options; o && o->name; o++)
        if (!strcmp(o->name, name))
            return true;
    return false;
}

static enum status read_settings(struct resolved *o, struct error *err)
{
    const struct generate_request *r = o->r;
    struct settings *s = &o->settings;
    enum status st;

    settings_init(s, sampler_at(r->settings.sampler), grid_kind_at(r->settings.schedule),
                  &r->model->path);
    if (has_number(&s->grid.kind->is, "shift") &&
        (st = grid_set(&s->grid, "shift", r->settings.shift, err)))
        return st;
    if (r->model->space && r->model->space->published && has_number(&s->sampler->is, "on_sigma") &&
        (st = choice_set(s->sampler_values, &s->sampler->is, "on_sigma", 1, err)))
        return st;
    if ((st = settings_assign(s, NULL, r->numbers, r->n_numbers, err)))
        return st;
    if (r->model->space && s->guidance.threshold > 0)
        return fail(err, E_ARG,
                    "guidance.threshold: the model works on latents, which have no range to be "
                    "brought back to");
    return OK;
}

/* Of perturbed attention: the layers that were named, or those in the middle. */
static enum status choose_layers(struct resolved *o, struct error *err)
{
    const struct network *net = o->r->model->network;
    const struct settings *s = &o->settings;
    int n = net->io.n_attention;
    enum status st;

    if (!(s->guidance.perturbed > 0))
        return OK;
    if (!n)
        return fail(err, E_ARG, "guidance.perturbed: a '%s' has no self-attention to perturb",
                    net->kind->name);
    if ((st = mem_new((void **)&o->identity, (uint64_t)n, sizeof *o->identity, "layers", err)))
        return st;
    for (int i = 0; i < s->n_layers; i++) {
        if (s->layers[i] >= n)
            return fail(err, E_ARG,
                        "guidance.layers: the %d self-attention layers of this '%s' are 0 to %d, "
                        "and %" PRId64 " is none of them",
                        n, net->kind->name, n - 1, s->layers[i]);
        o->identity[s->layers[i]] = true;
    }
    for (int i = 0; i < net->io.n_middle && !s->n_layers; i++)
        o->identity[net->io.middle + i] = true;
    return OK;
}

/* Of skip-layer guidance: the blocks that were named, or those that published code leaves out. */
static enum status choose_blocks(struct resolved *o, struct error *err)
{
    const struct network *net = o->r->model->network;
    static const int64_t usual[] = {7, 8, 9};
    const struct skip_layers *s = &o->settings.skip;
    const int64_t *blocks = s->n ? s->block : usual;
    int n = net->io.n_skippable, n_blocks = s->n ? s->n : 3;
    enum status st;

    if (!(s->scale > 0))
        return OK;
    if (o->identity)
        return fail(err, E_ARG, "guidance.skip and guidance.perturbed exclude each other");
    if (!n)
        return fail(err, E_ARG, "guidance.skip: a '%s' has no blocks that can be left out",
                    net->kind->name);
    if ((st = mem_new((void **)&o->skip, (uint64_t)n, sizeof *o->skip, "blocks", err)))
        return st;
    for (int i = 0; i < n_blocks; i++) {
        if (blocks[i] >= n)
            return fail(err, E_ARG,
                        "guidance.skip_layers: of the %d blocks of this '%s' all but the last can "
                        "be left out, 0 to %d, and %" PRId64 " is none of them",
                        n + 1, net->kind->name, n - 1, blocks[i]);
        o->skip[blocks[i]] = true;
    }
    o->settings.guidance.perturbed = s->scale;
    return OK;
}

/* In which steps of the whole list blocks are left out, as times: solvers count no steps for their
 * predictor.  sd3.md 5.3. */
static enum status choose_skipped_steps(struct resolved *o, struct error *err)
{
    const struct skip_layers *s = &o->settings.skip;
    struct guidance_how *how = &o->settings.guidance;
    int n = o->steps;

    if (!o->skip)
        return OK;
    if (o->settings.sampler->adaptive)
        return fail(err, E_ARG,
                    "guidance.skip: %s chooses its own steps, and blocks are left out "
                    "for a share of all steps",
                    o->settings.sampler->is.name);
    how->perturbed_from = 2; /* later than ever */
    for (int i = n - 1; i >= 0; i--)
        if (i > s->start * n && i < s->stop * n) {
            how->perturbed_to = how->perturbed_from > 1 ? o->times[i] : how->perturbed_to;
            how->perturbed_from = o->times[i];
        }
    return OK;
}

/* All items, and the label to guide away from. */
static enum status check_items(struct resolved *o, struct error *err)
{
    const struct generate_request *r = o->r;
    const char *negative = o->settings.negative;
    enum status st;

    o->away = r->model->network->io.null_label;
    if (*negative && !network_asks(&r->model->network->io))
        return fail(err, E_ARG, "the model has no labels, so none to guide away from: '%.40s'",
                    negative);
    if (*negative && !r->model->network->io.n_labels)
        o->away = (int32_t)r->n_texts;
    else if (*negative && (st = model_find_label(r->model, negative, &o->away, err)))
        return st;
    if (r->guide && (st = pair_check(r->guide, r->model, r->guide_label, *negative, err)))
        return st;
    for (int64_t i = 0; i < r->n; i++)
        if ((st = check_item(r, &r->items[i], i, *negative, err)))
            return st;
    return OK;
}

void resolve_heads(struct field *f, const struct model *m, enum use_heads heads)
{
    *f = (struct field){.path = m->path, .predicts = (enum prediction)m->options.prediction};
    if (!m->options.second)
        return;
    f->second_predicts = (enum prediction)(m->options.second - 1);
    if (heads == HEADS_SECOND)
        f->predicts = f->second_predicts;
}

/* Where alpha = 0, noise and score tell nothing about the picture, and in single precision not
 * before PREDICTION_ALPHA (theory.md 2.4). */
static double first_time(const struct generate_request *r)
{
    enum prediction wants =
        sampler_at(r->settings.sampler)->on_data ? PREDICT_DATA : PREDICT_VELOCITY;
    double lo = 0, hi = 1;
    struct field f;

    resolve_heads(&f, r->model, (enum use_heads)r->settings.heads);
    if (field_has(&f, wants, 0))
        return 0;
    for (int i = 0; i < 40; i++) {
        double mid = 0.5 * (lo + hi);

        if (path_at(&f.path, mid).alpha < PREDICTION_ALPHA)
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

static enum status make_times(struct resolved *o, struct error *err)
{
    const struct generate_request *r = o->r;
    const struct sample_defaults *s = &r->settings;

    if (r->times) {
        if (r->n_times < 2 || r->n_times > STEPS_MAX + 1)
            return fail(err, E_ARG, "%d times are not 2 to %d", r->n_times, STEPS_MAX + 1);
        for (int i = 0; i < r->n_times; i++)
            o->times[i] = r->times[i];
        o->steps = r->n_times - 1;
        return grid_check(o->times, o->steps, err);
    }
    if (s->steps < 1 || s->steps > STEPS_MAX)
        return fail(err, E_ARG, "%" PRId64 " steps are not 1 to %d", s->steps, STEPS_MAX);
    o->steps = (int)s->steps;
    return grid_fill(o->times, &o->settings.grid, (int)s->steps, first_time(r), 1, err);
}

/* Of a picture made of another the first steps are left out. */
static enum status cut_times(struct resolved *o, struct error *err)
{
    const struct generate_request *r = o->r;
    int first;

    if (!r->repaint)
        return OK;
    if (!(r->strength >= 0 && r->strength <= 1))
        return fail(err, E_ARG, "strength: %g is outside 0 .. 1", r->strength);
    if (o->settings.sampler->adaptive)
        return fail(err, E_ARG, "strength: %s chooses its own steps: none can be left out",
                    o->settings.sampler->is.name);
    first = grid_start(o->steps, r->strength, START_REFERENCE);
    o->steps -= first;
    memmove(o->times, o->times + first, (size_t)(o->steps + 1) * sizeof *o->times);
    return OK;
}

enum status resolve(struct resolved *o, const struct generate_request *r, struct error *err)
{
    enum status st;

    *o = (struct resolved){.r = r};
    if ((st = resolve_model(r, err)) || (st = read_settings(o, err)) ||
        (st = check_items(o, err)) || (st = choose_layers(o, err)) ||
        (st = choose_blocks(o, err)) || (st = make_times(o, err)) ||
        (st = choose_skipped_steps(o, err)))
        return st;
    return cut_times(o, err);
}

void resolved_release(struct resolved *o)
{
    free(o->identity);
    free(o->skip);
    *o = (struct resolved){0};
}
