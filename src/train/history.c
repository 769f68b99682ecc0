/*
 * history.c - what a run wrote down, read again
 *
 * The log may come from anywhere: cut by a power failure in the middle of a line, written by
 * another version, edited by hand.  Whoever looks at a run wants to see what is there, so a line
 * that cannot be read is no error but a number in the report.
 */
#include "train/history.h"

#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY_BYTES = 1 << 28, LINE_BYTES = 1 << 20 };

/* Numbers that are there and are numbers. */
static bool number(double *out, const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);

    *out = json_number_value(value);
    return json_is_number(value);
}

static bool step_of(int64_t *out, const json_t *line)
{
    const json_t *value = json_object_get(line, "step");

    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

static enum status take_row(struct history *h, const json_t *line, struct error *err)
{
    struct log_row r = {0};
    enum status st;

    if (!step_of(&r.step, line) || !number(&r.loss, line, "loss")) {
        h->unread++;
        return OK;
    }
    number(&r.gradient_norm, line, "gradient_norm");
    number(&r.learning_rate, line, "learning_rate");
    number(&r.steps_per_s, line, "steps_per_s");
    number(&r.data_s, line, "data_s");
    number(&r.network_s, line, "network_s");
    number(&r.update_s, line, "update_s");
    number(&r.other_s, line, "other_s");
    r.opponent.is = number(&r.opponent.loss, line, "discriminator");
    number(&r.opponent.ratio, line, "adversary_ratio");
    if ((st = mem_grow((void **)&h->rows, &h->row_room, h->n_rows + 1, sizeof r, err)))
        return st;
    h->rows[h->n_rows++] = r;
    return OK;
}

static enum status take_eval(struct history *h, const json_t *line, struct error *err)
{
    const json_t *times = json_object_get(line, "eval_by_time");
    struct log_eval e = {0};
    enum status st;

    if (!step_of(&e.step, line) || !number(&e.losses.raw, line, "eval_loss") ||
        !number(&e.losses.average, line, "eval_averaged")) {
        h->unread++;
        return OK;
    }
    e.losses.rebuilds = number(&e.losses.psnr, line, "eval_psnr");
    for (size_t k = 0; k < EVAL_TIMES; k++) {
        const json_t *value = json_array_get(times, k);

        e.losses.by_time[k] = json_is_number(value) ? json_number_value(value) : (double)NAN;
    }
    if ((st = mem_grow((void **)&h->evals, &h->eval_room, h->n_evals + 1, sizeof e, err)))
        return st;
    h->evals[h->n_evals++] = e;
    return OK;
}

static enum status take_line(struct history *h, const char *text, size_t n, struct error *err)
{
    json_t *line = NULL, *config;
    enum status st = config_parse(&line, text, n, LINE_BYTES, "a line of the log", err);

    if (st == E_FORMAT) {
        h->unread++;
        return OK;
    }
    if (st)
        return st;
    config = json_object_get(line, "config");
    if (json_is_object(config)) {
        json_decref(h->config);
        h->config = json_incref(config);
    } else if (json_object_get(line, "eval_loss")) {
        st = take_eval(h, line, err);
    } else {
        st = take_row(h, line, err);
    }
    json_decref(line);
    return st;
}

enum status history_parse(struct history *h, const char *text, uint64_t n, struct error *err)
{
    enum status st = OK;

    memset(h, 0, sizeof *h);
    for (uint64_t at = 0; at < n && !st;) {
        const char *end = memchr(text + at, '\n', n - at);
        uint64_t length = end ? (uint64_t)(end - text) - at : n - at;

        if (length)
            st = take_line(h, text + at, length, err);
        at += length + 1;
    }
    return st;
}

enum status history_read(struct history *h, const char *path, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n = 0;
    enum status st;

    memset(h, 0, sizeof *h);
    if (!(st = file_read(&bytes, &n, path, HISTORY_BYTES, err)))
        st = history_parse(h, (const char *)bytes, n, err);
    free(bytes);
    return st;
}

void history_release(struct history *h)
{
    json_decref(h->config);
    free(h->rows);
    free(h->evals);
    memset(h, 0, sizeof *h);
}
