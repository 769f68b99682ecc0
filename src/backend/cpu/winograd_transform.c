/*
 * winograd_transform.c - from pixels and taps to the places where they are multiplied, and back
 *
 * Each transform is a small matrix from the left and its transpose from the right: first all
 * columns, then all rows, in registers.  The factors are 1 and 1/2, so that a transform adds and
 * hardly multiplies, and loses no more than the last bit of a sum of four numbers.  The larger
 * tiles of the paper (4 x 4 results for 36 multiplications) have factors up to 8 and cost a decimal
 * digit.
 *
 * Vectors run along channels, which lie side by side.
 */
#include "backend/cpu/winograd_transform.h"

#include "base/fetch.h"
#include "base/simd.h"

/* Sizes of a tile along a side: results, pixels under them. */
enum { OUT = 2, IN = 4, TAPS = 3 };

struct winograd_grid winograd_grid_of(const struct dnn_conv *s)
{
    struct winograd_grid g = {
        .s = *s,
        .down = (s->OH + OUT - 1) / OUT,
        .across = (s->OW + OUT - 1) / OUT,
    };

    g.tiles = s->N * g.down * g.across;
    return g;
}

/* The picture and the first result of a tile. */
static void find(const struct winograd_grid *g, int64_t tile, int64_t *n, int64_t *u, int64_t *v)
{
    *n = tile / (g->down * g->across);
    *u = tile / g->across % g->down * OUT;
    *v = tile % g->across * OUT;
}

void winograd_under(const struct winograd_grid *g, int64_t tile, const float *x, int64_t channels,
                    const float *zeros, const float *pixel[WINOGRAD_PLACES])
{
    const struct dnn_conv *s = &g->s;
    int64_t n, u, v;

    find(g, tile, &n, &u, &v);
    for (int64_t r = 0; r < IN; r++)
        for (int64_t c = 0; c < IN; c++) {
            int64_t i = u + r - s->top, j = v + c - s->left;
            bool inside = i >= 0 && i < s->H && j >= 0 && j < s->W;

            pixel[r * IN + c] = inside ? x + ((n * s->H + i) * s->W + j) * channels : zeros;
        }
}

/* Rows u, u + 1 and columns v, v + 1 of picture n, where there are such. */
FETCH_INLINE void fetch(const float *x, int64_t H, int64_t W, int64_t channels, int64_t n,
                        int64_t u, int64_t v)
{
    int64_t left = v < 0 ? 0 : v, right = v + OUT < W ? v + OUT : W;

    for (int64_t i = u < 0 ? 0 : u; i < u + OUT && i < H; i++)
        fetch_floats(x + ((n * H + i) * W + left) * channels, (right - left) * channels);
}

void winograd_fetch_under(const struct winograd_grid *g, int64_t tile, const float *x,
                          int64_t channels)
{
    int64_t n, u, v;

    find(g, tile, &n, &u, &v);
    if (n < g->s.N)
        fetch(x, g->s.H, g->s.W, channels, n, u + OUT - g->s.top, v + OUT - g->s.left);
}

void winograd_fetch_in(const struct winograd_grid *g, int64_t tile, const float *y,
                       int64_t channels)
{
    int64_t n, u, v;

    find(g, tile, &n, &u, &v);
    if (n < g->s.N)
        fetch(y, g->s.OH, g->s.OW, channels, n, u, v);
}

void winograd_in(const struct winograd_grid *g, int64_t tile, int64_t channels, int64_t at[4])
{
    const struct dnn_conv *s = &g->s;
    int64_t n, u, v;

    find(g, tile, &n, &u, &v);
    for (int64_t r = 0; r < OUT; r++)
        for (int64_t c = 0; c < OUT; c++)
            at[r * OUT + c] = u + r < s->OH && v + c < s->OW
                                  ? ((n * s->OH + u + r) * s->OW + v + c) * channels
                                  : -1;
}

IMGEN_CLONES void winograd_from_x(float *restrict out, int64_t step,
                                  const float *const x[WINOGRAD_PLACES], int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[IN][IN];

#pragma GCC unroll 4
        for (int c = 0; c < IN; c++) {
            float a = x[c][i], b = x[IN + c][i], d = x[2 * IN + c][i], e = x[3 * IN + c][i];

            t[0][c] = a - d;
            t[1][c] = b + d;
            t[2][c] = d - b;
            t[3][c] = b - e;
        }
#pragma GCC unroll 4
        for (int r = 0; r < IN; r++) {
            out[(r * IN) * step + i] = t[r][0] - t[r][2];
            out[(r * IN + 1) * step + i] = t[r][1] + t[r][2];
            out[(r * IN + 2) * step + i] = t[r][2] - t[r][1];
            out[(r * IN + 3) * step + i] = t[r][1] - t[r][3];
        }
    }
}

IMGEN_CLONES static void to_y(float *y0, float *y1, float *y2, float *y3, const float *restrict m,
                              int64_t step, const float *restrict bias, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[OUT][IN];

#pragma GCC unroll 4
        for (int c = 0; c < IN; c++) {
            float b = m[(IN + c) * step + i], d = m[(2 * IN + c) * step + i];

            t[0][c] = m[c * step + i] + b + d;
            t[1][c] = b - d - m[(3 * IN + c) * step + i];
        }
        y0[i] = t[0][0] + t[0][1] + t[0][2] + bias[i];
        y1[i] = t[0][1] - t[0][2] - t[0][3] + bias[i];
        y2[i] = t[1][0] + t[1][1] + t[1][2] + bias[i];
        y3[i] = t[1][1] - t[1][2] - t[1][3] + bias[i];
    }
}

void winograd_to_y(float *const y[4], const float *m, int64_t step, const float *bias, int64_t n)
{
    to_y(y[0], y[1], y[2], y[3], m, step, bias, n);
}

IMGEN_CLONES void winograd_from_dy(float *restrict out, int64_t step, const float *const dy[4],
                                   int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[IN][OUT];

#pragma GCC unroll 2
        for (int c = 0; c < OUT; c++) {
            float a = dy[c][i], b = dy[OUT + c][i];

            t[0][c] = a;
            t[1][c] = a + b;
            t[2][c] = a - b;
            t[3][c] = -b;
        }
#pragma GCC unroll 4
        for (int r = 0; r < IN; r++) {
            out[(r * IN) * step + i] = t[r][0];
            out[(r * IN + 1) * step + i] = t[r][0] + t[r][1];
            out[(r * IN + 2) * step + i] = t[r][0] - t[r][1];
            out[(r * IN + 3) * step + i] = -t[r][1];
        }
    }
}

IMGEN_CLONES void winograd_from_w(float *restrict out, int64_t step, const float *restrict w,
                                  int64_t ky_step, int64_t kx_step, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[IN][TAPS];

#pragma GCC unroll 3
        for (int c = 0; c < TAPS; c++) {
            float a = w[c * kx_step + i], b = w[ky_step + c * kx_step + i];
            float d = w[2 * ky_step + c * kx_step + i];

            t[0][c] = a;
            t[1][c] = 0.5f * (a + d + b);
            t[2][c] = 0.5f * (a + d - b);
            t[3][c] = d;
        }
#pragma GCC unroll 4
        for (int r = 0; r < IN; r++) {
            out[(r * IN) * step + i] = t[r][0];
            out[(r * IN + 1) * step + i] = 0.5f * (t[r][0] + t[r][2] + t[r][1]);
            out[(r * IN + 2) * step + i] = 0.5f * (t[r][0] + t[r][2] - t[r][1]);
            out[(r * IN + 3) * step + i] = t[r][2];
        }
    }
}

IMGEN_CLONES void winograd_to_dw(float *restrict dw, int64_t tap_step, const float *restrict s,
                                 int64_t step, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[TAPS][IN];

#pragma GCC unroll 4
        for (int c = 0; c < IN; c++) {
            float b = s[(IN + c) * step + i], d = s[(2 * IN + c) * step + i];

            t[0][c] = s[c * step + i] + 0.5f * (b + d);
            t[1][c] = 0.5f * (b - d);
            t[2][c] = 0.5f * (b + d) + s[(3 * IN + c) * step + i];
        }
#pragma GCC unroll 3
        for (int r = 0; r < TAPS; r++) {
            dw[(r * TAPS) * tap_step + i] = t[r][0] + 0.5f * (t[r][1] + t[r][2]);
            dw[(r * TAPS + 1) * tap_step + i] = 0.5f * (t[r][1] - t[r][2]);
            dw[(r * TAPS + 2) * tap_step + i] = 0.5f * (t[r][1] + t[r][2]) + t[r][3];
        }
    }
}
