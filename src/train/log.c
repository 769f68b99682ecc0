/*
 * log.c - what a run writes down
 *
 * JSON lines for programs, CSV for spreadsheets: one line each per log_every steps, flushed at
 * once, so that a plot of a running training is never far behind.
 *
 * A run that was killed may have logged steps past its last checkpoint.  Resumed, it takes them
 * again; the log is cut back first, so that each step stands in it once.
 */
#include "train/log.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_PATH = 4096, LOG_BYTES = 1 << 28 };

static const char csv_head[] = "step,loss,gradient_norm,learning_rate,steps_per_s,data_s,network_s,"
                               "update_s,other_s\n";

static const char eval_head[] = "step,loss,averaged,quarter1,quarter2,quarter3,quarter4\n";

/* The step a line speaks of: {"step": 50, ... or 50,...; -1 for a heading or a torn line. */
static int64_t line_step(const char *line, bool json)
{
    int64_t step;

    return sscanf(line, json ? "{\"step\": %" SCNd64 : "%" SCNd64, &step) == 1 ? step : -1;
}

/* Keep the whole lines up to `step`. */
static enum status cut_back(const char *path, bool json, int64_t step, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n = 0, kept = 0;
    enum status st;
    FILE *f = fopen(path, "r");

    if (!f)
        return OK; /* there is no log yet */
    fclose(f);
    if ((st = file_read(&bytes, &n, path, LOG_BYTES, err)))
        return st;
    while (kept < n) {
        const char *line = (char *)bytes + kept, *end = strchr(line, '\n');

        if (!end || line_step(line, json) > step)
            break;
        kept += (uint64_t)(end - line) + 1;
    }
    if (kept < n)
        st = file_write(path, bytes, kept, err);
    free(bytes);
    return st;
}

/* head: the heading of a CSV file, or NULL for JSON lines. */
static enum status open_one(FILE **out, const char *folder, const char *name, const char *head,
                            int64_t step, struct error *err)
{
    char path[LOG_PATH];
    enum status st;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", LOG_PATH);
    if ((st = cut_back(path, !head, step, err)))
        return st;
    *out = fopen(path, "a");
    if (!*out)
        return fail_errno(err, E_IO, "%s: cannot be opened", path);
    if (head && ftell(*out) == 0)
        fputs(head, *out);
    return OK;
}

enum status log_open(struct train_log *log, const char *folder, int64_t step, bool eval,
                     struct error *err)
{
    enum status st;

    memset(log, 0, sizeof *log);
    if ((st = open_one(&log->json, folder, "log.jsonl", NULL, step, err)) ||
        (st = open_one(&log->csv, folder, "log.csv", csv_head, step, err)))
        return st;
    return eval ? open_one(&log->eval, folder, "eval.csv", eval_head, step, err) : OK;
}

enum status log_write(struct train_log *log, const struct log_row *r, struct error *err)
{
    fprintf(log->json,
            "{\"step\": %" PRId64 ", \"loss\": %.9g, \"gradient_norm\": %.6g, \"learning_rate\": "
            "%.6g, \"steps_per_s\": %.4g, \"data_s\": %.4g, \"network_s\": %.4g, \"update_s\": "
            "%.4g, \"other_s\": %.4g}\n",
            r->step, r->loss, r->gradient_norm, r->learning_rate, r->steps_per_s, r->data_s,
            r->network_s, r->update_s, r->other_s);
    fprintf(log->csv, "%" PRId64 ",%.9g,%.6g,%.6g,%.4g,%.4g,%.4g,%.4g,%.4g\n", r->step, r->loss,
            r->gradient_norm, r->learning_rate, r->steps_per_s, r->data_s, r->network_s,
            r->update_s, r->other_s);
    if (fflush(log->json) || fflush(log->csv))
        return fail_errno(err, E_IO, "the log of step %" PRId64 " cannot be written", r->step);
    return OK;
}

enum status log_write_eval(struct train_log *log, const struct log_eval *r, struct error *err)
{
    fprintf(log->eval, "%" PRId64 ",%.9g,%.9g,%.6g,%.6g,%.6g,%.6g\n", r->step, r->raw, r->average,
            r->quarter[0], r->quarter[1], r->quarter[2], r->quarter[3]);
    if (fflush(log->eval))
        return fail_errno(err, E_IO, "the losses of step %" PRId64 " cannot be written", r->step);
    return OK;
}

void log_close(struct train_log *log)
{
    if (log->eval)
        fclose(log->eval);
    if (log->json)
        fclose(log->json);
    if (log->csv)
        fclose(log->csv);
    memset(log, 0, sizeof *log);
}
