/*
 * sheet.c - a sheet of pictures from a model in training
 *
 * The averaged weights make better pictures than the raw ones, so the network is pointed at them
 * for the time of the drawing.  Labels and seeds never change during a run: column by column one
 * sees the same noise become a better picture.
 */
#include "train/sheet.h"

#include "base/memory.h"
#include "pipeline/generate.h"
#include "pipeline/picture.h"

#include <stdlib.h>
#include <string.h>

enum { SHEET_GAP = 2, SHEET_WIDTH = 512 };

static void fill_items(struct generate_item *items, int64_t count, const struct model *m)
{
    const struct network_io *io = &m->network->io;

    for (int64_t i = 0; i < count; i++)
        items[i] = (struct generate_item){
            .label = io->text_length || io->context_width ? (int32_t)i
                     : io->n_classes                      ? (int32_t)(i % io->n_classes)
                                                          : -1,
            .w = network_asks_for_nothing(io) ? m->sample.cfg_scale : 1,
            .seed = (uint64_t)i,
        };
}

static struct sheet lay_out(const struct sheet_request *r)
{
    const struct view_shape shape = view_shape(r->model, r->rough);
    struct sheet s = {
        .rows = 1,
        .height = shape.height,
        .width = shape.width,
        .channels = shape.channels,
        .gap = SHEET_GAP,
        .ground = 255,
    };

    for (int64_t k = 1; k * k <= r->count; k++)
        if (r->count % k == 0)
            s.rows = k;
    s.columns = r->count / s.rows;
    if (shape.frames > 1) { /* a row a clip */
        s.rows = r->count;
        s.columns = shape.frames < SHEET_FRAMES ? shape.frames : SHEET_FRAMES;
    }
    s.zoom = SHEET_WIDTH / (s.columns * s.width);
    s.zoom = s.zoom < 1 ? 1 : s.zoom;
    return s;
}

static enum status fill_request(struct generate_request *out, struct generate_item **items,
                                const struct sheet_request *r, struct error *err)
{
    enum status st;

    if ((st = mem_new((void **)items, (uint64_t)r->count, sizeof **items, "requests", err)))
        return st;
    fill_items(*items, r->count, r->model);
    *out = (struct generate_request){
        .model = r->model,
        .settings = r->model->sample,
        .texts = r->texts,
        .n_texts = r->texts ? r->count : 0,
        .encoded = r->encoded,
        .condition = r->condition,
        .items = *items,
        .n = r->count,
        .batch = r->batch > 1 ? r->batch : 1,
        .graph = r->graph,
        .threads = r->threads,
        .rough = r->rough,
    };
    return OK;
}

/* What is shown of clips: their frames, in their own place. */
static void choose_frames(float *pixels, const struct view_shape *shape, const struct sheet *layout,
                          int64_t count)
{
    int64_t frame = shape->height * shape->width * shape->channels;

    for (int64_t i = 0; i < count && shape->frames > layout->columns; i++)
        for (int64_t k = 0; k < layout->columns; k++) {
            int64_t at = picture_frame_shown(k, shape->frames, layout->columns);

            memmove(pixels + (i * layout->columns + k) * frame,
                    pixels + (i * shape->frames + at) * frame, (size_t)frame * sizeof *pixels);
        }
}

enum status sheet_write(const char *path, const struct sheet_request *r, struct error *err)
{
    struct params *params = model_learns(r->model);
    const struct view_shape shape = view_shape(r->model, r->rough);
    struct sheet layout = lay_out(r);
    struct generate_item *items = NULL;
    struct generate_request all;
    struct image im = {0};
    float *pixels = NULL;
    enum status st;

    if (layout.channels != 1 && layout.channels != 3)
        return fail(err, E_UNSUPPORTED, "a sheet of pictures with %d channels",
                    (int)layout.channels);
    if ((st = fill_request(&all, &items, r, err)) ||
        (st = mem_new((void **)&pixels, (uint64_t)(r->count * view_length(&shape)), sizeof *pixels,
                      "pictures", err)))
        goto out;
    params_use(params, r->values);
    st = generate(pixels, &all, NULL, err);
    params_use(params, NULL);
    if (!st)
        choose_frames(pixels, &shape, &layout, r->count);
    if (!st && !(st = picture_sheet(&im, pixels, &layout, err)))
        st = png_write(path, &im, NULL, 0, err);
out:
    image_release(&im);
    free(items);
    free(pixels);
    return st;
}

enum status sheet_measure(struct graph_stats *most, int64_t *beside, const struct sheet_request *r,
                          struct error *err)
{
    const struct view_shape shape = view_shape(r->model, r->rough);
    struct generate_item *items = NULL;
    struct generate_beside part = {0};
    struct generate_request all;
    enum status st;

    if ((st = fill_request(&all, &items, r, err)))
        goto out;
    params_use(model_learns(r->model), r->values);
    st = generate_measure(most, &part, &all, err);
    params_use(model_learns(r->model), NULL);
    *beside = part.solving + part.viewing;
    *beside += r->count * view_length(&shape) * (int64_t)sizeof(float);
out:
    free(items);
    return st;
}
