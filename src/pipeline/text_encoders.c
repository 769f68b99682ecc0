/*
 * text_encoders.c - prompts as a published network is told of them
 *
 * Three encoders read a prompt, each in its own vocabulary, and what they say is laid side by side
 * (model/conditioning.c).  The largest has more weights than the network that draws, and all are
 * done before the first step: so each is mapped, asked about all prompts at once, and given back
 * before the next one is opened.
 *
 *     prompt --parse--> segments --CLIP ids--> [rows, 77]  --CLIP-L--> states, pooled --+
 *                                                          --CLIP-G--> states, pooled --+-->
 * context
 *                                --T5 ids----> [1, tokens] --T5------> states ----------+    pooled
 *
 * The rows that the CLIPs read are as many for every prompt as the longest needs, for all go
 * through the network in one batch; what is added are rows of the empty prompt.  The empty prompt
 * itself is always encoded: it is what guidance starts from (sd3.md 5.3), and what weights are
 * measured from.
 */
#include "pipeline/text_encoders.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/whole.h"
#include "data/listing.h"
#include "io/published.h"
#include "model/clip.h"
#include "model/conditioning.h"
#include "model/t5.h"
#include "text/clip_bpe.h"
#include "text/prompt.h"
#include "text/unigram.h"
#include "text/vocabulary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void text_encoders_release(struct text_encoders *e)
{
    free(e->clip_l);
    free(e->clip_g);
    free(e->t5);
    free(e->merges);
    free(e->spiece);
    free(e->folder);
    *e = (struct text_encoders){0};
}

/* What one encoder says of all prompts, the empty one last. */
struct said {
    int64_t tokens, width, pooled_width;
    float *states; /* [n + 1, tokens, width]       */
    float *pooled; /* [n + 1, pooled_width] or NULL */
};

static void said_release(struct said *s)
{
    free(s->states);
    free(s->pooled);
    *s = (struct said){0};
}

struct encoding {
    const struct text_encoders *e;
    const struct encoding_how *how;
    struct prompts *out;
    struct prompt *prompt; /* [n + 1]                        */
    int64_t n, clip_rows;  /* n: with the empty one          */
    struct said clip_l, clip_g, t5;
    double done, part; /* share of the encoders that were asked; what the present run adds */
};

/* --- what is read -------------------------------------------------------------------------------
 */

static enum status parse_all(struct encoding *c, const char *const *text, struct error *err)
{
    enum status st;

    if ((st = mem_new((void **)&c->prompt, (uint64_t)c->n, sizeof *c->prompt, "prompts", err)))
        return st;
    for (int64_t i = 0; i < c->n; i++) {
        const char *one = i < c->n - 1 ? text[i] : "";

        if ((st = c->how->plain ? prompt_plain(&c->prompt[i], one, strlen(one), err)
                                : prompt_parse(&c->prompt[i], one, strlen(one), err))) {
            fail_under(err, "prompt %" PRId64, i + 1);
            return st;
        }
    }
    return OK;
}

/* Ids and weights of all prompts, one after the other. */
struct reading {
    int32_t *id;
    float *weight;
    int64_t each; /* of a prompt */
};

static void reading_release(struct reading *r)
{
    free(r->id);
    free(r->weight);
}

static enum status reading_new(struct reading *r, int64_t n, int64_t each, struct error *err)
{
    enum status st;

    *r = (struct reading){.each = each};
    if ((st = mem_new((void **)&r->id, (uint64_t)(n * each), sizeof *r->id, "ids", err)))
        return st;
    return mem_new((void **)&r->weight, (uint64_t)(n * each), sizeof *r->weight, "weights", err);
}

static void reading_take(struct reading *r, int64_t i, const struct prompt_rows *rows)
{
    memcpy(r->id + i * r->each, rows->id, (size_t)r->each * sizeof *r->id);
    for (int64_t k = 0; k < r->each; k++)
        r->weight[i * r->each + k] = (float)rows->weight[k];
}

/* How many rows the longest prompt needs. */
static enum status count_rows(struct encoding *c, const struct clip_bpe *bpe, struct error *err)
{
    const struct prompt_clip_how how = {clip_bpe_end(bpe), 1, PROMPT_ROWS_MAX, true};
    enum status st;

    for (int64_t i = 0; i < c->n && !c->how->clip_rows; i++) {
        struct prompt_rows rows = {0};

        if ((st = prompt_clip(&rows, bpe, &c->prompt[i], &how, err)))
            return st;
        if (rows.rows > c->clip_rows)
            c->clip_rows = rows.rows;
        prompt_rows_release(&rows);
    }
    if (c->clip_rows > CLIP_ROWS_MOST)
        return fail(err, E_ARG, "a prompt takes %" PRId64 " rows of %d ids, and %d are the most",
                    c->clip_rows, CLIP_CONTENT, CLIP_ROWS_MOST);
    return OK;
}

static enum status read_clip(struct reading *r, const struct encoding *c,
                             const struct clip_bpe *bpe, int32_t pad, struct error *err)
{
    const struct prompt_clip_how how = {pad, c->clip_rows, c->clip_rows, true};
    enum status st = reading_new(r, c->n, c->clip_rows * CLIP_ROW, err);

    for (int64_t i = 0; i < c->n && !st; i++) {
        struct prompt_rows rows = {0};

        if (!(st = prompt_clip(&rows, bpe, &c->prompt[i], &how, err)))
            reading_take(r, i, &rows);
        prompt_rows_release(&rows);
    }
    return st;
}

static enum status read_t5(struct reading *r, const struct encoding *c, const struct unigram *u,
                           struct error *err)
{
    int64_t L = c->e->t5_tokens;
    enum status st = reading_new(r, c->n, L, err);

    for (int64_t i = 0; i < c->n && !st; i++) {
        struct prompt_rows rows = {0};

        if (!(st = prompt_t5(&rows, u, &c->prompt[i], L, L, err)))
            reading_take(r, i, &rows);
        prompt_rows_release(&rows);
    }
    return st;
}

/* --- who reads ----------------------------------------------------------------------------------
 */

/* The config.json beside weights that lie in a folder of their own; *out NULL: there is none. */
static enum status read_config(json_t **out, const char *path, struct error *err)
{
    char *name = NULL;
    uint8_t *bytes = NULL;
    uint64_t n;
    enum status st;

    *out = NULL;
    if (!path_is_folder(path))
        return OK;
    if ((st = listing_path(&name, path, "config.json", err)))
        return st;
    if (path_is_file(name) && !(st = file_read(&bytes, &n, name, CONFIG_BYTES, err)))
        st = config_parse(out, (const char *)bytes, (size_t)n, CONFIG_BYTES, name, err);
    free(bytes);
    free(name);
    return st;
}

/* An encoder while it is asked. */
struct encoder {
    struct weights *file;
    struct network *net;
    struct graph *graph;
};

static void encoder_close(struct encoder *o)
{
    graph_free(o->graph);
    network_free(o->net);
    weights_close(o->file);
}

enum which { ASK_CLIP_L, ASK_CLIP_G, ASK_T5 };

static enum status encoder_open(struct encoder *o, enum which which, const char *path, int threads,
                                struct error *err)
{
    json_t *config = NULL;
    enum status st;

    *o = (struct encoder){0};
    if ((st = read_config(&config, path, err)) || (st = weights_open(&o->file, path, err)))
        goto out;
    st = which == ASK_T5 ? t5_open_published(&o->net, o->file, config, err)
                         : clip_open_published(&o->net, o->file,
                                               which == ASK_CLIP_L ? CLIP_L : CLIP_G, config, err);
    if (st)
        fail_under(err, "%s", path);
    else
        st = graph_new(&o->graph, GRAPH_FROZEN, threads, err);
out:
    json_decref(config);
    return st;
}

static enum status said_new(struct said *s, int64_t n, int64_t tokens, int64_t width,
                            int64_t pooled_width, struct error *err)
{
    enum status st;

    *s = (struct said){.tokens = tokens, .width = width, .pooled_width = pooled_width};
    if ((st = mem_new((void **)&s->states, (uint64_t)(n * tokens), (uint64_t)width * sizeof(float),
                      "encoded prompts", err)) ||
        !pooled_width)
        return st;
    return mem_new((void **)&s->pooled, (uint64_t)n, (uint64_t)pooled_width * sizeof(float),
                   "encoded prompts", err);
}

/* CLIP reads rows of 77; what it says of the whole is that of a prompt's first row. */
static enum status ask_clip(struct said *s, const struct encoding *c, struct encoder *o,
                            const struct reading *r, struct error *err)
{
    const struct clip_config *config = o->net->config;
    int64_t rows = c->n * c->clip_rows, D = config->width;
    struct clip_states states;
    struct tensor *whole;
    float *pooled = NULL;
    int64_t P;
    enum status st;

    if ((st = network_check_ids(o->net, r->id, rows * CLIP_ROW, CLIP_ROW, err)))
        return st;
    clip_forward(o->graph, o->net, graph_input_i32(o->graph, SHAPE(rows, CLIP_ROW), r->id),
                 &states);
    whole = states.projected ? states.projected : states.pooled;
    P = shape_last(whole->shape);
    graph_keep(o->graph, states.penultimate);
    graph_keep(o->graph, whole);
    if ((st = said_new(s, c->n, c->clip_rows * CLIP_ROW, D, P, err)) ||
        (st = mem_new((void **)&pooled, (uint64_t)(rows * P), sizeof *pooled, "pooled prompts",
                      err)) ||
        (st = graph_run(o->graph, err)))
        goto out;
    graph_read(o->graph, states.penultimate, s->states);
    graph_read(o->graph, whole, pooled);
    for (int64_t i = 0; i < c->n; i++)
        memcpy(s->pooled + i * P, pooled + i * c->clip_rows * P, (size_t)P * sizeof *pooled);
out:
    free(pooled);
    return st;
}

/* A prompt a run: the states of one are large enough. */
static enum status ask_t5(struct said *s, struct encoding *c, struct encoder *o,
                          const struct reading *r, struct error *err)
{
    const struct t5_config *config = o->net->config;
    int64_t L = r->each, D = config->width;
    enum status st;

    if ((st = network_check_ids(o->net, r->id, c->n * L, L, err)) ||
        (st = said_new(s, c->n, L, D, 0, err)))
        return st;
    for (int64_t i = 0; i < c->n; i++) {
        struct tensor *states;

        graph_reset(o->graph);
        states =
            t5_forward(o->graph, o->net, graph_input_i32(o->graph, SHAPE(1, L), r->id + i * L));
        graph_keep(o->graph, states);
        if ((st = graph_run(o->graph, err)))
            return st;
        graph_read(o->graph, states, s->states + i * L * D);
        c->done += c->part;
    }
    return OK;
}

/* The weights of words: every prompt but the empty one. */
static void weigh(struct said *s, const struct encoding *c, const struct reading *r)
{
    int64_t length = s->tokens * s->width, row = c->clip_rows ? s->tokens / c->clip_rows : 0;
    const float *empty = s->states + (c->n - 1) * length;

    for (int64_t i = 0; i < c->n - 1; i++)
        conditioning_weigh(s->states + i * length, s->tokens, s->width, empty,
                           s == &c->t5 ? s->tokens : row, r->weight + i * r->each);
}

static int encoders_asked(const struct text_encoders *e)
{
    return (e->clip_l != NULL) + (e->clip_g != NULL) + (e->t5 && e->t5_tokens);
}

static bool within_run(double done, void *user)
{
    const struct encoding *c = user;

    return c->how->watch(c->done + done * c->part, c->how->user);
}

static enum status ask(struct said *s, struct encoding *c, enum which which, const char *path,
                       const struct reading *r, struct error *err)
{
    double share = 1.0 / encoders_asked(c->e), before = c->done;
    struct encoder o;
    enum status st;

    c->part = which == ASK_T5 ? share / (double)c->n : share;
    if (c->how->watch && !within_run(0, c))
        return fail(err, E_CANCELLED, "stopped before the prompt was encoded");
    if (!(st = encoder_open(&o, which, path, c->how->threads, err))) {
        if (c->how->watch)
            graph_set_watch(o.graph, within_run, c);
        st = which == ASK_T5 ? ask_t5(s, c, &o, r, err) : ask_clip(s, c, &o, r, err);
    }
    encoder_close(&o);
    if (st == E_CANCELLED)
        fail_under(err, "reading the prompt");
    if (!st)
        weigh(s, c, r);
    c->done = before + share;
    return st;
}

static enum status run_clip(struct encoding *c, struct said *s, enum which which, const char *path,
                            const struct clip_bpe *bpe, struct error *err)
{
    struct reading r = {0};
    enum status st;

    if (!path)
        return OK;
    if (!(st = read_clip(&r, c, bpe, which == ASK_CLIP_L ? clip_bpe_end(bpe) : CLIP_G_PAD, err)))
        st = ask(s, c, which, path, &r, err);
    reading_release(&r);
    return st;
}

static enum status run_clips(struct encoding *c, struct error *err)
{
    const struct text_encoders *e = c->e;
    struct clip_bpe *bpe = NULL;
    char *path = NULL;
    enum status st;

    c->clip_rows = c->how->clip_rows ? c->how->clip_rows : 1;
    if (!e->clip_l && !e->clip_g)
        return OK;
    if (!(st = vocabulary_find(&path, VOCABULARY_CLIP, e->merges, e->folder, err)) &&
        !(st = clip_bpe_open(&bpe, path, err)) && !(st = count_rows(c, bpe, err)) &&
        !(st = run_clip(c, &c->clip_l, ASK_CLIP_L, e->clip_l, bpe, err)))
        st = run_clip(c, &c->clip_g, ASK_CLIP_G, e->clip_g, bpe, err);
    clip_bpe_close(bpe);
    free(path);
    return st;
}

static enum status run_t5(struct encoding *c, struct error *err)
{
    const struct text_encoders *e = c->e;
    struct unigram *u = NULL;
    struct reading r = {0};
    char *path = NULL;
    enum status st;

    if (!e->t5 || !e->t5_tokens)
        return OK;
    if (!(st = vocabulary_find(&path, VOCABULARY_T5, e->spiece, e->folder, err)) &&
        !(st = unigram_open(&u, path, err)) && !(st = read_t5(&r, c, u, err)))
        st = ask(&c->t5, c, ASK_T5, e->t5, &r, err);
    unigram_close(u);
    reading_release(&r);
    free(path);
    return st;
}

int64_t text_encoders_tokens(const struct text_encoders *e, int64_t clip_rows)
{
    return clip_rows * CLIP_ROW + e->t5_tokens;
}

/* --- side by side -------------------------------------------------------------------------------
 */

static struct encoded_text part(const struct said *s, int64_t i)
{
    if (!s->states)
        return (struct encoded_text){0};
    return (struct encoded_text){
        .states = s->states + i * s->tokens * s->width,
        .tokens = s->tokens,
        .width = s->width,
        .pooled = s->pooled ? s->pooled + i * s->pooled_width : NULL,
        .pooled_width = s->pooled_width,
    };
}

static enum status join(struct encoding *c, const struct network_io *io, struct error *err)
{
    struct conditioning all = {
        .clip_tokens = c->clip_rows * CLIP_ROW,
        .t5_tokens = c->e->t5_tokens,
        .context_width = io->context_width,
        .pooled_width = io->pooled_width,
    };
    enum status st = prompts_init_encoded(c->out, io, c->n - 1, conditioning_tokens(&all), err);

    for (int64_t i = 0; i < c->n && !st; i++) {
        all.clip_l = part(&c->clip_l, i);
        all.clip_g = part(&c->clip_g, i);
        all.t5 = part(&c->t5, i);
        if (!(st = conditioning_check(&all, err)))
            conditioning_join(&all, c->out->context + i * c->out->tokens * io->context_width,
                              c->out->pooled + i * io->pooled_width);
    }
    return st;
}

enum status prompts_encode(struct prompts *out, const struct text_encoders *e,
                           const struct network_io *io, const char *const *text, int64_t n,
                           const struct encoding_how *how, struct error *err)
{
    struct encoding c = {.e = e, .how = how, .out = out, .n = n + 1};
    enum status st;

    *out = (struct prompts){0};
    if (!e->clip_l && !e->clip_g && !(e->t5 && e->t5_tokens))
        return fail(err, E_ARG,
                    "no text encoder was found: CLIP-L, CLIP-G and T5 each lie in a file of their "
                    "own, beside the model or inside of it, and at least one is needed");
    if (!(st = parse_all(&c, text, err)) && !(st = run_clips(&c, err)) && !(st = run_t5(&c, err)))
        st = join(&c, io, err);
    for (int64_t i = 0; c.prompt && i < c.n; i++)
        prompt_release(&c.prompt[i]);
    free(c.prompt);
    said_release(&c.clip_l);
    said_release(&c.clip_g);
    said_release(&c.t5);
    return st;
}

/* --- told before ---------------------------------------------------------------------------------
 */

int64_t text_encoders_rows(const char *const *text, int64_t n)
{
    enum { LETTERS_AN_ID = 4 };
    const int64_t row = CLIP_CONTENT * LETTERS_AN_ID;
    int64_t rows = 1;

    for (int64_t i = 0; i < n; i++)
        rows = whole_max(rows, whole_parts((int64_t)strlen(text[i]), row));
    return whole_min(rows, CLIP_ROWS_MOST);
}

/* A file of several networks holds an encoder as a part; any other holds it alone. */
static enum status bytes_of_part(int64_t *out, const char *path, const char *part,
                                 struct error *err)
{
    int64_t of_part = 0, all = 0;
    struct weights *f = NULL;
    enum status st = weights_open(&f, path, err);

    for (int64_t i = 0; !st && i < weights_count(f); i++) {
        const struct file_tensor *t = weights_at(f, i);
        const struct published_part *p = published_part_of(t->name);

        all += (int64_t)t->n_bytes;
        of_part += p && !strcmp(p->name, part) ? (int64_t)t->n_bytes : 0;
    }
    weights_close(f);
    *out = of_part ? of_part : all;
    return st;
}

enum status text_encoders_bytes(int64_t *out, const struct text_encoders *e, struct error *err)
{
    const struct {
        const char *path, *part;
    } each[] = {
        {e->clip_l, "clip-l"}, {e->clip_g, "clip-g"}, {e->t5_tokens ? e->t5 : NULL, "t5xxl"}};

    *out = 0;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        int64_t bytes;
        enum status st;

        if (!each[i].path)
            continue;
        if ((st = bytes_of_part(&bytes, each[i].path, each[i].part, err)))
            return st;
        *out = whole_max(*out, bytes);
    }
    return OK;
}
