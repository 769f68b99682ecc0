/*
 * tensor.h - what a tensor is, with no computing
 *
 * Dense and row-major, outermost dimension first, channels last: pictures [N, H, W, C], tokens
 * [N, T, D].  A linear layer, a norm and a 1x1 convolution then see the same thing, rows of
 * channels.
 */
#ifndef IMGEN_TENSOR_TENSOR_H
#define IMGEN_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHAPE_RANK = 6 };

struct shape {
    int rank;
    int64_t dim[SHAPE_RANK];
};

/* SHAPE(N, H, W, C): one to six dimensions. */
#define SHAPE(...) \
    ((struct shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})

enum dtype {
    DTYPE_F32,
    DTYPE_I32,
    DTYPE_STORED, /* as a file has it: data is a struct matrix (tensor/matrix.h) */
};

struct op;
struct tensor;

/* A constant of an op: epsilon, an axis, a number of heads. */
union op_arg {
    int64_t i;
    double f;
};

enum { TENSOR_INS = 7, TENSOR_ARGS = 4 };

/* A node of the tape: see graph/graph.h. */
struct tensor {
    const struct op *op;           /* what computes it                                          */
    struct tensor *in[TENSOR_INS]; /* from what; NULL where an op takes fewer or an optional one */
    union op_arg arg[TENSOR_ARGS]; /* with which constants                                     */
    struct shape shape;
    enum dtype dtype;
    bool wants_grad;     /* some parameter (or wanted input) lies upstream            */
    bool kept;           /* read after the run: its memory is not reused              */
    struct tensor *grad; /* d loss / d this, once graph_backward has recorded it      */
    struct tensor *side; /* a second result, written together with this one, or NULL  */
    const char *name;    /* its key in public checkpoints, or NULL                    */
    int32_t id;          /* its place on the tape                                     */

    /* Filled in by the plan. */
    void *data;    /* dense, row-major; NULL until planned; or a struct matrix  */
    void *state;   /* what op->plan made, shared by equal tapes                 */
    void *scratch; /* op->scratch bytes, contents undefined                     */
    float *bound;  /* where the result must be written, or NULL                 */
};

int64_t shape_count(struct shape s);
bool shape_equal(struct shape a, struct shape b);
/* Size of the innermost dimension (channels); 1 for rank 0. */
int64_t shape_last(struct shape s);
/* Product of all dimensions but the innermost. */
int64_t shape_rows(struct shape s);
/* The same shape with another innermost dimension. */
struct shape shape_with_last(struct shape s, int64_t last);
/* "[2, 16, 16, 3]" into buf (cut to fit, always terminated); returns buf. */
enum { SHAPE_TEXT = 128 };
const char *shape_text(char buf[SHAPE_TEXT], struct shape s);

/* Of its values, as they lie at data. */
size_t tensor_bytes(const struct tensor *t);

#endif
