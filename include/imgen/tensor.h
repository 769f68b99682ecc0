/*
 * imgen/tensor.h - networks of your own: tensors, operations, gradients
 *
 * An op appends a node to a tape and infers its shape; imgen_backward appends the adjoints;
 * imgen_graph_run plans memory (once per distinct tape) and computes.  Nodes belong to the graph
 * and live until imgen_graph_reset.
 */
#ifndef IMGEN_TENSOR_H
#define IMGEN_TENSOR_H

#include "imgen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif

#endif
