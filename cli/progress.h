/*
 * progress.h - telling a person how far it is, on stderr
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>

struct progress {
    bool quiet;    /* say nothing                                */
    bool terminal; /* one line that is written over, else lines  */
    bool open;     /* the line stands and was not ended          */
    double began, shown;
};

void progress_start(struct progress *p, bool quiet);
/* Whether it is time to say something again: ten times a second on a terminal, every five seconds
 * elsewhere; `last` always. */
bool progress_due(struct progress *p, bool last);
/* Say how far it is. */
void progress_say(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line that stays. */
void progress_note(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* End the line, so that others may write to the terminal. */
void progress_end(struct progress *p);

#endif
