/*
 * imgen/sample.h - pictures from a model: a request, its progress, the call
 */
#ifndef IMGEN_SAMPLE_H
#define IMGEN_SAMPLE_H

#include "imgen/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One picture: a function of these three, the model and the request's solver alone, bit for bit;
 * not of the other pictures of the request, nor of the number of threads. */
struct imgen_item {
    int label;        /* 0 .. n_labels-1, or null_label; of the classifier's labels where the
                         model has none, and ignored where there is no classifier either; of a
                         model that reads prompts, one of the request's, or -1: of nothing */
    double cfg_scale; /* w >= 0                                                          */
    uint64_t seed;    /* of the noise it starts from                                     */
};

/* What a request is busy with; those that it has no need of are left out. */
enum imgen_phase {
    IMGEN_READING,  /* text encoders read the prompts                            */
    IMGEN_ENCODING, /* the picture or clip to make others of is encoded          */
    IMGEN_STEP,     /* the solver is inside of step `step`                       */
    IMGEN_STEPPED,  /* step `step` is done: state, and preview if asked, are there */
    IMGEN_DECODING, /* latents are decoded                                       */
};

/* What a callback sees: when a phase or a step begins, when a step is done, and ten times a second
 * besides, between two operations of a network. */
struct imgen_progress {
    enum imgen_phase phase;
    double share;         /* of the phase, of a step of that step, in [0, 1]      */
    int64_t first, count; /* the items of this batch                              */
    int64_t n;            /* items in all                                         */
    int step, steps;      /* of this batch, from 1; steps 0 when the solver chooses */
    double t, done;       /* time reached; share of all the steps, in [0, 1]       */
    int height, width, channels;
    int frames;            /* of clips: the arrays below have them behind count; 1: pictures */
    const double *state;   /* [count, height, width, channels] at t: pixels, or latents; only of
                              IMGEN_STEPPED, else NULL                                      */
    const double *preview; /* [count, preview_height, preview_width, preview_channels]: the pictures
                              as they would end from here; or NULL                         */
    int preview_height, preview_width, preview_channels, preview_frames;
};
/* Return 0 to stop: the call then fails with IMGEN_E_CANCELLED, before the next operation of a
 * network begins, a fraction of a step of a large one; the model may be used again.  It is called
 * from the thread that called imgen_sample; to stop from another one, let it look at an atomic
 * flag. */
typedef int imgen_progress_callback(const struct imgen_progress *p, void *user);

/* Texts and arrays belong to the caller. */
struct imgen_request {
    const struct imgen_item *items;
    int64_t n_items;
    const char *const *prompts; /* [n_prompts] that items ask for, of a model that reads them,
                                   UTF-8 of at most text_bytes bytes */
    int n_prompts;
    /* A picture to make others of, NULL: of nothing; brought to the model's size: its shorter side
     * scaled, its centre cut out, alpha over white.  Of a model with info.first_frame the frame
     * that clips begin with. */
    const struct imgen_image *init;
    /* Of a model with info.upscale the clip that it makes larger, or a picture above, which is a
     * clip of one frame: of exactly the size of the model's clips, over that; NULL of all others.
     */
    const struct imgen_clip *init_clip;
    /* Of that, where it is made anew: white; black is kept exactly, grey mixes both.  As large as
     * init, colours as grey, alpha over black; NULL: everywhere. */
    const struct imgen_image *mask;
    double strength; /* with init, the share of the steps that are taken, the last ones: 0 gives it
                        back, 1 leaves nothing of it, but on paths that never forget all; not
                        looked at where init or init_clip is told to the model beforehand */
    const char *init_name, *mask_name; /* for recipes, of a clip too; may be NULL */
    const char *sampler, *schedule;    /* see imgen_list                       */
    double shift;                      /* of schedule "shift"                  */
    int steps;                         /* 1 .. 1000                                */
    const char *heads;   /* of a network with two predictions: "both", "first", "second"       */
    const char *clip;    /* predicted pictures kept in range on the way: "auto", "on", "off" */
    const double *times; /* [n_times] from 0 to 1 instead of schedule and steps, or NULL */
    int n_times;
    const char *const *numbers; /* [n_numbers] of solver, schedule, guidance and SDE, such as
                                   "sampler.churn=40", "schedule.rho=5", "guidance.kind=apg",
                                   "guidance.to=0.8", "sde.scale=0.5": see imgen_numbers */
    int n_numbers;
    const char *precision; /* see imgen_list; NULL: "float32"; other bits, faster      */
    const char *rng;       /* of the noise of a seed, see imgen_list; NULL: "imgen".  What a
                              solver draws on its way is ours in any case              */
    struct imgen_model *classifier; /* of noisy pictures, to guide by; or NULL         */
    double classifier_scale;        /* 0 or more; 1: as its probabilities say          */
    struct imgen_model *guide;      /* a second model in the place of the unguided prediction: of
                                       the same size, path and labels, or without labels; or NULL */
    const char *guide_label; /* what it is asked for: "none" (or guidance.negative), or "same", a
                                weaker version of the model under the picture's own label */
    int threads;             /* 0: one per processor                    */
    int wants_preview;       /* a preview each so many steps; 0: none */
    const char *preview_autoencoder; /* a tiny autoencoder for previews of latents, or NULL: a pixel
                                        a latent, by numbers of the model's own autoencoder, or no
                                        previews where it has none */
    imgen_progress_callback *progress; /* may be NULL */
    void *user;
};

/* A number that a request may have, of a solver, a schedule or a kind of guidance; of NULL: of any.
 */
struct imgen_number {
    const char *section, *of, *name, *help, *fallback;
};
typedef void imgen_number_callback(const struct imgen_number *number, void *user);
/* All there are, in order. */
IMGEN_API void imgen_numbers(imgen_number_callback *tell, void *user);

/* The model's own defaults, no items, strength 0.75, all processors. */
IMGEN_API void imgen_request_init(struct imgen_request *r, const struct imgen_model *model);

/* pixels: [n_items, height, width, channels], of clips [n_items, frames, height, width, channels],
 * 0 .. 255. */
IMGEN_API enum imgen_status imgen_sample(const struct imgen_model *model,
                                         const struct imgen_request *r, uint8_t *pixels,
                                         struct imgen_error *err);
/* The same unrounded: -1 black to 1 white, not clipped. */
IMGEN_API enum imgen_status imgen_sample_floats(const struct imgen_model *model,
                                                const struct imgen_request *r, float *pixels,
                                                struct imgen_error *err);

/* What a request would take.  Bytes are of the process; what lies in a mapped file counts as far as
 * it is read, although the system can take such pages back. */
struct imgen_sample_plan {
    int64_t program_bytes; /* what it has already                                              */
    int64_t weights_bytes; /* of the network                                                   */
    int64_t encoder_bytes; /* of the largest text encoder, before the first step               */
    int64_t values_bytes;  /* what the network computes with                                   */
    int64_t solver_bytes, decoder_bytes; /* of latents: what making pictures of them takes      */
    int64_t peak_bytes; /* the most at once: program, with encoder, or weights, values and solver,
                           or values and decoder                                                */
    int64_t available_bytes; /* still to be had at this moment, program not counted; 0: unknown */
    int64_t batch, batches;  /* pictures at once, at most; how often                            */
    int64_t steps;           /* of a batch; 0 when the solver chooses                           */
    double step_flops, step_seconds; /* of the largest batch; seconds by a short measurement    */
};
/* Makes no picture; callback, classifier, guide and previews do not count.  Fails as imgen_sample
 * where the request cannot be done at all. */
IMGEN_API enum imgen_status imgen_sample_measure(const struct imgen_model *model,
                                                 const struct imgen_request *r,
                                                 struct imgen_sample_plan *out,
                                                 struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
