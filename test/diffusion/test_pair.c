/*
 * test_pair.c - two predictors as one, and the perturbed branch, where everything is known
 *
 * Exact fields of mixtures stand for the two models, in every pair of predictions; a predictor that
 * is linear in x stands for a network with a perturbed branch.
 */
#include "diffusion/field.h"
#include "support/mixtures.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 5, DIM = 2, N = ROWS * DIM };

static const int32_t labels[ROWS] = {0, 1, 2, 1, 0};
static const int32_t none[ROWS] = {MIXTURE_ANY, MIXTURE_ANY, MIXTURE_ANY, MIXTURE_ANY, MIXTURE_ANY};
static const double scales[ROWS] = {0, 1, 2, 0.5, 7};

static void draw_points(double *x, int64_t n)
{
    struct rng r = rng_stream(17, RNG_TEST, 0);

    for (int64_t i = 0; i < n; i++)
        x[i] = 1.5 * rng_normal(&r);
}

/* --- two models ---------------------------------------------------------------------------------
 */

static struct mixture_oracle oracle_of(const struct mixture *m, const struct path *path,
                                       enum prediction p, const int32_t *label)
{
    return (struct mixture_oracle){
        .mixture = m, .path = *path, .predicts = p, .label = label, .rows = ROWS};
}

static void guided_by(double *out, struct predictor of, const struct path *path,
                      enum prediction predicts, const char *kind, const double *x, double t)
{
    struct guidance_how how = guidance_plain();
    struct guidance g;
    struct field f = {.path = *path, .predicts = predicts, .guidance = &g};
    double w[ROWS];

    assert_int_equal(guidance_kind_find(&how.kind, kind, NULL), OK);
    choice_defaults(how.values, &how.kind->is);
    for (int i = 0; i < ROWS; i++)
        w[i] = how.kind->from_zero ? scales[i] / 7 : scales[i];
    assert_int_equal(guidance_init(&g, of, w, &how, NULL), OK);
    assert_int_equal(field_predict(&f, PREDICT_DATA, out, x, t, NULL), OK);
    guidance_release(&g);
}

/* A model that knows labels and one that does not are what one model with both branches is,
 * whatever the two predict, for every kind of guidance. */
static void test_any_two_predictions(void **state)
{
    static const char *const paths[] = {"condot", "cosine", "vp_linear"};
    struct mixture m;
    double x[N], want[N], got[N];

    (void)state;
    mixture_plane(&m);
    draw_points(x, N);
    for (int i = 0; i < 3 * N_PREDICTIONS * N_PREDICTIONS; i++) {
        struct path path = path_named(paths[i % 3]);
        enum prediction a = (enum prediction)(i / 3 % N_PREDICTIONS);
        enum prediction b = (enum prediction)(i / 3 / N_PREDICTIONS);
        struct mixture_oracle one = oracle_of(&m, &path, b, labels);
        struct mixture_oracle guide = oracle_of(&m, &path, a, none);
        struct mixture_oracle model = oracle_of(&m, &path, b, labels);
        struct predictor_pair pair = {predictor_of_mixture(&guide), predictor_of_mixture(&model),
                                      path, a, b};

        for (int k = 0; guidance_kind_at(k); k++) {
            const char *kind = guidance_kind_at(k)->is.name;

            guided_by(want, predictor_of_mixture(&one), &path, b, kind, x, 0.6);
            guided_by(got, predictor_of_pair(&pair), &path, b, kind, x, 0.6);
            for (int j = 0; j < N; j++)
                near(got[j], want[j], 1e-9, kind);
        }
    }
    mixture_release(&m);
}

/* Where the guide tells nothing of what the model predicts, the model stands in for it. */
static void test_singular_ends(void **state)
{
    const struct {
        enum prediction guide, model;
        double t;
    } ends[] = {{PREDICT_NOISE, PREDICT_VELOCITY, 0},     {PREDICT_SCORE, PREDICT_VELOCITY, 0},
                {PREDICT_NOISE, PREDICT_DATA, 0.005},     {PREDICT_DATA, PREDICT_VELOCITY, 1},
                {PREDICT_NOISE, PREDICT_VELOCITY, 0.005}, {PREDICT_DATA, PREDICT_NOISE, 1}};
    struct path path = path_named("condot");
    struct mixture m;
    double x[N], want[N], got[3 * N];

    (void)state;
    mixture_plane(&m);
    draw_points(x, N);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct mixture_oracle guide = oracle_of(&m, &path, ends[i].guide, none);
        struct mixture_oracle model = oracle_of(&m, &path, ends[i].model, labels);
        struct predictor_pair pair = {predictor_of_mixture(&guide), predictor_of_mixture(&model),
                                      path, ends[i].guide, ends[i].model};
        struct predictor alone = pair.guided, both = predictor_of_pair(&pair);

        assert_int_equal(alone.predict(alone.self, want, x, ends[i].t, BRANCH_GUIDED, NULL), OK);
        assert_int_equal(both.predict(both.self, got, x, ends[i].t, BRANCH_BOTH, NULL), OK);
        assert_memory_equal(got, want, sizeof want);
        assert_memory_equal(got + N, want, sizeof want);
        assert_int_equal(guide.calls, 0);
        assert_int_equal(both.predict(both.self, got, x, 0.5, BRANCH_BOTH, NULL), OK);
        assert_int_equal(guide.calls, 1);
    }
    mixture_release(&m);
}

/* Autoguidance between N(m, v) and a worse N(m, u): the guided flow ends with variance
 * u^(1 - w) v^w (theory.md 3.8), also where the worse one predicts noise. */
static void test_autoguidance_of_gaussians(void **state)
{
    const double v = 0.5, u = 0.9, mean = 0.7;
    static const int32_t label[2] = {0, 0};
    struct path path = path_named("condot");
    struct mixture good, bad;

    (void)state;
    mixture_single(&good, mean, v);
    mixture_single(&bad, mean, u);
    for (int i = 0; i < 6; i++) {
        enum prediction predicts = i % 2 ? PREDICT_NOISE : PREDICT_VELOCITY;
        double w = i / 2 == 0 ? 1 : i / 2 == 1 ? 2 : 3;
        struct mixture_oracle a = {
            .mixture = &bad, .path = path, .predicts = predicts, .label = label, .rows = 2};
        struct mixture_oracle b = {.mixture = &good, .path = path, .label = label, .rows = 2};
        struct predictor_pair pair = {predictor_of_mixture(&a), predictor_of_mixture(&b), path,
                                      predicts, PREDICT_VELOCITY};
        struct guidance g;
        struct field field = {.path = path, .guidance = &g};
        struct sampling_request request = {.steps = 400, .field = &field};
        double x[2] = {-1, 1}, both[2] = {w, w}, times[401];

        for (int k = 0; k <= 400; k++)
            times[k] = k / 400.0;
        request.times = times;
        assert_int_equal(sampler_find(&request.sampler, "rk4", NULL), OK);
        assert_int_equal(guidance_init(&g, predictor_of_pair(&pair), both, NULL, NULL), OK);
        assert_int_equal(sampling_run(x, &request, NULL, NULL), OK);
        near((x[1] - x[0]) * (x[1] - x[0]) / 4, pow(u, 1 - w) * pow(v, w), i % 2 ? 1e-3 : 1e-6,
             "variance");
        near((x[0] + x[1]) / 2, mean, 1e-6, "mean");
        guidance_release(&g);
    }
    mixture_release(&good);
    mixture_release(&bad);
}

/* --- the perturbed branch -----------------------------------------------------------------------
 */

/* f = a x + b, with another a and b in each branch, and what was asked. */
struct linear_net {
    unsigned asked;
    int calls;
};

static double linear(unsigned branch, double x, int64_t i)
{
    const double a = branch == BRANCH_UNGUIDED ? 0.3 : branch == BRANCH_GUIDED ? 0.7 : 0.45;

    return a * x + (double)branch * cos((double)i);
}

static enum status linear_predict(void *self, double *out, const double *x, double t,
                                  unsigned branches, struct error *err)
{
    struct linear_net *net = self;

    (void)t;
    (void)err;
    net->asked = branches;
    net->calls++;
    for (unsigned b = BRANCH_UNGUIDED; b <= BRANCH_PERTURBED; b <<= 1)
        if (branches & b) {
            for (int64_t i = 0; i < N; i++)
                out[i] = linear(b, x[i], i);
            out += N;
        }
    return OK;
}

static struct guidance_how perturbed(double s)
{
    struct guidance_how how = guidance_plain();

    how.perturbed = s;
    return how;
}

static unsigned ask(double *out, const double *w, const struct guidance_how *how, const double *x,
                    double t, int64_t evaluations)
{
    struct linear_net net = {0};
    struct path path = path_named("condot");
    struct path_coefs c = path_at(&path, t);
    enum prediction is;
    struct guidance g;

    assert_int_equal(
        guidance_init(&g, (struct predictor){linear_predict, &net, ROWS, DIM}, w, how, NULL), OK);
    assert_int_equal(guidance_predict(&g, out, &is, NULL, NULL, x, &c, PREDICT_VELOCITY, NULL), OK);
    assert_int_equal(is, PREDICT_VELOCITY);
    assert_int_equal(g.evaluations, evaluations);
    guidance_release(&g);
    return net.asked;
}

/* g = (1 - w) u + w c + s (c - p), written out. */
static void test_formula(void **state)
{
    static const double ones[ROWS] = {1, 1, 1, 1, 1}, zeros[ROWS] = {0};
    const double s = 1.5;
    struct guidance_how how = perturbed(s);
    double x[N], out[N];

    (void)state;
    draw_points(x, N);
    assert_int_equal(ask(out, scales, &how, x, 0.4, 3), BRANCH_ALL);
    for (int i = 0; i < N; i++) {
        double u = linear(BRANCH_UNGUIDED, x[i], i), c = linear(BRANCH_GUIDED, x[i], i);
        double p = linear(BRANCH_PERTURBED, x[i], i), w = scales[i / DIM];

        near(out[i], (1 - w) * u + w * c + s * (c - p), 1e-14, "w and s");
    }
    assert_int_equal(ask(out, ones, &how, x, 0.4, 2), BRANCH_GUIDED | BRANCH_PERTURBED);
    for (int i = 0; i < N; i++)
        near(out[i],
             (1 + s) * linear(BRANCH_GUIDED, x[i], i) - s * linear(BRANCH_PERTURBED, x[i], i),
             1e-14, "s alone");
    assert_int_equal(ask(out, zeros, &how, x, 0.4, 3), BRANCH_ALL);
}

/* s = 0 asks for nothing more and changes no bit; outside the interval so does every s. */
static void test_nothing(void **state)
{
    struct guidance_how how = perturbed(0);
    double x[N], want[N], got[N];

    (void)state;
    draw_points(x, N);
    assert_int_equal(ask(want, scales, NULL, x, 0.4, 2), BRANCH_BOTH);
    assert_int_equal(ask(got, scales, &how, x, 0.4, 2), BRANCH_BOTH);
    assert_memory_equal(got, want, sizeof want);
    how.from = 0.5;
    assert_int_equal(ask(want, scales, &how, x, 0.4, 2), BRANCH_BOTH);
    how.perturbed = 3;
    assert_int_equal(ask(got, scales, &how, x, 0.4, 2), BRANCH_BOTH);
    assert_memory_equal(got, want, sizeof want);
    how.perturbed = -1;
    assert_int_equal(guidance_init(&(struct guidance){0},
                                   (struct predictor){linear_predict, NULL, ROWS, DIM}, scales,
                                   &how, NULL),
                     E_ARG);
    how.perturbed = (double)NAN;
    assert_int_equal(guidance_init(&(struct guidance){0},
                                   (struct predictor){linear_predict, NULL, ROWS, DIM}, scales,
                                   &how, NULL),
                     E_ARG);
}

/* To every kind the same s (c - p) is added, in the units that the kind combines; what waits is not
 * moved by it, and a rescaled result has the deviation of the guided branch. */
static void test_with_every_kind(void **state)
{
    struct path path = path_named("condot");
    struct path_coefs c = path_at(&path, 0.4);
    double x[N], plain[N], out[N], w[ROWS];

    (void)state;
    draw_points(x, N);
    for (int k = 0; guidance_kind_at(k); k++) {
        struct guidance_how how = perturbed(0);
        double of_x, of_have;

        how.kind = guidance_kind_at(k);
        choice_defaults(how.values, &how.kind->is);
        for (int i = 0; i < ROWS; i++)
            w[i] = how.kind->from_zero ? scales[i] / 7 : scales[i];
        for (int s = 0; s < 2; s++) {
            struct linear_net net = {0};
            struct guidance g;
            enum prediction is;

            how.perturbed = s;
            assert_int_equal(guidance_init(&g, (struct predictor){linear_predict, &net, ROWS, DIM},
                                           w, &how, NULL),
                             OK);
            assert_int_equal(guidance_predict(&g, s ? out : plain, &is, NULL, NULL, x, &c,
                                              PREDICT_VELOCITY, NULL),
                             OK);
            assert_int_equal(prediction_coefs(&of_x, &of_have, is, PREDICT_VELOCITY, &c, NULL), OK);
            guidance_release(&g);
        }
        for (int i = 0; i < N; i++)
            near(out[i] - plain[i],
                 of_have * (linear(BRANCH_GUIDED, x[i], i) - linear(BRANCH_PERTURBED, x[i], i)),
                 1e-12, how.kind->is.name);
    }
}

static void test_waits_and_rescales(void **state)
{
    static const double two[ROWS] = {2, 2, 2, 2, 2};
    struct guidance_how how = perturbed(2);
    double x[N], out[N];

    (void)state;
    draw_points(x, N);
    assert_int_equal(guidance_kind_find(&how.kind, "cfg_zero_star", NULL), OK);
    choice_defaults(how.values, &how.kind->is);
    assert_int_equal(choice_set(how.values, &how.kind->is, "wait", 0.5, NULL), OK);
    ask(out, two, &how, x, 0.4, 3);
    for (int i = 0; i < N; i++)
        assert_true(out[i] == 0);
    how = perturbed(2);
    how.rescale = 1;
    ask(out, two, &how, x, 0.4, 3);
    for (int i = 0; i < N; i += DIM) {
        double a = linear(BRANCH_GUIDED, x[i], i), b = linear(BRANCH_GUIDED, x[i + 1], i + 1);

        near(fabs(out[i] - out[i + 1]), fabs(a - b), 1e-12, "deviation");
    }
}

/* The pair hands the perturbed branch to the model and never to the guide. */
static void test_pair_perturbed(void **state)
{
    struct linear_net guide = {0}, model = {0};
    struct predictor_pair pair = {.unguided = {linear_predict, &guide, ROWS, DIM},
                                  .guided = {linear_predict, &model, ROWS, DIM}};
    struct predictor both = predictor_of_pair(&pair);
    double x[N], out[3 * N];

    (void)state;
    draw_points(x, N);
    assert_int_equal(both.predict(both.self, out, x, 0.5, BRANCH_ALL, NULL), OK);
    assert_int_equal(guide.asked, BRANCH_GUIDED);
    assert_int_equal(model.asked, BRANCH_GUIDED | BRANCH_PERTURBED);
    for (int i = 0; i < N; i++) {
        assert_true(out[i] == linear(BRANCH_GUIDED, x[i], i));
        assert_true(out[N + i] == linear(BRANCH_GUIDED, x[i], i));
        assert_true(out[2 * N + i] == linear(BRANCH_PERTURBED, x[i], i));
    }
    assert_int_equal(both.predict(both.self, out, x, 0.5, BRANCH_UNGUIDED, NULL), OK);
    assert_int_equal(model.calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_two_predictions),
        cmocka_unit_test(test_singular_ends),
        cmocka_unit_test(test_autoguidance_of_gaussians),
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_with_every_kind),
        cmocka_unit_test(test_waits_and_rescales),
        cmocka_unit_test(test_pair_perturbed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
