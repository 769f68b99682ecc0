/*
 * unipc.c - predict with the past, correct with what the next step asks for anyway
 *
 * The predictor extrapolates the data prediction over log(alpha / beta), as DPM-Solver++ does.
 * When the network is then asked at the new point, its answer also tells how far the predictor was
 * off: the last step is made again with that answer as one more node, and the step after starts
 * from the better point, with the answer as it is.  One evaluation a step, one order more.
 *
 * With h the step in lambda and hh = -h, both sides are  base - alpha' B sum rho_j D_j,  where
 * base = (beta' / beta) x - alpha' (e^hh - 1) z, B = e^hh - 1, D_j divided differences of z, and
 * rho solves a Vandermonde system whose right side integrates the powers exactly.
 *
 * The ends are those of dpmpp.c; orders fall towards the end, where nothing corrects any more.
 * sampling.md 2.3; Zhao et al. 2023, "UniPC".
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

#include <math.h>
#include <string.h>

enum { ORDER };
enum { ORDER_MAX = 3 };

static const struct option unipc_options[] = {
    {.name = "order",
     .help = "order of the predictor, 1 to 3",
     .type = OPTION_REAL,
     .offset = ORDER * sizeof(double),
     .fallback = "2",
     .lo = 1,
     .hi = ORDER_MAX},
    {0},
};

/* work: [0] the newest prediction, [1] and [2] older ones, [3] the one before those, [4] the point
 * from which the last step began. */
struct unipc {
    struct path_coefs at[ORDER_MAX + 1]; /* where the predictions were made */
    int have;                            /* how many of them may be used    */
    int order;                           /* of the last predictor; 0: nothing to correct */
};

/* rho of n nodes r: sum_j r_j^(i-1) rho_j = phi_i i! / B, by elimination (n <= 3, r distinct). */
static void weights(double *rho, const double *r, int n, double hh)
{
    double m[ORDER_MAX][ORDER_MAX + 1], B = expm1(hh), phi = B / hh - 1, factorial = 1;

    for (int i = 0; i < n; i++) {
        factorial *= i + 1;
        for (int j = 0; j < n; j++)
            m[i][j] = pow(r[j], i);
        m[i][n] = phi * factorial / B;
        phi = phi / hh - 1 / (factorial * (i + 2));
    }
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++) {
            double f = i == k ? 0 : m[i][k] / m[k][k];

            for (int j = k; j <= n; j++)
                m[i][j] -= f * m[k][j];
        }
    for (int i = 0; i < n; i++)
        rho[i] = m[i][n] / m[i][i];
}

/* out = a step of x from `from` to `to`, z made at `from`; older[j], made at at[j], are the past.
 * newest, when not NULL, was made at `to`: then this is the corrector.  out may be x. */
static void advance(struct sampling *s, double *out, const double *x, const double *z,
                    const struct path_coefs *from, const struct path_coefs *to,
                    double *const *older, const struct path_coefs *at, int order,
                    const double *newest)
{
    double h = to->half_log_snr - from->half_log_snr, rho[ORDER_MAX] = {0}, r[ORDER_MAX];
    double B = from->alpha * to->beta / (from->beta * to->alpha) - 1, keep = to->beta / from->beta;
    int nodes = order - 1;

    for (int j = 0; j < nodes; j++)
        r[j] = (at[j].half_log_snr - from->half_log_snr) / h;
    r[nodes] = 1;
    if (newest && order == 1)
        rho[0] = 0.5;
    else if (newest)
        weights(rho, r, order, -h);
    else if (order == 2)
        rho[0] = 0.5;
    else if (order > 2)
        weights(rho, r, nodes, -h);
    for (int64_t i = 0; i < s->n; i++) {
        double sum = newest ? rho[nodes] * (newest[i] - z[i]) : 0;

        for (int j = 0; j < nodes; j++)
            sum += rho[j] * (older[j][i] - z[i]) / r[j];
        out[i] = keep * x[i] - to->alpha * B * (z[i] + sum);
    }
}

/* Make the last step again, now that the prediction at its end is known. */
static void correct(struct sampling *s, struct unipc *mine, const struct path_coefs *here)
{
    if (mine->order)
        advance(s, s->x, s->work[4], s->work[1], &mine->at[0], here, &s->work[2], &mine->at[1],
                mine->order, s->work[0]);
}

static void remember(struct sampling *s, struct unipc *mine, const struct path_coefs *here)
{
    double *oldest = s->work[3];

    memmove(&s->work[1], &s->work[0], 3 * sizeof s->work[0]);
    s->work[0] = oldest;
    memmove(&mine->at[1], &mine->at[0], ORDER_MAX * sizeof mine->at[0]);
    mine->at[0] = *here;
    mine->have += mine->have < ORDER_MAX;
}

static int order_now(const struct sampling *s, const struct unipc *mine)
{
    int order = (int)lround(s->values[ORDER]), left = sampling_left(s);

    order = order < mine->have + 1 ? order : mine->have + 1;
    return order < left ? order : left;
}

static enum status unipc_step(struct sampling *s, double t, double next, struct error *err)
{
    struct path_coefs c = sampling_path(s, t), d = sampling_path(s, next);
    struct unipc *mine = s->memory;
    enum status st;
    int order;

    if ((st = sampling_data_noise(s, s->work[0], NULL, s->x, t, err)))
        return st;
    if (d.beta == 0) {
        vec_copy(s->x, s->work[0], s->n);
        return OK;
    }
    correct(s, mine, &c);
    vec_copy(s->work[4], s->x, s->n);
    order = order_now(s, mine);
    advance(s, s->x, s->work[4], s->work[0], &c, &d, &s->work[1], &mine->at[0], order, NULL);
    mine->order = c.alpha > 0 ? order : 0;
    if (c.alpha > 0)
        remember(s, mine, &c);
    return OK;
}

const struct sampler sampler_unipc = {
    .is = {.name = "unipc",
           .aliases = {"uni_pc", "unipc_bh2"},
           .summary = "predictor and corrector in one evaluation a step: best with few steps",
           .paper = "Zhao et al. 2023",
           .options = unipc_options},
    .order = 2,
    .evaluations = 1,
    .on_data = true,
    .work = 5,
    .memory = sizeof(struct unipc),
    .step = unipc_step,
};
