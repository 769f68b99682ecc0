/*
 * match.c - whether two models speak of the same pictures, noise and labels
 *
 * A classifier that guides, and a second generator that takes the unguided branch, both look at the
 * state of a solver that runs for another model.  What the state is at a time follows from the
 * path, so the paths must be equal to the last number; a label is a row of a table, so the tables
 * must say the same; and numbers that are pixels to one of them are not latents to the other.  What
 * the models predict, and how they read time, may differ.
 */
#include "pipeline/match.h"

#include <inttypes.h>
#include <string.h>

static enum status check_pictures(const struct network_io *c, const char *who,
                                  const struct network_io *g, struct error *err)
{
    if (!c->frames != !g->frames)
        return fail(err, E_ARG, "the %s knows %s, and the model makes %s", who,
                    c->frames ? "videos" : "pictures", g->frames ? "videos" : "pictures");
    if (c->frames != g->frames)
        return fail(err, E_ARG,
                    "the %s knows videos of %" PRId64
                    " frames, and the model makes them of %" PRId64,
                    who, c->frames, g->frames);
    if (c->height == g->height && c->width == g->width && c->in_channels == g->in_channels)
        return OK;
    return fail(err, E_ARG,
                "the %s knows pictures of %" PRId64 " x %" PRId64 " with %" PRId64
                " channels, and the model makes them of %" PRId64 " x %" PRId64 " with %" PRId64,
                who, c->height, c->width, c->in_channels, g->height, g->width, g->in_channels);
}

static enum status check_path(const struct path *c, const char *who, const struct path *g,
                              struct error *err)
{
    if (c->kind != g->kind)
        return fail(err, E_ARG, "the %s was trained on the path '%s', and the model on '%s'", who,
                    c->kind->is.name, g->kind->is.name);
    for (int i = 0; i < CHOICE_VALUES; i++)
        if (c->values[i] != g->values[i])
            return fail(err, E_ARG,
                        "the %s was trained on the path '%s' with %s = %g, and the model with %g",
                        who, c->kind->is.name, c->kind->is.options[i].name, c->values[i],
                        g->values[i]);
    return OK;
}

static enum status check_labels(const struct model *c, const char *who, const struct model *g,
                                struct error *err)
{
    int64_t n = c->network->io.n_classes, m = g->network->io.n_classes;

    if (m && n && n != m)
        return fail(err, E_ARG, "the %s knows %" PRId64 " labels, and the model has %" PRId64, who,
                    n, m);
    for (int64_t i = 0; m && c->labels && g->labels && i < n; i++)
        if (strcmp(c->labels[i], g->labels[i]) != 0)
            return fail(err, E_ARG, "label %" PRId64 " is '%s' to the %s and '%s' to the model", i,
                        c->labels[i], who, g->labels[i]);
    return OK;
}

enum status models_match(const struct model *other, const char *who, const struct model *generator,
                         struct error *err)
{
    const struct network_io *c = &other->network->io, *g = &generator->network->io;
    enum status st;

    if ((st = latent_spaces_match(other->space, who, generator->space, err)) ||
        (st = check_pictures(c, who, g, err)) ||
        (st = check_path(&other->path, who, &generator->path, err)))
        return st;
    return check_labels(other, who, generator, err);
}
