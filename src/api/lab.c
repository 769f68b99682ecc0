/*
 * lab.c - laboratories for users of the library: studies, laws, and words on pictures
 *
 * Studies are handed out as descriptors with rows of options, so that a program needs no code for
 * any single one of them; their findings are one form for all.
 */
#include "api/api.h"

#include "base/memory.h"
#include "lab/lab.h"
#include "plot/font.h"
#include "plot/raster.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct option) == sizeof(struct imgen_option), "an option grew");

struct imgen_findings {
    struct findings inner;
};

int imgen_study_at(int i, struct imgen_study *out)
{
    const struct study *s = study_at(i);

    if (!s)
        return 0;
    *out = (struct imgen_study){
        s->name, s->summary, s->details, s->paper, (const struct imgen_option *)s->rows, s->bytes,
    };
    return 1;
}

struct caller {
    imgen_study_callback *callback;
    void *user;
};

static bool on_progress(void *self, double done)
{
    const struct caller *c = self;

    return c->callback(done, c->user);
}

enum imgen_status imgen_study_run(struct imgen_findings **out, const char *name, const void *config,
                                  int threads, imgen_study_callback *callback, void *user,
                                  struct imgen_error *err)
{
    struct caller caller = {callback, user};
    struct lab lab = {.threads = api_threads(threads),
                      .callback = callback ? on_progress : NULL,
                      .self = &caller};
    const struct study *study;
    struct error e = {0};
    enum status st;

    *out = NULL;
    if ((st = study_find(&study, name, &e)) || (st = lab_run(&lab, study, config, &e)) ||
        (st = mem_new((void **)out, 1, sizeof **out, "findings", &e)))
        findings_release(&lab.findings);
    else
        (*out)->inner = lab.findings;
    return api_status(err, &e, st);
}

void imgen_findings_free(struct imgen_findings *f)
{
    if (!f)
        return;
    findings_release(&f->inner);
    free(f);
}

int imgen_findings_value(const struct imgen_findings *f, int i, struct imgen_finding *out)
{
    const struct finding_value *v;

    if (i < 0 || i >= f->inner.n_values)
        return 0;
    v = &f->inner.values[i];
    *out = (struct imgen_finding){v->name, v->help, v->value};
    return 1;
}

int imgen_findings_table(const struct imgen_findings *f, int i, struct imgen_table *out)
{
    const struct finding_table *t;

    if (i < 0 || i >= f->inner.n_tables)
        return 0;
    t = f->inner.tables[i];
    *out = (struct imgen_table){
        .name = t->name,
        .help = t->help,
        .of_names = t->of_names,
        .column = t->column,
        .n_columns = t->n_columns,
        .n_rows = t->n_rows,
        .row_name = (const char *const *)t->names,
        .value = t->values,
    };
    return 1;
}

const char *imgen_findings_config(const struct imgen_findings *f)
{
    return f->inner.config;
}

enum imgen_status imgen_findings_draw(struct imgen_findings *f, const char *path, double scale,
                                      struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, figure_write(f->inner.figure, path, scale, f->inner.config, &e));
}

enum imgen_status imgen_plot_check(const char *path, double scale, struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, figure_check_name(path, scale, &e));
}

/* ---- Words on pictures ---- */

enum imgen_status imgen_text_draw(struct imgen_image *image, double x, double y, double size,
                                  int grey, const char *text, struct imgen_error *err)
{
    struct image im = {image->height, image->width, image->channels, image->pixels};
    struct colour colour = {(uint8_t)grey, (uint8_t)grey, (uint8_t)grey};
    struct error e = {0};

    return api_status(err, &e, raster_text(&im, x, y, size, colour, text, &e));
}

double imgen_text_width(const char *text, double size)
{
    return font_width(text) * size;
}
