/*
 * test_idx.c - IDX files, whole, plain and packed, and damaged in every way
 */
#include "base/file.h"
#include "data/dataset.h"
#include "data/idx.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { IMAGES = 16 + 3 * 2 * 4, LABELS = 8 + 3, ROOM = 512 };

/* Three pictures of 2 x 4 whose bytes count up, and their labels 2, 0, 9. */
static const uint8_t labels_file[LABELS] = {0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 9};

static void images_file(uint8_t out[IMAGES])
{
    static const uint8_t header[16] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 4};

    memcpy(out, header, sizeof header);
    for (int i = 16; i < IMAGES; i++)
        out[i] = (uint8_t)(10 * (i - 16));
}

static uint64_t gzip(uint8_t out[ROOM], const uint8_t *in, size_t n)
{
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)in;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = ROOM;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return ROOM - z.avail_out;
}

/* bytes in a block of exactly their size, so that a read past the end is seen by the sanitizer. */
static enum status decode(struct idx *a, int n_dims, const uint8_t *bytes, uint64_t n,
                          struct error *err)
{
    uint8_t *exact = malloc(n ? n : 1);
    enum status st;

    assert_non_null(exact);
    if (n)
        memcpy(exact, bytes, n);
    *err = (struct error){0};
    st = idx_decode(a, n_dims, exact, n, "test", err);
    free(exact);
    assert_true(st == OK || (!a->bytes && strstr(err->text, "test")));
    return st;
}

static void plain_and_packed_are_equal(void **state)
{
    uint8_t file[IMAGES], packed[ROOM];
    struct idx a = {0}, b = {0};
    struct error err;

    (void)state;
    images_file(file);
    assert_int_equal(decode(&a, 3, file, IMAGES, &err), OK);
    assert_true(a.dims[0] == 3 && a.dims[1] == 2 && a.dims[2] == 4);
    assert_memory_equal(a.bytes, file + 16, IMAGES - 16);
    assert_int_equal(decode(&b, 3, packed, gzip(packed, file, IMAGES), &err), OK);
    assert_memory_equal(a.bytes, b.bytes, IMAGES - 16);
    idx_release(&a);
    idx_release(&b);
    assert_int_equal(decode(&a, 1, labels_file, LABELS, &err), OK);
    assert_memory_equal(a.bytes, labels_file + 8, 3);
    idx_release(&a);
}

/* gzip may be written in pieces, each a member of its own. */
static void members_are_joined(void **state)
{
    uint8_t file[IMAGES], packed[2 * ROOM];
    struct idx a = {0};
    struct error err;
    uint64_t n;

    (void)state;
    images_file(file);
    n = gzip(packed, file, 21);
    n += gzip(packed + n, file + 21, IMAGES - 21);
    assert_int_equal(decode(&a, 3, packed, n, &err), OK);
    assert_memory_equal(a.bytes, file + 16, IMAGES - 16);
    idx_release(&a);
}

static void every_truncation_is_told(void **state)
{
    uint8_t file[IMAGES], packed[ROOM];
    struct idx a = {0};
    struct error err;
    uint64_t n;

    (void)state;
    images_file(file);
    for (uint64_t k = 0; k < IMAGES; k++)
        assert_int_equal(decode(&a, 3, file, k, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "claims 3 items of 8 bytes, and has at most 23 bytes"));
    for (uint64_t k = 0; k < LABELS; k++)
        assert_int_equal(decode(&a, 1, labels_file, k, &err), E_FORMAT);
    n = gzip(packed, file, IMAGES);
    for (uint64_t k = 0; k < n; k++)
        assert_int_equal(decode(&a, 3, packed, k, &err), E_FORMAT);
}

/* Every bit of a packed file flipped: the checksum lets nothing through but the header's idle bits.
 */
static void damage_is_told(void **state)
{
    uint8_t file[IMAGES], packed[ROOM];
    struct idx a = {0};
    struct error err;
    uint64_t n;

    (void)state;
    images_file(file);
    n = gzip(packed, file, IMAGES);
    for (uint64_t bit = 0; bit < 8 * n; bit++) {
        packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!decode(&a, 3, packed, n, &err))
            assert_memory_equal(a.bytes, file + 16, IMAGES - 16);
        idx_release(&a);
        packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void trailing_bytes_are_told(void **state)
{
    uint8_t file[IMAGES + 1] = {0}, packed[ROOM];
    struct idx a = {0};
    struct error err;
    uint64_t n;

    (void)state;
    images_file(file);
    assert_int_equal(decode(&a, 3, file, IMAGES + 1, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "more than the 24 bytes"));
    n = gzip(packed, file, IMAGES + 1);
    assert_int_equal(decode(&a, 3, packed, n, &err), E_FORMAT);
    n = gzip(packed, file, IMAGES);
    packed[n] = 7;
    assert_int_equal(decode(&a, 3, packed, n + 1, &err), E_FORMAT);
}

/* Claims of 4 thousand million pictures must fail at once, without the memory. */
static void wild_claims_cost_nothing(void **state)
{
    uint8_t file[IMAGES], packed[ROOM];
    struct idx a = {0};
    struct error err;

    (void)state;
    images_file(file);
    memset(file + 4, 0xff, 4);
    assert_int_equal(decode(&a, 3, file, IMAGES, &err), E_FORMAT);
    assert_int_equal(decode(&a, 3, packed, gzip(packed, file, IMAGES), &err), E_FORMAT);
    assert_non_null(strstr(err.text, "claims 4294967295 items"));
    images_file(file);
    memset(file + 8, 0xff, 8);
    assert_int_equal(decode(&a, 3, file, IMAGES, &err), E_FORMAT);
    images_file(file);
    memset(file + 8, 0, 4);
    assert_int_equal(decode(&a, 3, file, IMAGES, &err), E_FORMAT);
}

static void other_magics_are_told(void **state)
{
    uint8_t file[IMAGES];
    struct idx a = {0};
    struct error err;

    (void)state;
    for (int i = 0; i < 4; i++) {
        images_file(file);
        file[i]++;
        assert_int_equal(decode(&a, 3, file, IMAGES, &err), E_FORMAT);
    }
    assert_int_equal(decode(&a, 1, file, IMAGES, &err), E_FORMAT);
    images_file(file);
    assert_int_equal(decode(&a, 1, file, IMAGES, &err), E_FORMAT);
    assert_string_equal(err.text,
                        "test: starts with 00 00 08 03, but IDX bytes of 1 dimensions start "
                        "with 00 00 08 01");
}

/* A folder of three 2 x 4 pictures under the names people use. */
static void set_write(const char *dir, bool packs)
{
    uint8_t file[IMAGES], packed[ROOM];
    char path[TEMP_PATH];

    images_file(file);
    if (packs) {
        uint64_t n = gzip(packed, file, IMAGES);

        assert_int_equal(
            file_write(temp_path(path, dir, "train-images-idx3-ubyte.gz"), packed, n, NULL), OK);
    } else {
        assert_int_equal(
            file_write(temp_path(path, dir, "train-images-idx3-ubyte"), file, IMAGES, NULL), OK);
    }
    assert_int_equal(
        file_write(temp_path(path, dir, "train-labels-idx1-ubyte"), labels_file, LABELS, NULL), OK);
}

static void folders_are_found(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH];

    (void)state;
    for (int packs = 0; packs < 2; packs++) {
        struct dataset_config c = {.format = "idx", .path = dir};
        struct dataset *d = NULL;
        float pixels[8];
        char caption[CAPTION_TEXT];
        int32_t label;

        temp_dir_new(dir);
        set_write(dir, packs);
        assert_int_equal(dataset_open(&d, &c, NULL), OK);
        assert_true(d->count == 3 && d->height == 2 && d->width == 4 && d->channels == 1);
        assert_true(d->n_classes == 10 && !d->flips);
        assert_string_equal(d->class_names[9], "9");
        assert_int_equal(dataset_get(d, 2, pixels, &label, caption, NULL), OK);
        assert_int_equal(label, 9);
        assert_string_equal(caption, "9");
        for (int i = 0; i < 8; i++)
            assert_true(fabsf(pixels[i] - ((float)(10 * (16 + i)) / 127.5f - 1)) < 1e-6f);
        dataset_close(d);
        /* Naming the file and the labels means the same. */
        c.path =
            temp_path(path, dir, packs ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte");
        assert_int_equal(dataset_open(&d, &c, NULL), OK);
        assert_true(d->n_classes == 10);
        dataset_close(d);
        temp_dir_remove(dir);
    }
}

static void labels_must_fit(void **state)
{
    static const uint8_t two[] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 1};
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct dataset_config c = {.format = "idx", .path = dir, .labels = path};
    struct dataset *d = NULL;
    struct error err = {0};

    (void)state;
    temp_dir_new(dir);
    set_write(dir, false);
    temp_path(path, dir, "two");
    assert_int_equal(file_write(path, two, sizeof two, NULL), OK);
    assert_int_equal(dataset_open(&d, &c, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "2 labels for 3 pictures"));
    temp_path(path, dir, "nothing");
    assert_int_equal(dataset_open(&d, &c, &err), E_IO);
    assert_non_null(strstr(err.text, "nothing"));
    assert_null(d);
    temp_dir_remove(dir);
}

static void pictures_alone_are_unlabelled(void **state)
{
    uint8_t file[IMAGES];
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct dataset_config c = {.format = "idx", .path = path};
    struct dataset *d = NULL;
    float pixels[8];
    int32_t label;

    (void)state;
    temp_dir_new(dir);
    images_file(file);
    assert_int_equal(file_write(temp_path(path, dir, "pictures"), file, IMAGES, NULL), OK);
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->n_classes == 0);
    assert_int_equal(dataset_get(d, 0, pixels, &label, NULL, NULL), OK);
    assert_int_equal(label, -1);
    dataset_close(d);
    c.path = dir;
    assert_int_equal(dataset_open(&d, &c, NULL), E_IO); /* no train-images in there */
    temp_dir_remove(dir);
}

/* 28 x 28 goes into 32 x 32 with two pixels of background on each side, and into 64 x 64 by
 * resizing; grey becomes three equal channels. */
static void sizes_pad_or_resize(void **state)
{
    static uint8_t file[16 + 28 * 28] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28};
    static float pixels[64 * 64 * 3];
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct dataset_config c = {
        .format = "idx", .path = path, .size = 32, .background = {255, 255, 255}};
    struct dataset *d = NULL;

    (void)state;
    memset(file + 16, 51, 28 * 28); /* 51 / 127.5 - 1 = -0.6 */
    temp_dir_new(dir);
    assert_int_equal(file_write(temp_path(path, dir, "pictures"), file, sizeof file, NULL), OK);
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_int_equal(dataset_get(d, 0, pixels, NULL, NULL, NULL), OK);
    for (int i = 0; i < 32 * 32; i++) {
        bool inside = i / 32 >= 2 && i / 32 < 30 && i % 32 >= 2 && i % 32 < 30;

        assert_true(fabsf(pixels[i] - (inside ? -0.6f : 1)) < 1e-6f);
    }
    dataset_close(d);
    c.size = 64, c.channels = 3;
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->height == 64 && d->width == 64 && d->channels == 3);
    assert_int_equal(dataset_get(d, 0, pixels, NULL, NULL, NULL), OK);
    for (int i = 0; i < 64 * 64 * 3; i++)
        assert_true(fabsf(pixels[i] + 0.6f) < 1e-6f);
    dataset_close(d);
    temp_dir_remove(dir);
}

/* Every picture of the published set; 6,000 of each class. */
static void fashion_mnist_is_whole(void **state)
{
    struct dataset_config c = {.format = "idx", .path = SHARED_DIR "/data/fashion-mnist"};
    struct dataset *d = NULL;
    int seen[10] = {0};
    double mean = 0;

    (void)state;
    if (dataset_open(&d, &c, NULL)) {
        print_message("no %s: skipped\n", c.path);
        skip();
    }
    assert_true(d->count == 60000 && d->n_classes == 10 && d->flips);
    assert_string_equal(d->class_names[1], "trouser");
    for (int64_t i = 0; i < d->count; i++) {
        float pixels[28 * 28];
        int32_t label;

        assert_int_equal(dataset_get(d, i, pixels, &label, NULL, NULL), OK);
        assert_in_range(label, 0, 9);
        seen[label]++;
        for (int k = 0; k < 28 * 28; k++)
            mean += (double)pixels[k] / (28 * 28 * 60000.0);
    }
    for (int k = 0; k < 10; k++)
        assert_int_equal(seen[k], 6000);
    assert_true(fabs(mean - (2 * 0.2860405969887955 - 1)) < 1e-6); /* the well-known mean, 0.2860 */
    dataset_close(d);
}

static void mnist_test_set_is_whole(void **state)
{
    struct dataset_config c = {.format = "idx",
                               .path = SHARED_DIR "/data/mnist/t10k-images-idx3-ubyte.gz"};
    struct dataset *d = NULL;
    float pixels[28 * 28];
    int32_t label;

    (void)state;
    if (dataset_open(&d, &c, NULL)) {
        print_message("no %s: skipped\n", c.path);
        skip();
    }
    assert_true(d->count == 10000 && d->n_classes == 10 && !d->flips);
    assert_int_equal(dataset_get(d, 0, pixels, &label, NULL, NULL), OK);
    assert_int_equal(label, 7); /* the test set begins with 7 2 1 0 */
    dataset_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_packed_are_equal),
        cmocka_unit_test(members_are_joined),
        cmocka_unit_test(every_truncation_is_told),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(trailing_bytes_are_told),
        cmocka_unit_test(wild_claims_cost_nothing),
        cmocka_unit_test(other_magics_are_told),
        cmocka_unit_test(folders_are_found),
        cmocka_unit_test(labels_must_fit),
        cmocka_unit_test(pictures_alone_are_unlabelled),
        cmocka_unit_test(sizes_pad_or_resize),
        cmocka_unit_test(fashion_mnist_is_whole),
        cmocka_unit_test(mnist_test_set_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
