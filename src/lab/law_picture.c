/*
 * law_picture.c - points where a picture is dark
 *
 * Any drawing becomes a data set: a point's chance is the darkness of the pixel it falls into, and
 * within a pixel it is even.  That is a board (board.c), so the exact velocity of a user's own
 * drawing is known.  Its cost grows with the number of cells, and more than 64 a side show nothing
 * more in a plot, so larger pictures are shrunk first.
 *
 * Guidance needs labels, which a drawing has not; the left and the right half of its ink serve.
 */
#include "lab/law_picture.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* *out = the picture as grey levels, shrunk to the board. */
static enum status shrink(struct image *out, const struct image *im, struct error *err)
{
    static const uint8_t white[3] = {255, 255, 255};
    int64_t longer = im->height > im->width ? im->height : im->width;
    double scale = longer > BOARD_SIDE ? (double)BOARD_SIDE / (double)longer : 1;
    int64_t height = (int64_t)fmax(1, round(scale * (double)im->height));
    int64_t width = (int64_t)fmax(1, round(scale * (double)im->width));
    struct image grey = {0};
    enum status st;

    if (!(st = image_convert(&grey, im, 1, white, err)))
        st = image_resize(out, &grey, height, width, RESIZE_BOX, err);
    image_release(&grey);
    return st;
}

/* The first column with half of the ink before it. */
static int64_t middle_of_ink(const double *ink, int64_t rows, int64_t columns, double total)
{
    double before = 0;

    for (int64_t q = 0; q < columns; q++) {
        if (before >= 0.5 * total && q)
            return q;
        for (int64_t r = 0; r < rows; r++)
            before += ink[r * columns + q];
    }
    return columns - 1;
}

static double take_ink(double *ink, const struct image *grey)
{
    double total = 0;

    for (int64_t r = 0; r < grey->height; r++)
        for (int64_t q = 0; q < grey->width; q++) {
            double dark = 1 - grey->pixels[r * grey->width + q] / 255.0;

            dark = dark > 0.125 ? dark : 0;
            ink[(grey->height - 1 - r) * grey->width + q] = dark;
            total += dark;
        }
    return total;
}

static enum status make_board(struct law *l, const struct image *grey, const char *name,
                              struct error *err)
{
    int64_t rows = grey->height, columns = grey->width, cells = rows * columns, half;
    double cell = 4 / (double)(rows > columns ? rows : columns), *weight = NULL, total;
    enum status st;

    if ((st = mem_new((void **)&weight, 3 * (uint64_t)cells, sizeof(*weight), "a picture's ink",
                      err)))
        return st;
    total = take_ink(weight + 2 * cells, grey);
    if (!(total > 0)) {
        st =
            fail(err, E_ARG, "%s: no pixel of the picture is darker than an eighth of black", name);
        goto out;
    }
    half = middle_of_ink(weight + 2 * cells, rows, columns, total);
    for (int64_t i = 0; i < cells; i++)
        weight[(i % columns >= half ? cells : 0) + i] = weight[2 * cells + i];
    l->is_board = true;
    l->n_labels = BOARD_LABELS;
    l->reach = 2;
    st = board_init(&l->board, (int)rows, (int)columns, BOARD_LABELS, -0.5 * cell * (double)columns,
                    -0.5 * cell * (double)rows, cell, weight, err);
out:
    free(weight);
    return st;
}

enum status law_of_picture(struct law *l, const struct image *im, const char *name,
                           struct error *err)
{
    struct image grey = {0};
    enum status st;

    if (!(st = shrink(&grey, im, err)))
        st = make_board(l, &grey, name, err);
    image_release(&grey);
    return st;
}

enum status law_read_picture(struct law *l, const char *path, struct error *err)
{
    struct image im = {0};
    enum status st;

    if (!(st = image_read(&im, path, err)))
        st = law_of_picture(l, &im, path, err);
    image_release(&im);
    return st;
}
