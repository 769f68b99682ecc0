/*
 * cluster.c - a workload divided among many machines
 *
 * What one pass of a network takes, workload.c has counted on its tape.  Here it is divided, by the
 * four ways in which a transformer can be, all at once (Polyak et al. 2024, "Movie Gen", 3.1.6;
 * movie-gen.md 6):
 *
 *     data d       samples are dealt over d groups                     R = d c t ranks
 *     context c    the tokens of a sample, over c
 *     tensor t     the columns, then the rows, of every pair of matrices, over t; where the
 *                  streams meet again, tokens are dealt over the same t (sequence parallel)
 *     sharding     what d c ranks would hold alike is dealt over them (ZeRO, FSDP)
 *
 * Memory, of S weights in matrices of blocks and V others, e bytes in a value that is computed
 * with, F = d c ranks to share with, B blocks, n samples of N tokens of D numbers in a pass:
 *
 *     w         = S / t + V                                   numbers that a rank answers for
 *     weights   = (e + m) w,    m = 4 where e < 4, else 0     the second is the master copy
 *     gradients = 4 w,   moments = 8 w,   average = 4 w       each over F where it is shared out
 *     gathered  = 2 e b + 4 b + e outside,   b = w's part in a block: that in use, the one that
 *                 comes next, one block's gradients, and what is no block's
 *     values    = A e / 4 / (t c),   A: alive at once on the tape of one rank
 *     exchanged = 2 e n N/c D (1 - 1/t)                       tokens before and behind a branch
 *               + 2 e n N D/t (1 - 1/c)                       keys and values, twice in training
 *
 * Arithmetic is the tape's, over t c.  Messages, bytes that come into a rank:
 *
 *     tensor    e n N/c D (t-1)/t  for each gathering and each scattering sum of tokens: 2 a branch
 *               in the forward, 2 in the backward, and 2 more where the forward is computed again,
 *               or 1 where the tokens alone are gathered again
 *     context   2 e n N D/t (c-1)/c  a self-attention: in the forward, again for the backward, and
 *               back as gradients; exchanged instead, 4 e n N/c D/t (c-1)/c, each way
 *     weights   (F-1)/F of:  8 w a step, a sum of gradients to all; (4 + e) w a step, gradients
 *               there and weights back; or (4 + 2 e) w a pass: weights twice, gradients once
 *
 * A group whose ranks stand in one node sends over its links, any other over the network.  Time is
 * between two bounds: everything hidden behind everything else, but for messages on one link; and
 * nothing hidden.
 *
 * It is a model.  It has no latencies, no stragglers and no congestion; every rank sends at full
 * speed at once.  Texts, short beside clips, are divided as if they were tokens; vectors that all
 * ranks of a group have alike are updated by each.  With one rank it is no model: then values,
 * weights and operations are what the planner of a run has (a test).  What the ranks do adds up to
 * the whole, whatever the division (another).
 */
#include "train/cluster.h"

#include <inttypes.h>
#include <math.h>

enum { GRADIENT = 4, MOMENTS = 8, MASTER = 4, SHARDINGS = 3, ATTENDINGS = 2 };

const char *cluster_sharding_name(int i)
{
    static const char *const names[SHARDINGS] = {"nothing", "optimizer", "all"};

    return i >= 0 && i < SHARDINGS ? names[i] : NULL;
}

const char *cluster_attending_name(int i)
{
    static const char *const names[ATTENDINGS] = {"gather", "exchange"};

    return i >= 0 && i < ATTENDINGS ? names[i] : NULL;
}

/* --- what divides what --------------------------------------------------------------------------
 */

static enum status check_groups(const struct cluster *c, const struct workload *w,
                                struct error *err)
{
    int64_t heads = w->heads / (c->tensor ? c->tensor : 1);

    if (c->ranks < 1 || c->tensor < 1 || c->context < 1 || c->batch < 1 || c->steps < 1)
        return fail(err, E_ARG, "a cluster of no ranks, or a step of no samples");
    if (c->ranks % (c->tensor * c->context))
        return fail(err, E_ARG,
                    "%" PRId64 " ranks are no multiple of groups of %" PRId64 " x %" PRId64,
                    c->ranks, c->tensor, c->context);
    if (!w->split && c->tensor * c->context > 1)
        return fail(err, E_ARG, "only blocks of a transformer can be divided within a sample");
    if (w->heads % c->tensor)
        return fail(err, E_ARG, "%" PRId64 " heads cannot be dealt over %" PRId64 " ranks",
                    w->heads, c->tensor);
    if (w->tokens % c->context)
        return fail(err, E_ARG, "%" PRId64 " tokens cannot be dealt over %" PRId64 " ranks",
                    w->tokens, c->context);
    if (c->attending == ATTEND_EXCHANGE && heads % c->context)
        return fail(err, E_ARG,
                    "%" PRId64 " heads of a rank cannot be exchanged among %" PRId64 " ranks",
                    heads, c->context);
    return OK;
}

static enum status check(const struct cluster *c, const struct workload *w, struct error *err)
{
    int64_t data;
    enum status st = check_groups(c, w, err);

    if (st)
        return st;
    data = c->ranks / (c->tensor * c->context);
    if (c->batch % (data * w->samples))
        return fail(err, E_ARG,
                    "a batch of %" PRId64 " cannot be dealt over %" PRId64 " groups of ranks, "
                    "%" PRId64 " samples at a time",
                    c->batch, data, w->samples);
    if (c->value_bytes != 2 && c->value_bytes != 4)
        return fail(err, E_ARG, "values of %" PRId64 " bytes; 2 and 4 can be planned",
                    c->value_bytes);
    return OK;
}

/* --- memory -------------------------------------------------------------------------------------
 */

/* What all formulas share. */
struct shares {
    double t, c, F;        /* sizes of groups                                              */
    double answers, block; /* numbers that a rank answers for; those of them in one block  */
    double tokens;         /* bytes of the tokens of a pass, whole                         */
    double e;              /* bytes of a value                                             */
    double passes;         /* of all counted steps                                         */
};

static struct shares shares_of(const struct cluster *c, const struct workload *w, int64_t passes)
{
    struct shares s = {.t = (double)c->tensor,
                       .c = (double)c->context,
                       .e = (double)c->value_bytes,
                       .passes = (double)(passes * c->steps)};
    double inside = (double)w->split / s.t + (double)w->whole;

    s.F = (double)c->ranks / s.t;
    s.answers = inside + (double)w->outside;
    s.block = w->blocks ? inside / (double)w->blocks : 0;
    s.tokens = s.e * (double)(w->samples * w->tokens * w->width);
    return s;
}

static void divide_state(struct cluster_plan *p, const struct cluster *c, const struct workload *w,
                         const struct shares *s)
{
    double held = c->sharding == SHARD_ALL ? s->answers / s->F : s->answers;
    double kept = c->sharding == SHARD_NOTHING ? s->answers : s->answers / s->F;

    p->bytes.weights = s->e * held;
    if (c->sharding == SHARD_ALL && s->F > 1)
        p->bytes.gathered =
            s->e * (2 * s->block + (double)w->outside) + (w->trains ? GRADIENT * s->block : 0);
    if (!w->trains)
        return;
    p->bytes.weights += c->value_bytes < MASTER ? MASTER * kept : 0;
    p->bytes.gradients = GRADIENT * held;
    p->bytes.moments = MOMENTS * kept;
    p->bytes.average = c->average ? MASTER * kept : 0;
}

static void divide_values(struct cluster_plan *p, const struct cluster *c, const struct workload *w,
                          const struct shares *s)
{
    double keys = 2 * s->tokens / s->t;

    p->bytes.values = (double)w->values * s->e / sizeof(float) / (s->t * s->c);
    p->bytes.exchanged = 2 * s->tokens / s->c * (1 - 1 / s->t);
    p->bytes.exchanged += c->attending == ATTEND_GATHER
                              ? keys * (1 - 1 / s->c) * (w->trains ? 2 : 1)
                              : 2 * keys / s->c * (1 - 1 / s->c);
}

/* --- messages -----------------------------------------------------------------------------------
 */

static double tensor_moved(const struct workload *w, const struct shares *s)
{
    double times = !w->trains ? 2 : w->repeats ? 6 : 5;

    return times * (double)w->branches * s->tokens / s->c * (s->t - 1) / s->t * s->passes;
}

static double context_moved(const struct cluster *c, const struct workload *w,
                            const struct shares *s)
{
    double each = 2 * s->tokens / s->t * (s->c - 1) / s->c;
    double times = w->trains ? 3 : 1;

    if (c->attending == ATTEND_EXCHANGE) {
        each *= 2 / s->c;
        times = !w->trains ? 1 : w->repeats ? 3 : 2;
    }
    return times * (double)w->selves * each * s->passes;
}

static double weights_moved(const struct cluster *c, const struct workload *w,
                            const struct shares *s)
{
    double part = (s->F - 1) / s->F * s->answers;

    if (!w->trains)
        return c->sharding == SHARD_ALL ? part * s->e * s->passes : 0;
    switch (c->sharding) {
    case SHARD_NOTHING:
        return part * 2 * GRADIENT * (double)c->steps;
    case SHARD_OPTIMIZER:
        return part * (GRADIENT + s->e) * (double)c->steps;
    default:
        return part * (GRADIENT + 2 * s->e) * s->passes;
    }
}

/* Seconds of so many bytes within a group that spans `span` neighbouring ranks, on which link. */
static double *link_of(double links[2], const struct cluster *c, int64_t span)
{
    return &links[span > c->node];
}

static void time_messages(struct cluster_plan *p, const struct cluster *c)
{
    const double speed[2] = {c->node_link, c->network_link};
    double busy[2] = {0};
    const struct {
        double moved, *seconds;
        int64_t span;
    } kind[] = {{p->moved.tensor, &p->seconds.tensor, c->tensor},
                {p->moved.context, &p->seconds.context, c->tensor * c->context},
                {p->moved.weights, &p->seconds.weights, c->ranks}};

    p->seconds.most = p->seconds.arithmetic;
    for (size_t k = 0; k < sizeof kind / sizeof *kind; k++) {
        double *link = link_of(busy, c, kind[k].span);

        *kind[k].seconds = kind[k].moved / speed[link - busy];
        *link += *kind[k].seconds;
        p->seconds.most += *kind[k].seconds;
    }
    p->seconds.least = fmax(p->seconds.arithmetic, fmax(busy[0], busy[1]));
}

enum status cluster_divide(struct cluster_plan *out, const struct cluster *c,
                           const struct workload *w, struct error *err)
{
    struct shares s;
    enum status st;

    *out = (struct cluster_plan){0};
    if ((st = check(c, w, err)))
        return st;
    out->data = c->ranks / (c->tensor * c->context);
    out->passes = c->batch / (out->data * w->samples);
    s = shares_of(c, w, out->passes);
    divide_state(out, c, w, &s);
    divide_values(out, c, w, &s);
    out->bytes.all = out->bytes.weights + out->bytes.gradients + out->bytes.moments +
                     out->bytes.average + out->bytes.gathered + out->bytes.values +
                     out->bytes.exchanged;
    out->fits = out->bytes.all <= c->memory;
    out->flops = (w->pass.linear + w->pass.attention) * s.passes / (s.t * s.c);
    out->moved.tensor = tensor_moved(w, &s);
    out->moved.context = context_moved(c, w, &s);
    out->moved.weights = weights_moved(c, w, &s);
    out->seconds.arithmetic = out->flops / (c->flops * c->share);
    time_messages(out, c);
    return OK;
}
