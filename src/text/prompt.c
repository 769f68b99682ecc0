/*
 * prompt.c - a person's prompt: weights in parentheses, and rows of ids for the encoders
 *
 * People write (word:1.3) to have a word count more.  Programs differ in what nested parentheses
 * mean; here, as in most, a number replaces what stands around it and its absence multiplies by
 * 1.1:
 *
 *     a (red (shiny:2.0) big) ball        a 1   red 1.1   shiny 2   big 1.1   ball 1
 *     ((a) b:0.9)                         a 0.99   b 0.9
 *
 * Whether a group has a number is known only at its end, and weights flow from the outside in.  So
 * the first pass pairs the parentheses and finds the numbers, the second walks the text with a
 * stack of weights.  Both are loops: nesting is as deep as somebody likes.
 *
 * Weighted text is cut into words before it is encoded, and the ids of a word take the weight of
 * its segment.  For CLIP that changes nothing, for its pieces never hold a space.  T5's best cut
 * of a whole text is the best cut of its words as well, but for the rounding of long sums; so a
 * prompt without weights is encoded whole, as the published pipelines do.
 */
#include "text/prompt.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/whole.h"
#include "text/clip_bpe.h"
#include "text/unicode.h"
#include "text/unigram.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_WORD = 8 }; /* a word of fewer ids is not cut in two */

static const double PARENTHESES = 1.1;

/* ---- Pairing parentheses ---- */

/* What the second pass must know of the byte at each place. */
struct mark {
    int32_t other; /* of a parenthesis, where its other one stands; of the colon before a group's
                      number, where the group closes; else -1                              */
    bool has_weight;
    double weight; /* of an opening parenthesis whose group has a number                   */
};

static bool is_escaped_parenthesis(const char *text, size_t n, size_t i)
{
    return text[i] == '\\' && i + 1 < n && (text[i + 1] == '(' || text[i + 1] == ')');
}

/* The whole of n bytes as a number with spaces around it. */
static bool is_weight(double *out, const char *text, size_t n)
{
    static const char spaces[] = " \t\r\n";
    char number[TEXT_REAL];

    while (n && strchr(spaces, text[n - 1]) && text[n - 1])
        n--;
    while (n && strchr(spaces, *text) && *text) {
        text++;
        n--;
    }
    if (n >= sizeof number || memchr(text, 0, n))
        return false;
    memcpy(number, text, n);
    number[n] = 0;
    return text_to_real(number, out);
}

/* A group from open to i; colon: where the last one before i stands, wherever that is. */
static void group_close(struct mark *mark, const char *text, int32_t open, int32_t i, int32_t colon)
{
    mark[open].other = i;
    mark[i].other = open;
    if (colon > open + 1 &&
        is_weight(&mark[open].weight, text + colon + 1, (size_t)(i - colon - 1))) {
        mark[open].has_weight = true;
        mark[colon].other = i;
    }
}

static enum status parentheses_pair(struct mark *mark, const char *text, size_t n,
                                    struct error *err)
{
    int32_t *stack = NULL, depth = 0, colon = -1;
    enum status st = mem_new((void **)&stack, n, sizeof *stack, "a prompt", err);

    for (size_t i = 0; i < n && !st; i++) {
        mark[i] = (struct mark){.other = -1};
        if (is_escaped_parenthesis(text, n, i))
            mark[++i] = (struct mark){.other = -1};
        else if (text[i] == '(')
            stack[depth++] = (int32_t)i;
        else if (text[i] == ')' && depth)
            group_close(mark, text, stack[--depth], (int32_t)i, colon);
        else if (text[i] == ':')
            colon = (int32_t)i;
    }
    free(stack);
    return st;
}

/* ---- Segments ---- */

/* The walk through a prompt: what is written to, and the weights of the groups that are open. */
struct walk {
    struct prompt *out;
    size_t begun, used; /* of out->text: the present segment */
    double weight;
    double *stack;
    int64_t depth;
};

static enum status segment_end(struct walk *w, struct error *err)
{
    struct prompt *p = w->out;
    enum status st;

    if (w->used == w->begun)
        return OK;
    if (!(fabs(w->weight) <= (double)FLT_MAX))
        return fail(err, E_ARG,
                    "a part of the prompt weighs %g, which is more than can be reckoned",
                    w->weight);
    if ((st = mem_grow((void **)&p->segment, &p->room, p->n + 1, sizeof *p->segment, err)))
        return st;
    p->segment[p->n++] = (struct prompt_segment){p->text + w->begun, w->used - w->begun, w->weight};
    w->begun = w->used;
    return OK;
}

/* A group begins or ends. */
static enum status parenthesis_pass(struct walk *w, const struct mark *mark, char parenthesis,
                                    struct error *err)
{
    enum status st = segment_end(w, err);

    if (parenthesis == '(') {
        w->stack[w->depth++] = w->weight;
        w->weight = mark->has_weight ? mark->weight : w->weight * PARENTHESES;
    } else {
        w->weight = w->stack[--w->depth];
    }
    return st;
}

static enum status prompt_walk(struct walk *w, const struct mark *mark, const char *text, size_t n,
                               struct error *err)
{
    enum status st;

    for (size_t i = 0; i < n; i++) {
        if (mark[i].other >= 0 && text[i] == ':')
            i = (size_t)mark[i].other; /* the number is no text */
        if (mark[i].other >= 0) {
            if ((st = parenthesis_pass(w, &mark[i], text[i], err)))
                return st;
            continue;
        }
        if (is_escaped_parenthesis(text, n, i))
            i++;
        w->out->text[w->used++] = text[i];
    }
    return segment_end(w, err);
}

static enum status prompt_room(struct prompt *out, size_t n, struct error *err)
{
    *out = (struct prompt){0};
    if (n > UNICODE_TEXT_BYTES)
        return fail(err, E_ARG, "a prompt of %zu bytes is too long; up to %d are taken", n,
                    UNICODE_TEXT_BYTES);
    return mem_new((void **)&out->text, n, 1, "a prompt", err);
}

enum status prompt_plain(struct prompt *out, const char *text, size_t n, struct error *err)
{
    struct walk w = {.out = out, .used = n, .weight = 1};
    enum status st = prompt_room(out, n, err);

    if (!st && n)
        memcpy(out->text, text, n);
    if (st || (st = segment_end(&w, err)))
        prompt_release(out);
    return st;
}

enum status prompt_parse(struct prompt *out, const char *text, size_t n, struct error *err)
{
    struct walk w = {.out = out, .weight = 1};
    struct mark *mark = NULL;
    enum status st;

    if ((st = prompt_room(out, n, err)) ||
        (st = mem_new((void **)&mark, n, sizeof *mark, "a prompt", err)) ||
        (st = mem_new((void **)&w.stack, n, sizeof *w.stack, "a prompt", err)) ||
        (st = parentheses_pair(mark, text, n, err)))
        goto out;
    st = prompt_walk(&w, mark, text, n, err);
out:
    free(mark);
    free(w.stack);
    if (st)
        prompt_release(out);
    return st;
}

void prompt_release(struct prompt *p)
{
    free(p->text);
    free(p->segment);
    *p = (struct prompt){0};
}

/* ---- Words ---- */

/* Ids with weights; word[i]: in which word of the prompt id i stands, never falling. */
struct tokens {
    struct ids ids;
    double *weight;
    int32_t *word;
    int64_t weight_room, word_room;
};

static void tokens_release(struct tokens *t)
{
    ids_release(&t->ids);
    free(t->weight);
    free(t->word);
}

/* What appends the ids of a piece of text. */
typedef enum status encoder(const void *vocabulary, struct ids *out, const char *text, size_t n,
                            struct error *err);

static enum status clip_encode(const void *vocabulary, struct ids *out, const char *text, size_t n,
                               struct error *err)
{
    return clip_bpe_encode(vocabulary, out, text, n, CLIP_PLAIN, err);
}

static enum status clip_encode_special(const void *vocabulary, struct ids *out, const char *text,
                                       size_t n, struct error *err)
{
    return clip_bpe_encode(vocabulary, out, text, n, CLIP_SPECIAL, err);
}

static enum status t5_encode(const void *vocabulary, struct ids *out, const char *text, size_t n,
                             struct error *err)
{
    return unigram_encode(vocabulary, out, text, n, err);
}

static enum status word_encode(struct tokens *t, encoder *encode, const void *vocabulary,
                               const char *text, size_t n, double weight, int32_t word,
                               struct error *err)
{
    int64_t first = t->ids.n;
    enum status st;

    if ((st = encode(vocabulary, &t->ids, text, n, err)) ||
        (st = mem_grow((void **)&t->weight, &t->weight_room, t->ids.n, sizeof *t->weight, err)) ||
        (st = mem_grow((void **)&t->word, &t->word_room, t->ids.n, sizeof *t->word, err)))
        return st;
    for (int64_t i = first; i < t->ids.n; i++) {
        t->weight[i] = weight;
        t->word[i] = word;
    }
    return OK;
}

static size_t word_length(const char *text, size_t n)
{
    size_t i = 0;

    while (i < n && text[i] != ' ' && text[i] != '\n')
        i++;
    return i;
}

static enum status words_encode(struct tokens *t, encoder *encode, const void *vocabulary,
                                const struct prompt *p, struct error *err)
{
    int32_t word = 0;
    enum status st;

    for (int64_t k = 0; k < p->n; k++) {
        const struct prompt_segment *s = &p->segment[k];

        for (size_t i = 0, n; i < s->n; i += n + 1) {
            n = word_length(s->text + i, s->n - i);
            if (n &&
                (st = word_encode(t, encode, vocabulary, s->text + i, n, s->weight, word++, err)))
                return st;
        }
    }
    return OK;
}

/* ---- Rows ---- */

void prompt_rows_release(struct prompt_rows *r)
{
    free(r->id);
    free(r->weight);
    *r = (struct prompt_rows){0};
}

static enum status rows_init(struct prompt_rows *r, int64_t rows, int64_t length, int32_t pad,
                             struct error *err)
{
    enum status st;

    r->rows = rows;
    r->length = length;
    if ((st = mem_new((void **)&r->id, (uint64_t)(rows * length), sizeof *r->id, "ids", err)) ||
        (st = mem_new((void **)&r->weight, (uint64_t)(rows * length), sizeof *r->weight, "ids",
                      err)))
        return st;
    for (int64_t i = 0; i < rows * length; i++) {
        r->id[i] = pad;
        r->weight[i] = 1;
    }
    return OK;
}

/* How many ids from `first` on go into one row of `room`: all that fit, but no short word in part,
 * unless nothing else would go in. */
static int64_t row_fill(const struct tokens *t, int64_t first, int64_t room)
{
    int64_t end = whole_min(first + room, t->ids.n), begin = end, n = end;

    if (end == t->ids.n || t->word[end] != t->word[end - 1])
        return end - first;
    while (begin > first && t->word[begin - 1] == t->word[end])
        begin--;
    while (n < t->ids.n && n - begin < WHOLE_WORD && t->word[n] == t->word[end])
        n++;
    return n - begin < WHOLE_WORD && begin > first ? begin - first : end - first;
}

static void row_write(struct prompt_rows *r, int64_t row, const struct tokens *t, int64_t first,
                      int64_t n, const struct clip_bpe *bpe)
{
    int32_t *id = r->id + row * r->length;

    id[0] = clip_bpe_begin(bpe);
    for (int64_t i = 0; i < n; i++) {
        id[1 + i] = t->ids.id[first + i];
        r->weight[row * r->length + 1 + i] = t->weight[first + i];
    }
    id[1 + n] = clip_bpe_end(bpe);
}

/* Put the ids into rows, at most r->rows of them; returns how many rows that takes. */
static int64_t rows_fill(struct prompt_rows *r, const struct tokens *t, const struct clip_bpe *bpe,
                         int64_t most)
{
    int64_t first = 0, row = 0;

    do {
        int64_t n =
            most == 1 ? whole_min(t->ids.n, CLIP_CONTENT) : row_fill(t, first, CLIP_CONTENT);

        if (r->id)
            row_write(r, row, t, first, n, bpe);
        first += n;
        row++;
    } while (first < t->ids.n && row < most);
    r->left_out = t->ids.n - first;
    return row;
}

enum status prompt_clip(struct prompt_rows *out, const struct clip_bpe *bpe, const struct prompt *p,
                        const struct prompt_clip_how *how, struct error *err)
{
    struct tokens t = {0};
    enum status st;
    int64_t rows;

    *out = (struct prompt_rows){0};
    if (how->most < 1 || how->most > PROMPT_ROWS_MAX || how->least > how->most)
        return fail(err, E_ARG,
                    "a prompt in %" PRId64 " to %" PRId64 " rows of ids: 1 to %d can be had",
                    how->least, how->most, PROMPT_ROWS_MAX);
    if ((st = words_encode(&t, how->special ? clip_encode_special : clip_encode, bpe, p, err)))
        goto out;
    rows = rows_fill(out, &t, bpe, how->most);
    if ((st = rows_init(out, whole_max(rows, how->least), CLIP_ROW, how->pad, err)))
        goto out;
    rows_fill(out, &t, bpe, how->most);
    for (int64_t row = rows; row < out->rows; row++)
        row_write(out, row, &t, 0, 0, bpe);
out:
    tokens_release(&t);
    if (st)
        prompt_rows_release(out);
    return st;
}

static bool is_plain(const struct prompt *p)
{
    return p->n == 0 || (p->n == 1 && p->segment[0].weight == 1);
}

enum status prompt_t5(struct prompt_rows *out, const struct unigram *unigram,
                      const struct prompt *p, int64_t least, int64_t most, struct error *err)
{
    struct tokens t = {0};
    enum status st = OK;
    int64_t n;

    *out = (struct prompt_rows){0};
    if (most < 1 || most > INT32_MAX || least > most)
        return fail(err, E_ARG, "a prompt in %" PRId64 " to %" PRId64 " ids: at least 1 is needed",
                    least, most);
    if (!is_plain(p))
        st = words_encode(&t, t5_encode, unigram, p, err);
    else if (p->n)
        st = word_encode(&t, t5_encode, unigram, p->segment->text, p->segment->n, 1, 0, err);
    n = whole_min(t.ids.n, most - 1);
    if (st || (st = rows_init(out, 1, whole_max(n + 1, least), UNIGRAM_PAD, err)))
        goto out;
    for (int64_t i = 0; i < n; i++) {
        out->id[i] = t.ids.id[i];
        out->weight[i] = t.weight[i];
    }
    out->id[n] = UNIGRAM_END;
    out->left_out = t.ids.n - n;
out:
    tokens_release(&t);
    if (st)
        prompt_rows_release(out);
    return st;
}
