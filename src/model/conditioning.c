/*
 * conditioning.c - what Stable Diffusion 3 is told of a prompt
 *
 * Three encoders read the prompt, and each may be missing: the network was trained with any of them
 * replaced by zeros.
 *
 *                        features of a token
 *               +--------+----------+---------------+
 *     77 tokens | CLIP-L |  CLIP-G  |       0       |         pooled = [ L | G ]
 *               +--------+----------+---------------+
 *    256 tokens |               T5                  |
 *               +-----------------------------------+
 *
 * Where a CLIP is missing, how wide its part is follows from the other and from the pooled vector
 * that the network reads, since what a CLIP says of a word and of the whole has one width.  This is
 * arithmetic on what encoders have left behind, a few megabytes once for a picture, and no part of
 * a tape: the encoders' memory is gone by then.
 */
#include "model/conditioning.h"

#include <inttypes.h>
#include <string.h>

int64_t conditioning_tokens(const struct conditioning *c)
{
    return c->clip_tokens + c->t5_tokens;
}

/* Where CLIP-G's features and its half of the pooled vector begin. */
static int64_t left_of_g(const struct conditioning *c)
{
    return c->clip_l.states ? c->clip_l.width : c->pooled_width - c->clip_g.pooled_width;
}

static enum status check_clip(const char *name, const struct encoded_text *e,
                              const struct conditioning *c, int64_t at, struct error *err)
{
    if (!e->states)
        return OK;
    if (e->tokens != c->clip_tokens)
        return fail(err, E_ARG, "CLIP-%s says %" PRId64 " tokens, the prompt has %" PRId64, name,
                    e->tokens, c->clip_tokens);
    if (at < 0 || e->width > c->context_width - at || e->width != e->pooled_width ||
        e->pooled_width > c->pooled_width - at)
        return fail(err, E_ARG,
                    "CLIP-%s gives %" PRId64 " features a token and %" PRId64
                    " for the whole, from place %" PRId64 " on; the network reads %" PRId64
                    " and %" PRId64,
                    name, e->width, e->pooled_width, at, c->context_width, c->pooled_width);
    return OK;
}

enum status conditioning_check(const struct conditioning *c, struct error *err)
{
    int64_t g = left_of_g(c);
    enum status st;

    if ((st = check_clip("L", &c->clip_l, c, 0, err)) ||
        (st = check_clip("G", &c->clip_g, c, g, err)))
        return st;
    if (c->clip_l.states && c->clip_g.states && g + c->clip_g.width != c->pooled_width)
        return fail(err, E_ARG,
                    "the CLIPs give %" PRId64 " and %" PRId64
                    " features for the whole; the network reads %" PRId64,
                    g, c->clip_g.width, c->pooled_width);
    if (c->t5.states && (c->t5.width != c->context_width || c->t5.tokens != c->t5_tokens))
        return fail(err, E_ARG,
                    "T5 gives %" PRId64 " tokens of %" PRId64
                    " features; there is room for %" PRId64 " of %" PRId64,
                    c->t5.tokens, c->t5.width, c->t5_tokens, c->context_width);
    return OK;
}

static void place(const struct encoded_text *e, int64_t at, const struct conditioning *c,
                  float *context, float *pooled)
{
    if (!e->states)
        return;
    for (int64_t i = 0; i < e->tokens; i++)
        memcpy(context + i * c->context_width + at, e->states + i * e->width,
               (size_t)e->width * sizeof(float));
    memcpy(pooled + at, e->pooled, (size_t)e->pooled_width * sizeof(float));
}

void conditioning_join(const struct conditioning *c, float *context, float *pooled)
{
    int64_t below = c->clip_tokens * c->context_width;

    memset(context, 0, (size_t)(conditioning_tokens(c) * c->context_width) * sizeof(float));
    memset(pooled, 0, (size_t)c->pooled_width * sizeof(float));
    place(&c->clip_l, 0, c, context, pooled);
    place(&c->clip_g, left_of_g(c), c, context, pooled);
    if (c->t5.states)
        memcpy(context + below, c->t5.states,
               (size_t)(c->t5_tokens * c->context_width) * sizeof(float));
}

void conditioning_weigh(float *states, int64_t tokens, int64_t width, const float *empty,
                        int64_t empty_tokens, const float *weights)
{
    for (int64_t i = 0; i < tokens; i++) {
        const float w = weights[i], *from = empty + i % empty_tokens * width;
        float *row = states + i * width;

        if (w < 1 || w > 1)
            for (int64_t k = 0; k < width; k++)
                row[k] = from[k] + w * (row[k] - from[k]);
    }
}
