/*
 * log.c - what a run writes down
 *
 * JSON lines for programs, CSV for spreadsheets: one line each per log_every steps, flushed at
 * once, so that a plot of a running training is never far behind.  The JSON lines alone hold
 * everything, losses on held-out pictures and the configuration too: report.c draws from them.
 *
 * A run that was killed may have logged steps past its last checkpoint.  Resumed, it takes them
 * again; the log is cut back first, so that each step stands in it once.  Event files cannot be cut
 * so easily; each start of a run writes a new one, which tells TensorBoard from which step on it
 * holds instead of older ones.
 */
#include "train/log.h"

#include "base/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_PATH = 4096, LOG_BYTES = 1 << 28 };

static const char csv_head[] = "step,loss,gradient_norm,learning_rate,steps_per_s,data_s,network_s,"
                               "update_s,other_s\n";

static const char *const eval_heads[] = {
    [LOG_EVAL_LOSS] = "step,loss,averaged,quarter1,quarter2,quarter3,quarter4\n",
    [LOG_EVAL_ACCURACY] = "step,loss,averaged,quarter1,quarter2,quarter3,quarter4,accuracy,"
                          "accuracy1,accuracy2,accuracy3,accuracy4\n",
    [LOG_EVAL_PSNR] = "step,loss,averaged,psnr\n",
};

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

enum status log_open(struct train_log *log, const struct log_options *o, struct error *err)
{
    enum status st;

    memset(log, 0, sizeof *log);
    if ((st = open_one(&log->json, o->folder, "log.jsonl", NULL, o->step, err)) ||
        (st = open_one(&log->csv, o->folder, "log.csv", csv_head, o->step, err)) ||
        (o->eval &&
         (st = open_one(&log->eval, o->folder, "eval.csv", eval_heads[o->eval], o->step, err))) ||
        (o->tensorboard && (st = tfevents_open(&log->events, o->folder, o->step, err))))
        return st;
    fprintf(log->json, "{\"config\": %s}\n", o->config);
    if (fflush(log->json))
        return fail_errno(err, E_IO, "%s: the log cannot be written", o->folder);
    return OK;
}

static enum status write_events(struct tfevents *to, const struct log_row *r, struct error *err)
{
    const struct {
        const char *tag;
        double value;
    } scalars[] = {
        {"train/loss", r->loss},
        {"train/gradient_norm", r->gradient_norm},
        {"train/learning_rate", r->learning_rate},
        {"speed/steps_per_s", r->steps_per_s},
        {"speed/data_s", r->data_s},
        {"speed/network_s", r->network_s},
        {"speed/update_s", r->update_s},
        {"speed/other_s", r->other_s},
        {"adversary/discriminator", r->opponent.loss},
        {"adversary/ratio", r->opponent.ratio},
    };
    size_t n = sizeof scalars / sizeof *scalars - (r->opponent.is ? 0 : 2);

    for (size_t i = 0; to && i < n; i++)
        tfevents_scalar(to, r->step, scalars[i].tag, scalars[i].value);
    return to ? tfevents_flush(to, err) : OK;
}

enum status log_write(struct train_log *log, const struct log_row *r, struct error *err)
{
    fprintf(log->json,
            "{\"step\": %" PRId64 ", \"loss\": %.9g, \"gradient_norm\": %.6g, \"learning_rate\": "
            "%.6g, \"steps_per_s\": %.4g, \"data_s\": %.4g, \"network_s\": %.4g, \"update_s\": "
            "%.4g, \"other_s\": %.4g",
            r->step, r->loss, r->gradient_norm, r->learning_rate, r->steps_per_s, r->data_s,
            r->network_s, r->update_s, r->other_s);
    if (r->opponent.is)
        fprintf(log->json, ", \"discriminator\": %.6g, \"adversary_ratio\": %.6g", r->opponent.loss,
                r->opponent.ratio);
    fputs("}\n", log->json);
    fprintf(log->csv, "%" PRId64 ",%.9g,%.6g,%.6g,%.4g,%.4g,%.4g,%.4g,%.4g\n", r->step, r->loss,
            r->gradient_norm, r->learning_rate, r->steps_per_s, r->data_s, r->network_s,
            r->update_s, r->other_s);
    if (fflush(log->json) || fflush(log->csv))
        return fail_errno(err, E_IO, "the log of step %" PRId64 " cannot be written", r->step);
    return write_events(log->events, r, err);
}

/* JSON has no word for what is no number. */
static void put_number(FILE *to, double x)
{
    if (isfinite(x))
        fprintf(to, "%.6g", x);
    else
        fputs("null", to);
}

static void write_eval_json(FILE *to, const struct log_eval *r)
{
    fprintf(to, "{\"step\": %" PRId64 ", \"eval_loss\": %.9g, \"eval_averaged\": %.9g", r->step,
            r->losses.raw, r->losses.average);
    if (r->losses.classifies)
        fprintf(to, ", \"eval_accuracy\": %.6g", r->losses.right);
    if (r->losses.rebuilds) {
        fputs(", \"eval_psnr\": ", to);
        put_number(to, r->losses.psnr);
    }
    for (int k = 0; k < EVAL_TIMES && !r->losses.rebuilds; k++) {
        fputs(k ? ", " : ", \"eval_by_time\": [", to);
        put_number(to, r->losses.by_time[k]);
    }
    fputs(r->losses.rebuilds ? "}\n" : "]}\n", to);
}

static enum status write_eval_events(struct tfevents *to, const struct log_eval *r,
                                     struct error *err)
{
    static const char *const quarters[] = {"eval/t_0_to_0.25", "eval/t_0.25_to_0.5",
                                           "eval/t_0.5_to_0.75", "eval/t_0.75_to_1"};

    tfevents_scalar(to, r->step, "eval/loss", r->losses.raw);
    tfevents_scalar(to, r->step, "eval/averaged", r->losses.average);
    if (r->losses.classifies)
        tfevents_scalar(to, r->step, "eval/accuracy", r->losses.right);
    if (r->losses.rebuilds)
        tfevents_scalar(to, r->step, "eval/psnr", r->losses.psnr);
    for (int q = 0; q < 4 && !r->losses.rebuilds; q++)
        tfevents_scalar(to, r->step, quarters[q], r->losses.quarter[q]);
    return tfevents_flush(to, err);
}

static void write_eval_csv(FILE *to, const struct log_eval *r)
{
    const struct eval_losses *l = &r->losses;

    fprintf(to, "%" PRId64 ",%.9g,%.9g", r->step, l->raw, l->average);
    if (l->rebuilds)
        fprintf(to, ",%.6g", l->psnr);
    else
        fprintf(to, ",%.6g,%.6g,%.6g,%.6g", l->quarter[0], l->quarter[1], l->quarter[2],
                l->quarter[3]);
    if (l->classifies)
        fprintf(to, ",%.6g,%.6g,%.6g,%.6g,%.6g", l->right, l->right_quarter[0], l->right_quarter[1],
                l->right_quarter[2], l->right_quarter[3]);
    fputc('\n', to);
}

enum status log_write_eval(struct train_log *log, const struct log_eval *r, struct error *err)
{
    write_eval_csv(log->eval, r);
    write_eval_json(log->json, r);
    if (fflush(log->eval) || fflush(log->json))
        return fail_errno(err, E_IO, "the losses of step %" PRId64 " cannot be written", r->step);
    return log->events ? write_eval_events(log->events, r, err) : OK;
}

enum status log_write_sheet(struct train_log *log, int64_t step, const char *path,
                            struct error *err)
{
    enum status st;

    if (!log->events)
        return OK;
    if ((st = tfevents_png(log->events, step, "samples", path, err)))
        return st;
    return tfevents_flush(log->events, err);
}

void log_close(struct train_log *log)
{
    if (log->eval)
        fclose(log->eval);
    if (log->json)
        fclose(log->json);
    if (log->csv)
        fclose(log->csv);
    tfevents_close(log->events);
    memset(log, 0, sizeof *log);
}
