/*
 * movie.c - the video transformer
 *
 * A video's latents are cut into patches, all of which look at all others, over the whole of space
 * and time: whatever moves is seen whole.  Polyak et al. 2024, "Movie Gen", section 3.1.3;
 * movie-gen.md 3.
 *
 *     c = mlp(time features) (+ pooled text)
 *     e = W silu(c)                                    one modulation for the whole network
 *     x = patches of the video, [N, T H W / p^2, D]
 *     a block, with e' = e + its own table of six rows:
 *         x = x + positions
 *         x = x + gate1 attention( norm(x) (1 + scale1) + shift1 )
 *         x = x + cross-attention( norm(x), text )
 *         x = x + gate2 W3 ( silu(W1 h) W2 h ),        h = norm(x) (1 + scale2) + shift2
 *     out = W ( norm(x) (1 + scale) + shift ),         both from c and a table
 *
 * The blocks are those of language models: root-mean-square norms, gates for activations, no
 * biases.  A modulation of each block's own would be a quarter of all weights (39.95 in place of
 * 29.3 thousand millions at the published size) and is an option.  A position is the sum of a time,
 * a row and a column, each learnt (ops/axes.c), and is told anew to every block, without which
 * motion is distorted.
 *
 * A picture is a video of one frame, and both are learnt together.  Sizes up to the tables' are
 * taken; movie_grow.c makes the tables longer.
 *
 * Texts come encoded, by up to three encoders of different widths, or are read here by a small
 * encoder that is trained with the rest (byte_text.c); each is projected and normed by itself.
 * Encoded ones share one sequence in which narrow features have zeros on their right:
 *
 *     lengths[0] tokens  [ contexts[0] |      0      ]
 *     lengths[1] tokens  [      contexts[1]      | 0 ]      and so on
 *
 * The number of frames a second is a word of the text.  What is known of the video beforehand (a
 * smaller version, its first frame) comes as further channels whose weights begin at zero: patches
 * of noisy and known channels side by side under one projection are two projections, added.
 */
#include "model/movie_parts.h"

#include "model/byte_text.h"

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/axes.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/norm.h"
#include "ops/resample.h"
#include "ops/sequence.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { TIME_FEATURES = 256 };
static const double NORM_EPS = 1e-5, POSITION_STD = 0.02;

/* --- declaration --------------------------------------------------------------------------------
 */

struct block {
    const struct param *norm1, *norm_cross, *norm2;
    const struct param *table; /* [6, D], of a shared modulation ... */
    struct linear ada;         /* ... or one of the block's own      */
    struct linear qkv, proj;
    const struct param *q_norm, *k_norm; /* or NULL */
    struct linear ask, text, cross;      /* cross-attention: q, [k | v], projection */
    struct linear up, down;              /* [gate | value] and back */
};

/* Where a text becomes tokens of our width. */
struct text_embedder {
    struct linear proj;
    struct layer_norm norm;
};

struct movie {
    const struct movie_config *is;
    struct linear patches, condition;
    const struct param *times, *rows, *columns; /* tables of positions */
    struct linear time1, time2, pooled;
    struct linear modulation; /* "t_block", shared */
    struct text_embedder text[MOVIE_TEXTS];
    struct byte_text reader; /* where texts do not come encoded */
    const struct param *final_norm, *final_table;
    struct linear final;
    struct block block[];
};

/* Deviation of the weights, all of one size. */
static double usual_std(const struct movie_config *c)
{
    return c->width >= 512 ? 0.02 : 0.7 / sqrt((double)c->width);
}

static const struct init zero = {.kind = INIT_ZERO};

static struct init usual(const struct movie_config *c)
{
    return (struct init){.kind = INIT_NORMAL, .std = usual_std(c)};
}

static void plain_declare(struct linear *l, struct scope s, int64_t in, int64_t out,
                          struct init init)
{
    l->weight = params_add_matrix(s, "weight", SHAPE(out, in), init);
}

static const struct param *norm_declare(struct scope s, const char *name, int64_t n)
{
    return params_add(s, name, SHAPE(n), (struct init){.kind = INIT_ONE});
}

/* Scales, shifts and gates start small and differ from block to block. */
static const struct param *table_declare(struct scope s, int64_t rows, int64_t D)
{
    return params_add(s, "scale_shift_table", SHAPE(rows, D),
                      (struct init){.kind = INIT_NORMAL, .std = 1 / sqrt((double)D)});
}

static void block_declare(struct block *b, const struct movie_config *c, struct scope s)
{
    struct scope attn = scope_in(s, "attn"), cross = scope_in(s, "cross_attn");
    struct init init = usual(c);
    int64_t D = c->width;

    if (c->shared)
        b->table = table_declare(s, 6, D);
    else
        linear_init(&b->ada, scope_in(s, "adaLN_modulation.1"), D, 6 * D, INIT_ZERO);
    b->norm1 = norm_declare(s, "norm1.weight", D);
    plain_declare(&b->qkv, scope_in(attn, "qkv"), D, 3 * D, init);
    if (c->qk_norm) {
        b->q_norm = norm_declare(attn, "q_norm.weight", D / c->heads);
        b->k_norm = norm_declare(attn, "k_norm.weight", D / c->heads);
    }
    plain_declare(&b->proj, scope_in(attn, "proj"), D, D, init);
    b->norm_cross = norm_declare(s, "norm_cross.weight", D);
    plain_declare(&b->ask, scope_in(cross, "q_linear"), D, D, init);
    plain_declare(&b->text, scope_in(cross, "kv_linear"), D, 2 * D, init);
    plain_declare(&b->cross, scope_in(cross, "proj"), D, D, zero);
    b->norm2 = norm_declare(s, "norm2.weight", D);
    plain_declare(&b->up, scope_in(s, "mlp.w12"), D, 2 * movie_hidden(c), init);
    plain_declare(&b->down, scope_in(s, "mlp.w3"), movie_hidden(c), D, init);
}

static void text_declare(struct text_embedder *t, const struct movie_config *c, struct scope s,
                         int64_t width)
{
    linear_init_normal(&t->proj, scope_in(s, "proj"), width, c->width, usual_std(c));
    layer_norm_init(&t->norm, scope_in(s, "norm"), c->width, NORM_EPS);
}

static void texts_declare(struct movie *m, const struct movie_config *c, struct scope s)
{
    for (int i = 0; i < c->contexts.n; i++)
        text_declare(&m->text[i], c, scope_in(s, "context_embedder.%d", i), c->contexts.at[i]);
    if (!c->text_length)
        return;
    text_declare(&m->text[0], c, scope_in(s, "text_embedder"), c->text_width);
    byte_text_declare(&m->reader,
                      &(struct byte_text_config){c->text_length, c->text_width, c->text_depth,
                                                 c->text_heads, c->text_kernel},
                      scope_in(s, "text_encoder"));
}

static void patches_declare(struct movie *m, const struct movie_config *c, struct scope s)
{
    const struct init place = {.kind = INIT_NORMAL, .std = POSITION_STD};
    struct scope x = scope_in(s, "x_embedder.proj"), at = scope_in(s, "pos_embed");

    m->patches.weight = params_add_patch(x, "weight", c->width, c->channels, c->patch, usual(c));
    m->patches.bias = params_add(x, "bias", SHAPE(c->width), zero);
    if (movie_condition_channels(c))
        m->condition.weight =
            params_add_patch(scope_in(s, "condition_embedder.proj"), "weight", c->width,
                             movie_condition_channels(c), c->patch, zero);
    m->times = params_add(at, "times", SHAPE(movie_table_times(c), c->width), place);
    m->rows = params_add(at, "rows", SHAPE(movie_table_side(c), c->width), place);
    m->columns = params_add(at, "columns", SHAPE(movie_table_side(c), c->width), place);
}

static void *movie_declare(const void *config, struct scope s)
{
    const struct movie_config *c = config;
    struct movie *m = calloc(1, sizeof *m + (size_t)c->depth * sizeof m->block[0]);
    struct scope last = scope_in(s, "final_layer");
    int64_t D = c->width;

    if (!m)
        return NULL;
    m->is = c;
    patches_declare(m, c, s);
    linear_init_normal(&m->time1, scope_in(s, "t_embedder.mlp.0"), TIME_FEATURES, D, usual_std(c));
    linear_init_normal(&m->time2, scope_in(s, "t_embedder.mlp.2"), D, D, usual_std(c));
    if (c->pooled_width)
        linear_init(&m->pooled, scope_in(s, "y_embedder"), c->pooled_width, D, INIT_ZERO);
    if (c->shared)
        linear_init(&m->modulation, scope_in(s, "t_block.1"), D, 6 * D, INIT_ZERO);
    texts_declare(m, c, s);
    for (int64_t i = 0; i < c->depth; i++)
        block_declare(&m->block[i], c, scope_in(s, "blocks.%d", (int)i));
    m->final_norm = norm_declare(last, "norm_final.weight", D);
    m->final_table = table_declare(last, 2, D);
    linear_init(&m->final, scope_in(last, "linear"), D, c->patch * c->patch * c->channels,
                INIT_ZERO);
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* Frames cut into patches: [N, T, H, W, C] -> [N, T H W / p^2, D]. */
static struct tensor *cut(struct graph *g, const struct linear *patches, struct tensor *x,
                          int64_t p)
{
    struct shape s = x->shape;
    struct tensor *h = op_reshape(g, x, SHAPE(s.dim[0] * s.dim[1], s.dim[2], s.dim[3], s.dim[4]));

    h = op_patchify(g, h, p);
    h = op_reshape(g, h, SHAPE(s.dim[0], s.dim[1] * h->shape.dim[1], p * p * s.dim[4]));
    return nn_linear(g, patches, h);
}

/* And put together again, as frames of shape s but for the channels. */
static struct tensor *unite(struct graph *g, struct tensor *x, struct shape s, int64_t p)
{
    int64_t frames = s.dim[0] * s.dim[1], features = shape_last(x->shape);

    x = op_reshape(g, x, SHAPE(frames, s.dim[2] / p * (s.dim[3] / p), features));
    x = op_unpatchify(g, x, s.dim[2], s.dim[3], p);
    return op_reshape(g, x, SHAPE(s.dim[0], s.dim[1], s.dim[2], s.dim[3], features / (p * p)));
}

static struct tensor *tokens(struct graph *g, const struct network *net,
                             const struct network_input *in)
{
    const struct movie *m = net->layers;
    struct tensor *x = cut(g, &m->patches, in->x, m->is->patch);

    MUST(!in->condition == !movie_condition_channels(m->is),
         "a condition is given to a network that reads one, and to no other");
    if (in->condition)
        x = op_add(g, x, cut(g, &m->condition, in->condition, m->is->patch));
    network_show(net, x, "x_embedder");
    return x;
}

static struct tensor *positions(struct graph *g, const struct movie *m, struct shape s)
{
    int64_t p = m->is->patch;

    return op_axes(g, nn_param(g, m->times), nn_param(g, m->rows), nn_param(g, m->columns),
                   (struct cells){s.dim[1], s.dim[2] / p, s.dim[3] / p});
}

/* c [N, D]. */
static struct tensor *condition(struct graph *g, const struct network *net,
                                const struct network_input *in)
{
    const struct movie *m = net->layers;
    struct tensor *c = op_time_features(g, in->t, TIME_FEATURES);

    c = nn_linear(g, &m->time2, nn_linear_act(g, &m->time1, c, ACT_SILU));
    if (m->is->pooled_width) {
        MUST(in->pooled, "a network that reads a pooled text needs one");
        c = op_add(g, c, nn_linear(g, &m->pooled, in->pooled));
    }
    network_show(net, c, "c");
    return c;
}

static struct tensor *embed_text(struct graph *g, const struct text_embedder *t, struct tensor *x)
{
    return nn_layer_norm(g, &t->norm, nn_linear(g, &t->proj, x));
}

/* All encoded texts of a sequence, each from its own rows and columns of it. */
static struct tensor *embed_texts(struct graph *g, const struct movie *m, struct tensor *x)
{
    const struct movie_config *c = m->is;
    struct tensor *all = NULL;
    int64_t first = 0;

    if (c->contexts.n == 1)
        return embed_text(g, &m->text[0], x);
    for (int i = 0; i < c->contexts.n; first += c->lengths.at[i], i++) {
        struct tensor *one = op_tokens_cut(g, x, first, c->lengths.at[i]);

        one = embed_text(g, &m->text[i], op_slice(g, one, 0, c->contexts.at[i]));
        all = all ? op_tokens_join(g, all, one) : one;
    }
    MUST(first == x->shape.dim[1], "encoded texts of %" PRId64 " tokens in a sequence of %" PRId64,
         first, x->shape.dim[1]);
    return all;
}

/* The text's tokens [N, L, D]; in->context_mask becomes theirs. */
static struct tensor *read_text(struct graph *g, const struct network *net,
                                struct network_input *in)
{
    const struct movie *m = net->layers;
    struct tensor *whole;

    if (!m->is->text_length) {
        MUST(in->context, "a network conditioned by a text needs one");
        return embed_texts(g, m, in->context);
    }
    MUST(in->text, "a network that reads a text needs one");
    in->context_mask = in->text; /* 0 where a text has ended */
    return embed_text(g, &m->text[0], byte_text_forward(g, &m->reader, in->text, &whole));
}

/* Six parts [N, D]: of the shared modulation e [N, 6 D] and the block's table, or of its own from c
 * after SiLU. */
static void modulation(struct graph *g, const struct block *b, struct tensor *e, struct tensor *c,
                       struct tensor *part[6])
{
    if (b->table)
        e = op_add_vec(g, e, op_reshape(g, nn_param(g, b->table), SHAPE(shape_last(e->shape))));
    else
        e = nn_linear(g, &b->ada, c);
    op_chunk(g, e, 6, part);
}

static struct tensor *norm(struct graph *g, const struct param *weight, struct tensor *x)
{
    return op_rmsnorm(g, x, nn_param(g, weight), NORM_EPS);
}

static struct tensor *attend(struct graph *g, const struct movie *m, const struct network_input *in,
                             int i, struct tensor *h)
{
    const struct block *b = &m->block[i];
    struct tensor *qkv = nn_linear(g, &b->qkv, h);

    if (b->q_norm)
        qkv = op_qk_norm(g, qkv, m->is->heads, nn_param(g, b->q_norm), nn_param(g, b->k_norm),
                         NORM_EPS);
    return nn_linear(g, &b->proj, network_attention(g, in, i, qkv, m->is->heads, QKV_SPLIT));
}

/* h [N, T, D] asks the text [N, L, D]. */
static struct tensor *ask(struct graph *g, const struct movie *m, const struct network_input *in,
                          const struct block *b, struct tensor *h, struct tensor *text)
{
    h = op_attention_cross(g, nn_linear(g, &b->ask, h), nn_linear(g, &b->text, text),
                           in->context_mask, m->is->heads);
    return nn_linear(g, &b->cross, h);
}

/* What all blocks look at. */
struct common {
    struct tensor *e, *c, *text, *places; /* e: NULL where each has its own */
};

static struct tensor *block_forward(struct graph *g, const struct network *net,
                                    const struct network_input *in, int i, struct tensor *x,
                                    const struct common *with)
{
    enum { SHIFT1, SCALE1, GATE1, SHIFT2, SCALE2, GATE2, PARTS };
    const struct movie *m = net->layers;
    const struct block *b = &m->block[i];
    struct tensor *part[PARTS], *h;

    modulation(g, b, with->e, with->c, part);
    if (m->is->everywhere || i == 0)
        x = op_add_vec(g, x, with->places);
    h = op_modulate(g, norm(g, b->norm1, x), part[SHIFT1], part[SCALE1]);
    h = attend(g, m, in, i, h);
    network_show(net, h, "blocks.%d.attn", i);
    x = op_gated_add(g, x, part[GATE1], h);
    h = ask(g, m, in, b, norm(g, b->norm_cross, x), with->text);
    network_show(net, h, "blocks.%d.cross_attn", i);
    x = op_add(g, x, h);
    h = op_modulate(g, norm(g, b->norm2, x), part[SHIFT2], part[SCALE2]);
    h = nn_linear(g, &b->down, op_swiglu(g, nn_linear(g, &b->up, h)));
    network_show(net, h, "blocks.%d.mlp", i);
    return op_gated_add(g, x, part[GATE2], h);
}

static struct tensor *final_forward(struct graph *g, const struct movie *m, struct tensor *x,
                                    struct tensor *c)
{
    struct tensor *table = op_reshape(g, nn_param(g, m->final_table), SHAPE(2 * m->is->width));
    struct tensor *part[2];

    op_chunk(g, op_add_vec(g, op_concat(g, c, c), table), 2, part);
    return nn_linear(g, &m->final, op_modulate(g, norm(g, m->final_norm, x), part[0], part[1]));
}

static struct tensor *movie_forward(struct graph *g, const struct network *net,
                                    struct network_input in)
{
    const struct movie *m = net->layers;
    struct tensor *c, *x, *silu;
    struct common with = {0};
    char s[SHAPE_TEXT];

    MUST(in.x->shape.rank == 5 && shape_last(in.x->shape) == m->is->channels,
         "%s are no videos of %" PRId64 " channels", shape_text(s, in.x->shape), m->is->channels);
    x = tokens(g, net, &in);
    c = condition(g, net, &in);
    silu = op_silu(g, c);
    with.c = silu;
    if (m->is->shared)
        with.e = nn_linear(g, &m->modulation, silu);
    with.text = read_text(g, net, &in);
    with.places = positions(g, m, in.x->shape);
    for (int i = 0; i < m->is->depth; i++) {
        struct segment segment;

        if (in.skip && in.skip[i])
            continue;
        segment = segment_open(g);
        x = block_forward(g, net, &in, i, x, &with);
        segment_close(g, segment);
        network_show(net, x, "blocks.%d", i);
    }
    x = final_forward(g, m, x, c);
    network_show(net, x, "final_layer");
    return unite(g, x, in.x->shape, m->is->patch);
}

const struct network_kind network_movie = {
    .name = "movie",
    .summary = "video transformer with cross-attention to a text",
    .paper = "Polyak et al. 2024",
    .options = movie_options,
    .config_bytes = sizeof(struct movie_config),
    .check = movie_check,
    .declare = movie_declare,
    .io = movie_io,
    .forward = movie_forward,
    .grow = movie_grow,
};
