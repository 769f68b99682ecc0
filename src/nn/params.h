/*
 * params.h - the parameters of a network: names, shapes, and flat arrays of one layout
 *
 * Values, gradients, moments and averages are flat float arrays with the same offsets, so that an
 * optimizer is one loop.  Names are the keys of the public checkpoints, so that loading is a
 * lookup.
 *
 *     trained parameters (in the order of declaration)        | buffers (positions, ...)
 *     each padded with zeros to a multiple of 64 bytes        |
 *     0 ............................................ n_trained ........................ n_values
 */
#ifndef IMGEN_NN_PARAMS_H
#define IMGEN_NN_PARAMS_H

#include "graph/graph.h"
#include "io/safetensors.h"
#include "io/weights.h"

enum init_kind {
    INIT_ZERO,
    INIT_ONE,
    INIT_XAVIER,   /* uniform, limit sqrt(6 / (fan_in + fan_out)), times gain: Glorot and
                      Bengio 2010                                                              */
    INIT_KAIMING,  /* uniform, limit 1 / sqrt(fan_in), biases too (He et al. 2015, a = sqrt 5) */
    INIT_NORMAL,   /* normal with the given mean and deviation                                 */
    INIT_UNIFORM,  /* uniform between -std and std                                             */
    INIT_IDENTITY, /* [O, taps, 1, I]: the unit matrix under the middle tap, zero elsewhere    */
    INIT_MOMENTS,  /* zeros, and in the second half `mean`: means and log variances            */
    INIT_TABLE,    /* a fixed table, filled by a function, never trained                       */
};

typedef void init_table(float *out, struct shape shape, const void *config);

struct init {
    enum init_kind kind;
    double std;        /* INIT_NORMAL, INIT_UNIFORM                              */
    double mean;       /* INIT_NORMAL, INIT_MOMENTS                              */
    int64_t fan_in;    /* INIT_KAIMING of a bias: that of its weight             */
    int64_t fan_out;   /* INIT_XAVIER; 0: rows of the weight                     */
    double gain;       /* INIT_XAVIER; 0 stands for 1                            */
    init_table *table; /* INIT_TABLE                                             */
    const void *config;
};

enum { PARAM_LENT = 3 }; /* tensors of a file that one matrix may be made of, at most */

struct low_rank;

struct param {
    char name[112];
    struct shape shape;      /* here                                                  */
    struct shape file_shape; /* in public checkpoints; ones more or less do not count */
    struct shape stored;     /* file_shape, perhaps with dimensions cut into factors  */
    int order[SHAPE_RANK];   /* here = stored with its dimensions in this order, reshaped:
                                0 2 3 1 makes [O, H, W, I], or [O, H W I], of [O, I, H, W] */
    struct init init;
    bool trained;
    bool matrix;    /* ops that read stored ones alone read it: it may stay in its file  */
    bool linear;    /* nn_linear alone reads it: it may be added to (low_rank.h) */
    bool unit_rows; /* rows of w[0] have mean square 1: params_force_units   */
    int64_t offset; /* into the flat arrays                                            */
    float *own;     /* shape_count(shape) floats, after params_alloc or params_map     */
    float *value;   /* own, or a place in another array: params_use                    */
    float *grad;    /* the same, or NULL: not trained, or no gradients allocated        */

    struct low_rank *low_rank; /* what is added to it, or NULL: low_rank_attach */

    /* Where own is NULL after params_map: the matrix as its file stores it; rows 0: it is not. */
    struct matrix lent, lent_piece[PARAM_LENT];
};

struct params;

/* Where a module stands: a prefix for the names of what it declares. */
struct scope {
    struct params *params;
    char prefix[96]; /* "blocks.3." or "" */
};

enum status params_new(struct params **out, struct error *err);
void params_free(struct params *p);

struct scope scope_root(struct params *p);
struct scope scope_in(struct scope s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Declare a parameter under the scope.  Never NULL; a lack of memory is told by params_alloc. */
struct param *params_add(struct scope s, const char *name, struct shape shape, struct init init);
/* The same for a matrix [outputs, inputs] or a table [rows, numbers] that op_linear and
 * op_embedding alone will read, or a grid's [1, cells, numbers] that op_window will: it may stay in
 * its file. */
struct param *params_add_matrix(struct scope s, const char *name, struct shape shape,
                                struct init init);
/* The same where files keep the elements in another order, see struct param.  order: a permutation
 * of 0 .. file_shape.rank - 1; both shapes have one count. */
struct param *params_add_stored(struct scope s, const char *name, struct shape shape,
                                struct shape file_shape, const int *order, struct init init);
/* The same for a convolution's weight: shape [O, H, W, I], in files [O, I, H, W]. */
struct param *params_add_conv(struct scope s, const char *name, struct shape shape,
                              struct init init);
/* The same for a convolution over patches, which here is a linear layer on op_patchify's features:
 * shape [O, p p I], in files [O, I, p, p]. */
struct param *params_add_patch(struct scope s, const char *name, int64_t out, int64_t in, int64_t p,
                               struct init init);

/* q's rows are queries, keys and values of `heads` heads, head by head: [heads, {q k v}, d]; files
 * deal a head's channels to the three in turn, [heads, d, {q k v}], as EDM's do. */
void param_deal(struct param *q, int64_t heads);

/* Whether its elements lie in one order here and in files; dimensions of size one may stand
 * anywhere. */
bool param_keeps_order(const struct param *q);

/* Lay the arrays out and allocate values, and gradients when asked. E_MEMORY names the bytes. */
enum status params_alloc(struct params *p, bool gradients, struct error *err);
/* The same with addresses that have no memory behind them (mem_block_imagine): for tapes that are
 * recorded to be counted and never run. */
enum status params_imagine(struct params *p, bool gradients, struct error *err);
/* The two halves for a file that lends most of them (params_map): decide the offsets, E_MEMORY when
 * declaring ran out of it; and allocate values of the parameters without an own place yet. */
enum status params_lay_out(struct params *p, struct error *err);
enum status params_alloc_rest(struct params *p, struct error *err);

/* Fill all values by their init rules; parameter k draws from stream (seed, RNG_INIT, k).  Matrices
 * that stay in a file (param_lend) are what they are there. */
void params_init(struct params *p, uint64_t seed);

/* Bring every row of the parameters that are declared `unit_rows` back to root mean square one:
 * w / (eps + |w| / sqrt n), as op_weight_norm sees it.  After the draw (params_init does it) and
 * after each step of an optimizer: forced weight normalisation, Karras et al. 2024, (66). */
void params_force_units(struct params *p);

int64_t params_count(const struct params *p); /* declared parameters and buffers  */
struct param *params_at(struct params *p, int64_t i);
struct param *params_find(struct params *p, const char *name); /* NULL: none */
int64_t params_weights(const struct params *p);   /* trained numbers, padding not counted */
int64_t params_numbers(const struct params *p);   /* trained or not, padding not counted */
int64_t params_mapped_bytes(const struct params *p); /* of those that lie in a file (params_map) */
int64_t params_n_trained(const struct params *p); /* floats of the trained part, padded  */
int64_t params_n_values(const struct params *p);  /* floats of the whole, padded         */
float *params_values(struct params *p);           /* [n_values], NULL after params_map   */
float *params_grads(struct params *p);            /* [n_trained] or NULL                 */

/* Let every param's value point into another array of n_values floats (an average, say); NULL: back
 * to its own.  The array stays the caller's. */
void params_use(struct params *p, float *values);

/* Moments exist for trained parameters only; values and averages for all. */
enum params_part { PARAMS_ALL, PARAMS_TRAINED };

/* Read values (into `values`, n_values floats, or the own when NULL) from tensors named
 * "<prefix><name>".  E_FORMAT lists what is missing, has another shape, or begins with the prefix
 * and is not wanted.  Buffers with an INIT_TABLE rule may be missing. */
enum status params_load(struct params *p, const struct weights *f, const char *prefix,
                        enum params_part part, float *values, struct error *err);

/* Names that files may hold besides the parameters (without the prefix): what only training reads,
 * say.  Told once, before loading; by default there are none. */
typedef bool params_spare(const char *name);
void params_allow(struct params *p, params_spare *spare);
bool params_allowed(const struct params *p, const char *name);

/* Where files of another origin keep a run of a parameter's rows: in part number `part` of the
 * `parts` equal ones that the rows of a tensor make; 0 of 1 is all of it. */
enum { PARAM_PIECES = 3, PARAM_NAME = 160 };
struct param_piece {
    char name[PARAM_NAME]; /* of the tensor, without prefix                                   */
    int part, parts;
    bool transposed; /* a matrix that is [in, out] there; of a parameter in one whole piece */
};

/* How files of another origin keep a network's parameters.  At most one of rename and pieces is
 * given; with neither, every parameter has its own name there. */
struct params_naming {
    const char *prefix; /* of the tensors that are meant; those without it are passed over */
    /* Write name number `attempt` (0, 1, ...) of the parameter `ours`, without prefix; false: there
     * are no more, and when there is none at all, the file need not have it. */
    bool (*rename)(char *out, size_t room, const char *ours, int attempt, const void *user);
    /* The same where files cut parameters elsewhere: write the pieces of equal size that make
     * `ours` one below the other; how many, 0: there are no more. */
    int (*pieces)(struct param_piece out[PARAM_PIECES], const char *ours, int attempt,
                  const void *user);
    const void *user;
};

/* The tensor in which the parameter `ours` begins, or NULL: for reading sizes off shapes. */
const struct file_tensor *params_tensor(const struct weights *f, const struct params_naming *naming,
                                        const char *ours);

/* params_load from such a file; E_FORMAT lists as it does. */
enum status params_load_named(struct params *p, const struct weights *f,
                              const struct params_naming *naming, enum params_part part,
                              float *values, struct error *err);

/* Let every parameter be its tensor "<prefix><name>" where that lies in the file: nothing is copied
 * that is float32, in our order of elements and aligned to 4 bytes, as all but convolutions are in
 * files of ours; nor is a matrix of another type (param_lend).  The others are converted into
 * memory of their own.  For sampling: the values may not be written, and f must outlive p.  Fails
 * as params_load. */
enum status params_map(struct params *p, const struct weights *f, const char *prefix,
                       struct error *err);
/* The same under the names of others; parameters in several pieces are put together in memory of
 * their own. */
enum status params_map_named(struct params *p, const struct weights *f,
                             const struct params_naming *naming, struct error *err);

/* Rows of a tensor from `first` on. */
struct param_rows {
    const struct file_tensor *tensor;
    int64_t first;
};

/* Let q be a matrix that stays in its file, in the type that it has there: n runs of as many rows
 * each, one below the other, n at most PARAM_LENT.  It then has no value, and its leaf on a tape is
 * of dtype DTYPE_STORED.  False, and nothing changed, where it cannot: it is not declared `matrix`,
 * its elements lie in another order, or the type is none of float32, float16, bfloat16, float8,
 * int8 and GGUF's blocks.  The tensors fit its shape and outlive q. */
bool param_lend(struct param *q, const struct param_rows *from, int n);

/* The values of any parameter, wherever they are: shape_count(q->shape) floats. */
void param_read(float *out, const struct param *q);

/* Describe `values` (or the own when NULL) for safetensors_save under "<prefix><name>", in file
 * layout: writes at most params_count(p) rows to out, *n is how many.  Names live in one block
 * *keep, freed by the caller with free() after saving; values are converted as they are written. */
enum status params_describe(struct params *p, const char *prefix, enum params_part part,
                            const float *values, struct save_tensor *out, int64_t *n, void **keep,
                            struct error *err);

/* The leaf of a parameter on a tape: with a gradient when one is allocated and the graph is not
 * frozen; of dtype DTYPE_STORED where it stays in its file. */
struct tensor *nn_param(struct graph *g, const struct param *p);

#endif
