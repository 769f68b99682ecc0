/*
 * test_codec.c - autoencoders from files of every kind, and pictures of any size through them
 *
 * Whole pictures must be what the network itself makes of them, bit for bit, whatever batch they
 * stand in; pictures in tiles must be close to that, within the limit that made them tiles.
 */
#include "pipeline/codec.h"

#include "base/hash.h"
#include "base/rng.h"
#include "io/image.h"
#include "pipeline/autoencoder_file.h"
#include "support/models.h"
#include "support/says.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PUBLISHED    GOLDEN_DIR "/arch/vae_published"
#define TAEF2        SHARED_DIR "/data/taef2"

/* Two halvings, attention in the middle, Gaussian latents of 4 channels. */
static const char tiny_vae[] =
    "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 32, \"width\": 8, \"mult\": [1, 2, 2],"
    " \"blocks\": 1, \"groups\": 4, \"attention\": [], \"latent_channels\": 4}";

enum { FACTOR = 4, LATENT = 4 };

static const char some_hash[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static float *new_floats(int64_t n)
{
    float *x = calloc((size_t)n + 1, sizeof *x);

    assert_non_null(x);
    return x;
}

/* Smooth pictures, each its own. */
static float *pictures(int64_t n, int64_t height, int64_t width, int64_t channels)
{
    float *x = new_floats(n * height * width * channels), *at = x;

    for (int64_t i = 0; i < n; i++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t k = 0; k < width; k++)
                for (int64_t c = 0; c < channels; c++)
                    *at++ = (float)(0.8 * sin(0.21 * (double)(y + 3 * i) + (double)c) *
                                    cos(0.13 * (double)k - 0.5 * (double)i));
    return x;
}

static struct codec *new_codec(const struct model *m)
{
    struct error err = {0};
    struct codec *c;

    if (codec_new(&c, m->network, some_hash, 2, &err))
        fail_msg("%s", err.text);
    return c;
}

static double psnr(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]) / (double)n;
    return 10 * log10(4 / sum);
}

/* --- whole pictures -----------------------------------------------------------------------------
 */

/* The network alone, on pictures of whole cells. */
static float *directly(const struct model *m, const float *x, int64_t n, int64_t side,
                       const float *noise, bool decodes)
{
    int64_t cells = side / FACTOR;
    struct tensor *y, *given = NULL;
    struct graph *g;
    float *out;

    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    if (decodes) {
        y = autoencoder_decode(g, m->network, graph_input(g, SHAPE(n, cells, cells, LATENT), x));
    } else {
        if (noise)
            given = graph_input(g, SHAPE(n, cells, cells, LATENT), noise);
        y = autoencoder_encode(g, m->network, graph_input(g, SHAPE(n, side, side, 3), x));
        y = autoencoder_latents(g, m->network, y, given);
    }
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    out = new_floats(shape_count(y->shape));
    graph_read(g, y, out);
    graph_free(g);
    return out;
}

/* So many that they make several runs, the last of them filled up. */
static void test_batches(void **state)
{
    enum { N = 131, SIDE = 32, CELLS = SIDE / FACTOR };
    struct model *m = model_random(tiny_vae, 1);
    struct codec *c = new_codec(m);
    float *x = pictures(N, SIDE, SIDE, 3), *z = new_floats(N * CELLS * CELLS * LATENT);
    float *y = new_floats(N * SIDE * SIDE * 3), *want_z, *want_y;
    struct codec_plan plan;

    (void)state;
    assert_int_equal(codec_plan(&plan, c, HALVES_ENCODER, N, SIDE, SIDE, NULL, NULL), OK);
    assert_int_equal(plan.batch, 44);
    assert_int_equal(plan.runs, 3);
    want_z = directly(m, x, N, SIDE, NULL, false);
    assert_int_equal(codec_encode(c, z, x, N, SIDE, SIDE, NULL, NULL), OK);
    assert_memory_equal(z, want_z, N * CELLS * CELLS * LATENT * sizeof *z);
    want_y = directly(m, z, N, SIDE, NULL, true);
    assert_int_equal(codec_decode(c, y, z, N, SIDE, SIDE, NULL, NULL), OK);
    assert_memory_equal(y, want_y, N * SIDE * SIDE * 3 * sizeof *y);
    free(x), free(z), free(y), free(want_z), free(want_y);
    codec_free(c);
    model_free(m);
}

/* The last row and column, repeated to whole cells. */
static float *padded(const float *x, int64_t height, int64_t width, int64_t side)
{
    float *out = new_floats(side * side * 3);

    for (int64_t i = 0; i < side * side; i++) {
        int64_t row = i / side < height ? i / side : height - 1;
        int64_t column = i % side < width ? i % side : width - 1;

        memcpy(out + i * 3, x + (row * width + column) * 3, 3 * sizeof *x);
    }
    return out;
}

/* A picture of any size is the one with its edge repeated, and comes back in its own size. */
static void test_sizes(void **state)
{
    static const int64_t sizes[][3] = {{1, 1, 4}, {37, 53, 56}, {64, 64, 64}, {3, 8, 8}};
    struct model *m = model_random(tiny_vae, 2);
    struct codec *c = new_codec(m);

    (void)state;
    for (size_t k = 0; k < COUNT(sizes); k++) {
        int64_t height = sizes[k][0], width = sizes[k][1], side = sizes[k][2];
        int64_t rows = codec_cells(c, height), columns = codec_cells(c, width);
        float *x = pictures(2, height, width, 3), *z = new_floats(2 * rows * columns * LATENT);
        float *y = new_floats(2 * height * width * 3 + 1), *whole, *want;

        y[2 * height * width * 3] = 12345;
        assert_int_equal(rows, (height + FACTOR - 1) / FACTOR);
        assert_int_equal(codec_encode(c, z, x, 2, height, width, NULL, NULL), OK);
        assert_int_equal(codec_decode(c, y, z, 2, height, width, NULL, NULL), OK);
        assert_true(y[2 * height * width * 3] == 12345);
        if (rows * FACTOR == side && columns * FACTOR == side) {
            whole = padded(x, height, width, side);
            want = directly(m, whole, 1, side, NULL, false);
            assert_memory_equal(z, want, (size_t)(rows * columns * LATENT) * sizeof *z);
            free(want);
            want = directly(m, z, 1, side, NULL, true);
            for (int64_t i = 0; i < height; i++)
                assert_memory_equal(y + i * width * 3, want + i * side * 3,
                                    (size_t)width * 3 * sizeof *y);
            free(want), free(whole);
        }
        free(x), free(z), free(y);
    }
    codec_free(c);
    model_free(m);
}

/* --- the posterior ------------------------------------------------------------------------------
 */

/* mean + deviation noise of the picture's own stream, alone or among others. */
static void test_sampling(void **state)
{
    enum { N = 3, SIDE = 16, CELLS = SIDE / FACTOR, LENGTH = CELLS * CELLS * LATENT };
    struct model *m = model_random(tiny_vae, 3);
    struct codec *c = new_codec(m);
    float *x = pictures(N, SIDE, SIDE, 3), z[N * LENGTH], one[LENGTH], noise[N * LENGTH], *want;
    struct codec_limits l = {.sample = true, .seed = 7, .first = 40};

    (void)state;
    for (int i = 0; i < N; i++) {
        struct rng r = rng_stream(7, RNG_LATENT, 40 + (uint64_t)i);

        rng_normals(&r, noise + i * LENGTH, LENGTH);
    }
    want = directly(m, x, N, SIDE, noise, false);
    assert_int_equal(codec_encode(c, z, x, N, SIDE, SIDE, &l, NULL), OK);
    assert_memory_equal(z, want, sizeof z);
    l.first = 42;
    assert_int_equal(codec_encode(c, one, x + 2 * SIDE * SIDE * 3, 1, SIDE, SIDE, &l, NULL), OK);
    assert_memory_equal(one, z + 2 * LENGTH, sizeof one);
    l.seed = 8;
    assert_int_equal(codec_encode(c, one, x + 2 * SIDE * SIDE * 3, 1, SIDE, SIDE, &l, NULL), OK);
    assert_memory_not_equal(one, z + 2 * LENGTH, sizeof one);
    free(x), free(want);
    codec_free(c);
    model_free(m);
}

/* --- tiles --------------------------------------------------------------------------------------
 */

/* A limit that the whole does not keep makes strips that do, the same as the whole to 16 bits; and
 * one that strips do not keep makes tiles, close to the whole. */
static void test_limit(void **state)
{
    enum { HEIGHT = 301, WIDTH = 203, TIGHT = 6 };
    struct model *m = model_random(tiny_vae, 4);
    struct codec *c = new_codec(m);
    int64_t n = codec_cells(c, HEIGHT) * codec_cells(c, WIDTH) * LATENT;
    float *x = pictures(1, HEIGHT, WIDTH, 3), *z = new_floats(n), *tiled_z = new_floats(n);
    float *y = new_floats(HEIGHT * WIDTH * 3), *tiled_y = new_floats(HEIGHT * WIDTH * 3);
    struct codec_plan whole, plan;
    struct codec_limits l = {0}, halved = {0};
    struct error err = {0};

    (void)state;
    for (int half = HALVES_ENCODER; half <= HALVES_DECODER; half++) {
        assert_int_equal(
            codec_plan(&whole, c, (enum autoencoder_halves)half, 1, HEIGHT, WIDTH, NULL, NULL), OK);
        assert_int_equal(tiling_count(&whole.tiling), 1);
        l.memory = whole.bytes;
        assert_int_equal(
            codec_plan(&plan, c, (enum autoencoder_halves)half, 1, HEIGHT, WIDTH, &l, NULL), OK);
        assert_int_equal(tiling_count(&plan.tiling), 1);
        for (int64_t share = 99; share > 30; share -= 3) {
            l.memory = whole.bytes * share / 100;
            assert_int_equal(
                codec_plan(&plan, c, (enum autoencoder_halves)half, 1, HEIGHT, WIDTH, &l, NULL),
                OK);
            assert_true(plan.strips.n > 0 || tiling_count(&plan.tiling) > 1);
            assert_true(plan.bytes <= l.memory);
        }
        halved.memory = whole.bytes / 2;
        assert_int_equal(
            codec_plan(&plan, c, (enum autoencoder_halves)half, 1, HEIGHT, WIDTH, &halved, NULL),
            OK);
        assert_true(plan.strips.n > 0 && tiling_count(&plan.tiling) == 1);
        assert_true(plan.bytes <= halved.memory && plan.runs == plan.strips.runs);
        l.memory = whole.bytes / TIGHT;
        assert_int_equal(
            codec_plan(&plan, c, (enum autoencoder_halves)half, 1, HEIGHT, WIDTH, &l, NULL), OK);
        assert_int_equal(plan.strips.n, 0);
        assert_true(tiling_count(&plan.tiling) > 1 && plan.bytes <= l.memory);
        assert_int_equal(plan.runs, tiling_count(&plan.tiling));
        assert_int_equal(plan.tiling.overlap, CODEC_OVERLAP);
    }
    assert_int_equal(codec_encode(c, z, x, 1, HEIGHT, WIDTH, NULL, NULL), OK);
    assert_int_equal(codec_encode(c, tiled_z, x, 1, HEIGHT, WIDTH, &l, NULL), OK);
    assert_true(psnr(z, tiled_z, n) > 20 && memcmp(z, tiled_z, (size_t)n * sizeof *z) != 0);
    assert_int_equal(codec_encode(c, tiled_z, x, 1, HEIGHT, WIDTH, &halved, NULL), OK);
    assert_true(psnr(z, tiled_z, n) > 70);
    assert_int_equal(codec_decode(c, y, z, 1, HEIGHT, WIDTH, NULL, NULL), OK);
    assert_int_equal(codec_decode(c, tiled_y, z, 1, HEIGHT, WIDTH, &l, NULL), OK);
    assert_true(psnr(y, tiled_y, HEIGHT * WIDTH * 3) > 20);
    assert_int_equal(codec_decode(c, tiled_y, z, 1, HEIGHT, WIDTH, &halved, NULL), OK);
    assert_true(psnr(y, tiled_y, HEIGHT * WIDTH * 3) > 70);
    l.memory = 100000;
    assert_int_equal(codec_encode(c, z, x, 1, HEIGHT, WIDTH, &l, &err), E_MEMORY);
    assert_non_null(strstr(err.text, "smallest tile"));
    free(x), free(z), free(y), free(tiled_z), free(tiled_y);
    codec_free(c);
    model_free(m);
}

/* A batch is cut before a picture is: its size changes no bit. */
static void test_limit_of_batch(void **state)
{
    enum { N = 16, SIDE = 64, CELLS = SIDE / FACTOR };
    struct model *m = model_random(tiny_vae, 5);
    struct codec *c = new_codec(m);
    float *x = pictures(N, SIDE, SIDE, 3), *z = new_floats(N * CELLS * CELLS * LATENT);
    float *limited = new_floats(N * CELLS * CELLS * LATENT);
    struct codec_plan plan, one;
    struct codec_limits l = {0};

    (void)state;
    assert_int_equal(codec_plan(&plan, c, HALVES_ENCODER, N, SIDE, SIDE, NULL, NULL), OK);
    assert_int_equal(plan.batch, N);
    assert_int_equal(codec_plan(&one, c, HALVES_ENCODER, 1, SIDE, SIDE, NULL, NULL), OK);
    l.memory = (plan.bytes + one.bytes) / 2;
    assert_int_equal(codec_plan(&plan, c, HALVES_ENCODER, N, SIDE, SIDE, &l, NULL), OK);
    assert_true(plan.batch < N && plan.batch > 1 && plan.bytes <= l.memory);
    assert_int_equal(codec_encode(c, z, x, N, SIDE, SIDE, NULL, NULL), OK);
    assert_int_equal(codec_encode(c, limited, x, N, SIDE, SIDE, &l, NULL), OK);
    assert_memory_equal(z, limited, N * CELLS * CELLS * LATENT * sizeof *z);
    free(x), free(z), free(limited);
    codec_free(c);
    model_free(m);
}

static void test_tile_asked_for(void **state)
{
    struct model *m = model_random(tiny_vae, 6);
    struct codec *c = new_codec(m);
    struct codec_limits l = {.tile = 6};
    struct codec_plan plan;
    struct error err = {0};

    (void)state;
    assert_int_equal(codec_plan(&plan, c, HALVES_DECODER, 2, 64, 24, &l, NULL), OK);
    assert_int_equal(plan.tiling.down.tile, 6);
    assert_int_equal(plan.tiling.overlap, 3);
    assert_int_equal(plan.tiling.across.n, 1);
    assert_int_equal(plan.runs, 2 * plan.tiling.down.n);
    l.overlap = 4;
    assert_int_equal(codec_plan(&plan, c, HALVES_DECODER, 2, 64, 24, &l, &err), E_ARG);
    l = (struct codec_limits){.tile = 6, .memory = 1000};
    assert_int_equal(codec_plan(&plan, c, HALVES_DECODER, 2, 64, 24, &l, &err), E_MEMORY);
    l = (struct codec_limits){.tile = -1};
    assert_int_equal(codec_plan(&plan, c, HALVES_DECODER, 2, 64, 24, &l, &err), E_ARG);
    assert_int_equal(codec_plan(&plan, c, HALVES_DECODER, 1, 0, 24, NULL, &err), E_ARG);
    codec_free(c);
    model_free(m);
}

static bool stop_at_two(int64_t done, int64_t n, void *user)
{
    *(int64_t *)user = n;
    return done < 2;
}

static void test_cancel(void **state)
{
    struct model *m = model_random(tiny_vae, 7);
    struct codec *c = new_codec(m);
    float *x = pictures(1, 64, 64, 3), z[16 * 16 * LATENT];
    int64_t n = 0;
    struct codec_limits l = {.tile = 6, .progress = stop_at_two, .user = &n};
    struct error err = {0};

    (void)state;
    assert_int_equal(codec_encode(c, z, x, 1, 64, 64, &l, &err), E_CANCELLED);
    assert_string_equal(err.text, "stopped after 2 of 25 runs");
    assert_int_equal(n, 25);
    free(x);
    codec_free(c);
    model_free(m);
}

/* --- files --------------------------------------------------------------------------------------
 */

static struct codec *must_open(const char *path, enum autoencoder_halves halves)
{
    struct error err = {0};
    struct codec *c;

    if (codec_open(&c, path, halves, 2, &err))
        fail_msg("%s", err.text);
    return c;
}

static void must_refuse(const char *path, enum autoencoder_halves halves, enum status want,
                        const char *why)
{
    struct error err = {0};
    struct codec *c;

    assert_int_equal(codec_open(&c, path, halves, 1, &err), want);
    assert_null(c);
    assert_says(err.text, why);
}

/* The same picture through two openings of the same weights. */
static void check_alike(struct codec *a, struct codec *b)
{
    int64_t n = codec_cells(a, 40) * codec_cells(a, 24) * codec_network(a)->io.latent_channels;
    float *x = pictures(1, 40, 24, 3), *za = new_floats(n), *zb = new_floats(n);

    assert_int_equal(codec_encode(a, za, x, 1, 40, 24, NULL, NULL), OK);
    assert_int_equal(codec_encode(b, zb, x, 1, 40, 24, NULL, NULL), OK);
    assert_memory_equal(za, zb, (size_t)n * sizeof *za);
    free(x), free(za), free(zb);
}

static void test_published(void **state)
{
    static const char *const folders[] = {
        PUBLISHED "/vae4-tiny/diffusers", PUBLISHED "/vae4-tiny/diffusers/vae",
        PUBLISHED "/vae4-tiny/diffusers/vae/diffusion_pytorch_model.safetensors",
        PUBLISHED "/vae4-tiny"};
    struct codec *file = must_open(PUBLISHED "/vae4-tiny/model.safetensors", HALVES_BOTH), *c;
    char hash[HASH_TEXT];

    (void)state;
    assert_int_equal(hash_file(hash, PUBLISHED "/vae4-tiny/model.safetensors", NULL), OK);
    assert_string_equal(codec_hash(file), hash);
    assert_int_equal(codec_network(file)->io.factor, 8);
    for (size_t i = 0; i < COUNT(folders); i++) {
        c = must_open(folders[i], HALVES_BOTH);
        check_alike(file, c);
        codec_free(c);
    }
    codec_free(file);
    c = must_open(PUBLISHED "/vae16-g32-bf16/model.safetensors", HALVES_DECODER);
    assert_int_equal(codec_network(c)->io.latent_channels, 16);
    assert_false(codec_network(c)->io.has_encoder);
    codec_free(c);
}

static void test_own_file(void **state)
{
    struct model *m = model_random(tiny_vae, 8),
                 *other = model_random("\"model\": {\"network\": \"dit\"}, \"dit\": {\"size\": 16, "
                                       "\"patch\": 4, \"width\": 16, \"depth\": 1,"
                                       " \"heads\": 2}",
                                       1);
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct codec *a = new_codec(m), *b;

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(model_save(m, temp_path(path, dir, "model.safetensors"), NULL, NULL), OK);
    b = must_open(path, HALVES_BOTH);
    check_alike(a, b);
    codec_free(b);
    b = must_open(dir, HALVES_ENCODER);
    check_alike(a, b);
    codec_free(b);
    assert_int_equal(model_save(other, path, NULL, NULL), OK);
    must_refuse(path, HALVES_BOTH, E_FORMAT, "a 'dit' is no autoencoder");
    assert_int_equal(unlink(path), 0);
    must_refuse(dir, HALVES_BOTH, E_FORMAT, "no autoencoder in this folder");
    must_refuse(path, HALVES_BOTH, E_IO, "model.safetensors");
    must_refuse(GOLDEN_DIR "/arch/dit/dit_sigma.weights.safetensors", HALVES_BOTH, E_FORMAT,
                "no autoencoder in the file");
    temp_dir_remove(dir);
    codec_free(a);
    model_free(m);
    model_free(other);
}

/* A folder of links, so that one half can be missing. */
static void link_half(const char *dir, const char *half)
{
    char from[TEMP_PATH], to[TEMP_PATH], name[64];

    snprintf(from, sizeof from, "%s/taef2_%s.safetensors", TAEF2, half);
    snprintf(name, sizeof name, "x_%s.safetensors", half);
    assert_int_equal(symlink(from, temp_path(to, dir, name)), 0);
}

static void hash_of_pair(char out[HASH_TEXT], const char *encoder, const char *decoder)
{
    char one[HASH_TEXT];
    struct hash h;

    hash_begin(&h);
    assert_int_equal(hash_file(one, encoder, NULL), OK);
    hash_add(&h, one, strlen(one));
    assert_int_equal(hash_file(one, decoder, NULL), OK);
    hash_add(&h, one, strlen(one));
    hash_end(&h, out);
}

static void test_halves(void **state)
{
    char dir[TEMP_PATH], encoder[TEMP_PATH], decoder[TEMP_PATH], hash[HASH_TEXT];
    struct codec *both, *one;
    struct stat s;

    (void)state;
    if (stat(TAEF2, &s)) {
        print_message("no weights at %s\n", TAEF2);
        skip();
    }
    temp_dir_new(dir);
    temp_path(encoder, dir, "x_encoder.safetensors");
    temp_path(decoder, dir, "x_decoder.safetensors");
    link_half(dir, "encoder");
    one = must_open(encoder, HALVES_ENCODER);
    codec_free(one);
    must_refuse(encoder, HALVES_BOTH, E_FORMAT, "no file NAME_decoder.safetensors beside it");
    must_refuse(dir, HALVES_DECODER, E_FORMAT, "no file NAME_decoder.safetensors beside it");
    link_half(dir, "decoder");
    both = must_open(dir, HALVES_BOTH);
    assert_int_equal(codec_network(both)->io.latent_channels, 32);
    one = must_open(decoder, HALVES_ENCODER);
    assert_string_equal(codec_hash(one), codec_hash(both));
    hash_of_pair(hash, encoder, decoder);
    assert_string_equal(codec_hash(one), hash);
    assert_false(codec_network(one)->io.has_decoder);
    check_alike(both, one);
    codec_free(one);
    codec_free(both);
    temp_dir_remove(dir);
}

/* --- published weights --------------------------------------------------------------------------
 */

static float *read_png(const char *path, int64_t *height, int64_t *width)
{
    struct error err = {0};
    struct image im;
    float *x;

    if (image_read(&im, path, &err))
        fail_msg("%s", err.text);
    assert_int_equal(im.channels, 3);
    *height = im.height;
    *width = im.width;
    x = new_floats(im.height * im.width * 3);
    for (int64_t i = 0; i < im.height * im.width * 3; i++)
        x[i] = (float)im.pixels[i] / 127.5f - 1;
    image_release(&im);
    return x;
}

/* The reference's picture becomes its reconstruction, to one level of 256. */
static void test_reference(void **state)
{
    int64_t height, width, n;
    float *x, *want, *z, *y;
    struct codec *c;
    struct stat s;

    (void)state;
    if (stat(TAEF2, &s)) {
        print_message("no weights at %s\n", TAEF2);
        skip();
    }
    c = must_open(TAEF2, HALVES_BOTH);
    x = read_png(TAEF2 "/ref_input.png", &height, &width);
    want = read_png(TAEF2 "/ref_recon.png", &height, &width);
    n = height * width * 3;
    z = new_floats(codec_cells(c, height) * codec_cells(c, width) * 32);
    y = new_floats(n);
    assert_int_equal(codec_encode(c, z, x, 1, height, width, NULL, NULL), OK);
    assert_int_equal(codec_decode(c, y, z, 1, height, width, NULL, NULL), OK);
    for (int64_t i = 0; i < n; i++)
        assert_true(fabs(fmax(-1, fmin(1, (double)y[i])) - (double)want[i]) < 1.01 / 127.5);
    free(x), free(want), free(z), free(y);
    codec_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),   cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_sampling),  cmocka_unit_test(test_limit),
        cmocka_unit_test(test_cancel),    cmocka_unit_test(test_limit_of_batch),
        cmocka_unit_test(test_published), cmocka_unit_test(test_tile_asked_for),
        cmocka_unit_test(test_own_file),  cmocka_unit_test(test_halves),
        cmocka_unit_test(test_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
