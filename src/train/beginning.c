/*
 * beginning.c - what a new run begins as, where that is not random
 *
 * A model is seldom learnt in one go: pictures come before clips, small ones before large ones, a
 * large set before the few pictures that somebody cares for.  Each of these is a run by itself,
 * with its own data, rates and folder, and has one thing of the run before it: the weights that
 * this handed out.  Moments and averages begin anew, since they speak of gradients that will not
 * come again; who wants to go on with the same run resumes it.
 *
 * Both ways copy by name.  train.init wants a network of the same kind, which fits but for what its
 * kind knows how to enlarge; autoencoder.inflate makes one of clips from one of pictures.
 */
#include "train/beginning.h"

#include "model/video_vae.h"
#include "pipeline/autoencoder_file.h"
#include "pipeline/model.h"

static enum status inflate(struct network *net, const char *path, struct error *err)
{
    struct autoencoder_file image;
    enum status st;

    if (net->kind != &network_video_vae)
        return fail(err, E_ARG, "a '%s' is no autoencoder of videos", net->kind->name);
    if (!(st = autoencoder_file_open_unnamed(&image, path, HALVES_BOTH, err)))
        st = video_vae_inflate(net, image.network, err);
    autoencoder_file_release(&image);
    return st;
}

static enum status begin_as(struct network *net, const char *path, struct error *err)
{
    struct model *m;
    enum status st = model_load(&m, path, err);

    if (st)
        return st;
    st = network_begin_as(net, m->network, err);
    model_free(m);
    return st;
}

enum status beginning_weights(struct network *net, const struct experiment *e, struct error *err)
{
    const char *init = e->train.init, *image = e->autoencoder.inflate;
    enum status st = OK;

    if (init && *init && (st = begin_as(net, init, err)))
        fail_under(err, "train.init");
    else if (net->io.factor && image && *image && (st = inflate(net, image, err)))
        fail_under(err, "autoencoder.inflate");
    return st;
}
