/*
 * prompts.h - what a network is asked for, by number: a label, or a text that the number stands for
 *
 * Losses, guidance and samplers know requests as numbers alone, whatever they mean: to one network
 * label 7 is its seventh class, to another the seventh caption of a batch.  Only what is put on the
 * tape differs.
 */
#ifndef IMGEN_MODEL_PROMPTS_H
#define IMGEN_MODEL_PROMPTS_H

#include "model/network.h"

/* Whether the network can be asked for anything, and whether for nothing too, which guidance wants:
 * a null label, or the empty text. */
bool network_asks(const struct network_io *io);
bool network_asks_for_nothing(const struct network_io *io);

/* Texts 0 .. n-1 as a network reads them, and last the empty one: numbers that it encodes itself,
 * or what encoders have said of them.  Arrays are heap. */
struct prompts {
    int64_t n, length;
    int32_t *number;                     /* [n + 1, length], or NULL                            */
    int64_t tokens, width, pooled_width; /* of an encoded one                                   */
    float *context, *pooled; /* [n + 1, tokens, width], [n + 1, pooled_width], or NULL */
};

/* n empty texts, for a network of io.text_length > 0.  E_MEMORY.  Release also after a failure. */
enum status prompts_init(struct prompts *p, const struct network_io *io, int64_t n,
                         struct error *err);
/* The same for a network of io.context_width > 0, to be filled in: context and pooled are zeros. */
enum status prompts_init_encoded(struct prompts *p, const struct network_io *io, int64_t n,
                                 int64_t tokens, struct error *err);
void prompts_release(struct prompts *p); /* zeroes it */

/* Text i; what is too long is cut (byte_text_read). */
void prompts_set(struct prompts *p, int64_t i, const char *text);
/* The same; E_ARG, naming the bytes, where it would be cut. */
enum status prompts_set_whole(struct prompts *p, int64_t i, const char *text, struct error *err);

/* to [rows, length]: the texts of these numbers, each below n; negative: the empty one. */
void prompts_gather(const struct prompts *p, int32_t *to, const int32_t *label, int64_t rows);
/* The same of encoded ones: context [rows, tokens, width], pooled [rows, pooled_width]. */
void prompts_gather_encoded(const struct prompts *p, float *context, float *pooled,
                            const int32_t *label, int64_t rows);

/* Put requests on a tape: labels int32 [rows] for a network of labels, texts [rows, text_length]
 * for one that reads them; the arrays stay until the run is over, the other may be NULL. */
void network_ask(struct graph *g, const struct network_io *io, struct network_input *in,
                 int64_t rows, const int32_t *label, const int32_t *text);

/* The same of encoded texts: context [rows, tokens, context_width], pooled [rows, pooled_width] or,
 * of a network that reads none, NULL. */
void network_tell(struct graph *g, const struct network_io *io, struct network_input *in,
                  int64_t rows, int64_t tokens, const float *context, const float *pooled);

#endif
