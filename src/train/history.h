/*
 * history.h - what a run wrote down, read again
 */
#ifndef IMGEN_TRAIN_HISTORY_H
#define IMGEN_TRAIN_HISTORY_H

#include "base/json.h"
#include "train/log.h"

struct history {
    struct log_row *rows; /* [n_rows], in the order of the file        */
    struct log_eval *evals;
    int64_t n_rows, n_evals, row_room, eval_room;
    json_t *config; /* the newest one, or NULL                         */
    int64_t unread; /* lines that say nothing that is understood here  */
};

/* Read a log.jsonl.  A line that is torn or of another kind is counted and passed over.  E_IO,
 * E_MEMORY, E_FORMAT for a file of more than 256 MiB.  Release also after a failure. */
enum status history_read(struct history *h, const char *path, struct error *err);
/* The same of bytes in memory, closed by a zero byte. */
enum status history_parse(struct history *h, const char *text, uint64_t n, struct error *err);
void history_release(struct history *h);

#endif
