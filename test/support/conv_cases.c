/*
 * conv_cases.c - convolution by its definition: a sum over the taps inside the picture
 */
#include "support/conv_cases.h"

struct conv_geometry conv_case_geometry(const struct check_case *c)
{
    return (struct conv_geometry){c->arg[0].i, c->arg[1].i, c->arg[2].i, c->arg[3].i, c->arg[4].i};
}

double conv_case_output(const double *const in[CHECK_INS], const struct check_case *c, int64_t n,
                        int64_t u, int64_t v, int64_t o)
{
    const int64_t *x = c->in[0].shape.dim, *w = c->in[1].shape.dim;
    struct conv_geometry p = conv_case_geometry(c);
    int64_t group = c->arg[5].i ? o / (w[0] / c->arg[5].i) : 0;
    double sum = in[2] ? in[2][o] : 0;

    for (int64_t ky = 0; ky < w[1]; ky++)
        for (int64_t kx = 0; kx < w[2]; kx++) {
            int64_t h = u * p.stride + ky - p.top, l = v * p.stride + kx - p.left;

            if (h < 0 || h >= x[1] || l < 0 || l >= x[2])
                continue;
            for (int64_t i = 0; i < w[3]; i++)
                sum += in[0][((n * x[1] + h) * x[2] + l) * x[3] + group * w[3] + i] *
                       in[1][((o * w[1] + ky) * w[2] + kx) * w[3] + i];
        }
    return sum;
}

void conv_case_ref(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    const int64_t *x = c->in[0].shape.dim, *w = c->in[1].shape.dim;
    struct conv_geometry p = conv_case_geometry(c);
    int64_t H = (x[1] + p.top + p.bottom - w[1]) / p.stride + 1;
    int64_t W = (x[2] + p.left + p.right - w[2]) / p.stride + 1;

    for (int64_t i = 0; i < x[0] * H * W * w[0]; i++)
        out[i] =
            conv_case_output(in, c, i / w[0] / W / H, i / w[0] / W % H, i / w[0] % W, i % w[0]);
}
