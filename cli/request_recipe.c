/*
 * request_recipe.c - the recipe of a picture as a request for the same
 *
 * Of a picture made here the recipe says everything.  One of another program says what that program
 * knows, and the rest stays as the model has it; what it names in words of its own goes into the
 * request as it is, so that a flag can stand in for it and otherwise the library refuses it by
 * name.
 */
#include "request_recipe.h"

#include <stdio.h>

static void take_numbers(struct request_recipe *from, struct imgen_request *r)
{
    const struct imgen_recipe *recipe = &from->recipe;
    int n = 0;

    for (; n < recipe->n_numbers; n++)
        from->numbers[n] = recipe->numbers[n];
    if (recipe->negative[0]) {
        snprintf(from->negative, sizeof from->negative, "guidance.negative=%s", recipe->negative);
        from->numbers[n++] = from->negative;
    }
    r->numbers = from->numbers;
    r->n_numbers = n;
}

void request_recipe_take(struct request_recipe *from, struct imgen_request *r)
{
    const struct imgen_recipe *recipe = &from->recipe;
    const struct {
        const char **to, *name;
    } names[] = {
        {&r->sampler, recipe->sampler}, {&r->schedule, recipe->schedule},
        {&r->heads, recipe->heads},     {&r->precision, recipe->precision},
        {&r->clip, recipe->clip},       {&r->rng, recipe->rng},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].name[0])
            *names[i].to = names[i].name;
    if (!recipe->foreign)
        r->shift = recipe->shift;
    r->steps = recipe->steps;
    r->times = recipe->n_times ? recipe->times : NULL;
    r->n_times = recipe->n_times;
    take_numbers(from, r);
    if (recipe->classifier[0])
        r->classifier_scale = recipe->classifier_scale;
    if (recipe->guide[0])
        r->guide_label = recipe->guide_label;
    if (recipe->init_hash[0] || recipe->strength > 0)
        r->strength = recipe->strength;
}

void request_recipe_note(const struct request_recipe *from, const char *path,
                         const struct request_models *m, struct progress *progress)
{
    const struct imgen_recipe *r = &from->recipe;

    if (!r->foreign)
        return;
    if (r->strength > 0 && !m->init.pixels)
        progress_note(progress,
                      "note: %s may be made of another picture (strength %g), which it does not "
                      "name: --init-img does",
                      path, r->strength);
    if (r->width && (r->width != m->info.width || r->height != m->info.height))
        progress_note(progress, "note: %s was asked for as %d x %d, and the model makes %d x %d",
                      path, r->width, r->height, m->info.width, m->info.height);
}
