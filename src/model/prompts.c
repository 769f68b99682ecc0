/*
 * prompts.c - what a network is asked for, by number
 */
#include "model/prompts.h"

#include "base/memory.h"
#include "model/byte_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool network_asks(const struct network_io *io)
{
    return io->n_labels > 0 || io->text_length > 0 || io->context_width > 0;
}

bool network_asks_for_nothing(const struct network_io *io)
{
    return io->null_label >= 0 || io->text_length > 0 || io->context_width > 0;
}

enum status prompts_init(struct prompts *p, const struct network_io *io, int64_t n,
                         struct error *err)
{
    enum status st;

    *p = (struct prompts){.n = n, .length = io->text_length};
    if ((st = mem_new((void **)&p->number, (uint64_t)n + 1, (uint64_t)p->length * sizeof *p->number,
                      "texts", err)))
        return st;
    for (int64_t i = 0; i <= n; i++)
        byte_text_read(p->number + i * p->length, p->length, "");
    return OK;
}

enum status prompts_init_encoded(struct prompts *p, const struct network_io *io, int64_t n,
                                 int64_t tokens, struct error *err)
{
    uint64_t all = (uint64_t)n + 1;
    enum status st;

    *p = (struct prompts){
        .n = n, .tokens = tokens, .width = io->context_width, .pooled_width = io->pooled_width};
    if ((st = mem_new((void **)&p->context, all * (uint64_t)tokens,
                      (uint64_t)p->width * sizeof *p->context, "encoded texts", err)) ||
        !p->pooled_width)
        return st;
    return mem_new((void **)&p->pooled, all, (uint64_t)p->pooled_width * sizeof *p->pooled,
                   "encoded texts", err);
}

void prompts_release(struct prompts *p)
{
    free(p->number);
    free(p->context);
    free(p->pooled);
    *p = (struct prompts){0};
}

void prompts_set(struct prompts *p, int64_t i, const char *text)
{
    MUST(i >= 0 && i < p->n, "text %" PRId64 " of %" PRId64, i, p->n);
    byte_text_read(p->number + i * p->length, p->length, text);
}

enum status prompts_set_whole(struct prompts *p, int64_t i, const char *text, struct error *err)
{
    if (byte_text_size(text) > p->length)
        return fail(err, E_ARG,
                    "the text '%.40s...' has %" PRId64 " bytes, and the model reads %" PRId64, text,
                    byte_text_size(text) - 1, p->length - 1);
    prompts_set(p, i, text);
    return OK;
}

/* The place of the text that a label stands for. */
static int64_t place(const struct prompts *p, int32_t label)
{
    int64_t at = label < 0 ? p->n : label;

    MUST(at <= p->n, "text %" PRId64 " of %" PRId64, at, p->n);
    return at;
}

void prompts_gather_encoded(const struct prompts *p, float *context, float *pooled,
                            const int32_t *label, int64_t rows)
{
    int64_t length = p->tokens * p->width;

    for (int64_t i = 0; i < rows; i++) {
        int64_t from = place(p, label[i]);

        memcpy(context + i * length, p->context + from * length, (size_t)length * sizeof *context);
        if (p->pooled_width)
            memcpy(pooled + i * p->pooled_width, p->pooled + from * p->pooled_width,
                   (size_t)p->pooled_width * sizeof *pooled);
    }
}

void prompts_gather(const struct prompts *p, int32_t *to, const int32_t *label, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        int64_t from = place(p, label[i]);

        memcpy(to + i * p->length, p->number + from * p->length, (size_t)p->length * sizeof *to);
    }
}

void network_ask(struct graph *g, const struct network_io *io, struct network_input *in,
                 int64_t rows, const int32_t *label, const int32_t *text)
{
    if (io->n_labels)
        in->y = graph_input_i32(g, SHAPE(rows), label);
    if (io->text_length)
        in->text = graph_input_i32(g, SHAPE(rows, io->text_length), text);
}

void network_tell(struct graph *g, const struct network_io *io, struct network_input *in,
                  int64_t rows, int64_t tokens, const float *context, const float *pooled)
{
    in->context = graph_input(g, SHAPE(rows, tokens, io->context_width), context);
    in->pooled = io->pooled_width ? graph_input(g, SHAPE(rows, io->pooled_width), pooled) : NULL;
}
