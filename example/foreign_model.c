/*
 * foreign_model.c - a network from elsewhere, with weights trained elsewhere, sampled by imgen
 *
 * Two small noise-prediction networks (DDPM, Ho et al. 2020) that their author trained on MNIST and
 * on Fashion-MNIST, in a make of their own: layer norms over whole pictures, no residuals, learned
 * tables of times, transposed convolutions.  Bringing such a network takes three things:
 *
 *   1. its parameters declared under the names, shapes and order of dimensions of its file, so that
 *      loading is a lookup and a mistake is a list of what does not fit;
 *   2. its forward recorded with the library's ops, channels last;
 *   3. a callback that answers with predictions, the path it was trained on, and what it predicts.
 *
 * Then every solver of the library samples from it.  Here that is checked against the author's own
 * code: predictions to 1e-4, fifty steps of DDIM to 1e-2.  Without clipping many of its samples run
 * away, in the reference too, so numbers beyond 3 are not compared; the pictures at the end are
 * made with the picture clipped at every step, as DDPM does.
 *
 *     cc foreign_model.c $(pkg-config --cflags --libs imgen) -lm -o foreign_model
 *     ./foreign_model FOLDER [STEPS [PICTURES]]
 *
 * FOLDER holds ddpm_mnist.safetensors, ddpm_fashion.safetensors and ref.safetensors; the pictures
 * take STEPS steps (1000, or a divisor of it) and go to the folder PICTURES.
 */
#include <imgen.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, TIMES = 1000, FEATURES = 100, ROWS = 16, UNITS = 3 };

static const char prediction[] = "noise", path[] = "ddpm_linear"; /* rates from 1e-4 to 0.02 */

static void check(enum imgen_status st, const struct imgen_error *err)
{
    if (!st)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

/* ---- 1. What the file holds ---- */

/* The stages of the U-Net: its name in the file, the side of its pictures, and the channels before
 * and after each of its three units. */
enum { DOWN1, DOWN2, DOWN3, MIDDLE, UP4, UP5, OUT, STAGES };
static const struct layout {
    const char *name;
    int64_t side, channels[UNITS + 1];
} layout[STAGES] = {
    [DOWN1] = {"1", 28, {1, 10, 10, 10}},   [DOWN2] = {"2", 14, {10, 20, 20, 20}},
    [DOWN3] = {"3", 7, {20, 40, 40, 40}},   [MIDDLE] = {"_mid", 3, {40, 20, 20, 40}},
    [UP4] = {"4", 7, {80, 40, 20, 20}},     [UP5] = {"5", 14, {40, 20, 10, 10}},
    [OUT] = {"_out", 28, {20, 10, 10, 10}},
};

/* Parameters by number; a bias follows its weight. */
struct stage {
    int time1, time2; /* the time's way in: two linear layers */
    struct {
        int norm, conv1, conv2;
    } unit[UNITS];
};

struct net {
    struct imgen_graph *g;
    struct imgen_params *p;
    struct stage stage[STAGES];
    int times, down1, down2, down3a, down3b, up1a, up1b, up2, up3, out;
    struct imgen_solving solving;
    int clips; /* keep the predicted picture in -1 .. 1 */
    float x[ROWS * PIXELS], eps[ROWS * PIXELS];
    int32_t index[ROWS];
};

/* A parameter PREFIX.NAME that the file keeps in another order. */
static int add(struct net *n, const char *prefix, const char *name, int rank, const int64_t *dim,
               int file_rank, const int64_t *file_dim, const int *order)
{
    char key[64];

    snprintf(key, sizeof key, "%s.%s", prefix, name);
    return imgen_param_add_stored(n->p, key, rank, dim, IMGEN_ZERO, file_rank, file_dim, order);
}

static int add_plain(struct net *n, const char *prefix, const char *name, int rank,
                     const int64_t *dim)
{
    return add(n, prefix, name, rank, dim, rank, dim, (const int[]){0, 1});
}

static int add_linear(struct net *n, const char *prefix, int64_t out, int64_t in)
{
    int number = add_plain(n, prefix, "weight", 2, (int64_t[]){out, in});

    add_plain(n, prefix, "bias", 1, &out);
    return number;
}

/* a, b: outputs and inputs of a convolution, inputs and outputs of a transposed one.  Files keep
 * [a, b, k, k], the library [a, k, k, b]; n_bias is the number of outputs. */
static int add_kernel(struct net *n, const char *prefix, int64_t a, int64_t b, int64_t k,
                      int64_t n_bias)
{
    int number = add(n, prefix, "weight", 4, (int64_t[]){a, k, k, b}, 4, (int64_t[]){a, b, k, k},
                     (const int[]){0, 2, 3, 1});

    add_plain(n, prefix, "bias", 1, &n_bias);
    return number;
}

static int add_conv(struct net *n, const char *prefix, int64_t out, int64_t in, int64_t k)
{
    return add_kernel(n, prefix, out, in, k, out);
}

static int add_transposed(struct net *n, const char *prefix, int64_t in, int64_t out, int64_t k)
{
    return add_kernel(n, prefix, in, out, k, out);
}

/* Over channels, rows and columns at once: [C, H, W] in the file, [H W C] here. */
static int add_norm(struct net *n, const char *prefix, int64_t side, int64_t channels)
{
    const int64_t dim = side * side * channels, file[] = {channels, side, side};
    const int order[] = {1, 2, 0};
    int number = add(n, prefix, "weight", 1, &dim, 3, file, order);

    add(n, prefix, "bias", 1, &dim, 3, file, order);
    return number;
}

static void add_stage(struct net *n, struct stage *s, const struct layout *l)
{
    const int64_t *c = l->channels;
    char name[32];

    snprintf(name, sizeof name, "te%s.0", l->name);
    s->time1 = add_linear(n, name, c[0], FEATURES);
    snprintf(name, sizeof name, "te%s.2", l->name);
    s->time2 = add_linear(n, name, c[0], c[0]);
    for (int u = 0; u < UNITS; u++) {
        snprintf(name, sizeof name, "b%s.%d.ln", l->name, u);
        s->unit[u].norm = add_norm(n, name, l->side, c[u]);
        snprintf(name, sizeof name, "b%s.%d.conv1", l->name, u);
        s->unit[u].conv1 = add_conv(n, name, c[u + 1], c[u], 3);
        snprintf(name, sizeof name, "b%s.%d.conv2", l->name, u);
        s->unit[u].conv2 = add_conv(n, name, c[u + 1], c[u + 1], 3);
    }
}

static void declare(struct net *n)
{
    n->times = add_plain(n, "time_embed", "weight", 2, (int64_t[]){TIMES, FEATURES});
    for (int s = 0; s < STAGES; s++)
        add_stage(n, &n->stage[s], &layout[s]);
    n->down1 = add_conv(n, "down1", 10, 10, 4);
    n->down2 = add_conv(n, "down2", 20, 20, 4);
    n->down3a = add_conv(n, "down3.0", 40, 40, 2);
    n->down3b = add_conv(n, "down3.2", 40, 40, 4);
    n->up1a = add_transposed(n, "up1.0", 40, 40, 4);
    n->up1b = add_transposed(n, "up1.2", 40, 40, 2);
    n->up2 = add_transposed(n, "up2", 20, 20, 4);
    n->up3 = add_transposed(n, "up3", 10, 10, 4);
    n->out = add_conv(n, "conv_out", 1, 10, 3);
}

/* ---- 2. The forward ---- */

static struct imgen_tensor *param(struct net *n, int number)
{
    return imgen_param(n->g, n->p, number);
}

static struct imgen_tensor *linear(struct net *n, int number, struct imgen_tensor *x)
{
    return imgen_linear(n->g, x, param(n, number), param(n, number + 1));
}

static struct imgen_tensor *conv(struct net *n, int number, struct imgen_tensor *x, int stride,
                                 int padding)
{
    return imgen_conv2d(n->g, x, param(n, number), param(n, number + 1), stride, padding);
}

static struct imgen_tensor *transposed(struct net *n, int number, struct imgen_tensor *x,
                                       int stride, int padding)
{
    return imgen_conv2d_transposed(n->g, x, param(n, number), param(n, number + 1), stride,
                                   padding);
}

static struct imgen_tensor *norm(struct net *n, int number, struct imgen_tensor *x)
{
    const int64_t whole[] = {imgen_dim(x, 0), imgen_dim(x, 1), imgen_dim(x, 2), imgen_dim(x, 3)};
    const int64_t flat[] = {whole[0], whole[1] * whole[2] * whole[3]};
    struct imgen_tensor *y = imgen_reshape(n->g, x, 2, flat);

    y = imgen_layernorm(n->g, y, param(n, number), param(n, number + 1), 1e-5);
    return imgen_reshape(n->g, y, 4, whole);
}

/* The time is added to every pixel, then come the units: norm, conv, SiLU, conv, SiLU.  The last
 * one of the network has a norm in the file and does not use it. */
static struct imgen_tensor *stage(struct net *n, int which, struct imgen_tensor *x,
                                  struct imgen_tensor *e)
{
    const struct stage *s = &n->stage[which];

    e = linear(n, s->time2, imgen_silu(n->g, linear(n, s->time1, e)));
    x = imgen_add_vec(n->g, x, e);
    for (int u = 0; u < UNITS; u++) {
        if (which != OUT || u != UNITS - 1)
            x = norm(n, s->unit[u].norm, x);
        x = imgen_silu(n->g, conv(n, s->unit[u].conv1, x, 1, 1));
        x = imgen_silu(n->g, conv(n, s->unit[u].conv2, x, 1, 1));
    }
    return x;
}

/* The noise in n->x [rows] at the times n->index, into n->eps. */
static enum imgen_status forward(struct net *n, int64_t rows, struct imgen_error *err)
{
    struct imgen_graph *g = n->g;
    struct imgen_tensor *x, *e, *o1, *o2, *o3, *m;
    enum imgen_status st;

    imgen_graph_reset(g);
    x = imgen_input(g, 4, (int64_t[]){rows, SIDE, SIDE, 1}, n->x);
    e = imgen_embedding(g, param(n, n->times), imgen_labels(g, rows, n->index));
    o1 = stage(n, DOWN1, x, e);                           /* 28 x 28 x 10 */
    o2 = stage(n, DOWN2, conv(n, n->down1, o1, 2, 1), e); /* 14 x 14 x 20 */
    o3 = stage(n, DOWN3, conv(n, n->down2, o2, 2, 1), e); /*  7 x  7 x 40 */
    m = imgen_silu(g, conv(n, n->down3a, o3, 1, 0));      /*  6 x  6 x 40 */
    m = stage(n, MIDDLE, conv(n, n->down3b, m, 2, 1), e); /*  3 x  3 x 40 */
    m = transposed(n, n->up1b, imgen_silu(g, transposed(n, n->up1a, m, 2, 1)), 1, 0);
    m = stage(n, UP4, imgen_concat(g, o3, m), e);                              /*  7 x  7 x 20 */
    m = stage(n, UP5, imgen_concat(g, o2, transposed(n, n->up2, m, 2, 1)), e); /* 14 x 14 x 10 */
    m = stage(n, OUT, imgen_concat(g, o1, transposed(n, n->up3, m, 2, 1)), e); /* 28 x 28 x 10 */
    m = conv(n, n->out, m, 1, 1);
    imgen_keep(g, m);
    if ((st = imgen_graph_run(g, err)))
        return st;
    imgen_read(g, m, n->eps);
    return IMGEN_OK;
}

/* ---- 3. What a solver asks ---- */

/* Index k of the discrete process stands at t = 1 - (k + 1) / 1000. */
static double time_of(int64_t index)
{
    return 1 - (double)(index + 1) / TIMES;
}

/* The noise that leads to the predicted picture once that is clipped: z = (x - beta eps) / alpha.
 */
static double clipped(double eps, double x, double alpha, double beta)
{
    double z = fmax(-1, fmin(1, (x - beta * eps) / alpha));

    return (x - alpha * z) / beta;
}

static int predict(double *out, const double *x, double t, int guided, void *user)
{
    struct net *n = user;
    int64_t rows = n->solving.rows;
    double alpha, beta;

    (void)guided; /* it knows no labels */
    for (int64_t i = 0; i < rows; i++)
        n->index[i] = (int32_t)lround(TIMES * (1 - t) - 1);
    for (int64_t i = 0; i < rows * PIXELS; i++)
        n->x[i] = (float)x[i];
    if (forward(n, rows, NULL) || imgen_path_at(&n->solving, t, &alpha, &beta, NULL))
        return 1;
    for (int64_t i = 0; i < rows * PIXELS; i++)
        out[i] = n->clips ? clipped((double)n->eps[i], x[i], alpha, beta) : (double)n->eps[i];
    return 0;
}

/* ---- Against the author's own code ---- */

static void read_reference(float *out, int64_t count, const struct imgen_file *ref,
                           const char *what, const char *which, struct imgen_error *err)
{
    char name[32];

    snprintf(name, sizeof name, "%s%s", what, which);
    check(imgen_file_read(ref, name, out, count, err), err);
}

/* The largest difference where the reference stays in [-limit, limit]; *n_seen of `count` do. */
static double difference(const float *got, const float *want, int64_t count, double limit,
                         int64_t *n_seen)
{
    double most = 0;

    *n_seen = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!(fabs((double)want[i]) <= limit))
            continue;
        most = fmax(most, fabs((double)got[i] - (double)want[i]));
        ++*n_seen;
    }
    return most;
}

static int compare_noise(struct net *n, const struct imgen_file *ref, const char *which,
                         struct imgen_error *err)
{
    enum { N = 4 };
    float want[N * PIXELS], t[N];
    int64_t seen;
    double off;

    read_reference(n->x, N * PIXELS, ref, "x", "", err);
    read_reference(t, N, ref, "t", "", err);
    read_reference(want, N * PIXELS, ref, "eps_", which, err);
    for (int i = 0; i < N; i++)
        n->index[i] = (int32_t)t[i];
    check(forward(n, N, err), err);
    off = difference(n->eps, want, N * PIXELS, HUGE_VAL, &seen);
    printf("  noise predictions  off by %.1e at most (1e-4 allowed)\n", off);
    return off <= 1e-4;
}

/* Deterministic DDIM at the indices 980, 960, ..., 0, from there to the picture itself. */
static int compare_ddim(struct net *n, const struct imgen_file *ref, const char *which,
                        struct imgen_error *err)
{
    enum { STEPS = 50 };
    static float start[ROWS * PIXELS], want[ROWS * PIXELS], got[ROWS * PIXELS];
    static double x[ROWS * PIXELS];
    double times[STEPS + 1], off;
    int64_t seen;

    read_reference(start, ROWS * PIXELS, ref, "x_T", "", err);
    read_reference(want, ROWS * PIXELS, ref, "ddim50_", which, err);
    for (int i = 0; i < ROWS * PIXELS; i++)
        x[i] = (double)start[i];
    for (int k = 0; k < STEPS; k++)
        times[k] = time_of(20 * (STEPS - 1 - k));
    times[STEPS] = 1;
    n->clips = 0;
    n->solving.sampler = "ddim";
    n->solving.times = times;
    n->solving.n_times = STEPS + 1;
    check(imgen_solve(x, &n->solving, err), err);
    n->solving.times = NULL;
    for (int i = 0; i < ROWS * PIXELS; i++)
        got[i] = (float)x[i];
    off = difference(got, want, ROWS * PIXELS, 3, &seen);
    printf(
        "  50 steps of DDIM   off by %.1e at most (1e-2 allowed) on the %.1f %% within [-3, 3]\n",
        off, 100.0 * (double)seen / (ROWS * PIXELS));
    return off <= 1e-2;
}

/* ---- Pictures ---- */

static void draw(struct net *n, const char *which, int steps, const char *folder,
                 struct imgen_error *err)
{
    static double x[ROWS * PIXELS];
    static float pixels[ROWS * PIXELS];
    const struct imgen_sheet sheet = {2, ROWS / 2, SIDE,      SIDE,
                                      1, .gap = 4, .zoom = 3, .ground = 255};
    struct imgen_image image = {0};
    char name[1024];

    n->clips = 1;
    n->solving.sampler = "euler_ancestral"; /* DDPM's own */
    n->solving.steps = steps;
    imgen_flow_noise(x, ROWS, PIXELS, 1);
    check(imgen_solve(x, &n->solving, err), err);
    for (int i = 0; i < ROWS * PIXELS; i++)
        pixels[i] = (float)x[i];
    snprintf(name, sizeof name, "%s/foreign_%s.png", folder, which);
    check(imgen_sheet_draw(&image, pixels, &sheet, err), err);
    check(imgen_image_write(name, &image, err), err);
    imgen_image_release(&image);
    printf("  %d pictures in %d steps, clipped: %s\n", ROWS, steps, name);
}

static int bring(struct net *n, const char *folder, const struct imgen_file *ref, const char *which,
                 struct imgen_error *err)
{
    char name[1024];
    int good;

    snprintf(name, sizeof name, "%s/ddpm_%s.safetensors", folder, which);
    check(imgen_params_load(n->p, name, err), err);
    printf("%s\n", name);
    good = compare_noise(n, ref, which, err);
    return compare_ddim(n, ref, which, err) && good;
}

int main(int argc, char **argv)
{
    static const char *const models[] = {"mnist", "fashion"};
    static struct net n;
    int steps = argc > 2 ? atoi(argv[2]) : TIMES, good = 1;
    struct imgen_file *ref;
    struct imgen_error err;
    char name[1024];

    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s FOLDER [STEPS [PICTURES]]\n", argv[0]);
        return 2;
    }
    snprintf(name, sizeof name, "%s/ref.safetensors", argv[1]);
    check(imgen_file_open(&ref, name, &err), &err);
    check(imgen_graph_new(&n.g, 0, &err), &err);
    check(imgen_params_new(&n.p, &err), &err);
    declare(&n);
    check(imgen_params_init(n.p, 0, &err), &err);
    imgen_solving_init(&n.solving, ROWS, PIXELS, predict, &n);
    n.solving.path = path;
    n.solving.prediction = prediction;
    for (int k = 0; k < 2; k++) {
        good &= bring(&n, argv[1], ref, models[k], &err);
        draw(&n, models[k], steps, argc > 3 ? argv[3] : ".", &err);
    }
    imgen_params_free(n.p);
    imgen_graph_free(n.g);
    imgen_file_close(ref);
    return !good;
}
