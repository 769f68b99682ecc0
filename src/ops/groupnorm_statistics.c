/*
 * groupnorm_statistics.c - mean and variance of every group in one look
 *
 * Channels lie innermost, so a group is a stripe of every row.  A block of rows is summed channel
 * by channel, which vectorises whatever the group's width: d = x - c and d^2 around a provisional
 * centre c, the group's mean in the block's first rows.  c is a value of the group itself and not
 * 0, so sum d^2 - (sum d)^2 / n cancels no digits that the data have, and one look suffices; two,
 * one for the mean and one for what is left, would read a picture that no cache holds once more.
 *
 * Blocks are then merged in order, in double, by the formula of Chan, Golub and LeVeque 1979: the
 * same bits for any number of threads.
 *
 * A picture too large for one tape is run in parts.  op_group_moments is this look alone, over the
 * rows of a part that count; moments_merge puts the parts together.
 */
#include "ops/groupnorm_parts.h"

#include "base/fetch.h"
#include "base/simd.h"

#include <inttypes.h>
#include <string.h>

enum { CENTER_ROWS = 4 };

/* Floats that are asked for ahead: there is little arithmetic that could hide a shorter way. */
enum { AHEAD = 2048 };

/* [groups] means and sums of squared deviations of a_count numbers each, and with them those of
 * b_count others. */
IMGEN_CLONES static void merge(double *restrict mean, double *restrict m2, double a_count,
                               const double *restrict b_mean, const double *restrict b_m2,
                               double b_count, int64_t groups)
{
    double count = a_count + b_count, part = b_count / count, both = a_count * b_count / count;

    for (int64_t g = 0; g < groups; g++) {
        double delta = b_mean[g] - mean[g];

        mean[g] += delta * part;
        m2[g] += b_m2[g] + delta * delta * both;
    }
}

struct moments moments_merge(struct moments a, struct moments b)
{
    if (b.count > 0)
        merge(&a.mean, &a.m2, a.count, &b.mean, &b.m2, b.count, 1);
    a.count += b.count;
    return a;
}

/*
 * Scratch, for each block of each sample:
 *
 *     double mean [groups] | double m2 [groups] | float center [C] | float sum [C] | float squares
 * [C]
 */
size_t groupnorm_stats_bytes(const struct tensor *y)
{
    size_t floats = 3 * (size_t)shape_last(y->in[0]->shape) * sizeof(float);

    floats = (floats + sizeof(double) - 1) / sizeof(double) * sizeof(double);
    return 2 * (size_t)y->arg[GROUPNORM_GROUPS].i * sizeof(double) + floats;
}

static double *block_moments(const struct tensor *y, int64_t block)
{
    return (double *)(void *)((char *)y->scratch + (size_t)block * groupnorm_stats_bytes(y));
}

/* Sums of d = x - center and of d^2.  Four rows at a time, so that the sums go to memory and back a
 * quarter as often. */
IMGEN_CLONES static void channel_deviations(float *restrict sum, float *restrict squares,
                                            const float *restrict x, const float *restrict center,
                                            int64_t rows, int64_t C)
{
    memset(sum, 0, (size_t)C * sizeof(float));
    memset(squares, 0, (size_t)C * sizeof(float));
    for (; rows >= 4; rows -= 4, x += 4 * C) {
        fetch_floats(x + AHEAD, 4 * C);
        for (int64_t c = 0; c < C; c++) {
            float d0 = x[c] - center[c], d1 = x[C + c] - center[c];
            float d2 = x[2 * C + c] - center[c], d3 = x[3 * C + c] - center[c];
            float upper = d0 * d0, lower = d2 * d2;

            upper = d1 * d1 + upper;
            lower = d3 * d3 + lower;
            sum[c] += (d0 + d1) + (d2 + d3);
            squares[c] += upper + lower;
        }
    }
    for (; rows > 0; rows--, x += C)
        for (int64_t c = 0; c < C; c++) {
            float d = x[c] - center[c];

            sum[c] += d;
            squares[c] += d * d;
        }
}

static double sum_of(const float *x, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum;
}

/* Near the mean of each group in the first rows of a block, for all its channels. */
static void provisional_center(float *center, const float *x, int64_t rows, int64_t C,
                               int64_t width)
{
    rows = rows < CENTER_ROWS ? rows : CENTER_ROWS;
    memcpy(center, x, (size_t)C * sizeof(float));
    for (int64_t r = 1; r < rows; r++)
        for (int64_t c = 0; c < C; c++)
            center[c] += x[r * C + c];
    for (int64_t first = 0; first < C; first += width) {
        float mean = (float)(sum_of(center + first, width) / (double)(rows * width));

        for (int64_t c = first; c < first + width; c++)
            center[c] = mean;
    }
}

/* Of `rows` rows of x, which are block number `block`. */
void groupnorm_stats_rows(const struct tensor *y, const float *x, int64_t rows, int64_t block)
{
    int64_t C = shape_last(y->in[0]->shape), G = y->arg[GROUPNORM_GROUPS].i, width = C / G;
    double *mean = block_moments(y, block), *m2 = mean + G, count = (double)(rows * width);
    float *center = (float *)(void *)(m2 + G), *sum = center + C, *squares = sum + C;

    provisional_center(center, x, rows, C, width);
    channel_deviations(sum, squares, x, center, rows, C);
    for (int64_t g = 0; g < G; g++) {
        double off = sum_of(sum + g * width, width);

        mean[g] = (double)center[g * width] + off / count;
        m2[g] = sum_of(squares + g * width, width) - off * off / count;
    }
}

struct group_moments groupnorm_gather(const struct tensor *y, struct row_blocks b, int64_t n)
{
    int64_t G = y->arg[GROUPNORM_GROUPS].i, width = b.width / G;
    double *mean = block_moments(y, n * b.blocks), count = 0;

    for (int64_t i = 0; i < b.blocks; i++) {
        int64_t rows = i + 1 < b.blocks ? b.block : b.rows - i * b.block;
        const double *next = block_moments(y, n * b.blocks + i);

        if (i > 0)
            merge(mean, mean + G, count, next, next + G, (double)(rows * width), G);
        count += (double)(rows * width);
    }
    return (struct group_moments){.count = count, .mean = mean, .m2 = mean + G};
}

/* --- of a part of a picture ------------------------------------------------------------------- */

/* The rows of floats that count. */
struct window {
    int64_t first; /* among the rows of x */
    struct row_blocks cut;
};

static struct window window_of(const struct tensor *y, int64_t first, int64_t last)
{
    const struct shape s = y->in[0]->shape;
    int64_t row = shape_count(s) / (s.dim[1] * shape_last(s));

    return (struct window){first * row, row_blocks(1, (last - first) * row, shape_last(s))};
}

static size_t moments_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(window_of(y, 0, y->in[0]->shape.dim[1]).cut, 1) *
           groupnorm_stats_bytes(y);
}

static void moments_block(const struct tensor *y, struct block at)
{
    const int32_t *rows = y->in[1]->data;
    const struct window w = window_of(y, rows[0], rows[1]);
    const float *x = y->in[0]->data;

    groupnorm_stats_rows(y, x + (w.first + at.first) * w.cut.width, at.last - at.first, at.index);
}

/* in: x, the window */
static void moments_cpu(const struct tensor *y)
{
    const int32_t *rows = y->in[1]->data;
    const struct window w = window_of(y, rows[0], rows[1]);
    int64_t G = y->arg[GROUPNORM_GROUPS].i;
    float *mean = y->data, *variance = mean + G;
    struct group_moments m;

    each_block(y, w.cut, moments_block);
    m = groupnorm_gather(y, w.cut, 0);
    for (int64_t g = 0; g < G; g++) {
        bool any = m.count > 0;

        mean[g] = any ? (float)m.mean[g] : 0;
        variance[g] = any ? (float)(m.m2[g] / m.count) : 0;
    }
}

static const struct op group_moments = {
    .name = "group_moments", .cpu = moments_cpu, .scratch = moments_scratch};

struct tensor *op_group_moments(struct graph *g, struct tensor *x, int64_t groups,
                                struct tensor *window)
{
    int64_t C = shape_last(x->shape);
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(x->shape.rank >= 3 && x->shape.dim[0] == 1 && groups > 0 && C % groups == 0,
         "moments of %s in %" PRId64 " groups", shape_text(s, x->shape), groups);
    MUST(window->dtype == DTYPE_I32 && shape_count(window->shape) == 2, "a window of rows is %s",
         shape_text(s, window->shape));
    y = record(g, &group_moments, SHAPE(2, groups), x, window, NULL, NULL);
    y->arg[GROUPNORM_GROUPS].i = groups;
    return y;
}
