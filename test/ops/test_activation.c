/*
 * test_activation.c - non-linearities, gated units and softmax, against libm in double
 *
 * Besides random values, each function sees the places where formulas break: far tails, where exp
 * overflows, and the neighbourhood of zero, where differences of nearly equal numbers cancel.
 */
#include "ops/activation.h"

#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const double PI = 3.14159265358979323846;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double gelu_erf(double x)
{
    return 0.5 * x * (1 + erf(x * sqrt(0.5)));
}

/* --- one in, one out -------------------------------------------------------------------------- */

typedef double scalar_function(double x, const struct check_case *c);

static double silu(double x, const struct check_case *c)
{
    (void)c;
    return x * sigmoid(x);
}

static double gelu(double x, const struct check_case *c)
{
    (void)c;
    return 0.5 * x * (1 + tanh(sqrt(2 / PI) * (x + 0.044715 * x * x * x)));
}

static double gelu_exact(double x, const struct check_case *c)
{
    (void)c;
    return gelu_erf(x);
}

static double quick(double x, const struct check_case *c)
{
    (void)c;
    return x * sigmoid(1.702 * x);
}

static double tangent(double x, const struct check_case *c)
{
    (void)c;
    return tanh(x);
}

static double leaky_relu(double x, const struct check_case *c)
{
    return x > 0 ? x : c->arg[0].f * x;
}

static double clamped(double x, const struct check_case *c)
{
    return fmin(fmax(x, -7.5 * c->arg[0].f), 5.5 * c->arg[0].f);
}

#define POINTWISE(name, function, call)                                                       \
    static struct tensor *build_##name(struct graph *g, struct tensor *const in[],            \
                                       const struct check_case *c)                            \
    {                                                                                         \
        (void)c;                                                                              \
        return call;                                                                          \
    }                                                                                         \
    static void ref_##name(double *out, const double *const in[], const struct check_case *c) \
    {                                                                                         \
        for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)                             \
            out[i] = function(in[0][i], c);                                                   \
    }
POINTWISE(silu, silu, op_silu(g, in[0]))
POINTWISE(gelu, gelu, op_gelu(g, in[0]))
POINTWISE(gelu_erf, gelu_exact, op_gelu_erf(g, in[0]))
POINTWISE(quick_gelu, quick, op_quick_gelu(g, in[0]))
POINTWISE(tanh, tangent, op_tanh(g, in[0]))
POINTWISE(leaky_relu, leaky_relu, op_leaky_relu(g, in[0], c->arg[0].f))
POINTWISE(clamp, clamped, op_clamp(g, in[0], -7.5 * c->arg[0].f, 5.5 * c->arg[0].f))

static const struct {
    const char *name;
    check_build *build;
    check_ref *ref;
} functions[] = {
    {"silu", build_silu, ref_silu},
    {"gelu", build_gelu, ref_gelu},
    {"gelu_erf", build_gelu_erf, ref_gelu_erf},
    {"quick_gelu", build_quick_gelu, ref_quick_gelu},
    {"tanh", build_tanh, ref_tanh},
    {"leaky_relu", build_leaky_relu, ref_leaky_relu},
    {"clamp", build_clamp, ref_clamp},
};

static void check_function(size_t f, struct check_input in, double tol)
{
    check_op(&(struct check_case){.name = functions[f].name,
                                  .in = {in},
                                  .arg = {{.f = 0.2}},
                                  .out = in.shape,
                                  .build = functions[f].build,
                                  .ref = functions[f].ref,
                                  .tol = tol,
                                  .grad_tol = tol,
                                  .alone_grad = true});
}

static void test_pointwise(void **state)
{
    const struct shape shapes[] = {SHAPE(1), SHAPE(0, 7), SHAPE(3, 1, 37), SHAPE(2, 139, 131)};

    (void)state;
    for (size_t f = 0; f < COUNT(functions); f++)
        for (size_t s = 0; s < COUNT(shapes); s++)
            check_function(
                f,
                (struct check_input){.shape = shapes[s], .batched = shapes[s].rank > 1, .std = 2},
                2e-6);
}

/* The middle values are a case each, so that the tolerance is relative to that value.  Further out
 * 1 + erf cancels, and only the absolute error stays small. */
static void test_tails(void **state)
{
    static const float large[] = {-200, -100, -90, -50, 50, 90, 100, 200};
    static const float medium[] = {-2, -1, -0.6f, -0.1f, 0.1f, 0.6f, 1, 2};
    static const float small[] = {-1e-2f, -1e-3f, -5e-5f, 5e-5f, 1e-3f, 1e-2f};

    (void)state;
    for (size_t f = 0; f < COUNT(functions); f++) {
        check_function(f, (struct check_input){.shape = SHAPE(COUNT(large)), .values = large},
                       2e-6);
        check_function(f, (struct check_input){.shape = SHAPE(COUNT(medium)), .values = medium},
                       2e-6);
        check_function(f, (struct check_input){.shape = SHAPE(COUNT(small)), .values = small},
                       2e-6);
        for (size_t i = 0; i < COUNT(medium); i++)
            check_function(f, (struct check_input){.shape = SHAPE(1), .values = &medium[i]}, 1e-5);
    }
}

/* --- gated units ------------------------------------------------------------------------------ */

static struct tensor *build_swiglu(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    (void)c;
    return op_swiglu(g, in[0]);
}

static void ref_swiglu(double *out, const double *const in[], const struct check_case *c)
{
    int64_t F = shape_last(c->in[0].shape) / 2;

    for (int64_t i = 0; i < shape_rows(c->in[0].shape) * F; i++) {
        double a = in[0][i / F * 2 * F + i % F], b = in[0][i / F * 2 * F + F + i % F];

        out[i] = a * sigmoid(a) * b;
    }
}

static struct tensor *build_geglu(struct graph *g, struct tensor *const in[],
                                  const struct check_case *c)
{
    (void)c;
    return op_geglu(g, in[0]);
}

static void ref_geglu(double *out, const double *const in[], const struct check_case *c)
{
    int64_t F = shape_last(c->in[0].shape) / 2;

    for (int64_t i = 0; i < shape_rows(c->in[0].shape) * F; i++) {
        double a = in[0][i / F * 2 * F + i % F], b = in[0][i / F * 2 * F + F + i % F];

        out[i] = a * gelu_erf(b);
    }
}

static void test_gated(void **state)
{
#define GATED(which, many, size)                                            \
    {                                                                       \
        .name = #which, .in = {{.shape = size, .std = 2, .batched = many}}, \
        .build = build_##which, .ref = ref_##which, .alone_grad = true      \
    }
    const struct check_case cases[] = {
        GATED(swiglu, false, SHAPE(2)),    GATED(swiglu, true, SHAPE(3, 5, 14)),
        GATED(swiglu, true, SHAPE(0, 10)), GATED(swiglu, true, SHAPE(3, 70, 342)),
        GATED(geglu, false, SHAPE(2)),     GATED(geglu, true, SHAPE(3, 5, 14)),
        GATED(geglu, true, SHAPE(0, 10)),  GATED(geglu, true, SHAPE(3, 70, 342)),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- softmax ---------------------------------------------------------------------------------- */

static struct tensor *build_softmax(struct graph *g, struct tensor *const in[],
                                    const struct check_case *c)
{
    (void)c;
    return op_softmax(g, in[0]);
}

static void ref_softmax(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape);

    for (int64_t r = 0; r < shape_rows(c->in[0].shape); r++) {
        const double *x = in[0] + r * D;
        double max = x[0], sum = 0;

        for (int64_t d = 1; d < D; d++)
            max = fmax(max, x[d]);
        for (int64_t d = 0; d < D; d++)
            sum += exp(x[d] - max);
        for (int64_t d = 0; d < D; d++)
            out[r * D + d] = exp(x[d] - max) / sum;
    }
}

static void test_softmax(void **state)
{
#define SOFTMAX(what, ...)                                                      \
    {                                                                           \
        .name = "softmax " what, .in = {{__VA_ARGS__}}, .build = build_softmax, \
        .ref = ref_softmax, .tol = 2e-6, .alone_grad = true                     \
    }
    static const float large[] = {1000, 999, 998, -1000, -1000, -1001};
    const struct check_case cases[] = {
        SOFTMAX("of one", .shape = SHAPE(1)),
        SOFTMAX("of nothing", .shape = SHAPE(0, 3), .batched = true),
        SOFTMAX("odd", .shape = SHAPE(3, 2, 17), .batched = true, .std = 3),
        SOFTMAX("of large logits", .shape = SHAPE(2, 3), .values = large),
        SOFTMAX("wide", .shape = SHAPE(3, 17001), .batched = true),
        SOFTMAX("tall", .shape = SHAPE(2001, 19)),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pointwise),
        cmocka_unit_test(test_tails),
        cmocka_unit_test(test_gated),
        cmocka_unit_test(test_softmax),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
