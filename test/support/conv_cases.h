/*
 * conv_cases.h - cases of convolution for check_op.h, and the definition they are held against
 *
 * Their constants, in the order of `arg`: stride, top, bottom, left, right, groups; groups 0 stands
 * for 1.
 */
#ifndef IMGEN_TEST_SUPPORT_CONV_CASES_H
#define IMGEN_TEST_SUPPORT_CONV_CASES_H

#include "ops/conv.h"
#include "support/check_op.h"

struct conv_geometry conv_case_geometry(const struct check_case *c);

/* in: x [N, H, W, C], w [O, kh, kw, C / groups] and the bias [O] or none.  Each output is its bias
 * and the taps that fall into the picture, of the channels of its group. */
void conv_case_ref(double *out, const double *const in[CHECK_INS], const struct check_case *c);
/* The one of picture n at row u, column v, channel o. */
double conv_case_output(const double *const in[CHECK_INS], const struct check_case *c, int64_t n,
                        int64_t u, int64_t v, int64_t o);

#define CONV_X(...)                                  \
    {                                                \
        .shape = {4, {__VA_ARGS__}}, .batched = true \
    }
#define CONV_W(...)                                            \
    {                                                          \
        .shape = {4, {__VA_ARGS__}}, .param = true, .std = 0.2 \
    }
#define CONV_B(O)                        \
    {                                    \
        .shape = {1, {O}}, .param = true \
    }

#endif
