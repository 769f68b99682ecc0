/*
 * board.c - labelled points spread evenly over the cells of a grid, whose fields are known in
 * closed form
 *
 * Where data are even over a square, everything separates into two lines: along each, a cell [a, b]
 * seen through x = alpha z + beta eps has the density (1/h) times the integral of N(x; alpha z,
 * beta^2) over z, and z given x is a normal variable of mean m = x / alpha and deviation tau = beta
 * / alpha, cut to [a, b].  Mass and mean of a cut normal are known:
 *
 *     P = Phi(B) - Phi(A),     E z = m + tau (phi(A) - phi(B)) / P,     A, B = (a - m, b - m) / tau
 *
 * A point needs the masses of each row and each column once, and then two numbers a cell.  From the
 * posterior mean of the data all other fields follow by table 2.4, without dividing by alpha.
 *
 * Three cases keep it exact.  Far out, where Phi rounds to 0 or 1, both are written with Mills'
 * ratio R = (1 - Phi) / phi, which is a plain number there.  Where a cell is much narrower than tau
 * (all of them near t = 0, down to alpha = 0), differences would cancel: the density is linear over
 * such a cell.  And sixty widths from the board products of exponentials underflow: the sum is then
 * made anew in logarithms, cell by cell.  theory.md 2.4, 4.1.
 */
#include "lab/board.h"

#include "base/memory.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status board_init(struct board *b, int rows, int columns, int n_labels, double left,
                       double bottom, double cell, const double *weight, struct error *err)
{
    int64_t cells = (int64_t)rows * columns;
    double sum = 0;
    enum status st;

    *b = (struct board){rows, columns, n_labels, left, bottom, cell, NULL, NULL};
    if (rows < 1 || rows > BOARD_SIDE || columns < 1 || columns > BOARD_SIDE || n_labels < 1 ||
        n_labels > BOARD_LABELS || !(cell > 0))
        return fail(err, E_ARG, "a board of %d x %d cells and %d labels", rows, columns, n_labels);
    if ((st = mem_new((void **)&b->weight, (uint64_t)(n_labels * cells), sizeof(double), "a board",
                      err)) ||
        (st = mem_new((void **)&b->total, (uint64_t)cells, sizeof(double), "a board", err)))
        return st;
    for (int64_t i = 0; i < n_labels * cells; i++) {
        if (!isfinite(weight[i]) || weight[i] < 0)
            return fail(err, E_ARG, "the weight of cell %lld of a board is %g",
                        (long long)(i % cells), weight[i]);
        sum += weight[i];
    }
    if (!(sum > 0))
        return fail(err, E_ARG, "no cell of the board has any weight");
    for (int64_t i = 0; i < n_labels * cells; i++) {
        b->weight[i] = weight[i] / sum;
        b->total[i % cells] += b->weight[i];
    }
    return OK;
}

void board_release(struct board *b)
{
    free(b->weight);
    free(b->total);
    memset(b, 0, sizeof(*b));
}

static const double *weights_of(const struct board *b, int32_t y)
{
    return y == MIXTURE_ANY ? b->total : b->weight + (int64_t)y * b->rows * b->columns;
}

double board_prior(const struct board *b, int32_t y)
{
    double sum = 0;

    if (y != MIXTURE_ANY && (y < 0 || y >= b->n_labels))
        return 0;
    for (int i = 0; i < b->rows * b->columns; i++)
        sum += weights_of(b, y)[i];
    return sum;
}

/* ---- One line ---- */

static const double log_root_2_pi = 0.91893853320467274178;

/* (1 - Phi(a)) / phi(a) for a >= 0: a continued fraction where erfc alone would lose all digits. */
static double mills(double a)
{
    double r = 0;

    if (a < 4)
        return 1.2533141373155003 * erfc(a * 0.70710678118654752440) * exp(0.5 * a * a);
    for (int k = 60; k > 0; k--)
        r = k / (a + r);
    return 1 / (a + r);
}

/* log density at x of one cell [a, a + h], and E[z | x] in it.  beta > 0. */
static void cell_at(double *log_p, double *mean, double a, double h, double x,
                    const struct path_coefs *c)
{
    double width = h * c->alpha / c->beta, middle = a + h / 2;
    double off = (x - c->alpha * middle) / c->beta;
    double A = (c->alpha * a - x) / c->beta, B = A + width;

    if (width * fmax(1, fabs(off)) < 1e-3) {
        *log_p =
            -0.5 * off * off - log_root_2_pi - log(c->beta) + width * width * (off * off - 1) / 24;
        *mean = middle + off * width * h / 12;
        return;
    }
    if (A < 0 && B > 0) {
        double mass = 0.5 * (erf(B * 0.70710678118654752440) - erf(A * 0.70710678118654752440));
        double ends = exp(-0.5 * A * A - log_root_2_pi) - exp(-0.5 * B * B - log_root_2_pi);

        *log_p = log(mass) - log(h * c->alpha);
        *mean = (x + c->beta * ends / mass) / c->alpha;
    } else {
        /* mirrored so that the cell lies above */
        double lo = A >= 0 ? A : -B, hi = lo + width, fall = exp(-0.5 * (hi - lo) * (hi + lo));
        double rest = mills(lo) - fall * mills(hi);

        *log_p = -0.5 * lo * lo - log_root_2_pi + log(rest) - log(h * c->alpha);
        *mean = (x + (A >= 0 ? 1 : -1) * c->beta * (1 - fall) / rest) / c->alpha;
    }
    *mean = fmin(fmax(*mean, a), a + h); /* rounding may leave the cell */
}

struct line {
    double log_p[BOARD_SIDE], mean[BOARD_SIDE], p[BOARD_SIDE]; /* p: relative to exp(top) */
    double top;
};

static void line_at(struct line *l, double first, double cell, int n, double x,
                    const struct path_coefs *c)
{
    l->top = -DBL_MAX;
    for (int i = 0; i < n; i++) {
        cell_at(&l->log_p[i], &l->mean[i], first + i * cell, cell, x, c);
        l->top = fmax(l->top, l->log_p[i]);
    }
    for (int i = 0; i < n; i++)
        l->p[i] = exp(l->log_p[i] - l->top);
}

/* ---- Fields ---- */

/* Sum over the cells of weight, and of weight times z, as products; *top: in units of exp(*top). */
static double sum_products(double z[2], double *top, const struct board *b, const double *weight,
                           const struct line *x, const struct line *y)
{
    double sum = 0;

    z[0] = z[1] = 0;
    *top = x->top + y->top;
    for (int r = 0; r < b->rows; r++) {
        double row = 0, row_x = 0;

        for (int q = 0; q < b->columns; q++) {
            double w = weight[r * b->columns + q] * x->p[q];

            row += w;
            row_x += w * x->mean[q];
        }
        sum += row * y->p[r];
        z[0] += row_x * y->p[r];
        z[1] += row * y->p[r] * y->mean[r];
    }
    return sum;
}

/* The same where the products underflow. */
static double sum_logarithms(double z[2], double *top, const struct board *b, const double *weight,
                             const struct line *x, const struct line *y)
{
    double sum = 0;

    z[0] = z[1] = 0;
    *top = -DBL_MAX;
    for (int i = 0; i < b->rows * b->columns; i++)
        if (weight[i] > 0)
            *top = fmax(*top, log(weight[i]) + y->log_p[i / b->columns] + x->log_p[i % b->columns]);
    for (int i = 0; i < b->rows * b->columns; i++) {
        int r = i / b->columns, q = i % b->columns;
        double w = weight[i] > 0 ? exp(log(weight[i]) + y->log_p[r] + x->log_p[q] - *top) : 0;

        sum += w;
        z[0] += w * x->mean[q];
        z[1] += w * y->mean[r];
    }
    return sum;
}

/* At beta = 0 the point is the data point. */
static void at_data(struct mixture_value *v, const struct board *b, const struct path_coefs *c,
                    const double x[2], const double *weight, double prior)
{
    double column = floor((x[0] / c->alpha - b->left) / b->cell);
    double row = floor((x[1] / c->alpha - b->bottom) / b->cell);
    bool on = column >= 0 && column < b->columns && row >= 0 && row < b->rows;
    double w = on ? weight[(int)row * b->columns + (int)column] : 0;

    v->log_p = log(w / prior) - 2 * log(b->cell * c->alpha);
    for (int i = 0; i < 2; i++) {
        v->z[i] = x[i] / c->alpha;
        v->u[i] = c->dalpha * v->z[i];
    }
    mixture_value_complete(v, c, 2);
}

enum status board_at(struct mixture_value *v, const struct board *b, const struct path_coefs *c,
                     const double x[2], int32_t y, struct error *err)
{
    double prior = board_prior(b, y), top, sum, z[2];
    const double *weight;
    struct line along, up;

    memset(v, 0, sizeof(*v));
    if (!(prior > 0))
        return fail(err, E_ARG, "no cell of the board has the label %d", (int)y);
    weight = weights_of(b, y);
    if (c->beta <= 0) {
        at_data(v, b, c, x, weight, prior);
        return OK;
    }
    line_at(&along, b->left, b->cell, b->columns, x[0], c);
    line_at(&up, b->bottom, b->cell, b->rows, x[1], c);
    sum = sum_products(z, &top, b, weight, &along, &up);
    if (!(sum > 1e-200))
        sum = sum_logarithms(z, &top, b, weight, &along, &up);
    v->log_p = top + log(sum) - log(prior);
    for (int i = 0; i < 2; i++) {
        v->z[i] = z[i] / sum;
        v->eps[i] = (x[i] - c->alpha * v->z[i]) / c->beta;
        v->s[i] = -v->eps[i] / c->beta;
        v->u[i] = c->dalpha * v->z[i] - c->beta_dbeta * v->s[i];
    }
    mixture_value_complete(v, c, 2);
    return OK;
}

/* ---- The law ---- */

int32_t board_sample(double z[2], const struct board *b, int32_t y, struct rng *r)
{
    int cells = b->rows * b->columns, first = y == MIXTURE_ANY ? 0 : y * cells;
    int end = y == MIXTURE_ANY ? b->n_labels * cells : first + cells, at = -1;
    double left = rng_uniform(r) * board_prior(b, y);

    for (int i = first; i < end; i++)
        if (b->weight[i] > 0) {
            at = i; /* the last one stands when rounding leaves a rest */
            if (left < b->weight[i])
                break;
            left -= b->weight[i];
        }
    MUST(at >= 0, "no cell of the board has the label %d", (int)y);
    z[0] = b->left + (at % cells % b->columns + rng_uniform(r)) * b->cell;
    z[1] = b->bottom + (at % cells / b->columns + rng_uniform(r)) * b->cell;
    return at / cells;
}

void board_moments(double mean[2], double cov[4], const struct board *b, int32_t y)
{
    const double *weight = weights_of(b, y);
    double prior = board_prior(b, y), second[3] = {0};

    mean[0] = mean[1] = 0;
    for (int i = 0; i < b->rows * b->columns; i++) {
        double w = weight[i] / prior, own = b->cell * b->cell / 12;
        double x = b->left + (i % b->columns + 0.5) * b->cell;
        double z = b->bottom + (i / b->columns + 0.5) * b->cell;

        mean[0] += w * x;
        mean[1] += w * z;
        second[0] += w * (x * x + own);
        second[1] += w * x * z;
        second[2] += w * (z * z + own);
    }
    cov[0] = second[0] - mean[0] * mean[0];
    cov[1] = cov[2] = second[1] - mean[0] * mean[1];
    cov[3] = second[2] - mean[1] * mean[1];
}
