/*
 * test_latent_captions.c - captions go with their pictures into a cache of latents and out of it
 *
 * The set is made here: picture i of twelve says what it is, says nothing, or has the name of its
 * class for a caption, which the cache has anyway.
 */
#include "base/file.h"
#include "data/latents.h"
#include "data/latents_file.h"
#include "data/latents_part.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 12, SIDE = 4, LENGTH = SIDE * SIDE, PART = 5 };

static const char mine[] = "1111111111111111111111111111111111111111111111111111111111111111";

static char folder[TEMP_PATH];

/* What the pictures say: a text for all that have one of their own, or NULL, and then none has. */
static const char *voice;

static enum status get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                       char caption[CAPTION_TEXT], struct error *err)
{
    (void)d;
    (void)err;
    for (int k = 0; k < LENGTH; k++)
        pixels[k] = (float)(i + k % SIDE) / N;
    *label = (int32_t)(i % 3) - 1;
    if (voice && i % 4 == 1)
        snprintf(caption, CAPTION_TEXT, "%s %d", voice, (int)i);
    else if (i % 4 == 2 && *label >= 0)
        snprintf(caption, CAPTION_TEXT, "%s", d->class_names[*label]);
    return OK;
}

static void close_set(struct dataset *d)
{
    (void)d;
}

static const struct dataset_format format = {.name = "spoken", .get = get, .close = close_set};
static char *classes[] = {(char[]){"ant"}, (char[]){"bee"}};
static const struct dataset set = {.format = &format,
                                   .count = N,
                                   .height = SIDE,
                                   .width = SIDE,
                                   .channels = 1,
                                   .n_classes = 2,
                                   .class_names = classes};

struct watch {
    int calls, encoded, fail_at;
};

static enum status encode(float *latents, const float *pictures, int64_t n, void *user,
                          struct error *err)
{
    struct watch *w = user;

    if (++w->calls == w->fail_at)
        return (fail)(err, E_CANCELLED, "stopped");
    for (int64_t i = 0; i < n; i++)
        latents[i] = pictures[i * LENGTH];
    w->encoded += (int)n;
    return OK;
}

static enum status write_set(bool mirrored, struct watch *w, struct error *err)
{
    struct latents_job j = {.pictures = &set,
                            .folder = folder,
                            .autoencoder = mine,
                            .height = 1,
                            .width = 1,
                            .channels = 1,
                            .batch = 2,
                            .part = PART,
                            .mirrored = mirrored,
                            .encode = encode,
                            .user = w};

    return latents_write(&j, err);
}

static enum status open_set(struct dataset **out, struct error *err)
{
    struct dataset_config c = {.format = "latents", .path = folder, .autoencoder = mine};

    return dataset_open(out, &c, err);
}

/* Captions and labels of the cache are those of the set. */
static void check_set(bool mirrored)
{
    char want[CAPTION_TEXT], got[CAPTION_TEXT];
    int32_t label, wanted;
    float x[LENGTH], z;
    struct error err = {0};
    struct dataset *d;

    if (open_set(&d, &err))
        fail_msg("%s", err.text);
    assert_int_equal(d->count, mirrored ? 2 * N : N);
    for (int64_t i = 0; i < d->count; i++) {
        assert_int_equal(dataset_get(&set, mirrored ? i / 2 : i, x, &wanted, want, NULL), OK);
        assert_int_equal(dataset_get(d, i, &z, &label, got, NULL), OK);
        assert_string_equal(got, want);
        assert_int_equal(label, wanted);
    }
    dataset_close(d);
}

static void says(const struct error *err, const char *a, const char *b)
{
    if (!strstr(err->text, a) || !strstr(err->text, b))
        fail_msg("'%s' names not both '%s' and '%s'", err->text, a, b);
}

static int fresh(void **state)
{
    (void)state;
    voice = "caf\xC3\xA9";
    temp_dir_new(folder);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void there_and_back(void **state)
{
    struct watch w = {0};

    (void)state;
    assert_int_equal(write_set(false, &w, NULL), OK);
    check_set(false);
    assert_int_equal(write_set(false, &w, NULL), OK);
    assert_int_equal(w.encoded, N);
}

static void mirrored_ones_too(void **state)
{
    struct watch w = {0};

    (void)state;
    assert_int_equal(write_set(true, &w, NULL), OK);
    check_set(true);
}

/* Stopped at each call: a half part has the captions of its half. */
static void stopped_anywhere(void **state)
{
    (void)state;
    for (int k = 1; k <= 7; k++) {
        struct watch w = {.fail_at = k};

        gone(NULL);
        fresh(NULL);
        assert_int_equal(write_set(false, &w, NULL), E_CANCELLED);
        assert_int_equal(write_set(false, &w, NULL), OK);
        assert_int_equal(w.encoded, N);
        check_set(false);
    }
}

static char *part_at(int64_t first)
{
    char *path;

    assert_int_equal(latents_part_path(&path, folder, first, NULL), OK);
    return path;
}

/* A set without captions of its own is cached as it was before there were any. */
static void none_as_before(void **state)
{
    struct watch w = {0};
    char *path = part_at(0);
    struct error err = {0};
    struct latents_part p;

    (void)state;
    voice = NULL;
    assert_int_equal(write_set(false, &w, NULL), OK);
    assert_int_equal(latents_part_open(&p, path, NULL), OK);
    assert_null(p.captions);
    assert_null(safetensors_find(p.file, "captions"));
    assert_non_null(strstr(safetensors_metadata(p.file, "imgen.latents"), "\"format\":1,"));
    assert_string_equal(latents_part_caption(&p, 1), "");
    latents_part_close(&p);
    check_set(false);
    /* And is not taken for one of the same pictures with captions. */
    voice = "now it speaks";
    assert_int_equal(write_set(false, &w, &err), E_FORMAT);
    says(&err, path,
         "latents without captions, and picture 1 of the set has one, "
         "\"now it speaks 1\"");
    assert_int_equal(w.encoded, N);
    free(path);
}

static void other_captions(void **state)
{
    struct watch w = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(write_set(false, &w, NULL), OK);
    voice = "other";
    assert_int_equal(write_set(false, &w, &err), E_FORMAT);
    says(&err, "picture 1 is \"caf\xC3\xA9 1\" there", "\"other 1\" now");
    voice = NULL;
    assert_int_equal(write_set(false, &w, &err), E_FORMAT);
    says(&err, "picture 1 is \"caf\xC3\xA9 1\" there", "\"\" now");
    assert_int_equal(w.encoded, N);
    voice = "\xFF";
    gone(NULL);
    temp_dir_new(folder);
    assert_int_equal(write_set(false, &w, &err), E_ARG);
    says(&err, "the caption of picture 1 is not UTF-8", "");
}

/* Captions stand under the checksum: no byte of a part can be another one. */
static void damage(void **state)
{
    struct watch w = {0};
    char *path = part_at(0);
    struct error err = {0};
    struct dataset *d;
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    assert_int_equal(write_set(false, &w, NULL), OK);
    assert_int_equal(file_read(&bytes, &n, path, 1 << 20, NULL), OK);
    for (uint64_t at = 0; at < n; at++) {
        bytes[at] ^= 4;
        assert_int_equal(file_write(path, bytes, n, NULL), OK);
        if (!open_set(&d, &err))
            fail_msg("taken with byte %d changed", (int)at);
        bytes[at] ^= 4;
    }
    free(bytes);
    free(path);
}

/* Texts that contradict the number of pictures, under a right checksum. */
static void texts_that_lie(void **state)
{
    static char long_text[CAPTION_TEXT + 8];
    const struct {
        const char *texts, *said;
        int64_t bytes;
    } cases[] = {
        {"a\0b", NULL, 4},
        {"a\0", "caption 1", 2},
        {"a\0b", "caption 1", 3},
        {"a\0b\0c", "2 bytes behind 2 captions", 6},
        {"a\0\xC3", "caption 1 is no text of UTF-8", 4},
        {"a", "another", 1},
        {long_text, "caption 0", sizeof long_text},
    };
    char *path = part_at(0);

    (void)state;
    memset(long_text, 'a', CAPTION_TEXT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float z[2] = {1, 2};
        const int32_t y[2] = {0, 0};
        struct latents_part p = {.n = 2,
                                 .height = 1,
                                 .width = 1,
                                 .channels = 1,
                                 .latents = (const uint8_t *)z,
                                 .labels = (const uint8_t *)y,
                                 .captions = cases[i].texts,
                                 .caption_bytes = cases[i].bytes};
        struct error err = {0};

        memcpy(p.autoencoder, mine, sizeof mine);
        memcpy(p.pictures, mine, sizeof mine);
        assert_int_equal(latents_part_save(path, &p, NULL), OK);
        assert_int_equal(latents_part_open(&p, path, &err), cases[i].said ? E_FORMAT : OK);
        if (cases[i].said)
            says(&err, path, cases[i].said);
        else
            assert_string_equal(latents_part_caption(&p, 1), "b");
        latents_part_close(&p);
    }
    free(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(there_and_back), TEST(mirrored_ones_too), TEST(stopped_anywhere),
        TEST(none_as_before), TEST(other_captions),    TEST(damage),
        TEST(texts_that_lie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
