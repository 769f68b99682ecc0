/*
 * op_case.h - one recorded case of one operator: inputs, result, cotangent, gradients
 *
 * A builder takes the inputs it needs by name, each in the layout it needs it in, records the
 * operator and returns its result.  The case does the rest: it runs, reads, and compares the result
 * and every gradient that the file knows.
 */
#ifndef IMGEN_PARITY_OP_CASE_H
#define IMGEN_PARITY_OP_CASE_H

#include "parity.h"

#include "graph/graph.h"

/* How the values of a file become those of a library tensor. */
enum case_layout {
    CASE_PLAIN,   /* as they are                                                         */
    CASE_PICTURE, /* [N, C, ...] -> [N, ..., C]                                          */
    CASE_HEADS,   /* [N, heads, T, d] -> [N, T, heads d]                                 */
    CASE_PATCHES, /* features (channel, py, px) -> (py, px, channel); attribute "patch"  */
    CASE_DEALT,   /* a picture, channels (head, c, {q k v}) -> (head, {q k v}, c); "heads" */
};

enum { CASE_INPUTS = 8 };

struct op_case;

/* An op name of the files and who builds it. */
struct op_builder {
    const char *op;
    enum case_layout out; /* of the result */
    struct tensor *(*build)(struct op_case *c);
    struct tensor *(*unary)(struct graph *g, struct tensor *x); /* for builders of many such */
};

/* The rows of magnitude-preserving operators (op_magnitude.c) and of losses (op_losses.c); n of
 * them. */
const struct op_builder *magnitude_builders(size_t *n);
const struct op_builder *loss_builders(size_t *n);

struct op_case {
    struct parity_fixture *fixture;
    const struct parity_part *part;
    const char *name; /* of the case */
    json_t *attributes;
    const struct op_builder *builder;
    struct graph *graph;

    /* Inputs asked for so far. */
    struct {
        const char *name;
        enum case_layout layout;
        struct tensor *tensor;
        int64_t count; /* numbers                              */
        int64_t heads; /* CASE_HEADS: of the file's array, else 0 */
    } inputs[CASE_INPUTS];
    int n_inputs;

    enum status status; /* the first failure of an accessor below; later ones do nothing  */
    bool skipped;       /* case_skip was called                                           */
    char why[256];      /* its reason                                                     */
    struct error *err;
};

/* "<case>.in.<name>" as a leaf of the tape, wanting a gradient when the file has one.  NULL on
 * failure, which the case remembers. case_optional: NULL without a failure when there is none. */
struct tensor *case_input(struct op_case *c, const char *name, enum case_layout layout);
struct tensor *case_optional(struct op_case *c, const char *name, enum case_layout layout);
/* The heads of an input that was taken with CASE_HEADS. */
int64_t case_heads(const struct op_case *c, const char *name);
/* The same for indices, each in 0 .. below - 1. */
struct tensor *case_indices(struct op_case *c, const char *name, int64_t below);
/* The same, shaped: the file must hold that many. */
struct tensor *case_mask(struct op_case *c, const char *name, int64_t rows, int64_t width);

/* Attributes of the case; a missing one, or an integer outside lo..hi, is a failure. */
int64_t case_int(struct op_case *c, const char *name, int64_t lo, int64_t hi);
double case_real(struct op_case *c, const char *name);
const char *case_text(struct op_case *c, const char *name);

/* A promise of the op about its inputs that this file must keep; remembers the failure otherwise.
 */
bool case_need(struct op_case *c, bool holds, const char *what);

/* This form of the operator is not implemented; returns NULL. */
struct tensor *case_skip(struct op_case *c, const char *why);

/* Build, run and compare: planned with options->threads, then eagerly with one thread, asking for
 * the same bits.  limit: of results and gradients. */
enum status case_check(struct op_case *c, struct parity_report *r, struct parity_limit limit,
                       const struct parity_options *options);

#endif
