/*
 * imgen/option.h - options of a program
 *
 * One table of rows gives flags, range checks, help, man page and completion; the imgen program is
 * built on it, and so may yours be.
 */
#ifndef IMGEN_OPTION_H
#define IMGEN_OPTION_H

#include "imgen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the member at `offset` is. */
enum imgen_option_type {
    IMGEN_OPTION_INT = 1, /* int64_t                                                       */
    IMGEN_OPTION_SEED,    /* uint64_t, any value: lo and hi do not apply                   */
    IMGEN_OPTION_REAL,    /* double, always finite                                         */
    IMGEN_OPTION_BOOL,    /* bool; takes no value, and --no-name denies it                 */
    IMGEN_OPTION_TEXT,    /* char *, heap or NULL; lo and hi limit its length when given   */
    IMGEN_OPTION_CHOICE,  /* int (or an enum): the number of the choice                    */
    IMGEN_OPTION_INTS,    /* struct imgen_int_list, typed "1,2,4"; the range holds for each */
    IMGEN_OPTION_REALS,   /* struct imgen_real_list                                        */
    IMGEN_OPTION_TEXTS,   /* struct imgen_text_list; each time given appends a text        */
};

struct imgen_int_list {
    int64_t *at;
    int n;
};
struct imgen_real_list {
    double *at;
    int n;
};
struct imgen_text_list {
    char **at;
    int n;
};

struct imgen_option {
    const char *name; /* "batch_count", typed --batch-count; NULL in the row that ends a table */
    const char *help;
    enum imgen_option_type type;
    size_t offset;
    const char *fallback; /* the default as a person would type it, or NULL: zero, empty, false */
    double lo, hi;        /* both included; lo == hi: no limit; one may be infinite             */
    const char *const *choices; /* ends with NULL ...                                           */
    const char *(*choice)(int); /* ... or the name of number i, NULL past the last              */
    char letter;                /* 'n' for -n, or 0                                             */
    const char *value;          /* what help calls the value: "FILE"; NULL: by the type         */
};

/* Give every member of the zeroed struct `config` its default, then read argv[1..argc-1].  Words
 * that are no flags move to argv[1..*n_words].  given: one bool a row, or NULL.  E_ARG names the
 * nearest flag, the value and the range.  Release config in any case. */
IMGEN_API enum imgen_status imgen_options_read(const struct imgen_option *rows, void *config,
                                               bool *given, int argc, char **argv, int *n_words,
                                               struct imgen_error *err);
IMGEN_API void imgen_options_release(const struct imgen_option *rows, void *config);

/* A command of a program that has several. */
struct imgen_command {
    const char *name, *usage, *summary; /* "sample", "MODEL [options]", "make pictures" */
    const struct imgen_option *rows;
};

/* *out = "help" (the flags of commands[0]), a "man" page, or the completion for "bash", "zsh" or
 * "fish"; freed with free(). */
IMGEN_API enum imgen_status imgen_options_document(char **out, const char *kind,
                                                   const char *program, const char *sentence,
                                                   const struct imgen_command *commands, int n,
                                                   struct imgen_error *err);

/* The nearest of names[0..n-1] to a mistyped word, or NULL. */
IMGEN_API const char *imgen_nearest(const char *word, const char *const *names, int n);

#ifdef __cplusplus
}
#endif

#endif
