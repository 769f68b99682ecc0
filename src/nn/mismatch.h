/*
 * mismatch.h - how the tensors of a file and the parameters of a network differ, in one sentence
 */
#ifndef IMGEN_NN_MISMATCH_H
#define IMGEN_NN_MISMATCH_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum mismatch_kind { MISMATCH_MISSING, MISMATCH_SHAPE, MISMATCH_UNEXPECTED, MISMATCH_KINDS };

enum { MISMATCH_GROUPS = 16, MISMATCH_NAME = 128, MISMATCH_DETAIL = 384 };

/* Names that differ in their numbers alone, as one. */
struct mismatch_group {
    char name[MISMATCH_NAME];    /* the first of them                    */
    char pattern[MISMATCH_NAME]; /* the same with '*' for its numbers    */
    char detail[MISMATCH_DETAIL];
    int64_t n;
};

/* Zero it first. */
struct mismatch {
    struct {
        struct mismatch_group group[MISMATCH_GROUPS];
        int n_groups;
        int64_t n; /* names in all, also those past the last group */
    } kind[MISMATCH_KINDS];
};

/* name: may come from a stranger's file.  detail: what follows the name, "" or " is [3], not [4]";
 * names share a group when it is the same. */
void mismatch_add(struct mismatch *m, enum mismatch_kind kind, const char *name,
                  const char *detail);

/* OK when nothing was added; else E_FORMAT with the counts and the names of each kind, those of a
 * group as "blocks.*.norm.weight (24)". */
enum status mismatch_status(const struct mismatch *m, struct error *err);

#endif
