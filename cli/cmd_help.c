/*
 * cmd_help.c - the commands that speak about the commands
 *
 * help, version, man and completion say what the descriptors hold, for people, packagers and
 * shells.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS_MAX = 48 };

static const char sentence[] = "train and sample guided image generators by flow matching";

struct help_options {
    bool help;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {0},
};

/* Read flags; at most `most` words may follow. */
static bool read_words(const struct command *c, int argc, char **argv, int least, int most,
                       int *n_words, int *code)
{
    struct help_options o = {0};
    bool go = command_read(c, &o, NULL, argc, argv, n_words, code);

    imgen_options_release(rows, &o);
    if (go && (*n_words < least || *n_words > most)) {
        *code = command_misused(c, "%d words were given", *n_words);
        return false;
    }
    return go;
}

/* ---- help ---- */

static int show_overview(void)
{
    printf("imgen %s - %s\n\nusage: imgen COMMAND [words] [flags]\n\n", imgen_version(), sentence);
    for (int i = 0; command_at(i); i++)
        printf("  %-12s %s\n", command_at(i)->is.name, command_at(i)->is.summary);
    printf("\nTo begin:   imgen demo\n"
           "More:       imgen help COMMAND,  imgen list,  man imgen\n"
           "Exit codes: 0 done, 1 failed, 2 misused, 130 stopped by Ctrl-C\n");
    return EXIT_DONE;
}

static int cmd_help(int argc, char **argv)
{
    const char *names[COMMANDS_MAX], *nearest;
    int n_words, code, n = 0;

    if (!read_words(&command_help, argc, argv, 0, 1, &n_words, &code))
        return code;
    if (!n_words)
        return show_overview();
    for (; n < COMMANDS_MAX && command_at(n); n++) {
        names[n] = command_at(n)->is.name;
        if (!strcmp(names[n], argv[1]))
            return command_show_help(command_at(n));
    }
    nearest = imgen_nearest(argv[1], names, n);
    return command_misused(&command_help, "there is no command '%s'%s%s%s", argv[1],
                           nearest ? "; did you mean '" : "", nearest ? nearest : "",
                           nearest ? "'?" : "");
}

const struct command command_help = {
    .is = {"help", "[COMMAND]", "say what a command does", rows},
    .details = "Lists the commands, or describes one.",
    .run = cmd_help,
};

/* ---- version ---- */

static int cmd_version(int argc, char **argv)
{
    int n_words, code;

    if (!read_words(&command_version, argc, argv, 0, 0, &n_words, &code))
        return code;
    printf("imgen %s\n", imgen_version());
    return EXIT_DONE;
}

const struct command command_version = {
    .is = {"version", "", "print the version", rows},
    .details = "Prints the version of the library that runs.",
    .run = cmd_version,
};

/* ---- man and completion ---- */

/* Studies read like commands of two words; the names are kept in `names`. */
static int add_studies(struct imgen_command *all, int n, char names[COMMANDS_MAX][32])
{
    struct imgen_study study;

    for (int i = 0; n < COMMANDS_MAX && imgen_study_at(i, &study); i++, n++) {
        snprintf(names[i], sizeof names[i], "lab %s", study.name);
        all[n] = (struct imgen_command){names[i], "[flags]", study.summary, study.rows};
    }
    return n;
}

static int print_document(const struct command *c, const char *kind)
{
    struct imgen_command all[COMMANDS_MAX];
    char names[COMMANDS_MAX][32], *text = NULL;
    struct imgen_error err;
    int n = 0;

    for (; n < COMMANDS_MAX && command_at(n); n++)
        all[n] = command_at(n)->is;
    if (!strcmp(kind, "man")) /* shells complete one word */
        n = add_studies(all, n, names);
    if (imgen_options_document(&text, kind, "imgen", sentence, all, n, &err))
        return command_failed(c, &err);
    fputs(text, stdout);
    free(text);
    return EXIT_DONE;
}

static int cmd_man(int argc, char **argv)
{
    int n_words, code;

    if (!read_words(&command_man, argc, argv, 0, 0, &n_words, &code))
        return code;
    return print_document(&command_man, "man");
}

const struct command command_man = {
    .is = {"man", "", "print the manual page", rows},
    .details = "Prints the manual page in troff: imgen man | man -l -",
    .run = cmd_man,
};

static int cmd_completion(int argc, char **argv)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    const char *nearest;
    int n_words, code;

    if (!read_words(&command_completion, argc, argv, 1, 1, &n_words, &code))
        return code;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (!strcmp(argv[1], shells[i]))
            return print_document(&command_completion, shells[i]);
    nearest = imgen_nearest(argv[1], shells, 3);
    return command_misused(&command_completion, "there is no completion for '%s'%s%s%s", argv[1],
                           nearest ? "; did you mean '" : "", nearest ? nearest : "",
                           nearest ? "'?" : "");
}

const struct command command_completion = {
    .is = {"completion", "bash|zsh|fish", "print the completion script of a shell", rows},
    .details = "Prints the script by which a shell completes commands and flags:\n"
               "    eval \"$(imgen completion bash)\"",
    .run = cmd_completion,
};
