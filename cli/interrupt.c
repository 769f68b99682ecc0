/*
 * interrupt.c - Ctrl-C once: finish what was begun; twice: die
 *
 * A handler may do next to nothing, so it writes a sentence and sets a flag that the callbacks of
 * the library look at.  The flag is the one mutable global of the program: signals bring no
 * argument.
 */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static const char *volatile sentence;

static void remember(int number)
{
    int saved = errno;
    const char *s = sentence;

    asked = 1;
    /* Both signals fall back to the system's own action: whoever asks twice means it. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (write(STDERR_FILENO, s, strlen(s)) < 0)
        asked = number; /* nobody reads stderr any more: stopping matters, the sentence does not */
    errno = saved;
}

void interrupt_watch(const char *message)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = remember;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sentence = message;
    asked = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_asked(void)
{
    return asked != 0;
}
