/*
 * test_rope.c - rotary positions and the norm of q and k, on the packed projection
 */
#include "ops/attention.h"

#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tensor *build_rope(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    return op_rope(g, in[0], c->arg[0].i, in[1], in[2]);
}

/* Channel i of a row takes its neighbour with the sign of rot(x). */
static void ref_rope(double *out, const double *const in[], const struct check_case *c)
{
    const struct shape s = c->in[0].shape;
    const int64_t D = s.dim[2] / 3, d = D / c->arg[0].i;

    for (int64_t i = 0; i < shape_count(s); i++) {
        const int64_t channel = i % (3 * D), t = i / (3 * D) % s.dim[1];
        const int64_t at = t * d + channel % d;

        out[i] = in[0][i];
        if (channel < 2 * D)
            out[i] =
                in[0][i] * in[1][at] + (channel % 2 ? in[0][i - 1] : -in[0][i + 1]) * in[2][at];
    }
}

#define ROPE(N, T, H, d)                                                                        \
    {                                                                                           \
        .name = "rope " #N " " #T " " #H " " #d,                                                \
        .in = {{.shape = {3, {N, T, 3 * H * d}}, .batched = true},                              \
               {.shape = {2, {T, d}}, .fixed = true},                                           \
               {.shape = {2, {T, d}}, .fixed = true}},                                          \
        .arg = {{.i = H}}, .out = {3, {N, T, 3 * H * d}}, .build = build_rope, .ref = ref_rope, \
        .alone_grad = true                                                                      \
    }

/* The tables are random, so the two numbers of a pair differ. */
static void test_rope(void **state)
{
    static const struct check_case cases[] = {
        ROPE(1, 1, 1, 2), ROPE(2, 3, 2, 4),   ROPE(3, 9, 2, 8), ROPE(2, 17, 3, 40),
        ROPE(0, 3, 2, 4), ROPE(5, 65, 4, 64), ROPE(1, 4, 1, 6), ROPE(2, 100, 1, 80),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static struct tensor *build_norm(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    return op_qk_norm(g, in[0], c->arg[0].i, in[1], in[2], c->arg[1].f);
}

static void ref_norm(double *out, const double *const in[], const struct check_case *c)
{
    const struct shape s = c->in[0].shape;
    const int64_t D = s.dim[2] / 3, d = D / c->arg[0].i;

    for (int64_t i = 0; i < shape_count(s); i++) {
        const int64_t channel = i % (3 * D), part = channel / D;
        const double *head = in[0] + i - channel % d;
        double sum = 0;

        for (int64_t j = 0; j < d; j++)
            sum += head[j] * head[j];
        out[i] = in[0][i];
        if (part < 2)
            out[i] *= in[1 + part][channel % d] / sqrt(sum / (double)d + c->arg[1].f);
    }
}

#define NORM(N, T, H, d, eps)                                                              \
    {                                                                                      \
        .name = "qk_norm " #N " " #T " " #H " " #d,                                        \
        .in = {{.shape = {3, {N, T, 3 * H * d}}, .batched = true},                         \
               {.shape = {1, {d}}, .mean = 1, .param = true},                              \
               {.shape = {1, {d}}, .mean = 1, .param = true}},                             \
        .arg = {{.i = H}, {.f = eps}}, .out = {3, {N, T, 3 * H * d}}, .build = build_norm, \
        .ref = ref_norm                                                                    \
    }

static void test_norm(void **state)
{
    static const struct check_case cases[] = {
        NORM(1, 1, 1, 2, 1e-6),  NORM(2, 5, 2, 6, 1e-6),    NORM(3, 9, 2, 8, 0.5),
        NORM(0, 3, 2, 4, 1e-6),  NORM(2, 17, 3, 40, 1e-5),  NORM(5, 65, 4, 64, 1e-6),
        NORM(2, 64, 1, 1, 1e-1), NORM(2, 100, 1, 80, 1e-6),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_norm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
