/*
 * lab.c - laboratories for users of the library: studies, laws, and words on pictures
 *
 * Studies are handed out as descriptors with rows of options, so that a program needs no code for
 * any single one of them; their findings are one form for all.
 */
#include "api/api.h"

#include "base/memory.h"
#include "lab/cloud.h"
#include "lab/distance.h"
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

/* ---- Laws ---- */

struct imgen_law {
    struct law law;
    struct path path;
};

enum imgen_status imgen_law_open(struct imgen_law **out, const char *law, const char *path,
                                 struct imgen_error *err)
{
    struct imgen_law *made = NULL;
    struct error e = {0};
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&made, 1, sizeof *made, "a law", &e)) ||
        (st = path_init(&made->path, path, &e)) || (st = law_open(&made->law, law, &e)))
        imgen_law_close(made);
    else
        *out = made;
    return api_status(err, &e, st);
}

void imgen_law_close(struct imgen_law *law)
{
    if (!law)
        return;
    law_release(&law->law);
    free(law);
}

int imgen_law_labels(const struct imgen_law *law)
{
    return law->law.n_labels;
}

void imgen_law_path(const struct imgen_law *law, double t, struct imgen_law_path *out)
{
    struct path_coefs c = path_at(&law->path, t);

    *out = (struct imgen_law_path){c.alpha, c.beta, c.dalpha, c.dbeta};
}

static enum status check_asked(const struct imgen_law *law, double t, int label, struct error *err)
{
    if (!(t >= 0 && t <= 1))
        return fail(err, E_ARG, "t = %g lies outside 0 .. 1", t);
    return law_check_label(&law->law, label, err);
}

enum imgen_status imgen_law_fields(const struct imgen_law *law, double t, const double x[2],
                                   int label, struct imgen_law_fields *out, struct imgen_error *err)
{
    struct mixture_value v;
    struct error e = {0};
    struct path_coefs c;
    enum status st;

    if ((st = check_asked(law, t, label, &e)))
        return api_status(err, &e, st);
    c = path_at(&law->path, t);
    if (!(st = law_at(&v, &law->law, &c, x, label, &e)))
        *out = (struct imgen_law_fields){
            v.log_p, {v.u[0], v.u[1]}, {v.s[0], v.s[1]}, {v.eps[0], v.eps[1]}, {v.z[0], v.z[1]},
        };
    return api_status(err, &e, st);
}

enum imgen_status imgen_law_sample(const struct imgen_law *law, double t, int label, uint64_t seed,
                                   int64_t n, double *x, int32_t *labels, struct imgen_error *err)
{
    struct error e = {0};
    enum status st = check_asked(law, t, label, &e);

    if (!st) {
        struct path_coefs c = path_at(&law->path, t);

        cloud_noisy(x, NULL, NULL, labels, n, &law->law, &c, label, seed, CLOUD_DATA);
    }
    return api_status(err, &e, st);
}

enum imgen_status imgen_cloud_distance(double *out, const double *a, const double *b, int64_t n,
                                       struct imgen_error *err)
{
    struct distance d = {0};
    struct error e = {0};
    enum status st = distance_between(&d, a, b, n, api_threads(0), &e);

    *out = d.sliced;
    return api_status(err, &e, st);
}

/* ---- Words on pictures ---- */

/* The words as font.h reads them: file names and solvers have '_' of their own.  *out: heap. */
static enum status escaped(char **out, const char *text, struct error *err)
{
    size_t room = 2 * strlen(text) + 3;
    enum status st = mem_new((void **)out, room, 1, "words on a picture", err);

    if (!st)
        font_escape(*out, (int)room, text);
    return st;
}

enum imgen_status imgen_text_draw(struct imgen_image *image, double x, double y, double size,
                                  int grey, const char *text, struct imgen_error *err)
{
    struct image im = {image->height, image->width, image->channels, image->pixels};
    struct colour colour = {(uint8_t)grey, (uint8_t)grey, (uint8_t)grey};
    struct error e = {0};
    char *words = NULL;
    enum status st;

    if (!(st = escaped(&words, text, &e)))
        st = raster_text(&im, x, y, size, colour, words, &e);
    free(words);
    return api_status(err, &e, st);
}

double imgen_text_width(const char *text, double size)
{
    double width = 0;
    char *words = NULL;

    if (!escaped(&words, text, NULL))
        width = font_width(words) * size;
    free(words);
    return width;
}
