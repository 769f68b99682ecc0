/*
 * ids.h - a list of the numbers that stand for a text's pieces
 */
#ifndef IMGEN_TEXT_IDS_H
#define IMGEN_TEXT_IDS_H

#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>

/* Zeroed is empty; grows on the heap; given back with ids_release. */
struct ids {
    int32_t *id;
    int64_t n, room;
};

/* Append one.  E_MEMORY. */
static inline enum status ids_add(struct ids *list, int32_t id, struct error *err)
{
    enum status st = mem_grow((void **)&list->id, &list->room, list->n + 1, sizeof *list->id, err);

    if (!st)
        list->id[list->n++] = id;
    return st;
}

static inline void ids_release(struct ids *list)
{
    free(list->id);
    *list = (struct ids){0};
}

#endif
