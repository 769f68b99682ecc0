/*
 * test_option.c - one table, read from texts, flags and JSON, and told in all notations
 */
#include "base/option.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct train {
    int64_t batch;
    uint64_t seed;
    double learning_rate;
    bool ema;
    char *name;
    int schedule;
    struct int_list widths;
    struct real_list times;
};

struct flags {
    int64_t count;
    double scale;
    bool verbose, quiet;
    char *output;
    struct text_list set;
};

static const char *solver_name(int i)
{
    static const char *const names[] = {"euler", "heun"};

    return i < 2 ? names[i] : NULL;
}

static const char *const schedules[] = {"constant", "cosine", "log_normal", NULL};

#define AT(member) offsetof(struct train, member)
static const struct option train_rows[] = {
    {"batch", "samples a step", OPTION_INT, AT(batch), .fallback = "32", .lo = 1, .hi = 65536},
    {"seed", "of all random numbers", OPTION_SEED, AT(seed), .fallback = "1"},
    {"learning_rate", "at its highest", OPTION_REAL, AT(learning_rate), .fallback = "1e-4",
     .hi = 1},
    {"ema", "keep a moving average", OPTION_BOOL, AT(ema), .fallback = "true"},
    {"name", "of the run", OPTION_TEXT, AT(name), .fallback = NULL, .lo = 0, .hi = 20},
    {"schedule", "of the rate", OPTION_CHOICE, AT(schedule), .fallback = "cosine",
     .choices = schedules},
    {"widths", "of the levels", OPTION_INTS, AT(widths), .fallback = "1,2,2", .lo = 1, .hi = 8},
    {"times", "of the grid", OPTION_REALS, AT(times), .fallback = NULL, .lo = 0, .hi = 1},
    {0},
};
#undef AT

#define AT(member) offsetof(struct flags, member)
static const struct option flag_rows[] = {
    {"batch_count", "how many pictures", OPTION_INT, AT(count), .fallback = "1", .lo = 1, .hi = 64,
     .letter = 'n'},
    {"cfg_scale", "strength of guidance", OPTION_REAL, AT(scale), .fallback = "2", .lo = -10,
     .hi = HUGE_VAL},
    {"verbose", "say more", OPTION_BOOL, AT(verbose), .letter = 'v'},
    {"quiet", "say nothing", OPTION_BOOL, AT(quiet), .letter = 'q'},
    {"output", "where to write it; it's made when missing", OPTION_TEXT, AT(output),
     .fallback = "out.png", .letter = 'o', .value = "FILE"},
    {"set", "section.key=value over the file", OPTION_TEXTS, AT(set), .fallback = NULL},
    {0},
};
#undef AT

struct fixture {
    struct train train;
    struct flags flags;
    bool given[8];
    struct option_group groups[2];
    struct option_set set;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->groups[0] = (struct option_group){"train", train_rows, &f->train, f->given};
    f->groups[1] = (struct option_group){"", flag_rows, &f->flags, NULL};
    f->set = (struct option_set){f->groups, 2};
    *state = f;
    return options_default(&f->set, &f->err) != OK;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    options_release(&f->set);
    options_release(&f->set);
    free(f);
    return 0;
}

static void defaults_come_from_the_rows(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->train.batch, 32);
    assert_true(f->train.seed == 1);
    assert_true(f->train.learning_rate == 1e-4);
    assert_true(f->train.ema);
    assert_null(f->train.name);
    assert_int_equal(f->train.schedule, 1);
    assert_int_equal(f->train.widths.n, 3);
    assert_int_equal(f->train.widths.at[2], 2);
    assert_int_equal(f->train.times.n, 0);
    assert_string_equal(f->flags.output, "out.png");
    for (int i = 0; i < 8; i++)
        assert_false(f->given[i]);
}

static void values_are_set_by_key(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(options_set(&f->set, "train.batch", "65536", &f->err), OK);
    assert_int_equal(options_set(&f->set, "train.seed", "18446744073709551615", &f->err), OK);
    assert_int_equal(options_set(&f->set, "train.learning-rate", "0.25", &f->err), OK);
    assert_int_equal(options_set(&f->set, "train.ema", "no", &f->err), OK);
    assert_int_equal(options_set(&f->set, "train.name", "first", &f->err), OK);
    assert_int_equal(options_set(&f->set, "train.name", "second", &f->err), OK);
    assert_int_equal(options_set(&f->set, "train.schedule", "log-normal", &f->err), OK);
    assert_int_equal(options_set(&f->set, "train.times", "0, 0.5 1", &f->err), OK);
    assert_int_equal(options_set(&f->set, "train.widths", "", &f->err), OK);
    assert_int_equal(options_assign(&f->set, " batch_count = 9 ", &f->err), OK);
    assert_int_equal(f->train.batch, 65536);
    assert_true(f->train.seed == UINT64_MAX);
    assert_true(f->train.learning_rate == 0.25);
    assert_false(f->train.ema);
    assert_string_equal(f->train.name, "second");
    assert_int_equal(f->train.schedule, 2);
    assert_int_equal(f->train.times.n, 3);
    assert_true(f->train.times.at[1] == 0.5);
    assert_int_equal(f->train.widths.n, 0);
    assert_int_equal(f->flags.count, 9);
    assert_true(f->given[0] && f->given[1] && f->given[4] && f->given[7]);
}

/* What is refused, with which sentence. */
static void errors_name_the_key_and_the_range(void **state)
{
    static const struct {
        const char *assignment, *sentence;
    } cases[] = {
        {"train.batch=0", "train.batch: 0 is not in 1..65536"},
        {"train.batch=65537", "train.batch: 65537 is not in 1..65536"},
        {"train.batch=12x", "train.batch: '12x' is not a whole number"},
        {"train.batch=", "train.batch: '' is not a whole number"},
        {"train.batch=99999999999999999999",
         "train.batch: '99999999999999999999' is not a whole number"},
        {"train.learning_rate=nan", "train.learning_rate: 'nan' is not a finite number"},
        {"train.learning_rate=-0.1", "train.learning_rate: -0.1 is not in 0..1"},
        {"cfg_scale=-11", "cfg_scale: -11 is not at least -10"},
        {"train.ema=maybe", "train.ema: 'maybe' is not true or false"},
        {"train.seed=-1", "train.seed: '-1' is not a whole number from 0 to 2^64 - 1"},
        {"train.schedule=cosin", "train.schedule: unknown value 'cosin'; did you mean 'cosine'?"},
        {"train.schedule=banana",
         "train.schedule: 'banana' is none of constant | cosine | log_normal"},
        {"train.widths=1,,2", "train.widths: '1,,2' is not a list of whole numbers such as 1,2,4"},
        {"train.widths=1,2,", "train.widths: '1,2,' is not a list of whole numbers such as 1,2,4"},
        {"train.widths=1,9", "train.widths: 9 is not in 1..8"},
        {"train.times=0,x", "train.times: 'x' is not a finite number"},
        {"train.name=a name of more than twenty",
         "train.name: a text of 26 bytes; from 0 to 20 are allowed"},
        {"train.leraning_rate=1",
         "unknown key 'train.leraning_rate'; did you mean 'train.learning_rate'?"},
        {"trian.batch=1", "unknown key 'trian.batch'; did you mean 'train.batch'?"},
        {"banana=1", "unknown key 'banana'"},
        {"train.batch", "'train.batch' is no assignment; write section.key=value"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(options_assign(&f->set, cases[i].assignment, &f->err), E_ARG);
        assert_string_equal(f->err.text, cases[i].sentence);
        assert_int_equal(options_assign(&f->set, cases[i].assignment, NULL), E_ARG);
    }
    defaults_come_from_the_rows(state);
}

static void long_lists_and_texts_are_refused(void **state)
{
    struct fixture *f = *state;
    size_t n = OPTION_TEXT_MAX + 1;
    char *text = malloc(n + 1);

    for (size_t i = 0; i < n; i++)
        text[i] = i & 1 ? ',' : '1';
    text[n] = '\0';
    assert_int_equal(options_set(&f->set, "train.widths", text, &f->err), E_ARG);
    assert_string_equal(f->err.text, "train.widths: more than 4096 numbers");
    assert_int_equal(options_set(&f->set, "output", text, &f->err), E_ARG);
    assert_string_equal(f->err.text, "output: a text of 65537 bytes; the limit is 65536");
    assert_int_equal(options_set(&f->set, text, "1", &f->err), E_ARG);
    free(text);
}

static void values_print_as_they_are_read(void **state)
{
    static const char *const pairs[][2] = {
        {"train.batch", "7"},         {"train.seed", "18446744073709551615"},
        {"train.ema", "false"},       {"train.learning_rate", "0.3"},
        {"train.schedule", "cosine"}, {"train.widths", "1,2,3"},
        {"train.times", "0,0.125,1"}, {"train.name", "a b"},
    };
    struct fixture *f = *state;
    char room[64];
    struct text t;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(options_set(&f->set, pairs[i][0], pairs[i][1], &f->err), OK);
        text_init(&t, room, sizeof room);
        assert_true(options_get(&f->set, pairs[i][0], &t));
        assert_string_equal(room, pairs[i][1]);
    }
    assert_false(options_get(&f->set, "nothing", &t));
}

/* ---- Flags ---- */

static enum status flags_of(struct fixture *f, int *n_words, char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return options_flags(&f->set, argc, argv, n_words, &f->err);
}

#define ARGV(...) ((char *[]){(char[]){"imgen"}, __VA_ARGS__, NULL})
#define W(word)   ((char[]){word})

static void flags_in_every_spelling(void **state)
{
    struct fixture *f = *state;
    char **argv = ARGV(W("one"), W("--batch-count"), W("3"), W("--cfg_scale=4"), W("-vo"),
                       W("a.png"), W("two"), W("--set"), W("a=1"), W("--set=b=2"),
                       W("--no-verbose"), W("-q"), W("--train.batch=8"), W("--"), W("--three"));
    int n;

    assert_int_equal(flags_of(f, &n, argv), OK);
    assert_int_equal(n, 3);
    assert_string_equal(argv[1], "one");
    assert_string_equal(argv[2], "two");
    assert_string_equal(argv[3], "--three");
    assert_int_equal(f->flags.count, 3);
    assert_true(f->flags.scale == 4);
    assert_false(f->flags.verbose);
    assert_true(f->flags.quiet);
    assert_string_equal(f->flags.output, "a.png");
    assert_int_equal(f->flags.set.n, 2);
    assert_string_equal(f->flags.set.at[0], "a=1");
    assert_string_equal(f->flags.set.at[1], "b=2");
    assert_int_equal(f->train.batch, 8);

    assert_int_equal(flags_of(f, &n, ARGV(W("-n4"), W("--cfg-scale"), W("-1"), W("-"))), OK);
    assert_int_equal(n, 1);
    assert_int_equal(f->flags.count, 4);
    assert_true(f->flags.scale == -1);
}

static void flags_tell_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    const struct {
        char **argv;
        const char *sentence;
    } cases[] = {
        {ARGV(W("--btach-count"), W("1")),
         "unknown flag --btach-count; did you mean --batch-count?"},
        {ARGV(W("--banana")), "unknown flag --banana"},
        {ARGV(W("--no-output")), "unknown flag --no-output; did you mean --output?"},
        {ARGV(W("--batch-count=0")), "--batch-count: 0 is not in 1..64"},
        {ARGV(W("--batch-count")), "--batch-count wants a value"},
        {ARGV(W("-n")), "-n (--batch-count) wants a value"},
        {ARGV(W("-vz")), "unknown flag -z"},
        {ARGV(W("-nx")), "--batch-count: 'x' is not a whole number"},
        {ARGV(W("--verbose=perhaps")), "--verbose: 'perhaps' is not true or false"},
    };
    int n;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(flags_of(f, &n, cases[i].argv), E_ARG);
        assert_string_equal(f->err.text, cases[i].sentence);
    }
}

/* ---- JSON ---- */

static void json_there_and_back_is_the_identity(void **state)
{
    static const char *const assignments[] = {
        "train.batch=77",
        "train.seed=18446744073709551615",
        "train.learning_rate=0.1",
        "train.ema=off",
        "train.name=\"ein Lauf\"",
        "train.schedule=log_normal",
        "train.widths=3,4",
        "train.times=0,0.3333333333333333,1",
        "set=a=1",
        "set=b=2",
        "cfg_scale=1e-300",
    };
    struct fixture *f = *state, *g;
    void *other;
    json_t *json, *again;
    char *text;

    for (size_t i = 0; i < sizeof assignments / sizeof *assignments; i++)
        assert_int_equal(options_assign(&f->set, assignments[i], &f->err), OK);
    assert_int_equal(options_to_json(&f->set, &json, &f->err), OK);
    text = json_dumps(json, JSON_REAL_PRECISION(17));
    json_decref(json);
    json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);

    assert_int_equal(setup(&other), 0);
    g = other;
    assert_int_equal(options_set(&g->set, "set", "is replaced", &g->err), OK);
    assert_int_equal(options_from_json(&g->set, json, &g->err), OK);
    assert_int_equal(options_to_json(&g->set, &again, &g->err), OK);
    assert_true(json_equal(json, again));
    assert_true(g->train.seed == UINT64_MAX);
    assert_true(g->train.times.at[1] == 0.3333333333333333);
    assert_int_equal(g->flags.set.n, 2);
    json_decref(json);
    json_decref(again);
    teardown(&other);
}

static void json_refuses_what_no_row_has(void **state)
{
    static const struct {
        const char *json, *sentence;
    } cases[] = {
        {"[]", "the configuration is no JSON object"},
        {"{\"train\": {\"batch\": 0}}", "train.batch: 0 is not in 1..65536"},
        {"{\"train\": {\"batch\": \"4\"}}", "train.batch: a string where a whole number belongs"},
        {"{\"train\": {\"batch\": 4.5}}", "train.batch: a number where a whole number belongs"},
        {"{\"train\": {\"ema\": 1}}", "train.ema: a whole number where true or false belongs"},
        {"{\"train\": {\"name\": 1}}", "train.name: a whole number where a string belongs"},
        {"{\"train\": {\"name\": \"a\\u0000b\"}}", "train.name: the string holds a zero byte"},
        {"{\"train\": {\"widths\": 1}}", "train.widths: a whole number where an array belongs"},
        {"{\"train\": {\"widths\": [1, \"2\"]}}", "train.widths: number 1 of the list is a string"},
        {"{\"train\": {\"widths\": [1, 9]}}", "train.widths: 9 is not in 1..8"},
        {"{\"train\": {\"times\": [[]]}}", "train.times: number 0 of the list is an array"},
        {"{\"train\": {\"schedule\": null}}", "train.schedule: null where a string belongs"},
        {"{\"train\": {\"seed\": -1}}",
         "train.seed: '-1' is not a whole number from 0 to 2^64 - 1"},
        {"{\"train\": {\"btach\": 1}}", "unknown key 'train.btach'; did you mean 'train.batch'?"},
        {"{\"train\": 5}", "unknown key 'train'"},
        {"{\"banana\": {}}", "unknown key 'banana'"},
        {"{\"set\": [1]}", "set: text 0 of the list is no plain string"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = json_loads(cases[i].json, JSON_ALLOW_NUL, NULL);

        assert_non_null(json);
        assert_int_equal(options_from_json(&f->set, json, &f->err), E_FORMAT);
        assert_string_equal(f->err.text, cases[i].sentence);
        assert_int_equal(f->err.status, E_FORMAT);
        json_decref(json);
    }
    defaults_come_from_the_rows(state);
}

static void the_schema_tells_types_and_bounds(void **state)
{
    struct fixture *f = *state;
    json_t *schema, *train, *batch, *widths;

    assert_int_equal(options_schema(&f->set, &schema, &f->err), OK);
    train = json_object_get(json_object_get(schema, "properties"), "train");
    assert_true(json_is_false(json_object_get(train, "additionalProperties")));
    assert_int_equal(json_object_size(json_object_get(train, "properties")), 8);
    batch = json_object_get(json_object_get(train, "properties"), "batch");
    assert_string_equal(json_string_value(json_object_get(batch, "type")), "integer");
    assert_int_equal(json_integer_value(json_object_get(batch, "maximum")), 65536);
    assert_int_equal(json_integer_value(json_object_get(batch, "default")), 32);
    widths = json_object_get(json_object_get(train, "properties"), "widths");
    assert_string_equal(json_string_value(json_object_get(widths, "type")), "array");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(widths, "items"), "maximum")), 8);
    assert_non_null(json_object_get(json_object_get(schema, "properties"), "cfg_scale"));
    json_decref(schema);
}

/* jansson's memory, of which the allocation numbered `last` and all later ones fail. */
static int allowance;

static void *stingy_malloc(size_t n)
{
    return allowance-- > 0 ? malloc(n) : NULL;
}

static void json_survives_every_failed_allocation(void **state)
{
    struct fixture *f = *state;
    enum status to = E_MEMORY, schema = E_MEMORY;

    json_set_alloc_funcs(stingy_malloc, free);
    for (int n = 0; (to || schema) && n < 2000; n++) {
        json_t *json;

        allowance = n;
        to = options_to_json(&f->set, &json, &f->err);
        assert_true(to == OK || to == E_MEMORY);
        json_decref(json);
        allowance = n;
        schema = options_schema(&f->set, &json, &f->err);
        assert_true(schema == OK || schema == E_MEMORY);
        json_decref(json);
    }
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(to, OK);
    assert_int_equal(schema, OK);
}

static void json_names_a_section_without_rows_or_fails(void **state)
{
    const struct option none[] = {{.name = NULL}};
    const struct option_group groups[] = {{.section = "plain", .rows = none}};
    const struct option_set set = {.groups = groups, .n = 1};
    struct error err;
    enum status to = E_MEMORY;

    (void)state;
    json_set_alloc_funcs(stingy_malloc, free);
    for (int n = 0; to && n < 100; n++) {
        json_t *json;

        allowance = n;
        to = options_to_json(&set, &json, &err);
        assert_true(to == E_MEMORY || json_is_object(json_object_get(json, "plain")));
        json_decref(json);
    }
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(to, OK);
}

/* ---- Documents ---- */

static void help_tells_defaults_and_ranges(void **state)
{
    struct fixture *f = *state;
    struct text t;

    text_init(&t, NULL, 0);
    options_help(&f->set, &t);
    assert_non_null(
        strstr(t.data, "  train.batch N               samples a step [1..65536; default 32]\n"));
    assert_non_null(
        strstr(t.data, "  -n, --batch-count N         how many pictures [1..64; default 1]\n"));
    assert_non_null(strstr(
        t.data, "      --cfg-scale X           strength of guidance [at least -10; default 2]\n"));
    assert_non_null(strstr(t.data, "  -v, --verbose               say more\n"));
    assert_non_null(strstr(t.data, "[constant | cosine | log_normal; default cosine]"));
    for (const char *line = t.data, *end; (end = strchr(line, '\n')); line = end + 1)
        assert_true(end - line <= 96);
    text_release(&t);
}

static void long_help_is_broken_between_words(void **state)
{
    static const struct option rows[] = {
        {"an_option_with_a_rather_long_name", "a b", OPTION_BOOL, 0, .fallback = NULL},
        {"x",
         "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
         OPTION_BOOL, 0, .fallback = NULL},
        {0},
    };
    bool member[2] = {0};
    struct option_group g = {"", rows, member, NULL};
    struct text t;

    (void)state;
    text_init(&t, NULL, 0);
    options_help(&(struct option_set){&g, 1}, &t);
    assert_string_equal(t.data, "      --an-option-with-a-rather-long-name\n"
                                "                              a b\n"
                                "      --x                     one two three four five six seven "
                                "eight nine ten eleven twelve\n"
                                "                              thirteen fourteen fifteen\n");
    text_release(&t);
}

static const struct option solver_rows[] = {
    {"sampling_method", "the solver: [first]", OPTION_CHOICE, 0, .fallback = "heun",
     .choice = solver_name, .letter = 'm'},
    {0},
};
static const struct option_command commands[] = {
    {"sample", "MODEL [options]", "make pictures; it's quick", solver_rows},
    {"show", "FILE", ".dots at the start", flag_rows},
};

static void the_man_page_is_escaped(void **state)
{
    struct text t;

    (void)state;
    text_init(&t, NULL, 0);
    options_man("imgen", "0.1", "guided pictures", commands, 2, &t);
    assert_non_null(strstr(t.data, ".TH IMGEN 1 \"\" \"imgen 0.1\""));
    assert_non_null(strstr(t.data, "\\fB\\-m\\fR, \\fB\\-\\-sampling\\-method\\fR \\fINAME\\fR\n"
                                   "the solver: [first] [euler | heun; default heun]\n"));
    assert_non_null(strstr(t.data, "\n\\&.dots at the start\n"));
    text_release(&t);
}

static void each_shell_completes(void **state)
{
    static const struct {
        const char *shell, *has[4];
    } cases[] = {
        {"bash",
         {"commands='sample show'", "--sampling-method | -m) values='euler heun'",
          "flags='--batch-count --cfg-scale", "complete -o filenames -F _imgen imgen"}},
        {"zsh",
         {"#compdef imgen", "'sample:make pictures; it'\\''s quick'",
          "'(-m --sampling-method)'{-m,--sampling-method}'[the solver first]:NAME:(euler heun)'",
          "where to write it; it'\\''s made when missing]:FILE:_files"}},
        {"fish",
         {"-n __fish_use_subcommand -a sample", "-l sampling-method -s m -x -a 'euler heun'",
          "-l output -s o -r", "-l verbose -s v -d 'say more'"}},
    };
    struct error err = {0};
    struct text t;

    (void)state;
    for (int i = 0; i < 3; i++) {
        text_init(&t, NULL, 0);
        assert_int_equal(options_completion(cases[i].shell, "imgen", commands, 2, &t, &err), OK);
        for (int k = 0; k < 4; k++)
            assert_non_null(strstr(t.data, cases[i].has[k]));
        text_release(&t);
    }
    text_init(&t, NULL, 0);
    assert_int_equal(options_completion("csh", "imgen", commands, 2, &t, &err), E_ARG);
    text_release(&t);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(defaults_come_from_the_rows),
        TEST(values_are_set_by_key),
        TEST(errors_name_the_key_and_the_range),
        TEST(long_lists_and_texts_are_refused),
        TEST(values_print_as_they_are_read),
        TEST(flags_in_every_spelling),
        TEST(flags_tell_what_is_wrong),
        TEST(json_there_and_back_is_the_identity),
        TEST(json_refuses_what_no_row_has),
        TEST(the_schema_tells_types_and_bounds),
        TEST(json_survives_every_failed_allocation),
        TEST(json_names_a_section_without_rows_or_fails),
        TEST(help_tells_defaults_and_ranges),
        TEST(long_help_is_broken_between_words),
        cmocka_unit_test(the_man_page_is_escaped),
        cmocka_unit_test(each_shell_completes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
