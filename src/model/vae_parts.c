/*
 * vae_parts.c - what convolutional autoencoders are made of
 *
 * A half is a chain of steps between two convolutions: residual blocks, attentions, and changes of
 * size.  Each step is a module of public files and bears its name, so that loading is a lookup; and
 * each looks at few places around its own, or at all, which is what lets a picture go through in
 * strips.  Rombach et al. 2022, appendix E.1; architectures.md 3.1.
 *
 * The residual block is the U-Net's without its clock, and the attention one head over all pixels.
 *
 * In a network of videos every layer that sees neighbours has one along time behind it
 * (vae_time.c), whose names have "time" in them.  A step then takes videos and gives videos, and
 * between its layers frames are pictures: norms know nothing of other frames.
 */
#include "model/vae_parts.h"

#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/resample.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { CHANNELS_MAX = 65536 };
static const double NORM_EPS = 1e-6;

/* --- sizes --------------------------------------------------------------------------------------
 */

static int64_t level_channels(const struct vae_config *c, int level)
{
    return llround((double)c->width * c->mult.at[level]);
}

static bool attends(const struct vae_config *c, int level)
{
    for (int i = 0; i < c->attention.n; i++)
        if (c->attention.at[i] == (int64_t)1 << level)
            return true;
    return false;
}

int64_t vae_inner_channels(const struct vae_config *c)
{
    return c->inner_channels ? c->inner_channels : c->latent_channels;
}

int64_t vae_moments(const struct vae_config *c)
{
    return c->codes ? 1 : 2;
}

bool vae_has_encoder(const struct vae_config *c)
{
    return c->halves != HALVES_DECODER;
}

bool vae_has_decoder(const struct vae_config *c)
{
    return c->halves != HALVES_ENCODER;
}

int64_t vae_factor(const struct vae_config *c)
{
    return c->mult.n > 0 && c->mult.n <= VAE_LEVELS_MAX ? (int64_t)1 << (c->mult.n - 1) : 1;
}

/* Norms see the channels of a level, those of the level before, and at the start the width. */
static enum status check_groups(const char *kind, int64_t channels, const struct vae_config *c,
                                struct error *err)
{
    if (channels < 1 || channels > CHANNELS_MAX)
        return fail(err, E_ARG, "%s.mult: a level of %" PRId64 " channels, not 1 to %d", kind,
                    channels, CHANNELS_MAX);
    if (channels % c->groups)
        return fail(err, E_ARG,
                    "%s.mult: norms of %" PRId64 " channels, not a multiple of %" PRId64 " groups",
                    kind, channels, c->groups);
    return OK;
}

enum status vae_check_sizes(const char *kind, const struct vae_config *c, struct error *err)
{
    int64_t inner = vae_inner_channels(c);
    enum status st;

    if (c->mult.n < 1 || c->mult.n > VAE_LEVELS_MAX)
        return fail(err, E_ARG, "%s.mult: %d levels, not 1 to %d", kind, c->mult.n, VAE_LEVELS_MAX);
    if (c->size % vae_factor(c))
        return fail(err, E_ARG, "%s.size: %" PRId64 " cannot be halved %d times", kind, c->size,
                    c->mult.n - 1);
    if (inner != c->latent_channels &&
        ((vae_has_encoder(c) && !c->quant_conv) || (vae_has_decoder(c) && !c->post_quant_conv)))
        return fail(err, E_ARG,
                    "%s.inner_channels: %" PRId64 " become %" PRId64
                    " latent channels by 1 x 1 convolutions only (quant_conv, post_quant_conv)",
                    kind, inner, c->latent_channels);
    if ((st = check_groups(kind, c->width, c, err)))
        return st;
    for (int l = 0; l < c->mult.n; l++)
        if ((st = check_groups(kind, level_channels(c, l), c, err)))
            return st;
    return OK;
}

/* --- layers -------------------------------------------------------------------------------------
 */

/* What the declaration of a half carries along. */
struct site {
    struct vae_half *half;
    const struct vae_form *form;
    struct scope scope; /* "encoder" */
    int64_t channels;   /* of the last step */
};

/* A convolution k x k with its companion along time; how time changes. */
struct size_change {
    int64_t space_stride, repeat, stride;
};
static const struct size_change same_size = {1, 1, 1};

static void time_declare(struct vae_conv *c, const struct site *site, struct scope s,
                         int64_t channels, int64_t taps, struct size_change change)
{
    if (site->form->videos)
        time_conv_declare(&c->time, scope_in(s, "time"), channels, taps, change.repeat,
                          change.stride);
}

static void conv_declare(struct vae_conv *c, const struct site *site, struct scope s, int64_t in,
                         int64_t out, int64_t k, struct size_change change)
{
    conv_init(&c->space, s, in, out, k, change.space_stride, INIT_KAIMING);
    time_declare(c, site, s, out, k, change);
}

static void block_declare(struct vae_block *b, const struct site *site, struct scope s, int64_t in,
                          int64_t out)
{
    int64_t groups = site->form->space->groups;

    b->has_skip = in != out;
    group_norm_init(&b->norm1, scope_in(s, "norm1"), in, groups, NORM_EPS);
    conv_declare(&b->conv1, site, scope_in(s, "conv1"), in, out, 3, same_size);
    group_norm_init(&b->norm2, scope_in(s, "norm2"), out, groups, NORM_EPS);
    conv_declare(&b->conv2, site, scope_in(s, "conv2"), out, out, 3, same_size);
    if (b->has_skip)
        conv_declare(&b->skip, site, scope_in(s, "nin_shortcut"), in, out, 1, same_size);
}

void vae_pixels_declare(struct linear *l, struct scope s, int64_t in, int64_t out)
{
    linear_init_pixels(l, s, in, out, (struct init){.kind = INIT_KAIMING}, 4);
}

static void attention_declare(struct vae_attention *a, const struct site *site, struct scope s)
{
    int64_t groups = site->form->space->groups, channels = site->channels;

    group_norm_init(&a->norm, scope_in(s, "norm"), channels, groups, NORM_EPS);
    vae_pixels_declare(&a->q, scope_in(s, "q"), channels, channels);
    vae_pixels_declare(&a->k, scope_in(s, "k"), channels, channels);
    vae_pixels_declare(&a->v, scope_in(s, "v"), channels, channels);
    vae_pixels_declare(&a->out, scope_in(s, "proj_out"), channels, channels);
    if (site->form->videos)
        time_attention_declare(&a->time, scope_in(s, "time"), channels, groups, NORM_EPS);
}

/* --- forward ------------------------------------------------------------------------------------
 *
 * x [N, H, W, C], or of videos [N T, H, W, C]; T is 0 of pictures.
 */

static struct tensor *conv_forward(struct graph *g, const struct vae_conv *c, struct tensor *x,
                                   int64_t T)
{
    return time_conv_forward(g, &c->time, nn_conv(g, &c->space, x), T);
}

/* The way around comes first: when it has other channels, x is then read by the norm last, which
 * can write over it, and large pictures need a fifth less memory. */
static struct tensor *block_forward(struct graph *g, const struct vae_block *b, struct tensor *x,
                                    int64_t T, struct norm_parts *norms)
{
    struct tensor *around = b->has_skip ? conv_forward(g, &b->skip, x, T) : x, *h;

    h = conv_forward(g, &b->conv1, nn_group_norm_of_part(g, &b->norm1, x, true, norms), T);
    h = conv_forward(g, &b->conv2, nn_group_norm_of_part(g, &b->norm2, h, true, norms), T);
    return op_add(g, around, h);
}

static struct tensor *attention_forward(struct graph *g, const struct vae_attention *a,
                                        struct tensor *x, int64_t T)
{
    int64_t N = x->shape.dim[0], P = x->shape.dim[1] * x->shape.dim[2], C = x->shape.dim[3];
    struct tensor *h = op_reshape(g, nn_group_norm(g, &a->norm, x, NULL, false), SHAPE(N, P, C));
    struct tensor *kv = op_concat(g, nn_linear(g, &a->k, h), nn_linear(g, &a->v, h));

    h = op_attention_cross(g, nn_linear(g, &a->q, h), kv, NULL, 1);
    h = op_add(g, x, op_reshape(g, nn_linear(g, &a->out, h), x->shape));
    return T ? time_attention_forward(g, &a->time, h, T) : h;
}

static struct tensor *step_forward(struct graph *g, const struct vae_step *s, struct tensor *x,
                                   int64_t T, struct norm_parts *norms)
{
    switch (s->kind) {
    case VAE_BLOCK:
        return block_forward(g, &s->block, x, T, norms);
    case VAE_ATTENTION:
        return attention_forward(g, &s->attention, x, T);
    case VAE_DOWN:
        return conv_forward(g, &s->conv, x, T);
    case VAE_UP:
        break;
    }
    return conv_forward(g, &s->conv, op_upsample2(g, x), T);
}

/* --- the two halves -----------------------------------------------------------------------------
 */

/* Each level: blocks with an attention behind each, and a change of size; and the middle. */
size_t vae_steps_most(const struct vae_config *c)
{
    return (size_t)(c->mult.n * (2 * (c->blocks + 1) + 1) + 3);
}

static struct vae_step *step_add(struct site *s, int kind, struct scope *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static struct vae_step *step_add(struct site *s, int kind, struct scope *at, const char *fmt, ...)
{
    struct vae_step *step = &s->half->step[s->half->n++];
    char module[24];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(module, sizeof module, fmt, ap);
    va_end(ap);
    snprintf(step->name, sizeof step->name, "%s.%s", s->half->name, module);
    step->kind = kind;
    *at = scope_in(s->scope, "%s", module);
    return step;
}

static void middle_declare(struct site *s)
{
    struct scope at;
    struct vae_step *step;

    for (int i = 1; i <= 2; i++) {
        step = step_add(s, VAE_BLOCK, &at, "mid.block_%d", i);
        block_declare(&step->block, s, at, s->channels, s->channels);
        if (i == 1 && s->form->space->middle_attention) {
            step = step_add(s, VAE_ATTENTION, &at, "mid.attn_1");
            attention_declare(&step->attention, s, at);
        }
    }
}

/* way: "down" or "up". */
static void level_declare(struct site *s, const char *way, int level, int64_t blocks)
{
    int64_t out = level_channels(s->form->space, level);
    struct scope at;
    struct vae_step *step;

    for (int b = 0; b < blocks; b++) {
        step = step_add(s, VAE_BLOCK, &at, "%s.%d.block.%d", way, level, b);
        block_declare(&step->block, s, at, s->channels, out);
        s->channels = out;
        if (attends(s->form->space, level)) {
            step = step_add(s, VAE_ATTENTION, &at, "%s.%d.attn.%d", way, level, b);
            attention_declare(&step->attention, s, at);
        }
    }
}

/* The windows that halve begin at even pixels, and the last of them lacks a column on the right and
 * a row below: only those are padded.  `finer`: the level of the larger pictures, which has the
 * larger number of frames too, if this change of size changes time. */
static void resample_declare(struct site *s, int kind, int level, int finer)
{
    struct scope at;
    struct vae_step *step = kind == VAE_DOWN ? step_add(s, kind, &at, "down.%d.downsample", level)
                                             : step_add(s, kind, &at, "up.%d.upsample", level);
    struct conv *conv = &step->conv.space;
    int64_t in_time = finer < s->form->halvings ? 2 : 1;
    struct size_change down = {2, 1, in_time}, up = {1, in_time, 1};

    conv_declare(&step->conv, s, scope_in(at, "conv"), s->channels, s->channels, 3,
                 kind == VAE_DOWN ? down : up);
    if (kind == VAE_DOWN)
        conv->geometry.top = conv->geometry.left = 0;
}

/* The posterior of a network of videos begins nearly certain: latents that are mostly noise teach a
 * decoder nothing but the mean, and it stays there. */
static void code_declare(struct vae_conv *c, const struct site *site, struct scope s, int64_t in,
                         int64_t out)
{
    const struct init bias = {.kind = INIT_MOMENTS, .mean = site->form->log_variance};

    conv_init_plain(&c->space, s, in, out, 3, 1, INIT_KAIMING);
    c->space.bias = params_add(s, "bias", SHAPE(out), bias);
    time_declare(c, site, s, out, 3, same_size);
}

static void ends_declare(struct site *s, int64_t in, int64_t first, int64_t out, bool code)
{
    conv_declare(&s->half->first, s, scope_in(s->scope, "conv_in"), in, first, 3, same_size);
    group_norm_init(&s->half->norm, scope_in(s->scope, "norm_out"), s->channels,
                    s->form->space->groups, NORM_EPS);
    if (code && s->form->videos)
        code_declare(&s->half->last, s, scope_in(s->scope, "conv_out"), s->channels, out);
    else
        conv_declare(&s->half->last, s, scope_in(s->scope, "conv_out"), s->channels, out, 3,
                     same_size);
}

void vae_encoder_declare(struct vae_half *h, const struct vae_form *form, struct scope s)
{
    const struct vae_config *c = form->space;
    struct site at = {h, form, scope_in(s, "encoder"), c->width};

    h->name = "encoder";
    for (int l = 0; l < c->mult.n; l++) {
        level_declare(&at, "down", l, c->blocks);
        if (l < c->mult.n - 1)
            resample_declare(&at, VAE_DOWN, l, l);
    }
    middle_declare(&at);
    ends_declare(&at, c->channels, c->width, vae_moments(c) * vae_inner_channels(c), true);
}

void vae_decoder_declare(struct vae_half *h, const struct vae_form *form, struct scope s)
{
    const struct vae_config *c = form->space;
    int64_t deepest = level_channels(c, c->mult.n - 1);
    struct site at = {h, form, scope_in(s, "decoder"), deepest};

    h->name = "decoder";
    middle_declare(&at);
    for (int l = c->mult.n - 1; l >= 0; l--) {
        level_declare(&at, "up", l, c->blocks + 1);
        if (l > 0)
            resample_declare(&at, VAE_UP, l, l - 1);
    }
    ends_declare(&at, vae_inner_channels(c), deepest, c->channels, false);
}

/* --- a half, step by step -----------------------------------------------------------------------
 */

/* The first convolution, a step, or the last norm and convolution. */
static struct tensor *any_step(struct graph *g, const struct vae_half *h, int i, struct tensor *x,
                               int64_t T, struct norm_parts *norms)
{
    if (i == 0)
        return conv_forward(g, &h->first, x, T);
    if (i > h->n)
        return conv_forward(g, &h->last, nn_group_norm_of_part(g, &h->norm, x, true, norms), T);
    return step_forward(g, &h->step[i - 1], x, T, norms);
}

/* The same of videos [N, T, H, W, C], whose T may change. */
static struct tensor *video_step(struct graph *g, const struct vae_half *h, int i, struct tensor *x)
{
    struct shape s = x->shape;
    int64_t N = s.dim[0], T = s.dim[1], frames = T;
    bool changes =
        i > 0 && i <= h->n && (h->step[i - 1].kind == VAE_DOWN || h->step[i - 1].kind == VAE_UP);

    x = op_reshape(g, x, SHAPE(N * T, s.dim[2], s.dim[3], s.dim[4]));
    x = any_step(g, h, i, x, T, NULL);
    if (changes)
        frames = time_conv_frames(&h->step[i - 1].conv.time, T);
    s = x->shape;
    return op_reshape(g, x, SHAPE(N, frames, s.dim[1], s.dim[2], s.dim[3]));
}

struct tensor *vae_half_step(struct graph *g, const struct network *net, const struct vae_half *h,
                             int i, struct tensor *x, struct norm_parts *norms)
{
    x = x->shape.rank == 5 ? video_step(g, h, i, x) : any_step(g, h, i, x, 0, norms);
    if (i == 0)
        network_show(net, x, "%s.conv_in", h->name);
    else
        network_show(net, x, "%s", i > h->n ? h->name : h->step[i - 1].name);
    return x;
}

int64_t vae_half_reach(const struct vae_half *h, int i)
{
    static const int64_t reach[] = {
        [VAE_BLOCK] = 2, [VAE_ATTENTION] = REACH_ALL, [VAE_DOWN] = 1, [VAE_UP] = 1};

    return i == 0 || i > h->n ? 1 : reach[h->step[i - 1].kind];
}
