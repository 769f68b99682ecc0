/*
 * cmd_lab.c - studies of the theory on points in the plane
 *
 * A study is a descriptor of the library: its options stand behind those of this command in one
 * table, and its findings have one form, so nothing here knows any single study.
 *
 *     rows:    | help output scale ... | law path seed ... (the study's, moved behind) | end |
 *     config:  | struct lab_options    | the study's struct                            |
 */
#include "cli.h"
#include "interrupt.h"
#include "json_out.h"
#include "progress.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lab_options {
    bool help;
    struct imgen_text_list outputs;
    double scale;
    int64_t threads;
    bool json, quiet;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"output", "file for the figure, .svg or .png; may be given often [STUDY.svg]",
     IMGEN_OPTION_TEXTS, offsetof(struct lab_options, outputs), .letter = 'o', .value = "FILE"},
    {"scale", "pixels a point in a PNG", IMGEN_OPTION_REAL, offsetof(struct lab_options, scale),
     "2", .lo = 0.25, .hi = 8},
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,
     offsetof(struct lab_options, threads), "0", .lo = 0, .hi = 1024, .letter = 't'},
    {"json", "print what was found as JSON", IMGEN_OPTION_BOOL, offsetof(struct lab_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct lab_options, quiet), .letter = 'q'},
    {0},
};

enum { OWN_ROWS = sizeof rows / sizeof *rows - 1, STUDIES_MAX = 64 };

/* ---- The list ---- */

static void print_studies(void)
{
    struct imgen_study s;

    printf("imgen lab STUDY [flags]; see imgen lab STUDY --help\n\n");
    for (int i = 0; imgen_study_at(i, &s); i++)
        printf("  %-12s %s\n", s.name, s.summary);
    printf("\nLaws to study: imgen list laws\n");
}

static void print_studies_json(void)
{
    struct imgen_study s;
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '[');
    for (int i = 0; imgen_study_at(i, &s); i++) {
        json_out_open(&j, NULL, '{');
        json_out_text(&j, "name", s.name);
        json_out_text(&j, "summary", s.summary);
        json_out_text(&j, "paper", s.paper);
        json_out_close(&j);
    }
    json_out_close(&j);
}

/* ---- What was found ---- */

static void print_table(const struct imgen_table *t)
{
    printf("\n%s: %s\n", t->name, t->help);
    if (t->of_names)
        printf("  %-16s", t->of_names);
    for (int k = 0; k < t->n_columns; k++)
        printf("  %14s", t->column[k]);
    printf("\n");
    for (int64_t i = 0; i < t->n_rows; i++) {
        if (t->of_names)
            printf("  %-16s", t->row_name[i]);
        for (int k = 0; k < t->n_columns; k++)
            printf("  %14.6g", t->value[i * t->n_columns + k]);
        printf("\n");
    }
}

static void print_findings(const struct imgen_findings *f)
{
    struct imgen_finding v;
    struct imgen_table t;

    for (int i = 0; imgen_findings_value(f, i, &v); i++)
        printf("%-32s %12.6g   %s\n", v.name, v.value, v.help);
    for (int i = 0; imgen_findings_table(f, i, &t); i++)
        print_table(&t);
}

static void print_table_json(struct json_out *j, const struct imgen_table *t)
{
    json_out_open(j, t->name, '[');
    for (int64_t i = 0; i < t->n_rows; i++) {
        json_out_open(j, NULL, '{');
        if (t->of_names)
            json_out_text(j, t->of_names, t->row_name[i]);
        for (int k = 0; k < t->n_columns; k++)
            json_out_real(j, t->column[k], t->value[i * t->n_columns + k]);
        json_out_close(j);
    }
    json_out_close(j);
}

static void print_findings_json(const struct imgen_findings *f,
                                const struct imgen_text_list *outputs)
{
    struct imgen_finding v;
    struct imgen_table t;
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_raw(&j, "config", imgen_findings_config(f));
    json_out_open(&j, "values", '{');
    for (int i = 0; imgen_findings_value(f, i, &v); i++)
        json_out_real(&j, v.name, v.value);
    json_out_close(&j);
    json_out_open(&j, "tables", '{');
    for (int i = 0; imgen_findings_table(f, i, &t); i++)
        print_table_json(&j, &t);
    json_out_close(&j);
    json_out_open(&j, "files", '[');
    for (int i = 0; i < outputs->n; i++)
        json_out_text(&j, NULL, outputs->at[i]);
    json_out_close(&j);
    json_out_text(&j, "version", imgen_version());
    json_out_close(&j);
}

/* ---- Running one ---- */

struct watch {
    struct progress progress;
    const char *study;
};

static int on_progress(double done, void *user)
{
    struct watch *w = user;

    if (progress_due(&w->progress, false))
        progress_say(&w->progress, "%s: %.0f %%", w->study, 100 * done);
    return !interrupt_asked();
}

static int check_outputs(const struct command *c, const struct lab_options *o)
{
    struct imgen_error err;

    for (int i = 0; i < o->outputs.n; i++)
        if (imgen_plot_check(o->outputs.at[i], o->scale, &err))
            return command_failed(c, &err);
    return EXIT_DONE;
}

static int draw(const struct command *c, struct imgen_findings *f, const struct lab_options *o)
{
    struct imgen_error err;

    for (int i = 0; i < o->outputs.n; i++)
        if (imgen_findings_draw(f, o->outputs.at[i], o->scale, &err))
            return command_failed(c, &err);
    return EXIT_DONE;
}

/* The figure goes where it was asked for, or to "<study>.svg". */
static bool name_output(struct imgen_text_list *outputs, const char *study)
{
    size_t room = strlen(study) + sizeof ".svg";

    if (outputs->n)
        return true;
    outputs->at = calloc(1, sizeof *outputs->at);
    if (!outputs->at || !(outputs->at[0] = malloc(room)))
        return false;
    snprintf(outputs->at[0], room, "%s.svg", study);
    outputs->n = 1;
    return true;
}

static int run(const struct command *c, const struct imgen_study *s, struct lab_options *o,
               const void *config)
{
    struct watch watch = {.study = s->name};
    struct imgen_findings *found = NULL;
    struct imgen_error err;
    enum imgen_status st;
    int code;

    if (!name_output(&o->outputs, s->name))
        return command_broken(c, "no memory");
    if ((code = check_outputs(c, o)))
        return code;
    interrupt_watch("\nstopping; Ctrl-C again quits at once\n");
    progress_start(&watch.progress, o->quiet);
    st = imgen_study_run(&found, s->name, config, (int)o->threads, on_progress, &watch, &err);
    progress_end(&watch.progress);
    if (st)
        return command_failed(c, &err);
    if (!(code = draw(c, found, o))) {
        if (o->json)
            print_findings_json(found, &o->outputs);
        else
            print_findings(found);
        for (int i = 0; i < o->outputs.n && !o->json; i++)
            printf("%s%s\n", i ? "" : "\n", o->outputs.at[i]);
    }
    imgen_findings_free(found);
    return code;
}

/* One table of this command's rows and the study's, whose struct stands behind ours; heap. */
static struct imgen_option *join_rows(const struct imgen_study *s, size_t behind)
{
    struct imgen_option *all;
    int n = 0;

    while (s->rows[n].name)
        n++;
    if (!(all = calloc((size_t)(OWN_ROWS + n + 1), sizeof *all)))
        return NULL;
    memcpy(all, rows, OWN_ROWS * sizeof *all);
    for (int i = 0; i < n; i++) {
        all[OWN_ROWS + i] = s->rows[i];
        all[OWN_ROWS + i].offset += behind;
    }
    return all;
}

static int run_study(const struct imgen_study *s, int argc, char **argv)
{
    size_t behind = (sizeof(struct lab_options) + 15) / 16 * 16;
    struct imgen_option *all = join_rows(s, behind);
    char *config = calloc(1, behind + s->bytes), name[64];
    struct command c = {.is = {name, "[flags]", s->summary, all}, .details = s->details};
    int n_words, code;

    snprintf(name, sizeof name, "lab %s", s->name);
    if (!all || !config)
        code = command_broken(&command_lab, "no memory");
    else if (command_read(&c, config, NULL, argc, argv, &n_words, &code))
        code = n_words ? command_misused(&c, "one study at a time, and flags; not '%s'", argv[1])
                       : run(&c, s, (struct lab_options *)config, config + behind);
    if (all && config)
        imgen_options_release(all, config);
    free(all);
    free(config);
    return code;
}

static int find_study(const char *word, struct imgen_study *out)
{
    const char *names[STUDIES_MAX], *nearest;
    int n = 0;

    for (; n < STUDIES_MAX && imgen_study_at(n, out); n++) {
        names[n] = out->name;
        if (!strcmp(word, out->name))
            return EXIT_DONE;
    }
    nearest = imgen_nearest(word, names, n);
    return command_misused(&command_lab, "there is no study '%s'%s%s%s", word,
                           nearest ? "; did you mean '" : "", nearest ? nearest : "",
                           nearest ? "'?" : "");
}

static int cmd_lab(int argc, char **argv)
{
    struct lab_options o = {0};
    struct imgen_study study;
    int n_words, code;

    if (argc > 1 && argv[1][0] != '-')
        return (code = find_study(argv[1], &study)) ? code : run_study(&study, argc - 1, argv + 1);
    if (command_read(&command_lab, &o, NULL, argc, argv, &n_words, &code)) {
        code = EXIT_DONE;
        if (n_words)
            code =
                command_misused(&command_lab, "the study comes first: imgen lab %s ...", argv[1]);
        else if (o.json)
            print_studies_json();
        else
            print_studies();
    }
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_lab = {
    .is = {"lab", "[STUDY [flags]]",
           "study the theory on points in the plane, as figures and numbers", rows},
    .details =
        "Without a study, lists them: paths, marginals, fields, ode, sde, guidance, convergence,\n"
        "train.  Each works on a law of labelled points in the plane whose exact fields are known\n"
        "(imgen list laws; a mixture in a file; the dark pixels of a picture), draws a figure for\n"
        "papers and slides, and prints what it measured.  imgen lab STUDY --help says what to see.",
    .run = cmd_lab,
};
