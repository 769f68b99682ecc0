/*
 * fuzz_ini.c - hostile configuration files, read into a table with a row of every type
 *
 * Whatever was read must print, and reading what was printed must give it again.
 */
#include "base/ini.h"
#include "base/option.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct config {
    int64_t whole;
    uint64_t seed;
    double real;
    bool flag;
    char *text;
    int choice;
    struct int_list wholes;
    struct real_list reals;
    struct text_list texts;
};

static const char *const choices[] = {"one", "two", NULL};

#define AT(member) offsetof(struct config, member)
static const struct option rows[] = {
    {"i", "", OPTION_INT, AT(whole), .lo = -9, .hi = 1000000},
    {"s", "", OPTION_SEED, AT(seed), .fallback = "1"},
    {"r", "", OPTION_REAL, AT(real), .lo = 0, .hi = HUGE_VAL},
    {"b", "", OPTION_BOOL, AT(flag), .fallback = "on"},
    {"t", "", OPTION_TEXT, AT(text), .fallback = "text"},
    {"c", "", OPTION_CHOICE, AT(choice), .choices = choices},
    {"is", "", OPTION_INTS, AT(wholes), .fallback = "1,2"},
    {"rs", "", OPTION_REALS, AT(reals), .fallback = "0.5"},
    {"ts", "", OPTION_TEXTS, AT(texts), .fallback = NULL},
    {0},
};

static enum status set_any(const char *key, const char *value, struct error *err, void *arg)
{
    const struct option_set *set = arg;
    struct text shown;

    if (options_set(set, key, value, err)) /* refused settings are passed over, to reach more */
        return OK;
    text_init(&shown, NULL, 0);
    MUST(options_get(set, key, &shown), "%s was set and is gone", key);
    if (strcmp(key, "ts") != 0)
        MUST(options_set(set, key, shown.data, err) == OK, "%s: %s", key, err->text);
    text_release(&shown);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config = {0};
    struct option_group group = {"", rows, &config, NULL};
    struct option_set set = {&group, 1};
    struct error err = {0};
    json_t *json = NULL;

    if (options_default(&set, &err) == OK)
        ini_read_text("fuzz.ini", (const char *)data, size, set_any, &set, &err);
    if (options_to_json(&set, &json, &err) == OK)
        MUST(options_from_json(&set, json, &err) == OK, "back from JSON: %s", err.text);
    json_decref(json);
    options_release(&set);
    return 0;
}
