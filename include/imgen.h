/*
 * imgen.h - image generators by flow matching: train, sample, look inside
 *
 *     struct imgen_model *model = NULL;
 *     struct imgen_request request;
 *     struct imgen_error err;
 *
 *     if (imgen_model_open(&model, "model.safetensors", &err))
 *         return complain(err.text);
 *     imgen_request_init(&request, model);
 *     imgen_model_find_label(model, "red star", &item.label, &err);
 *     ...
 *     imgen_sample(model, &request, pixels, &err);
 *
 * Time runs from t = 0 (noise) to t = 1 (data).  The guidance scale is w: 0 unguided, 1 as trained,
 * above 1 strengthened.  Arrays are dense, outermost dimension first, channels last.
 *
 * Threads are OpenMP's.  On a machine that also does other work set GOMP_SPINCOUNT=2000 in the
 * environment before the program starts (the imgen program does): otherwise libgomp's wait for each
 * other by spinning.
 *
 * There are no globals: any number of models and calls may live side by side in any number of
 * threads; one model may serve several calls of imgen_sample at once.  The library never prints and
 * never exits. What the outside world can cause is returned as a status, with one sentence in a
 * struct imgen_error that names the thing and the numbers; err may be NULL.  Breaking a promise
 * made here (a wrong shape, a NULL where none is allowed) aborts with a message.
 */
#ifndef IMGEN_H
#define IMGEN_H

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

/* ---- Errors ------------------------------------------------------------------------------------
 */

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

/* ---- What there is to choose from ---------------------------------------------------------------
 */

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

/* ---- Models -------------------------------------------------------------------------------------
 */

struct imgen_model;

/* Open a model file, or a checkpoint of a run (its averaged weights).  *out is closed by the
 * caller.  The weights stay in the file and are read when they are used: it may be replaced
 * (renamed over, removed) meanwhile, but not written to; cut short, it ends the program with
 * SIGBUS. */
IMGEN_API enum imgen_status imgen_model_open(struct imgen_model **out, const char *path,
                                             struct imgen_error *err);
IMGEN_API void imgen_model_close(struct imgen_model *model); /* NULL is fine */

/* Open Stable Diffusion 3 or 3.5 as published: a folder with model_index.json, or a single file,
 * safetensors or GGUF.  Parts that it lacks are looked for beside it under their usual names
 * (clip_l.safetensors, t5xxl_fp16.safetensors, ...); NULL: so.  Encoders that are found nowhere are
 * done without, as long as one is there.  imgen_model_open opens such models too, with no part
 * named.  Its pictures are as large as imgen_model_info says, until imgen_model_resize.  Of a model
 * trained here with such encoders, the parts are other places for those that its file names. */
struct imgen_parts {
    const char *clip_l, *clip_g, *t5xxl, *autoencoder; /* files or folders; an encoder "": do
                                                          without it, whether it is there or not */
    const char *merges, *spiece;                       /* vocabularies: merges.txt, spiece.model */
    int no_t5; /* 1: do without T5, whether it is there or not                                  */
};
IMGEN_API enum imgen_status imgen_model_open_parts(struct imgen_model **out, const char *path,
                                                   const struct imgen_parts *parts,
                                                   struct imgen_error *err);
/* Apply an adapter (LoRA) to the network, `weight` times what it was trained for, beside those that
 * are applied already, IMGEN_LORAS at most: a file with the names of PEFT and diffusers or of
 * kohya, or one that imgen_train wrote.  What it adds is computed beside the weights, which stay as
 * they are.  E_FORMAT lists the tensors that do not fit this network; the model is then as it was.
 * Not beside other calls on this model. */
#define IMGEN_LORAS 8
IMGEN_API enum imgen_status imgen_model_add_lora(struct imgen_model *model, const char *path,
                                                 double weight, struct imgen_error *err);
/* Pictures of this size from now on.  E_ARG where the network makes none of it, saying which it
 * makes.  Not beside other calls on this model. */
IMGEN_API enum imgen_status imgen_model_resize(struct imgen_model *model, int width, int height,
                                               struct imgen_error *err);

/* Clips of so many frames from now on, 1: pictures.  E_ARG where the network makes none of that
 * length, saying which it makes.  Not beside other calls on this model. */
IMGEN_API enum imgen_status imgen_model_set_frames(struct imgen_model *model, int frames,
                                                   struct imgen_error *err);

/* Of a model that works on latents: use this autoencoder, a file or folder of the very content that
 * the model names; NULL: look for it again.  Opening looks for it under the name that the model
 * knows, as seen from the model's folder, and among the files in that folder; where it finds none,
 * asking for pictures fails, and says where it looked.  Not beside other calls on this model.
 * E_FORMAT: another autoencoder, or none; E_IO: there is none; E_ARG: the model makes pixels. */
IMGEN_API enum imgen_status imgen_model_use_autoencoder(struct imgen_model *model, const char *path,
                                                        struct imgen_error *err);

/* Texts belong to the model. */
struct imgen_model_info {
    int height, width, channels; /* of its pictures; of latents whose autoencoder is missing: 0 */
    int frames; /* of the clips that it makes, 1: pictures; missing likewise: 0               */
    int videos; /* 1: it makes clips of other lengths too (imgen_model_set_frames)            */
    int latent_height, latent_width, latent_channels; /* what its network works on; 0: on pixels */
    const char *autoencoder;      /* of latents: where it was found, else its name; or NULL       */
    const char *autoencoder_hash; /* of latents, else NULL: SHA-256                              */
    int previews; /* 1: pictures can be previewed without another autoencoder                     */
    int n_labels; /* labels a request can name; 0: unconditional             */
    int text_bytes;  /* of a prompt that it reads, at most; 0: it reads none    */
    int guided;      /* 1: has a null label, so that any guidance scale works    */
    int classifies;  /* 1: tells labels from pictures, and makes none            */
    int clean;       /* 1: from pictures without noise: for measures, not to guide by */
    int null_label;  /* the number that means "no request", or -1                */
    int64_t weights; /* trained numbers                                         */
    int64_t step;    /* training steps behind it                                */
    const char *network, *path, *prediction, *about;
    const char *second; /* what it predicts besides, or "none"                  */
    const char *heads;  /* which of the two predictions requests use, see there */
    const char *clip;
    const char *sampler, *schedule; /* defaults of a request */
    double shift, cfg_scale;
    int steps;
    /* Layers of self-attention, counted from the input, of which guidance.perturbed takes
     * n_middle from `middle` on unless guidance.layers says otherwise; 0: there are none. */
    int n_attention, middle, n_middle;
    int n_skippable; /* blocks that guidance.skip_layers can name, counted likewise; 0: none */
    /* Of an autoencoder: the side of a picture over that of its latent, 0 of all others; channels
     * of the latent z; a generator sees (z - shift) scale, one number for all channels or one each;
     * and the weights of each such channel in each picture channel, with offsets last, that show it
     * without a decoder (none: their number is 0).  The numbers are the model's. */
    int factor, code_channels;
    int n_latent_scale, n_latent_shift, n_latent_preview;
    const double *latent_scale, *latent_shift, *latent_preview;
};
IMGEN_API void imgen_model_info(const struct imgen_model *model, struct imgen_model_info *out);

/* Part i of a model in several files, beside its network, with the roles of struct
 * imgen_recipe_part; path NULL: there is none.  A text encoder may be done without as long as there
 * is one; zeros stand for it.  A vocabulary that an encoder needs may not.  Texts belong to the
 * model.  0 past the last. */
struct imgen_model_part {
    const char *role, *path;
};
IMGEN_API int imgen_model_part(const struct imgen_model *model, int i,
                               struct imgen_model_part *out);

/* The name of label i, or NULL when labels have no names. */
IMGEN_API const char *imgen_model_label(const struct imgen_model *model, int i);
/* The number of a label by its name or number; "" and "none" are the null label. E_ARG names the
 * nearest. */
IMGEN_API enum imgen_status imgen_model_find_label(const struct imgen_model *model,
                                                   const char *word, int *out,
                                                   struct imgen_error *err);

/* Room for a caption with its end; longer ones are cut. */
#define IMGEN_CAPTION 1024

/* ---- Sampling -----------------------------------------------------------------------------------
 */

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
    IMGEN_ENCODING, /* the picture to make others of is encoded                  */
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
     * scaled, its centre cut out, alpha over white. */
    const struct imgen_image *init;
    /* Of that, where it is made anew: white; black is kept exactly, grey mixes both.  As large as
     * init, colours as grey, alpha over black; NULL: everywhere. */
    const struct imgen_image *mask;
    double strength; /* with init, the share of the steps that are taken, the last ones: 0 gives it
                        back, 1 leaves nothing of it, but on paths that never forget all */
    const char *init_name, *mask_name; /* for recipes; may be NULL             */
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

/* ---- Pictures and their recipes
 * ------------------------------------------------------------------ */

/* pixels [height, width, channels], rows from the top; 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. */
struct imgen_image {
    int64_t height, width, channels;
    uint8_t *pixels;
};
/* PNG, JPEG or WebP, by content.  Give it back with imgen_image_release. */
IMGEN_API enum imgen_status imgen_image_read(struct imgen_image *out, const char *path,
                                             struct imgen_error *err);
/* Format by the name's ending; written whole or not at all. */
IMGEN_API enum imgen_status imgen_image_write(const char *path, const struct imgen_image *image,
                                              struct imgen_error *err);
IMGEN_API void imgen_image_release(struct imgen_image *image);

/* x [rows columns, height, width, channels] in -1 .. 1 as one picture: `gap` pixels of grey level
 * `ground` around each, every pixel drawn zoom x zoom times. */
struct imgen_sheet {
    int64_t rows, columns, height, width, channels, gap, zoom;
    int ground;
};
IMGEN_API enum imgen_status imgen_sheet_draw(struct imgen_image *out, const float *x,
                                             const struct imgen_sheet *sheet,
                                             struct imgen_error *err);

/* Room for a prompt in a recipe, with its end; longer ones have none. */
#define IMGEN_PROMPT 8192

#define IMGEN_PARTS 6

/* How a picture was made: written into its PNG as text ("parameters" for people and other programs,
 * "imgen" as JSON).  Read from a picture of another program it holds what that program's
 * "parameters" say: texts are "", numbers 0 and item.cfg_scale -1 where they say nothing, and names
 * that mean nothing here stand as they are, for imgen_sample to refuse. */
struct imgen_recipe {
    int foreign;                 /* 1: of another program               */
    char model[256];             /* name of the file                    */
    char hash[65];               /* SHA-256 of the file; of a folder, of what its network is */
    char label[IMGEN_PROMPT];    /* name or number, or the prompt; "none" */
    char negative[IMGEN_PROMPT]; /* guidance.negative, which is none of the numbers below; or "" */
    struct imgen_item item;
    int width, height; /* of the picture */
    int frames;        /* of the clip; 0 and 1: a picture */
    /* The picture it was made of and its mask, "" where there are none: the names of the files, and
     * SHA-256 of their size and pixels. */
    char init[256], init_hash[65], mask[256], mask_hash[65];
    double strength;
    char sampler[48], schedule[48], precision[16], heads[16], clip[16], rng[16];
    char classifier[256], classifier_hash[65]; /* "": guided by none */
    double classifier_scale;
    /* Of a model in several files the parts beside its network: how the model's folder calls each,
     * or, where that is elsewhere, its last word; "" done without.  hash: of its size and of pieces
     * of it, not of all it holds; several parts may lie in one file, as in the model's own. */
    struct imgen_recipe_part {
        char role[16]; /* "autoencoder", "clip_l", "clip_g", "t5xxl", "merges", "spiece"; "no_t5":
                          as with imgen_parts.no_t5 */
        char file[256], hash[65];
    } part[IMGEN_PARTS];
    int n_parts;
    struct imgen_recipe_lora {
        char file[256], hash[65];
        double weight;
    } lora[IMGEN_LORAS]; /* adapters, in the order in which they were applied */
    int n_loras;
    char guide[256], guide_hash[65], guide_label[16]; /* "": one model gave both predictions */
    double shift;
    int steps;
    double times[1001]; /* when n_times > 0 */
    int n_times;
    char numbers[24][80]; /* of the request */
    int n_numbers;
};
/* The recipe of item i of a request.  The model's file is read once more, for its hash.  E_ARG: a
 * prompt or number that a recipe has no room for. */
IMGEN_API enum imgen_status imgen_recipe_make(struct imgen_recipe *out, struct imgen_model *model,
                                              const struct imgen_request *r, int64_t i,
                                              struct imgen_error *err);
/* Write one picture as PNG with its recipe. Equal pictures and recipes give equal bytes. */
IMGEN_API enum imgen_status imgen_picture_write(const char *path, const struct imgen_image *image,
                                                const struct imgen_recipe *recipe,
                                                struct imgen_error *err);
/* Write a clip by its name's ending: .webp, .png or .apng (animated, with the recipe, where it is
 * not NULL), .y4m; or, where the name has no ending of those, as a folder of pictures, 00000.png
 * and on, each with the recipe.  pixels [frames, height, width, channels]; rate: frames a second.
 */
struct imgen_clip {
    int64_t frames, height, width, channels;
    double rate;
    const uint8_t *pixels;
};
IMGEN_API enum imgen_status imgen_clip_write(const char *path, const struct imgen_clip *clip,
                                             const struct imgen_recipe *recipe,
                                             struct imgen_error *err);

/* 1: the name has such an ending. */
IMGEN_API int imgen_clip_named(const char *path);

/* E_FORMAT when the PNG holds no recipe, nor "parameters" as other programs write them. */
IMGEN_API enum imgen_status imgen_recipe_read(struct imgen_recipe *out, const char *path,
                                              struct imgen_error *err);

/* ---- Training
 * ------------------------------------------------------------------------------------ */

enum imgen_train_event_kind {
    IMGEN_TRAIN_STARTED, /* path: the checkpoint resumed from, or NULL */
    IMGEN_TRAIN_STEP,
    IMGEN_TRAIN_SAVED,     /* path: a checkpoint                         */
    IMGEN_TRAIN_SAMPLED,   /* path: a sheet of pictures                  */
    IMGEN_TRAIN_DONE,      /* path: the model                            */
    IMGEN_TRAIN_EVALUATED, /* loss: on held-out pictures; mean_loss: the same with the averaged
                              weights */
    IMGEN_TRAIN_ENCODING,  /* before all others: of `steps` pictures, latents of `step` are there */
    IMGEN_TRAIN_NOTE,      /* path: a sentence, about something that is not as asked */
    IMGEN_TRAIN_ENCODING_TEXTS, /* as ENCODING, of captions that frozen encoders are asked about */
};

struct imgen_train_event {
    enum imgen_train_event_kind kind;
    int64_t step, steps;
    double loss, mean_loss, gradient_norm, learning_rate, steps_per_s, seconds_left;
    const char *path;
    int64_t planned_bytes;   /* memory that the run was planned to take at most                 */
    int64_t peak_bytes;      /* DONE: the most that the process ever had                        */
    int recompute, segments; /* 0: nothing is computed again; 1: norms and activations; 1 + k: and
                                k of so many segments                                           */
    /* EVALUATED, of a classifier: the share of held-out pictures whose label it found by its
     * averaged weights; of those with t in each quarter, from noise to data. */
    int classifies, clean; /* clean: of pictures without noise, all at t = 1 */
    double accuracy, accuracy_quarter[4];
    /* EVALUATED, of an autoencoder: peak signal to noise of the held-out pictures, in dB. */
    int rebuilds;
    double psnr;
};
/* Return 0 to stop: the step is finished and saved, and the call fails with IMGEN_E_CANCELLED. */
typedef int imgen_train_callback(const struct imgen_train_event *e, void *user);

struct imgen_training {
    const char *config;          /* an INI file, or NULL                                       */
    const char *config_text;     /* or its text; config then names it in messages              */
    const char *const *settings; /* [n_settings] "section.key=value" over it               */
    int n_settings;
    int threads; /* 0: one per processor                                                   */
    int resume;  /* go on from the newest checkpoint of train.out                          */
    imgen_train_callback *callback; /* may be NULL */
    void *user;
};

/* Train to the end; writes under train.out: checkpoints, log.jsonl, log.csv, samples-*.png,
 * report.html and model.safetensors. */
IMGEN_API enum imgen_status imgen_train(const struct imgen_training *t, struct imgen_error *err);

/* Write FOLDER/report.html, a run on one page, anew from FOLDER/log.jsonl and its sheets of
 * pictures.  imgen_train does it at each evaluation and at the end. */
IMGEN_API enum imgen_status imgen_report(const char *folder, struct imgen_error *err);

struct imgen_train_plan {
    int64_t weights, state_bytes, step_bytes;
    double step_flops, step_seconds, total_seconds; /* seconds from three probe steps */
    int64_t steps, pictures;                        /* pictures: INT64_MAX when endless */
    /* Memory of the process: before the run, for setting up, for a while; with state and step the
     * peak. */
    int64_t program_bytes, setup_bytes, beside_bytes, peak_bytes;
    int recompute, segments; /* as in imgen_train_event */
};
/* What it would take; writes nothing. */
IMGEN_API enum imgen_status imgen_train_measure(const struct imgen_training *t,
                                                struct imgen_train_plan *out,
                                                struct imgen_error *err);

/* Every key of a configuration, for help and completion: calls back in order, 0 stops. */
struct imgen_config_key {
    const char *section, *key, *help, *fallback;
};
typedef int imgen_config_callback(const struct imgen_config_key *key, void *user);
IMGEN_API void imgen_config_keys(imgen_config_callback *callback, void *user);

/* ---- Data sets
 * ------------------------------------------------------------------------------------ */

struct imgen_data;

/* The [data] section of a configuration (as imgen_training's first four members). */
IMGEN_API enum imgen_status imgen_data_open(struct imgen_data **out, const struct imgen_training *t,
                                            struct imgen_error *err);
IMGEN_API void imgen_data_close(struct imgen_data *data);

struct imgen_data_info {
    const char *format;
    int64_t count; /* INT64_MAX: endless */
    int height, width, channels, n_labels;
    int frames; /* of each clip; 0 or 1: pictures */
};
IMGEN_API void imgen_data_info(const struct imgen_data *data, struct imgen_data_info *out);
IMGEN_API const char *imgen_data_label(const struct imgen_data *data, int i);
/* The file of picture i, within its folder, or NULL: pictures of this format have no names. */
IMGEN_API const char *imgen_data_name(const struct imgen_data *data, int64_t i);
/* pixels [height, width, channels] in -1 .. 1, of a clip [frames, height, width, channels]; label
 * -1 when there is none; caption may be NULL. */
IMGEN_API enum imgen_status imgen_data_get(const struct imgen_data *data, int64_t i, float *pixels,
                                           int *label, char caption[IMGEN_CAPTION],
                                           struct imgen_error *err);

/* The same for the pictures that are never trained on: those of data.eval_path, or, of an endless
 * set, those of another seed.  E_ARG when a finite set names none. */
IMGEN_API enum imgen_status imgen_data_open_held_out(struct imgen_data **out,
                                                     const struct imgen_training *t,
                                                     struct imgen_error *err);
/* n different pictures in 8 bits, drawn from the seed (of an endless set: the first n): pixels
 * [n, height, width, channels] (of clips [n, frames, ...]), label [n], number [n]: which they are.
 */
IMGEN_API enum imgen_status imgen_data_draw(const struct imgen_data *data, uint64_t seed, int64_t n,
                                            uint8_t *pixels, int *label, int64_t *number,
                                            struct imgen_error *err);

/* What a picture of the set "shapes" shows, or -1: the label when shape and colour are clear.
 * pixels [size, size, 3] in -1 .. 1, size 16 .. 128. */
IMGEN_API int imgen_shapes_label(const float *pixels, int size);

/* ---- Autoencoders
 * --------------------------------------------------------------------------------
 *
 * Pictures to latents and back:
 *
 *     struct imgen_codec *codec = NULL;
 *     struct imgen_coding how;
 *     struct imgen_latent latent = {0};
 *
 *     imgen_codec_open(&codec, "autoencoder.safetensors", IMGEN_BOTH, 0, &err);
 *     imgen_coding_init(&how);
 *     imgen_encode_image(&latent, codec, &picture, &how, &err);
 *     imgen_decode_latent(&again, codec, &latent, &how, &err);
 *
 * A latent has rows = ceil(height / factor) and columns = ceil(width / factor) cells; a picture
 * comes back in exactly its own size.  Latents are as the autoencoder makes them, not scaled.
 */

struct imgen_codec;

enum imgen_half { IMGEN_BOTH, IMGEN_ENCODER, IMGEN_DECODER };

/* A model file trained here; a published one of the Stable Diffusion family, alone or inside a
 * larger model's single file; a folder that holds one, or vae/ with one, with its config.json; or
 * either file of a pair NAME_encoder.safetensors, NAME_decoder.safetensors of a tiny autoencoder.
 * half: what will be asked of it.  threads 0: one per processor.  *out is closed by the caller; one
 * call at a time. */
IMGEN_API enum imgen_status imgen_codec_open(struct imgen_codec **out, const char *path,
                                             enum imgen_half half, int threads,
                                             struct imgen_error *err);
IMGEN_API void imgen_codec_close(struct imgen_codec *codec); /* NULL is fine */

/* Texts belong to the codec. */
struct imgen_codec_info {
    const char *network;
    const char *hash; /* SHA-256 of the file, of a pair that of both hashes: what latents name */
    int channels;     /* of pictures                                                           */
    int latent_channels;
    int factor;   /* pixels to a side of a cell                                            */
    int gaussian; /* 1: a latent is drawn from a posterior, or its mean                    */
    int encodes, decodes;
    int64_t weights;
};
IMGEN_API void imgen_codec_info(const struct imgen_codec *codec, struct imgen_codec_info *out);

/* Runs of the network that are done, of n: after each, and ten times a second during one.  Return 0
 * to stop: the call then fails with IMGEN_E_CANCELLED, before the next operation begins. */
typedef int imgen_coding_callback(int64_t done, int64_t n, void *user);

/* How to work.  Uncut, results are functions of the picture alone, bit for bit.  A picture that
 * does not fit into `memory` goes through a few layers at a time, in strips, which takes up to
 * twice as long and gives the same to 16 bits.  One that does not fit even so, or where `tile` asks
 * for it, is cut into tiles, and then norms and attention see a tile and not the picture.  What
 * fits is a matter of the number of threads too. */
struct imgen_coding {
    int64_t memory;  /* bytes that weights and values may take together, your arrays not
                        counted; 0: no limit                                                   */
    int64_t tile;    /* a tile's side in cells; 0: tiles only where nothing else fits          */
    int64_t overlap; /* cells that neighbours share; 0: 8, or half a tile                      */
    int sample;      /* 1: encoding draws from the posterior, where there is one ...           */
    uint64_t seed, first; /* ... picture i of a call by (seed, first + i)                       */
    imgen_coding_callback *progress; /* may be NULL */
    void *user;
};
/* The posterior's mean, and a memory limit of three quarters of what the machine has free. */
IMGEN_API void imgen_coding_init(struct imgen_coding *how);

/* What a call would do. */
struct imgen_coding_plan {
    int64_t rows, columns;            /* cells of a latent                       */
    int64_t tiles_down, tiles_across; /* 1 and 1: the picture in one piece       */
    int64_t tile_rows, tile_columns;  /* cells of a tile                         */
    int64_t overlap;                  /* cells that neighbours share at least    */
    int64_t strips;                   /* runs a picture that goes through in strips, a few
                                         layers at a time; 0: it does not         */
    int64_t batch;                    /* pictures a run of the network           */
    int64_t runs;                     /* for all pictures                        */
    int64_t bytes;                    /* at most, as `memory` counts             */
};
/* half: IMGEN_ENCODER or IMGEN_DECODER.  E_ARG; E_MEMORY, with the numbers, when the limit allows
 * no tile. */
IMGEN_API enum imgen_status imgen_codec_plan(struct imgen_coding_plan *out,
                                             struct imgen_codec *codec, enum imgen_half half,
                                             int64_t n, int64_t height, int64_t width,
                                             const struct imgen_coding *how,
                                             struct imgen_error *err);

/* pictures [n, height, width, channels] in -1 .. 1, latents [n, rows, columns, latent_channels].
 * how NULL: no limit, the mean.  Decoded numbers are not clipped to -1 .. 1. */
IMGEN_API enum imgen_status imgen_encode(struct imgen_codec *codec, float *latents,
                                         const float *pictures, int64_t n, int64_t height,
                                         int64_t width, const struct imgen_coding *how,
                                         struct imgen_error *err);
IMGEN_API enum imgen_status imgen_decode(struct imgen_codec *codec, float *pictures,
                                         const float *latents, int64_t n, int64_t height,
                                         int64_t width, const struct imgen_coding *how,
                                         struct imgen_error *err);

/* The latent of one picture, as files have it. */
struct imgen_latent {
    char autoencoder[65];  /* its hash; "": not known                                           */
    char picture[65];      /* SHA-256 of the picture's file, yours to fill in, or ""            */
    int64_t height, width; /* of the picture; 0: not known                         */
    int sampled;           /* 1: drawn from the posterior by the seed              */
    uint64_t seed;
    int64_t tile_rows, tile_columns; /* of the tiles it was made in; 0: in one piece         */
    int64_t rows, columns, channels;
    float *values; /* [rows, columns, channels]; freed by imgen_latent_release */
};
IMGEN_API void imgen_latent_release(struct imgen_latent *latent); /* zeroes it */

/* Alpha is laid over white.  A sample is drawn by the seed and the picture's pixels, `first` is not
 * looked at. */
IMGEN_API enum imgen_status imgen_encode_image(struct imgen_latent *out, struct imgen_codec *codec,
                                               const struct imgen_image *image,
                                               const struct imgen_coding *how,
                                               struct imgen_error *err);
/* In the picture's own size.  E_FORMAT when the cells are not those of such a picture; whose latent
 * it is, is not asked. */
IMGEN_API enum imgen_status imgen_decode_latent(struct imgen_image *out, struct imgen_codec *codec,
                                                const struct imgen_latent *latent,
                                                const struct imgen_coding *how,
                                                struct imgen_error *err);
/* E_FORMAT, with both hashes, when another autoencoder made it. */
IMGEN_API enum imgen_status imgen_latent_check(const struct imgen_codec *codec,
                                               const struct imgen_latent *latent,
                                               struct imgen_error *err);

/* Files of ours (doc/formats.md), checked against their checksum, and others that hold one tensor,
 * [rows, columns, channels] or [1, channels, rows, columns]; channels: the autoencoder's. */
IMGEN_API enum imgen_status imgen_latent_read(struct imgen_latent *out, const char *path,
                                              int64_t channels, struct imgen_error *err);
/* Written whole or not at all.  Whose it is, and of a picture of which size, must be set. */
IMGEN_API enum imgen_status imgen_latent_write(const char *path, const struct imgen_latent *latent,
                                               struct imgen_error *err);

/* Encode a set into a folder that training reads (data.format = latents), or go on where that was
 * left: what is there is checked and kept, nothing is encoded twice.  E_FORMAT, with both hashes,
 * when it is damaged or of other pictures or of another autoencoder.  mirrored: every picture also
 * left to right.  `how->first` is not looked at, and its callback counts latents.
 * *encoded, or NULL: how many were made now. */
IMGEN_API enum imgen_status imgen_encode_set(struct imgen_codec *codec,
                                             const struct imgen_data *pictures, const char *folder,
                                             int mirrored, const struct imgen_coding *how,
                                             int64_t *encoded, struct imgen_error *err);

/* A size as people type it, "800M" or "1.5G": 1, or 0 when it is none. */
IMGEN_API int imgen_bytes(const char *text, int64_t *out);

/* SHA-256 of a file, in small letters. */
IMGEN_API enum imgen_status imgen_file_hash(char out[65], const char *path,
                                            struct imgen_error *err);

/* ---- Laboratories
 * ------------------------------------------------------------------------------------
 *
 * Studies of the theory on laws of labelled points in the plane, whose exact fields are known:
 *
 *     struct imgen_study study;                    the i-th; its rows fill a struct of study.bytes
 *     struct imgen_findings *found = NULL;
 *
 *     imgen_study_at(0, &study);
 *     config = calloc(1, study.bytes);
 *     imgen_options_read(study.rows, config, NULL, argc, argv, &n_words, &err);
 *     imgen_study_run(&found, study.name, config, 0, NULL, NULL, &err);
 *     imgen_findings_draw(found, "paths.svg", 2, &err);
 */

struct imgen_option;

struct imgen_study {
    const char *name, *summary;
    const char *details;             /* what it shows and what to look for, lines broken */
    const char *paper;               /* or NULL                                         */
    const struct imgen_option *rows; /* its options, each with a default                */
    size_t bytes;                    /* of the struct that the rows fill                */
};
/* The i-th; 0 past the last, else 1. */
IMGEN_API int imgen_study_at(int i, struct imgen_study *out);

/* Share of the work done, in [0, 1].  Return 0 to stop: the call then fails with
 * IMGEN_E_CANCELLED. */
typedef int imgen_study_callback(double done, void *user);

struct imgen_findings;

/* Run a study; *out is freed by the caller.  A function of name and config alone, bit for bit, on
 * any number of threads (0: one per processor).  callback may be NULL. */
IMGEN_API enum imgen_status imgen_study_run(struct imgen_findings **out, const char *name,
                                            const void *config, int threads,
                                            imgen_study_callback *callback, void *user,
                                            struct imgen_error *err);
IMGEN_API void imgen_findings_free(struct imgen_findings *f); /* NULL is fine */

/* Texts and arrays belong to the findings. */
struct imgen_finding {
    const char *name, *help;
    double value;
};
struct imgen_table {
    const char *name, *help;
    const char *of_names;        /* what row_name holds, or NULL */
    const char *const *column;   /* [n_columns]                  */
    const char *const *row_name; /* [n_rows], or NULL            */
    const double *value;         /* [n_rows, n_columns]          */
    int n_columns;
    int64_t n_rows;
};
/* The i-th number or table; 0 past the last, else 1. */
IMGEN_API int imgen_findings_value(const struct imgen_findings *f, int i,
                                   struct imgen_finding *out);
IMGEN_API int imgen_findings_table(const struct imgen_findings *f, int i, struct imgen_table *out);

/* The study's name and options as one line of JSON; figures carry it too. */
IMGEN_API const char *imgen_findings_config(const struct imgen_findings *f);

/* Draw the study's figure into a file ending in .svg or .png, the latter with `scale` pixels a
 * point (0.25 .. 8).  Written whole or not at all; equal findings give equal bytes. */
IMGEN_API enum imgen_status imgen_findings_draw(struct imgen_findings *f, const char *path,
                                                double scale, struct imgen_error *err);
/* Whether imgen_findings_draw would take name and scale, before the work is done. */
IMGEN_API enum imgen_status imgen_plot_check(const char *path, double scale,
                                             struct imgen_error *err);

/* A law of labelled points in the plane on a path, for programs of your own: its points, its exact
 * fields, and how far other points lie from them. */
struct imgen_law;

/* law: as --law of imgen lab: a name, a file of a mixture, a picture; path: see imgen_list. */
IMGEN_API enum imgen_status imgen_law_open(struct imgen_law **out, const char *law,
                                           const char *path, struct imgen_error *err);
IMGEN_API void imgen_law_close(struct imgen_law *law); /* NULL is fine */
IMGEN_API int imgen_law_labels(const struct imgen_law *law);

/* The path at t in [0, 1]: alpha, beta, and their derivatives (dbeta may be infinite at an end). */
struct imgen_law_path {
    double alpha, beta, dalpha, dbeta;
};
IMGEN_API void imgen_law_path(const struct imgen_law *law, double t, struct imgen_law_path *out);

/* At x and t, under a label or -1 for none: log p_t(x), velocity, score, E[eps | x], E[z | x]. */
struct imgen_law_fields {
    double log_p, velocity[2], score[2], noise[2], data[2];
};
IMGEN_API enum imgen_status imgen_law_fields(const struct imgen_law *law, double t,
                                             const double x[2], int label,
                                             struct imgen_law_fields *out, struct imgen_error *err);

/* x [n, 2] ~ p_t(x | label), or p_t(x) with -1, and the labels [n] they have, or NULL.  Point i is
 * a function of (seed, i) alone; t = 1 is the data. */
IMGEN_API enum imgen_status imgen_law_sample(const struct imgen_law *law, double t, int label,
                                             uint64_t seed, int64_t n, double *x, int32_t *labels,
                                             struct imgen_error *err);
/* *out = the sliced Wasserstein distance between two clouds a, b [n, 2]. */
IMGEN_API enum imgen_status imgen_cloud_distance(double *out, const double *a, const double *b,
                                                 int64_t n, struct imgen_error *err);

/* A line of words on a picture with 3 channels: x, y is where the first letter stands on its
 * line, size that of an em (capitals are 0.7 of it high), in pixels; grey 0 black to 255 white. */
IMGEN_API enum imgen_status imgen_text_draw(struct imgen_image *image, double x, double y,
                                            double size, int grey, const char *text,
                                            struct imgen_error *err);
IMGEN_API double imgen_text_width(const char *text, double size);

/* ---- Files of weights
 * ------------------------------------------------------------------------------ */

struct imgen_file;

struct imgen_file_tensor {
    const char *name, *dtype;
    int rank;
    int64_t dim[8];
    uint64_t bytes;
    int64_t scales;   /* that lie beside it and that its numbers are multiplied with; 0: none */
    const char *part; /* of which part of a published model it is, by its name, or NULL        */
};
/* Any file of tensors: safetensors, GGUF, the index (.index.json) of a model in several files, or a
 * folder that holds one of these under the usual names. */
IMGEN_API enum imgen_status imgen_file_open(struct imgen_file **out, const char *path,
                                            struct imgen_error *err);
IMGEN_API void imgen_file_close(struct imgen_file *file);
/* "safetensors" or "GGUF", and of how many files. */
IMGEN_API const char *imgen_file_format(const struct imgen_file *file);
IMGEN_API int imgen_file_count(const struct imgen_file *file);
/* 0 past the last, else 1. */
IMGEN_API int imgen_file_tensor(const struct imgen_file *file, int64_t i,
                                struct imgen_file_tensor *out);
IMGEN_API int imgen_file_metadata(const struct imgen_file *file, int64_t i, const char **key,
                                  const char **value);
/* out [count] = the values of a tensor, in the order of the file, whatever its type.  E_ARG when
 * there is none of that name or it does not hold `count` numbers. */
IMGEN_API enum imgen_status imgen_file_read(const struct imgen_file *file, const char *name,
                                            float *out, int64_t count, struct imgen_error *err);
/* Every number is read: E_NOT_FINITE names the first tensor with a NaN or an infinity. */
IMGEN_API enum imgen_status imgen_file_verify(const struct imgen_file *file,
                                              struct imgen_error *err);

/* A model's file into another type or format.  Opening decides what every tensor becomes and writes
 * nothing. */
struct imgen_conversion;

/* in: what imgen_file_open takes.  type: see imgen_list (IMGEN_STORED).  format: "safetensors" or
 * "GGUF".  E_ARG for a type that is unknown or that the format does not have. */
IMGEN_API enum imgen_status imgen_conversion_open(struct imgen_conversion **out, const char *in,
                                                  const char *type, const char *format,
                                                  struct imgen_error *err);
IMGEN_API void imgen_conversion_close(struct imgen_conversion *c); /* NULL is fine */

/* What becomes of one tensor; texts belong to the conversion. */
struct imgen_conversion_row {
    const char *name, *old_name; /* name: NULL of one that the format has no place for */
    const char *from, *to;       /* types                                               */
    int rank;
    int64_t dim[8];
    uint64_t old_bytes, bytes; /* with the scales beside it */
};
/* 0 past the last, else 1. */
IMGEN_API int imgen_conversion_row(const struct imgen_conversion *c, int64_t i,
                                   struct imgen_conversion_row *out);

/* done of `total` bytes of the old file are read.  Return 0 to stop. */
typedef int imgen_conversion_progress(uint64_t done, uint64_t total, void *user);

/* Write it in some megabytes of memory; the new file takes its name when it is whole and on the
 * disk, and may take that of the old one.  E_UNSUPPORTED, E_NOT_FINITE: the type does not hold a
 * number, with its tensor. */
IMGEN_API enum imgen_status imgen_conversion_run(struct imgen_conversion *c, const char *out,
                                                 imgen_conversion_progress *progress, void *user,
                                                 struct imgen_error *err);

/* ---- Measures
 * --------------------------------------------------------------------------------------
 *
 * How far a set of pictures is from another, and whether pictures show what was asked for.  All
 * figures are functions of the arrays, the seed and the options: not of the number of threads.
 */

/* A network whose features are compared: a classifier trained here (a model whose info says so), or
 * Inception-v3 from published weights in a .safetensors file, whose Frechet distance is the field's
 * FID.  No such weights come with the library; doc/formats.md says how to have them. */
struct imgen_features;

/* What an Inception leaves to choose; NULL members, or NULL for the whole: the first named. */
struct imgen_features_how {
    const char *resize;  /* "tensorflow", "pytorch" or "clean": how a picture becomes 299 x 299 */
    const char *pooling; /* "fid" or "torchvision": which form the weights were trained for     */
};

/* Texts belong to the network. */
struct imgen_features_info {
    const char *kind, *about, *hash; /* hash: SHA-256 of the file                 */
    const char *resize;              /* what it does to a picture first, in words */
    int height, width, channels;     /* of the pictures it takes; 0: any          */
    int features;                    /* numbers it makes of one                   */
    int n_labels;                    /* classes it can guess                      */
};
IMGEN_API enum imgen_status imgen_features_open(struct imgen_features **out, const char *path,
                                                const struct imgen_features_how *how,
                                                struct imgen_error *err);
IMGEN_API void imgen_features_close(struct imgen_features *f); /* NULL is fine */
IMGEN_API void imgen_features_info(const struct imgen_features *f, struct imgen_features_info *out);

/* pixels [n, height, width, channels], 1 or 3 channels; label [n]: what was asked for, -1: nothing;
 * or NULL.  label_names [n_labels] or NULL.  All belong to the caller. */
struct imgen_pictures {
    int64_t n;
    int height, width, channels;
    const uint8_t *pixels;
    const int *label;
    int n_labels;
    const char *const *label_names;
    int frames; /* of clips, pixels [n, frames, height, width, channels]; 0 and 1: pictures */
};

/* Return 0 to stop. */
typedef int imgen_measure_progress(const char *what, int64_t done, int64_t n, void *user);

struct imgen_measuring {
    struct imgen_pictures pictures;
    struct imgen_pictures reference;       /* n 0: none                                         */
    int paired;                            /* 1: picture i of both belong together              */
    const char *statistics;                /* or a file written by `save`, or NULL              */
    const struct imgen_features *features; /* or NULL                                     */
    const struct imgen_features *judge;    /* of obedience; NULL: the same                */
    const char *measures; /* "frechet,kid", see imgen_list; NULL: all that what is given allows */
    int neighbours;       /* of precision and recall                             */
    int subsets, subset_size; /* of kid; size 0: 1000, or as many as there are  */
    int projections;          /* of sliced                                      */
    uint64_t seed;
    int threads;                      /* 0: one per processor */
    const char *save;                 /* write the reference's features here, or NULL            */
    const char *about;                /* where the reference came from, for that file, or NULL  */
    imgen_measure_progress *progress; /* may be NULL */
    void *user;
};
/* 3 neighbours, 100 subsets, 512 projections, and nothing else. */
IMGEN_API void imgen_measuring_init(struct imgen_measuring *m);

/* Of one picture: its nearest in the reference, and how far that and the second nearest are, as
 * root mean square differences of a pixel, black to white being 1. */
struct imgen_neighbour {
    int64_t first;
    double distance, second;
};

/* One figure, or, when `lacks` is not NULL, why a measure was left out. */
struct imgen_measure_row {
    const char *measure, *name, *lacks;
    double value, deviation; /* deviation: negative when there is none */
    const char *note;
};
typedef int imgen_measure_callback(const struct imgen_measure_row *row, void *user);

/* What the protocol must say besides the arguments; a statistics file brings its own. */
struct imgen_measured {
    int64_t n_reference;
    char about[512]; /* of the statistics file, else "" */
};

/* nearest: [pictures.n] or NULL: filled in when the measure of that name is taken.  E_ARG when sets
 * have other sizes, when there are too few pictures, when a measure asked for by name lacks what it
 * needs, or when the labels are not those that the judge knows; with the numbers. */
IMGEN_API enum imgen_status imgen_measure(const struct imgen_measuring *m,
                                          struct imgen_measured *out,
                                          struct imgen_neighbour *nearest,
                                          imgen_measure_callback *callback, void *callback_user,
                                          struct imgen_error *err);

/* ---- Speed
 * ------------------------------------------------------------------------------------------ */

/* What a share is a share of. */
enum imgen_limit {
    IMGEN_LIMIT_NONE,       /* there is no share                                       */
    IMGEN_LIMIT_ARITHMETIC, /* the machine's peak of multiply-adds                     */
    IMGEN_LIMIT_MEMORY,     /* the memory's bandwidth, where that is the nearer limit  */
    IMGEN_LIMIT_TIME,       /* the time of the whole step that the row is a part of    */
    IMGEN_LIMIT_RATIO,      /* the speed of another row's case: so many times as fast  */
};

/* One measurement, or, with seconds 0, the mean or the least share of those before it.  Peak and
 * bandwidth are measured again beside each run, and a share is the median of the runs' own shares.
 */
struct imgen_bench_row {
    const char *name;
    double seconds, spread; /* median; (largest - smallest) / median                  */
    double flops, bytes;    /* of one run, 0: does not apply; padding is not counted  */
    double share;
    enum imgen_limit limit; /* of what                                                */
    int64_t memory;         /* bytes of intermediate values and scratch, or 0         */
    int64_t resident;       /* of a whole run: bytes the process had behind it, or 0  */
};
typedef int imgen_bench_callback(const struct imgen_bench_row *row, void *user);

struct imgen_machine {
    int threads;
    double peak_flops; /* float32 fused multiply-adds, measured, all threads together */
    double bandwidth;  /* bytes a second from memory, measured                        */
};
/* filter: run only the cases whose name, or whose family's name, contains it; or NULL: all but
 * "sd3" and "sd3 1024", which take gigabytes and minutes.  runs: of each case, behind one that
 * warms up, 1 to 99; 0: 9, of a case that takes 4 s 5, and of one that takes 10 s 3. */
IMGEN_API enum imgen_status imgen_bench(int threads, const char *filter, int runs,
                                        struct imgen_machine *machine,
                                        imgen_bench_callback *callback, void *user,
                                        struct imgen_error *err);

/* ---- Options of a program ----
 *
 * One table of rows gives flags, range checks, help, man page and completion; the imgen program is
 * built on it, and so may yours be. */

/* What the member at `offset` is. */
enum imgen_option_type {
    IMGEN_OPTION_INT = 1, /* int64_t                                                       */
    IMGEN_OPTION_SEED,    /* uint64_t, any value: lo and hi do not apply                   */
    IMGEN_OPTION_REAL,    /* double, always finite                                         */
    IMGEN_OPTION_BOOL,    /* bool; takes no value, and --no-name denies it                 */
    IMGEN_OPTION_TEXT,    /* char *, heap or NULL; lo and hi limit its length when given   */
    IMGEN_OPTION_CHOICE,  /* int (or an enum): the number of the choice                    */
    IMGEN_OPTION_INTS,    /* struct imgen_int_list, typed "1,2,4"; the range holds for each */
    IMGEN_OPTION_REALS,   /* struct imgen_real_list                                        */
    IMGEN_OPTION_TEXTS,   /* struct imgen_text_list; each time given appends a text        */
};

struct imgen_int_list {
    int64_t *at;
    int n;
};
struct imgen_real_list {
    double *at;
    int n;
};
struct imgen_text_list {
    char **at;
    int n;
};

struct imgen_option {
    const char *name; /* "batch_count", typed --batch-count; NULL in the row that ends a table */
    const char *help;
    enum imgen_option_type type;
    size_t offset;
    const char *fallback; /* the default as a person would type it, or NULL: zero, empty, false */
    double lo, hi;        /* both included; lo == hi: no limit; one may be infinite             */
    const char *const *choices; /* ends with NULL ...                                           */
    const char *(*choice)(int); /* ... or the name of number i, NULL past the last              */
    char letter;                /* 'n' for -n, or 0                                             */
    const char *value;          /* what help calls the value: "FILE"; NULL: by the type         */
};

/* Give every member of the zeroed struct `config` its default, then read argv[1..argc-1].  Words
 * that are no flags move to argv[1..*n_words].  given: one bool a row, or NULL.  E_ARG names the
 * nearest flag, the value and the range.  Release config in any case. */
IMGEN_API enum imgen_status imgen_options_read(const struct imgen_option *rows, void *config,
                                               bool *given, int argc, char **argv, int *n_words,
                                               struct imgen_error *err);
IMGEN_API void imgen_options_release(const struct imgen_option *rows, void *config);

/* A command of a program that has several. */
struct imgen_command {
    const char *name, *usage, *summary; /* "sample", "MODEL [options]", "make pictures" */
    const struct imgen_option *rows;
};

/* *out = "help" (the flags of commands[0]), a "man" page, or the completion for "bash", "zsh" or
 * "fish"; freed with free(). */
IMGEN_API enum imgen_status imgen_options_document(char **out, const char *kind,
                                                   const char *program, const char *sentence,
                                                   const struct imgen_command *commands, int n,
                                                   struct imgen_error *err);

/* The nearest of names[0..n-1] to a mistyped word, or NULL. */
IMGEN_API const char *imgen_nearest(const char *word, const char *const *names, int n);

/* ---- Tensors: networks of your own
 * -------------------------------------------------------------------
 *
 * An op appends a node to a tape and infers its shape; imgen_backward appends the adjoints;
 * imgen_graph_run plans memory (once per distinct tape) and computes.  Nodes belong to the graph
 * and live until imgen_graph_reset.
 */

struct imgen_graph;
struct imgen_tensor;

/* threads 0: one per processor. */
IMGEN_API enum imgen_status imgen_graph_new(struct imgen_graph **out, int threads,
                                            struct imgen_error *err);
IMGEN_API void imgen_graph_free(struct imgen_graph *g);
IMGEN_API void imgen_graph_reset(struct imgen_graph *g);

/* Values of this run; the array must live until the run is over. */
IMGEN_API struct imgen_tensor *imgen_input(struct imgen_graph *g, int rank, const int64_t *dim,
                                           const float *data);
IMGEN_API struct imgen_tensor *imgen_labels(struct imgen_graph *g, int64_t n, const int32_t *data);

/* Record the adjoints of a scalar. */
IMGEN_API void imgen_backward(struct imgen_graph *g, struct imgen_tensor *loss);
/* Ask for a node's values after the run, then read them. */
IMGEN_API void imgen_keep(struct imgen_graph *g, struct imgen_tensor *t);
IMGEN_API enum imgen_status imgen_graph_run(struct imgen_graph *g, struct imgen_error *err);
IMGEN_API void imgen_read(struct imgen_graph *g, const struct imgen_tensor *t, float *out);

IMGEN_API int imgen_rank(const struct imgen_tensor *t);
IMGEN_API int64_t imgen_dim(const struct imgen_tensor *t, int axis);

/* Trained arrays. */
struct imgen_params;
enum imgen_init { IMGEN_ZERO, IMGEN_ONE, IMGEN_XAVIER, IMGEN_KAIMING, IMGEN_NORMAL_002 };

IMGEN_API enum imgen_status imgen_params_new(struct imgen_params **out, struct imgen_error *err);
IMGEN_API void imgen_params_free(struct imgen_params *p);
/* Declare before imgen_params_init; returns the parameter's number. */
IMGEN_API int imgen_param_add(struct imgen_params *p, const char *name, int rank,
                              const int64_t *dim, enum imgen_init init);
/* The same for a parameter that files keep in another order: here it is the file's tensor with its
 * dimensions in the order given, then reshaped.  A convolution's weight, [O, I, k, k] in most
 * files, is [O, k, k, I] here: order 0, 2, 3, 1.  order [file_rank] names each dimension once, and
 * both shapes hold equally many numbers. */
IMGEN_API int imgen_param_add_stored(struct imgen_params *p, const char *name, int rank,
                                     const int64_t *dim, enum imgen_init init, int file_rank,
                                     const int64_t *file_dim, const int *order);
/* Allocate (with gradients) and fill. */
IMGEN_API enum imgen_status imgen_params_init(struct imgen_params *p, uint64_t seed,
                                              struct imgen_error *err);
IMGEN_API struct imgen_tensor *imgen_param(struct imgen_graph *g, struct imgen_params *p,
                                           int number);
/* One AdamW step (beta 0.9, 0.95; no decay; norm clipped to 1) from the gradients of the last run.
 */
IMGEN_API void imgen_params_step(struct imgen_params *p, double learning_rate);
/* All parameters to and from a safetensors file.  Loading: E_FORMAT lists what is missing, of
 * another shape, or in the file and not declared. */
IMGEN_API enum imgen_status imgen_params_save(struct imgen_params *p, const char *path,
                                              struct imgen_error *err);
IMGEN_API enum imgen_status imgen_params_load(struct imgen_params *p, const char *path,
                                              struct imgen_error *err);

/* Ops.  Shapes in brackets; D is the last dimension. */
#define IMGEN_OP IMGEN_API struct imgen_tensor *
IMGEN_OP imgen_add(struct imgen_graph *g, struct imgen_tensor *a, struct imgen_tensor *b);
IMGEN_OP imgen_sub(struct imgen_graph *g, struct imgen_tensor *a, struct imgen_tensor *b);
IMGEN_OP imgen_mul(struct imgen_graph *g, struct imgen_tensor *a, struct imgen_tensor *b);
IMGEN_OP imgen_affine(struct imgen_graph *g, struct imgen_tensor *x, double a, double b);
/* x [N, ..., D] + v [D], [N, D], or [1, ..., D] for every sample. */
IMGEN_OP imgen_add_vec(struct imgen_graph *g, struct imgen_tensor *x, struct imgen_tensor *v);
IMGEN_OP imgen_reshape(struct imgen_graph *g, struct imgen_tensor *x, int rank, const int64_t *dim);
IMGEN_OP imgen_slice(struct imgen_graph *g, struct imgen_tensor *x, int64_t first, int64_t count);
IMGEN_OP imgen_concat(struct imgen_graph *g, struct imgen_tensor *a, struct imgen_tensor *b);
IMGEN_OP imgen_sum(struct imgen_graph *g, struct imgen_tensor *x);
IMGEN_OP imgen_mse(struct imgen_graph *g, struct imgen_tensor *a, struct imgen_tensor *b);
IMGEN_OP imgen_silu(struct imgen_graph *g, struct imgen_tensor *x);
IMGEN_OP imgen_gelu(struct imgen_graph *g, struct imgen_tensor *x);
IMGEN_OP imgen_softmax(struct imgen_graph *g, struct imgen_tensor *x);
/* x [..., I], weight [O, I], bias [O] or NULL -> [..., O]. */
IMGEN_OP imgen_linear(struct imgen_graph *g, struct imgen_tensor *x, struct imgen_tensor *weight,
                      struct imgen_tensor *bias);
/* x [N, H, W, I], weight [O, k, k, I], bias [O] or NULL; zero padding on each side. */
IMGEN_OP imgen_conv2d(struct imgen_graph *g, struct imgen_tensor *x, struct imgen_tensor *weight,
                      struct imgen_tensor *bias, int stride, int padding);
/* Its transpose: x [N, H, W, I], weight [I, k, k, O], bias [O] or NULL -> [N, H', W', O] with
 * H' = (H - 1) stride - 2 padding + k. */
IMGEN_OP imgen_conv2d_transposed(struct imgen_graph *g, struct imgen_tensor *x,
                                 struct imgen_tensor *weight, struct imgen_tensor *bias, int stride,
                                 int padding);
IMGEN_OP imgen_layernorm(struct imgen_graph *g, struct imgen_tensor *x, struct imgen_tensor *weight,
                         struct imgen_tensor *bias, double eps);
IMGEN_OP imgen_rmsnorm(struct imgen_graph *g, struct imgen_tensor *x, struct imgen_tensor *weight,
                       double eps);
IMGEN_OP imgen_groupnorm(struct imgen_graph *g, struct imgen_tensor *x, int groups,
                         struct imgen_tensor *weight, struct imgen_tensor *bias, double eps);
/* qkv [N, T, 3 D] as [q | k | v] -> [N, T, D]. */
IMGEN_OP imgen_attention(struct imgen_graph *g, struct imgen_tensor *qkv, int heads);
/* table [K, D], ids [N] -> [N, D]. */
IMGEN_OP imgen_embedding(struct imgen_graph *g, struct imgen_tensor *table,
                         struct imgen_tensor *ids);
/* t [N] -> [N, D]: cosines and sines of geometric frequencies. */
IMGEN_OP imgen_time_features(struct imgen_graph *g, struct imgen_tensor *t, int64_t D);
IMGEN_OP imgen_avgpool2(struct imgen_graph *g, struct imgen_tensor *x);
IMGEN_OP imgen_upsample2(struct imgen_graph *g, struct imgen_tensor *x);

/* ---- The flow itself
 * ---------------------------------------------------------------------------------- */

/* Numbers for a training step of guided flow matching on the path x_t = t z + (1 - t) eps, from the
 * seed and the number of the first sample: t uniform, eps normal, labels replaced by null_label
 * with probability drop.  z, x, target [n, length]; t [n]; label [n], changed in place, or NULL. */
IMGEN_API enum imgen_status imgen_flow_batch(const float *z, int32_t *label, int64_t n,
                                             int64_t length, uint64_t seed, uint64_t first,
                                             double drop, int32_t null_label, float *x, float *t,
                                             float *target, struct imgen_error *err);

/* A velocity: out = u(x, t) for x [rows, length].  guided 0: without the request.  Non-zero stops.
 */
typedef int imgen_velocity(double *out, const double *x, double t, int guided, void *user);
/* Integrate dx/dt = (1 - w) u(x, t | none) + w u(x, t | y) from t = 0 to 1, x [rows, length] in
 * place; w = 0 and w = 1 ask for one branch only. */
IMGEN_API enum imgen_status imgen_flow_sample(double *x, int64_t rows, int64_t length,
                                              const char *sampler, int steps, double w,
                                              imgen_velocity *velocity, void *user,
                                              struct imgen_error *err);
/* x [rows, length] = the standard normal numbers that pictures with seeds seed, seed + 1, ... start
 * from. */
IMGEN_API void imgen_flow_noise(double *x, int64_t rows, int64_t length, uint64_t seed);

/* ---- Sampling with a predictor of your own ----
 *
 * Any network, trained anywhere, on any of the library's paths, with any of its solvers: say which
 * path x_t = alpha z + beta noise it was trained on and what it predicts, and answer with its
 * predictions.  example/foreign_model.c does it with a public DDPM. */

/* out = the prediction at x and t, for x [rows, length] and t in [0, 1], 1 being the data; guided
 * 0: without the request.  Non-zero stops. */
typedef int imgen_predictor(double *out, const double *x, double t, int guided, void *user);

/* Texts and arrays belong to the caller. */
struct imgen_solving {
    int64_t rows, length;
    const char *path;       /* see imgen_list                                                */
    const char *prediction; /* what comes out: "velocity", "score", "noise", "data", "v"        */
    const char *sampler, *schedule; /* see imgen_list                                        */
    int steps;                      /* 1 .. 1000                                             */
    const double
        *times; /* [n_times] increasing in 0 .. 1, instead of schedule and steps, or NULL */
    int n_times;
    const char *const *numbers; /* [n_numbers] of the above, as in struct imgen_request, and of
                                   the path: "path.last=0.012", "sampler.zeta=1"           */
    int n_numbers;
    double w;              /* guidance scale >= 0: 0 and 1 ask for one branch only           */
    const uint64_t *seeds; /* [rows] of the noise that a solver adds, or NULL: 0, 1, 2, ...  */
    imgen_predictor *predict;
    void *user;
};

/* A velocity on the path condot, Heun's method with 50 equal steps, w = 1. */
IMGEN_API void imgen_solving_init(struct imgen_solving *s, int64_t rows, int64_t length,
                                  imgen_predictor *predict, void *user);
/* x [rows, length] in place, from the first time to the last.  At t = 0 it is noise: normal numbers
 * times the path's beta (1 on most paths).  E_ARG for what is unknown, out of range, or has no
 * value there; E_CANCELLED when the predictor stopped; E_NOT_FINITE names the step. */
IMGEN_API enum imgen_status imgen_solve(double *x, const struct imgen_solving *s,
                                        struct imgen_error *err);
/* Signal and noise at time t of the path that is named and set: x_t = alpha z + beta noise.  For
 * networks that are told the noise level, and for starting between the ends.  E_ARG. */
IMGEN_API enum imgen_status imgen_path_at(const struct imgen_solving *s, double t, double *alpha,
                                          double *beta, struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
