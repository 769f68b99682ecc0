/*
 * test_cifar.c - CIFAR-10 records, files and folders
 */
#include "base/file.h"
#include "data/cifar.h"
#include "data/dataset.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PLANE = 1024 };

/* A record whose planes are told apart: red i % 251, green 255 - red, blue `mark`. */
static void record_fill(uint8_t *out, uint8_t label, uint8_t mark)
{
    out[0] = label;
    for (int i = 0; i < PLANE; i++) {
        out[1 + i] = (uint8_t)(i % 251);
        out[1 + PLANE + i] = (uint8_t)(255 - i % 251);
        out[1 + 2 * PLANE + i] = mark;
    }
}

static void planes_become_pixels(void **state)
{
    static uint8_t file[2 * CIFAR_RECORD];
    struct stored s = {0};

    (void)state;
    record_fill(file, 3, 40);
    record_fill(file + CIFAR_RECORD, 9, 41);
    assert_int_equal(cifar_decode(&s, file, sizeof file, "test", NULL), OK);
    assert_int_equal(cifar_decode(&s, file, CIFAR_RECORD, "test", NULL), OK); /* appends */
    assert_true(s.n == 3 && s.height == 32 && s.width == 32 && s.channels == 3);
    assert_true(s.labels[0] == 3 && s.labels[1] == 9 && s.labels[2] == 3);
    for (int i = 0; i < 3 * PLANE; i++) {
        assert_int_equal(s.pixels[3 * i], i % PLANE % 251);
        assert_int_equal(s.pixels[3 * i + 1], 255 - i % PLANE % 251);
        assert_int_equal(s.pixels[3 * i + 2], i / PLANE == 1 ? 41 : 40);
    }
    stored_release(&s);
}

/* No size but whole records is taken, whatever is cut; what was there before stays. */
static void every_truncation_is_told(void **state)
{
    static uint8_t file[2 * CIFAR_RECORD];
    struct stored s = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(cifar_decode(&s, file, CIFAR_RECORD, "test", &err), OK);
    for (uint64_t n = 0; n < sizeof file; n++) {
        uint8_t *exact;

        if (n == CIFAR_RECORD)
            continue;
        exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, file, n);
        assert_int_equal(cifar_decode(&s, exact, n, "test", &err), E_FORMAT);
        free(exact);
    }
    assert_string_equal(err.text,
                        "test: 6145 bytes are not whole records of 3073 bytes (3072 left over)");
    assert_true(s.n == 1);
    stored_release(&s);
}

static void wrong_labels_are_told(void **state)
{
    static uint8_t file[2 * CIFAR_RECORD];
    struct stored s = {0};
    struct error err = {0};

    (void)state;
    file[CIFAR_RECORD] = 10;
    assert_int_equal(cifar_decode(&s, file, sizeof file, "test", &err), E_FORMAT);
    assert_string_equal(err.text, "test: record 1 has label 10; labels are 0..9");
    assert_true(s.n == 0);
    stored_release(&s);
}

static void records_write(const char *dir, const char *name, int n, uint8_t mark)
{
    static uint8_t file[4 * CIFAR_RECORD];
    char path[TEMP_PATH];

    for (int i = 0; i < n; i++)
        record_fill(file + i * CIFAR_RECORD, (uint8_t)i, mark);
    assert_int_equal(file_write(temp_path(path, dir, name), file, (uint64_t)n * CIFAR_RECORD, NULL),
                     OK);
}

static float blue_of(struct dataset *d, int64_t i)
{
    static float pixels[3 * PLANE];

    assert_int_equal(dataset_get(d, i, pixels, NULL, NULL, NULL), OK);
    return (pixels[2] + 1) * 127.5f;
}

/* Files in order of name, the test batch left out, names read. */
static void folders_and_lists(void **state)
{
    static const char meta[] =
        "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    char dir[TEMP_PATH], list[2 * TEMP_PATH + 1], a[TEMP_PATH], b[TEMP_PATH];
    struct dataset_config c = {.format = "cifar10", .path = dir};
    struct dataset *d = NULL;

    (void)state;
    temp_dir_new(dir);
    records_write(dir, "data_batch_2.bin", 3, 20);
    records_write(dir, "data_batch_1.bin", 2, 10);
    records_write(dir, "test_batch.bin", 4, 99);
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->count == 5 && d->n_classes == 10 && d->flips);
    assert_string_equal(d->class_names[3], "class 3");
    assert_true(fabsf(blue_of(d, 1) - 10) < 0.01f && fabsf(blue_of(d, 2) - 20) < 0.01f);
    dataset_close(d);

    assert_int_equal(file_write(temp_path(a, dir, "batches.meta.txt"), meta, sizeof meta - 1, NULL),
                     OK);
    temp_path(a, dir, "test_batch.bin");
    temp_path(b, dir, "data_batch_1.bin");
    strcpy(list, a), strcat(list, ","), strcat(list, b);
    c.path = list;
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->count == 6);
    assert_string_equal(d->class_names[3], "cat");
    assert_true(fabsf(blue_of(d, 0) - 99) < 0.01f && fabsf(blue_of(d, 5) - 10) < 0.01f);
    dataset_close(d);
    temp_dir_remove(dir);
}

static void missing_files_are_named(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct dataset_config c = {.format = "cifar10", .path = dir};
    struct dataset *d = NULL;
    struct error err = {0};

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(dataset_open(&d, &c, &err), E_IO);
    assert_non_null(strstr(err.text, "no .bin files"));
    c.path = temp_path(path, dir, "absent.bin");
    assert_int_equal(dataset_open(&d, &c, &err), E_IO);
    assert_non_null(strstr(err.text, "absent.bin"));
    c.path = NULL;
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    assert_null(d);
    temp_dir_remove(dir);
}

/* The part of the published set that lies beside the project: first record label 6, red 59 43
 * 50 68. */
static void published_records(void **state)
{
    struct dataset_config c = {.format = "cifar10",
                               .path = SHARED_DIR "/data/cifar10/data_batch_1_first4000.bin"};
    const float red[4] = {59, 43, 50, 68};
    struct dataset *d = NULL;
    static float pixels[3 * PLANE];
    int seen[10] = {0};
    char caption[CAPTION_TEXT];
    int32_t label;

    (void)state;
    if (dataset_open(&d, &c, NULL)) {
        print_message("no %s: skipped\n", c.path);
        skip();
    }
    assert_true(d->count == 4000);
    assert_int_equal(dataset_get(d, 0, pixels, &label, caption, NULL), OK);
    assert_int_equal(label, 6);
    assert_string_equal(caption, "frog");
    for (int i = 0; i < 4; i++)
        assert_true(fabsf((pixels[3 * i] + 1) * 127.5f - red[i]) < 0.01f);
    for (int64_t i = 0; i < d->count; i++) {
        assert_int_equal(dataset_get(d, i, pixels, &label, NULL, NULL), OK);
        seen[label]++;
    }
    for (int k = 0; k < 10; k++)
        assert_in_range(seen[k], 366, 422);
    dataset_close(d);
    c.path = SHARED_DIR "/data/cifar10";
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->count == 10000);
    dataset_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planes_become_pixels),    cmocka_unit_test(every_truncation_is_told),
        cmocka_unit_test(wrong_labels_are_told),   cmocka_unit_test(folders_and_lists),
        cmocka_unit_test(missing_files_are_named), cmocka_unit_test(published_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
