/*
 * codec.c - pictures to latents and back, of any size, within a limit of memory
 *
 * What is done follows the plan (codec_plan.c): pictures whole and several at a time, or one by one
 * in strips or tiles.  Each of them is so many runs of one half (codec_half.c), and each run is
 * told to who waits for it, who may stop it there.
 *
 * An autoencoder is asked the same whether its file or the caller owns the network; its hash names
 * it, so that a cache of latents can tell whose they are.
 */
#include "pipeline/codec.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/whole.h"
#include "pipeline/codec_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

/* --- the plan -----------------------------------------------------------------------------------
 */

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
    return codec_plan_for(out, c, half, wants_code(c, half, l), n, height, width, l, err);
}

/* --- the work -----------------------------------------------------------------------------------
 */

struct work {
    struct codec *codec;
    const struct codec_limits *limits;
    struct codec_plan plan;
    struct codec_half half;
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

    w->half.rows = rows;
    w->half.columns = columns;
    if ((st = codec_half_run(w->codec, &w->half, out, in, err)))
        return st;
    return tell(w, err);
}

/* The last batch is filled up with pictures that were done before: whatever stands beside a
 * picture, its bits are the same, and another size of batch would be another plan. */
static enum status map_batches(struct work *w, float *out, const float *in, int64_t n,
                               struct error *err)
{
    const struct codec_half *h = &w->half;
    int64_t from = codec_half_in(w->codec, h), to = codec_half_out(w->codec, h);
    enum status st;

    for (int64_t first = 0; first < n; first += h->batch) {
        int64_t at = whole_min(first, n - h->batch);

        if ((st = codec_half_run(w->codec, h, out + at * to, in + at * from, err)) ||
            (st = tell(w, err)))
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
    int64_t channels = codec_code_channels(w->codec, w->half.code);
    bool decodes = w->half.half == HALVES_DECODER;
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
    const struct codec_question q = {.half = w->half.half,
                                     .code = w->half.code,
                                     .height = p->tiling.height,
                                     .width = p->tiling.width};
    const struct strips_task t = codec_strips(w->codec, &q);
    int64_t channels = w->codec->net->io.in_channels;
    int64_t picture = q.height * q.width * channels;
    int64_t latent =
        p->tiling.down.cells * p->tiling.across.cells * codec_code_channels(w->codec, w->half.code);
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
    w->half.batch = p->batch;
    w->half.rows = p->tiling.down.tile;
    w->half.columns = p->tiling.across.tile;
    return codec_plan_is_whole(&p->tiling) ? map_batches(w, out, in, n, err)
                                           : map_tiles(w, out, in, n, err);
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

    w.half.half = HALVES_ENCODER;
    w.half.code = wants_code(c, HALVES_ENCODER, w.limits);
    watch(&w);
    if (!(st = codec_plan_for(&w.plan, c, HALVES_ENCODER, w.half.code, n, height, width, w.limits,
                              err)))
        st = w.half.code ? sample(&w, latents, pictures, n, err)
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

    w.half.half = HALVES_DECODER;
    watch(&w);
    if (!(st = codec_plan_for(&w.plan, c, HALVES_DECODER, false, n, height, width, w.limits, err)))
        st = work_on(&w, pictures, latents, n, err);
    graph_set_watch(c->graph, NULL, NULL);
    return st;
}
