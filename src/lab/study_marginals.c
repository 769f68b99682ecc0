/*
 * study_marginals.c - the densities that a flow carries noise to data through
 *
 * p_t is the law of alpha z + beta eps: a sum over the data in theory (1.2), an exact number here.
 * Its heat maps along time are what the trajectories of every solver must agree with; under a label
 * they are those of the guided law p_t(x | y).  Each panel has its own scale, for a law that
 * contracts by a factor of ten has a hundred times the density.
 */
#include "lab/draw.h"

#include <math.h>
#include <stdlib.h>

struct marginals {
    struct study_setup setup;
    int64_t label;
    struct real_list times;
};

static const struct option rows[] = {
    STUDY_ROWS(struct marginals, "moons"),
    {"label", "show p_t(x | y) of this label too; -1: of every label that there is", OPTION_INT,
     offsetof(struct marginals, label), "-1", .lo = -1, .hi = LAW_LABELS - 1},
    {"times", "at which densities are shown", OPTION_REALS, offsetof(struct marginals, times),
     "0,0.25,0.5,0.75,1", .lo = 0, .hi = 1},
    {0},
};

static enum status draw_row(struct lab *lab, const struct law *l, const struct path *path,
                            const struct real_list *times, int32_t y, struct finding_table *table,
                            bool titled, struct error *err)
{
    char text[DRAW_TEXT], name[DRAW_TEXT];
    double before = 0;
    enum status st = OK;

    figure_row(lab->findings.figure, DRAW_PLANE);
    for (int k = 0; k < times->n && !st; k++) {
        struct path_coefs c = path_at(path, times->at[k]);
        double half = draw_half(l, &c), mean[2], cov[4], mass;
        const char *title = titled ? draw_number(text, "t", c.t) : "";
        struct panel *p = draw_plane(lab->findings.figure, title, half, half == before);
        const struct mark_style words = {colour_ink, 1, 10, 0, ANCHOR_START, 0};

        st = draw_density(p, l, &c, y, half, 1, lab->threads, &mass, err);
        before = half;
        if (!k)
            panel_text(p, &words, -0.94 * half, 0.83 * half,
                       y < 0 ? "p_t(x)" : draw_number(name, "y", y));
        law_moments(mean, cov, l, &c, y);
        findings_row(&lab->findings, table, NULL,
                     (const double[]){y, c.t, mass, mean[0], mean[1], cov[0], cov[3]});
    }
    return st;
}

static enum status run(struct lab *lab, const void *config, struct error *err)
{
    static const char *const columns[] = {"label",  "t",     "mass",  "mean_x",
                                          "mean_y", "var_x", "var_y", NULL};
    const struct marginals *o = config;
    struct finding_table *table;
    struct law law;
    struct path path;
    enum status st;

    if ((st = study_open(&law, &path, &o->setup, err)) ||
        (st = law_check_label(&law, o->label, err)) || (st = study_check_times(&o->times, err)) ||
        (st = figure_new(&lab->findings.figure, "Marginal densities p_t from noise to data", err)))
        goto out;
    table = findings_table(
        &lab->findings, "densities",
        "mass: of the density inside the panel, by 120 x 120 points; label -1: of the whole law",
        NULL, columns);
    st = draw_row(lab, &law, &path, &o->times, LAW_ANY, table, true, err);
    for (int32_t y = 0; y < law.n_labels && law.n_labels > 1 && !st; y++)
        if (law_prior(&law, y) > 0 && (o->label < 0 || o->label == y) &&
            !(st = lab_reached(lab, (y + 1.0) / (law.n_labels + 1), err)))
            st = draw_row(lab, &law, &path, &o->times, y, table, false, err);
    figure_key_amounts(lab->findings.figure, 1,
                       "density, white 0, dark its largest value in the panel");
out:
    law_release(&law);
    return st;
}

const struct study study_marginals = {
    .name = "marginals",
    .summary = "densities p_t(x) and p_t(x | y) at several times",
    .details =
        "Shows as heat maps the exact density of x_t at several times: for the whole law in the\n"
        "first row, then under each label.  Noise at t = 0 is the same under every label; what is\n"
        "asked for decides only where it is carried.  mass is the density's integral over the\n"
        "panel, 1 but for what lies outside.",
    .rows = rows,
    .bytes = sizeof(struct marginals),
    .run = run,
};
