/*
 * sample_plan.h - what making pictures would take: said, shown, or refused
 */
#ifndef CLI_SAMPLE_PLAN_H
#define CLI_SAMPLE_PLAN_H

#include "cli.h"
#include "progress.h"

/* What the flags say. */
struct sample_plan_flags {
    const char *memory_limit; /* a size; "0": none; NULL: what is free                        */
    bool dry_run, json;       /* show the plan on stdout, as a table or as JSON               */
};

/* Before the work: plan it where the model is large, or a flag asks, and say so in a line.  Returns
 * an exit code, EXIT_FAILED and what would help where it needs more memory than is allowed. */
int sample_plan_check(const struct sample_plan_flags *f, const struct command *c,
                      struct progress *progress, const struct imgen_model *model,
                      const struct imgen_request *r);

#endif
