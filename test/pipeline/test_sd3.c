/*
 * test_sd3.c - Stable Diffusion 3 as published: what is found where, and what is refused
 *
 * Numbers are compared by test/model/test_parity.c.  The small model of the reference data is used
 * where it stands beside the project.
 */
#include "pipeline/generate.h"
#include "pipeline/sd3.h"

#include "base/file.h"
#include "data/listing.h"
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

#define TINY   SHARED_DIR "/fixtures/sd3/pipeline-tiny"
#define SPIECE SHARED_DIR "/data/tokenizers/t5_spiece.model"

enum { HEIGHT = 64, WIDTH = 96, LENGTH = HEIGHT * WIDTH * 3 };

static void need_tiny(void)
{
    if (path_is_folder(TINY) && path_is_file(SPIECE))
        return;
    print_message("no small model at %s\n", TINY);
    skip();
}

static struct model *must_open(const char *path, struct sd3_parts parts)
{
    struct error err = {0};
    struct model *m;

    parts.spiece = SPIECE;
    if (sd3_open(&m, path, &parts, &err))
        fail_msg("%s", err.text);
    assert_int_equal(network_resize(m->network, HEIGHT / 8, WIDTH / 8, NULL), OK);
    return m;
}

static const struct sd3_parts beside = {.clip_l = TINY "/diffusers/text_encoder",
                                        .clip_g = TINY "/diffusers/text_encoder_2",
                                        .t5 = TINY "/diffusers/text_encoder_3"};

static struct generate_request request(const struct model *m, const char *const *texts, int64_t n)
{
    static const struct generate_item items[] = {{0, 5, 3}, {1, 5, 3}, {-1, 5, 3}};
    struct generate_request r = {.model = m,
                                 .settings = m->sample,
                                 .texts = texts,
                                 .n_texts = n,
                                 .items = items,
                                 .n = 1,
                                 .threads = 2};

    r.settings.steps = 3;
    return r;
}

/* Both layouts are the same model; which it is, is seen without being told. */
static void layouts_are_one_model(void **state)
{
    static float a[LENGTH], b[LENGTH];
    const char *const text[] = {"a (red:1.3) cat, very sharp"};
    struct model *m;
    struct generate_request r;

    (void)state;
    need_tiny();
    assert_true(sd3_is(TINY "/diffusers"));
    assert_true(sd3_is(TINY "/sd3_tiny.safetensors"));
    assert_false(sd3_is(TINY "/diffusers/vae"));
    assert_false(sd3_is(TINY "/io.safetensors"));
    assert_false(sd3_is(TINY "/nothing"));
    m = must_open(TINY "/diffusers", (struct sd3_parts){0});
    assert_true(m->sample.steps == 28 && fabs(m->sample.shift - 3) < 1e-12);
    r = request(m, text, 1);
    assert_int_equal(generate(a, &r, NULL, NULL), OK);
    model_free(m);
    m = must_open(TINY "/sd3_tiny.safetensors", beside);
    r = request(m, text, 1);
    assert_int_equal(generate(b, &r, NULL, NULL), OK);
    assert_memory_equal(a, b, sizeof a);
    model_free(m);
}

/* A prompt's picture does not depend on its neighbours, as long as they need as many rows of ids.
 */
static void pictures_hear_their_own_prompt(void **state)
{
    static float all[3 * LENGTH], one[LENGTH], plain[LENGTH];
    const char *const texts[] = {"a red cat", "a (red:1.5) cat"}, *const first[] = {"a red cat"};
    struct generate_request r;
    struct model *m;

    (void)state;
    need_tiny();
    m = must_open(TINY "/diffusers", (struct sd3_parts){0});
    r = request(m, texts, 2);
    r.n = 3;
    assert_int_equal(generate(all, &r, NULL, NULL), OK);
    assert_memory_not_equal(all, all + LENGTH, sizeof one);
    assert_memory_not_equal(all, all + 2 * LENGTH, sizeof one);
    r = request(m, first, 1);
    assert_int_equal(generate(one, &r, NULL, NULL), OK);
    assert_memory_equal(all, one, sizeof one);
    r.items = &(struct generate_item){0, 0, 3}; /* unguided: the empty prompt */
    assert_int_equal(generate(plain, &r, NULL, NULL), OK);
    r.items = &(struct generate_item){-1, 1, 3};
    assert_int_equal(generate(one, &r, NULL, NULL), OK);
    assert_memory_equal(plain, one, sizeof one);
    model_free(m);
}

/* By the model's own encoder: strength 1 leaves nothing of the picture, and under a mask the kept
 * pixels are its own. */
static void pictures_are_made_of_pictures(void **state)
{
    static float picture[LENGTH], mask[HEIGHT * WIDTH], got[LENGTH], plain[LENGTH];
    const char *const text[] = {"a red cat"};
    struct repaint_request of = {.picture = picture};
    struct generate_request r;
    struct model *m;

    (void)state;
    need_tiny();
    for (int i = 0; i < LENGTH; i++)
        picture[i] = (float)sin(0.01 * i);
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        mask[i] = i % WIDTH < 40;
    m = must_open(TINY "/diffusers", (struct sd3_parts){0});
    r = request(m, text, 1);
    assert_int_equal(generate(plain, &r, NULL, NULL), OK);
    r.repaint = &of;
    r.strength = 1;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    assert_memory_equal(got, plain, sizeof got);
    of.mask = mask;
    r.strength = 0.7;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    for (int i = 0; i < LENGTH; i++)
        assert_true((got[i] == picture[i]) == !mask[i / 3]);
    model_free(m);
}

/* Any of the encoders may be missing; all of them may not. */
static void encoders_may_be_missing(void **state)
{
    static float got[4][LENGTH];
    const char *const text[] = {"a red cat"};
    struct sd3_parts some[4] = {beside, beside, beside, beside};
    struct error err = {0};
    struct generate_request r;
    struct model *m;

    (void)state;
    need_tiny();
    some[1].clip_l = NULL;
    some[2].clip_g = NULL;
    some[3].no_t5 = true;
    for (int i = 0; i < 4; i++) {
        m = must_open(TINY "/sd3_tiny.safetensors", some[i]);
        r = request(m, text, 1);
        assert_int_equal(generate(got[i], &r, NULL, NULL), OK);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(got[i], got[k], sizeof got[i]);
        model_free(m);
    }
    m = must_open(TINY "/sd3_tiny.safetensors", (struct sd3_parts){0});
    r = request(m, text, 1);
    assert_int_equal(generate(got[0], &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "no text encoder was found"));
    model_free(m);
}

/* More than 75 ids take more rows; a book is refused. */
static void long_prompts(void **state)
{
    enum { WORDS = 100, BOOK = 100000 };
    static float a[LENGTH], b[LENGTH];
    static char text[BOOK + 1];
    const char *const texts[] = {text};
    struct error err = {0};
    struct generate_request r;
    struct model *m;

    (void)state;
    need_tiny();
    m = must_open(TINY "/diffusers", (struct sd3_parts){0});
    for (int i = 0; i < WORDS; i++)
        memcpy(text + 4 * i, i % 2 ? "cat " : "dog ", 5);
    r = request(m, texts, 1);
    assert_int_equal(generate(a, &r, NULL, NULL), OK);
    memcpy(text + 4 * (WORDS - 1), "sun ", 5);
    assert_int_equal(generate(b, &r, NULL, NULL), OK);
    assert_memory_not_equal(a, b, sizeof a);
    for (int i = 0; i < BOOK; i++)
        text[i] = (char)(i % 4 == 3 ? ' ' : 'a' + i % 23);
    assert_int_equal(generate(a, &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "rows of 75 ids, and 64 are the most"));
    model_free(m);
}

static void what_is_refused(void **state)
{
    struct error err = {0};
    struct sd3_parts parts = beside;
    struct model *m;
    char dir[TEMP_PATH], path[TEMP_PATH + 64];

    (void)state;
    need_tiny();
    m = must_open(TINY "/diffusers", (struct sd3_parts){0});
    assert_int_equal(network_resize(m->network, 9, 12, &err), E_ARG);
    assert_non_null(strstr(err.text, "multiples of 2"));
    assert_int_equal(network_resize(m->network, 8, 2 * 17, &err), E_ARG);
    assert_non_null(strstr(err.text, "at most 32"));
    model_free(m);
    /* An encoder of another width, and one that is none. */
    parts.clip_l = TINY "/diffusers/text_encoder_2";
    m = must_open(TINY "/sd3_tiny.safetensors", parts);
    {
        static float got[LENGTH];
        const char *const text[] = {"a"};
        struct generate_request r = request(m, text, 1);

        assert_int_equal(generate(got, &r, NULL, &err), E_ARG);
        assert_non_null(strstr(err.text, "CLIP-"));
    }
    model_free(m);
    /* A folder that says what it is, and holds nothing. */
    temp_dir_new(dir);
    assert_int_equal(file_write(temp_path(path, dir, "model_index.json"), "{}", 2, NULL), OK);
    assert_true(sd3_is(dir));
    assert_int_equal(sd3_open(&m, dir, &(struct sd3_parts){0}, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "no transformer/"));
    temp_dir_remove(dir);
    parts = (struct sd3_parts){.autoencoder = TINY "/diffusers/text_encoder"};
    assert_int_not_equal(sd3_open(&m, TINY "/sd3_tiny.safetensors", &parts, &err), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_are_one_model),
        cmocka_unit_test(pictures_hear_their_own_prompt),
        cmocka_unit_test(pictures_are_made_of_pictures),
        cmocka_unit_test(encoders_may_be_missing),
        cmocka_unit_test(long_prompts),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
