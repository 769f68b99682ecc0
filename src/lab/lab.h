/*
 * lab.h - studies: one question of the theory, put to a law in the plane
 *
 * A study is one file: the options it has, what it computes, and the figure and the numbers it
 * leaves.  The list stands in lab.c.
 */
#ifndef IMGEN_LAB_LAB_H
#define IMGEN_LAB_LAB_H

#include "base/option.h"
#include "lab/findings.h"
#include "lab/law.h"
#include "sampler/sampler.h"

/* Return false to stop: the study then fails with E_CANCELLED. */
typedef bool lab_callback(void *self, double done);

/* Where a study works. */
struct lab {
    int threads;
    lab_callback *callback; /* may be NULL */
    void *self;
    double done; /* share of the work */
    struct findings findings;
};

struct study {
    const char *name, *summary;
    const char *details; /* what its help teaches, lines broken */
    const char *paper;   /* or NULL                             */
    const struct option *rows;
    size_t bytes; /* of the struct that the rows fill, which begins with a struct study_setup */
    enum status (*run)(struct lab *lab, const void *config, struct error *err);
};

const struct study *study_at(int i); /* NULL past the last */
enum status study_find(const struct study **out, const char *name, struct error *err);

/* Run a study; its findings are released by the caller, also after a failure. */
enum status lab_run(struct lab *lab, const struct study *study, const void *config,
                    struct error *err);

/* ---- For studies ---- */

/* What every study asks for first. */
struct study_setup {
    char *law;
    int path;      /* of the table of paths */
    uint64_t seed; /* of all that is random */
};
/* Rows of the setup; `type`: the study's struct, whose first member is `setup`. */
#define STUDY_ROWS(type, law_fallback)                                                            \
    {"law",                                                                                       \
     "a law's name, a file of a mixture (.ini, .json) or a picture (.png, .jpg, .webp)",          \
     OPTION_TEXT,                                                                                 \
     offsetof(type, setup.law),                                                                   \
     .fallback = law_fallback,                                                                    \
     .value = "LAW"},                                                                             \
        {"path",                                                                                  \
         "how noise and data are mixed along time",                                               \
         OPTION_CHOICE,                                                                           \
         offsetof(type, setup.path),                                                              \
         .fallback = "condot",                                                                    \
         .choice = study_path_name},                                                              \
    {                                                                                             \
        "seed", "of all that is random", OPTION_SEED, offsetof(type, setup.seed), .fallback = "1" \
    }
const char *study_path_name(int i);
/* Samplers of the flow that keep to the times they are given. */
const struct sampler *study_sampler(int i);
const char *study_sampler_name(int i);

/* Law and path of a setup; release the law in any case. */
enum status study_open(struct law *law, struct path *path, const struct study_setup *setup,
                       struct error *err);

/* E_ARG unless there are 1 to 8 times: as many panels fit a row. */
enum status study_check_times(const struct real_list *times, struct error *err);

/* Say how far the study is; E_CANCELLED when it is to stop. */
enum status lab_reached(struct lab *lab, double done, struct error *err);
/* Whether to go on. */
bool lab_goes_on(struct lab *lab);

#endif
