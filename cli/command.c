/*
 * command.c - reading a command's flags and complaining, the same way everywhere
 *
 * A complaint is one line, "imgen sample: what is wrong", on stderr.  Its exit code follows from
 * the library's status: a request that cannot be (2), a stop that was asked for (130), and
 * everything the world did (1).
 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int command_show_help(const struct command *c)
{
    struct imgen_error err;
    char *flags = NULL;

    if (imgen_options_document(&flags, "help", "imgen", "", &c->is, 1, &err))
        return command_failed(c, &err);
    printf("usage: imgen %s%s%s\n\n%s\n", c->is.name, *c->is.usage ? " " : "", c->is.usage,
           c->details);
    printf("\n%s", flags);
    free(flags);
    return EXIT_DONE;
}

bool command_read(const struct command *c, void *options, bool *given, int argc, char **argv,
                  int *n_words, int *code)
{
    struct imgen_error err;

    if (imgen_options_read(c->is.rows, options, given, argc, argv, n_words, &err)) {
        *code = command_failed(c, &err);
        return false;
    }
    if (*(const bool *)options) {
        *code = command_show_help(c);
        return false;
    }
    return true;
}

bool command_given(const struct command *c, const bool *given, const char *name)
{
    int i = 0;

    while (c->is.rows[i].name && strcmp(c->is.rows[i].name, name) != 0)
        i++;
    return c->is.rows[i].name && given[i];
}

int command_failed(const struct command *c, const struct imgen_error *err)
{
    fprintf(stderr, "imgen %s: %s\n", c->is.name, err->text);
    if (err->status == IMGEN_E_CANCELLED)
        return EXIT_STOPPED;
    return err->status == IMGEN_E_ARG ? EXIT_MISUSED : EXIT_FAILED;
}

static __attribute__((format(printf, 2, 0))) void complain(const struct command *c, const char *fmt,
                                                           va_list args)
{
    fprintf(stderr, "imgen %s: ", c->is.name);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int command_misused(const struct command *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    complain(c, fmt, args);
    va_end(args);
    fprintf(stderr, "usage: imgen %s %s   (see imgen help %s)\n", c->is.name, c->is.usage,
            c->is.name);
    return EXIT_MISUSED;
}

int command_broken(const struct command *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    complain(c, fmt, args);
    va_end(args);
    return EXIT_FAILED;
}

double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
