/*
 * part_flags.c - the flags by which the parts of a published model are named
 *
 * Parts that are not named the library looks for, about the model, under the names that are usual.
 */
#include "part_flags.h"

struct imgen_parts part_flags_parts(const struct part_flags *f, const char *autoencoder)
{
    return (struct imgen_parts){.clip_l = f->clip_l,
                                .clip_g = f->clip_g,
                                .t5xxl = f->t5xxl,
                                .autoencoder = autoencoder,
                                .merges = f->merges,
                                .spiece = f->spiece,
                                .no_t5 = f->no_t5};
}

bool parts_named(const struct imgen_parts *p)
{
    return p->clip_l || p->clip_g || p->t5xxl || p->autoencoder || p->merges || p->spiece ||
           p->no_t5;
}
