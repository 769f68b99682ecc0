/*
 * recipe_line.c - how a picture was made, as the line that people and other programs read
 *
 * io/parameters.c knows the form of that text; here is what its words mean.  Names of samplers and
 * schedules are those of the programs that write it where both sides have the same thing; what has
 * no counterpart keeps its own name, so that whoever asks for it is told that it is unknown, or
 * chooses another.
 *
 * Read from another program, the text says enough for a relative of the picture, not for the same
 * bits: noise is drawn on graphics cards there, models are named by parts of hashes, and a picture
 * that was begun with is not named at all.
 */
#include "api/recipe.h"

#include "io/parameters.h"
#include "sampler/start.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

struct name {
    const char *ours, *theirs;
};

static const struct name samplers[] = {
    {"euler", "Euler"},
    {"euler_ancestral", "Euler a"},
    {"heun", "Heun"},
    {"ddim", "DDIM"},
    {"dpmpp_2m", "DPM++ 2M"},
    {"dpmpp_2m_sde", "DPM++ 2M SDE"},
    {"dpmpp_3m_sde", "DPM++ 3M SDE"},
    {"unipc", "UniPC"},
    {NULL, NULL},
};

/* "Automatic" leaves it to the model. */
static const struct name schedules[] = {
    {"karras", "Karras"}, {"exponential", "Exponential"}, {"beta", "Beta"}, {"", "Automatic"},
    {NULL, NULL},
};

static const char *theirs(const struct name *names, const char *ours)
{
    for (; names->ours; names++)
        if (!strcmp(names->ours, ours))
            return names->theirs;
    return ours;
}

static bool separates(char c)
{
    return c == ' ' || c == '_' || c == '-';
}

/* The first n letters of a are b, but for capitals and what stands between words: "dpm++2m",
 * "Euler_a". */
static bool same_name(const char *a, size_t n, const char *b)
{
    const char *end = a + n;

    for (;;) {
        while (a < end && separates(*a))
            a++;
        while (separates(*b))
            b++;
        if (a == end || !*b)
            return a == end && !*b;
        if (tolower((unsigned char)*a++) != tolower((unsigned char)*b++))
            return false;
    }
}

static const char *ours(const struct name *names, const char *word, size_t n)
{
    for (; names->ours; names++)
        if (same_name(word, n, names->theirs))
            return names->ours;
    return NULL;
}

/* ---- Written ---- */

static void add_guides(struct text *t, const struct imgen_recipe *r)
{
    char scale[TEXT_REAL], hash[11];

    if (r->classifier[0]) {
        snprintf(hash, sizeof hash, "%.10s", r->classifier_hash);
        parameters_add(t, "Classifier", r->classifier);
        parameters_add(t, "Classifier hash", hash);
        parameters_add(t, "Classifier scale", text_from_real(scale, r->classifier_scale));
    }
    if (r->guide[0]) {
        snprintf(hash, sizeof hash, "%.10s", r->guide_hash);
        parameters_add(t, "Guide", r->guide);
        parameters_add(t, "Guide hash", hash);
        parameters_add(t, "Guide label", r->guide_label);
    }
}

/* "NAME: WEIGHT, NAME: WEIGHT", and the beginnings of their hashes as others put them. */
static void add_loras(struct text *t, const struct imgen_recipe *r)
{
    char weights[1024], hashes[1024], weight[TEXT_REAL];
    struct text w, h;

    if (!r->n_loras)
        return;
    text_init(&w, weights, sizeof weights);
    text_init(&h, hashes, sizeof hashes);
    for (int i = 0; i < r->n_loras; i++) {
        const struct imgen_recipe_lora *l = &r->lora[i];

        text_add(&w, "%s%s: %s", i ? ", " : "", l->file, text_from_real(weight, l->weight));
        text_add(&h, "%s%s: %.12s", i ? ", " : "", l->file, l->hash);
    }
    parameters_add(t, "Lora weights", weights);
    parameters_add(t, "Lora hashes", hashes);
}

/* Others tell of a mask only how far it was blurred. */
static void add_init(struct text *t, const struct imgen_recipe *r)
{
    char strength[TEXT_REAL], hash[11];

    if (!r->init_hash[0])
        return;
    snprintf(hash, sizeof hash, "%.10s", r->init_hash);
    parameters_add(t, "Denoising strength", text_from_real(strength, r->strength));
    parameters_add(t, "Init image hash", hash);
    if (r->mask_hash[0])
        parameters_add(t, "Mask blur", "0");
}

/* Skip-layer guidance as stable-diffusion.cpp writes it; what a request does not say is as usual.
 */
static const struct skip_key {
    const char *ours, *theirs, *usual;
} skip_keys[] = {
    {"guidance.skip=", "SLG scale", "0"},
    {"guidance.skip_layers=", "Skip layers", "7,8,9"},
    {"guidance.skip_start=", "Skip layer start", "0.01"},
    {"guidance.skip_stop=", "Skip layer end", "0.2"},
};
enum { SKIP_KEYS = sizeof skip_keys / sizeof *skip_keys, SKIP_SCALE = 0, SKIP_LAYERS = 1 };

static const char *number_of(const struct imgen_recipe *r, const struct skip_key *k)
{
    const char *value = k->usual;

    for (int i = 0; i < r->n_numbers; i++)
        if (!strncmp(r->numbers[i], k->ours, strlen(k->ours)))
            value = r->numbers[i] + strlen(k->ours);
    return value;
}

static void add_skip(struct text *t, const struct imgen_recipe *r)
{
    double scale;

    if (!text_to_real(number_of(r, &skip_keys[SKIP_SCALE]), &scale) || !(scale > 0))
        return;
    for (int i = 0; i < SKIP_KEYS; i++) {
        const char *value = number_of(r, &skip_keys[i]);
        char list[sizeof r->numbers[0] + 2];

        if (i == SKIP_LAYERS)
            snprintf(list, sizeof list, "[%s]", value);
        parameters_add(t, skip_keys[i].theirs, i == SKIP_LAYERS ? list : value);
    }
}

void recipe_line_write(struct text *t, const struct imgen_recipe *r, int64_t width, int64_t height)
{
    char number[TEXT_REAL], size[48], hash[11];

    text_add(t, "%s\n", r->label);
    if (r->negative[0])
        text_add(t, "Negative prompt: %s\n", r->negative);
    snprintf(number, sizeof number, "%d", r->steps);
    parameters_add(t, "Steps", number);
    parameters_add(t, "Sampler", theirs(samplers, r->sampler));
    parameters_add(t, "Schedule type", theirs(schedules, r->schedule));
    parameters_add(t, "CFG scale", text_from_real(number, r->item.cfg_scale));
    snprintf(number, sizeof number, "%" PRIu64, r->item.seed);
    parameters_add(t, "Seed", number);
    snprintf(size, sizeof size, "%" PRId64 "x%" PRId64, width, height);
    parameters_add(t, "Size", size);
    snprintf(hash, sizeof hash, "%.10s", r->hash);
    parameters_add(t, "Model hash", hash);
    parameters_add(t, "Model", r->model);
    add_init(t, r);
    if (!recipe_own_rng(r))
        parameters_add(t, "RNG", "CPU");
    add_guides(t, r);
    add_skip(t, r);
    add_loras(t, r);
    parameters_add(t, "Version", "imgen " IMGEN_VERSION);
}

/* ---- Read ---- */

/* Before 2024 the schedule stood behind the sampler: "DPM++ 2M Karras". */
static enum status read_names(struct imgen_recipe *out, const struct parameters *p,
                              struct error *err)
{
    const char *sampler = parameters_find(p, "Sampler"), *found;
    const char *schedule = parameters_find(p, "Schedule type");
    const char *last = sampler ? strrchr(sampler, ' ') : NULL;
    enum status st;

    if (sampler && !schedule && last && !ours(samplers, sampler, strlen(sampler)) &&
        ours(schedules, last, strlen(last))) {
        schedule = last + 1;
        found = ours(samplers, sampler, (size_t)(last - sampler));
    } else {
        found = sampler ? ours(samplers, sampler, strlen(sampler)) : "";
    }
    if ((st = recipe_put(out->sampler, sizeof out->sampler, "Sampler", found ? found : sampler,
                         err)) ||
        !schedule)
        return st;
    found = ours(schedules, schedule, strlen(schedule));
    return recipe_put(out->schedule, sizeof out->schedule, "Schedule type",
                      found ? found : schedule, err);
}

static enum status no_number(const char *key, const char *text, struct error *err)
{
    if (!text)
        return fail(err, E_FORMAT, "the parameters of the picture say no '%s'", key);
    return fail(err, E_FORMAT, "the parameters of the picture: '%s: %.40s' is no such number", key,
                text);
}

static enum status read_size(struct imgen_recipe *out, const char *text, struct error *err)
{
    const char *cross = strchr(text, 'x');
    char width[16];
    int64_t w, h;

    if (!cross || cross - text >= (ptrdiff_t)sizeof width)
        return no_number("Size", text, err);
    snprintf(width, sizeof width, "%.*s", (int)(cross - text), text);
    if (!text_to_int(width, &w) || !text_to_int(cross + 1, &h) || w < 1 || h < 1 || w > INT32_MAX ||
        h > INT32_MAX)
        return no_number("Size", text, err);
    out->width = (int)w;
    out->height = (int)h;
    return OK;
}

static enum status read_numbers(struct imgen_recipe *out, const struct parameters *p,
                                struct error *err)
{
    const char *steps = parameters_find(p, "Steps"), *seed = parameters_find(p, "Seed");
    const char *cfg = parameters_find(p, "CFG scale"), *size = parameters_find(p, "Size");
    const char *strength = parameters_find(p, "Denoising strength");
    int64_t n;

    if (!text_to_int(steps, &n) || n < 1 || n > 1000)
        return no_number("Steps", steps, err);
    out->steps = (int)n;
    if (!seed || !text_to_seed(seed, &out->item.seed))
        return no_number("Seed", seed, err);
    if (cfg && (!text_to_real(cfg, &out->item.cfg_scale) || out->item.cfg_scale < 0))
        return no_number("CFG scale", cfg, err);
    if (strength &&
        (!text_to_real(strength, &out->strength) || out->strength < 0 || out->strength > 1))
        return no_number("Denoising strength", strength, err);
    return size ? read_size(out, size, err) : OK;
}

/* The numbers of "[7, 8, 9, ]", without the rest. */
static void copy_list(char *to, size_t room, const char *from)
{
    struct text t;

    text_init(&t, to, room);
    while (*from) {
        size_t n = strspn(from, "0123456789");

        if (n)
            text_add(&t, "%s%.*s", t.used ? "," : "", (int)n, from);
        from += n ? n : 1;
    }
}

static enum status read_skip(struct imgen_recipe *out, const struct parameters *p,
                             struct error *err)
{
    const char *scale = parameters_find(p, skip_keys[SKIP_SCALE].theirs);

    for (int i = 0; scale && i < SKIP_KEYS; i++) {
        const struct skip_key *k = &skip_keys[i];
        const char *text = parameters_find(p, k->theirs);
        char list[sizeof out->numbers[0]] = "";
        double value;

        if (!text)
            continue;
        if (i != SKIP_LAYERS && !text_to_real(text, &value))
            return no_number(k->theirs, text, err);
        if (i == SKIP_LAYERS)
            copy_list(list, sizeof list, text);
        text = i == SKIP_LAYERS ? list : text;
        if (strlen(k->ours) + strlen(text) >= sizeof out->numbers[0])
            return no_number(k->theirs, text, err);
        snprintf(out->numbers[out->n_numbers++], sizeof out->numbers[0], "%s%s", k->ours, text);
    }
    return OK;
}

enum status recipe_line_read(struct imgen_recipe *out, const char *text, size_t n,
                             struct error *err)
{
    const char *model, *rng;
    struct parameters p;
    enum status st;

    if ((st = parameters_parse(&p, text, n, err)))
        return st;
    out->foreign = 1;
    out->item.label = -1;
    out->item.cfg_scale = -1;
    model = parameters_find(&p, "Model");
    rng = parameters_find(&p, "RNG");
    if ((st = recipe_put(out->label, sizeof out->label, "prompt", p.prompt, err)) ||
        (st =
             recipe_put(out->negative, sizeof out->negative, "negative prompt", p.negative, err)) ||
        (st = recipe_put(out->model, sizeof out->model, "Model", model ? model : "", err)) ||
        (st = read_names(out, &p, err)) || (st = read_numbers(out, &p, err)) ||
        (st = read_skip(out, &p, err)))
        goto out;
    if (rng && same_name(rng, strlen(rng), "CPU"))
        st = recipe_put(out->rng, sizeof out->rng, "RNG", start_rng_at(START_TORCH_CPU)->name, err);
out:
    parameters_release(&p);
    return st;
}
