/*
 * test_parameters.c - the text under which programs of this field tell how a picture was made
 */
#include "io/parameters.h"

#include "base/rng.h"
#include "support/says.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void parse(struct parameters *p, const char *text)
{
    struct error err = {0};

    if (parameters_parse(p, text, strlen(text), &err))
        fail_msg("%s", err.text);
}

static void says(const struct parameters *p, const char *key, const char *value)
{
    const char *found = parameters_find(p, key);

    if (!found || strcmp(found, value) != 0)
        fail_msg("%s: '%s', not '%s'", key, found ? found : "(none)", value);
}

static void a_whole_text_is_read(void **state)
{
    struct parameters p;

    (void)state;
    parse(&p, "a cat, (sleeping:1.3),\n  on a roof \n"
              "Negative prompt: dog,\nrain\n"
              "Steps: 20, Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG scale: 7, "
              "Seed: 18446744073709551615, Size: 512x768, "
              "Lora hashes: \"a: 12, \\\"b\\\": 3\\u00e9\", Version: v1.10\n");
    assert_string_equal(p.prompt, "a cat, (sleeping:1.3),\n  on a roof");
    assert_string_equal(p.negative, "dog,\nrain");
    assert_int_equal(p.n, 8);
    says(&p, "Steps", "20");
    says(&p, "Sampler", "DPM++ 2M SDE");
    says(&p, "Seed", "18446744073709551615");
    says(&p, "Size", "512x768");
    says(&p, "Lora hashes", "a: 12, \"b\": 3\xc3\xa9");
    says(&p, "Version", "v1.10");
    assert_null(parameters_find(&p, "steps"));
    parameters_release(&p);
}

static void parts_may_be_missing(void **state)
{
    struct parameters p;

    (void)state;
    parse(&p, "Steps: 4");
    assert_string_equal(p.prompt, "");
    assert_string_equal(p.negative, "");
    says(&p, "Steps", "4");
    parameters_release(&p);

    parse(&p,
          "Negative prompt:\r\nSteps: 4,, stray, Seed: , Model: a b\r\nTemplate: of an add-on\r\n");
    assert_string_equal(p.prompt, "");
    assert_string_equal(p.negative, "");
    assert_int_equal(p.n, 3);
    says(&p, "Seed", "");
    says(&p, "Model", "a b");
    parameters_release(&p);
}

/* What looks like settings in a prompt is prompt, but for the last such line. */
static void a_prompt_may_hold_anything(void **state)
{
    struct parameters p;

    (void)state;
    parse(&p,
          "stairs\nSteps: 12, of stone\nNegative prompt: Negative prompt: x\nSteps: 5, Seed: 1");
    assert_string_equal(p.prompt, "stairs\nSteps: 12, of stone");
    assert_string_equal(p.negative, "Negative prompt: x");
    says(&p, "Steps", "5");
    parameters_release(&p);
}

static void what_is_no_such_text_is_refused(void **state)
{
    static const struct {
        const char *text, *word;
    } rows[] = {
        {"", "Steps"},
        {"a cat", "Steps"},
        {"a cat, Steps: 20", "Steps"},
        {"Steps: 20, Model: \"a", "no end"},
        {"Steps: 20, Model: \"a\\", "no end"},
        {"Steps: 20, Model: \"\\q\"", "no text"},
        {"Steps: 20, Model: \"\xff\"", "no text"},
    };
    struct parameters p;
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(parameters_parse(&p, rows[i].text, strlen(rows[i].text), &err), E_FORMAT);
        assert_says(err.text, rows[i].word);
    }
    assert_int_equal(parameters_parse(&p, "Steps: 1\0", 9, &err), E_FORMAT);
}

static void what_is_written_is_read(void **state)
{
    static const char *const values[] = {
        "20", "a, b", "a: b", "\"", "back\\slash", "two\nlines", "", "\x01\t", "\xc3\xa9,",
    };
    enum { N = sizeof values / sizeof *values };
    struct parameters p;
    char key[8];
    struct text t;

    (void)state;
    text_init(&t, NULL, 0);
    text_add(&t, "prompt\n");
    parameters_add(&t, "Steps", "1");
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "k%d", i);
        parameters_add(&t, key, values[i]);
    }
    parse(&p, t.data);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "k%d", i);
        says(&p, key, values[i]);
    }
    assert_int_equal(p.n, N + 1);
    parameters_release(&p);
    text_release(&t);
}

/* Damage anywhere: a failure with a sentence, or something was read; never a crash. */
static void damage_is_survived(void **state)
{
    static const char good[] = "a \"cat\"\nNegative prompt: b\nSteps: 1, M: \"x, \\u00e9\", S: 2x2";
    static const char letters[] = "\"\\\n:,S \x80";
    struct rng r = rng_stream(5, RNG_TEST, 0);

    (void)state;
    for (int k = 0; k < 20000; k++) {
        char text[sizeof good];
        size_t n = sizeof good - 1;
        struct error err = {0};
        struct parameters p;

        memcpy(text, good, sizeof good);
        for (int hits = 0; hits < 3; hits++)
            text[rng_below(&r, n)] = letters[rng_below(&r, sizeof letters - 1)];
        n -= rng_below(&r, 10);
        if (parameters_parse(&p, text, n, &err))
            assert_true(err.text[0]);
        else
            parameters_release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_text_is_read),
        cmocka_unit_test(parts_may_be_missing),
        cmocka_unit_test(a_prompt_may_hold_anything),
        cmocka_unit_test(what_is_no_such_text_is_refused),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(damage_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
