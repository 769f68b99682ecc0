/*
 * fuzz_parameters.c - any bytes as the text that says how a picture was made
 *
 * What was read comes back the same when it is written and read again, and a recipe made of it
 * holds nothing but texts with an end and numbers in their range.
 */
#include "api/recipe.h"
#include "io/parameters.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void write_again(struct text *t, const struct parameters *p)
{
    text_add(t, "%s\nNegative prompt: %s\n", p->prompt, p->negative);
    for (int64_t i = 0; i < p->n; i++)
        parameters_add(t, p->at[i].key, p->at[i].value);
}

static void recipe_check(const char *text, size_t n)
{
    static struct imgen_recipe r;
    struct error err = {0};

    memset(&r, 0, sizeof r);
    if (recipe_line_read(&r, text, n, &err)) {
        MUST(err.text[0], "a failure without a sentence");
        return;
    }
    MUST(strlen(r.label) < sizeof r.label && strlen(r.negative) < sizeof r.negative, "a prompt");
    MUST(strlen(r.sampler) < sizeof r.sampler && strlen(r.schedule) < sizeof r.schedule, "a name");
    MUST(r.steps >= 1 && r.steps <= 1000 && r.strength >= 0 && r.strength <= 1, "%d", r.steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct parameters p, again;
    struct error err = {0};
    struct text t;

    if (parameters_parse(&p, (const char *)bytes, n, &err)) {
        MUST(err.text[0] && !p.prompt && !p.at, "a failure without a sentence");
        return 0;
    }
    MUST(parameters_find(&p, "Steps") && strlen(p.prompt) + strlen(p.negative) < n, "no steps");
    recipe_check((const char *)bytes, n);
    text_init(&t, NULL, 0);
    write_again(&t, &p);
    if (!parameters_parse(&again, t.data, t.used, &err)) {
        MUST(again.n == p.n, "%d settings became %d", (int)p.n, (int)again.n);
        parameters_release(&again);
    } else {
        MUST(strstr(err.text, "quoted"), "%s", err.text); /* bytes that are no UTF-8 */
    }
    text_release(&t);
    parameters_release(&p);
    return 0;
}
