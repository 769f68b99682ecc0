/*
 * axes.c - positions in a grid of time, height and width
 *
 * A table with a row for each cell of a video would be learnt cell by cell and fit one size alone.
 * A table for each axis is short, and a grid of any size up to the tables' has its sum.  In ops
 * that exist it would take two tensors of the whole grid on the way, and gradients summed along
 * middle dimensions, which no op does: so the sum is one op, and the three gradients are another,
 * each row of a table the sum over the slice of cells that share it, in their order.
 */
#include "ops/axes.h"

#include "base/simd.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <string.h>

enum { ARG_HEIGHT, ARG_WIDTH, ARG_AXIS };
enum { TIME, ROW, COLUMN, AXES };

static struct cells grid_of(const struct tensor *node, int64_t cells)
{
    struct cells grid = {.height = node->arg[ARG_HEIGHT].i, .width = node->arg[ARG_WIDTH].i};
    int64_t frame = grid.height * grid.width;

    grid.frames = frame ? cells / frame : 0;
    return grid;
}

/* --- the sum: 2 flops and 4 bytes an element, the tables are small -----------------------------
 */

IMGEN_CLONES static void axes_block(const struct tensor *y, struct block at)
{
    struct cells grid = grid_of(y, y->shape.dim[1]);
    int64_t D = shape_last(y->shape);
    float *out = y->data;

    for (int64_t cell = at.first; cell < at.last; cell++) {
        const float *t = (const float *)y->in[TIME]->data + cell / grid.width / grid.height * D;
        const float *r = (const float *)y->in[ROW]->data + cell / grid.width % grid.height * D;
        const float *c = (const float *)y->in[COLUMN]->data + cell % grid.width * D;

#pragma omp simd
        for (int64_t d = 0; d < D; d++)
            out[cell * D + d] = t[d] + r[d] + c[d];
    }
}

static void axes_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), axes_block);
}

/* --- the gradient of one table, in[0]: dy ------------------------------------------------------
 */

IMGEN_CLONES static void add_row(float *restrict out, const float *restrict x, int64_t D)
{
#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        out[d] += x[d];
}

/* The cells with index k on an axis: `runs` runs of `run` cells, `apart` cells from one run's
 * beginning to the next one's. */
struct slice {
    int64_t first, runs, run, apart;
};

static struct slice slice_of(struct cells grid, int64_t axis, int64_t k)
{
    int64_t frame = grid.height * grid.width;

    if (axis == TIME)
        return (struct slice){k * frame, 1, frame, frame};
    if (axis == ROW)
        return (struct slice){k * grid.width, grid.frames, grid.width, frame};
    return (struct slice){k, grid.frames * grid.height, 1, grid.width};
}

static int64_t cells_along(struct cells grid, int64_t axis)
{
    return axis == TIME ? grid.frames : axis == ROW ? grid.height : grid.width;
}

static void table_block(const struct tensor *y, struct block at)
{
    struct cells grid = grid_of(y, y->in[0]->shape.dim[1]);
    int64_t D = shape_last(y->shape), axis = y->arg[ARG_AXIS].i;
    const float *dy = y->in[0]->data;

    for (int64_t k = at.first; k < at.last; k++) {
        struct slice s = slice_of(grid, axis, k);
        float *out = (float *)y->data + k * D;

        memset(out, 0, (size_t)D * sizeof(float));
        for (int64_t i = 0; k < cells_along(grid, axis) && i < s.runs * s.run; i++)
            add_row(out, dy + (s.first + i / s.run * s.apart + i % s.run) * D, D);
    }
}

/* A row costs as much as all cells that share it. */
static void table_cpu(const struct tensor *y)
{
    int64_t rows = y->shape.dim[0], D = shape_last(y->shape);
    struct row_blocks b = row_blocks(1, rows, shape_count(y->in[0]->shape) / rows + D);

    each_block(y, b, table_block);
}

static const struct op axes_table = {.name = "axes_table", .cpu = table_cpu};

/* --- the op ------------------------------------------------------------------------------------
 */

static void axes_adjoint(struct graph *g, struct tensor *y)
{
    for (int axis = TIME; axis < AXES; axis++) {
        struct tensor *table = y->in[axis], *d;

        if (!table->wants_grad)
            continue;
        d = record(g, &axes_table, table->shape, y->grad, NULL, NULL, NULL);
        d->arg[ARG_HEIGHT] = y->arg[ARG_HEIGHT];
        d->arg[ARG_WIDTH] = y->arg[ARG_WIDTH];
        d->arg[ARG_AXIS].i = axis;
        grad_add(g, table, d);
    }
}

static const struct op axes = {.name = "axes", .cpu = axes_cpu, .adjoint = axes_adjoint};

static bool holds(const struct tensor *table, int64_t rows, int64_t D)
{
    return table->shape.rank == 2 && shape_last(table->shape) == D && rows >= 0 &&
           table->shape.dim[0] >= rows && table->shape.dim[0] > 0;
}

struct tensor *op_axes(struct graph *g, struct tensor *time, struct tensor *row,
                       struct tensor *column, struct cells grid)
{
    int64_t D = shape_last(time->shape);
    char s[SHAPE_TEXT], t[SHAPE_TEXT], u[SHAPE_TEXT];
    struct tensor *y;

    MUST(holds(time, grid.frames, D) && holds(row, grid.height, D) && holds(column, grid.width, D),
         "axes: tables %s, %s, %s of a grid of %" PRId64 " x %" PRId64 " x %" PRId64,
         shape_text(s, time->shape), shape_text(t, row->shape), shape_text(u, column->shape),
         grid.frames, grid.height, grid.width);
    y = record(g, &axes, SHAPE(1, grid.frames * grid.height * grid.width, D), time, row, column,
               NULL);
    y->arg[ARG_HEIGHT].i = grid.height;
    y->arg[ARG_WIDTH].i = grid.width;
    return y;
}
