/*
 * parity_mmdit.h - what the comparisons of published transformers of two streams share
 */
#ifndef IMGEN_PARITY_PARITY_MMDIT_H
#define IMGEN_PARITY_PARITY_MMDIT_H

#include "model_case.h"

/* A picture of `channels` channels in a part, channels last, of a size that m->net takes; and the
 * text "<before>context", "<before>y" into m->context and m->pooled.  E_FORMAT, E_ARG. */
enum status mmdit_picture(struct model_case *m, const struct parity_part *part,
                          struct parity_array *out, const char *name, int64_t channels);
enum status mmdit_text(struct model_case *m, const struct parity_part *part, const char *before);

bool mmdit_has_file(const char *path);

/* The network in w, its configuration in the metadata of `data`, which also has what goes into it
 * and "out.v", what comes out. */
enum status mmdit_output_compare(struct parity_report *r, struct parity_fixture *f,
                                 const struct weights *w, const struct parity_part *data,
                                 const struct parity_options *options, struct error *err);

/* The training steps that the folder has recorded, if it has; m's inputs and parameters are lost.
 */
enum status mmdit_train_compare(struct model_case *m, struct parity_report *r,
                                const struct parity_options *options);

#endif
