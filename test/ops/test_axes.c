/*
 * test_axes.c - positions in a grid of time, height and width, from a table for each
 */
#include "ops/axes.h"

#include "support/check_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tensor *build(struct graph *g, struct tensor *const in[], const struct check_case *c)
{
    return op_axes(g, in[0], in[1], in[2], (struct cells){c->arg[0].i, c->arg[1].i, c->arg[2].i});
}

static void ref(double *out, const double *const in[], const struct check_case *c)
{
    int64_t H = c->arg[1].i, W = c->arg[2].i, D = shape_last(c->out);

    for (int64_t i = 0; i < shape_count(c->out); i++) {
        int64_t d = i % D, x = i / D % W, y = i / D / W % H, t = i / D / W / H;

        out[i] = in[0][t * D + d] + in[1][y * D + d] + in[2][x * D + d];
    }
}

/* Tables of A, B and C rows, of which a grid of T x H x W reads the first. */
#define AXES(what, A, B, C, T, H, W, D)                                                       \
    {                                                                                         \
        .name = what,                                                                         \
        .in = {{.shape = SHAPE(A, D), .param = true},                                         \
               {.shape = SHAPE(B, D), .param = true},                                         \
               {.shape = SHAPE(C, D), .param = true}},                                        \
        .arg = {{.i = T}, {.i = H}, {.i = W}}, .out = SHAPE(1, T * H * W, D), .build = build, \
        .ref = ref                                                                            \
    }

static void test_axes(void **state)
{
    const struct check_case cases[] = {
        AXES("exact", 3, 4, 5, 3, 4, 5, 6),      AXES("rows left over", 4, 6, 9, 2, 3, 5, 7),
        AXES("one cell", 1, 1, 1, 1, 1, 1, 1),   AXES("one frame", 8, 4, 4, 1, 4, 4, 16),
        AXES("large", 9, 16, 17, 8, 16, 16, 72), AXES("empty", 2, 2, 2, 0, 2, 2, 3),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
