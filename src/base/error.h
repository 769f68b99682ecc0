/*
 * error.h - how a failure is told
 *
 * What the outside world can cause (files, input, too little memory, a full disk) returns a status
 * and leaves one sentence in a struct error that names the thing and the numbers.  What only a
 * programmer can cause is MUST(): always on, prints, aborts.
 */
#ifndef IMGEN_BASE_ERROR_H
#define IMGEN_BASE_ERROR_H

enum status {
    OK = 0,
    E_ARG,         /* a request or an option that is out of range or unknown              */
    E_FORMAT,      /* a file that is not what it claims to be                             */
    E_IO,          /* the system refused to open, read, write, sync or rename             */
    E_MEMORY,      /* memory of the size asked for is not to be had                       */
    E_UNSUPPORTED, /* understood, and not something this build or machine can do          */
    E_CANCELLED,   /* a callback asked to stop                                            */
    E_NOT_FINITE,  /* a loss, a gradient or a picture holds a NaN or an infinity          */
};

enum { ERROR_TEXT = 1024 };

/* Belongs to the caller, who zeroes it; may be NULL wherever it is asked for. */
struct error {
    enum status status;
    char text[ERROR_TEXT];
};

/* Write the sentence and return the status, so that `return fail(err, E_IO, ...)` reads well. */
enum status fail(struct error *err, enum status st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with ": " and the text of errno appended. */
enum status fail_errno(struct error *err, enum status st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "<fmt>: " before the sentence already there: a caller that knows more adds it. */
void fail_under(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A short English name of a status, never NULL. */
const char *status_name(enum status st);

/* A broken promise of the program itself: prints file, line and the sentence, then aborts. */
#define MUST(cond, ...) ((cond) ? (void)0 : must_failed(__FILE__, __LINE__, #cond, __VA_ARGS__))
_Noreturn void must_failed(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
