/*
 * solver_flags.c - the flags by which every command that makes pictures asks for them
 *
 * Where a flag is not given, what stands in the request already holds: the model's own default, or
 * what a recipe says.
 */
#include "solver_flags.h"

static const char *choice_name(enum imgen_kind kind, int i)
{
    struct imgen_choice c;

    return imgen_list(kind, i, &c) ? c.name : NULL;
}

const char *solver_flags_sampler(int i)
{
    return choice_name(IMGEN_SAMPLERS, i);
}

const char *solver_flags_schedule(int i)
{
    return choice_name(IMGEN_SCHEDULES, i);
}

const char *solver_flags_precision(int i)
{
    return choice_name(IMGEN_PRECISIONS, i);
}

const char *solver_flags_rng(int i)
{
    return choice_name(IMGEN_RNGS, i);
}

const char *solver_flags_heads(int i)
{
    static const char *const names[] = {"both", "first", "second"};

    return i >= 0 && i < 3 ? names[i] : NULL;
}

const char *solver_flags_clip(int i)
{
    static const char *const names[] = {"auto", "on", "off"};

    return i >= 0 && i < 3 ? names[i] : NULL;
}

const char *solver_flags_guide_label(int i)
{
    static const char *const names[] = {"none", "same"};

    return i >= 0 && i < 2 ? names[i] : NULL;
}

int solver_flags_check_guides(const struct command *c, const bool *given, bool classifier,
                              bool guide)
{
    if (!classifier && command_given(c, given, "classifier_scale"))
        return command_misused(
            c, "--classifier-scale: of which classifier? Name it with --classifier");
    if (!guide && command_given(c, given, "guide_label"))
        return command_misused(c, "--guide-label: of which guide? Name it with --guide");
    return EXIT_DONE;
}

int solver_flags_apply(const struct command *c, const bool *given, const struct solver_flags *f,
                       struct skip_numbers *room, struct imgen_request *r)
{
    bool times = command_given(c, given, "times"), steps = command_given(c, given, "steps");
    bool schedule = command_given(c, given, "schedule");

    if (times && (steps || schedule))
        return command_misused(c, "--times excludes --steps and --schedule");
    if (steps || schedule)
        r->times = NULL, r->n_times = 0;
    if (command_given(c, given, "sampling_method"))
        r->sampler = solver_flags_sampler(f->sampler);
    if (schedule)
        r->schedule = solver_flags_schedule(f->schedule);
    if (command_given(c, given, "precision"))
        r->precision = solver_flags_precision(f->precision);
    if (command_given(c, given, "rng"))
        r->rng = solver_flags_rng(f->rng);
    if (command_given(c, given, "heads"))
        r->heads = solver_flags_heads(f->heads);
    if (command_given(c, given, "clip"))
        r->clip = solver_flags_clip(f->clip);
    if (command_given(c, given, "shift"))
        r->shift = f->shift;
    if (command_given(c, given, "classifier_scale"))
        r->classifier_scale = f->classifier_scale;
    if (command_given(c, given, "guide_label"))
        r->guide_label = solver_flags_guide_label(f->guide.label);
    if (steps)
        r->steps = (int)f->steps;
    if (command_given(c, given, "number")) {
        r->numbers = (const char *const *)f->numbers.at;
        r->n_numbers = f->numbers.n;
    }
    if (times) {
        r->times = f->times.at;
        r->n_times = f->times.n;
    }
    return skip_flags_apply(c, given, &f->skip, room, r);
}

double solver_flags_scale(const struct imgen_model_info *model, bool guide, int label)
{
    if (guide)
        return model->cfg_scale;
    if (!model->guided)
        return 1;
    return label == model->null_label ? 0 : model->cfg_scale;
}
