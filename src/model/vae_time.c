/*
 * vae_time.c - what an autoencoder of videos has behind the layers that see each frame by itself
 *
 * Convolution and attention over space and time at once would cost three and T times what they cost
 * over space, and could not begin with what a picture's autoencoder knows.  So space and time take
 * turns ("2.5-D"): a layer for each frame, as it was, then one along time at each place.  Polyak et
 * al. 2024, section 3.1.1; movie-gen.md 2.1, 2.2.
 *
 * At the beginning nothing passes between frames.  The convolution is the unit matrix under its
 * middle tap and the attention's last layer is zero: so a network that was inflated maps each frame
 * as the picture's network did, and a video of one frame for good as long as it is not trained.
 *
 * A convolution looks ahead as it looks back, and beyond its ends the first and the last frame go
 * on (replicate padding): a picture is a video that stands still, which zeros around it would not
 * be.
 */
#include "model/vae_time.h"

#include "base/whole.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/frames.h"

/* [N T, H, W, C] -> [N, T, H W, C]. */
static struct tensor *by_frames(struct graph *g, struct tensor *x, int64_t T)
{
    struct shape s = x->shape;

    return op_reshape(g, x, SHAPE(s.dim[0] / T, T, s.dim[1] * s.dim[2], s.dim[3]));
}

/* The way back, to frames of x's size. */
static struct tensor *by_pictures(struct graph *g, struct tensor *h, const struct tensor *x)
{
    struct shape s = x->shape;

    return op_reshape(g, h, SHAPE(h->shape.dim[0] * h->shape.dim[1], s.dim[1], s.dim[2], s.dim[3]));
}

/* --- convolution --------------------------------------------------------------------------------
 */

static const int from_files[] = {0, 2, 1};

void time_conv_declare(struct time_conv *c, struct scope s, int64_t channels, int64_t taps,
                       int64_t repeat, int64_t stride)
{
    c->weight = params_add_stored(s, "weight", SHAPE(channels, taps, 1, channels),
                                  SHAPE(channels, channels, taps), from_files,
                                  (struct init){.kind = INIT_IDENTITY});
    c->bias = params_add(s, "bias", SHAPE(channels), (struct init){.kind = INIT_ZERO});
    c->repeat = repeat;
    c->stride = stride;
}

int64_t time_conv_frames(const struct time_conv *c, int64_t T)
{
    return c->weight ? whole_parts(T * c->repeat, c->stride) : T;
}

struct tensor *time_conv_forward(struct graph *g, const struct time_conv *c, struct tensor *x,
                                 int64_t T)
{
    struct tensor *h;

    if (!c->weight)
        return x;
    h = by_frames(g, x, T);
    if (c->repeat > 1)
        h = op_frames(g, h, (struct frame_choice){T * c->repeat, 0, 1, c->repeat});
    h = op_conv_time(g, h, nn_param(g, c->weight), nn_param(g, c->bias), c->stride);
    return by_pictures(g, h, x);
}

/* --- attention ----------------------------------------------------------------------------------
 */

void time_attention_declare(struct time_attention *a, struct scope s, int64_t channels,
                            int64_t groups, double eps)
{
    group_norm_init(&a->norm, scope_in(s, "norm"), channels, groups, eps);
    linear_init(&a->qkv, scope_in(s, "qkv"), channels, 3 * channels, INIT_KAIMING);
    linear_init(&a->out, scope_in(s, "proj_out"), channels, channels, INIT_ZERO);
}

struct tensor *time_attention_forward(struct graph *g, const struct time_attention *a,
                                      struct tensor *x, int64_t T)
{
    struct shape s = x->shape;
    int64_t N = s.dim[0] / T, P = s.dim[1] * s.dim[2], C = s.dim[3];
    struct tensor *h = nn_linear(g, &a->qkv, nn_group_norm(g, &a->norm, x, NULL, false));

    h = op_reshape(g, op_swap(g, by_frames(g, h, T)), SHAPE(N * P, T, 3 * C));
    h = op_reshape(g, op_attention(g, h, 1, QKV_SPLIT), SHAPE(N, P, T, C));
    h = by_pictures(g, op_swap(g, h), x);
    return op_add(g, x, nn_linear(g, &a->out, h));
}
