/*
 * test_frames.c - along the time of a video: frames chosen, dimensions exchanged, convolution
 */
#include "ops/frames.h"

#include "support/check_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int64_t held(int64_t x, int64_t most)
{
    return x < 0 ? 0 : x > most ? most : x;
}

/* --- frames ------------------------------------------------------------------------------------
 */

static struct tensor *build_frames(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    return op_frames(g, in[0],
                     (struct frame_choice){c->out.dim[1], c->arg[0].i, c->arg[1].i, c->arg[2].i});
}

static void ref_frames(double *out, const double *const in[], const struct check_case *c)
{
    int64_t T = c->in[0].shape.dim[1], U = c->out.dim[1];
    int64_t size = U ? shape_count(c->out) / (c->out.dim[0] ? c->out.dim[0] : 1) / U : 0;

    for (int64_t n = 0; n < c->out.dim[0]; n++)
        for (int64_t u = 0; u < U; u++)
            for (int64_t i = 0; i < size; i++) {
                int64_t t = held(c->arg[0].i + u * c->arg[1].i / c->arg[2].i, T - 1);

                out[(n * U + u) * size + i] = in[0][(n * T + t) * size + i];
            }
}

static void test_frames_chosen(void **state)
{
#define FRAMES(what, N, T, U, first, step, repeat, P, C)                             \
    {                                                                                \
        .name = what, .in = {{.shape = SHAPE(N, T, P, C), .batched = true}},         \
        .arg = {{.i = first}, {.i = step}, {.i = repeat}}, .out = SHAPE(N, U, P, C), \
        .build = build_frames, .ref = ref_frames, .alone_grad = true                 \
    }
    const struct check_case cases[] = {
        FRAMES("padded", 2, 3, 5, -1, 1, 1, 4, 5),
        FRAMES("one frame padded", 2, 1, 3, -1, 1, 1, 4, 5),
        FRAMES("doubled", 3, 3, 6, 0, 1, 2, 2, 3),
        FRAMES("every second of five", 2, 5, 3, 0, 2, 1, 3, 3),
        FRAMES("every second of four", 2, 4, 2, 0, 2, 1, 3, 3),
        FRAMES("under the last tap", 2, 5, 3, 1, 2, 1, 3, 3),
        FRAMES("the first ones", 2, 7, 4, 0, 1, 1, 3, 2),
        FRAMES("none", 2, 7, 0, 0, 1, 1, 3, 2),
        FRAMES("no samples", 0, 3, 5, -1, 1, 1, 3, 2),
        FRAMES("large", 2, 9, 11, -1, 1, 1, 130, 67),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- dimensions exchanged ----------------------------------------------------------------------
 */

static struct tensor *build_swap(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    (void)c;
    return op_swap(g, in[0]);
}

static void ref_swap(double *out, const double *const in[], const struct check_case *c)
{
    int64_t A = c->in[0].shape.dim[1], B = c->in[0].shape.dim[2], D = c->in[0].shape.dim[3];

    for (int64_t i = 0; i < shape_count(c->out); i++) {
        int64_t d = i % D, a = i / D % A, b = i / D / A % B, n = i / D / A / B;

        out[i] = in[0][((n * A + a) * B + b) * D + d];
    }
}

static void test_swap(void **state)
{
#define SWAP(N, A, B, D)                                                                   \
    {                                                                                      \
        .name = "swap", .in = {{.shape = SHAPE(N, A, B, D), .batched = true}},             \
        .out = SHAPE(N, B, A, D), .build = build_swap, .ref = ref_swap, .alone_grad = true \
    }
    const struct check_case cases[] = {
        SWAP(1, 1, 1, 1), SWAP(2, 3, 4, 5), SWAP(3, 7, 1, 2), SWAP(0, 2, 3, 4), SWAP(2, 9, 130, 33),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- convolution along time --------------------------------------------------------------------
 */

static struct tensor *build_conv(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    return op_conv_time(g, in[0], in[1], in[2], c->arg[0].i);
}

static void ref_conv(double *out, const double *const in[], const struct check_case *c)
{
    struct shape x = c->in[0].shape, w = c->in[1].shape;
    int64_t T = x.dim[1], P = x.dim[2], I = x.dim[3], O = w.dim[0], k = w.dim[1];
    int64_t U = c->out.dim[1];

    for (int64_t i = 0; i < shape_count(c->out); i++) {
        int64_t o = i % O, p = i / O % P, u = i / O / P % U, n = i / O / P / U;

        out[i] = in[2] ? in[2][o] : 0;
        for (int64_t j = 0; j < k; j++)
            for (int64_t q = 0; q < I; q++) {
                int64_t t = held(u * c->arg[0].i + j - k / 2, T - 1);

                out[i] += in[0][((n * T + t) * P + p) * I + q] * in[1][(o * k + j) * I + q];
            }
    }
}

static void test_conv_time(void **state)
{
#define CONV(what, N, T, P, I, O, k, s, bias)                                           \
    {                                                                                   \
        .name = what,                                                                   \
        .in = {{.shape = SHAPE(N, T, P, I), .batched = true},                           \
               {.shape = SHAPE(O, k, 1, I), .param = true, .std = 0.2},                 \
               {.shape = {bias, {O}}, .param = true}},                                  \
        .arg = {{.i = s}}, .out = SHAPE(N, (T + s - 1) / s, P, O), .build = build_conv, \
        .ref = ref_conv                                                                 \
    }
    const struct check_case cases[] = {
        CONV("plain", 2, 5, 6, 4, 7, 3, 1, 1),
        CONV("no bias", 2, 4, 6, 5, 3, 3, 1, 0),
        CONV("one frame", 3, 1, 6, 4, 5, 3, 1, 1),
        CONV("two frames", 2, 2, 3, 4, 5, 3, 1, 1),
        CONV("five taps", 2, 6, 3, 4, 5, 5, 1, 1),
        CONV("one tap", 2, 4, 3, 4, 5, 1, 1, 1),
        CONV("vectors", 2, 4, 35, 48, 32, 3, 1, 1),
        CONV("halved, even", 2, 6, 5, 4, 7, 3, 2, 1),
        CONV("halved, odd", 2, 5, 5, 4, 7, 3, 2, 1),
        CONV("halved, one frame", 2, 1, 5, 4, 7, 3, 2, 1),
        CONV("halved, vectors", 2, 8, 35, 32, 48, 3, 2, 0),
        CONV("no samples", 0, 4, 5, 4, 7, 3, 2, 1),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_chosen),
        cmocka_unit_test(test_swap),
        cmocka_unit_test(test_conv_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
