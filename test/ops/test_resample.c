/*
 * test_resample.c - half size, double size, patches to tokens and back
 */
#include "ops/resample.h"

#include "support/check_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Where channel c of pixel (h, w) of picture n stands. */
static int64_t pixel(struct shape s, int64_t n, int64_t h, int64_t w, int64_t c)
{
    return ((n * s.dim[1] + h) * s.dim[2] + w) * s.dim[3] + c;
}

#define EACH_PIXEL(s, n, h, w, c)                    \
    for (int64_t n = 0; n < (s).dim[0]; n++)         \
        for (int64_t h = 0; h < (s).dim[1]; h++)     \
            for (int64_t w = 0; w < (s).dim[2]; w++) \
                for (int64_t c = 0; c < (s).dim[3]; c++)

static struct tensor *build_avgpool(struct graph *g, struct tensor *const in[],
                                    const struct check_case *c)
{
    (void)c;
    return op_avgpool2(g, in[0]);
}

static void ref_avgpool(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->out); i++)
        out[i] = 0;
    EACH_PIXEL(c->in[0].shape, n, h, w, k)
    out[pixel(c->out, n, h / 2, w / 2, k)] += in[0][pixel(c->in[0].shape, n, h, w, k)] / 4;
}

static struct tensor *build_upsample(struct graph *g, struct tensor *const in[],
                                     const struct check_case *c)
{
    (void)c;
    return op_upsample2(g, in[0]);
}

static void ref_upsample(double *out, const double *const in[], const struct check_case *c)
{
    EACH_PIXEL(c->out, n, h, w, k)
    out[pixel(c->out, n, h, w, k)] = in[0][pixel(c->in[0].shape, n, h / 2, w / 2, k)];
}

static void test_resize(void **state)
{
#define RESIZE(which, N, H, W, h, w, C)                                                          \
    {                                                                                            \
        .name = #which, .in = {{.shape = SHAPE(N, H, W, C), .batched = true}},                   \
        .out = SHAPE(N, h, w, C), .build = build_##which, .ref = ref_##which, .alone_grad = true \
    }
    const struct check_case cases[] = {
        RESIZE(avgpool, 1, 2, 2, 1, 1, 1),  RESIZE(avgpool, 3, 6, 2, 3, 1, 5),
        RESIZE(avgpool, 0, 2, 2, 1, 1, 1),  RESIZE(avgpool, 2, 34, 38, 17, 19, 33),
        RESIZE(upsample, 1, 1, 1, 2, 2, 1), RESIZE(upsample, 3, 3, 1, 6, 2, 5),
        RESIZE(upsample, 0, 2, 2, 4, 4, 1), RESIZE(upsample, 2, 17, 19, 34, 38, 33),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* Where feature (py, px, c) of the token at (h / p, w / p) stands. */
static int64_t feature(struct shape s, int64_t p, int64_t n, int64_t h, int64_t w, int64_t c)
{
    int64_t across = s.dim[2] / p, tokens = s.dim[1] / p * across, C = s.dim[3];
    int64_t token = h / p * across + w / p;

    return (n * tokens + token) * p * p * C + (h % p * p + w % p) * C + c;
}

static struct tensor *build_patchify(struct graph *g, struct tensor *const in[],
                                     const struct check_case *c)
{
    return op_patchify(g, in[0], c->arg[0].i);
}

static void ref_patchify(double *out, const double *const in[], const struct check_case *c)
{
    struct shape s = c->in[0].shape;

    EACH_PIXEL(s, n, h, w, k)
    out[feature(s, c->arg[0].i, n, h, w, k)] = in[0][pixel(s, n, h, w, k)];
}

static struct tensor *build_unpatchify(struct graph *g, struct tensor *const in[],
                                       const struct check_case *c)
{
    return op_unpatchify(g, in[0], c->out.dim[1], c->out.dim[2], c->arg[0].i);
}

static void ref_unpatchify(double *out, const double *const in[], const struct check_case *c)
{
    EACH_PIXEL(c->out, n, h, w, k)
    out[pixel(c->out, n, h, w, k)] = in[0][feature(c->out, c->arg[0].i, n, h, w, k)];
}

static void test_patches(void **state)
{
#define PATCHES(N, H, W, C, p, T)                                                         \
    {.name = "patchify",                                                                  \
     .in = {{.shape = SHAPE(N, H, W, C), .batched = true}},                               \
     .arg = {{.i = p}},                                                                   \
     .out = SHAPE(N, T, p * p * C),                                                       \
     .build = build_patchify,                                                             \
     .ref = ref_patchify,                                                                 \
     .alone_grad = true},                                                                 \
    {                                                                                     \
        .name = "unpatchify", .in = {{.shape = SHAPE(N, T, p * p * C), .batched = true}}, \
        .arg = {{.i = p}}, .out = SHAPE(N, H, W, C), .build = build_unpatchify,           \
        .ref = ref_unpatchify, .alone_grad = true                                         \
    }
    const struct check_case cases[] = {
        PATCHES(1, 1, 1, 1, 1, 1), PATCHES(2, 4, 6, 3, 2, 6),     PATCHES(2, 6, 3, 2, 3, 2),
        PATCHES(0, 4, 4, 3, 2, 4), PATCHES(3, 64, 56, 5, 4, 224),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_patches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
