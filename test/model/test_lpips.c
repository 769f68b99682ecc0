/*
 * test_lpips.c - the learned perceptual distance against the published implementation
 *
 * The backbones' true weights are not ours to copy.  These are drawn by a formula that
 * golden/lpips/reference.py draws them by too and are written as bfloat16, so that nothing is
 * rounded on the way; the linear layers are the published ones.  Golden distances and their
 * gradients are of double precision.
 */
#include "model/lpips.h"

#include "base/file.h"
#include "io/safetensors.h"
#include "ops/basic.h"
#include "support/drawn.h"
#include "support/temp.h"
#include "train/perceptual.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TENSORS = 64, NAME = 64, N = 2, SIDE = 64, LENGTH = SIDE * SIDE * 3 };

static const struct {
    const char *name;
    int64_t least[2], some[2]; /* height and width */
} networks[] = {
    {"alex", {31, 33}, {64, 48}},
    {"vgg", {16, 19}, {40, 33}},
    {"squeeze", {25, 28}, {62, 45}},
};
enum { NETWORKS = sizeof networks / sizeof *networks };

static char folder[TEMP_PATH], weights[NETWORKS][TEMP_PATH], heads[NETWORKS][TEMP_PATH];
static struct safetensors *golden;

/* --- files -------------------------------------------------------------------------------------
 */

struct layers {
    struct save_tensor tensor[TENSORS];
    char name[TENSORS][NAME];
    int n;
};

static void draw_tensor(struct save_tensor *t)
{
    int64_t count = t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
    double fan = (double)(count / t->dim[0]), spread = t->rank > 1 ? 73.9 * sqrt(fan / 2) : 1270;
    uint16_t *half = malloc((size_t)count * sizeof *half);
    uint32_t seed = drawn_seed(t->name), bits;

    assert_non_null(half);
    for (int64_t i = 0; i < count; i++) {
        float value = (float)((2 * (int)(drawn(seed, i) >> 25) - 127) / spread);

        memcpy(&bits, &value, sizeof bits);
        half[i] = (uint16_t)(bits >> 16);
    }
    t->bytes = half;
}

/* The layers that the golden list has, drawn. */
static void layers_read(struct layers *l, const char *network)
{
    char path[TEMP_PATH];
    int64_t d[4];
    FILE *f;

    snprintf(path, sizeof path, GOLDEN_DIR "/lpips/%s.txt", network);
    f = fopen(path, "r");
    assert_non_null(f);
    for (l->n = 0; fscanf(f, "%63s %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, l->name[l->n],
                          &d[0], &d[1], &d[2], &d[3]) == 5;
         l->n++) {
        struct save_tensor *t = &l->tensor[l->n];

        assert_true(l->n + 1 < TENSORS);
        *t = (struct save_tensor){.name = l->name[l->n], .dtype = FILE_BF16};
        t->rank = strstr(t->name, "bias") ? 1 : 4;
        memcpy(t->dim, d, sizeof d);
        draw_tensor(t);
    }
    fclose(f);
    assert_true(l->n > 0);
}

static void layers_release(struct layers *l)
{
    for (int i = 0; i < l->n; i++)
        free((void *)(uintptr_t)l->tensor[i].bytes);
}

static int set_up(void **state)
{
    static struct layers l;
    char file[NAME];

    (void)state;
    temp_dir_new(folder);
    for (int k = 0; k < NETWORKS; k++) {
        layers_read(&l, networks[k].name);
        temp_path(weights[k], folder, networks[k].name);
        assert_int_equal(safetensors_save(weights[k], l.tensor, l.n, NULL, 0, NULL), OK);
        layers_release(&l);
        snprintf(file, sizeof file, "lpips_%s_v0.1.safetensors", networks[k].name);
        temp_path(heads[k], GOLDEN_DIR "/lpips", file);
    }
    assert_int_equal(safetensors_open(&golden, GOLDEN_DIR "/lpips/distances.safetensors", NULL),
                     OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    safetensors_close(golden);
    temp_dir_remove(folder);
    return 0;
}

/* --- against the published implementation ------------------------------------------------------
 */

/* Slanted waves and some noise. */
static void draw_pictures(float *out, const char *name, int64_t height, int64_t width,
                          int64_t channels)
{
    uint32_t seed = drawn_seed(name);

    for (int64_t i = 0; i < N * height * width * channels; i++) {
        int64_t c = i % channels, x = i / channels % width, y = i / channels / width % height;
        int64_t n = i / channels / width / height;
        int64_t wave = (7 * x + 3 * y + 85 * c + 50 * n + x * y / 9) % 256;

        out[i] = (float)((double)(wave * 3 / 4 + (int64_t)(drawn(seed, i) >> 26)) / 127.5 - 1);
    }
}

static void agrees(const float *got, const char *key, double tolerance)
{
    const struct file_tensor *t = safetensors_find(golden, key);
    double most = 0, off = 0;
    float *want;

    if (!t)
        return;
    want = malloc((size_t)file_tensor_count(t) * sizeof *want);
    assert_non_null(want);
    assert_int_equal(file_tensor_f32(t, want, NULL), OK);
    for (int64_t i = 0; i < file_tensor_count(t); i++) {
        most = fmax(most, fabs((double)want[i]));
        off = fmax(off, fabs((double)got[i] - (double)want[i]));
    }
    if (!(off <= tolerance * most))
        fail_msg("%s: off by %g, of %g", key, off, most);
    free(want);
}

struct pair {
    struct shape shape;
    float x[N * LENGTH], y[N * LENGTH];
};

/* Distances of the first `rows` pairs, and the gradient of their sum by y. */
static void run(const struct lpips *l, const struct pair *p, int64_t rows, unsigned flags,
                int threads, float *each, float *grad)
{
    struct shape shape = p->shape;
    struct tensor *x, *y, *d;
    struct graph *g;

    shape.dim[0] = rows;
    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    x = graph_input(g, shape, p->x);
    y = graph_input(g, shape, p->y);
    graph_want_grad(y);
    d = lpips_distance(g, l, x, y);
    graph_keep(g, d);
    graph_backward(g, op_sum(g, d));
    graph_keep(g, y->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, d, each);
    graph_read(g, y->grad, grad);
    graph_free(g);
}

static void check_pair(const struct lpips *l, const char *network, const char *size,
                       const int64_t side[2], int64_t channels)
{
    static struct pair p;
    static float grad[N * LENGTH], again[N * LENGTH];
    int64_t length = side[0] * side[1] * channels;
    float each[N], alone[N];
    char key[NAME];

    p.shape = SHAPE(N, side[0], side[1], channels);
    draw_pictures(p.x, "x", side[0], side[1], channels);
    draw_pictures(p.y, "y", side[0], side[1], channels);
    assert_int_equal(lpips_check(l, side[0], side[1], channels, NULL), OK);
    run(l, &p, N, 0, 2, each, grad);
    snprintf(key, sizeof key, "%s.%s.%d", network, size, (int)channels);
    assert_non_null(safetensors_find(golden, key));
    agrees(each, key, 2e-5);
    snprintf(key, sizeof key, "%s.%s.%d.grad_y", network, size, (int)channels);
    agrees(grad, key, 1e-4);
    /* The same bits alone, on other threads and node by node. */
    run(l, &p, 1, 0, 1, alone, again);
    assert_memory_equal(each, alone, sizeof *each);
    assert_memory_equal(grad, again, (size_t)length * sizeof *grad);
    run(l, &p, N, GRAPH_EAGER, 3, alone, again);
    assert_memory_equal(each, alone, sizeof each);
    assert_memory_equal(grad, again, (size_t)(N * length) * sizeof *grad);
}

static void test_distances(void **state)
{
    (void)state;
    for (int k = 0; k < NETWORKS; k++) {
        struct lpips *l;

        assert_int_equal(lpips_open(&l, weights[k], heads[k], NULL), OK);
        for (int64_t channels = 1; channels <= 3; channels += 2) {
            check_pair(l, networks[k].name, "least", networks[k].least, channels);
            check_pair(l, networks[k].name, "some", networks[k].some, channels);
        }
        lpips_free(l);
    }
}

/* A picture is at no distance from itself, and at the same one there and back. */
static void test_symmetry(void **state)
{
    static struct pair p;
    static float grad[N * LENGTH], swap[N * LENGTH];
    float there[N], back[N];
    struct lpips *l;

    (void)state;
    assert_int_equal(lpips_open(&l, weights[2], heads[2], NULL), OK);
    p.shape = SHAPE(N, 32, 32, 3);
    draw_pictures(p.x, "x", 32, 32, 3);
    draw_pictures(p.y, "y", 32, 32, 3);
    run(l, &p, N, 0, 2, there, grad);
    memcpy(swap, p.x, sizeof swap);
    memcpy(p.x, p.y, sizeof swap);
    memcpy(p.y, swap, sizeof swap);
    run(l, &p, N, 0, 2, back, grad);
    for (int i = 0; i < N; i++)
        assert_true(there[i] > 0 && fabsf(there[i] - back[i]) < 1e-6f * there[i]);
    memcpy(p.y, p.x, sizeof p.y);
    run(l, &p, N, 0, 2, there, grad);
    for (int i = 0; i < N; i++)
        assert_true(there[i] == 0);
    for (int i = 0; i < N * 32 * 32 * 3; i++)
        assert_true(grad[i] == 0);
    lpips_free(l);
}

/* As a training sees it: the same distance. */
static void test_as_loss(void **state)
{
    static struct pair p;
    static float grad[N * LENGTH];
    struct perceptual *loss;
    float each[N], again[N];
    struct tensor *d;
    struct graph *g;
    struct lpips *l;

    (void)state;
    p.shape = SHAPE(N, 32, 32, 3);
    draw_pictures(p.x, "x", 32, 32, 3);
    draw_pictures(p.y, "y", 32, 32, 3);
    assert_int_equal(lpips_open(&l, weights[2], heads[2], NULL), OK);
    run(l, &p, N, 0, 2, each, grad);
    lpips_free(l);
    assert_int_equal(perceptual_open(&loss, weights[2], heads[2], NULL), OK);
    assert_int_equal(perceptual_check(loss, 32, 32, 3, NULL), OK);
    assert_int_equal(perceptual_check(loss, 32, 24, 3, NULL), E_ARG);
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    d = perceptual_distance(g, loss, graph_input(g, p.shape, p.x), graph_input(g, p.shape, p.y));
    graph_keep(g, d);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, d, again);
    assert_memory_equal(each, again, sizeof each);
    graph_free(g);
    perceptual_free(loss);
}

/* --- what is refused ---------------------------------------------------------------------------
 */

static void refused(const char *backbone, const char *head, enum status want, const char *says,
                    const char *and)
{
    struct error err = {0};
    struct lpips *l;
    enum status st = lpips_open(&l, backbone, head, &err);

    assert_null(l);
    if (st != want || !strstr(err.text, says) || !strstr(err.text, and))
        fail_msg("%s: '%s' does not say '%s' and '%s'", status_name(st), err.text, says, and);
}

static void test_false_files(void **state)
{
    static struct layers l;
    static const float below[] = {1, -0.5f};
    const struct save_tensor head = {
        .name = "lin0.model.1.weight", .dtype = FILE_F32, .rank = 1, .dim = {2}, .bytes = below};
    char path[TEMP_PATH];
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    temp_path(path, folder, "false");
    refused("/nowhere/vgg", heads[1], E_IO, "/nowhere/vgg", "");
    refused(weights[1], "/nowhere/heads", E_IO, "/nowhere/heads", "");
    /* Heads of another network, and no network at all. */
    refused(weights[0], heads[1], E_FORMAT, "alexnet", "lin1.model.1.weight");
    refused(heads[0], heads[0], E_FORMAT, "AlexNet", "features.28.weight");
    /* One layer is missing, one too many, one of another shape. */
    layers_read(&l, "squeeze");
    assert_int_equal(safetensors_save(path, l.tensor + 1, l.n - 1, NULL, 0, NULL), OK);
    refused(path, heads[2], E_FORMAT, "1 missing", "squeezenet1_1");
    l.tensor[0].name = "features.13.weight";
    assert_int_equal(safetensors_save(path, l.tensor, l.n, NULL, 0, NULL), OK);
    refused(path, heads[2], E_FORMAT, "1 missing", "1 unexpected");
    l.tensor[0].name = l.name[0];
    l.tensor[0].dim[0] /= 2;
    assert_int_equal(safetensors_save(path, l.tensor, l.n, NULL, 0, NULL), OK);
    refused(path, heads[2], E_FORMAT, "1 of another shape", l.name[0]);
    layers_release(&l);
    /* Heads of the wrong width, or below zero, are told. */
    assert_int_equal(safetensors_save(path, &head, 1, NULL, 0, NULL), OK);
    refused(weights[2], path, E_FORMAT, "6 missing, 1 of another shape", "squeezenet1_1");
    assert_int_equal(file_read(&bytes, &n, heads[2], 1 << 20, NULL), OK);
    bytes[n - 1] |= 0x80;
    assert_int_equal(file_write(path, bytes, n, NULL), OK);
    refused(weights[2], path, E_FORMAT, "0 or more", "in channel 511");
    /* Every 97th byte changed: never more than a sentence. */
    bytes[n - 1] &= 0x7F;
    for (uint64_t i = 0; i < n; i += 97) {
        struct lpips *open;
        struct error err = {0};

        bytes[i] ^= (uint8_t)(1 << i % 7);
        assert_int_equal(file_write(path, bytes, n, NULL), OK);
        if (lpips_open(&open, weights[2], path, &err))
            assert_true(err.text[0] != 0);
        lpips_free(open);
        bytes[i] ^= (uint8_t)(1 << i % 7);
    }
    free(bytes);
}

static void test_false_pictures(void **state)
{
    (void)state;
    for (int k = 0; k < NETWORKS; k++) {
        struct error err = {0};
        struct lpips *l;
        const int64_t *least = networks[k].least;

        assert_int_equal(lpips_open(&l, weights[k], heads[k], NULL), OK);
        assert_int_equal(lpips_check(l, least[0], least[0], 3, &err), OK);
        assert_int_equal(lpips_check(l, least[0] - 1, 64, 3, &err), E_ARG);
        assert_int_equal(lpips_check(l, 64, least[0] - 1, 1, &err), E_ARG);
        assert_int_equal(lpips_check(l, 64, 64, 4, &err), E_ARG);
        assert_non_null(strstr(err.text, "not of 4"));
        lpips_free(l);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),      cmocka_unit_test(test_symmetry),
        cmocka_unit_test(test_as_loss),        cmocka_unit_test(test_false_files),
        cmocka_unit_test(test_false_pictures),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
