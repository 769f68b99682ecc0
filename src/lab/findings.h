/*
 * findings.h - what a study found: numbers, tables and a figure
 */
#ifndef IMGEN_LAB_FINDINGS_H
#define IMGEN_LAB_FINDINGS_H

#include "plot/figure.h"

enum { FINDINGS_COLUMNS = 8 };

/* Names and helps are constant texts; they are read by programs: small letters and '_'. */
struct finding_value {
    const char *name, *help;
    double value;
};

struct finding_table {
    const char *name, *help;
    const char *of_names; /* what the rows' names are, or NULL where rows have none */
    const char *column[FINDINGS_COLUMNS];
    int n_columns;
    int64_t n_rows, name_room, value_room;
    char **names;   /* [n_rows] or NULL               */
    double *values; /* [n_rows, n_columns]            */
};

/* Zeroed to begin.  A lack of memory is remembered and told by findings_check. */
struct findings {
    struct finding_value *values;
    int64_t n_values, value_room;
    struct finding_table **tables;
    int64_t n_tables, table_room;
    struct figure *figure; /* owned */
    char *config;          /* the study's name and options as JSON, heap */
    bool failed;
};

void findings_release(struct findings *f);
enum status findings_check(const struct findings *f, struct error *err);

void findings_value(struct findings *f, const char *name, double value, const char *help);
/* columns: ends with NULL.  Belongs to the findings; NULL without memory, which findings_row takes.
 */
struct finding_table *findings_table(struct findings *f, const char *name, const char *help,
                                     const char *of_names, const char *const *columns);
/* name: copied; NULL where the table's rows have none. */
void findings_row(struct findings *f, struct finding_table *t, const char *name,
                  const double *values);

#endif
