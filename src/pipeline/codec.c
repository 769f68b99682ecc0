/*
 * codec.c - pictures to latents and back, of any size, within a limit of memory
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
 *
 * Plans of a frozen graph hold packed copies of the weights, each its own.  Only the present one is
 * kept: a folder of pictures of a hundred sizes must not hold the weights a hundred times.
 *
 * A posterior is drawn from after its tiles were blended, with noise for the whole picture: drawn
 * tile by tile, the noise of two tiles would be averaged where they overlap, and a latent would be
 * less noisy there than the encoder says.
 */
#include "pipeline/codec.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/whole.h"
#include "pipeline/autoencoder_file.h"
#include "pipeline/codec_video.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Enough to fill the machine, few enough that values stay small. */
enum { BATCH_PIXELS = 1 << 16, BATCH_MAX = 64 };

/* What is recorded: a batch of pictures of rows x columns cells through one half. */
struct recording {
    enum autoencoder_halves half;
    bool code; /* encode: leave the code as it is; else its mean */
    int64_t batch, rows, columns;
};

/* What a plan is a function of, besides the network. */
struct question {
    enum autoencoder_halves half;
    bool code;
    int64_t n, height, width, memory, tile, overlap;
};

struct codec {
    struct autoencoder_file file; /* zeroed where the network is the caller's */
    const struct network *net;
    char hash[HASH_TEXT];
    struct graph *graph;
    int threads;
    struct recording planned; /* what the graph holds a plan of            */
    struct question asked;    /* last, and the answer; half 0: nothing yet */
    struct codec_plan answer;
};

/* --- opening ------------------------------------------------------------------------------------
 */

static enum status set_up(struct codec *c, const struct network *net, const char *hash, int threads,
                          struct error *err)
{
    MUST(net->io.factor, "a '%s' is no autoencoder", net->kind->name);
    MUST(hash_is(hash), "'%s' is no hash", hash);
    c->net = net;
    memcpy(c->hash, hash, HASH_TEXT);
    c->threads = threads;
    return graph_new(&c->graph, GRAPH_FROZEN, threads, err);
}

enum status codec_new(struct codec **out, const struct network *net, const char *hash, int threads,
                      struct error *err)
{
    struct codec *c;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&c, 1, sizeof *c, "a codec", err)))
        return st;
    if ((st = set_up(c, net, hash, threads, err)))
        codec_free(c);
    else
        *out = c;
    return st;
}

typedef enum status file_opener(struct autoencoder_file *a, const char *path,
                                enum autoencoder_halves halves, struct error *err);

static enum status open_file(struct codec **out, file_opener *open, const char *path,
                             enum autoencoder_halves halves, int threads, struct error *err)
{
    struct codec *c;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&c, 1, sizeof *c, "a codec", err)))
        return st;
    if ((st = open(&c->file, path, halves, err)) ||
        (st = set_up(c, c->file.network, c->file.hash, threads, err)))
        codec_free(c);
    else
        *out = c;
    return st;
}

enum status codec_open(struct codec **out, const char *path, enum autoencoder_halves halves,
                       int threads, struct error *err)
{
    return open_file(out, autoencoder_file_open, path, halves, threads, err);
}

enum status codec_open_unnamed(struct codec **out, const char *path, enum autoencoder_halves halves,
                               int threads, struct error *err)
{
    return open_file(out, autoencoder_file_open_unnamed, path, halves, threads, err);
}

void codec_free(struct codec *c)
{
    if (!c)
        return;
    graph_free(c->graph);
    autoencoder_file_release(&c->file);
    free(c);
}

const struct network *codec_network(const struct codec *c)
{
    return c->net;
}

const char *codec_hash(const struct codec *c)
{
    return c->hash;
}

int64_t codec_cells(const struct codec *c, int64_t pixels)
{
    return whole_parts(pixels, c->net->io.factor);
}

int64_t codec_memory_usual(void)
{
    return mem_available() / 4 * 3;
}

/* --- recording ----------------------------------------------------------------------------------
 */

/* Numbers of one picture before and after. */
static int64_t length_in(const struct codec *c, const struct recording *r)
{
    const struct network_io *io = &c->net->io;

    return r->half == HALVES_DECODER
               ? r->rows * r->columns * io->latent_channels
               : r->rows * io->factor * r->columns * io->factor * io->in_channels;
}

static int64_t code_channels(const struct codec *c, bool code)
{
    return c->net->io.latent_channels * (code && c->net->io.gaussian ? 2 : 1);
}

static int64_t length_out(const struct codec *c, const struct recording *r)
{
    struct recording back = *r;

    if (r->half != HALVES_DECODER)
        return r->rows * r->columns * code_channels(c, r->code);
    back.half = HALVES_ENCODER;
    return length_in(c, &back);
}

/* To an autoencoder of videos a picture is a video of one frame. */
static struct shape shape_of(const struct codec *c, const struct recording *r, int64_t height,
                             int64_t width, int64_t channels)
{
    return c->net->io.frames ? SHAPE(r->batch, 1, height, width, channels)
                             : SHAPE(r->batch, height, width, channels);
}

/* Shapes alone matter until it is run: x may be NULL before. */
static struct tensor *record_half(struct codec *c, const struct recording *r, const float *x)
{
    const struct network_io *io = &c->net->io;
    struct graph *g = c->graph;
    struct tensor *y;

    graph_reset(g);
    if (r->half == HALVES_DECODER) {
        y = graph_input(g, shape_of(c, r, r->rows, r->columns, io->latent_channels), x);
        y = autoencoder_decode(g, c->net, y);
        if (io->frames)
            y = autoencoder_cut(g, y, 1);
    } else {
        y = graph_input(
            g, shape_of(c, r, r->rows * io->factor, r->columns * io->factor, io->in_channels), x);
        y = autoencoder_encode(g, c->net, y);
        if (!r->code)
            y = autoencoder_latents(g, c->net, y, NULL);
    }
    graph_keep(g, y);
    return y;
}

static bool same(const struct recording *a, const struct recording *b)
{
    return a->half == b->half && a->code == b->code && a->batch == b->batch && a->rows == b->rows &&
           a->columns == b->columns;
}

static void plan_only(struct codec *c, const struct recording *r)
{
    if (!same(&c->planned, r))
        graph_forget(c->graph);
    c->planned = *r;
}

static enum status run(struct codec *c, const struct recording *r, float *out, const float *in,
                       struct error *err)
{
    struct tensor *y;
    enum status st;

    plan_only(c, r);
    y = record_half(c, r, in);
    if ((st = graph_run(c->graph, err)))
        return st;
    graph_read(c->graph, y, out);
    return OK;
}

struct graph *codec_graph(struct codec *c)
{
    graph_forget(c->graph);
    c->planned = (struct recording){0};
    return c->graph;
}

/* --- the plan -----------------------------------------------------------------------------------
 */

/* The search for tiles that fit. */
struct search {
    struct codec *codec;
    struct recording recording;
    int64_t fixed; /* bytes that do not lie in the arena, as far as they are known */
    struct error *err;
    enum status failed;
};

static int64_t buffers(const struct codec *c, const struct recording *r)
{
    return (length_in(c, r) + length_out(c, r)) * r->batch * (int64_t)sizeof(float);
}

static int64_t weights(const struct codec *c)
{
    return params_numbers(c->net->params) * (int64_t)sizeof(float);
}

static int64_t outline(struct search *s, const struct recording *r)
{
    struct graph_stats stats = {0};

    record_half(s->codec, r, NULL);
    if (!s->failed)
        s->failed = graph_outline(s->codec->graph, &stats, s->err);
    return s->fixed + stats.arena_bytes + buffers(s->codec, r);
}

static int64_t tile_cost(int64_t rows, int64_t columns, void *user)
{
    struct search *s = user;
    struct recording r = s->recording;

    r.rows = rows;
    r.columns = columns;
    return outline(s, &r);
}

/* All that the recording takes, with its primitives made. */
static enum status measure(struct search *s, int64_t *bytes, struct error *err)
{
    struct codec *c = s->codec;
    struct graph_stats stats;
    int64_t fixed;
    enum status st;

    plan_only(c, &s->recording);
    record_half(c, &s->recording, NULL);
    if ((st = graph_measure(c->graph, &stats, err)))
        return st;
    fixed = weights(c) + stats.held_bytes + stats.scratch_bytes;
    *bytes = fixed + stats.arena_bytes + buffers(c, &s->recording);
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
        s->recording.rows = p->tiling.down.tile;
        s->recording.columns = p->tiling.across.tile;
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
        s->recording.batch = whole_parts(n, whole_parts(n, b));
        if (l->memory && outline(s, &s->recording) > l->memory)
            continue;
        if (s->failed || (st = measure(s, &bytes, err)))
            break;
        if (l->memory && bytes > l->memory)
            continue;
        p->bytes = bytes;
        p->batch = s->recording.batch;
        break;
    }
    return s->failed ? s->failed : st;
}

static bool is_whole(const struct tiling *t)
{
    return tiling_count(t) == 1 && t->height % t->factor == 0 && t->width % t->factor == 0;
}

static struct strips_task strips_of(struct codec *c, const struct question *q)
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
static enum status find_strips(struct codec_plan *p, struct codec *c, const struct question *q,
                               enum status in_tiles, struct error *err)
{
    const struct strips_task t = strips_of(c, q);
    struct codec_plan strips = {.batch = 1};
    enum status st;

    c->planned = (struct recording){0};
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

static enum status find_plan(struct codec_plan *out, struct codec *c, const struct question *q,
                             const struct codec_limits *l, struct error *err)
{
    struct search s = {.codec = c,
                       .recording = {.half = q->half, .code = q->code, .batch = 1},
                       .fixed = weights(c),
                       .err = err};
    enum status st;

    st = find_tiles(out, &s, q->height, q->width, l, err);
    if (!l->tile && (st == E_MEMORY || (!st && tiling_count(&out->tiling) > 1)))
        st = find_strips(out, c, q, st, err);
    if (st || out->strips.n)
        return st;
    if (q->n > 1 && is_whole(&out->tiling) && (st = find_batch(out, &s, q->n, l, err)))
        return st;
    out->runs = out->batch > 1 ? whole_parts(q->n, out->batch) : q->n * tiling_count(&out->tiling);
    return OK;
}

static bool same_question(const struct question *a, const struct question *b)
{
    return a->half == b->half && a->code == b->code && a->n == b->n && a->height == b->height &&
           a->width == b->width && a->memory == b->memory && a->tile == b->tile &&
           a->overlap == b->overlap;
}

/* code: what an encoder leaves, see struct recording.  A search may make primitives several times,
 * and who encodes a picture has often asked what it will take: the last answer is remembered. */
static enum status make_plan(struct codec_plan *out, struct codec *c, enum autoencoder_halves half,
                             bool code, int64_t n, int64_t height, int64_t width,
                             const struct codec_limits *l, struct error *err)
{
    const struct question q = {half, code, n, height, width, l->memory, l->tile, l->overlap};
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

static bool wants_code(const struct codec *c, enum autoencoder_halves half,
                       const struct codec_limits *l)
{
    return half == HALVES_ENCODER && l->sample && c->net->io.gaussian;
}

static const struct codec_limits unlimited = {0};

enum status codec_plan(struct codec_plan *out, struct codec *c, enum autoencoder_halves half,
                       int64_t n, int64_t height, int64_t width, const struct codec_limits *l,
                       struct error *err)
{
    l = l ? l : &unlimited;
    return make_plan(out, c, half, wants_code(c, half, l), n, height, width, l, err);
}

/* --- the work -----------------------------------------------------------------------------------
 */

struct work {
    struct codec *codec;
    const struct codec_limits *limits;
    struct codec_plan plan;
    struct recording recording;
    int64_t done; /* runs */
    double told;  /* when progress was called last */
};

static bool count_run(void *user)
{
    struct work *w = user;
    const struct codec_limits *l = w->limits;

    w->done++;
    w->told = l->every > 0 ? clock_seconds() : 0;
    return !l->progress || l->progress(w->done, w->plan.runs, l->user);
}

/* While it is planned, nobody knows yet how many runs there will be. */
static bool within_run(double done, void *user)
{
    struct work *w = user;
    const struct codec_limits *l = w->limits;
    int64_t runs = whole_max(w->plan.runs, 1);

    if (l->watch && !l->watch(((double)w->done + done) / (double)runs, l->watch_user))
        return false;
    if (!l->progress || !(l->every > 0) || clock_seconds() - w->told < l->every)
        return true;
    w->told = clock_seconds();
    return l->progress(w->done, runs, l->user);
}

static void watch(struct work *w)
{
    const struct codec_limits *l = w->limits;

    w->told = l->every > 0 ? clock_seconds() : 0;
    if (l->watch || (l->progress && l->every > 0))
        graph_set_watch(w->codec->graph, within_run, w);
}

static enum status tell(struct work *w, struct error *err)
{
    if (count_run(w))
        return OK;
    return fail(err, E_CANCELLED, "stopped after %" PRId64 " of %" PRId64 " runs", w->done,
                w->plan.runs);
}

static enum status map_tile(float *out, const float *in, int64_t rows, int64_t columns, void *user,
                            struct error *err)
{
    struct work *w = user;
    enum status st;

    w->recording.rows = rows;
    w->recording.columns = columns;
    if ((st = run(w->codec, &w->recording, out, in, err)))
        return st;
    return tell(w, err);
}

/* The last batch is filled up with pictures that were done before: whatever stands beside a
 * picture, its bits are the same, and another size of batch would be another plan. */
static enum status map_batches(struct work *w, float *out, const float *in, int64_t n,
                               struct error *err)
{
    const struct recording *r = &w->recording;
    int64_t from = length_in(w->codec, r), to = length_out(w->codec, r);
    enum status st;

    for (int64_t first = 0; first < n; first += r->batch) {
        int64_t at = whole_min(first, n - r->batch);

        if ((st = run(w->codec, r, out + at * to, in + at * from, err)) || (st = tell(w, err)))
            return st;
    }
    return OK;
}

/* n pictures one by one, each in its tiles. */
static enum status map_tiles(struct work *w, float *out, const float *in, int64_t n,
                             struct error *err)
{
    const struct network_io *io = &w->codec->net->io;
    const struct tiling *t = &w->plan.tiling;
    int64_t cells = t->down.cells * t->across.cells, pixels = t->height * t->width;
    int64_t channels = code_channels(w->codec, w->recording.code);
    bool decodes = w->recording.half == HALVES_DECODER;
    enum status st = OK;

    for (int64_t i = 0; i < n && !st; i++)
        st = decodes ? tiling_decode(out + i * pixels * io->in_channels, in + i * cells * channels,
                                     t, channels, io->in_channels, map_tile, w, err)
                     : tiling_encode(out + i * cells * channels, in + i * pixels * io->in_channels,
                                     t, io->in_channels, channels, map_tile, w, err);
    return st;
}

/* n pictures one by one, each in strips. */
static enum status map_strips(struct work *w, float *out, const float *in, int64_t n,
                              struct error *err)
{
    const struct codec_plan *p = &w->plan;
    const struct question q = {.half = w->recording.half,
                               .code = w->recording.code,
                               .height = p->tiling.height,
                               .width = p->tiling.width};
    const struct strips_task t = strips_of(w->codec, &q);
    int64_t channels = w->codec->net->io.in_channels;
    int64_t picture = q.height * q.width * channels;
    int64_t latent =
        p->tiling.down.cells * p->tiling.across.cells * code_channels(w->codec, w->recording.code);
    bool decodes = q.half == HALVES_DECODER;
    enum status st = OK;

    for (int64_t i = 0; i < n && !st; i++)
        st = strips_run(&p->strips, &t, out + i * (decodes ? picture : latent),
                        in + i * (decodes ? latent : picture), count_run, w, err);
    return st;
}

static enum status work_on(struct work *w, float *out, const float *in, int64_t n,
                           struct error *err)
{
    const struct codec_plan *p = &w->plan;

    if (p->strips.n)
        return map_strips(w, out, in, n, err);
    w->recording.batch = p->batch;
    w->recording.rows = p->tiling.down.tile;
    w->recording.columns = p->tiling.across.tile;
    return is_whole(&p->tiling) ? map_batches(w, out, in, n, err) : map_tiles(w, out, in, n, err);
}

enum status codec_draw(struct codec *c, uint64_t seed, float *latent, const float *code,
                       int64_t cells, uint64_t index, struct error *err)
{
    int64_t C = c->net->io.latent_channels;
    struct rng r = rng_stream(seed, RNG_LATENT, index);
    struct graph *g = c->graph;
    struct tensor *z;
    float *noise;
    enum status st;

    if ((st = mem_new((void **)&noise, (uint64_t)(cells * C), sizeof *noise, "noise", err)))
        return st;
    rng_normals(&r, noise, cells * C);
    graph_reset(g);
    z = autoencoder_latents(g, c->net, graph_input(g, SHAPE(1, cells, 1, 2 * C), code),
                            graph_input(g, SHAPE(1, cells, 1, C), noise));
    graph_keep(g, z);
    if (!(st = graph_run(g, err)))
        graph_read(g, z, latent);
    free(noise);
    return st;
}

static enum status sample(struct work *w, float *latents, const float *pictures, int64_t n,
                          struct error *err)
{
    const struct tiling *t = &w->plan.tiling;
    int64_t cells = t->down.cells * t->across.cells, C = w->codec->net->io.latent_channels;
    float *code = NULL;
    enum status st;

    if ((st = mem_new((void **)&code, (uint64_t)n, (uint64_t)(cells * 2 * C) * sizeof *code,
                      "means and variances of latents", err)))
        return st;
    st = work_on(w, code, pictures, n, err);
    for (int64_t i = 0; i < n && !st; i++)
        st = codec_draw(w->codec, w->limits->seed, latents + i * cells * C,
                        code + i * cells * 2 * C, cells, w->limits->first + (uint64_t)i, err);
    free(code);
    return st;
}

enum status codec_encode(struct codec *c, float *latents, const float *pictures, int64_t n,
                         int64_t height, int64_t width, const struct codec_limits *l,
                         struct error *err)
{
    struct work w = {.codec = c, .limits = l ? l : &unlimited};
    enum status st;

    w.recording.half = HALVES_ENCODER;
    w.recording.code = wants_code(c, HALVES_ENCODER, w.limits);
    watch(&w);
    if (!(st = make_plan(&w.plan, c, HALVES_ENCODER, w.recording.code, n, height, width, w.limits,
                         err)))
        st = w.recording.code ? sample(&w, latents, pictures, n, err)
                              : work_on(&w, latents, pictures, n, err);
    graph_set_watch(c->graph, NULL, NULL);
    return st;
}

enum status codec_decode(struct codec *c, float *pictures, const float *latents, int64_t n,
                         int64_t height, int64_t width, const struct codec_limits *l,
                         struct error *err)
{
    struct work w = {.codec = c, .limits = l ? l : &unlimited};
    enum status st;

    w.recording.half = HALVES_DECODER;
    watch(&w);
    if (!(st = make_plan(&w.plan, c, HALVES_DECODER, false, n, height, width, w.limits, err)))
        st = work_on(&w, pictures, latents, n, err);
    graph_set_watch(c->graph, NULL, NULL);
    return st;
}
