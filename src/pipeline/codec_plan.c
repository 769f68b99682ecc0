/*
 * codec_plan.c - how pictures go through an autoencoder within a limit of memory
 *
 * A small picture is best run with others in a batch, a large one alone, one that is larger than
 * memory in strips (strips.h), with the same result to 16 bits, and one that is larger still in
 * tiles (tiling.h).  Which of them it is follows from what the graph's plan says it takes:
 *
 *     bytes = weights + what the plan packs of them + values and scratch of a run + a tile in and
 * out
 *
 * Where values lie is known from shapes in a millisecond, so tiles are looked for by that; packed
 * weights and scratch are known once the primitives are made.  So the search begins without them,
 * plans the tile it finds, and begins again with what that took, until a tile fits with all it
 * takes.  Tiles only become smaller on the way, so it ends.
 */
#include "pipeline/codec_plan.h"

#include "base/whole.h"

#include <inttypes.h>

/* Enough to fill the machine, few enough that values stay small. */
enum { BATCH_PIXELS = 1 << 16, BATCH_MAX = 64 };

/* --- tiles --------------------------------------------------------------------------------------
 */

/* The search for tiles that fit. */
struct search {
    struct codec *codec;
    struct codec_half half;
    int64_t fixed; /* bytes that do not lie in the arena, as far as they are known */
    struct error *err;
    enum status failed;
};

static int64_t buffers(const struct codec *c, const struct codec_half *h)
{
    return (codec_half_in(c, h) + codec_half_out(c, h)) * h->batch * (int64_t)sizeof(float);
}

static int64_t weights(const struct codec *c)
{
    return params_numbers(c->net->params) * (int64_t)sizeof(float);
}

static int64_t outline(struct search *s, const struct codec_half *h)
{
    struct graph_stats stats = {0};

    codec_half_record(s->codec, h, NULL);
    if (!s->failed)
        s->failed = graph_outline(s->codec->graph, &stats, s->err);
    return s->fixed + stats.arena_bytes + buffers(s->codec, h);
}

static int64_t tile_cost(int64_t rows, int64_t columns, void *user)
{
    struct search *s = user;
    struct codec_half h = s->half;

    h.rows = rows;
    h.columns = columns;
    return outline(s, &h);
}

/* All that the recording takes, with its primitives made. */
static enum status measure(struct search *s, int64_t *bytes, struct error *err)
{
    struct codec *c = s->codec;
    struct graph_stats stats;
    int64_t fixed;
    enum status st;

    codec_half_choose(c, &s->half);
    codec_half_record(c, &s->half, NULL);
    if ((st = graph_measure(c->graph, &stats, err)))
        return st;
    fixed = weights(c) + stats.held_bytes + stats.scratch_bytes;
    *bytes = fixed + stats.arena_bytes + buffers(c, &s->half);
    s->fixed = whole_max(s->fixed, fixed);
    return OK;
}

static int64_t overlap_of(const struct codec_limits *l)
{
    if (l->overlap)
        return l->overlap;
    return l->tile ? whole_min(CODEC_OVERLAP, l->tile / 2) : CODEC_OVERLAP;
}

static enum status cut(struct tiling *t, struct search *s, int64_t height, int64_t width,
                       const struct codec_limits *l, struct error *err)
{
    int64_t factor = s->codec->net->io.factor;
    enum status st;

    if (l->tile)
        return tiling_plan(t, height, width, factor, l->tile, overlap_of(l), err);
    st = tiling_fit(t, height, width, factor, overlap_of(l), l->memory, tile_cost, s, err);
    return s->failed ? s->failed : st;
}

/* Tiles of a picture of this size, and what one of them takes. */
static enum status find_tiles(struct codec_plan *p, struct search *s, int64_t height, int64_t width,
                              const struct codec_limits *l, struct error *err)
{
    enum status st;

    for (;;) {
        if ((st = cut(&p->tiling, s, height, width, l, err)))
            return st;
        s->half.rows = p->tiling.down.tile;
        s->half.columns = p->tiling.across.tile;
        if ((st = measure(s, &p->bytes, err)) || !l->memory || p->bytes <= l->memory)
            return st;
        if (l->tile)
            return fail(err, E_MEMORY,
                        "a tile of %" PRId64 " x %" PRId64 " cells takes %" PRId64
                        " bytes, and %" PRId64 " are allowed",
                        p->tiling.across.tile, p->tiling.down.tile, p->bytes, l->memory);
    }
}

/* Several whole pictures in a run, where that is faster and fits: as many as the pixels that keep
 * the machine busy, and then as few as make no more runs. */
static enum status find_batch(struct codec_plan *p, struct search *s, int64_t n,
                              const struct codec_limits *l, struct error *err)
{
    const struct tiling *t = &p->tiling;
    int64_t b = whole_clamp(BATCH_PIXELS / (t->height * t->width), 1, BATCH_MAX), bytes;
    enum status st = OK;

    for (b = whole_min(b, n); b > 1; b /= 2) {
        s->half.batch = whole_parts(n, whole_parts(n, b));
        if (l->memory && outline(s, &s->half) > l->memory)
            continue;
        if (s->failed || (st = measure(s, &bytes, err)))
            break;
        if (l->memory && bytes > l->memory)
            continue;
        p->bytes = bytes;
        p->batch = s->half.batch;
        break;
    }
    return s->failed ? s->failed : st;
}

bool codec_plan_is_whole(const struct tiling *t)
{
    return tiling_count(t) == 1 && t->height % t->factor == 0 && t->width % t->factor == 0;
}

struct strips_task codec_strips(const struct codec *c, const struct codec_question *q)
{
    return (struct strips_task){.net = c->net,
                                .half = q->half,
                                .code = q->code,
                                .height = q->height,
                                .width = q->width,
                                .graph = c->graph,
                                .threads = c->threads};
}

/* A picture that does not fit in one piece.  In strips, if those fit; *in_tiles: how the search for
 * tiles ended, which stands where they do not. */
static enum status find_strips(struct codec_plan *p, struct codec *c,
                               const struct codec_question *q, enum status in_tiles,
                               struct error *err)
{
    const struct strips_task t = codec_strips(c, q);
    struct codec_plan strips = {.batch = 1};
    enum status st;

    c->planned = (struct codec_half){0};
    st = strips_fit(&strips.strips, &t, q->memory, NULL); /* what err says of tiles stands */
    if (st == E_CANCELLED)
        return fail(err, st, "stopped while strips were planned");
    if (st)
        return in_tiles;
    strips.bytes = strips.strips.bytes;
    strips.runs = q->n * strips.strips.runs;
    *p = strips;
    return tiling_plan(&p->tiling, q->height, q->width, c->net->io.factor, INT64_MAX, 0, NULL);
}

static enum status find_plan(struct codec_plan *out, struct codec *c,
                             const struct codec_question *q, const struct codec_limits *l,
                             struct error *err)
{
    struct search s = {.codec = c,
                       .half = {.half = q->half, .code = q->code, .batch = 1},
                       .fixed = weights(c),
                       .err = err};
    enum status st;

    st = find_tiles(out, &s, q->height, q->width, l, err);
    if (!l->tile && (st == E_MEMORY || (!st && tiling_count(&out->tiling) > 1)))
        st = find_strips(out, c, q, st, err);
    if (st || out->strips.n)
        return st;
    if (q->n > 1 && codec_plan_is_whole(&out->tiling) && (st = find_batch(out, &s, q->n, l, err)))
        return st;
    out->runs = out->batch > 1 ? whole_parts(q->n, out->batch) : q->n * tiling_count(&out->tiling);
    return OK;
}

static bool same_question(const struct codec_question *a, const struct codec_question *b)
{
    return a->half == b->half && a->code == b->code && a->n == b->n && a->height == b->height &&
           a->width == b->width && a->memory == b->memory && a->tile == b->tile &&
           a->overlap == b->overlap;
}

enum status codec_plan_for(struct codec_plan *out, struct codec *c, enum autoencoder_halves half,
                           bool code, int64_t n, int64_t height, int64_t width,
                           const struct codec_limits *l, struct error *err)
{
    const struct codec_question q = {half, code, n, height, width, l->memory, l->tile, l->overlap};
    enum status st;

    MUST(half == HALVES_ENCODER || half == HALVES_DECODER, "a plan is of one half");
    *out = (struct codec_plan){.batch = 1};
    if (n < 0 || l->tile < 0 || l->overlap < 0 || l->memory < 0)
        return fail(err, E_ARG,
                    "%" PRId64 " pictures in tiles of %" PRId64 " that share %" PRId64
                    " cells, in %" PRId64 " bytes",
                    n, l->tile, l->overlap, l->memory);
    if (same_question(&q, &c->asked)) {
        *out = c->answer;
        return OK;
    }
    if ((st = find_plan(out, c, &q, l, err)))
        return st;
    c->asked = q;
    c->answer = *out;
    return OK;
}
