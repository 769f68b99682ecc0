/*
 * progress.c - telling a person how far it is, on stderr
 *
 * On a terminal one line is written over again and again; it is cut at the terminal's edge, because
 * a line that wraps cannot be written over.  In a file or a pipe the same line appears every few
 * seconds with an end of its own, so that a log stays readable.
 */
#include "progress.h"

#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LINE_ROOM = 512, WIDTH_USUAL = 80 };
static const double every_terminal = 0.1, every_file = 5;

void progress_start(struct progress *p, bool quiet)
{
    const char *term = getenv("TERM");

    *p = (struct progress){
        .quiet = quiet,
        .terminal = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb")),
        .began = seconds_now(),
    };
    p->shown = p->began;
}

bool progress_due(struct progress *p, bool last)
{
    double now = seconds_now();

    if (p->quiet || (!last && now - p->shown < (p->terminal ? every_terminal : every_file)))
        return false;
    p->shown = now;
    return true;
}

static int terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20)
        return WIDTH_USUAL;
    return size.ws_col;
}

void progress_say(struct progress *p, const char *fmt, ...)
{
    char line[LINE_ROOM];
    va_list args;

    if (p->quiet)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (p->terminal)
        fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, line);
    else
        fprintf(stderr, "%s\n", line);
    fflush(stderr);
    p->open = p->terminal;
}

void progress_note(struct progress *p, const char *fmt, ...)
{
    va_list args;

    if (p->quiet)
        return;
    if (p->open)
        fputs("\r\033[K", stderr);
    p->open = false;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

void progress_end(struct progress *p)
{
    if (p->open)
        fputc('\n', stderr);
    p->open = false;
}
