/*
 * report.c - a run on one page
 *
 * What one wants to know of a run: does the loss still fall, is the gradient calm, do the pictures
 * get better, at which noise level is the model weak, what was it trained with.  The page answers
 * from the run's own log, so it can be made again at any time, on any machine, by any version; and
 * it is one file, with its drawings and pictures inside, without scripts and without a network, so
 * that it can be mailed, archived and opened in ten years.
 *
 * The page goes to disk piece by piece: a sheet is never held together with another one, and the
 * memory a report takes is that of its log.
 */
#include "train/report.h"

#include "base/file.h"
#include "base/memory.h"
#include "train/curves.h"
#include "train/history.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, SHEET_NAME = 48, SHEETS = 12, SHEET_BYTES = 32 << 20, SNAPSHOTS = 4 };

struct page {
    const char *folder;
    struct history h;
    int64_t *sheets; /* [n_sheets]: the steps that have one, rising */
    int64_t n_sheets, sheet_room;
    struct text text; /* not yet written */
    struct file_writer file;
};

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1c1e21;--dim:#667;--line:#e4e6ea;--card:#f7f8fa;"
    "--c0:#2563eb;--c1:#d9480f;--c2:#087f5b;--c3:#862e9c;--c4:#b7791f;--c5:#868e96}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#15171a;--fg:#e7e9ec;--dim:#9aa2ad;--line:#"
    "2c3036;"
    "--card:#1d2024;--c0:#74a7ff;--c1:#ff922b;--c2:#51cf94;--c3:#d58bea;--c4:#e6c04a;--c5:#9aa2ad}}"
    "\n"
    "body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:1180px;"
    "margin:0 auto;padding:24px}\n"
    "h1{font-size:24px;margin:0}h2{font-size:18px;margin:32px 0 12px}p{margin:4px "
    "0;color:var(--dim)}\n"
    ".row{display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr))"
    "}\n"
    ".sheets{grid-template-columns:repeat(auto-fill,minmax(260px,1fr))}\n"
    ".tiles{display:flex;flex-wrap:wrap;gap:12px;margin-top:20px}\n"
    ".tiles div,figure,table{background:var(--card);border:1px solid "
    "var(--line);border-radius:8px}\n"
    ".tiles div{padding:8px 16px}.tiles b{display:block;font-size:20px}.tiles "
    "span{color:var(--dim)}\n"
    "figure{margin:0;padding:8px}figcaption{color:var(--dim);padding:4px}\n"
    "svg,img{width:100%;height:auto;display:block}img{image-rendering:pixelated}\n"
    "svg path{fill:none;stroke-width:1.8;stroke-linejoin:round}svg .rule{stroke:var(--line);"
    "stroke-width:1}svg .dot{stroke-width:6;stroke-linecap:round}\n"
    ".c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}"
    ".c4{stroke:var(--c4)}.c5{stroke:var(--c5)}\n"
    "svg text{fill:var(--fg);font-size:12px}svg .title{font-size:14px;font-weight:600}"
    "svg .tick{fill:var(--dim);font-size:11px}\n"
    "table{border-collapse:collapse;width:100%;font-size:14px;align-self:start}caption{text-align:"
    "left;"
    "font-weight:600;padding:4px}td{padding:2px 10px;border-top:1px solid var(--line)}"
    "td+td{text-align:right;overflow-wrap:anywhere}\n"
    "</style>\n";

/* ---- Writing ---- */

/* Send what has gathered to the file. */
static enum status flush(struct page *p, struct error *err)
{
    enum status st = OK;

    if (p->text.cut)
        return fail(err, E_MEMORY, "%s: no memory for its report", p->folder);
    if (p->text.used)
        st = file_writer_put(&p->file, p->text.data, p->text.used, err);
    text_release(&p->text);
    text_init(&p->text, NULL, 0);
    return st;
}

/* What stands in names and values is no markup. */
static void add_plain(struct text *t, const char *words)
{
    for (; *words; words++) {
        const char *entity = *words == '<'    ? "&lt;"
                             : *words == '>'  ? "&gt;"
                             : *words == '&'  ? "&amp;"
                             : *words == '"'  ? "&quot;"
                             : *words == '\'' ? "&#39;"
                                              : NULL;

        if (entity)
            text_add(t, "%s", entity);
        else
            text_add_bytes(t, words, 1);
    }
}

static void add_number(struct text *t, double x)
{
    char text[TEXT_REAL];

    if (isfinite(x))
        text_add(t, "%s", text_from_real(text, x));
    else
        text_add(t, "none");
}

/* So many significant digits as a person reads. */
static double rounded(double x)
{
    double unit = x != 0 && isfinite(x) ? pow(10, 3 - floor(log10(fabs(x)))) : 1;

    return unit >= 1 ? round(x * unit) / unit : round(x);
}

/* ---- Values of the configuration ---- */

static const json_t *config_value(const struct page *p, const char *section, const char *key)
{
    return json_object_get(json_object_get(p->h.config, section), key);
}

static bool is_autoencoder(const struct page *p)
{
    return json_object_get(p->h.config, "autoencoder") != NULL;
}

static void add_value(struct text *t, const json_t *value)
{
    size_t n = json_array_size(value);

    if (json_is_string(value))
        add_plain(t, json_string_value(value));
    else if (json_is_integer(value))
        text_add(t, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        add_number(t, json_real_value(value));
    else if (json_is_boolean(value))
        text_add(t, "%s", json_is_true(value) ? "yes" : "no");
    for (size_t i = 0; i < n; i++) {
        text_add(t, "%s", i ? ", " : "");
        if (!json_is_array(json_array_get(value, i)))
            add_value(t, json_array_get(value, i));
    }
}

static void add_config_word(struct text *t, const struct page *p, const char *before,
                            const char *section, const char *key)
{
    const json_t *value = config_value(p, section, key);

    if (!value)
        return;
    text_add(t, "%s", before);
    add_value(t, value);
}

/* ---- Head ---- */

static void add_name(struct text *t, const char *folder)
{
    size_t n = strlen(folder);
    char name[256];
    const char *from;

    while (n && folder[n - 1] == '/')
        n--;
    for (from = folder + n; from > folder && from[-1] != '/';)
        from--;
    snprintf(name, sizeof name, "%.*s", (int)(folder + n - from), from);
    add_plain(t, *name && strcmp(name, ".") ? name : "run");
}

static void add_tile(struct text *t, const char *what, double value, const char *unit)
{
    text_add(t, "<div><b>");
    add_number(t, rounded(value));
    text_add(t, "%s</b><span>%s</span></div>\n", unit, what);
}

/* Seconds of training behind the log: steps over speed, line by line. */
static double seconds_of(const struct history *h)
{
    double seconds = 0;
    int64_t before = 0;

    for (int64_t i = 0; i < h->n_rows; i++) {
        if (h->rows[i].steps_per_s > 0)
            seconds += (double)(h->rows[i].step - before) / h->rows[i].steps_per_s;
        before = h->rows[i].step;
    }
    return seconds;
}

static void add_best(struct text *t, const struct history *h)
{
    const struct log_eval *best = h->evals;

    for (int64_t i = 1; i < h->n_evals; i++)
        if (h->evals[i].losses.average < best->losses.average)
            best = &h->evals[i];
    if (!best)
        return;
    add_tile(t, "held-out loss", h->evals[h->n_evals - 1].losses.average, "");
    if (h->evals[h->n_evals - 1].losses.rebuilds)
        add_tile(t, "held-out PSNR", h->evals[h->n_evals - 1].losses.psnr, " dB");
    text_add(t, "<div><b>");
    add_number(t, rounded(best->losses.average));
    text_add(t, "</b><span>its best, at step %" PRId64 "</span></div>\n", best->step);
}

static void add_tiles(struct page *p)
{
    const struct history *h = &p->h;
    const struct log_row *last = &h->rows[h->n_rows - 1];
    double batch = json_number_value(config_value(p, "train", "batch"));
    double times = json_number_value(config_value(p, "train", "accumulate"));
    double seconds = seconds_of(h);
    bool hours = seconds > 5400;
    struct text *t = &p->text;

    text_add(t, "<div class=\"tiles\">\n<div><b>%" PRId64, last->step);
    add_config_word(t, p, " of ", "train", "steps");
    text_add(t, "</b><span>steps</span></div>\n");
    add_tile(t, "training loss", last->loss, "");
    add_best(t, h);
    if (batch > 0)
        add_tile(t, "pictures seen", (double)last->step * batch * (times > 0 ? times : 1) / 1000,
                 "k");
    add_tile(t, "steps a second", last->steps_per_s, "");
    add_tile(t, "time", round(10 * (hours ? seconds / 3600 : seconds / 60)) / 10,
             hours ? " h" : " min");
    text_add(t, "</div>\n");
}

static void add_head(struct page *p)
{
    struct text *t = &p->text;

    text_add(t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    add_name(t, p->folder);
    text_add(t, "</title>\n%s</head><body>\n<h1>", style);
    add_name(t, p->folder);
    text_add(t, "</h1>\n<p>");
    add_config_word(t, p, "", "model", "network");
    if (!is_autoencoder(p)) {
        add_config_word(t, p, " on the path ", "model", "path");
        add_config_word(t, p, ", predicts ", "model", "prediction");
    }
    add_config_word(t, p, "; data: ", "data", "format");
    text_add(t, "</p>\n");
    if (p->h.unread)
        text_add(t, "<p>%" PRId64 " lines of the log could not be read.</p>\n", p->h.unread);
}

/* ---- Curves ---- */

static void add_drawing(struct page *p, const struct curves *c)
{
    text_add(&p->text, "<figure>");
    curves_svg(&p->text, c);
    text_add(&p->text, "</figure>\n");
}

enum { STEP, LOSS, NORM, RATE, SPEED, DATA_S, NETWORK_S, UPDATE_S, OTHER_S, OPPONENT, ROW_COLUMNS };
enum { EVAL_STEP, EVAL_RAW, EVAL_AVERAGE, EVAL_PSNR, EVAL_COLUMNS };

/* A column of numbers for each thing that is drawn. */
static enum status columns_of(double **out, const struct history *h, struct error *err)
{
    double *c;
    enum status st;

    if ((st = mem_new((void **)out, (uint64_t)(ROW_COLUMNS * h->n_rows + EVAL_COLUMNS * h->n_evals),
                      sizeof **out, "the curves of a report", err)))
        return st;
    c = *out;
    for (int64_t i = 0, n = h->n_rows; i < n; i++) {
        const struct log_row *r = &h->rows[i];
        const double values[ROW_COLUMNS] = {
            (double)r->step,  r->loss,
            r->gradient_norm, r->learning_rate,
            r->steps_per_s,   r->data_s,
            r->network_s,     r->update_s,
            r->other_s,       r->opponent.is ? r->opponent.loss : (double)NAN};

        for (int k = 0; k < ROW_COLUMNS; k++)
            c[k * n + i] = values[k];
    }
    c += ROW_COLUMNS * h->n_rows;
    for (int64_t i = 0, n = h->n_evals; i < n; i++) {
        c[EVAL_STEP * n + i] = (double)h->evals[i].step;
        c[EVAL_RAW * n + i] = h->evals[i].losses.raw;
        c[EVAL_AVERAGE * n + i] = h->evals[i].losses.average;
        c[EVAL_PSNR * n + i] = h->evals[i].losses.psnr;
    }
    return OK;
}

static void add_curves(struct page *p, const double *c)
{
    int64_t n = p->h.n_rows, m = p->h.n_evals;
    const double *e = c + ROW_COLUMNS * n;
    const struct curve loss[] = {{"training", c, c + LOSS * n, n},
                                 {"held out", e, e + EVAL_RAW * m, m},
                                 {"averaged", e, e + EVAL_AVERAGE * m, m}};
    const struct curve norm = {NULL, c, c + NORM * n, n}, rate = {NULL, c, c + RATE * n, n};
    const struct curve opponent = {NULL, c, c + OPPONENT * n, n};
    const struct curve decibels = {"averaged", e, e + EVAL_PSNR * m, m};
    const struct curve speed = {NULL, c, c + SPEED * n, n};
    const struct curve parts[] = {{"network", c, c + NETWORK_S * n, n},
                                  {"update", c, c + UPDATE_S * n, n},
                                  {"data", c, c + DATA_S * n, n},
                                  {"other", c, c + OTHER_S * n, n}};

    text_add(&p->text, "<h2>Curves</h2>\n<div class=\"row\">\n");
    add_drawing(p, &(struct curves){"Loss", "step", loss, 3, 0, false});
    if (m && p->h.evals[m - 1].losses.rebuilds)
        add_drawing(
            p, &(struct curves){"PSNR of held-out pictures, dB", "step", &decibels, 1, 0, false});
    if (n && p->h.rows[n - 1].opponent.is)
        add_drawing(p, &(struct curves){"Loss of the discriminator: 1 knows nothing", "step",
                                        &opponent, 1, 0, true});
    add_drawing(p, &(struct curves){"Gradient norm, before clipping", "step", &norm, 1, 0, false});
    add_drawing(p, &(struct curves){"Learning rate", "step", &rate, 1, 0, true});
    add_drawing(p, &(struct curves){"Steps a second", "step", &speed, 1, 0, true});
    add_drawing(p, &(struct curves){"Seconds a step", "step", parts, 4, 0, true});
}

/* Held-out losses by t, at a few moments of the run: the newest first, in the first colour. */
static void add_by_time(struct page *p)
{
    int n = p->h.n_evals < SNAPSHOTS ? (int)p->h.n_evals : SNAPSHOTS;
    struct curve curve[SNAPSHOTS];
    char name[SNAPSHOTS][32];
    double t[EVAL_TIMES];

    for (int k = 0; k < EVAL_TIMES; k++)
        t[k] = (k + 0.5) / EVAL_TIMES;
    for (int k = 0; k < n; k++) {
        const struct log_eval *e =
            &p->h.evals[n > 1 ? (p->h.n_evals - 1) * (n - 1 - k) / (n - 1) : 0];

        snprintf(name[k], sizeof name[k], "%" PRId64, e->step);
        curve[k] = (struct curve){name[k], t, e->losses.by_time, EVAL_TIMES};
    }
    if (n && !is_autoencoder(p))
        add_drawing(p, &(struct curves){"Loss against t at step", "t: 0 noise, 1 data", curve, n, 1,
                                        false});
    text_add(&p->text, "</div>\n");
    if (!n)
        text_add(&p->text,
                 "<p>No losses on held-out pictures: train.eval_every asks for them%s"
                 ".</p>\n",
                 is_autoencoder(p) ? "" : ", and the loss against t comes with them");
}

static enum status add_all_curves(struct page *p, struct error *err)
{
    double *columns = NULL;
    enum status st;

    if (!p->h.n_rows) {
        text_add(&p->text, "<p>Nothing is logged yet.</p>\n");
        return flush(p, err);
    }
    add_tiles(p);
    if ((st = columns_of(&columns, &p->h, err)))
        return st;
    add_curves(p, columns);
    add_by_time(p);
    free(columns);
    return flush(p, err);
}

/* ---- Sheets ---- */

static int rising(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void sheet_name(char out[SHEET_NAME], int64_t step)
{
    snprintf(out, SHEET_NAME, "samples-%08" PRId64 ".png", step);
}

/* Sheets of later steps than the log's last are of an earlier attempt. */
static enum status find_sheets(struct page *p, struct error *err)
{
    int64_t step, last = p->h.n_rows ? p->h.rows[p->h.n_rows - 1].step : INT64_MAX;
    DIR *dir = opendir(p->folder);
    struct dirent *entry;
    enum status st = OK;
    char name[SHEET_NAME];

    if (!dir)
        return fail_errno(err, E_IO, "%s: the folder cannot be read", p->folder);
    while (!st && (entry = readdir(dir))) {
        if (sscanf(entry->d_name, "samples-%" SCNd64, &step) != 1 || step > last)
            continue;
        sheet_name(name, step);
        if (strcmp(name, entry->d_name) != 0)
            continue;
        if (!(st = mem_grow((void **)&p->sheets, &p->sheet_room, p->n_sheets + 1, sizeof *p->sheets,
                            err)))
            p->sheets[p->n_sheets++] = step;
    }
    closedir(dir);
    if (p->n_sheets)
        qsort(p->sheets, (size_t)p->n_sheets, sizeof *p->sheets, rising);
    return st;
}

/* A PNG file of the folder, in the page. */
static enum status add_picture(struct page *p, const char *name, const char *alt,
                               const char *caption, struct error *err)
{
    char path[PATH_BYTES];
    uint8_t *png = NULL;
    uint64_t n = 0;
    enum status st;

    if (snprintf(path, sizeof path, "%s/%s", p->folder, name) >= (int)sizeof path)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", PATH_BYTES);
    if ((st = file_read(&png, &n, path, SHEET_BYTES, err)))
        return st;
    text_add(&p->text, "<figure><img alt=\"%s\" src=\"data:image/png;base64,", alt);
    text_add_base64(&p->text, png, n);
    text_add(&p->text, "\"><figcaption>%s</figcaption></figure>\n", caption);
    free(png);
    return flush(p, err);
}

static enum status add_sheet(struct page *p, int64_t step, struct error *err)
{
    char name[SHEET_NAME], alt[SHEET_NAME], caption[SHEET_NAME];

    sheet_name(name, step);
    snprintf(alt, sizeof alt, "pictures of step %" PRId64, step);
    snprintf(caption, sizeof caption, "step %" PRId64, step);
    return add_picture(p, name, alt, caption, err);
}

/* How the latents of a finished autoencoder are spread. */
static enum status add_latents(struct page *p, struct error *err)
{
    char path[PATH_BYTES];
    enum status st;

    if (snprintf(path, sizeof path, "%s/latents.png", p->folder) >= (int)sizeof path ||
        access(path, R_OK))
        return OK; /* it is not finished, or no autoencoder */
    text_add(&p->text, "<h2>Latents</h2>\n");
    if (!(st = add_picture(p, "latents.png", "means, deviations and histograms of the latents",
                           "over the training set, by the averaged weights", err)))
        text_add(&p->text, "\n");
    return st;
}

/* The first, the last, and as many between them as a page takes. */
static enum status add_sheets(struct page *p, struct error *err)
{
    int64_t n = p->n_sheets < SHEETS ? p->n_sheets : SHEETS;
    enum status st = OK;

    if (!n)
        return OK;
    text_add(&p->text, "<h2>Pictures</h2>\n<p>%s</p>\n<div class=\"row sheets\">\n",
             is_autoencoder(p) ? "Pictures, and below them what becomes of them."
                               : "The same labels and the same noise at every step.");
    for (int64_t k = 0; k < n && !st; k++)
        st = add_sheet(p, p->sheets[n > 1 ? k * (p->n_sheets - 1) / (n - 1) : 0], err);
    text_add(&p->text, "</div>\n");
    return st;
}

/* ---- Configuration ---- */

static void add_config(struct page *p)
{
    struct text *t = &p->text;
    const char *section, *key;
    json_t *group, *value;

    if (!p->h.config)
        return;
    text_add(t, "<h2>Configuration</h2>\n<div class=\"row\">\n");
    json_object_foreach(p->h.config, section, group)
    {
        text_add(t, "<table><caption>");
        add_plain(t, section);
        text_add(t, "</caption>\n");
        json_object_foreach(group, key, value)
        {
            text_add(t, "<tr><td>");
            add_plain(t, key);
            text_add(t, "</td><td>");
            add_value(t, value);
            text_add(t, "</td></tr>\n");
        }
        text_add(t, "</table>\n");
    }
    text_add(t, "</div>\n");
}

/* ---- The page ---- */

static enum status write_page(struct page *p, struct error *err)
{
    char path[PATH_BYTES];
    enum status st;

    if (snprintf(path, sizeof path, "%s/report.html", p->folder) >= (int)sizeof path)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", PATH_BYTES);
    if ((st = file_writer_open(&p->file, path, err)))
        return st;
    add_head(p);
    if ((st = add_all_curves(p, err)) || (st = add_sheets(p, err)) || (st = add_latents(p, err)))
        return st;
    add_config(p);
    text_add(&p->text, "</body></html>\n");
    if ((st = flush(p, err)))
        return st;
    return file_writer_commit(&p->file, err);
}

enum status report_write(const char *folder, struct error *err)
{
    struct page p = {.folder = folder};
    char log[PATH_BYTES];
    enum status st;

    text_init(&p.text, NULL, 0);
    if (snprintf(log, sizeof log, "%s/log.jsonl", folder) >= (int)sizeof log)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", PATH_BYTES);
    if (!(st = history_read(&p.h, log, err)) && !(st = find_sheets(&p, err)))
        st = write_page(&p, err);
    file_writer_close(&p.file);
    text_release(&p.text);
    history_release(&p.h);
    free(p.sheets);
    return st;
}
