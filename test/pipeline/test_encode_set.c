/*
 * test_encode_set.c - a set of pictures through an autoencoder: the latents are the codec's, none
 * is made twice, and stopping loses nothing
 */
#include "pipeline/encode_set.h"

#include "data/latents.h"
#include "support/models.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 18, CELLS = 5, LATENT = 4, LENGTH = CELLS * CELLS * LATENT, COUNT = 5 };

static const char tiny_vae[] =
    "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 32, \"width\": 8, \"mult\": [1, 2, 2],"
    " \"blocks\": 1, \"groups\": 4, \"attention\": [], \"latent_channels\": 4}";
static const char hash[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static char folder[TEMP_PATH];
static struct model *model;
static struct codec *codec;
static struct dataset *pictures;

static struct dataset *open_shapes(void)
{
    struct dataset_config c = {.format = "shapes", .size = SIDE, .limit = COUNT, .seed = 3};
    struct dataset *d;

    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    return d;
}

static int fresh(void **state)
{
    (void)state;
    temp_dir_new(folder);
    model = model_random(tiny_vae, 1);
    assert_int_equal(codec_new(&codec, model->network, hash, 2, NULL), OK);
    pictures = open_shapes();
    return 0;
}

static int gone(void **state)
{
    (void)state;
    dataset_close(pictures);
    codec_free(codec);
    model_free(model);
    temp_dir_remove(folder);
    return 0;
}

static struct encode_set set_of(void)
{
    return (struct encode_set){.codec = codec, .pictures = pictures, .folder = folder};
}

/* Latent i of the cache, as the autoencoder made it. */
static void check_latent(const struct dataset *d, int64_t i, const float *want)
{
    const struct latents_info *info = latents_info(d);
    float z[LENGTH];

    assert_int_equal(dataset_get(d, i, z, NULL, NULL, NULL), OK);
    for (int k = 0; k < LENGTH; k++) {
        double value = info->mean[k % LATENT] + info->deviation[k % LATENT] * (double)z[k];

        assert_true(fabs(value - (double)want[k]) < 1e-5 * (1 + fabs((double)want[k])));
    }
}

static void check_cache(const struct codec_limits *l)
{
    struct dataset_config c = {.format = "latents", .path = folder, .autoencoder = hash};
    float x[SIDE * SIDE * 3], want[LENGTH];
    struct codec_limits at = *l;
    struct dataset *d;

    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->count == COUNT && d->height == CELLS && d->width == CELLS);
    for (int64_t i = 0; i < COUNT; i++) {
        assert_int_equal(dataset_get(pictures, i, x, NULL, NULL, NULL), OK);
        at.first = (uint64_t)i;
        assert_int_equal(codec_encode(codec, want, x, 1, SIDE, SIDE, &at, NULL), OK);
        check_latent(d, i, want);
    }
    dataset_close(d);
}

static bool stop_at_three(int64_t done, int64_t n, void *user)
{
    (void)n;
    (void)user;
    return done < 3;
}

/* Stopped half-way, gone on with, and complete: each picture once, and each its own sample. */
static void test_goes_on(void **state)
{
    struct encode_set s = set_of();
    struct error err = {0};
    int64_t encoded;

    (void)state;
    for (int sampled = 0; sampled < 2; sampled++) {
        if (sampled)
            gone(NULL), fresh(NULL);
        s = set_of();
        s.limits = (struct codec_limits){.sample = sampled, .seed = 11};
        s.progress = stop_at_three;
        assert_int_equal(encode_set(&s, &encoded, &err), E_CANCELLED);
        assert_int_equal(encoded, 3);
        s.progress = NULL;
        assert_int_equal(encode_set(&s, &encoded, NULL), OK);
        assert_int_equal(encoded, COUNT - 3);
        check_cache(&s.limits);
        assert_int_equal(encode_set(&s, &encoded, NULL), OK);
        assert_int_equal(encoded, 0);
        s.limits.sample = !sampled;
        assert_int_equal(encode_set(&s, &encoded, &err), E_FORMAT);
        assert_int_equal(encoded, 0);
    }
}

static void test_mirrored(void **state)
{
    struct encode_set s = set_of();
    struct dataset_config c = {.format = "latents", .path = folder};
    struct dataset *d;
    int64_t encoded;

    (void)state;
    s.mirrored = true;
    assert_int_equal(encode_set(&s, &encoded, NULL), OK);
    assert_int_equal(encoded, 2 * COUNT);
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(latents_info(d)->mirrored && d->count == 2 * COUNT);
    dataset_close(d);
}

static void test_refusals(void **state)
{
    struct encode_set s = set_of();
    struct model *grey = model_random(
        "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 32, \"channels\": 1, \"width\": 8,"
        " \"mult\": [1, 2, 2], \"blocks\": 1, \"groups\": 4, \"attention\": []}",
        1);
    struct error err = {0};
    int64_t encoded;

    (void)state;
    assert_int_equal(codec_new(&s.codec, grey->network, hash, 1, NULL), OK);
    assert_int_equal(encode_set(&s, &encoded, &err), E_ARG);
    assert_non_null(strstr(err.text, "3 channels, and the autoencoder takes 1"));
    codec_free(s.codec);
    s = set_of();
    s.limits.memory = 1000;
    assert_int_equal(encode_set(&s, &encoded, &err), E_MEMORY);
    model_free(grey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on, fresh, gone),
        cmocka_unit_test_setup_teardown(test_mirrored, fresh, gone),
        cmocka_unit_test_setup_teardown(test_refusals, fresh, gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
