/*
 * panel.h - rows of numbers times a panel of 64 columns, in float32, bf16 or int8
 *
 * The three look alike when numbers travel in words of 32 bits: a word is one float, two bf16 or
 * four bytes, neighbours along the sum.
 *
 *     C [m, 64] = D + A [m, words] B [words, 64],  a word times a word being the sum of the
 * products of its numbers
 *
 * Every element is one chain of multiply-adds along the sum, to which D is added at the end: its
 * bits depend on its own row and column alone, not on m, and a sum cut into parts has the bits of
 * that cut whoever computes it.
 */
#ifndef IMGEN_BACKEND_CPU_PANEL_H
#define IMGEN_BACKEND_CPU_PANEL_H

#include "tensor/precision.h"

#include <stdbool.h>
#include <stdint.h>

enum { PANEL_COLS = 64 };

/* Memory that is read as words whatever was written there. */
typedef uint32_t __attribute__((may_alias)) panel_word;

/* Numbers in a word. */
static inline int64_t panel_numbers(enum precision p)
{
    return p == PRECISION_INT8 ? 4 : p == PRECISION_BF16 ? 2 : 1;
}

/* Words that n numbers take. */
static inline int64_t panel_words(enum precision p, int64_t n)
{
    return (n + panel_numbers(p) - 1) / panel_numbers(p);
}

/* One product.  Steps are counted in words. */
struct panel_product {
    panel_word *c; /* float32; int32 when the factors are bytes                                  */
    int64_t c_row;
    const panel_word *d; /* of c's type, or NULL: zeros; may be c                              */
    int64_t d_row;       /* 0: one row for all                                                 */
    const panel_word *a; /* signed bf16 or float; bytes are unsigned                           */
    int64_t a_row, a_word;
    const panel_word *b; /* [words, 64], bytes are signed                                      */
    int64_t b_word;      /* 64: dense                                                          */
    int64_t m, words;
};

/* A way to compute them: instructions that some processors have. */
struct panel_engine {
    const char *name; /* "AVX-512 VNNI" */
    bool (*here)(void);
    void (*mul)(const struct panel_product *p);
    bool widens; /* makes floats of the numbers first: no faster than float32 */
};

/* Engine number i of a precision, the fastest first, NULL past the last; the last runs everywhere.
 */
const struct panel_engine *panel_engine_at(enum precision p, int i);

/* The first that this processor has. */
const struct panel_engine *panel_engine(enum precision p);

#endif
