/*
 * imgen/model.h - a trained model: opened, looked into, asked for labels
 */
#ifndef IMGEN_MODEL_H
#define IMGEN_MODEL_H

#include "imgen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* From now on imgen_model_resize and imgen_model_set_frames take the present size and every larger
 * one, and requests of a larger one are made of overlapping tiles of the present size, blended in
 * every step (MultiDiffusion); neighbours share this part of a side, and of a tile's frames, 0 to
 * 0.9; 0.5 is usual.  Such requests take no classifier and no guide.  E_ARG for another part, and
 * for a model that makes no pictures. */
IMGEN_API enum imgen_status imgen_model_tile(struct imgen_model *model, double overlap,
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
    int first_frame; /* 1: its clips can begin with a given frame (imgen_request.init)        */
    int upscale;     /* it makes given clips so many times larger (imgen_request.init_clip); 0 */
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

#ifdef __cplusplus
}
#endif

#endif
