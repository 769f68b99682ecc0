/*
 * imgen/base.h - what every part stands on: errors, and what there is to choose from
 */
#ifndef IMGEN_BASE_H
#define IMGEN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define IMGEN_API __attribute__((visibility("default")))
#else
#define IMGEN_API
#endif

#define IMGEN_VERSION "0.1.0"

/* The version of the library that is running. */
IMGEN_API const char *imgen_version(void);

/* --- errors ----------------------------------------------------------------------------------- */

enum imgen_status {
    IMGEN_OK = 0,
    IMGEN_E_ARG,         /* a request or an option that is unknown or out of range    */
    IMGEN_E_FORMAT,      /* a file that is not what it claims to be                   */
    IMGEN_E_IO,          /* the system refused to open, read, write, sync or rename   */
    IMGEN_E_MEMORY,      /* memory of the size asked for is not to be had             */
    IMGEN_E_UNSUPPORTED, /* understood, and not something this build can do           */
    IMGEN_E_CANCELLED,   /* a callback asked to stop                                  */
    IMGEN_E_NOT_FINITE,  /* a loss, a gradient or a picture is no number any more     */
};

struct imgen_error {
    enum imgen_status status;
    char text[1024];
};

/* --- what there is to choose from ------------------------------------------------------------- */

enum imgen_kind {
    IMGEN_SAMPLERS,  /* solvers of the flow ODE          */
    IMGEN_SCHEDULES, /* how the solver's times are spaced */
    IMGEN_NETWORKS,
    IMGEN_PATHS, /* from noise to data                */
    IMGEN_TIMES, /* laws of the training time         */
    IMGEN_DATASETS,
    IMGEN_PRECISIONS,    /* numbers that the large linear layers are computed in */
    IMGEN_PREDICTIONS,   /* what a network may predict                           */
    IMGEN_WEIGHTS,       /* of an error in the loss, by noise level              */
    IMGEN_PRECONDITIONS, /* functions of the noise level around a network        */
    IMGEN_GUIDANCES,     /* the kinds of guidance.kind, then what guides beside  */
    IMGEN_STRENGTHS,     /* of an SDE's noise over time: sde.kind                */
    IMGEN_LAWS,          /* of points in the plane, for studies                  */
    IMGEN_MEASURES,      /* of a set of pictures                                 */
    IMGEN_RNGS,          /* that draw the noise a picture begins with            */
    IMGEN_STORED,        /* types that a model's file may be converted to        */
};

struct imgen_choice {
    const char *name, *summary;
    const char *paper; /* or NULL; of a precision: what this processor has for it */
    const char *claim; /* of a guidance: what the papers report; or NULL          */
};

/* The i-th of a kind; 0 past the last, else 1. */
IMGEN_API int imgen_list(enum imgen_kind kind, int i, struct imgen_choice *out);

#ifdef __cplusplus
}
#endif

#endif
