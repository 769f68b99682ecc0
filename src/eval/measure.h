/*
 * measure.h - how far a set of pictures is from another: the list of measures, and each one as a
 * pure function
 *
 * A measure is one file that ends in one descriptor; one line in measure.c lists it.
 */
#ifndef IMGEN_EVAL_MEASURE_H
#define IMGEN_EVAL_MEASURE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* --- the list ------------------------------------------------------------------------------------
 */

/* Sets of which a picture shows without a doubt what it is. */
enum picture_reader {
    READ_NOTHING,
    READ_SHAPES,    /* data/shapes.h    */
    READ_RELATIONS, /* data/relations.h */
    READ_MOVING,    /* data/moving.h    */
};

/* Pictures, and what is known of them.  Arrays belong to the caller. */
struct picture_set {
    int64_t n, height, width, channels;
    int64_t frames;             /* of clips; 0 and 1: pictures                                    */
    const uint8_t *pixels;      /* [n, height, width, channels], or NULL: only features are known;
                                   of clips [n, frames, ...]                                      */
    const int32_t *label;       /* [n] what was asked for, negative: nothing; or NULL             */
    const float *features;      /* [n, D] or NULL                                                 */
    const int32_t *guess;       /* [n] what a classifier takes them for, or NULL                  */
    enum picture_reader reader; /* whose set the labels are of                               */
};

struct measure_options {
    int64_t neighbours;           /* of precision and recall                         */
    int64_t subsets, subset_size; /* of kid; size 0: 1000, or as many as there are   */
    int64_t projections;          /* of sliced                                       */
    uint64_t seed;                /* of what is drawn                                */
    int64_t upscale;              /* of pictures that were made so many times larger; 0: no  */
    bool first_frame;             /* clips were given their first frame, the reference's     */
};

struct neighbour;

struct measure_task {
    struct picture_set pictures, reference; /* reference.n 0: there is none               */
    bool paired; /* picture i of the one belongs to picture i of the other               */
    int64_t D;   /* features of a picture, 0: none are known   */
    struct measure_options options;
    const int64_t *joint; /* [n_joints] of each of the pictures' clips, the frames, from 1 on and
                             rising, that another tile begins or ends before; or NULL        */
    int64_t n_joints;
    struct neighbour *nearest; /* [pictures.n] filled in by the measure nearest; or NULL */
};

/* One number. */
struct measure_value {
    const char *name;
    double value, deviation; /* deviation: negative when there is none */
    char note[160];          /* "" or what belongs beside it           */
};
enum { MEASURE_VALUES = 8 };
struct measure_result {
    struct measure_value at[MEASURE_VALUES];
    int n;
};

/* What a measure cannot do without. */
enum measure_needs {
    NEEDS_REFERENCE = 1,
    NEEDS_FEATURES = 2,      /* of all sets it needs  */
    NEEDS_PIXELS = 4,        /* the same              */
    NEEDS_LABELS = 8,        /* and a judge           */
    NEEDS_PAIRS = 16,        /* picture by picture    */
    NEEDS_MOTION = 32,       /* clips of at least three frames */
    NEEDS_JOINTS = 64,       /* measure_task.joint    */
    NEEDS_SMALLER = 128,     /* options.upscale     */
    NEEDS_FIRST_FRAME = 256, /* options.first_frame */
};

struct measure {
    const char *name, *summary, *paper;
    unsigned needs;
    bool of_clips; /* it can be taken of clips too */
    /* E_ARG for sets that are too small, E_NOT_FINITE, E_MEMORY. */
    enum status (*run)(struct measure_result *out, const struct measure_task *t, struct error *err);
};

const struct measure *measure_at(int i); /* NULL past the last */
enum status measure_find(const struct measure **out, const char *name, struct error *err);

/* Numbers of one picture, or of one frame of a clip; and of a whole clip.  A picture is a clip of
 * one frame. */
int64_t set_frame(const struct picture_set *p);
int64_t set_length(const struct picture_set *p);
int64_t set_frames(const struct picture_set *p);

/* What the task lacks for this measure, in words ("a reference"), or NULL. */
const char *measure_lacks(const struct measure *m, const struct measure_task *t);

/* For measures: append a value; deviation negative: none; fmt: the note, "" for none. */
void measure_add(struct measure_result *out, const char *name, double value, double deviation,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The same for the mean of value [n], n >= 1, and their standard deviation (by n - 1; none of one).
 */
void measure_add_mean(struct measure_result *out, const char *name, const double *value, int64_t n,
                      const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* --- pure functions ------------------------------------------------------------------------------
 *
 * x, y: features [n, D], one row a picture; pixels: 8 bits, one row of `length` a picture, compared
 * as numbers from -1 to 1 unless said.  Work is cut by shapes alone and sums have a fixed order:
 * results have the same bits on any number of threads (those that OpenMP is set to).  Features that
 * are not finite are E_NOT_FINITE, sets that are too small E_ARG with both numbers, and all may
 * fail with E_MEMORY.
 */

/* --- frechet.c --- */

/* A Gaussian: mean [D] and covariance [D, D], heap. */
struct gaussian {
    int64_t n, D; /* of how many rows; 0: not fitted */
    double *mean, *covariance;
};

/* Mean and unbiased covariance of n rows of D floats that lie `stride` floats apart, in double.
 * E_ARG unless n > D: fewer rows leave directions without any spread, and every distance from such
 * a Gaussian is wrong.  Release also after a failure. */
enum status gaussian_fit(struct gaussian *g, const float *x, int64_t n, int64_t D, int64_t stride,
                         struct error *err);
void gaussian_release(struct gaussian *g);

/* d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)): Dowson and Landau 1982; Heusel et al. 2017
 * (with the features of Inception: FID).  The parts are kept: shifted, or spread differently? */
struct frechet {
    double distance, mean, covariance; /* distance = mean + covariance, all squared */
};
enum status frechet_between(struct frechet *out, const struct gaussian *a, const struct gaussian *b,
                            struct error *err);
enum status frechet_distance(struct frechet *out, const float *x, int64_t nx, const float *y,
                             int64_t ny, int64_t D, struct error *err);

/* --- kid.c --- */

/* The unbiased estimate of the squared maximum mean discrepancy under the kernel (<x, y>/D + 1)^3,
 * over `subsets` pairs of subsets of `size` rows, drawn from the seed without replacement: mean and
 * standard deviation over the subsets.  2 <= size <= nx, ny.  Binkowski et al. 2018. */
struct kid {
    double mean, deviation;
};
enum status kid_distance(struct kid *out, const float *x, int64_t nx, const float *y, int64_t ny,
                         int64_t D, int64_t subsets, int64_t size, uint64_t seed,
                         struct error *err);

/* --- manifold.c --- */

/* A set's manifold is the union of balls around its rows, each reaching to the k-th nearest other
 * row.  precision: the share of x inside the manifold of y (do the pictures look real?); recall:
 * the share of y inside that of x (is everything covered?).  k < nx, ny.  Kynkaanniemi et al. 2019.
 */
struct manifold {
    double precision, recall;
};
enum status manifold_compare(struct manifold *out, const float *x, int64_t nx, const float *y,
                             int64_t ny, int64_t D, int64_t k, struct error *err);

/* --- sliced.c --- */

/* Sets of pixels: [n, length]. */
struct pixel_set {
    const uint8_t *pixels;
    int64_t n;
};

/* The root of the mean, over `projections` directions uniform on the sphere, of W_2^2 between the
 * projected sets; deviation: of that mean, from the directions alone.  Sets of different size are
 * compared by their quantiles.  Rabin et al. 2012; Bonneel et al. 2015. */
struct sliced {
    double distance, deviation;
};
enum status sliced_wasserstein(struct sliced *out, struct pixel_set a, struct pixel_set b,
                               int64_t length, int64_t projections, uint64_t seed,
                               struct error *err);

/* --- wavelet.c --- */

/* Levels of Haar wavelet packets that pictures of a size take: the most, up to 4, that halve both
 * sides evenly and leave at least 4 pixels of each; 0: none. */
int wavelet_levels(int64_t height, int64_t width);

/* The mean over the 4^levels packets of the Frechet distance between the packets' coefficients.
 * E_ARG when levels is 0, or when a packet has as many coefficients as a set has pictures.
 * Veeramacheneni et al. 2025, "Frechet wavelet distance". */
enum status wavelet_frechet(double *out, struct pixel_set a, struct pixel_set b, int64_t height,
                            int64_t width, int64_t channels, struct error *err);

/* --- nearest.c --- */

/* The two nearest pictures of b to one of a: root mean square differences of a pixel, black to
 * white being 1.  A first distance of 0 is a copy; a first far below the second is a memory. */
struct neighbour {
    int64_t first; /* number in b; the smaller of equals */
    double distance, second;
};
/* out [a.n].  Exact, in whole numbers.  b.n >= 2. */
enum status nearest_find(struct neighbour *out, struct pixel_set a, struct pixel_set b,
                         int64_t length, struct error *err);

/* --- ssim.c --- */

/* Windows are 11 x 11, and five sizes are looked at, each half the one before. */
enum { SSIM_WINDOW = 11, SSIM_SCALES = 5 };

/* How many of the five sizes of a picture have room for a window: all from 161 pixels a side on, 0
 * under 11. */
int ssim_scales(int64_t height, int64_t width);

/* Of picture i of a and picture i of b, 1 when equal.  ms_ssim: over ssim_scales(height, width) of
 * the five sizes, whose weights are divided by their sum.  out [a.n], a.n = b.n; means over the
 * channels of what one channel gives.  E_ARG below 11 pixels a side.  Wang et al. 2004 and 2003. */
struct similarity {
    double ssim, ms_ssim;
};
enum status ssim_pairs(struct similarity *out, struct pixel_set a, struct pixel_set b,
                       int64_t height, int64_t width, int64_t channels, struct error *err);

/* --- bicubic.c --- */

/* Peak signal to noise of n pictures, [n, length] of the set's size, against their originals, and
 * of the originals `times` smaller and brought back by bicubic interpolation; equal ones have the
 * ratio of half a grey level in one number.  Sides are multiples of times.  E_MEMORY. */
enum status bicubic_ratios(double *ours, double *bicubic, const uint8_t *pictures,
                           const uint8_t *originals, int64_t n, const struct picture_set *p,
                           int64_t times, struct error *err);

/* --- flicker.c --- */

/* How restless a clip [frames, length] is, black to white being 1, over all its numbers:
 *
 *     second = mean of |x[t+1] - 2 x[t] + x[t-1]|, t = 1 .. frames - 2
 *
 * Steady change of brightness has none of it, and what moves has some at its edges: so it is told
 * beside that of true clips.  movie-gen.md 8. */
double flicker_second(const uint8_t *x, int64_t frames, int64_t length);

/* How restless a clip is where the true clip y stands still, black to white being 1: the mean of
 * |x[t+1] - x[t]| over those numbers with |y[t+1] - y[t]| <= FLICKER_STILL grey levels of 255; -1
 * where there are none. */
enum { FLICKER_STILL = 2 };
double flicker_still(const uint8_t *x, const uint8_t *y, int64_t frames, int64_t length);

/* --- joints.c --- */

/* What a clip [frames, length] does at the joints of its tiles.  With d(t) the mean |x[t] - x[t-1]|
 * over a frame, and m the median of d over all t = 1 .. frames - 1 that are no joint (of an even
 * count the mean of the middle two): mean and largest d(joint) / m.  Both are -1 where m is 0, the
 * clip standing still, or where there are only joints.  joint [n]: measure_task's, n >= 1.
 * E_ARG: a joint outside of 1 .. frames - 1, or not rising; E_MEMORY. */
struct joint_jump {
    double mean, worst;
};
enum status joint_jumps(struct joint_jump *out, const uint8_t *x, int64_t frames, int64_t length,
                        const int64_t *joint, int64_t n, struct error *err);

/* --- obedience.c --- */

struct obedience {
    int64_t asked, obeyed; /* pictures with a label; of them those that show it     */
    int64_t form, colour;  /* of shapes: those with the right one of the two        */
    int64_t objects;       /* of the others: those with the right ones, whatever they do    */
    int64_t motion;        /* of moving shapes: those with the right motion         */
    int64_t unclear;       /* of either: those in which nothing is clear            */
};
/* By the checker of that set: pixels [n, frames, size, size, 3], frames 1 but of moving shapes,
 * label [n] of the set, negative: not asked for anything.  E_ARG for a size that the checker does
 * not read and labels that are none. */
enum status obedience_exact(struct obedience *out, enum picture_reader reader, struct pixel_set a,
                            const int32_t *label, int64_t frames, int64_t size, struct error *err);
/* By a classifier's guesses [n]. */
void obedience_guessed(struct obedience *out, const int32_t *guess, const int32_t *label,
                       int64_t n);

#endif
