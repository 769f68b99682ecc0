/*
 * option.h - one table of rows from which everything about an option follows
 *
 * A row says an option's name, meaning, type, place in a configuration struct, default and range.
 * From the rows come: flags (`--steps 20`, `--steps=20`, `-n4`), keys of an INI file and of `--set`
 * (`train.batch = 32`), range checks and their sentences, help, man page, shell completion, the
 * JSON a model file carries, and a JSON schema.
 *
 *     static const struct option rows[] = {
 *         {"batch", "samples a step", OPTION_INT, offsetof(struct train, batch),
 *          .fallback = "32", .lo = 1, .hi = 65536},
 *         {"schedule", "of the rate", OPTION_CHOICE, offsetof(struct train, schedule),
 *          .fallback = "cosine", .choices = schedule_names},
 *         {0},
 *     };
 *     struct option_group groups[] = {
 *         {"train", rows, &cfg.train, NULL},
 *         {"data", data_rows, &cfg.data, NULL},
 *     };
 *     struct option_set set = {groups, 2};
 *
 *     options_default(&set, err)
 *     options_set(&set, "train.batch", "64", err)
 *     options_release(&set)
 *
 * The first four members stand in order, the rest by name.  Everywhere a key is accepted, '-' and
 * '_' are the same letter.
 */
#ifndef IMGEN_BASE_OPTION_H
#define IMGEN_BASE_OPTION_H

#include "base/error.h"
#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the member at `offset` is. */
enum option_type {
    OPTION_INT = 1, /* int64_t                                                       */
    OPTION_SEED,    /* uint64_t, any value: lo and hi do not apply                   */
    OPTION_REAL,    /* double, always finite                                         */
    OPTION_BOOL,    /* bool; as a flag it takes no value, and --no-name denies it    */
    OPTION_TEXT,    /* char *, heap or NULL; lo and hi limit its length when given   */
    OPTION_CHOICE,  /* int (or an enum): the number of the choice                    */
    OPTION_INTS,    /* struct int_list, typed "1,2,4"; the range holds for each      */
    OPTION_REALS,   /* struct real_list                                              */
    OPTION_TEXTS,   /* struct text_list; each setting appends a whole text (--set)   */
};

/* Lists are heap arrays that options_release frees; n = 0 and at = NULL when empty. */
struct int_list {
    int64_t *at;
    int n;
};
struct real_list {
    double *at;
    int n;
};
struct text_list {
    char **at;
    int n;
};

enum { OPTION_LIST_MAX = 4096, OPTION_TEXT_MAX = 1 << 16 };

struct option {
    const char *name; /* "learning_rate"; NULL in the row that ends a table */
    const char *help; /* one line, to which default and range are added     */
    enum option_type type;
    size_t offset;
    const char *fallback; /* the default as a person would type it; NULL: zero, false, empty, the
                             first choice, no text */
    double lo, hi;        /* both included; lo == hi: no limit; one may be -HUGE_VAL or HUGE_VAL */
    const char *const *choices; /* ends with NULL, in the order of the enum ...           */
    const char *(*choice)(int); /* ... or the name of number i of a table of descriptors,
                                   NULL past the last */
    char letter;                /* 'n' for -n, or 0                                       */
    const char *value;          /* what help calls the value: "FILE"; NULL: by the type   */
};

/* A table, the struct it fills, and the section its names stand under ("" for flags). */
struct option_group {
    const char *section;
    const struct option *rows;
    void *config; /* zeroed before options_default */
    bool *given;  /* NULL, or one bool a row, made true when someone sets it */
};

struct option_set {
    const struct option_group *groups;
    int n;
};

/* ---- Values ---- */

/* Give every option its default.  A default that its own row refuses is MUST(). */
enum status options_default(const struct option_set *set, struct error *err);
/* Free texts and lists and zero them. */
void options_release(const struct option_set *set);

/* Set "section.name" (or "name" where the section is "") from a text.  E_ARG when the key is
 * unknown (the sentence names the nearest), the text is not of the type, or the value is out of
 * range; the old value then stays. */
enum status options_set(const struct option_set *set, const char *key, const char *text,
                        struct error *err);
/* The same from "section.name=value"; blanks around key and value do not count. */
enum status options_assign(const struct option_set *set, const char *assignment, struct error *err);
/* The row of a key and, where group is not NULL, its group; NULL when nobody has it. */
const struct option *options_find(const struct option_set *set, const char *key,
                                  const struct option_group **group);
/* The name of choice number i, or NULL past the last. */
const char *option_choice(const struct option *row, int i);
/* Append "1..65536", "at least 0", "euler | heun": what the row accepts; nothing when anything. */
void option_range(const struct option *row, struct text *out);
/* Append the present value as options_set would read it (texts of a list stand one a line).  False
 * when the key is unknown. */
bool options_get(const struct option_set *set, const char *key, struct text *out);

/* ---- JSON (option_json.c) ---- */

/* *out = {"train": {"batch": 32, ...}, ...}, in the order of the tables; the caller decrefs it.
 * Section "" stands at the top.  Reals read back exactly; seeds past 2^63 are written as texts. */
enum status options_to_json(const struct option_set *set, json_t **out, struct error *err);
/* The other way.  Keys that are absent keep their values; unknown ones, wrong types and values out
 * of range are E_FORMAT with the key named. */
enum status options_from_json(const struct option_set *set, json_t *root, struct error *err);
/* *out = a JSON schema (2020-12) of what options_from_json accepts. */
enum status options_schema(const struct option_set *set, json_t **out, struct error *err);

/* ---- Flags (option_flags.c) ---- */

/* Read flags from argv[1..argc-1].  The words that are no flags are moved to argv[1..*n_words], in
 * their order; "--" ends the flags.  `--name value`, `--name=value`, `-n value`, `-nvalue`, several
 * letters of bools in one (`-vq`); a later flag overrides an earlier one.  E_ARG as options_set. */
enum status options_flags(const struct option_set *set, int argc, char **argv, int *n_words,
                          struct error *err);

/* ---- Documents (option_doc.c) ---- */

/* A command of the program, for the man page and the completion. */
struct option_command {
    const char *name;    /* "sample"                                  */
    const char *usage;   /* "MODEL [options]"                         */
    const char *summary; /* "make pictures", no capital, no full stop */
    const struct option *rows;
};

/* Append one line or more a row: "  -n, --batch-count N   how many pictures [1..64, default 1]". */
void options_help(const struct option_set *set, struct text *out);
/* Append a man page in troff: name, version, one sentence, the commands with their flags. */
void options_man(const char *program, const char *version, const char *sentence,
                 const struct option_command *commands, int n, struct text *out);
/* Append the script by which "bash", "zsh" or "fish" completes the program; E_ARG for other shells.
 */
enum status options_completion(const char *shell, const char *program,
                               const struct option_command *commands, int n, struct text *out,
                               struct error *err);

#endif
