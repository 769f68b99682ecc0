/*
 * api.c - what the files behind include/imgen.h share
 *
 * The public header stands alone and the inside never includes it, so the two worlds meet in this
 * folder only: names get their prefix, texts become descriptors, and inner failures are copied out.
 */
#include "api/api.h"

#include "backend/cpu/panel.h"
#include "data/dataset.h"
#include "eval/measure.h"
#include "io/convert_rule.h"
#include "lab/law.h"
#include "sampler/start.h"

#include <omp.h>
#include <string.h>

_Static_assert((int)IMGEN_E_NOT_FINITE == (int)E_NOT_FINITE, "statuses have the same numbers");
_Static_assert(sizeof(((struct imgen_error *)0)->text) == ERROR_TEXT, "sentences have one length");

enum imgen_status api_status(struct imgen_error *err, const struct error *e, enum status st)
{
    if (err) {
        err->status = (enum imgen_status)st;
        memcpy(err->text, e->text, sizeof err->text);
        if (st == OK)
            err->text[0] = 0;
    }
    return (enum imgen_status)st;
}

int api_threads(int threads)
{
    return threads > 0 ? threads : omp_get_num_procs();
}

enum status api_experiment(struct experiment *e, const struct imgen_training *t, struct error *err)
{
    char *const *settings = (char *const *)(uintptr_t)t->settings;

    if (t->config_text)
        return experiment_read_text(e, t->config ? t->config : "configuration", t->config_text,
                                    settings, t->n_settings, err);
    return experiment_read(e, t->config, settings, t->n_settings, err);
}

const char *imgen_version(void)
{
    return IMGEN_VERSION;
}

/* --- lists --------------------------------------------------------------------------------------
 */

static int give(struct imgen_choice *out, const char *name, const char *summary, const char *paper)
{
    *out = (struct imgen_choice){name, summary, paper, NULL};
    return 1;
}

static int give_choice(struct imgen_choice *out, const struct choice *c)
{
    *out = (struct imgen_choice){c->name, c->summary, c->paper, c->claim};
    return 1;
}

/* Kinds first: what guidance.kind may be. */
static int give_guidance(struct imgen_choice *out, int i)
{
    int n = 0;

    if (i < 0)
        return 0;
    while (guidance_kind_at(n))
        n++;
    if (i < n)
        return give_choice(out, &guidance_kind_at(i)->is);
    return guidance_way_at(i - n) ? give_choice(out, guidance_way_at(i - n)) : 0;
}

int imgen_list(enum imgen_kind kind, int i, struct imgen_choice *out)
{
    switch (kind) {
    case IMGEN_SAMPLERS:
        return sampler_at(i) ? give_choice(out, &sampler_at(i)->is) : 0;
    case IMGEN_SCHEDULES:
        return grid_kind_at(i) ? give_choice(out, &grid_kind_at(i)->is) : 0;
    case IMGEN_PATHS:
        return path_kind_at(i) ? give_choice(out, &path_kind_at(i)->is) : 0;
    case IMGEN_TIMES:
        return time_kind_at(i) ? give_choice(out, &time_kind_at(i)->is) : 0;
    case IMGEN_PREDICTIONS:
        return prediction_at(i) ? give_choice(out, prediction_at(i)) : 0;
    case IMGEN_WEIGHTS:
        return weighting_kind_at(i) ? give_choice(out, &weighting_kind_at(i)->is) : 0;
    case IMGEN_PRECONDITIONS:
        return precondition_kind_at(i) ? give_choice(out, &precondition_kind_at(i)->is) : 0;
    case IMGEN_GUIDANCES:
        return give_guidance(out, i);
    case IMGEN_STRENGTHS:
        return diffusion_kind_at(i) ? give_choice(out, &diffusion_kind_at(i)->is) : 0;
    case IMGEN_NETWORKS: {
        const struct network_kind *k = network_kind_at(i);

        return k ? give(out, k->name, k->summary, k->paper) : 0;
    }
    case IMGEN_DATASETS: {
        const struct dataset_format *f = dataset_format_at(i);

        return f ? give(out, f->name, f->summary, NULL) : 0;
    }
    case IMGEN_MEASURES: {
        const struct measure *m = measure_at(i);

        return m ? give(out, m->name, m->summary, m->paper) : 0;
    }
    case IMGEN_PRECISIONS:
        return precision_name(i) ? give(out, precision_name(i), precision_summary(i),
                                        panel_engine((enum precision)i)->name)
                                 : 0;
    case IMGEN_RNGS:
        return start_rng_at(i) ? give_choice(out, start_rng_at(i)) : 0;
    case IMGEN_LAWS:
        return law_kind_at(i) ? give_choice(out, &law_kind_at(i)->is) : 0;
    case IMGEN_STORED: {
        const struct convert_type *t = convert_type_at(i);

        return t ? give(out, t->name, t->about, NULL) : 0;
    }
    }
    return 0;
}
