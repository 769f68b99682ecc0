/*
 * test_json.c - JSON within limits, and members with their types and ranges checked
 */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum status parse(json_t **out, const char *text, struct error *err)
{
    return config_parse(out, text, strlen(text), CONFIG_BYTES, "the text", err);
}

static void bad_texts_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "1",
        "\"a\"",
        "null",
        "{",
        "{}x",
        "{}{}",
        "{\"a\":1,}",
        "[1,]",
        "{'a':1}",
        "{a:1}",
        "[01]",
        "[+1]",
        "[1.]",
        "[.5]",
        "[NaN]",
        "[Infinity]",
        "[1e999]",
        "[tru]",
        "{\"a\":1,\"a\":2}",
        "[\"\\x\"]",
        "[\"\n\"]",
        "[\"\\u0000\"]",
        "[\"\\ud800\"]",
        "[\"\xFF\"]",
        "[\"",
        "[\"\\",
        "// x\n[]",
        "[9223372036854775808]",
    };
    struct error err = {0};
    json_t *json;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (parse(&json, bad[i], &err) != E_FORMAT)
            fail_msg("%s is accepted", bad[i]);
        assert_null(json);
        assert_non_null(strstr(err.text, "the text"));
    }
}

/* count times `open`, then count times `close`. */
static enum status parse_nested(int count, const char *open, const char *close, struct error *err)
{
    char text[4000] = "";
    enum status st;
    json_t *json;

    for (int i = 0; i < count; i++)
        strcat(text, open);
    for (int i = 0; i < count; i++)
        strcat(text, close);
    st = parse(&json, text, err);
    json_decref(json);
    return st;
}

static void limits_hold(void **state)
{
    size_t n = 3 * CONFIG_VALUES;
    struct error err = {0};
    char *text;
    json_t *json;

    (void)state;
    assert_int_equal(parse_nested(CONFIG_DEPTH, "[", "]", &err), OK);
    assert_int_equal(parse_nested(CONFIG_DEPTH + 1, "[", "]", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "nested"));
    assert_int_equal(parse_nested(CONFIG_DEPTH, "[[", "]]", &err), E_FORMAT);
    /* Brackets in strings are no nesting, nor is a quote behind a backslash the end of one. */
    assert_int_equal(parse(&json,
                           "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                           "[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[\"]",
                           &err),
                     OK);
    json_decref(json);
    assert_int_equal(config_parse(&json, "[1]", 3, 2, "x", &err), E_FORMAT);
    text = malloc(n);
    memset(text, ',', n);
    text[0] = '[';
    assert_int_equal(config_parse(&json, text, n, n, "x", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "values"));
    free(text);
}

static void members_are_checked(void **state)
{
    struct error err = {0};
    const char *text;
    json_t *json, *part;
    int64_t i, list[3], n;
    double d;
    bool b;

    (void)state;
    assert_int_equal(parse(&json,
                           "{\"i\":7,\"r\":1.5,\"b\":true,\"t\":\"x\",\"l\":[1,2,3],"
                           "\"o\":{\"k\":-1},\"mixed\":[1,\"2\"],\"e\":[]}",
                           &err),
                     OK);
    assert_int_equal(config_int(&i, json, "i", 0, 7, 7, &err), OK);
    assert_int_equal(i, 7);
    assert_int_equal(config_int(&i, json, "none", -3, 0, 1, &err), OK);
    assert_int_equal(i, -3);
    assert_int_equal(config_int(&i, json, "i", 0, 8, 9, &err), E_FORMAT);
    assert_string_equal(err.text, "\"i\" is 7, must be within 8 and 9");
    assert_int_equal(config_int(&i, json, "i", 0, 0, 6, &err), E_FORMAT);
    assert_int_equal(config_int(&i, json, "r", 0, 0, 6, &err), E_FORMAT);
    assert_int_equal(i, -3);
    assert_int_equal(config_double(&d, json, "r", 0, 1, 2, &err), OK);
    assert_true(d == 1.5);
    assert_int_equal(config_double(&d, json, "i", 0, 1, 20, &err), OK);
    assert_true(d == 7);
    assert_int_equal(config_double(&d, json, "r", 0, 2, 3, &err), E_FORMAT);
    assert_int_equal(config_double(&d, json, "t", 0, 2, 3, &err), E_FORMAT);
    assert_int_equal(config_double(&d, json, "none", 0.25, 2, 3, &err), OK);
    assert_true(d == 0.25);
    assert_int_equal(config_bool(&b, json, "b", false, &err), OK);
    assert_true(b);
    assert_int_equal(config_bool(&b, json, "none", false, &err), OK);
    assert_false(b);
    assert_int_equal(config_bool(&b, json, "i", false, &err), E_FORMAT);
    assert_int_equal(config_text(&text, json, "t", NULL, &err), OK);
    assert_string_equal(text, "x");
    assert_int_equal(config_text(&text, json, "none", "y", &err), OK);
    assert_string_equal(text, "y");
    assert_int_equal(config_text(&text, json, "l", "y", &err), E_FORMAT);
    assert_int_equal(config_array(&part, json, "l", &err), OK);
    assert_int_equal(json_array_size(part), 3);
    assert_int_equal(config_array(&part, json, "none", &err), OK);
    assert_null(part);
    assert_int_equal(config_array(&part, json, "o", &err), E_FORMAT);
    assert_int_equal(config_object(&part, json, "l", &err), E_FORMAT);
    assert_int_equal(config_object(&part, json, "o", &err), OK);
    assert_int_equal(config_int(&i, part, "k", 0, -1, 0, &err), OK);
    assert_int_equal(config_ints(list, &n, 3, json, "l", 1, 3, &err), OK);
    assert_int_equal(n, 3);
    assert_int_equal(list[2], 3);
    assert_int_equal(config_ints(list, &n, 2, json, "l", 1, 3, &err), E_FORMAT);
    assert_int_equal(config_ints(list, &n, 3, json, "l", 1, 2, &err), E_FORMAT);
    assert_int_equal(config_ints(list, &n, 3, json, "mixed", 1, 2, &err), E_FORMAT);
    assert_int_equal(config_ints(list, &n, 0, json, "e", 1, 2, &err), OK);
    assert_int_equal(config_ints(list, &n, 3, json, "none", 1, 2, &err), OK);
    assert_int_equal(n, 0);
    assert_int_equal(config_need(json, "i", &err), OK);
    assert_int_equal(config_need(json, "none", &err), E_FORMAT);
    assert_int_equal(config_int(&i, NULL, "i", 5, 0, 9, &err), OK); /* no object: the fallback */
    assert_int_equal(i, 5);
    json_decref(json);
}

static void texts_come_back(void **state)
{
    static const char text[] =
        "{\"z\":0.1,\"a\":[1,-2.5e+300,true,null],\"\xC3\xA9\":\"\\n\\u0001\"}";
    struct error err = {0};
    json_t *json, *again;
    char *dump;

    (void)state;
    assert_int_equal(parse(&json, text, &err), OK);
    assert_int_equal(config_dump(&dump, json, &err), OK);
    assert_int_equal(parse(&again, dump, &err), OK);
    assert_true(json_equal(json, again));
    assert_true(strstr(dump, "\"z\"") < strstr(dump, "\"a\"")); /* the order of the text */
    assert_null(strchr(dump, '\n'));
    free(dump);
    json_decref(json);
    json_decref(again);
}

/* What a number of JSON cannot hold, and what must have 64 letters. */
static void seeds_and_hashes_are_texts(void **state)
{
    static const char hash[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    json_t *json = json_pack("{s:s, s:s, s:i, s:s, s:s}", "seed", "18446744073709551615", "word",
                             "many", "number", 3, "hash", hash, "short", "0011");
    char out[HASH_TEXT];
    struct error err = {0};
    uint64_t seed = 4;
    bool there = true;

    (void)state;
    assert_int_equal(config_seed(&seed, &there, json, "none", &err), OK);
    assert_true(!there && seed == 4);
    assert_int_equal(config_seed(&seed, &there, json, "seed", &err), OK);
    assert_true(there && seed == UINT64_MAX);
    assert_int_equal(config_seed(&seed, &there, json, "word", &err), E_FORMAT);
    assert_int_equal(config_seed(&seed, &there, json, "number", &err), E_FORMAT);
    assert_int_equal(config_hash(out, json, "hash", &err), OK);
    assert_string_equal(out, hash);
    assert_int_equal(config_hash(out, json, "short", &err), E_FORMAT);
    assert_int_equal(config_hash(out, json, "number", &err), E_FORMAT);
    assert_int_equal(config_hash(out, json, "none", &err), E_FORMAT);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_texts_are_refused), cmocka_unit_test(limits_hold),
        cmocka_unit_test(members_are_checked),   cmocka_unit_test(seeds_and_hashes_are_texts),
        cmocka_unit_test(texts_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
