/*
 * precondition.h - what a network is shown of (x, t), and what its output means
 *
 *     prediction = skip x + out F(in x, time)
 */
#ifndef IMGEN_DIFFUSION_PRECONDITION_H
#define IMGEN_DIFFUSION_PRECONDITION_H

#include "diffusion/prediction.h"

/* The four numbers at one time. */
struct reading {
    double in, skip, out;
    double time; /* what the network reads as t */
};

struct precondition_kind {
    struct choice is;
    enum prediction makes; /* what the sum is; N_PREDICTIONS: whatever F was trained to be */
    bool tells_time;       /* fills `time` too                                             */
    void (*fill)(struct reading *r, const double *values, const struct path_coefs *c);
};

/* How the time is told where the kind does not. */
enum time_input {
    TIME_SCALED, /* time_scale t                                    */
    TIME_INDEX,  /* the index of a discrete schedule: T (1 - t) - 1 */
    TIME_NOISE,  /* time_scale (1 - t): published flow models count down to the data */
    N_TIME_INPUTS,
};

struct precondition {
    const struct precondition_kind *kind; /* NULL: none                       */
    double values[CHOICE_VALUES];         /* of the kind                      */
    int time_input;                       /* enum time_input                  */
    double time_scale;                    /* of TIME_SCALED; 0 stands for one */
};

const struct precondition_kind *precondition_kind_at(int i); /* NULL past the last; 0: none */
const struct choice *time_input_at(int i);                   /* the index is the enum       */

/* E_ARG when the kind does not make what the network is said to predict, or brings a time of its
 * own beside another, or an index is asked of a path that has none. */
enum status precondition_check(const struct precondition *p, const struct path *path,
                               enum prediction predicts, struct error *err);

/* The numbers at c, all finite. */
struct reading precondition_at(const struct precondition *p, const struct path *path,
                               const struct path_coefs *c);

/* Whether in = 1, skip = 0 and out = 1 at all times. */
bool precondition_is_plain(const struct precondition *p);

#endif
