/*
 * criterion.c - the loss of a batch, recorded
 *
 * The host has drawn the numbers (diffusion/loss.c); what is left for the tape is short:
 *
 *     loss = sum over heads of  mean (gain F - target)^2
 *            + direction (1 - mean cos(u^, u))  +  variance mean(bits)
 *
 * A gain that is 1 for every sample is not multiplied in: that is known from the task, never from
 * the values, so the tape has one shape for a whole run.
 *
 * The directions' term looks at the channels of a pixel, as the published one does; it only makes
 * sense for velocities, whose direction is a direction of motion.  The variational term reads the
 * further channels as a learned variance (ops/variational.c).
 * architectures.md 1.3, 1.7; Yao et al. 2025, "Reconstruction vs. generation".
 */
#include "train/criterion.h"

#include "diffusion/ddpm.h"
#include "ops/basic.h"
#include "ops/loss.h"

#include <inttypes.h>
#include <math.h>

enum status criterion_check(const struct criterion *c, const struct network_io *io,
                            struct error *err)
{
    const struct flow_task *task = c->task;
    const struct objective *o = &task->head[0];

    if (c->direction > 0 &&
        (o->predicts != PREDICT_VELOCITY || objective_space(o) != PREDICT_VELOCITY))
        return fail(err, E_ARG,
                    "train.direction compares the directions of velocities, and the network is "
                    "asked for the %s and graded as the %s",
                    prediction_at((int)o->predicts)->name,
                    prediction_at((int)objective_space(o))->name);
    if (!(c->variance > 0))
        return OK;
    if (task->has_second || io->out_channels != 2 * io->in_channels)
        return fail(err, E_ARG,
                    "train.variance: %" PRId64 " channels of the network for pictures of %" PRId64
                    "%s leave none for a variance (learn_sigma or out_channels gives them)",
                    io->out_channels, io->in_channels,
                    task->has_second ? " and a second prediction" : "");
    if (o->predicts != PREDICT_NOISE || !precondition_is_plain(&task->precondition))
        return fail(err, E_ARG,
                    "train.variance is of a network that predicts noise, and this one is to "
                    "predict the %s",
                    prediction_at((int)o->predicts)->name);
    if (path_steps(&task->path) < 2)
        return fail(err, E_ARG,
                    "train.variance: the path '%s' is continuous and has no steps whose variance "
                    "could be learned; take one such as ddpm_linear, with train.time = discrete",
                    task->path.kind->is.name);
    return OK;
}

void criterion_draw(struct criterion *c, const struct flow_batch *b)
{
    const struct path *path = &c->task->path;
    int T = path_steps(path);

    if (!(c->variance > 0))
        return;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < b->rows; i++) {
        int k = (int)fmax(0, fmin(T - 1, nearbyint(path_index(path, (double)b->t[i]))));
        struct ddpm_posterior step = ddpm_posterior_at(path, NULL, T, k);
        struct path_coefs at = path_at(path, path_time_of_index(path, k));
        float *out = c->numbers + i * VB_NUMBERS;

        out[VB_FROM_X] = (float)(1 / at.alpha);
        out[VB_FROM_NOISE] = (float)(at.beta / at.alpha);
        out[VB_MEAN_DATA] = (float)step.mean_data;
        out[VB_MEAN_X] = (float)step.mean_x;
        out[VB_LOG_LARGE] = (float)step.log_large;
        out[VB_LOG_SMALL] = (float)step.log_small;
        out[VB_LAST] = k == 0 ? 1 : 0;
    }
}

static struct shape of_pictures(const struct tensor *y, const struct flow_batch *b)
{
    int64_t pixels = shape_count(y->shape) / shape_last(y->shape) / b->rows;

    return shape_with_last(y->shape, b->length / pixels);
}

/* The channels of one head. */
static struct tensor *head_of(struct graph *g, struct tensor *y, int64_t channels, int h)
{
    return shape_last(y->shape) == channels ? y : op_slice(g, y, h * channels, channels);
}

struct tensor *criterion_record(struct graph *g, const struct criterion *c,
                                const struct flow_batch *b, struct tensor *y, const float *z)
{
    struct shape shape = of_pictures(y, b);
    struct tensor *loss = NULL, *more;

    for (int h = 0; h < b->heads; h++) {
        struct tensor *says = head_of(g, y, shape_last(shape), h);
        struct tensor *target = graph_input(g, shape, b->target + h * b->rows * b->length);

        if (!objective_is_plain(&c->task->head[h], &c->task->precondition))
            says = op_scale_samples(g, says, graph_input(g, SHAPE(b->rows), b->gain + h * b->rows));
        more = op_mse(g, says, target);
        loss = loss ? op_add(g, loss, more) : more;
        if (h == 0 && c->direction > 0)
            loss = op_add(g, loss,
                          op_affine(g, op_cosine(g, says, target), -c->direction, c->direction));
    }
    if (!(c->variance > 0))
        return loss;
    more = op_variational(g, y, graph_input(g, shape, b->x), graph_input(g, shape, z),
                          graph_input(g, SHAPE(b->rows, VB_NUMBERS), c->numbers));
    return op_add(g, loss, op_affine(g, op_sum(g, more), c->variance / (double)b->rows, 0));
}

double criterion_of_row(const struct flow_task *task, const struct flow_batch *b, int64_t row,
                        const float *y, int64_t channels, int64_t K)
{
    int64_t pixels = b->length / channels;
    double sum = 0;

    for (int h = 0; h < b->heads; h++) {
        const float *want = b->target + (h * b->rows + row) * b->length;
        double gain = objective_is_plain(&task->head[h], &task->precondition)
                          ? 1
                          : (double)b->gain[h * b->rows + row];

        for (int64_t i = 0; i < pixels; i++)
            for (int64_t k = 0; k < channels; k++) {
                double d =
                    gain * (double)y[i * K + h * channels + k] - (double)want[i * channels + k];

                sum += d * d;
            }
    }
    return sum / (double)b->length;
}
