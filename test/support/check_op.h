/*
 * check_op.h - does an op compute what its formula says, however it is run?
 *
 * A case is a handful of inputs, a callback that records the op, and the same formula written as
 * the obvious loop in double.  check_op() fails the present cmocka test, naming the case, the
 * tensor, the index and both values, unless
 *
 *   - the result has the shape and the values of the reference;
 *   - d <cot, y> / d input, for a random cotangent, agrees with central differences of the
 * reference (in double, hence good to 1e-7; large inputs are probed at seeded random places);
 *   - the bits are the same planned, planned again, eager, and with 1, 2, 3 and 4 threads; with
 *     gradients wanted and without; and when every input is an intermediate value whose memory the
 *     plan may reuse (which finds a kernel that promises op->inplace and breaks it);
 *   - a frozen graph, whose parameters may be packed, agrees with the reference;
 *   - where inputs are `batched`, each sample alone has the bits it has in the batch.
 *
 * A deviation is measured relative to the largest magnitude of the reference tensor.
 *
 *     static const struct check_case cases[] = {{
 *         .name = "odd", .in = {{.shape = {2, {3, 5}}, .batched = true}, {.shape = {1, {5}}}},
 *         .out = {2, {3, 5}}, .build = build_thing, .ref = ref_thing, .arg = {{.f = 1e-6}}}};
 *     ...
 *     check_ops(cases, sizeof(cases) / sizeof(cases[0]));
 */
#ifndef IMGEN_TEST_SUPPORT_CHECK_OP_H
#define IMGEN_TEST_SUPPORT_CHECK_OP_H

#include "graph/graph.h"

enum { CHECK_INS = 6, CHECK_ARGS = 8 };

struct check_case;

/* Record the op under test.  in[k] is NULL where the case leaves the input out. */
typedef struct tensor *check_build(struct graph *g, struct tensor *const in[CHECK_INS],
                                   const struct check_case *c);

/* The same in double: in[k] dense values (whole numbers of an int32 input too), NULL if left out.
 */
typedef void check_ref(double *out, const double *const in[CHECK_INS], const struct check_case *c);

struct check_input {
    struct shape shape;  /* rank 0: left out                                                  */
    double mean, std;    /* values are mean + std * normal; std 0 stands for 1                */
    const float *values; /* or exactly these, shape_count(shape) of them                      */
    int64_t ids;         /* > 0: an int32 input of random whole numbers in 0 .. ids - 1       */
    bool fixed;          /* no gradient is asked of it (an int32 input never is)              */
    bool param;          /* recorded by graph_param, else by graph_input                      */
    bool batched;        /* dimension 0 counts samples                                        */
};

struct check_case {
    const char *name;
    struct check_input in[CHECK_INS];
    union op_arg arg[CHECK_ARGS]; /* constants for build and ref                               */
    struct shape out;             /* expected; rank 0: not checked                             */
    check_build *build;
    check_ref *ref;
    double tol;      /* of the result, 0 stands for 2e-5                                       */
    double grad_tol; /* of the gradients, 0 stands for 2e-5                                    */
    int probes;      /* entries of each gradient to probe, 0 stands for 40                     */
    bool alone_grad; /* gradients of batched inputs too have the same bits alone and in a batch */
};

void check_op(const struct check_case *c);
void check_ops(const struct check_case *cases, size_t n);

#endif
