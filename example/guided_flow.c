/*
 * guided_flow.c - guided flow matching, whole: data, network, loss, training, guidance, sampling
 *
 * Four classes of points in the plane, one round each corner of a square, so wide that they
 * overlap.  A network u learns the velocity of the straight path x_t = t z + (1 - t) eps,
 *
 *     min  E | u(x_t, t, y) - (z - eps) |^2,     y replaced by "none" once in five times,
 *
 * and dx/dt = (1 - w) u(x, t, none) + w u(x, t, y) turns noise into points of class y.  With w = 0
 * one point in four lies in the quarter asked for, by chance; with w = 1 as many as in the data;
 * with w = 3 nearly all.  theory.md 3.8; Lipman et al. 2023; Ho and Salimans 2022.
 *
 *     cc guided_flow.c $(pkg-config --cflags --libs imgen) -o guided_flow && ./guided_flow
 */
#include <imgen.h>

#include <stdio.h>
#include <stdlib.h>

enum { CLASSES = 4, NONE = CLASSES, WIDTH = 64, TIMES = 32, BATCH = 256, STEPS = 800 };

struct net {
    struct imgen_graph *g;
    struct imgen_params *p;
    int in, time, label, hidden, out; /* parameters by number; a layer's bias follows its weight */
    float x[BATCH * 2], t[BATCH], u[BATCH * 2];
    int32_t y[BATCH];
};

static void check(enum imgen_status st, const struct imgen_error *err)
{
    if (!st)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

/* ---- The network: u = out(silu(hidden(silu(in x + c)) + c)),  c = time(t) + label[y] ---- */

static int add_layer(struct net *n, const char *weight, const char *bias, int64_t out, int64_t in)
{
    int number = imgen_param_add(n->p, weight, 2, (int64_t[]){out, in}, IMGEN_KAIMING);

    imgen_param_add(n->p, bias, 1, &out, IMGEN_ZERO);
    return number;
}

static struct imgen_tensor *layer(struct net *n, int number, struct imgen_tensor *x)
{
    return imgen_linear(n->g, x, imgen_param(n->g, n->p, number),
                        imgen_param(n->g, n->p, number + 1));
}

static struct imgen_tensor *velocity(struct net *n)
{
    struct imgen_graph *g = n->g;
    struct imgen_tensor *x, *t, *c;

    imgen_graph_reset(g);
    x = imgen_input(g, 2, (int64_t[]){BATCH, 2}, n->x);
    t = imgen_affine(g, imgen_input(g, 1, (int64_t[]){BATCH}, n->t), 1000, 0);
    c = imgen_add(g, layer(n, n->time, imgen_time_features(g, t, TIMES)),
                  imgen_embedding(g, imgen_param(g, n->p, n->label), imgen_labels(g, BATCH, n->y)));
    x = imgen_silu(g, imgen_add(g, layer(n, n->in, x), c));
    x = imgen_silu(g, imgen_add(g, layer(n, n->hidden, x), c));
    return layer(n, n->out, x);
}

/* ---- Training ---- */

/* Points of class i % 4: a corner of the square, plus noise of standard deviation 0.7. */
static void draw_data(float *z, int32_t *y, uint64_t first)
{
    double noise[BATCH * 2];

    imgen_flow_noise(noise, BATCH, 2, 1000000 + first);
    for (int i = 0; i < BATCH; i++) {
        y[i] = i % CLASSES;
        z[2 * i] = (float)(0.7 * noise[2 * i] + (y[i] & 1 ? 1 : -1));
        z[2 * i + 1] = (float)(0.7 * noise[2 * i + 1] + (y[i] & 2 ? 1 : -1));
    }
}

static void train(struct net *n, struct imgen_error *err)
{
    float z[BATCH * 2], target[BATCH * 2];

    for (uint64_t step = 0; step < STEPS; step++) {
        struct imgen_tensor *u, *loss;

        draw_data(z, n->y, step * BATCH);
        check(imgen_flow_batch(z, n->y, BATCH, 2, 1, step * BATCH, 0.2, NONE, n->x, n->t, target,
                               err),
              err);
        u = velocity(n);
        loss = imgen_mse(n->g, u, imgen_input(n->g, 2, (int64_t[]){BATCH, 2}, target));
        imgen_backward(n->g, loss);
        check(imgen_graph_run(n->g, err), err);
        imgen_params_step(n->p, 0.003 * (double)(STEPS - step) / STEPS);
    }
}

/* ---- Sampling ---- */

/* What the solver asks for: u(x, t, y) when guided, u(x, t, none) when not.  Row i asks for i % 4.
 */
static int field(double *out, const double *x, double t, int guided, void *user)
{
    struct net *n = user;
    struct imgen_tensor *u;

    for (int i = 0; i < BATCH * 2; i++) {
        n->x[i] = (float)x[i];
        n->t[i / 2] = (float)t;
        n->y[i / 2] = guided ? i / 2 % CLASSES : NONE;
    }
    u = velocity(n);
    imgen_keep(n->g, u);
    if (imgen_graph_run(n->g, NULL))
        return 1;
    imgen_read(n->g, u, n->u);
    for (int i = 0; i < BATCH * 2; i++)
        out[i] = n->u[i];
    return 0;
}

/* The share of points that land in the quarter of the plane that was asked for, in percent. */
static double obeyed(struct net *n, double w, struct imgen_error *err)
{
    double x[BATCH * 2];
    int right = 0;

    imgen_flow_noise(x, BATCH, 2, 42);
    check(imgen_flow_sample(x, BATCH, 2, "heun", 20, w, field, n, err), err);
    for (int i = 0; i < BATCH; i++)
        right += (x[2 * i] > 0 ? 1 : 0) + (x[2 * i + 1] > 0 ? 2 : 0) == i % CLASSES;
    printf("w = %g: %3.0f %% land where they were asked to\n", w, 100.0 * right / BATCH);
    return 100.0 * right / BATCH;
}

int main(void)
{
    struct imgen_error err;
    struct net n = {0};
    double none, plain, strong;

    check(imgen_graph_new(&n.g, 1, &err), &err);
    check(imgen_params_new(&n.p, &err), &err);
    n.in = add_layer(&n, "in.weight", "in.bias", WIDTH, 2);
    n.time = add_layer(&n, "time.weight", "time.bias", WIDTH, TIMES);
    n.hidden = add_layer(&n, "hidden.weight", "hidden.bias", WIDTH, WIDTH);
    n.out = add_layer(&n, "out.weight", "out.bias", 2, WIDTH);
    n.label = imgen_param_add(n.p, "label", 2, (int64_t[]){CLASSES + 1, WIDTH}, IMGEN_NORMAL_002);
    check(imgen_params_init(n.p, 1, &err), &err);
    train(&n, &err);
    none = obeyed(&n, 0, &err);
    plain = obeyed(&n, 1, &err);
    strong = obeyed(&n, 3, &err);
    imgen_params_free(n.p);
    imgen_graph_free(n.g);
    return !(none < 35 && plain > 70 && strong > 95);
}
