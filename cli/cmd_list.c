/*
 * cmd_list.c - what there is to choose from
 *
 * Everything comes from the library's descriptors: a new sampler or data set appears here by
 * itself.
 */
#include "cli.h"
#include "json_out.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct list_options {
    bool help, json;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"json", "print the lists as JSON", IMGEN_OPTION_BOOL, offsetof(struct list_options, json),
     .letter = 0},
    {0},
};

static const struct {
    const char *name;
    enum imgen_kind kind;
} kinds[] = {
    {"samplers", IMGEN_SAMPLERS},
    {"schedules", IMGEN_SCHEDULES},
    {"networks", IMGEN_NETWORKS},
    {"paths", IMGEN_PATHS},
    {"times", IMGEN_TIMES},
    {"datasets", IMGEN_DATASETS},
    {"precisions", IMGEN_PRECISIONS},
    {"predictions", IMGEN_PREDICTIONS},
    {"weights", IMGEN_WEIGHTS},
    {"preconditions", IMGEN_PRECONDITIONS},
    {"guidances", IMGEN_GUIDANCES},
    {"strengths", IMGEN_STRENGTHS},
    {"laws", IMGEN_LAWS},
    {"measures", IMGEN_MEASURES},
    {"rngs", IMGEN_RNGS},
    {"stored", IMGEN_STORED},
};

enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* Lists that are not of names; numbered after the kinds. */
enum { KEYS = N_KINDS, NUMBERS, N_LISTS };

static const char keys[] = "keys", numbers[] = "numbers";

static void print_kind(int k, bool titled)
{
    struct imgen_choice c;

    if (titled)
        printf("%s%s\n", k ? "\n" : "", kinds[k].name);
    for (int i = 0; imgen_list(kinds[k].kind, i, &c); i++) {
        printf("  %-18s %s%s%s%s\n", c.name, c.summary, c.paper ? " (" : "", c.paper ? c.paper : "",
               c.paper ? ")" : "");
        if (c.claim)
            printf("  %-18s reported: %s\n", "", c.claim);
    }
}

static void print_kind_json(struct json_out *j, int k)
{
    struct imgen_choice c;

    json_out_open(j, kinds[k].name, '[');
    for (int i = 0; imgen_list(kinds[k].kind, i, &c); i++) {
        json_out_open(j, NULL, '{');
        json_out_text(j, "name", c.name);
        json_out_text(j, "summary", c.summary);
        json_out_text(j, "paper", c.paper);
        if (c.claim)
            json_out_text(j, "claim", c.claim);
        json_out_close(j);
    }
    json_out_close(j);
}

static int print_key(const struct imgen_config_key *key, void *user)
{
    char name[128];

    (void)user;
    snprintf(name, sizeof name, "%s.%s", key->section, key->key);
    printf("  %-26s %s%s%s%s\n", name, key->help, *key->fallback ? " [" : "", key->fallback,
           *key->fallback ? "]" : "");
    return 1;
}

static int print_key_json(const struct imgen_config_key *key, void *user)
{
    struct json_out *j = user;

    json_out_open(j, NULL, '{');
    json_out_text(j, "section", key->section);
    json_out_text(j, "key", key->key);
    json_out_text(j, "help", key->help);
    json_out_text(j, "default", key->fallback);
    json_out_close(j);
    return 1;
}

static void print_number(const struct imgen_number *n, void *user)
{
    char name[128];

    (void)user;
    snprintf(name, sizeof name, "%s.%s", n->section, n->name);
    printf("  %-22s %-18s %s%s%s%s\n", name, n->of ? n->of : "", n->help, *n->fallback ? " [" : "",
           n->fallback, *n->fallback ? "]" : "");
}

static void print_number_json(const struct imgen_number *n, void *user)
{
    struct json_out *j = user;

    json_out_open(j, NULL, '{');
    json_out_text(j, "section", n->section);
    json_out_text(j, "of", n->of);
    json_out_text(j, "name", n->name);
    json_out_text(j, "help", n->help);
    json_out_text(j, "default", n->fallback);
    json_out_close(j);
}

/* what: the number of a kind or list, -1 for every kind. */
static void print(int what)
{
    for (int k = 0; k < N_KINDS; k++)
        if (what < 0 || what == k)
            print_kind(k, what < 0);
    if (what == KEYS)
        imgen_config_keys(print_key, NULL);
    if (what == NUMBERS)
        imgen_numbers(print_number, NULL);
}

static void print_json(int what)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    for (int k = 0; k < N_KINDS; k++)
        if (what < 0 || what == k)
            print_kind_json(&j, k);
    if (what >= N_KINDS) {
        json_out_open(&j, what == KEYS ? keys : numbers, '[');
        if (what == KEYS)
            imgen_config_keys(print_key_json, &j);
        else
            imgen_numbers(print_number_json, &j);
        json_out_close(&j);
    }
    json_out_close(&j);
}

static int find_kind(const char *word, int *out)
{
    const char *names[N_LISTS], *nearest;

    for (int k = 0; k < N_LISTS; k++) {
        names[k] = k < N_KINDS ? kinds[k].name : k == KEYS ? keys : numbers;
        if (!strcmp(word, names[k])) {
            *out = k;
            return EXIT_DONE;
        }
    }
    nearest = imgen_nearest(word, names, N_LISTS);
    return command_misused(&command_list, "there is no list of '%s'%s%s%s", word,
                           nearest ? "; did you mean '" : "", nearest ? nearest : "",
                           nearest ? "'?" : "");
}

static int cmd_list(int argc, char **argv)
{
    struct list_options o = {0};
    int n_words, code, what = -1;
    bool go = command_read(&command_list, &o, NULL, argc, argv, &n_words, &code);

    imgen_options_release(rows, &o);
    if (!go)
        return code;
    if (n_words > 1)
        return command_misused(&command_list, "one list at a time, not %d", n_words);
    if (n_words && (code = find_kind(argv[1], &what)))
        return code;
    if (o.json)
        print_json(what);
    else
        print(what);
    return EXIT_DONE;
}

const struct command command_list = {
    .is = {"list",
           "[samplers|schedules|networks|paths|times|datasets|precisions|predictions|weights|"
           "preconditions|guidances|strengths|laws|measures|rngs|numbers|keys]",
           "list what there is to choose from", rows},
    .details =
        "Lists the names that configurations and flags accept; `keys` are the keys of a\n"
        "training configuration with their defaults, `numbers` what --number of `imgen sample`,\n"
        "`imgen grid` and `imgen eval` may set.  `guidances` are first the kinds of\n"
        "guidance.kind, then what goes together with any of them, by the names of the numbers\n"
        "(guidance.perturbed) and flags (--guide, --classifier), with what the papers report.",
    .run = cmd_list,
};
