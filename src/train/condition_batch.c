/*
 * condition_batch.c - what the clips of a training batch tell beforehand
 *
 * On pixels a clip tells itself: its first frame is there, and made smaller it is in no time.  On
 * latents that was encoded before (pipeline/condition_set.c) and is looked up by the number of the
 * clip, which follows from that of the sample as it does in the loader.  So a condition, too, is a
 * function of the seed and the sample's number, however batches are cut and runs resumed.
 *
 * A network that is told first frames must do without them as well, if it is to make clips of a
 * text alone: part of the clips is shown without.  An upsampler is never without its clip.
 */
#include "train/condition_batch.h"

#include "base/memory.h"
#include "base/rng.h"
#include "base/whole.h"
#include "data/loader.h"
#include "pipeline/condition.h"

#include <stdlib.h>

struct condition_batch {
    struct condition_setting is;
    float *values; /* [rows, condition_length] */
};

enum status condition_of_clip(float *out, const struct network *net, const struct dataset *known,
                              int64_t index, const float *pixels, struct error *err)
{
    const struct network_io *io = &net->io;
    const struct view_shape shape = {io->height, io->width, io->in_channels,
                                     whole_max(io->frames, 1)};
    bool first_frame = !known && !io->upscale;
    float *source = NULL;
    enum status st = OK;

    if (!first_frame && (st = mem_new((void **)&source, (uint64_t)condition_source(net),
                                      sizeof *source, "a condition", err)))
        return st;
    if (known) {
        MUST(dataset_length(known) == condition_source(net), "what a clip tells has another size");
        st = dataset_get(known, index, source, NULL, NULL, err);
    } else if (!first_frame) {
        st = condition_blur(source, pixels, &shape, io->upscale, err);
    }
    if (!st)
        condition_fill(out, net, first_frame ? pixels : source);
    free(source);
    return st;
}

enum status condition_of_set(float **out, const struct network *net, const struct dataset *d,
                             const struct dataset *known, uint64_t seed, int64_t rows,
                             struct error *err)
{
    int64_t length = condition_length(net);
    float *pixels = NULL;
    enum status st;

    if ((st = mem_new((void **)out, (uint64_t)rows, (uint64_t)length * sizeof **out, "conditions",
                      err)) ||
        (st =
             mem_new((void **)&pixels, (uint64_t)dataset_length(d), sizeof *pixels, "a clip", err)))
        return st;
    for (int64_t i = 0; i < rows && !st; i++) {
        int64_t at = loader_index(seed, d->count, i);

        if (!(st = dataset_get(d, at, pixels, NULL, NULL, err)))
            st = condition_of_clip(*out + i * length, net, known, at, pixels, err);
    }
    free(pixels);
    return st;
}

enum status condition_batch_new(struct condition_batch **out, const struct condition_setting *s,
                                struct error *err)
{
    uint64_t length = (uint64_t)condition_length(s->net);
    struct condition_batch *c;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&c, 1, sizeof *c, "conditions", err)))
        return st;
    c->is = *s;
    if ((st = mem_new((void **)&c->values, (uint64_t)s->rows, length * sizeof *c->values,
                      "conditions of a batch", err)))
        condition_batch_free(c);
    else
        *out = c;
    return st;
}

void condition_batch_free(struct condition_batch *c)
{
    if (!c)
        return;
    free(c->values);
    free(c);
}

static bool is_told(const struct condition_batch *c, int64_t sample, bool picture)
{
    struct rng r = rng_stream(c->is.seed, RNG_CONDITION, (uint64_t)sample);

    if (c->is.net->io.upscale)
        return true;
    return !picture && rng_uniform(&r) < c->is.net->io.first_frame;
}

static enum status draw_row(struct condition_batch *c, int64_t row, const float *pixels,
                            int64_t sample, bool picture, struct error *err)
{
    const struct network *net = c->is.net;
    const struct dataset *known = picture ? c->is.pictures : c->is.known;
    int64_t count = picture ? c->is.pictures_count : c->is.count;
    float *out = c->values + row * condition_length(net);

    if (is_told(c, sample, picture))
        return condition_of_clip(out, net, known, loader_index(c->is.seed, count, sample),
                                 pixels + row * network_places(net) * net->io.in_channels, err);
    condition_fill(out, net, NULL);
    return OK;
}

enum status condition_batch_draw(struct condition_batch *c, const float *pixels, int64_t first,
                                 bool pictures, struct error *err)
{
    enum status failed = OK;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < c->is.rows; i++) {
        struct error mine = {0};
        enum status st = draw_row(c, i, pixels, first + i, pictures, &mine);

        if (st) {
#pragma omp critical(condition_batch_failed)
            {
                failed = st;
                if (err)
                    *err = mine;
            }
        }
    }
    return failed;
}

struct tensor *condition_batch_record(const struct condition_batch *c, struct graph *g)
{
    const struct network *net = c->is.net;

    return graph_input(g, network_shape(net, c->is.rows, net->io.condition_channels), c->values);
}
