/*
 * test_inception.c - Inception-v3 against torchvision's, in both forms and every way of scaling
 *
 * The true weights are 95 MB and not ours to copy.  These are drawn by a formula that
 * golden/inception/reference.py draws them by too: whole numbers of 8 bits in the convolutions,
 * scaled by the norms after them.  The golden features are of double precision.
 */
#include "eval/features.h"
#include "eval/inception.h"
#include "io/safetensors.h"

#include "base/file.h"
#include "imgen.h"
#include "support/drawn.h"
#include "support/temp.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LAYERS = 94, PARTS = 5, SPARE = 4, TENSORS = LAYERS * PARTS + SPARE, NAME = 80 };
enum { D = INCEPTION_FEATURES, PIXELS = 320 * 450 * 3 };

static char folder[TEMP_PATH], weights[TEMP_PATH];
static struct save_tensor tensor[TENSORS];
static char name[TENSORS][NAME];
static struct weights *golden;

/* --- numbers drawn by the formula --------------------------------------------------------------
 */

static double unit(uint32_t seed, int64_t i)
{
    return (double)(drawn(seed, i) >> 8) / (1 << 24);
}

static struct save_tensor *add_tensor(int *n, const char *layer, const char *part,
                                      enum file_dtype dtype, int rank, const int64_t *dim)
{
    struct save_tensor *t = &tensor[*n];
    int64_t count = 1;

    snprintf(name[*n], NAME, "%s.%s", layer, part);
    *t = (struct save_tensor){.name = name[*n], .dtype = dtype, .rank = rank};
    for (int k = 0; k < rank; k++)
        count *= t->dim[k] = dim[k];
    t->bytes = calloc((size_t)count, file_dtype_size(dtype));
    assert_non_null(t->bytes);
    ++*n;
    return t;
}

static void draw_layer(int *n, const char *layer, const int64_t shape[4])
{
    static const char *const part[] = {"bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"};
    const struct save_tensor *t = add_tensor(n, layer, "conv.weight", FILE_I8, 4, shape);
    int64_t fan = shape[1] * shape[2] * shape[3];
    double spread = 73.9 * sqrt((double)fan / 2);
    int8_t *whole = (int8_t *)(uintptr_t)t->bytes;
    uint32_t seed = drawn_seed(t->name);

    for (int64_t i = 0; i < shape[0] * fan; i++)
        whole[i] = (int8_t)(2 * (int)(drawn(seed, i) >> 25) - 127);
    for (int k = 0; k < PARTS - 1; k++) {
        const struct save_tensor *p = add_tensor(n, layer, part[k], FILE_F32, 1, shape);
        float *x = (float *)(uintptr_t)p->bytes;

        seed = drawn_seed(p->name);
        for (int64_t i = 0; i < shape[0]; i++) {
            double u = unit(seed, i);

            x[i] = (float)(k == 0   ? (0.75 + 0.5 * u) / (10 * spread)
                           : k == 1 ? 0.2 * (u - 0.5)
                           : k == 2 ? spread * (u - 0.5)
                                    : (0.5 + u) / 100);
        }
    }
}

/* Slanted waves and some noise. */
static void draw_picture(uint8_t *out, const char *which, int64_t height, int64_t width,
                         int64_t channels)
{
    uint32_t seed = drawn_seed(which);

    for (int64_t i = 0; i < height * width * channels; i++) {
        int64_t c = i % channels, x = i / channels % width, y = i / channels / width;
        int64_t wave = (7 * x + 3 * y + 85 * c + x * y / 9) % 256;

        out[i] = (uint8_t)(wave * 7 / 8 + (int64_t)(drawn(seed, i) >> 27));
    }
}

static int set_up(void **state)
{
    static const int64_t one[] = {1};
    FILE *f = fopen(GOLDEN_DIR "/inception/layers.txt", "r");
    int64_t s[4];
    char layer[64];
    int n = 0;

    (void)state;
    assert_non_null(f);
    while (fscanf(f, "%63s %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, layer, &s[0], &s[1],
                  &s[2], &s[3]) == 5)
        draw_layer(&n, layer, s);
    fclose(f);
    assert_int_equal(n, LAYERS * PARTS);
    /* What files hold besides, and nobody reads. */
    add_tensor(&n, "fc", "weight", FILE_F32, 1, one);
    add_tensor(&n, "fc", "bias", FILE_F32, 1, one);
    add_tensor(&n, "AuxLogits.conv0.conv", "weight", FILE_F32, 1, one);
    add_tensor(&n, "Mixed_5b.branch1x1.bn", "num_batches_tracked", FILE_I64, 0, one);
    temp_dir_new(folder);
    temp_path(weights, folder, "inception.safetensors");
    assert_int_equal(safetensors_save(weights, tensor, TENSORS, NULL, 0, NULL), OK);
    assert_int_equal(weights_open(&golden, GOLDEN_DIR "/inception/features.safetensors", NULL), OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weights_close(golden);
    for (int i = 0; i < TENSORS; i++)
        free((void *)(uintptr_t)tensor[i].bytes);
    temp_dir_remove(folder);
    return 0;
}

/* --- against the published implementations -----------------------------------------------------
 */

static void agrees(const float *got, const char *key, double tolerance)
{
    const struct file_tensor *t = weights_find(golden, key);
    double most = 0, off = 0;
    float *want;

    if (!t)
        fail_msg("there are no golden numbers %s", key);
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

static void test_scaling(void **state)
{
    static const int64_t size[][3] = {{13, 6, 3}, {4, 31, 1}, {9, 9, 3}, {1, 2, 1}};
    uint8_t pixels[2 * 13 * 31 * 3];
    float got[2 * 9 * 9 * 3];
    char key[64];

    (void)state;
    for (int way = 0; scaling_at(way); way++)
        for (size_t k = 0; k < sizeof size / sizeof *size; k++) {
            int64_t length = size[k][0] * size[k][1] * size[k][2];
            struct scaling *s;

            draw_picture(pixels, "scaled", size[k][0], size[k][1], size[k][2]);
            memcpy(pixels + length, pixels, (size_t)length);
            snprintf(key, sizeof key, "scaled.%s.%d.%d.%d", scaling_at(way)->name, (int)size[k][0],
                     (int)size[k][1], (int)size[k][2]);
            assert_int_equal(
                scaling_new(&s, scaling_at(way), size[k][0], size[k][1], size[k][2], 9, NULL), OK);
            for (int threads = 1; threads <= 3; threads++) {
                memset(got, 0, sizeof got);
                assert_int_equal(scaling_run(s, got, pixels, 2, threads, NULL), OK);
                agrees(got, key, 1e-6);
                assert_memory_equal(got, got + 9 * 9 * 3, 9 * 9 * 3 * sizeof *got);
            }
            scaling_free(s);
        }
}

static void test_features(void **state)
{
    static const struct {
        struct features_how how;
        const char *picture, *key, *protocol;
        int64_t height, width, channels;
    } cases[] = {
        {{NULL, NULL},
         "small",
         "fid.tensorflow.small",
         "resize tensorflow, pooling fid",
         32,
         40,
         3},
        {{"pytorch", "fid"}, "grey", "fid.pytorch.grey", "resize pytorch, pooling fid", 28, 28, 1},
        {{"clean", NULL}, "large", "fid.clean.large", "resize clean, pooling fid", 320, 450, 3},
        {{NULL, "torchvision"},
         "small",
         "torchvision.tensorflow.small",
         "resize tensorflow, pooling torchvision",
         32,
         40,
         3},
    };
    static uint8_t pixels[PIXELS];
    static float got[D];

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct features_input in = {.pixels = pixels,
                                    .n = 1,
                                    .height = cases[k].height,
                                    .width = cases[k].width,
                                    .channels = cases[k].channels,
                                    .threads = 2};
        struct features *f;

        draw_picture(pixels, cases[k].picture, in.height, in.width, in.channels);
        assert_int_equal(features_open(&f, weights, &cases[k].how, NULL), OK);
        assert_string_equal(f->kind->name, "inception");
        assert_string_equal(f->protocol, cases[k].protocol);
        assert_int_equal(f->D, D);
        assert_int_equal(f->n_classes, 0);
        assert_int_equal(features_extract(f, got, NULL, &in, NULL), OK);
        agrees(got, cases[k].key, 2e-5);
        in.channels = 2;
        assert_int_equal(features_extract(f, got, NULL, &in, NULL), E_ARG);
        features_close(f);
    }
}

/* The smallest pictures that leave a pixel at the end, in company and alone, on more threads. */
static void test_least(void **state)
{
    enum { H = 75, W = 89, LENGTH = H * W * 3 };
    static const char *const key[] = {"fid.least", "torchvision.least"};
    static uint8_t pixels[2 * LENGTH];
    static float x[2 * LENGTH], got[2 * D], alone[D];
    struct weights *file;

    (void)state;
    draw_picture(pixels, "least", H, W, 3);
    draw_picture(pixels + LENGTH, "other", H, W, 3);
    for (int i = 0; i < 2 * LENGTH; i++)
        x[i] = (float)((pixels[i] - 127.5) / 127.5);
    assert_int_equal(weights_open(&file, weights, NULL), OK);
    for (int form = 0; form < 2; form++) {
        struct inception *m;

        assert_int_equal(inception_load(&m, file, (enum inception_pooling)form, NULL), OK);
        for (int n = 2; n > 0; n--) {
            struct graph *g;
            struct tensor *y;

            assert_int_equal(graph_new(&g, GRAPH_FROZEN, n, NULL), OK);
            y = inception_features(g, m, graph_input(g, SHAPE(n, H, W, 3), x));
            graph_keep(g, y);
            assert_int_equal(graph_run(g, NULL), OK);
            graph_read(g, y, n == 2 ? got : alone);
            graph_free(g);
        }
        agrees(got, key[form], 2e-5);
        assert_memory_equal(alone, got, sizeof alone);
        inception_free(m);
    }
    weights_close(file);
}

/* --- what is refused ---------------------------------------------------------------------------
 */

static void refused(const char *path, const struct features_how *how, enum status want,
                    const char *says, const char *and)
{
    struct features *f;
    struct error err = {0};
    enum status st = features_open(&f, path, how, &err);

    assert_null(f);
    if (st != want || !strstr(err.text, says) || !strstr(err.text, and))
        fail_msg("%s: '%s' does not say '%s' and '%s'", status_name(st), err.text, says, and);
}

static void test_false_files(void **state)
{
    static const int64_t wide[] = {32, 3, 5, 5};
    static const float five[32 * 3 * 5 * 5];
    char path[TEMP_PATH];
    struct save_tensor was;
    float *variance;
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    temp_path(path, folder, "false.safetensors");
    /* One is missing: the last. */
    assert_int_equal(safetensors_save(path, tensor, LAYERS * PARTS - 1, NULL, 0, NULL), OK);
    refused(path, NULL, E_FORMAT, "1 missing, 0 of another shape, 0 unexpected",
            "missing Mixed_7c.branch_pool.bn.running_var");
    /* One has another shape, among few. */
    was = tensor[0];
    tensor[0].dtype = FILE_F32;
    tensor[0].bytes = five;
    memcpy(tensor[0].dim, wide, sizeof wide);
    assert_int_equal(safetensors_save(path, tensor, 5, NULL, 0, NULL), OK);
    tensor[0] = was;
    refused(path, NULL, E_FORMAT, "Conv2d_1a_3x3.conv.weight is [32, 3, 5, 5], not [32, 3, 3, 3]",
            "false.safetensors");
    /* One that nobody knows. */
    was = tensor[TENSORS - 1];
    tensor[TENSORS - 1].name = "Mixed_8a.conv.weight";
    assert_int_equal(safetensors_save(path, tensor, TENSORS, NULL, 0, NULL), OK);
    tensor[TENSORS - 1] = was;
    refused(path, NULL, E_FORMAT, "1 unexpected", "unexpected Mixed_8a.conv.weight");
    /* A variance below zero. */
    variance = (float *)(uintptr_t)tensor[4].bytes;
    variance[3] *= -1;
    assert_int_equal(safetensors_save(path, tensor, TENSORS, NULL, 0, NULL), OK);
    variance[3] *= -1;
    refused(path, NULL, E_FORMAT, "Conv2d_1a_3x3.bn.running_var", "channel 3");
    /* Cut off. */
    assert_int_equal(file_read(&bytes, &n, weights, 1 << 26, NULL), OK);
    assert_int_equal(file_write(path, bytes, n - 1, NULL), OK);
    free(bytes);
    refused(path, NULL, E_FORMAT, "false.safetensors", "the file has");
    /* Little of it, and every 41st byte of that changed in turn: a sentence each time. */
    assert_int_equal(safetensors_save(path, tensor, 5, NULL, 0, NULL), OK);
    assert_int_equal(file_read(&bytes, &n, path, 1 << 26, NULL), OK);
    for (uint64_t i = 0; i < n; i += 41) {
        bytes[i] ^= (uint8_t)(1 << i % 7);
        assert_int_equal(file_write(path, bytes, n, NULL), OK);
        refused(path, NULL, E_FORMAT, "", "");
        bytes[i] ^= (uint8_t)(1 << i % 7);
    }
    free(bytes);
    /* And what may be chosen. */
    refused(weights, &(struct features_how){.resize = "cubic"}, E_ARG, "no resize 'cubic'",
            "tensorflow, pytorch or clean");
    refused(weights, &(struct features_how){.pooling = "max"}, E_ARG, "no pooling 'max'",
            "fid or torchvision");
}

static int nothing(const struct imgen_measure_row *row, void *user)
{
    *(double *)user = row->value;
    return 1;
}

/* Features kept in a file belong to the way in which they were made. */
static void test_kept_features(void **state)
{
    uint8_t pixels[2 * 2 * 8 * 8];
    const struct imgen_pictures two = {
        .n = 2, .height = 8, .width = 8, .channels = 1, .pixels = pixels};
    const struct imgen_features_how pytorch = {.resize = "pytorch"};
    char path[TEMP_PATH];
    struct imgen_features *f;
    struct imgen_features_info info;
    struct imgen_measuring m;
    struct imgen_measured out;
    struct imgen_error err = {0};
    double first = 0, again = 1;

    (void)state;
    draw_picture(pixels, "kept", 16, 16, 1);
    imgen_measuring_init(&m);
    m.pictures = m.reference = two;
    m.reference.pixels += 2 * 8 * 8;
    m.measures = "kid";
    m.save = temp_path(path, folder, "kept.safetensors");
    assert_int_equal(imgen_features_open(&f, weights, NULL, &err), IMGEN_OK);
    imgen_features_info(f, &info);
    assert_int_equal(info.height + info.width + info.channels, 0);
    assert_non_null(strstr(info.resize, "graph of 2015"));
    m.features = f;
    assert_int_equal(imgen_measure(&m, &out, NULL, nothing, &first, &err), IMGEN_OK);
    m.save = NULL;
    m.reference.n = 0;
    m.statistics = path;
    assert_int_equal(imgen_measure(&m, &out, NULL, nothing, &again, &err), IMGEN_OK);
    assert_memory_equal(&first, &again, sizeof first);
    imgen_features_close(f);
    assert_int_equal(imgen_features_open(&f, weights, &pytorch, &err), IMGEN_OK);
    m.features = f;
    assert_int_equal(imgen_measure(&m, &out, NULL, nothing, &again, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "resize tensorflow, pooling fid"));
    assert_non_null(strstr(err.text, "resize pytorch, pooling fid"));
    imgen_features_close(f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scaling),       cmocka_unit_test(test_features),
        cmocka_unit_test(test_least),         cmocka_unit_test(test_false_files),
        cmocka_unit_test(test_kept_features),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
