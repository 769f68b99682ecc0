/*
 * adapter.c - small matrices that change what a network does
 *
 * Which layers there are to change, the network's parameters say: every matrix that nn_linear alone
 * reads.  What they are called is another matter.  Files of adapters are written for the layout
 * with a tensor each for q, k and v, so one matrix of ours is up to three layers there, and in two
 * places its rows stand the other way round; other files use our names, for all rows at once.  A
 * place is one such name with the rows that it means, and everything else (choosing targets,
 * finding tensors, writing them) goes by places.
 *
 *     our matrix         joint_blocks.0.x_block.attn.qkv    [3 D, D]
 *     is the places      joint_blocks.0.x_block.attn.qkv    rows 0 .. 3 D
 *                        transformer_blocks.0.attn.to_q     rows 0 .. D
 *                        transformer_blocks.0.attn.to_k     rows D .. 2 D
 *                        transformer_blocks.0.attn.to_v     rows 2 D .. 3 D
 *
 * The adapter's A and B are parameters like any others, in a list of their own, so that optimizer,
 * averages and checkpoints see them and not the network.
 */
#include "model/adapter.h"

#include "base/memory.h"
#include "base/text.h"
#include "model/adapter_parts.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- places -------------------------------------------------------------------------------------
 */

static const char leaf[] = ".weight";

/* The name without the leaf; false where it has none. */
static bool layer_name(char out[PARAM_NAME], const char *name)
{
    size_t n = strlen(name), end = strlen(leaf);

    if (n <= end || n - end >= PARAM_NAME || strcmp(name + n - end, leaf) != 0)
        return false;
    memcpy(out, name, n - end);
    out[n - end] = 0;
    return true;
}

static enum status add_place(struct places *p, const struct place *one, struct error *err)
{
    enum status st = mem_grow((void **)&p->at, &p->room, p->n + 1, sizeof *p->at, err);

    if (!st)
        p->at[p->n++] = *one;
    return st;
}

/* The pieces that another layout makes of q.  Those of one tensor are one place. */
static enum status add_theirs(struct places *p, struct param *q, const struct param_piece *piece,
                              int n, struct error *err)
{
    int64_t first = p->n;
    enum status st;

    for (int k = 0; k < n; k++) {
        struct place one = {.of = q, .theirs = true, .rows = q->shape.dim[0] / n};
        int64_t at = first;

        if (!layer_name(one.name, piece[k].name))
            continue;
        while (at < p->n && strcmp(p->at[at].name, one.name) != 0)
            at++;
        if (at == p->n && (st = add_place(p, &one, err)))
            return st;
        if (p->at[at].runs < PLACE_RUNS) {
            struct place *to = &p->at[at];

            to->row[to->runs] = k * one.rows;
            to->part[to->runs++] = piece[k].part;
        }
    }
    return OK;
}

enum status places_list(struct places *p, const struct network *net, struct error *err)
{
    enum status st;

    *p = (struct places){0};
    for (int64_t i = 0; i < params_count(net->params); i++) {
        struct param *q = params_at(net->params, i);
        struct param_piece piece[PARAM_PIECES] = {0};
        struct place own = {.of = q, .runs = 1, .rows = q->shape.dim[0]};
        int n;

        if (!q->linear || !param_keeps_order(q) || !layer_name(own.name, q->name))
            continue;
        if ((st = add_place(p, &own, err)))
            return st;
        n = net->kind->pieces ? net->kind->pieces(piece, q->name, net->config) : 0;
        if ((st = add_theirs(p, q, piece, n, err)))
            return st;
    }
    return OK;
}

void places_release(struct places *p)
{
    free(p->at);
    *p = (struct places){0};
}

/* --- parameters ---------------------------------------------------------------------------------
 */

/* A and B of the modules [first, end), all of one matrix. */
static void declare(struct adapter *a, int64_t first, int64_t end, struct low_rank *l)
{
    struct param *q = a->module[first].place.of, *down;
    char name[32], own[PARAM_NAME];
    int64_t ranks = 0;
    struct scope s;

    for (int64_t i = first; i < end; i++)
        ranks += a->module[i].rank;
    layer_name(own, q->name);
    s = scope_in(scope_root(a->params), "%s", own);
    down = params_add(s, "lora_A", SHAPE(ranks, shape_last(q->shape)),
                      (struct init){.kind = INIT_KAIMING});
    *l = (struct low_rank){.down = down, .scale = a->scale};
    ranks = 0;
    for (int64_t i = first; i < end; i++) {
        struct adapter_module *m = &a->module[i];

        m->down = down;
        m->column = ranks;
        ranks += m->rank;
        for (int k = 0; k < m->place.runs; k++) {
            snprintf(name, sizeof name, "lora_B.%d", l->parts);
            m->up[k] = params_add(s, name, SHAPE(m->place.rows, m->rank),
                                  (struct init){.kind = INIT_ZERO});
            l->part[l->parts++] = (struct low_rank_part){m->up[k], m->place.row[k], m->column};
        }
    }
}

/* The first module behind those of the matrix of number `first`. */
static int64_t end_of_matrix(const struct adapter *a, int64_t first)
{
    int64_t end = first + 1;

    while (end < a->n_modules && a->module[end].place.of == a->module[first].place.of)
        end++;
    return end;
}

enum status adapter_build(struct adapter *a, bool gradients, struct error *err)
{
    int64_t n = 0;
    enum status st;

    if ((st = params_new(&a->params, err)) ||
        (st = mem_new((void **)&a->low_rank, (uint64_t)a->n_modules, sizeof *a->low_rank,
                      "an adapter", err)) ||
        (st = mem_new((void **)&a->changed, (uint64_t)a->n_modules, sizeof *a->changed,
                      "an adapter", err)))
        return st;
    for (int64_t i = 0, end; i < a->n_modules; i = end, n++) {
        end = end_of_matrix(a, i);
        declare(a, i, end, &a->low_rank[n]);
        a->changed[n] = a->module[i].place.of;
    }
    if ((st = params_alloc(a->params, gradients, err)))
        return st;
    for (; a->n_low_rank < n; a->n_low_rank++)
        low_rank_attach(a->changed[a->n_low_rank], &a->low_rank[a->n_low_rank]);
    return OK;
}

void adapter_free(struct adapter *a)
{
    if (!a)
        return;
    for (int64_t i = 0; i < a->n_low_rank; i++)
        low_rank_detach(a->changed[i], &a->low_rank[i]);
    params_free(a->params);
    free(a->module);
    free(a->low_rank);
    free(a->changed);
    free(a);
}

struct params *adapter_params(const struct adapter *a)
{
    return a->params;
}

int64_t adapter_layers(const struct adapter *a)
{
    return a->n_modules;
}

/* --- which layers -------------------------------------------------------------------------------
 */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && !strcmp(name + n - m, end) && (n == m || name[n - m - 1] == '.');
}

/* Those of blocks, and not "t_embedder.mlp.0". */
static bool is_feed_forward(const char *own)
{
    const char *mlp = strstr(own, ".mlp.");

    return strstr(own, ".ff.") || (mlp && !strchr("0123456789", mlp[5]));
}

/* Whether a word of the targets means the place, whose matrix is called `own`. */
static bool meant(const struct place *p, const char *own, const char *word)
{
    if (!strcmp(word, "all"))
        return true;
    if (!strcmp(word, "attention"))
        return strstr(own, "attn") || strstr(own, "qkv");
    if (!strcmp(word, "mlp"))
        return is_feed_forward(own);
    return ends_with(p->name, word) || ends_with(own, word) || !fnmatch(word, p->name, 0) ||
           !fnmatch(word, own, 0);
}

/* Of a matrix that another layout names, its places there are the ones that are changed. */
static bool is_used(const struct places *all, int64_t i)
{
    return all->at[i].theirs || i + 1 == all->n || all->at[i + 1].of != all->at[i].of ||
           !all->at[i + 1].theirs;
}

static enum status choose(bool *chosen, const struct places *all, const char *word,
                          struct error *err)
{
    int64_t n = 0;

    for (int64_t i = 0; i < all->n; i++) {
        char own[PARAM_NAME];

        if (!is_used(all, i) || !layer_name(own, all->at[i].of->name) ||
            !meant(&all->at[i], own, word))
            continue;
        chosen[i] = true;
        n++;
    }
    if (n)
        return OK;
    return fail(err, E_ARG,
                "targets: no layer of the network is meant by '%.60s': attention, mlp, all, or the "
                "end of a name like %s",
                word, all->n ? all->at[all->n - 1].name : "(it has none)");
}

static enum status choose_all(bool *chosen, const struct places *all, const char *targets,
                              struct error *err)
{
    const char *at = targets;
    enum status st = OK;

    while (!st) {
        char word[PARAM_NAME];
        size_t blank = strspn(at, " \t"), n = strcspn(at + blank, ",");
        const char *end = at + blank + n;

        while (n && (at[blank + n - 1] == ' ' || at[blank + n - 1] == '\t'))
            n--;
        if (!n || n >= sizeof word)
            return fail(err, E_ARG, "targets: '%.60s' holds a name of %zu letters", targets, n);
        memcpy(word, at + blank, n);
        word[n] = 0;
        st = choose(chosen, all, word, err);
        if (!*end)
            break;
        at = end + 1;
    }
    return st;
}

static enum status take_chosen(struct adapter *a, const struct places *all, const bool *chosen,
                               int64_t rank, struct error *err)
{
    enum status st =
        mem_new((void **)&a->module, (uint64_t)all->n, sizeof *a->module, "an adapter", err);

    for (int64_t i = 0; i < all->n && !st; i++)
        if (chosen[i])
            a->module[a->n_modules++] = (struct adapter_module){.place = all->at[i], .rank = rank};
    return st;
}

enum status adapter_new(struct adapter **out, struct network *net, const struct adapter_plan *p,
                        uint64_t seed, struct error *err)
{
    struct places all = {0};
    struct adapter *a = NULL;
    bool *chosen = NULL;
    enum status st;

    MUST(p->rank > 0, "an adapter of rank %" PRId64, p->rank);
    *out = NULL;
    if ((st = places_list(&all, net, err)) ||
        (st = mem_new((void **)&chosen, (uint64_t)all.n, sizeof *chosen, "layers", err)) ||
        (st = choose_all(chosen, &all, p->targets, err)) ||
        (st = mem_new((void **)&a, 1, sizeof *a, "an adapter", err)))
        goto out;
    a->scale = p->alpha / (double)p->rank;
    if ((st = take_chosen(a, &all, chosen, p->rank, err)) || (st = adapter_build(a, true, err)))
        goto out;
    params_init(a->params, seed);
    *out = a;
    a = NULL;
out:
    adapter_free(a);
    free(chosen);
    places_release(&all);
    return st;
}
