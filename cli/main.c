/*
 * main.c - the program: a list of commands and a lookup
 *
 * A command is: read flags, call the library, report.  Results go to stdout, progress and
 * complaints to stderr; the exit code is 0 when done, 1 when it failed, 2 when it was misused and
 * 130 when a person stopped it.  All commands stand on imgen.h alone, so whatever the program can
 * do, any program can.
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command *const commands[] = {
    &command_demo, &command_train,   &command_sample,     &command_grid,   &command_report,
    &command_info, &command_data,    &command_convert,    &command_encode, &command_decode,
    &command_eval, &command_bench,   &command_plan,       &command_lab,    &command_list,
    &command_help, &command_version, &command_completion, &command_man,
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

const struct command *command_at(int i)
{
    return i >= 0 && i < N_COMMANDS ? commands[i] : NULL;
}

/* The two words that people try first. */
static const char *command_name(const char *word)
{
    if (!strcmp(word, "--help") || !strcmp(word, "-h"))
        return "help";
    return !strcmp(word, "--version") || !strcmp(word, "-V") ? "version" : word;
}

/* A full disk or a closed pipe behind stdout must not look like success. */
static int close_stdout(int code)
{
    if ((fflush(stdout) || ferror(stdout)) && code == EXIT_DONE) {
        fprintf(stderr, "imgen: the output cannot be written: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return code;
}

/* The threads of OpenMP wait for each other by spinning, on and on: on a machine that also does
 * something else every step then takes three times as long, for a spinning thread keeps the
 * processor from the one it waits for.  A short spin costs nothing on a machine that does nothing
 * else.  How long is read when the program is loaded, so it begins once more with the word set;
 * where that cannot be, it goes on as it is.  doc/decisions/0009. */
static void wait_quietly(char **argv)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n <= 0 || getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") ||
        setenv("GOMP_SPINCOUNT", "2000", 1))
        return;
    self[n] = 0;
    execv(self, argv);
}

int main(int argc, char **argv)
{
    const char *names[N_COMMANDS], *nearest;
    const char *word = argc > 1 ? command_name(argv[1]) : "help";

    wait_quietly(argv);
    for (int i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i]->is.name;
        if (!strcmp(word, names[i]))
            return close_stdout(argc > 1 ? commands[i]->run(argc - 1, argv + 1)
                                         : commands[i]->run(argc, argv));
    }
    nearest = imgen_nearest(word, names, N_COMMANDS);
    fprintf(stderr, "imgen: there is no command '%s'%s%s%s; see imgen help\n", word,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return EXIT_MISUSED;
}
