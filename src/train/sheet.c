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

enum { SHEET_GAP = 2, SHEET_WIDTH = 512 };

static void fill_items(struct generate_item *items, int64_t count, const struct model *m)
{
    const struct network_io *io = &m->network->io;

    for (int64_t i = 0; i < count; i++)
        items[i] = (struct generate_item){
            .label = io->n_classes ? (int32_t)(i % io->n_classes) : -1,
            .w = io->null_label >= 0 ? m->sample.cfg_scale : 1,
            .seed = (uint64_t)i,
        };
}

static enum status draw(struct image *im, const float *pixels, int64_t count,
                        const struct network_io *io, struct error *err)
{
    struct sheet s = {
        .rows = 1,
        .height = io->height,
        .width = io->width,
        .channels = io->in_channels,
        .gap = SHEET_GAP,
        .ground = 255,
    };

    for (int64_t k = 1; k * k <= count; k++)
        if (count % k == 0)
            s.rows = k;
    s.columns = count / s.rows;
    s.zoom = SHEET_WIDTH / (s.columns * io->width);
    s.zoom = s.zoom < 1 ? 1 : s.zoom;
    return picture_sheet(im, pixels, &s, err);
}

enum status sheet_write(const char *path, struct model *m, float *values, int64_t count,
                        int threads, struct error *err)
{
    const struct network_io *io = &m->network->io;
    struct generate_item *items = NULL;
    struct generate_request r = {.model = m, .settings = m->sample, .n = count, .threads = threads};
    struct image im = {0};
    float *pixels = NULL;
    enum status st;

    if (io->in_channels != 1 && io->in_channels != 3)
        return fail(err, E_UNSUPPORTED, "a sheet of pictures with %d channels",
                    (int)io->in_channels);
    if ((st = mem_new((void **)&items, (uint64_t)count, sizeof *items, "requests", err)) ||
        (st =
             mem_new((void **)&pixels, (uint64_t)(count * io->height * io->width * io->in_channels),
                     sizeof *pixels, "pictures", err)))
        goto out;
    fill_items(items, count, m);
    r.items = items;
    params_use(m->network->params, values);
    st = generate(pixels, &r, NULL, err);
    params_use(m->network->params, NULL);
    if (!st && !(st = draw(&im, pixels, count, io, err)))
        st = png_write(path, &im, NULL, 0, err);
out:
    image_release(&im);
    free(items);
    free(pixels);
    return st;
}
