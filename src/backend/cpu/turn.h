/*
 * turn.h - rows of words turned round, into columns of a panel
 */
#ifndef IMGEN_BACKEND_CPU_TURN_H
#define IMGEN_BACKEND_CPU_TURN_H

#include "backend/cpu/panel.h"

enum {
    TURN_ROWS = 16,              /* that are turned together                                   */
    TURN_WORDS = 256,            /* of a row, at most                                           */
    TURN_STEP = TURN_WORDS + 16, /* from row to row: not a power of two, which few sets hold */
};

/* A way to do it: instructions that some processors have. */
struct turn_engine {
    const char *name;
    bool (*here)(void);
    /* out[k * PANEL_COLS + j] = in[j * TURN_STEP + k] for 16 rows j of `words` words. */
    void (*turn)(panel_word *out, const panel_word *in, int64_t words);
};

/* Engine number i, the fastest first, NULL past the last; the last runs everywhere. */
const struct turn_engine *turn_engine_at(int i);

/* The first that this processor has. */
const struct turn_engine *turn_engine(void);

#endif
