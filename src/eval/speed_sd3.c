/*
 * speed_sd3.c - Stable Diffusion 3 medium at full size, without its file
 *
 * What a person waits for is the transformer's step: 2.1 billion weights, both branches of guidance
 * in one batch, 1,024 tokens of a picture of 512 x 512 and 154 of the text (77 of each CLIP's rows
 * and as many of T5, as the published pipelines had it at first; sd3.md 1): 3.6 Tflop.  The text
 * encoders are asked once a prompt; the decoder, once a picture, is with its kind in
 * speed_autoencoder.c.
 *
 * How long a step takes depends on where weights come from.  Published files hold float16, which is
 * widened or rounded to bytes on the way into the product at every step; so matrices here are lent
 * to the network as a mapped file lends them, 4.2 GB that no cache holds, each number in a place of
 * its own.  Only the file is left out: nothing waits for a disk, as in every step but the first.
 *
 * Numbers are random, of a size that layers keep: no kernel's time depends on values, but
 * infinities would not be what is computed.
 */
#include "eval/speed_case.h"

#include "base/memory.h"
#include "base/rng.h"
#include "io/encode.h"
#include "model/clip.h"
#include "model/mmdit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN = 1 << 20, MEDIUM_CHANNELS = 16, MEDIUM_CONTEXT = 4096, MEDIUM_POOLED = 2048 };
enum { BRANCHES = 2, FACTOR = 8, TEXT_TOKENS = 154, CLIP_IDS = 77, CLIP_TEXT_END = 49407 };

/* --- weights as a file holds them ---------------------------------------------------------------
 */

/* One network on weights in memory. */
struct stored {
    struct network *net;
    struct file_tensor *tensor; /* of its matrices */
    uint8_t *bytes;
};

static void stored_release(struct stored *s)
{
    network_free(s->net);
    free(s->tensor);
    free(s->bytes);
}

/* Random numbers repeated, as float16: drawing all would take a minute. */
static enum status fill_f16(uint8_t *out, uint64_t n, struct error *err)
{
    struct rng r = rng_stream(1, RNG_TEST, 0);
    float *x = NULL;
    uint64_t first = n < PATTERN ? n : PATTERN;
    enum status st;

    if ((st = mem_new((void **)&x, first, sizeof *x, "random weights", err)))
        return st;
    rng_normals(&r, x, (int64_t)first);
    for (uint64_t i = 0; i < first; i++)
        x[i] *= 0.02f;
    st = encode_floats(out, FILE_F16, x, (int64_t)first, "random weights", 0, err);
    free(x);
    for (uint64_t at = first; at < n && !st; at += first)
        memcpy(out + 2 * at, out, 2 * (n - at < first ? n - at : first));
    return st;
}

/* Lend every matrix of the network its part of s->bytes. */
static enum status lend_matrices(struct stored *s, struct error *err)
{
    struct params *p = s->net->params;
    int64_t count = params_count(p), available = mem_available();
    uint64_t n = 0, at = 0;
    enum status st;

    for (int64_t i = 0; i < count; i++)
        n += params_at(p, i)->matrix ? (uint64_t)shape_count(params_at(p, i)->shape) : 0;
    if (available && (uint64_t)available < 2 * n)
        return fail(err, E_MEMORY,
                    "random weights take %" PRIu64 " bytes, and %" PRId64 " are free", 2 * n,
                    available);
    if ((st = mem_new((void **)&s->tensor, (uint64_t)count, sizeof *s->tensor, "tensors", err)) ||
        (st = mem_new((void **)&s->bytes, n, 2, "random weights", err)) ||
        (st = fill_f16(s->bytes, n, err)))
        return st;
    for (int64_t i = 0; i < count; i++) {
        struct param *q = params_at(p, i);
        struct file_tensor *t = &s->tensor[i];

        if (!q->matrix)
            continue;
        *t = (struct file_tensor){.name = q->name, .dtype = FILE_F16, .bytes = s->bytes + 2 * at};
        t->n_bytes = 2 * (uint64_t)shape_count(q->shape);
        MUST(param_lend(q, &(struct param_rows){t, 0}, 1), "%s stays in no file", q->name);
        at += (uint64_t)shape_count(q->shape);
    }
    return OK;
}

static enum status stored_open(struct stored *s, const struct network_kind *kind, json_t *config,
                               struct error *err)
{
    enum status st;

    if (!config)
        return fail(err, E_MEMORY, "no memory for a configuration");
    if (!(st = network_declare_json(&s->net, kind, config, err)) &&
        !(st = params_lay_out(s->net->params, err)) && !(st = lend_matrices(s, err)) &&
        !(st = params_alloc_rest(s->net->params, err)))
        params_init(s->net->params, 1);
    json_decref(config);
    return st;
}

/* --- the transformer ----------------------------------------------------------------------------
 */

struct step {
    struct stored stored;
    float *x, *t, *context, *pooled; /* the job's blocks */
};

static void close_step(void *own)
{
    struct step *s = own;

    if (!s)
        return;
    stored_release(&s->stored);
    free(s);
}

static json_t *medium(void)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "size", 128, "channels",
                     MEDIUM_CHANNELS, "context_width", MEDIUM_CONTEXT, "pooled_width",
                     MEDIUM_POOLED, "patch", 2, "width", 1536, "depth", 24, "heads", 24,
                     "positions", 192, "qk_norm", 0);
}

/* n: side of the picture, enum precision. */
static enum status open_step(struct speed_job *j, struct error *err)
{
    int64_t side = j->is->n[0] / FACTOR;
    struct step *s;
    enum status st;

    if ((st = mem_new(&j->own, 1, sizeof *s, "a step", err)))
        return st;
    s = j->own;
    if ((st = stored_open(&s->stored, &network_mmdit, medium(), err)) ||
        (st = network_resize(s->stored.net, side, side, err)) ||
        (st = speed_graph(j, GRAPH_FROZEN, err)))
        return st;
    graph_set_precision(j->graph, (enum precision)j->is->n[1]);
    j->weights = params_weights(s->stored.net->params);
    s->x = speed_values(j, BRANCHES * side * side * MEDIUM_CHANNELS);
    s->t = speed_values(j, BRANCHES);
    s->context = speed_values(j, BRANCHES * TEXT_TOKENS * MEDIUM_CONTEXT);
    s->pooled = speed_values(j, BRANCHES * MEDIUM_POOLED);
    if (j->failed && err)
        *err = j->failure;
    return j->failed;
}

static enum status run_step(struct speed_job *j, struct error *err)
{
    const struct step *s = j->own;
    const struct network_io *io = &s->stored.net->io;
    struct graph *g = j->graph;
    struct network_input in = {0};

    graph_reset(g);
    in.x = graph_input(g, SHAPE(BRANCHES, io->height, io->width, io->in_channels), s->x);
    in.t = graph_input(g, SHAPE(BRANCHES), s->t);
    in.context = graph_input(g, SHAPE(BRANCHES, TEXT_TOKENS, MEDIUM_CONTEXT), s->context);
    in.pooled = graph_input(g, SHAPE(BRANCHES, MEDIUM_POOLED), s->pooled);
    graph_keep(g, network_forward(g, s->stored.net, in));
    return graph_run(g, err);
}

static const struct speed_case step_cases[] = {
    {"sd3 medium step, 512 x 512, guided, float16 in float32",
     NULL,
     {512, PRECISION_FLOAT32},
     NULL},
    {"sd3 medium step, 512 x 512, guided, float16 in int8", NULL, {512, PRECISION_INT8}, NULL},
    {0},
};

static const struct speed_case large_cases[] = {
    {"sd3 1024 x 1024, medium step, guided, float16 in float32",
     NULL,
     {1024, PRECISION_FLOAT32},
     NULL},
    {"sd3 1024 x 1024, medium step, guided, float16 in int8", NULL, {1024, PRECISION_INT8}, NULL},
    {0},
};

const struct speed_family family_sd3 = {
    .name = "sd3 step",
    .whole = "",
    .key = "sd3",
    .against_first = true,
    .open = open_step,
    .run = run_step,
    .close = close_step,
    .cases = step_cases,
};

const struct speed_family family_sd3_large = {
    .name = "sd3 1024 x 1024",
    .whole = "",
    .key = "sd3 1024",
    .against_first = true,
    .open = open_step,
    .run = run_step,
    .close = close_step,
    .cases = large_cases,
};

/* --- the text encoders --------------------------------------------------------------------------
 */

enum { CLIPS = 2 };

struct reading {
    struct stored clip[CLIPS];
    int32_t *ids;
};

static void close_reading(void *own)
{
    struct reading *r = own;

    if (!r)
        return;
    for (int k = 0; k < CLIPS; k++)
        stored_release(&r->clip[k]);
    free(r->ids);
    free(r);
}

/* L, and then bigG with its projection. */
static json_t *clip_of(int k)
{
    if (!k)
        return json_pack("{s:s}", "activation", "quick_gelu");
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:s}", "width", 1280, "depth", 32, "heads", 20,
                     "hidden", 5120, "projection", 1280, "activation", "gelu");
}

/* n: rows of ids. */
static enum status open_reading(struct speed_job *j, struct error *err)
{
    int64_t n = j->is->n[0] * CLIP_IDS;
    struct reading *r;
    enum status st;

    if ((st = mem_new(&j->own, 1, sizeof *r, "text encoders", err)))
        return st;
    r = j->own;
    if ((st = mem_new((void **)&r->ids, (uint64_t)n, sizeof *r->ids, "ids", err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        r->ids[i] =
            i % CLIP_IDS < CLIP_IDS - 1 ? (int32_t)(i * 7919 % CLIP_TEXT_END) : CLIP_TEXT_END;
    for (int k = 0; k < CLIPS; k++) {
        if ((st = stored_open(&r->clip[k], &network_clip, clip_of(k), err)))
            return st;
        j->weights += params_weights(r->clip[k].net->params);
    }
    return speed_graph(j, GRAPH_FROZEN, err);
}

/* As of a prompt: the states of all tokens, and what stands for the whole. */
static enum status run_reading(struct speed_job *j, struct error *err)
{
    const struct reading *r = j->own;
    struct graph *g = j->graph;

    graph_reset(g);
    for (int k = 0; k < CLIPS; k++) {
        struct tensor *ids = graph_input_i32(g, SHAPE(j->is->n[0], CLIP_IDS), r->ids);
        struct clip_states states;

        clip_forward(g, r->clip[k].net, ids, &states);
        graph_keep(g, states.penultimate);
        graph_keep(g, states.projected ? states.projected : states.pooled);
    }
    return graph_run(g, err);
}

static const struct speed_case text_cases[] = {
    {"sd3 text, CLIP-L and CLIP-G, a prompt of 77 ids", NULL, {1}, NULL},
    {"sd3 text, CLIP-L and CLIP-G, a prompt and the empty one", NULL, {2}, NULL},
    {0},
};

const struct speed_family family_sd3_text = {
    .name = "sd3 text",
    .whole = "",
    .key = "sd3",
    .open = open_reading,
    .run = run_reading,
    .close = close_reading,
    .cases = text_cases,
};
