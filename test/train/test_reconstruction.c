/*
 * test_reconstruction.c - an autoencoder's losses against the formulas in double
 */
#include "train/reconstruction.h"

#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NUMBERS = 5 * 4 * 3 };
static const double PERCEPTUAL = 0.7;

/* arg: distance, whether the perceptual part and the scale are there. */
static struct tensor *build(struct graph *g, struct tensor *const in[CHECK_INS],
                            const struct check_case *c)
{
    struct tensor *loss = pixel_loss(g, in[0], in[1], (enum pixel_distance)c->arg[0].i);

    if (in[2])
        loss = perceptual_loss(g, loss, in[2], PERCEPTUAL, NUMBERS);
    if (in[3])
        loss = scaled_loss(g, loss, in[3], NUMBERS);
    return loss;
}

/* Number by number, as the published loss has it: the perceptual distance stands at each. */
static void ref(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t N = c->in[0].shape.dim[0];

    out[0] = 0;
    for (int64_t i = 0; i < N * NUMBERS; i++) {
        double d = in[0][i] - in[1][i], rec = c->arg[0].i == PIXELS_L1 ? fabs(d) : d * d;

        if (in[2])
            rec += PERCEPTUAL * in[2][i / NUMBERS];
        if (in[3])
            rec = rec / exp(in[3][0]) + in[3][0];
        out[0] += rec / (double)N;
    }
}

static void test_losses(void **state)
{
    (void)state;
    for (int how = 0; pixel_distance_name(how); how++)
        for (int parts = 0; parts < 4; parts++) {
            struct check_case c = {
                .name = pixel_distance_name(how),
                .in = {{.shape = SHAPE(3, 5, 4, 3)}, {.shape = SHAPE(3, 5, 4, 3)}},
                .arg = {{.i = how}},
                .out = SHAPE(1),
                .build = build,
                .ref = ref};

            if (parts & 1)
                c.in[2] = (struct check_input){.shape = SHAPE(3), .mean = 1, .std = 0.2};
            if (parts & 2)
                c.in[3] = (struct check_input){.shape = SHAPE(1), .std = 0.5};
            check_op(&c);
        }
}

static struct tensor *build_edges(struct graph *g, struct tensor *const in[CHECK_INS],
                                  const struct check_case *c)
{
    (void)c;
    return edge_loss(g, in[0], in[1]);
}

/* Each pixel against the one below and the one beside it, in pictures of H x W. */
static void ref_edges(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t N = c->in[0].shape.dim[0], H = c->in[0].shape.dim[1], W = c->in[0].shape.dim[2];
    double below = 0, beside = 0;

    for (int64_t i = 0; i < N * H * W * 3; i++) {
        int64_t y = i / (W * 3) % H, x = i / 3 % W, down = i + W * 3, right = i + 3;

        if (y + 1 < H)
            below += pow(in[0][down] - in[1][down] - in[0][i] + in[1][i], 2);
        if (x + 1 < W)
            beside += pow(in[0][right] - in[1][right] - in[0][i] + in[1][i], 2);
    }
    out[0] = (double)(H * W * 3) *
             (below / (double)(N * (H - 1) * W * 3) + beside / (double)(N * H * (W - 1) * 3));
}

static void test_edges(void **state)
{
    struct check_case c = {.name = "edges",
                           .in = {{.shape = SHAPE(2, 5, 4, 3)}, {.shape = SHAPE(2, 5, 4, 3)}},
                           .out = SHAPE(1),
                           .build = build_edges,
                           .ref = ref_edges};

    (void)state;
    check_op(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_losses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
