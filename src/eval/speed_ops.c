/*
 * speed_ops.c - single ops at the sizes at which networks run them
 *
 * Linear layers: DiT-S and DiT-B at 16 pictures of 256 tokens, Stable Diffusion 3 at two pictures
 * (a guided one) of 1,024 and 154 tokens.  Convolutions: the levels of a U-Net and of an
 * autoencoder.  Attention at one number of tokens in all, so that the tape's bytes show whether
 * memory grows with the tokens of a picture or with their square.  Whatever is bound by memory, on
 * tensors of 100 MB and more, which no cache holds.
 *
 * The op gets its gradient from the loss <c, y> with random c, because of the two simplest losses
 * the sum would hand out ones and the sum of squares needs y once more.  The nodes between y and
 * its gradient are the frame and are not counted.
 */
#include "eval/speed_case.h"

#include "base/clock.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/resample.h"
#include "train/adamw.h"

#include <string.h>

static struct tensor *input(struct speed_job *j, struct shape shape)
{
    struct tensor *t = graph_input(j->graph, shape, speed_values(j, shape_count(shape)));

    graph_want_grad(t);
    return t;
}

static struct tensor *param(struct speed_job *j, struct shape shape)
{
    int64_t n = shape_count(shape);
    float *value = speed_values(j, n);

    return graph_param(j->graph, shape, value, speed_values(j, n), "p");
}

/* --- preparing and running ---------------------------------------------------------------------
 */

static enum status open_op(struct speed_job *j, struct error *err)
{
    struct tensor *y, *loss;
    struct graph *g;
    enum status st;

    if ((st = speed_graph(j, 0, err)))
        return st;
    g = j->graph;
    y = j->is->record(j, j->is->n);
    loss =
        op_sum(g, op_mul(g, y, graph_input(g, y->shape, speed_values(j, shape_count(y->shape)))));
    graph_backward(g, loss);
    j->frame_first = y->side ? y->id + 2 : y->id + 1;
    j->frame_last = y->grad->id;
    graph_keep(g, y);
    for (int k = 0; k < TENSOR_INS; k++)
        if (y->in[k] && y->in[k]->op == &op_input && y->in[k]->grad)
            graph_keep(g, y->in[k]->grad);
    if (j->failed && err)
        *err = j->failure;
    return j->failed;
}

static enum status run_op(struct speed_job *j, struct error *err)
{
    return graph_run(j->graph, err);
}

/* --- linear layers -----------------------------------------------------------------------------
 */

/* n: samples, tokens, inputs, outputs, activation. */
static struct tensor *linear(struct speed_job *j, const int64_t *n)
{
    return op_linear(j->graph, input(j, SHAPE(n[0], n[1], n[2])), param(j, SHAPE(n[3], n[2])),
                     param(j, SHAPE(n[3])), (enum act)n[4]);
}

static const struct speed_case linear_cases[] = {
    {"linear DiT-S qkv 4096 x 384 -> 1152", linear, {16, 256, 384, 1152, ACT_NONE}, NULL},
    {"linear DiT-S proj 4096 x 384 -> 384", linear, {16, 256, 384, 384, ACT_NONE}, NULL},
    {"linear DiT-S fc1 4096 x 384 -> 1536", linear, {16, 256, 384, 1536, ACT_NONE}, NULL},
    {"linear DiT-S fc2 4096 x 1536 -> 384", linear, {16, 256, 1536, 384, ACT_NONE}, NULL},
    {"linear DiT-B qkv 4096 x 768 -> 2304", linear, {16, 256, 768, 2304, ACT_NONE}, NULL},
    {"linear DiT-B proj 4096 x 768 -> 768", linear, {16, 256, 768, 768, ACT_NONE}, NULL},
    {"linear DiT-B fc1 4096 x 768 -> 3072", linear, {16, 256, 768, 3072, ACT_NONE}, NULL},
    {"linear DiT-B fc2 4096 x 3072 -> 768", linear, {16, 256, 3072, 768, ACT_NONE}, NULL},
    {"linear SD3 qkv 2356 x 1536 -> 4608", linear, {2, 1178, 1536, 4608, ACT_NONE}, NULL},
    {"linear SD3 proj 2356 x 1536 -> 1536", linear, {2, 1178, 1536, 1536, ACT_NONE}, NULL},
    {"linear SD3 fc1 2356 x 1536 -> 6144", linear, {2, 1178, 1536, 6144, ACT_NONE}, NULL},
    {"linear SD3 fc2 2356 x 6144 -> 1536", linear, {2, 1178, 6144, 1536, ACT_NONE}, NULL},
    {0},
};

const struct speed_family family_linear = {
    .name = "linear",
    .mean = SPEED_ARITHMETIC,
    .open = open_op,
    .run = run_op,
    .cases = linear_cases,
};

/* The first feed-forward layers as networks run them.  GELU and the values before it, which the
 * adjoint reads, are no multiply-adds of the product, and its share of peak is the lower for them.
 */
static const struct speed_case fused_cases[] = {
    {"fused DiT-S fc1 4096 x 384 -> 1536 + gelu", linear, {16, 256, 384, 1536, ACT_GELU}, NULL},
    {"fused DiT-B fc1 4096 x 768 -> 3072 + gelu", linear, {16, 256, 768, 3072, ACT_GELU}, NULL},
    {"fused SD3 fc1 2356 x 1536 -> 6144 + gelu", linear, {2, 1178, 1536, 6144, ACT_GELU}, NULL},
    {0},
};

const struct speed_family family_linear_fused = {
    .name = "linear, fused",
    .mean = SPEED_ARITHMETIC,
    .open = open_op,
    .run = run_op,
    .cases = fused_cases,
};

/* One row a picture: the weights are read for so few of them that memory is the limit. */
static const struct speed_case few_cases[] = {
    {"adaLN DiT-S 16 x 384 -> 2304", linear, {16, 1, 384, 2304, ACT_NONE}, NULL},
    {"adaLN DiT-B 16 x 768 -> 4608", linear, {16, 1, 768, 4608, ACT_NONE}, NULL},
    {"adaLN SD3 16 x 1536 -> 9216", linear, {16, 1, 1536, 9216, ACT_NONE}, NULL},
    {0},
};

const struct speed_family family_linear_few = {
    .name = "linear, few rows",
    .open = open_op,
    .run = run_op,
    .cases = few_cases,
};

/* --- convolutions ------------------------------------------------------------------------------
 */

/* n: pictures, side, input channels, output channels, stride. */
static struct tensor *convolution(struct speed_job *j, const int64_t *n, int64_t k)
{
    int64_t pad = k / 2;
    struct conv_geometry geometry = {n[4], pad, pad, pad, pad};

    return op_conv2d(j->graph, input(j, SHAPE(n[0], n[1], n[1], n[2])),
                     param(j, SHAPE(n[3], k, k, n[2])), param(j, SHAPE(n[3])), geometry);
}

static struct tensor *conv3(struct speed_job *j, const int64_t *n)
{
    return convolution(j, n, 3);
}

static struct tensor *conv1(struct speed_job *j, const int64_t *n)
{
    return convolution(j, n, 1);
}

static const struct speed_case conv_cases[] = {
    {"conv U-Net 16 x 64 x 64, 64 -> 64", conv3, {16, 64, 64, 64, 1}, NULL},
    {"conv U-Net 16 x 32 x 32, 64 -> 64", conv3, {16, 32, 64, 64, 1}, NULL},
    {"conv U-Net 16 x 32 x 32, 128 -> 128", conv3, {16, 32, 128, 128, 1}, NULL},
    {"conv U-Net 16 x 16 x 16, 256 -> 256", conv3, {16, 16, 256, 256, 1}, NULL},
    {"conv U-Net 16 x 16 x 16, 512 -> 256", conv3, {16, 16, 512, 256, 1}, NULL},
    {"conv U-Net 16 x 8 x 8, 256 -> 256", conv3, {16, 8, 256, 256, 1}, NULL},
    {"conv U-Net 16 x 8 x 8, 512 -> 512", conv3, {16, 8, 512, 512, 1}, NULL},
    {"conv VAE 1 x 128 x 128, 128 -> 128", conv3, {1, 128, 128, 128, 1}, NULL},
    {"conv VAE 4 x 128 x 128, 128 -> 128", conv3, {4, 128, 128, 128, 1}, NULL},
    {"conv VAE 1 x 64 x 64, 256 -> 256", conv3, {1, 64, 256, 256, 1}, NULL},
    {"conv VAE 4 x 64 x 64, 256 -> 256", conv3, {4, 64, 256, 256, 1}, NULL},
    {"conv VAE 1 x 64 x 64, 512 -> 512", conv3, {1, 64, 512, 512, 1}, NULL},
    {"conv VAE 2 x 64 x 64, 512 -> 512", conv3, {2, 64, 512, 512, 1}, NULL},
    {"conv U-Net 16 x 32 x 32, 128 -> 128, stride 2", conv3, {16, 32, 128, 128, 2}, NULL},
    {"conv 1x1 16 x 32 x 32, 256 -> 128", conv1, {16, 32, 256, 128, 1}, NULL},
    {0},
};

const struct speed_family family_conv = {
    .name = "conv",
    .mean = SPEED_ARITHMETIC,
    .open = open_op,
    .run = run_op,
    .cases = conv_cases,
};

/* The first and the last layer of networks. */
static const struct speed_case conv_edge_cases[] = {
    {"conv first 16 x 32 x 32, 3 -> 128", conv3, {16, 32, 3, 128, 1}, NULL},
    {"conv first 16 x 32 x 32, 4 -> 128", conv3, {16, 32, 4, 128, 1}, NULL},
    {"conv last 16 x 32 x 32, 128 -> 3", conv3, {16, 32, 128, 3, 1}, NULL},
    {"conv first 1 x 256 x 256, 3 -> 128", conv3, {1, 256, 3, 128, 1}, NULL},
    {"conv last 1 x 256 x 256, 128 -> 3", conv3, {1, 256, 128, 3, 1}, NULL},
    {"conv first 4 x 64 x 64, 16 -> 512", conv3, {4, 64, 16, 512, 1}, NULL},
    {"conv last 4 x 64 x 64, 512 -> 16", conv3, {4, 64, 512, 16, 1}, NULL},
    {0},
};

const struct speed_family family_conv_edge = {
    .name = "conv, few channels",
    .open = open_op,
    .run = run_op,
    .cases = conv_edge_cases,
};

/* --- attention ---------------------------------------------------------------------------------
 */

/* n: samples, tokens, heads of 64. */
static struct tensor *attention(struct speed_job *j, const int64_t *n)
{
    return op_attention(j->graph, input(j, SHAPE(n[0], n[1], 3 * 64 * n[2])), n[2], QKV_SPLIT);
}

static const struct speed_case attention_cases[] = {
    {"attention 16 x 256 tokens, 6 heads of 64", attention, {16, 256, 6}, NULL},
    {"attention 4 x 1024 tokens, 6 heads of 64", attention, {4, 1024, 6}, NULL},
    {"attention 1 x 4096 tokens, 6 heads of 64", attention, {1, 4096, 6}, NULL},
    {0},
};

const struct speed_family family_attention = {
    .name = "attention",
    .whole = "forward + backward",
    .open = open_op,
    .run = run_op,
    .cases = attention_cases,
};

/* n: samples, tokens, heads of 64, enum precision.  What wants a gradient stays float32, so these
 * do not. */
static enum status open_forward(struct speed_job *j, struct error *err)
{
    const int64_t *n = j->is->n;
    struct shape packed = SHAPE(n[0], n[1], 3 * 64 * n[2]);
    enum status st;

    if ((st = speed_graph(j, 0, err)))
        return st;
    graph_set_precision(j->graph, (enum precision)n[3]);
    graph_keep(j->graph,
               op_attention(j->graph,
                            graph_input(j->graph, packed, speed_values(j, shape_count(packed))),
                            n[2], QKV_SPLIT));
    if (j->failed && err)
        *err = j->failure;
    return j->failed;
}

static const struct speed_case forward_cases[] = {
    {"attention SD3 2 x 1178 tokens, 24 heads of 64, float32",
     NULL,
     {2, 1178, 24, PRECISION_FLOAT32},
     NULL},
    {"attention SD3 2 x 1178 tokens, 24 heads of 64, bf16",
     NULL,
     {2, 1178, 24, PRECISION_BF16},
     NULL},
    {0},
};

const struct speed_family family_attend_bf16 = {
    .name = "attention forward",
    .against_first = true,
    .open = open_forward,
    .run = run_op,
    .cases = forward_cases,
};

/* --- bound by memory ---------------------------------------------------------------------------
 */

/* n: samples, tokens, features. */
static struct shape tokens(const int64_t *n)
{
    return SHAPE(n[0], n[1], n[2]);
}

static struct tensor *add(struct speed_job *j, const int64_t *n)
{
    return op_add(j->graph, input(j, tokens(n)), input(j, tokens(n)));
}

static struct tensor *silu(struct speed_job *j, const int64_t *n)
{
    return op_silu(j->graph, input(j, tokens(n)));
}

static struct tensor *gelu(struct speed_job *j, const int64_t *n)
{
    return op_gelu(j->graph, input(j, tokens(n)));
}

static struct tensor *swiglu(struct speed_job *j, const int64_t *n)
{
    return op_swiglu(j->graph, input(j, SHAPE(n[0], n[1], 2 * n[2])));
}

static struct tensor *gated_add(struct speed_job *j, const int64_t *n)
{
    return op_gated_add(j->graph, input(j, tokens(n)), input(j, SHAPE(n[0], n[2])),
                        input(j, tokens(n)));
}

static struct tensor *layernorm(struct speed_job *j, const int64_t *n)
{
    return op_layernorm_modulate(j->graph, input(j, tokens(n)), input(j, SHAPE(n[0], n[2])),
                                 input(j, SHAPE(n[0], n[2])), 1e-6);
}

static struct tensor *rmsnorm(struct speed_job *j, const int64_t *n)
{
    return op_rmsnorm(j->graph, input(j, tokens(n)), param(j, SHAPE(n[2])), 1e-6);
}

/* n: pictures, side, channels. */
static struct tensor *groupnorm(struct speed_job *j, const int64_t *n)
{
    return op_groupnorm(j->graph, input(j, SHAPE(n[0], n[1], n[1], n[2])), 32,
                        param(j, SHAPE(n[2])), param(j, SHAPE(n[2])),
                        input(j, SHAPE(n[0], 2 * n[2])), true, 1e-5);
}

static struct tensor *concat(struct speed_job *j, const int64_t *n)
{
    return op_concat(j->graph, input(j, SHAPE(n[0], n[1], n[1], n[2])),
                     input(j, SHAPE(n[0], n[1], n[1], n[2])));
}

static struct tensor *upsample(struct speed_job *j, const int64_t *n)
{
    return op_upsample2(j->graph, input(j, SHAPE(n[0], n[1], n[1], n[2])));
}

static struct tensor *avgpool(struct speed_job *j, const int64_t *n)
{
    return op_avgpool2(j->graph, input(j, SHAPE(n[0], n[1], n[1], n[2])));
}

static const struct speed_case elementwise_cases[] = {
    {"add 256 x 256 x 384", add, {256, 256, 384}, NULL},
    {"silu 256 x 256 x 384", silu, {256, 256, 384}, NULL},
    {"gelu 256 x 256 x 384", gelu, {256, 256, 384}, NULL},
    {"swiglu 256 x 256 x 384", swiglu, {256, 256, 384}, NULL},
    {"gated add 256 x 256 x 384", gated_add, {256, 256, 384}, NULL},
    {"layer norm + modulate 256 x 256 x 384", layernorm, {256, 256, 384}, NULL},
    {"rms norm 256 x 256 x 384", rmsnorm, {256, 256, 384}, NULL},
    {"group norm + film + silu 256 x 32 x 32 x 128", groupnorm, {256, 32, 128}, NULL},
    {"concat 128 x 32 x 32 x 256", concat, {128, 32, 128}, NULL},
    {"upsample 64 x 64 x 64 x 128", upsample, {64, 32, 128}, NULL},
    {"average pool 256 x 32 x 32 x 128", avgpool, {256, 32, 128}, NULL},
    {0},
};

const struct speed_family family_elementwise = {
    .name = "elementwise and norms",
    .mean = SPEED_MEMORY,
    .open = open_op,
    .run = run_op,
    .cases = elementwise_cases,
};

/* A picture that fits no cache has to be read once for its mean and once to be normalised. */
static const struct speed_case two_passes_cases[] = {
    {"group norm + film + silu 1 x 512 x 512 x 128", groupnorm, {1, 512, 128}, NULL},
    {0},
};

const struct speed_family family_two_passes = {
    .name = "norms of large pictures",
    .open = open_op,
    .run = run_op,
    .cases = two_passes_cases,
};

/* --- the optimizer -----------------------------------------------------------------------------
 */

/* Parameters, gradients, both moments, average: one block each. */
static enum status open_adamw(struct speed_job *j, struct error *err)
{
    for (int k = 0; k < 5; k++) {
        float *x = speed_values(j, j->is->n[0]);

        if (!j->failed && k > 1)
            memset(x, 0, (size_t)j->is->n[0] * sizeof *x);
    }
    if (j->failed && err)
        *err = j->failure;
    return j->failed;
}

static enum status run_adamw(struct speed_job *j, struct error *err)
{
    const struct adamw a = {
        .lr = 1e-4, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1, .ema = 0.999, .step = 1};
    int64_t n = j->is->n[0];
    float **x = j->block;
    double start = clock_seconds(), middle, norm;

    (void)err;
    norm = gradient_norm(x[1], n);
    middle = clock_seconds();
    adamw_step(x[0], x[2], x[3], x[4], x[1], n, norm, &a);
    speed_count(j, "norm", middle - start, 0, 4 * (double)n);
    speed_count(j, "step", clock_seconds() - middle, 0, 36 * (double)n);
    return OK;
}

static const struct speed_case adamw_cases[] = {
    {"adamw + clip + average, 32 Mi weights", NULL, {32 << 20}, NULL},
    {0},
};

const struct speed_family family_adamw = {
    .name = "optimizer",
    .mean = SPEED_MEMORY,
    .open = open_adamw,
    .run = run_adamw,
    .cases = adamw_cases,
};
