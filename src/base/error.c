/*
 * error.c - how a failure is told
 *
 * One sentence in a fixed buffer: reporting a failure must not itself need memory, because running
 * out of it is one of the failures.  A sentence that does not fit is cut, never overrun.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status fail(struct error *err, enum status st, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return st;
    err->status = st;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return st;
}

enum status fail_errno(struct error *err, enum status st, const char *fmt, ...)
{
    int cause = errno;
    size_t n;
    va_list ap;

    if (!err)
        return st;
    err->status = st;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %s", strerror(cause));
    return st;
}

void fail_under(struct error *err, const char *fmt, ...)
{
    char below[ERROR_TEXT];
    size_t n;
    va_list ap;

    if (!err)
        return;
    memcpy(below, err->text, sizeof below);
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %.*s", ERROR_TEXT - 1, below);
}

const char *status_name(enum status st)
{
    switch (st) {
    case OK:
        return "ok";
    case E_ARG:
        return "bad argument";
    case E_FORMAT:
        return "bad format";
    case E_IO:
        return "input/output error";
    case E_MEMORY:
        return "out of memory";
    case E_UNSUPPORTED:
        return "not supported";
    case E_CANCELLED:
        return "cancelled";
    case E_NOT_FINITE:
        return "not finite";
    }
    return "unknown";
}

_Noreturn void must_failed(const char *file, int line, const char *cond, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s:%d: broken promise (%s): ", file, line, cond);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}
