/*
 * choice.h - things chosen by name, each with a few numbers that may be changed
 *
 * Paths, time densities, solvers and time grids are tables of descriptors.  Each descriptor begins
 * with a struct choice; lists, help, configuration files, saved models and error messages read it.
 */
#ifndef IMGEN_DIFFUSION_CHOICE_H
#define IMGEN_DIFFUSION_CHOICE_H

#include "base/error.h"
#include "base/option.h"

enum { CHOICE_VALUES = 6, CHOICE_ALIASES = 6 };

struct choice {
    const char *name;
    const char *aliases[CHOICE_ALIASES]; /* as other programs call it; ends at the first NULL */
    const char *summary;          /* one line for lists                                      */
    const char *paper;            /* where it comes from, or NULL                            */
    const struct option *options; /* row i: OPTION_REAL at offset i * sizeof(double), so the
                                     config is double values[CHOICE_VALUES]; NULL: no number */
    const char *claim;            /* what the paper reports of it, for lists; or NULL        */
};

/* The i-th of a table, NULL past its end. */
typedef const struct choice *choice_at(int i);

/* *index = where `word` stands in the table, as a name or an alias; capitals do not matter, and '-'
 * is '_'.  Otherwise E_ARG, naming `what` was looked for and the nearest valid name, or all of
 * them. */
enum status choice_find(int *index, const char *what, const char *word, choice_at *at,
                        struct error *err);

/* The numbers as a group of options, for flags, configuration files and JSON; NULL rows become an
 * empty table. */
struct option_group choice_options(const struct choice *c, const char *section, double *values);

/* values[0 .. CHOICE_VALUES-1] = the defaults, zero behind the last. */
void choice_defaults(double *values, const struct choice *c);

/* Change one number.  E_ARG for an unknown name (naming the nearest) and outside the range. */
enum status choice_set(double *values, const struct choice *c, const char *name, double value,
                       struct error *err);

/* E_ARG when some number is not finite or lies outside its range. */
enum status choice_check(const double *values, const struct choice *c, struct error *err);

#endif
