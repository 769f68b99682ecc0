/*
 * frames.c - along the time of a video
 *
 * A video [N, T, P, C], its places in one dimension, is a batch of pictures whose rows are frames
 * and whose columns are places.  So a convolution along time is a 2-D convolution with a kernel one
 * column wide, and has its kernels (conv.c); attention along time is attention of one sequence a
 * place, once time and place are exchanged.  What is left to do is moving frames about.
 *
 * Padding, doubling, halving and cutting all choose frames by a rule that never goes back, so they
 * are one op; a frame's gradient is the sum over a run of the frames that were made of it, in
 * order.
 *
 * A stride in time alone is no stride of conv.c, which has one for both sides.  The frames under
 * each tap are chosen first, then, and laid side by side as the channels of a linear layer.  That
 * takes k copies of the result's size, so stride 1, where nothing is halved, does not go this way.
 */
#include "ops/frames.h"

#include "base/whole.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "ops/linear.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <string.h>

/* --- frames chosen: 8 bytes an element ---------------------------------------------------------
 */

enum { ARG_FIRST, ARG_STEP, ARG_REPEAT };

static int64_t chosen(const struct tensor *y, int64_t k, int64_t T)
{
    int64_t frame = y->arg[ARG_FIRST].i + k * y->arg[ARG_STEP].i / y->arg[ARG_REPEAT].i;

    return whole_clamp(frame, 0, T - 1);
}

/* Numbers of a frame. */
static int64_t frame_size(struct shape s)
{
    int64_t n = 1;

    for (int i = 2; i < s.rank; i++)
        n *= s.dim[i];
    return n;
}

/* A row is a frame. */
static struct row_blocks frames_of(struct shape s)
{
    return row_blocks(1, s.dim[0] * s.dim[1], frame_size(s));
}

static void frames_block(const struct tensor *y, struct block at)
{
    int64_t count = y->shape.dim[1], T = y->in[0]->shape.dim[1], size = frame_size(y->shape);
    const float *x = y->in[0]->data;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        memcpy(out + r * size, x + (r / count * T + chosen(y, r % count, T)) * size,
               (size_t)size * sizeof(float));
}

static void frames_cpu(const struct tensor *y)
{
    each_block(y, frames_of(y->shape), frames_block);
}

/* in[0]: dy; the constants are those of the choice. */
static void frames_dx_block(const struct tensor *y, struct block at)
{
    int64_t count = y->in[0]->shape.dim[1], T = y->shape.dim[1], size = frame_size(y->shape);

    for (int64_t r = at.first; r < at.last; r++) {
        const float *dy = (const float *)y->in[0]->data + r / T * count * size;
        float *out = (float *)y->data + r * size;

        memset(out, 0, (size_t)size * sizeof(float));
        for (int64_t k = 0; k < count; k++)
            for (int64_t i = 0; chosen(y, k, T) == r % T && i < size; i++)
                out[i] += dy[k * size + i];
    }
}

static void frames_dx_cpu(const struct tensor *y)
{
    each_block(y, frames_of(y->shape), frames_dx_block);
}

static const struct op frames_dx = {.name = "frames_dx", .cpu = frames_dx_cpu};

static void frames_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *dx;

    if (!x->wants_grad)
        return;
    dx = record(g, &frames_dx, x->shape, y->grad, NULL, NULL, NULL);
    memcpy(dx->arg, y->arg, sizeof dx->arg);
    grad_add(g, x, dx);
}

static const struct op frames = {
    .name = "frames", .cpu = frames_cpu, .adjoint = frames_adjoint, .again = record_again_after};

struct tensor *op_frames(struct graph *g, struct tensor *x, struct frame_choice which)
{
    struct shape shape = x->shape;
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(shape.rank >= 3 && shape.dim[1] > 0 && which.count >= 0 && which.step > 0 &&
             which.repeat > 0,
         "frames: %" PRId64 " of %s, steps of %" PRId64 " / %" PRId64, which.count,
         shape_text(s, shape), which.step, which.repeat);
    shape.dim[1] = which.count;
    y = record(g, &frames, shape, x, NULL, NULL, NULL);
    y->arg[ARG_FIRST].i = which.first;
    y->arg[ARG_STEP].i = which.step;
    y->arg[ARG_REPEAT].i = which.repeat;
    return y;
}

/* --- dimensions exchanged: 8 bytes an element --------------------------------------------------
 */

/* A row of y [N, B, A, D] is what x [N, A, B, D] has in a column. */
static void swap_block(const struct tensor *y, struct block at)
{
    int64_t B = y->shape.dim[1], A = y->shape.dim[2], D = y->shape.dim[3];
    const float *x = y->in[0]->data;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        for (int64_t a = 0; a < A; a++)
            memcpy(out + (r * A + a) * D, x + ((r / B * A + a) * B + r % B) * D,
                   (size_t)D * sizeof(float));
}

static void swap_cpu(const struct tensor *y)
{
    struct shape s = y->shape;

    each_block(y, row_blocks(1, s.dim[0] * s.dim[1], s.dim[2] * s.dim[3]), swap_block);
}

static void swap_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], op_swap(g, y->grad));
}

static const struct op swap = {
    .name = "swap", .cpu = swap_cpu, .adjoint = swap_adjoint, .again = record_again_after};

struct tensor *op_swap(struct graph *g, struct tensor *x)
{
    struct shape s = x->shape;
    char text[SHAPE_TEXT];

    MUST(s.rank == 4, "swap: %s has not four dimensions", shape_text(text, s));
    return record(g, &swap, SHAPE(s.dim[0], s.dim[2], s.dim[1], s.dim[3]), x, NULL, NULL, NULL);
}

/* --- convolution along time --------------------------------------------------------------------
 */

/* x [N, T, P, I] -> [N, U, P, k I]: what lies under the taps, side by side. */
static struct tensor *under_taps(struct graph *g, struct tensor *x, int64_t k, int64_t stride)
{
    int64_t U = whole_parts(x->shape.dim[1], stride);
    struct tensor *all = NULL;

    for (int64_t j = 0; j < k; j++) {
        struct tensor *tap = op_frames(g, x, (struct frame_choice){U, j - k / 2, stride, 1});

        all = all ? op_concat(g, all, tap) : tap;
    }
    return all;
}

struct tensor *op_conv_time(struct graph *g, struct tensor *x, struct tensor *weight,
                            struct tensor *bias, int64_t stride)
{
    struct shape xs = x->shape, ws = weight->shape;
    int64_t k = ws.rank == 4 ? ws.dim[1] : 0;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(xs.rank == 4 && xs.dim[1] > 0 && k % 2 && ws.dim[2] == 1 && ws.dim[3] == xs.dim[3] &&
             stride > 0,
         "conv_time: x %s, weight %s", shape_text(s, xs), shape_text(t, ws));
    if (stride > 1)
        return op_linear(g, under_taps(g, x, k, stride),
                         op_reshape(g, weight, SHAPE(ws.dim[0], k * ws.dim[3])), bias, ACT_NONE);
    if (k > 1)
        x = op_frames(g, x, (struct frame_choice){xs.dim[1] + k - 1, -(k / 2), 1, 1});
    return op_conv2d(g, x, weight, bias, (struct conv_geometry){.stride = 1});
}
