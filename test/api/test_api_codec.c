/*
 * test_api_codec.c - autoencoders as a stranger's program sees them: pictures of any size there and
 * back, plans, stopping, files, caches
 *
 * Only imgen.h is used, and a published autoencoder with small random weights.
 */
#include "imgen.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_ONE   GOLDEN_DIR "/arch/vae_published/vae4-tiny/model.safetensors"
#define FILE_OTHER GOLDEN_DIR "/arch/vae_published/vae4-tiny/diffusers"

enum { FACTOR = 8, LATENT = 4 };

static char folder[TEMP_PATH];
static struct imgen_codec *codec;

static int set_up(void **state)
{
    struct imgen_error err;

    (void)state;
    temp_dir_new(folder);
    if (imgen_codec_open(&codec, FILE_ONE, IMGEN_BOTH, 2, &err)) {
        print_error("%s\n", err.text);
        return 1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    imgen_codec_close(codec);
    temp_dir_remove(folder);
    return 0;
}

static struct imgen_image picture(int64_t height, int64_t width, int64_t channels)
{
    struct imgen_image im = {height, width, channels, malloc((size_t)(height * width * channels))};

    assert_non_null(im.pixels);
    for (int64_t i = 0; i < height * width * channels; i++)
        im.pixels[i] = (uint8_t)(128 + 90 * sin(0.07 * (double)i));
    return im;
}

static void test_info(void **state)
{
    struct imgen_codec_info info;
    struct imgen_codec *none;
    struct imgen_error err;
    char hash[65];

    (void)state;
    imgen_codec_info(codec, &info);
    assert_int_equal(imgen_file_hash(hash, FILE_ONE, NULL), IMGEN_OK);
    assert_string_equal(info.hash, hash);
    assert_string_equal(info.network, "vae");
    assert_true(info.channels == 3 && info.latent_channels == LATENT && info.factor == FACTOR);
    assert_true(info.gaussian && info.encodes && info.decodes && info.weights > 1000);
    assert_int_equal(imgen_codec_open(&none, folder, IMGEN_BOTH, 0, &err), IMGEN_E_FORMAT);
    assert_null(none);
    assert_non_null(strstr(err.text, "no autoencoder in this folder"));
}

/* Through files, in exactly its own size, and as the arrays' functions would have it. */
static void check_size(int64_t height, int64_t width, int64_t channels)
{
    int64_t rows = (height + FACTOR - 1) / FACTOR, columns = (width + FACTOR - 1) / FACTOR;
    struct imgen_image im = picture(height, width, channels), back;
    struct imgen_latent z, read;
    struct imgen_error err;
    float *x = malloc((size_t)(height * width * 3) * sizeof *x);
    char path[TEMP_PATH];

    assert_int_equal(imgen_encode_image(&z, codec, &im, NULL, &err), IMGEN_OK);
    assert_true(z.height == height && z.width == width && z.rows == rows && z.columns == columns);
    assert_true(z.channels == LATENT && !z.sampled && !z.tile_rows);
    temp_path(path, folder, "z.safetensors");
    assert_int_equal(imgen_latent_write(path, &z, &err), IMGEN_OK);
    assert_int_equal(imgen_latent_read(&read, path, LATENT, &err), IMGEN_OK);
    assert_memory_equal(z.values, read.values,
                        (size_t)(rows * columns * LATENT) * sizeof *z.values);
    assert_int_equal(imgen_decode_latent(&back, codec, &read, NULL, &err), IMGEN_OK);
    assert_true(back.height == height && back.width == width && back.channels == 3);
    assert_int_equal(imgen_decode(codec, x, z.values, 1, height, width, NULL, &err), IMGEN_OK);
    for (int64_t i = 0; i < height * width * 3; i++) {
        double level = fmin(255, fmax(0, ((double)x[i] + 1) * 127.5));

        assert_true(fabs(level - back.pixels[i]) <= 0.501);
    }
    free(x);
    imgen_latent_release(&z);
    imgen_latent_release(&read);
    imgen_image_release(&back);
    free(im.pixels);
}

static void test_sizes(void **state)
{
    (void)state;
    check_size(1, 1, 3);
    check_size(37, 53, 3);
    check_size(64, 64, 3);
    check_size(37, 53, 1);
    check_size(20, 9, 4);
}

static void test_arrays(void **state)
{
    float x[2 * 16 * 16 * 3], z[2 * 2 * 2 * LATENT], one[2 * 2 * LATENT];
    struct imgen_coding how = {.sample = 1, .seed = 5};
    struct imgen_error err;

    (void)state;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)sin(0.05 * (double)i);
    assert_int_equal(imgen_encode(codec, z, x, 2, 16, 16, &how, &err), IMGEN_OK);
    how.first = 1;
    assert_int_equal(imgen_encode(codec, one, x + 16 * 16 * 3, 1, 16, 16, &how, &err), IMGEN_OK);
    assert_memory_equal(one, z + 2 * 2 * LATENT, sizeof one);
    how.tile = -1;
    assert_int_equal(imgen_encode(codec, one, x, 1, 16, 16, &how, &err), IMGEN_E_ARG);
    assert_int_equal(imgen_encode(codec, one, x, 1, 0, 16, NULL, &err), IMGEN_E_ARG);
}

static double apart(const struct imgen_latent *a, const struct imgen_latent *b)
{
    double most = 0;

    for (int64_t i = 0; i < a->rows * a->columns * a->channels; i++)
        most = fmax(most, fabs((double)a->values[i] - (double)b->values[i]));
    return most;
}

/* A picture is drawn alike wherever it stands, and another one, however near, by other noise. */
static void test_sampled_image(void **state)
{
    struct imgen_image im = picture(40, 40, 3);
    struct imgen_coding how = {.sample = 1, .seed = 5};
    struct imgen_latent mean, drawn, again, other_mean, other;

    (void)state;
    assert_int_equal(imgen_encode_image(&mean, codec, &im, NULL, NULL), IMGEN_OK);
    assert_int_equal(imgen_encode_image(&drawn, codec, &im, &how, NULL), IMGEN_OK);
    how.first = 9;
    assert_int_equal(imgen_encode_image(&again, codec, &im, &how, NULL), IMGEN_OK);
    assert_true(drawn.sampled && drawn.seed == 5 && apart(&drawn, &mean) > 0.1);
    assert_true(apart(&drawn, &again) == 0);
    im.pixels[7]++;
    assert_int_equal(imgen_encode_image(&other_mean, codec, &im, NULL, NULL), IMGEN_OK);
    assert_int_equal(imgen_encode_image(&other, codec, &im, &how, NULL), IMGEN_OK);
    assert_true(apart(&other, &drawn) > 10 * apart(&other_mean, &mean));
    imgen_latent_release(&mean);
    imgen_latent_release(&drawn);
    imgen_latent_release(&again);
    imgen_latent_release(&other_mean);
    imgen_latent_release(&other);
    free(im.pixels);
}

/* runs: how often more was done than before; inside of a long run it is heard again. */
struct stop {
    int64_t after, n, runs, done;
};

static int stop(int64_t done, int64_t n, void *user)
{
    struct stop *s = user;

    s->n = n;
    s->runs += done > s->done;
    s->done = done;
    return done < s->after;
}

/* A limit makes strips, of whose runs the callback hears; it may stop.  Tiles are made when asked
 * for. */
static void test_plan_and_stop(void **state)
{
    struct imgen_coding how = {0};
    struct imgen_coding_plan whole, cut;
    struct imgen_image im = picture(256, 200, 3);
    struct stop s = {.after = 2};
    struct imgen_latent z;
    struct imgen_error err;

    (void)state;
    assert_int_equal(imgen_codec_plan(&whole, codec, IMGEN_ENCODER, 1, 256, 200, &how, &err),
                     IMGEN_OK);
    assert_true(whole.tiles_down == 1 && whole.tiles_across == 1 && whole.runs == 1);
    assert_true(whole.rows == 32 && whole.columns == 25);
    how.memory = whole.bytes * 2 / 3;
    assert_int_equal(imgen_codec_plan(&cut, codec, IMGEN_ENCODER, 1, 256, 200, &how, &err),
                     IMGEN_OK);
    assert_true(cut.runs > 1 && cut.runs == cut.strips && cut.bytes <= how.memory);
    how.progress = stop;
    how.user = &s;
    assert_int_equal(imgen_encode_image(&z, codec, &im, &how, &err), IMGEN_E_CANCELLED);
    assert_true(s.runs == 2 && s.n == cut.runs && !z.values);
    s = (struct stop){.after = cut.runs + 1};
    assert_int_equal(imgen_encode_image(&z, codec, &im, &how, &err), IMGEN_OK);
    assert_true(s.runs == cut.runs);
    imgen_latent_release(&z);
    how.memory = 0;
    how.tile = 12;
    assert_int_equal(imgen_codec_plan(&cut, codec, IMGEN_ENCODER, 1, 256, 200, &how, &err),
                     IMGEN_OK);
    assert_true(cut.runs > 1 && !cut.strips && cut.runs == cut.tiles_down * cut.tiles_across);
    assert_true(cut.bytes < whole.bytes && cut.tile_rows <= 12 && cut.overlap == 6);
    s = (struct stop){.after = cut.runs + 1};
    assert_int_equal(imgen_encode_image(&z, codec, &im, &how, &err), IMGEN_OK);
    assert_true(s.runs == cut.runs && z.tile_rows == cut.tile_rows);
    imgen_latent_release(&z);
    how.tile = 0;
    how.memory = 1000;
    assert_int_equal(imgen_codec_plan(&cut, codec, IMGEN_ENCODER, 1, 256, 200, &how, &err),
                     IMGEN_E_MEMORY);
    imgen_coding_init(&how);
    assert_true(how.memory > 0 && !how.tile && !how.sample && !how.progress);
    free(im.pixels);
}

/* The same weights in another file are another autoencoder. */
static void test_foreign(void **state)
{
    struct imgen_image im = picture(8, 8, 3), back;
    struct imgen_codec *other;
    struct imgen_latent z;
    struct imgen_error err;

    (void)state;
    assert_int_equal(imgen_codec_open(&other, FILE_OTHER, IMGEN_DECODER, 1, &err), IMGEN_OK);
    assert_int_equal(imgen_encode_image(&z, codec, &im, NULL, &err), IMGEN_OK);
    assert_int_equal(imgen_latent_check(codec, &z, &err), IMGEN_OK);
    assert_int_equal(imgen_latent_check(other, &z, &err), IMGEN_E_FORMAT);
    assert_non_null(strstr(err.text, z.autoencoder));
    z.height = 9;
    assert_int_equal(imgen_decode_latent(&back, codec, &z, NULL, &err), IMGEN_E_FORMAT);
    imgen_latent_release(&z);
    imgen_codec_close(other);
    imgen_codec_close(NULL);
    free(im.pixels);
}

static void test_set(void **state)
{
    static const char *const settings[] = {"data.format=shapes", "data.size=16", "data.limit=5"};
    struct imgen_training t = {.settings = settings, .n_settings = 3};
    struct imgen_data *pictures, *latents;
    struct imgen_data_info info;
    struct imgen_error err;
    char cache[TEMP_PATH], path[TEMP_PATH + 16];
    const char *read[2] = {"data.format=latents", path};
    struct stop s = {.after = 1};
    struct imgen_coding how = {.progress = stop, .user = &s};
    int64_t encoded;

    (void)state;
    temp_path(cache, folder, "cache");
    snprintf(path, sizeof path, "data.path=%s", cache);
    assert_int_equal(imgen_data_open(&pictures, &t, &err), IMGEN_OK);
    assert_int_equal(imgen_encode_set(codec, pictures, cache, 1, &how, &encoded, &err),
                     IMGEN_E_CANCELLED);
    s.after = 11;
    assert_int_equal(imgen_encode_set(codec, pictures, cache, 1, &how, NULL, &err), IMGEN_OK);
    assert_int_equal(s.n, 10);
    assert_int_equal(imgen_encode_set(codec, pictures, cache, 1, NULL, &encoded, &err), IMGEN_OK);
    assert_int_equal(encoded, 0);
    t = (struct imgen_training){.settings = read, .n_settings = 2};
    assert_int_equal(imgen_data_open(&latents, &t, &err), IMGEN_OK);
    imgen_data_info(latents, &info);
    assert_true(info.count == 10 && info.height == 2 && info.channels == LATENT);
    imgen_data_close(latents);
    imgen_data_close(pictures);
}

static void test_bytes(void **state)
{
    int64_t n = -1;

    (void)state;
    assert_true(imgen_bytes("1.5K", &n) && n == 1536);
    assert_false(imgen_bytes("much", &n));
    assert_int_equal(n, 1536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_arrays),  cmocka_unit_test(test_plan_and_stop),
        cmocka_unit_test(test_foreign), cmocka_unit_test(test_set),
        cmocka_unit_test(test_bytes),   cmocka_unit_test(test_sampled_image),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
