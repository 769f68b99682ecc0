/*
 * windows.h - pictures and clips larger than what a network was trained on, from its predictions in
 * overlapping windows (MultiDiffusion)
 *
 *     struct model *m;                        16 frames of 32 x 32, say
 *     windows_allow(m, 0.5, err);
 *     windows_resize(m, 32, 96, err);         as if it had been trained so
 *     model_set_frames(m, 64, err);
 */
#ifndef IMGEN_PIPELINE_WINDOWS_H
#define IMGEN_PIPELINE_WINDOWS_H

#include "diffusion/predictor.h"
#include "pipeline/frame_tiles.h"
#include "pipeline/model.h"

/* From now on the model makes pictures and clips of the size that it has now or of any larger one:
 * sizes are then those of what it makes, and its network is run on windows of the present size, of
 * which neighbours share this part of a side and of a window's frames, 0 <= overlap <= 0.9.  E_ARG
 * for another one, and for a model that makes no pictures. */
enum status windows_allow(struct model *m, double overlap, struct error *err);

/* network_resize and network_set_frames of a model that may have windows; E_ARG says from which
 * size on it takes any. */
enum status windows_resize(struct model *m, int64_t height, int64_t width, struct error *err);
enum status windows_set_frames(struct model *m, int64_t frames, struct error *err);

/* n of what the network is run on, with so many channels: windows, or where there are none, or one
 * is all, network_shape. */
struct shape windows_shape(const struct model *m, int64_t n, int64_t channels);
/* How many windows a picture or clip of the model's size has; 1: it is run in one piece. */
int64_t windows_count(const struct model *m);

/* A predictor of windows as one of the whole.  Fields are its own. */
struct windows {
    struct predictor of;         /* of a window                                  */
    struct frame_tiles along[3]; /* frames, rows, columns                        */
    int64_t channels;
    double *weight[3]; /* [along.tile], of the present window                    */
    double *in, *out;  /* a window of x, and what is predicted of it: 3 branches */
};

/* of: of windows of along[k].tile each way, rows of them at once: it stays the caller's.  E_MEMORY.
 * Release also after a failure; fine on a zeroed one. */
enum status windows_init(struct windows *w, struct predictor of, const struct frame_tiles along[3],
                         int64_t channels, struct error *err);
void windows_release(struct windows *w);
/* The plans of a model's windows. */
void windows_plan(struct frame_tiles along[3], const struct model *m);

/* With W_k(p) the weights of window k at place p, which add up to 1 (frame_tile_weights, of the
 * three directions multiplied), and x_k what of x lies under it,
 *
 *     f(x, t)(p) = sum over k of W_k(p) f_window(x_k, t)(p).
 *
 * w must stay where it is.  Bar-Tal et al. 2023, equation 5; movie-gen.md 5.1. */
struct predictor predictor_of_windows(struct windows *w);

#endif
