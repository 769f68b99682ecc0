/*
 * interrupt.h - Ctrl-C once: finish what was begun; twice: die
 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* From here on the first SIGINT or SIGTERM only prints `message` and is remembered; the next one
 * ends the process as usual.  message: a literal. */
void interrupt_watch(const char *message);
bool interrupt_asked(void);

#endif
