/*
 * fuzz_json.c - any bytes as the JSON in a model file
 *
 * What is parsed must come back the same from its dump, and the getters must survive any type.
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void get_all(const json_t *object)
{
    const char *key, *text;
    json_t *value, *part;
    int64_t i, list[4], count;
    double d;
    bool b;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        struct error err = {0};

        config_int(&i, object, key, 0, -5, 5, &err);
        config_double(&d, object, key, 0, -5, 5, &err);
        config_bool(&b, object, key, false, &err);
        config_text(&text, object, key, "", &err);
        config_array(&part, object, key, &err);
        config_object(&part, object, key, &err);
        config_ints(list, &count, 4, object, key, -5, 5, &err);
        MUST(!config_need(object, key, &err), "a key that is there");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    json_t *json, *again;
    char *text;

    if (config_parse(&json, (const char *)bytes, n, CONFIG_BYTES, "fuzz", &err)) {
        MUST(err.text[0] && !json, "a failure without a sentence");
        return 0;
    }
    get_all(json);
    if (!config_dump(&text, json, &err)) {
        MUST(!config_parse(&again, text, strlen(text), SIZE_MAX, "dump", &err), "%s", err.text);
        MUST(json_equal(json, again), "another value");
        json_decref(again);
        free(text);
    }
    json_decref(json);
    return 0;
}
