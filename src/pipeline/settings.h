/*
 * settings.h - the numbers behind the names of a request: of its solver, schedule, guidance and SDE
 *
 *     sampler.NUMBER, schedule.NUMBER     of the solver and the schedule that are chosen
 *     guidance.kind                       how two predictions become one
 *     guidance.from, .to                  guided where from < t <= to, as trained elsewhere
 *     guidance.rescale, .threshold        of the result; see diffusion/guidance.h
 *     guidance.negative                   a label or text to guide away from, in the place of none
 *     guidance.perturbed, .layers         scale and layers of perturbed-attention guidance
 *     guidance.skip, .skip_layers,        skip-layer guidance: its scale, the blocks left out,
 *     .skip_start, .skip_stop             and the share of the steps, from and to, that have it
 *     guidance.NUMBER                     of the kind
 *     sde.kind, .scale, .last             how strongly an SDE stirs; how it ends
 */
#ifndef IMGEN_PIPELINE_SETTINGS_H
#define IMGEN_PIPELINE_SETTINGS_H

#include "pipeline/model.h"

enum { SETTINGS_LABEL = 8192, SETTINGS_LAYERS = 64 };

struct settings {
    const struct sampler *sampler;
    double sampler_values[CHOICE_VALUES];
    struct grid grid;
    struct guidance_how guidance;
    char negative[SETTINGS_LABEL];   /* name or number of a label, or a text; "": none */
    int64_t layers[SETTINGS_LAYERS]; /* [n_layers] whose attention is perturbed; none: the middle */
    int n_layers;
    struct skip_layers {
        double scale, start, stop; /* step i of n, from 0, where start n < i < stop n; 0: not */
        int64_t block[SETTINGS_LAYERS];
        int n;
    } skip;
    struct diffusion diffusion;
};

/* The defaults of a solver and a schedule, plain guidance and the first of the SDEs.  The path must
 * outlive *s. */
void settings_init(struct settings *s, const struct sampler *sampler, const struct grid_kind *grid,
                   const struct path *path);

/* "SECTION.NAME=VALUE" n times, in any order.  more: options of the caller's that may stand among
 * them, or NULL.  E_ARG for a section, name or value that is none; *s is then undefined. */
enum status settings_assign(struct settings *s, const struct option_group *more,
                            const char *const *assignments, int n, struct error *err);

/* Every number that some request may have, in order.  of: the solver, schedule or kind that has it,
 * or NULL: every request. */
typedef void settings_row(const char *section, const char *of, const struct option *row,
                          void *user);
void settings_each(settings_row *tell, void *user);

#endif
