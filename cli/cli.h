/*
 * cli.h - what the commands of the program share
 *
 * A command is one file that ends in one descriptor; main.c lists it in one line.  Help, man page
 * and completion are made from the descriptor.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "imgen.h"

#include <stdbool.h>

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_MISUSED = 2, EXIT_STOPPED = 130 };

struct command {
    struct imgen_command is;           /* name, usage, summary, flags                           */
    const char *details;               /* what its help says below the summary, lines broken     */
    int (*run)(int argc, char **argv); /* argv[0] is the command; returns an exit code */
};

extern const struct command command_train, command_sample, command_grid, command_report,
    command_info, command_data, command_convert, command_encode, command_decode, command_eval,
    command_bench, command_plan, command_demo, command_lab, command_list, command_help, command_version,
    command_completion, command_man;

/* The i-th command of the program, or NULL. */
const struct command *command_at(int i);

/* The first row of every table: a command's options begin with `bool help`. */
#define ROW_HELP                                                      \
    {                                                                 \
        "help", "show this text", IMGEN_OPTION_BOOL, 0, .letter = 'h' \
    }

/* Read the flags of a command into its zeroed options; given: one bool a row, or NULL.  True: go
 * on, the other words are argv[1..*n_words].  False: help was shown or a complaint made, and the
 * command returns *code.  Either way the caller releases the options. */
bool command_read(const struct command *c, void *options, bool *given, int argc, char **argv,
                  int *n_words, int *code);
/* Whether the flag was typed, by its name. */
bool command_given(const struct command *c, const bool *given, const char *name);

/* Complain on stderr; returns the exit code that fits the status. */
int command_failed(const struct command *c, const struct imgen_error *err);
/* Complain about how the command was typed; returns EXIT_MISUSED. */
int command_misused(const struct command *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Complain about something else; returns EXIT_FAILED. */
int command_broken(const struct command *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Help of one command, on stdout. */
int command_show_help(const struct command *c);

/* Seconds of a clock that only goes forward. */
double seconds_now(void);

#endif
