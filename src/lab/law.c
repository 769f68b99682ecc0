/*
 * law.c - laws of labelled points in the plane, each with its exact fields
 *
 * A laboratory is worth something when the right answer is known.  Every law here is either a
 * mixture of Gaussians (mixture.c) or even over the cells of a grid (board.c), so that density,
 * velocity, score and posterior means are exact for all of them, also for moons, spirals and a
 * user's picture.  Curves are given by small Gaussians strung along them, closer than they are
 * wide: that is the law itself, not an approximation of another.
 */
#include "lab/law.h"

#include "base/memory.h"
#include "lab/law_file.h"
#include "lab/law_picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double pi = 3.14159265358979323846;

/* ---- Built in ---- */

enum { PARTS = 96 };

/* Parts being gathered. */
struct parts {
    int n;
    double weight[PARTS], mean[2 * PARTS], cov[4 * PARTS];
    int32_t label[PARTS];
};

/* A Gaussian at (x, y) with deviation `along` in the direction `angle` and `across` it. */
static void part_add(struct parts *p, double weight, double x, double y, double along,
                     double across, double angle, int32_t label)
{
    double c = cos(angle), s = sin(angle), a = along * along, b = across * across;
    double *cov = p->cov + 4 * p->n;

    MUST(p->n < PARTS, "more than %d parts", PARTS);
    p->weight[p->n] = weight;
    p->mean[2 * p->n] = x;
    p->mean[2 * p->n + 1] = y;
    cov[0] = a * c * c + b * s * s;
    cov[1] = cov[2] = (a - b) * c * s;
    cov[3] = a * s * s + b * c * c;
    p->label[p->n++] = label;
}

static enum status parts_done(struct law *l, const struct parts *p, struct error *err)
{
    return law_of_mixture(l, p->n, p->weight, p->mean, p->cov, p->label, err);
}

static enum status make_pair(struct law *l, struct error *err)
{
    struct parts p = {0};

    part_add(&p, 0.5, -1, 0, 0.75, 0.75, 0, 0);
    part_add(&p, 0.5, 1, 0, 0.5, 0.5, 0, 1);
    return parts_done(l, &p, err);
}

static enum status make_petals(struct law *l, struct error *err)
{
    struct parts p = {0};

    for (int k = 0; k < 3; k++) {
        double angle = pi / 2 + 2 * pi * k / 3;

        part_add(&p, 1, 1.1 * cos(angle), 1.1 * sin(angle), 0.7, 0.28, angle, k);
    }
    return parts_done(l, &p, err);
}

static enum status make_ring(struct law *l, struct error *err)
{
    struct parts p = {0};

    for (int k = 0; k < 8; k++)
        part_add(&p, 1, 2 * cos(pi * k / 4), 2 * sin(pi * k / 4), 0.22, 0.22, 0, k % 4);
    return parts_done(l, &p, err);
}

static enum status make_moons(struct law *l, struct error *err)
{
    enum { EACH = 24 };
    struct parts p = {0};

    for (int label = 0; label < 2; label++)
        for (int k = 0; k < EACH; k++) {
            double angle = pi * (k + 0.5) / EACH, side = label ? -1 : 1;

            part_add(&p, 1, 1.4 * side * (cos(angle) - 0.5), 1.4 * side * (sin(angle) - 0.25), 0.12,
                     0.12, 0, label);
        }
    return parts_done(l, &p, err);
}

static enum status make_spirals(struct law *l, struct error *err)
{
    enum { EACH = 48 };
    struct parts p = {0};

    for (int label = 0; label < 2; label++)
        for (int k = 0; k < EACH; k++) {
            double turn = 0.6 + 2.6 * sqrt((k + 0.5) / EACH) * pi; /* even along the arm */
            double radius = 0.255 * turn, angle = turn + pi * label;

            part_add(&p, 1, radius * cos(angle), radius * sin(angle), 0.11, 0.06,
                     angle + atan(turn), label); /* along the tangent of r = c turn */
        }
    return parts_done(l, &p, err);
}

static enum status make_checkerboard(struct law *l, struct error *err)
{
    enum { SIDE = 4 };
    double weight[BOARD_LABELS * SIDE * SIDE] = {0};

    for (int r = 0; r < SIDE; r++)
        for (int q = 0; q < SIDE; q++)
            if ((r + q) % 2)
                weight[((r / 2 + q / 2) % 2 * SIDE + r) * SIDE + q] = 1;
    l->is_board = true;
    l->n_labels = 2;
    l->reach = 2;
    return board_init(&l->board, SIDE, SIDE, 2, -2, -2, 1, weight, err);
}

static const struct law_kind kinds[] = {
    {{.name = "petals", .summary = "three long Gaussians that meet in the middle, a label each"},
     make_petals},
    {{.name = "pair", .summary = "two round Gaussians of different width, a label each"},
     make_pair},
    {{.name = "ring", .summary = "eight round Gaussians on a circle, four labels"}, make_ring},
    {{.name = "moons", .summary = "two half circles, one in the other's arms, a label each"},
     make_moons},
    {{.name = "spirals", .summary = "two arms of a spiral, a label each"}, make_spirals},
    {{.name = "checkerboard",
      .aliases = {"chessboard"},
      .summary = "eight of sixteen squares, two labels"},
     make_checkerboard},
};

const struct law_kind *law_kind_at(int i)
{
    return i >= 0 && i < (int)(sizeof kinds / sizeof *kinds) ? &kinds[i] : NULL;
}

static const struct choice *choice_of_kind(int i)
{
    return law_kind_at(i) ? &law_kind_at(i)->is : NULL;
}

/* ---- Opening ---- */

/* How far along an axis three deviations of any part reach, at most. */
static double mixture_reach(const struct mixture *m)
{
    double reach = 0;

    for (int k = 0; k < m->parts; k++)
        for (int i = 0; i < 2; i++)
            reach = fmax(reach, fabs(m->mean[2 * k + i]) + 3 * sqrt(m->cov[4 * k + 3 * i]));
    return fmax(reach, 0.1);
}

enum status law_of_mixture(struct law *l, int parts, const double *weight, const double *mean,
                           const double *cov, const int32_t *label, struct error *err)
{
    double *shares = NULL, sum = 0;
    enum status st;

    if ((st = mem_new((void **)&shares, (uint64_t)parts, sizeof(*shares), "a mixture", err)))
        return st;
    for (int k = 0; k < parts; k++)
        sum += weight[k];
    for (int k = 0; k < parts; k++) {
        shares[k] = weight[k] / sum;
        l->n_labels = label[k] >= l->n_labels ? label[k] + 1 : l->n_labels;
    }
    if (!(st = mixture_init(&l->mixture, 2, parts, shares, mean, cov, label, err)))
        l->reach = mixture_reach(&l->mixture);
    free(shares);
    return st;
}

static bool ends_in(const char *word, const char *const *endings)
{
    for (size_t n = strlen(word); *endings; endings++)
        if (n > strlen(*endings) && !strcasecmp(word + n - strlen(*endings), *endings))
            return true;
    return false;
}

enum status law_open(struct law *l, const char *word, struct error *err)
{
    static const char *const texts[] = {".ini", ".json", NULL};
    static const char *const pictures[] = {".png", ".jpg", ".jpeg", ".webp", NULL};
    enum status st;
    int i;

    *l = (struct law){0};
    if ((st = mem_text(&l->name, word, err)))
        return st;
    if (ends_in(word, texts))
        return law_read_file(l, word, err);
    if (ends_in(word, pictures))
        return law_read_picture(l, word, err);
    if ((st = choice_find(&i, "law", word, choice_of_kind, err)))
        return st;
    return law_kind_at(i)->make(l, err);
}

void law_release(struct law *l)
{
    free(l->name);
    mixture_release(&l->mixture);
    board_release(&l->board);
    memset(l, 0, sizeof(*l));
}

/* ---- Asking ---- */

enum status law_at(struct mixture_value *v, const struct law *l, const struct path_coefs *c,
                   const double x[2], int32_t y, struct error *err)
{
    return l->is_board ? board_at(v, &l->board, c, x, y, err)
                       : mixture_at(v, &l->mixture, c, x, y, err);
}

double law_prior(const struct law *l, int32_t y)
{
    return l->is_board ? board_prior(&l->board, y) : mixture_prior(&l->mixture, y);
}

enum status law_check_label(const struct law *l, int64_t y, struct error *err)
{
    if (y == LAW_ANY || (y >= 0 && y < l->n_labels && law_prior(l, (int32_t)y) > 0))
        return OK;
    return fail(err, E_ARG, "the law %s has no label %lld: its labels are 0 .. %d", l->name,
                (long long)y, l->n_labels - 1);
}

int32_t law_sample(double z[2], const struct law *l, int32_t y, struct rng *r)
{
    return l->is_board ? board_sample(z, &l->board, y, r) : mixture_sample(z, &l->mixture, y, r);
}

void law_moments(double mean[2], double cov[4], const struct law *l, const struct path_coefs *c,
                 int32_t y)
{
    if (!l->is_board) {
        MUST(!mixture_moments(mean, cov, &l->mixture, c, y, NULL), "a law without label %d",
             (int)y);
        return;
    }
    board_moments(mean, cov, &l->board, y);
    for (int i = 0; i < 2; i++)
        mean[i] *= c->alpha;
    for (int i = 0; i < 4; i++)
        cov[i] = c->alpha * c->alpha * cov[i] + (i % 3 == 0 ? c->beta * c->beta : 0);
}

/* ---- As a predictor ---- */

static enum status branch(const struct law_oracle *o, double *out, const double *x,
                          const struct path_coefs *c, bool guided, struct error *err)
{
    enum status failed = OK;

#pragma omp parallel for schedule(static) num_threads(o->threads)
    for (int64_t i = 0; i < o->rows; i++) {
        struct mixture_value v;
        struct error mine = {0};
        enum status st = law_at(&v, o->law, c, x + 2 * i, guided ? o->label[i] : LAW_ANY, &mine);

        memcpy(out + 2 * i, v.field[o->predicts], 2 * sizeof(*out));
        if (st) {
#pragma omp critical(law_oracle_failed)
            {
                failed = st;
                if (err)
                    *err = mine;
            }
        }
    }
    return failed;
}

static enum status predict(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err)
{
    struct law_oracle *o = self;
    struct path_coefs c = path_at(&o->path, t);
    enum status st = OK;

    if (branches & BRANCH_UNGUIDED) {
        st = branch(o, out, x, &c, false, err);
        out += 2 * o->rows;
    }
    if (!st && branches & BRANCH_GUIDED)
        st = branch(o, out, x, &c, true, err);
    return st;
}

struct predictor predictor_of_law(struct law_oracle *o)
{
    return (struct predictor){predict, o, o->rows, 2};
}
