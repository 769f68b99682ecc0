/*
 * findings.c - what a study found: numbers, tables and a figure
 *
 * A study says what it found in one form, and whoever shows it (text for people, JSON for programs,
 * checks of an assignment) need not know which study it was.  As with scenes, a lack of memory is
 * remembered rather than asked for at every number.
 */
#include "lab/findings.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void findings_release(struct findings *f)
{
    for (int64_t i = 0; i < f->n_tables; i++) {
        struct finding_table *t = f->tables[i];

        for (int64_t k = 0; t->names && k < t->n_rows; k++)
            free(t->names[k]);
        free(t->names);
        free(t->values);
        free(t);
    }
    free(f->tables);
    free(f->values);
    figure_free(f->figure);
    free(f->config);
    memset(f, 0, sizeof(*f));
}

enum status findings_check(const struct findings *f, struct error *err)
{
    return f->failed ? fail(err, E_MEMORY, "no memory for the findings") : OK;
}

void findings_value(struct findings *f, const char *name, double value, const char *help)
{
    if (mem_grow((void **)&f->values, &f->value_room, f->n_values + 1, sizeof(*f->values), NULL))
        f->failed = true;
    else
        f->values[f->n_values++] = (struct finding_value){name, help, value};
}

struct finding_table *findings_table(struct findings *f, const char *name, const char *help,
                                     const char *of_names, const char *const *columns)
{
    struct finding_table *t = NULL;

    if (mem_grow((void **)&f->tables, &f->table_room, f->n_tables + 1, sizeof(*f->tables), NULL) ||
        mem_new((void **)&t, 1, sizeof(*t), "a table", NULL))
        goto lost;
    t->name = name;
    t->help = help;
    t->of_names = of_names;
    for (; columns[t->n_columns]; t->n_columns++) {
        MUST(t->n_columns < FINDINGS_COLUMNS, "a table of more than %d columns", FINDINGS_COLUMNS);
        t->column[t->n_columns] = columns[t->n_columns];
    }
    f->tables[f->n_tables++] = t;
    return t;
lost:
    f->failed = true;
    return NULL;
}

void findings_row(struct findings *f, struct finding_table *t, const char *name,
                  const double *values)
{
    size_t width;

    if (!t || f->failed)
        return;
    width = (size_t)t->n_columns;
    if (mem_grow((void **)&t->values, &t->value_room, (t->n_rows + 1) * t->n_columns,
                 sizeof(*t->values), NULL) ||
        (t->of_names &&
         (mem_grow((void **)&t->names, &t->name_room, t->n_rows + 1, sizeof(*t->names), NULL) ||
          mem_text(&t->names[t->n_rows], name, NULL)))) {
        f->failed = true;
        return;
    }
    memcpy(t->values + (size_t)t->n_rows * width, values, width * sizeof(*values));
    t->n_rows++;
}
