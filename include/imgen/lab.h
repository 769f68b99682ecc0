/*
 * imgen/lab.h - studies of the theory, and their figures
 *
 * Studies of the theory on laws of labelled points in the plane, whose exact fields are known:
 *
 *     struct imgen_study study;                    the i-th; its rows fill a struct of study.bytes
 *     struct imgen_findings *found = NULL;
 *
 *     imgen_study_at(0, &study);
 *     config = calloc(1, study.bytes);
 *     imgen_options_read(study.rows, config, NULL, argc, argv, &n_words, &err);
 *     imgen_study_run(&found, study.name, config, 0, NULL, NULL, &err);
 *     imgen_findings_draw(found, "paths.svg", 2, &err);
 */
#ifndef IMGEN_LAB_H
#define IMGEN_LAB_H

#include "imgen/picture.h"

#ifdef __cplusplus
extern "C" {
#endif

struct imgen_option;

struct imgen_study {
    const char *name, *summary;
    const char *details;             /* what it shows and what to look for, lines broken */
    const char *paper;               /* or NULL                                         */
    const struct imgen_option *rows; /* its options, each with a default                */
    size_t bytes;                    /* of the struct that the rows fill                */
};
/* The i-th; 0 past the last, else 1. */
IMGEN_API int imgen_study_at(int i, struct imgen_study *out);

/* Share of the work done, in [0, 1].  Return 0 to stop: the call then fails with
 * IMGEN_E_CANCELLED. */
typedef int imgen_study_callback(double done, void *user);

struct imgen_findings;

/* Run a study; *out is freed by the caller.  A function of name and config alone, bit for bit, on
 * any number of threads (0: one per processor).  callback may be NULL. */
IMGEN_API enum imgen_status imgen_study_run(struct imgen_findings **out, const char *name,
                                            const void *config, int threads,
                                            imgen_study_callback *callback, void *user,
                                            struct imgen_error *err);
IMGEN_API void imgen_findings_free(struct imgen_findings *f); /* NULL is fine */

/* Texts and arrays belong to the findings. */
struct imgen_finding {
    const char *name, *help;
    double value;
};
struct imgen_table {
    const char *name, *help;
    const char *of_names;        /* what row_name holds, or NULL */
    const char *const *column;   /* [n_columns]                  */
    const char *const *row_name; /* [n_rows], or NULL            */
    const double *value;         /* [n_rows, n_columns]          */
    int n_columns;
    int64_t n_rows;
};
/* The i-th number or table; 0 past the last, else 1. */
IMGEN_API int imgen_findings_value(const struct imgen_findings *f, int i,
                                   struct imgen_finding *out);
IMGEN_API int imgen_findings_table(const struct imgen_findings *f, int i, struct imgen_table *out);

/* The study's name and options as one line of JSON; figures carry it too. */
IMGEN_API const char *imgen_findings_config(const struct imgen_findings *f);

/* Draw the study's figure into a file ending in .svg or .png, the latter with `scale` pixels a
 * point (0.25 .. 8).  Written whole or not at all; equal findings give equal bytes. */
IMGEN_API enum imgen_status imgen_findings_draw(struct imgen_findings *f, const char *path,
                                                double scale, struct imgen_error *err);
/* Whether imgen_findings_draw would take name and scale, before the work is done. */
IMGEN_API enum imgen_status imgen_plot_check(const char *path, double scale,
                                             struct imgen_error *err);

/* A law of labelled points in the plane on a path, for programs of your own: its points, its exact
 * fields, and how far other points lie from them. */
struct imgen_law;

/* law: as --law of imgen lab: a name, a file of a mixture, a picture; path: see imgen_list. */
IMGEN_API enum imgen_status imgen_law_open(struct imgen_law **out, const char *law,
                                           const char *path, struct imgen_error *err);
IMGEN_API void imgen_law_close(struct imgen_law *law); /* NULL is fine */
IMGEN_API int imgen_law_labels(const struct imgen_law *law);

/* The path at t in [0, 1]: alpha, beta, and their derivatives (dbeta may be infinite at an end). */
struct imgen_law_path {
    double alpha, beta, dalpha, dbeta;
};
IMGEN_API void imgen_law_path(const struct imgen_law *law, double t, struct imgen_law_path *out);

/* At x and t, under a label or -1 for none: log p_t(x), velocity, score, E[eps | x], E[z | x]. */
struct imgen_law_fields {
    double log_p, velocity[2], score[2], noise[2], data[2];
};
IMGEN_API enum imgen_status imgen_law_fields(const struct imgen_law *law, double t,
                                             const double x[2], int label,
                                             struct imgen_law_fields *out, struct imgen_error *err);

/* x [n, 2] ~ p_t(x | label), or p_t(x) with -1, and the labels [n] they have, or NULL.  Point i is
 * a function of (seed, i) alone; t = 1 is the data. */
IMGEN_API enum imgen_status imgen_law_sample(const struct imgen_law *law, double t, int label,
                                             uint64_t seed, int64_t n, double *x, int32_t *labels,
                                             struct imgen_error *err);
/* *out = the sliced Wasserstein distance between two clouds a, b [n, 2]. */
IMGEN_API enum imgen_status imgen_cloud_distance(double *out, const double *a, const double *b,
                                                 int64_t n, struct imgen_error *err);

/* A line of words on a picture with 3 channels: x, y is where the first letter stands on its
 * line, size that of an em (capitals are 0.7 of it high), in pixels; grey 0 black to 255 white. */
IMGEN_API enum imgen_status imgen_text_draw(struct imgen_image *image, double x, double y,
                                            double size, int grey, const char *text,
                                            struct imgen_error *err);
IMGEN_API double imgen_text_width(const char *text, double size);

#ifdef __cplusplus
}
#endif

#endif
