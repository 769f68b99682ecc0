/*
 * adapter_parts.h - what the files of an adapter share: the layers it may change, and their names
 */
#ifndef IMGEN_MODEL_ADAPTER_PARTS_H
#define IMGEN_MODEL_ADAPTER_PARTS_H

#include "model/adapter.h"
#include "nn/low_rank.h"

enum { PLACE_RUNS = 2 };

/* A layer as a file of an adapter knows it: all of a matrix of ours, or some of its rows. */
struct place {
    struct param *of;
    char name[PARAM_NAME]; /* without prefix and ".weight"                                      */
    bool theirs;           /* a name of the folder layout                                      */
    int runs;              /* of rows of `of`: the tensor B has them in parts of equal size    */
    int64_t row[PLACE_RUNS], rows; /* run k is rows [row[k], row[k] + rows) ...                 */
    int part[PLACE_RUNS];          /* ... and lies in part[k] of the tensor                     */
};

/* Every layer that can be changed, under all its names, those of one matrix side by side; heap. */
struct places {
    struct place *at;
    int64_t n, room;
};
enum status places_list(struct places *p, const struct network *net, struct error *err);
void places_release(struct places *p);

/* One of the pairs of an adapter. */
struct adapter_module {
    struct place place;
    int64_t rank;
    struct param *down; /* of the matrix; its rows [column, column + rank) are A */
    int64_t column;
    struct param *up[PLACE_RUNS]; /* B, a run each */
};

struct adapter {
    struct params *params;
    struct adapter_module *module; /* [n_modules], those of one matrix side by side */
    int64_t n_modules;
    struct low_rank *low_rank; /* [n_low_rank], one for each matrix   */
    struct param **changed;    /* [n_low_rank], the matrix            */
    int64_t n_low_rank;
    double scale; /* alpha / rank, of one in training */
};

/* Give the modules, whose place and rank are told, their parameters, and attach them.  a: zeroed
 * but for modules and scale. */
enum status adapter_build(struct adapter *a, bool gradients, struct error *err);

#endif
