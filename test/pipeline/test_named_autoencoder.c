/*
 * test_named_autoencoder.c - what a latent model's file says of its autoencoder, and whether two
 * agree
 */
#include "pipeline/latent_space.h"

#include "pipeline/match.h"
#include "support/models.h"
#include "support/says.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HASH  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIT                                                                               \
    "\"model\":{\"network\":\"dit\"},\"path\":{},\"sample\":{\"steps\":2},\"labels\":[]," \
    "\"dit\":{\"size\":4,\"channels\":2,\"patch\":2,\"width\":16,\"depth\":1,\"heads\":2}"
#define SPACE(hash, more) DIT ",\"autoencoder\":{\"hash\":\"" hash "\"," more "}"

static const char good[] = SPACE(HASH, "\"file\":\"../ae.safetensors\",\"mean\":[0.1,-3e-7],"
                                       "\"deviation\":[0.3333333333333333,2]");

static void a_description_keeps_every_bit(void **state)
{
    struct model *m = model_random(good, 1), *again;
    char *text, *twice;

    (void)state;
    assert_non_null(m->space);
    assert_string_equal(m->space->hash, HASH);
    assert_string_equal(m->space->file, "../ae.safetensors");
    assert_true(m->space->channels == 2 && !m->space->found);
    assert_true(m->space->mean[1] == -3e-7 && m->space->deviation[0] == 0.3333333333333333);
    assert_int_equal(model_describe(m, &text, NULL), OK);
    assert_int_equal(model_from_text(&again, text, "again", NULL), OK);
    assert_memory_equal(m->space->mean, again->space->mean, 2 * sizeof(double));
    assert_memory_equal(m->space->deviation, again->space->deviation, 2 * sizeof(double));
    assert_int_equal(model_describe(again, &twice, NULL), OK);
    assert_string_equal(text, twice);
    free(text);
    free(twice);
    model_free(m);
    model_free(again);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *text, *said;
    } bad[] = {
        {SPACE("0123", "\"mean\":[0,0],\"deviation\":[1,1]"), "0123"},
        {SPACE("ABCDEF", "\"mean\":[0,0],\"deviation\":[1,1]"), "SHA-256"},
        {SPACE(HASH, "\"deviation\":[1,1]"), "mean"},
        {SPACE(HASH, "\"mean\":[0,0]"), "deviation"},
        {SPACE(HASH, "\"mean\":[0,0,0],\"deviation\":[1,1]"), "3 numbers"},
        {SPACE(HASH, "\"mean\":[0,0],\"deviation\":[1]"), "1 numbers"},
        {SPACE(HASH, "\"mean\":[0,0],\"deviation\":[1,0]"), "number 1"},
        {SPACE(HASH, "\"mean\":[0,0],\"deviation\":[1,-1]"), "number 1"},
        {SPACE(HASH, "\"mean\":[\"a\",0],\"deviation\":[1,1]"), "number 0"},
        {SPACE(HASH, "\"mean\":3,\"deviation\":[1,1]"), "mean"},
        {SPACE(HASH, "\"file\":7,\"mean\":[0,0],\"deviation\":[1,1]"), "file"},
        {DIT ",\"autoencoder\":[]", "autoencoder"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        struct model *m;
        char text[1024];

        snprintf(text, sizeof text, "{\"format\":1,%s}", bad[i].text);
        assert_int_equal(model_from_text(&m, text, "bad", &err), E_FORMAT);
        assert_null(m);
        assert_says(err.text, bad[i].said);
    }
}

static void numbers_are_undone_channel_by_channel(void **state)
{
    const double mean[] = {0.5, -1}, deviation[] = {2, 0.25};
    const double x[] = {1, 1, -2, 0, 0, 4};
    const float want[] = {2.5f, -0.75f, -3.5f, -1, 0.5f, 0};
    struct latent_space *s;
    float z[6];

    (void)state;
    assert_int_equal(latent_space_new(&s, HASH, mean, deviation, 2, NULL), OK);
    latent_space_undo(s, z, x, 3);
    assert_memory_equal(z, want, sizeof z);
    latent_space_free(s);
}

/* A second model looks at the solver's numbers too: they must mean the same to it. */
static void models_must_agree(void **state)
{
    static const struct {
        const char *other, *said;
    } bad[] = {
        {DIT, "pixels"},
        {SPACE(OTHER, "\"mean\":[0.1,-3e-7],\"deviation\":[0.3333333333333333,2]"), "112345678"},
        {SPACE(HASH, "\"mean\":[0.1,0],\"deviation\":[0.3333333333333333,2]"), "channel 1"},
        {SPACE(HASH, "\"mean\":[0.1,-3e-7],\"deviation\":[0.5,2]"), "channel 0"},
    };
    struct model *m = model_random(good, 1), *same = model_random(good, 2);

    (void)state;
    assert_int_equal(models_match(same, "guide", m, NULL), OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct model *other = model_random(bad[i].other, 3);
        struct error err = {0};

        assert_int_equal(models_match(other, "guide", m, &err), E_ARG);
        assert_says(err.text, bad[i].said);
        assert_int_equal(models_match(m, "guide", other, NULL), E_ARG);
        model_free(other);
    }
    model_free(m);
    model_free(same);
}

/* Relative names as the run's folder sees them, absolute ones as they are. */
static void a_name_is_seen_from_the_folder(void **state)
{
    static const struct {
        const char *folder, *path, *want;
    } rows[] = {
        {"runs/a", "ae/x.safetensors", "../../ae/x.safetensors"},
        {"runs/a", "x.safetensors", "../../x.safetensors"},
        {"runs/a", "runs/x.safetensors", "../x.safetensors"},
        {"runs/a", "runs/ab/x.safetensors", "../ab/x.safetensors"},
        {"runs/a", "runs/a/x.safetensors", "x.safetensors"},
        {"runs/a/", "./ae/../runs/a/b/x.safetensors", "b/x.safetensors"},
        {"runs/a", "ae/", "../../ae"},
        {".", "ae", "ae"},
        {"runs/a", "link/x.safetensors", "../../ae/x.safetensors"},
        {"runs/a", "/nowhere/x.safetensors", "/nowhere/x.safetensors"},
        {"runs/a", "/nowhere/", "/nowhere"},
    };
    const double one = 1;
    char dir[TEMP_PATH], before[TEMP_PATH];
    struct latent_space *s;

    (void)state;
    temp_dir_new(dir);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("ae", 0700) || mkdir("runs", 0700) || mkdir("runs/a", 0700) ||
                         mkdir("runs/ab", 0700) || mkdir("runs/a/b", 0700) || symlink("ae", "link"),
                     0);
    assert_int_equal(latent_space_new(&s, HASH, &one, &one, 1, NULL), OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(latent_space_name(s, rows[i].folder, rows[i].path, NULL), OK);
        assert_string_equal(s->file, rows[i].want);
    }
    assert_int_equal(latent_space_name(s, "runs/a", "missing/x", NULL), E_IO);
    latent_space_free(s);
    assert_int_equal(chdir(before), 0);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_description_keeps_every_bit),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(numbers_are_undone_channel_by_channel),
        cmocka_unit_test(models_must_agree),
        cmocka_unit_test(a_name_is_seen_from_the_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
