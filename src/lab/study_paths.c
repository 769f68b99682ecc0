/*
 * study_paths.c - where noisy points are along time
 *
 * The path x_t = alpha z + beta eps is all that a flow or diffusion model is told about noise.  The
 * study draws pairs (z, eps), shows their x_t at several times, the first coordinate of some along
 * time, and alpha and beta; and it compares mean and covariance of the points with the exact ones.
 * On the straight path each pair moves on a line at constant speed; on others it does not, and on
 * none do the lines have anything to do with the trajectories of the flow, which never cross.
 * theory.md 1.1, 2.5.
 */
#include "lab/cloud.h"
#include "lab/draw.h"

#include "base/memory.h"
#include "plot/font.h"

#include <math.h>
#include <stdlib.h>

struct paths {
    struct study_setup setup;
    int64_t points;
    struct real_list times;
};

static const struct option rows[] = {
    STUDY_ROWS(struct paths, "moons"),
    {"points", "pairs of data and noise", OPTION_INT, offsetof(struct paths, points), "1000",
     .lo = 10, .hi = 100000},
    {"times", "at which the points are shown", OPTION_REALS, offsetof(struct paths, times),
     "0,0.25,0.5,0.75,1", .lo = 0, .hi = 1},
    {0},
};

enum { CURVE = 101, WAYS = 40 };

struct work {
    struct law law;
    struct path path;
    double *x, *z, *eps;
    int32_t *label;
};

static enum status make_work(struct work *w, const struct paths *o, struct error *err)
{
    uint64_t n = 2 * (uint64_t)o->points;
    enum status st;

    if ((st = study_open(&w->law, &w->path, &o->setup, err)) ||
        (st = mem_new((void **)&w->x, n, sizeof(double), "points", err)) ||
        (st = mem_new((void **)&w->z, n, sizeof(double), "points", err)) ||
        (st = mem_new((void **)&w->eps, n, sizeof(double), "points", err)))
        return st;
    return mem_new((void **)&w->label, n, sizeof(int32_t), "labels", err);
}

static void free_work(struct work *w)
{
    law_release(&w->law);
    free(w->x);
    free(w->z);
    free(w->eps);
    free(w->label);
}

/* How far mean and covariance of the points lie from the exact ones. */
static void compare_moments(double row[5], const struct work *w, int64_t n,
                            const struct path_coefs *c)
{
    double mean[2], cov[4], found[2] = {0}, second[4] = {0}, off = 0, size = 0;

    law_moments(mean, cov, &w->law, c, LAW_ANY);
    for (int64_t i = 0; i < 2 * n; i++)
        found[i % 2] += w->x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 4; k++)
            second[k] += (w->x[2 * i + k / 2] - found[k / 2]) *
                         (w->x[2 * i + k % 2] - found[k % 2]) / (double)(n - 1);
    for (int k = 0; k < 4; k++) {
        off += (second[k] - cov[k]) * (second[k] - cov[k]);
        size += cov[k] * cov[k];
    }
    row[0] = c->t;
    row[1] = c->alpha;
    row[2] = c->beta;
    row[3] = hypot(found[0] - mean[0], found[1] - mean[1]) / sqrt((cov[0] + cov[3]) / (double)n);
    row[4] = sqrt(off / size);
}

static void draw_times(struct lab *lab, struct work *w, const struct paths *o)
{
    static const char *const columns[] = {"t", "alpha", "beta", "mean_error", "cov_error", NULL};
    struct finding_table *table = findings_table(
        &lab->findings, "moments",
        "mean_error: distance of the points' mean from the exact one, in standard errors; "
        "cov_error: of their covariance, relative",
        NULL, columns);
    char text[DRAW_TEXT];
    double before = 0;

    figure_row(lab->findings.figure, DRAW_PLANE);
    for (int k = 0; k < o->times.n; k++) {
        struct path_coefs c = path_at(&w->path, o->times.at[k]);
        double half = draw_half(&w->law, &c), row[5];
        struct panel *p =
            draw_plane(lab->findings.figure, draw_number(text, "t", c.t), half, half == before);

        before = half;
        for (int64_t i = 0; i < 2 * o->points; i++)
            w->x[i] = c.alpha * w->z[i] + c.beta * w->eps[i];
        draw_points(p, w->x, w->label, o->points, 0.9, 0.6);
        compare_moments(row, w, o->points, &c);
        findings_row(&lab->findings, table, NULL, row);
    }
}

/* The first coordinate of some points along time. */
static void draw_ways_of_pairs(struct figure *f, const struct work *w, const struct paths *o)
{
    struct path_coefs c = path_at(&w->path, 0);
    double half = draw_half(&w->law, &c), xy[2 * CURVE];
    struct panel *p = figure_panel(f, 0, "pairs (z, ε) along time", draw_axis("t", 0, 1),
                                   draw_axis("first coordinate of x_t", -half, half));

    for (int64_t i = 0; i < WAYS && i < o->points; i++) {
        const struct mark_style style = draw_pen(draw_label_colour(w->label[i]), 0.8, 0.7);

        for (int k = 0; k < CURVE; k++) {
            c = path_at(&w->path, (double)k / (CURVE - 1));
            xy[2 * k] = c.t;
            xy[2 * k + 1] = c.alpha * w->z[2 * i] + c.beta * w->eps[2 * i];
        }
        panel_points(p, MARK_LINE, &style, xy, CURVE);
    }
}

static void draw_coefs(struct figure *f, const struct path *path)
{
    struct path_coefs start = path_at(path, 0);
    struct panel *p = figure_panel(f, 0, "signal and noise", draw_axis("t", 0, 1),
                                   draw_axis(NULL, 0, 1.05 * fmax(1, start.beta)));
    struct mark_style style = draw_pen(colour_of_kind(0), 1.6, 1);
    double signal[2 * CURVE], noise[2 * CURVE];

    for (int k = 0; k < CURVE; k++) {
        struct path_coefs c = path_at(path, (double)k / (CURVE - 1));

        signal[2 * k] = noise[2 * k] = c.t;
        signal[2 * k + 1] = c.alpha;
        noise[2 * k + 1] = c.beta;
    }
    panel_points(p, MARK_LINE, &style, signal, CURVE);
    figure_key(f, MARK_LINE, &style, "α_t (signal)");
    style.colour = colour_of_kind(1);
    style.dash = 5;
    panel_points(p, MARK_LINE, &style, noise, CURVE);
    figure_key(f, MARK_LINE, &style, "β_t (noise)");
}

static enum status run(struct lab *lab, const void *config, struct error *err)
{
    const struct paths *o = config;
    struct work w = {0};
    struct path_coefs c;
    char title[128], name[DRAW_TEXT];
    struct text t;
    enum status st;

    if ((st = study_check_times(&o->times, err)) || (st = make_work(&w, o, err)))
        goto out;
    text_init(&t, title, sizeof title);
    text_add(&t, "Noisy points x_t = α_t z + β_t ε on the path %s",
             font_escape(name, sizeof name, w.path.kind->is.name));
    if ((st = figure_new(&lab->findings.figure, title, err)))
        goto out;
    c = path_at(&w.path, 0);
    cloud_noisy(w.x, w.z, w.eps, w.label, o->points, &w.law, &c, LAW_ANY, o->setup.seed,
                CLOUD_DATA);
    draw_times(lab, &w, o);
    figure_row(lab->findings.figure, 150);
    draw_ways_of_pairs(lab->findings.figure, &w, o);
    draw_coefs(lab->findings.figure, &w.path);
    draw_key_labels(lab->findings.figure, w.law.n_labels);
out:
    free_work(&w);
    return st;
}

const struct study study_paths = {
    .name = "paths",
    .summary = "noisy points x_t along time, on any path",
    .details =
        "Draws data z and noise eps and shows x_t = alpha z + beta eps: at several times in the\n"
        "plane, the first coordinate of some pairs along time, and alpha and beta themselves.\n"
        "Try --path cosine, ddpm or ve_karras: all run from noise (t = 0) to data (t = 1), at\n"
        "another pace.  mean_error should be about 1: that is what chance gives.",
    .rows = rows,
    .bytes = sizeof(struct paths),
    .run = run,
};
