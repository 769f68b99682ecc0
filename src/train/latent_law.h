/*
 * latent_law.h - how an autoencoder's latents are spread, and what they look like
 */
#ifndef IMGEN_TRAIN_LATENT_LAW_H
#define IMGEN_TRAIN_LATENT_LAW_H

#include "data/dataset.h"
#include "graph/graph.h"
#include "model/autoencoder.h"

enum { LATENT_BINS = 64 }; /* of a histogram, over -LATENT_REACH .. LATENT_REACH deviations */
static const double LATENT_REACH = 4;

/* Over so many pictures.  Of an endless set that is asked for all, LATENT_ENDLESS. */
enum { LATENT_ENDLESS = 4096 };
struct latent_law {
    int64_t channels, colours, pictures;
    double *mean,
        *deviation;     /* [channels], of latents drawn from their posterior, if they have one */
    double *weight;     /* [channels + 1, colours]: latents_preview's, of latents of mean 0 and
                           deviation 1                                                        */
    double *density;    /* [channels, LATENT_BINS]: of those, of means and not of samples     */
    double unexplained; /* share of the small pictures' variance that the preview leaves       */
};

/* Encode pictures of d, at most `limit` (0: all), `batch` at once on g.  E_MEMORY, what pictures
 * say, E_NOT_FINITE.  Release also after a failure. */
struct latent_survey {
    const struct network *net;
    const struct dataset *set;
    struct graph *graph;
    int64_t limit, batch;
};
enum status latent_law_measure(struct latent_law *out, const struct latent_survey *s,
                               struct error *err);
void latent_law_release(struct latent_law *l);

/* Write it into the network's configuration: scale and shift, so that a generator sees latents of
 * mean 0 and deviation 1, and preview. */
enum status latent_law_apply(const struct latent_law *l, struct network *net, struct error *err);

/* Draw means, deviations and histograms into a file (figure_write's names). */
enum status latent_law_draw(const struct latent_law *l, const char *path, struct error *err);

/* All of that for a finished run: measured by the weights `values` (a flat array of the network's
 * layout), written into net, which is s->net, and drawn into FOLDER/latents.png.  The network's own
 * weights are in use again afterwards. */
enum status latent_law_settle(const struct latent_survey *s, struct network *net, float *values,
                              const char *folder, struct error *err);

#endif
