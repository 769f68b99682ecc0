/*
 * predictor.c - two models as one predictor
 *
 * Guidance extrapolates from one prediction through another, and does not care where the two come
 * from.  Usually one network gives both, with and without its label.  They may as well be two
 * networks: one that never learned a label beside one that did (Dhariwal and Nichol 2021 compare
 * them so; theory.md S16), or a network beside a weaker version of itself that is asked for the
 * same label (Karras et al. 2024, "Guiding a diffusion model with a bad version of itself"), where
 * the difference is what training has still improved.
 *
 * Two networks need not predict the same.  The guide's prediction is brought to the model's by the
 * table of theory.md 2.4, once, here: whatever stands after sees one predictor of one prediction.
 * That table has singular ends, where a noise predictor tells nothing of the velocity.  There the
 * model stands in for its guide.  To start the solver later instead would change pictures that are
 * not guided at all.
 */
#include "diffusion/predictor.h"

int branch_count(unsigned branches)
{
    return !!(branches & BRANCH_UNGUIDED) + !!(branches & BRANCH_GUIDED) +
           !!(branches & BRANCH_PERTURBED);
}

/* Of the pair's unguided branch. */
static enum status ask_unguided(const struct predictor_pair *pair, double *out, const double *x,
                                double t, struct error *err)
{
    const struct predictor *u = &pair->unguided, *g = &pair->guided;
    struct path_coefs c;
    enum status st;

    if (pair->unguided_is == pair->guided_is)
        return u->predict(u->self, out, x, t, BRANCH_GUIDED, err);
    c = path_at(&pair->path, t);
    if (!prediction_tells(pair->guided_is, pair->unguided_is, &c))
        return g->predict(g->self, out, x, t, BRANCH_GUIDED, err);
    if ((st = u->predict(u->self, out, x, t, BRANCH_GUIDED, err)))
        return st;
    return prediction_convert(out, pair->guided_is, out, pair->unguided_is, x, &c,
                              u->rows * u->length, err);
}

static enum status pair_predict(void *self, double *out, const double *x, double t,
                                unsigned branches, struct error *err)
{
    const struct predictor_pair *pair = self;
    const struct predictor *g = &pair->guided;
    unsigned of_guided = branches & (BRANCH_GUIDED | BRANCH_PERTURBED);
    enum status st = OK;

    if (branches & BRANCH_UNGUIDED) {
        st = ask_unguided(pair, out, x, t, err);
        out += g->rows * g->length;
    }
    return st || !of_guided ? st : g->predict(g->self, out, x, t, of_guided, err);
}

struct predictor predictor_of_pair(struct predictor_pair *pair)
{
    MUST(pair->unguided.rows == pair->guided.rows && pair->unguided.length == pair->guided.length,
         "two predictors of different sizes");
    return (struct predictor){pair_predict, pair, pair->guided.rows, pair->guided.length};
}
