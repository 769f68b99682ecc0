/*
 * test_classifier_guidance.c - guidance by a classifier, where everything is known in closed form
 *
 * theory.md 4.3, I7: with the exact p_t(y | x), scale 1 gives the field of p(. | y), and any scale
 * gives what classifier-free guidance gives; here through the predictor that samplers are given,
 * for every path and prediction.
 */
#include "diffusion/classifier_guidance.h"
#include "diffusion/field.h"
#include "support/mixtures.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { DIM = 2, ROWS = 5, N = DIM * ROWS };

static const int32_t labels[ROWS] = {0, 1, 2, 1, 0};

/* The exact classifier of a mixture. */
struct exact {
    const struct mixture *mixture;
    struct path path;
    int calls;
};

static enum status exact_gradient(void *self, double *out, const double *x, double t,
                                  struct error *err)
{
    struct exact *e = self;
    struct path_coefs c = path_at(&e->path, t);

    e->calls++;
    for (int i = 0; i < ROWS; i++) {
        double log_p;
        enum status st =
            mixture_posterior(&log_p, out + i * DIM, e->mixture, &c, x + i * DIM, labels[i], err);

        if (st)
            return st;
    }
    return OK;
}

/* A predictor of the mixture under the labels `of`, pulled by `scale`. */
struct pulled {
    struct exact exact;
    struct mixture_oracle oracle;
    struct classifier_guidance guide;
};

static struct predictor pull(struct pulled *p, const struct mixture *m, const struct path *path,
                             enum prediction predicts, const int32_t *of, const double *scale)
{
    p->exact = (struct exact){m, *path, 0};
    p->oracle = (struct mixture_oracle){
        .mixture = m, .path = *path, .predicts = predicts, .label = of, .rows = ROWS};
    assert_int_equal(classifier_guidance_init(&p->guide, predictor_of_mixture(&p->oracle),
                                              (struct label_gradient){exact_gradient, &p->exact},
                                              path, predicts, scale, NULL),
                     OK);
    return predictor_of_classifier(&p->guide);
}

static void draw_points(double *x)
{
    struct rng r = rng_stream(21, RNG_TEST, 0);

    for (int i = 0; i < N; i++)
        x[i] = 1.5 * rng_normal(&r);
}

/* Unguided and pulled by s is classifier-free guidance of scale s; guided and pulled, of 1 + s. */
static void equals_classifier_free(void **state)
{
    static const double scales[ROWS] = {1, 0.5, 2, 7.5, 4};
    static const int32_t none[ROWS] = {MIXTURE_ANY, MIXTURE_ANY, MIXTURE_ANY, MIXTURE_ANY,
                                       MIXTURE_ANY};
    struct mixture m;
    double x[N];

    (void)state;
    mixture_plane(&m);
    draw_points(x);
    for (int p = 0; p < N_PATHS; p++)
        for (int predicts = 0; predicts < N_PREDICTIONS; predicts++)
            for (int conditional = 0; conditional < 2; conditional++) {
                const enum prediction is = (enum prediction)predicts;
                struct path path = path_number(p);
                struct path_coefs c = path_at(&path, 0.4);
                struct predictor of;
                struct pulled pulled;
                double got[N];

                of = pull(&pulled, &m, &path, is, conditional ? labels : none, scales);
                assert_int_equal(of.predict(of.self, got, x, 0.4, BRANCH_GUIDED, NULL), OK);
                for (int i = 0; i < ROWS; i++) {
                    double want[DIM], w = conditional + scales[i];
                    struct mixture_value any, with;

                    assert_int_equal(mixture_at(&any, &m, &c, x + i * DIM, MIXTURE_ANY, NULL), OK);
                    assert_int_equal(mixture_at(&with, &m, &c, x + i * DIM, labels[i], NULL), OK);
                    guidance_combine(want, any.field[is], with.field[is], w, DIM);
                    for (int k = 0; k < DIM; k++)
                        near(got[i * DIM + k], want[k], 1e-8, path.kind->is.name);
                }
                classifier_guidance_release(&pulled.guide);
            }
    mixture_release(&m);
}

/* Guidance of both branches, each pulled: (1 - w) u + w u(y) and as much pull as without w. */
static void adds_to_guidance(void **state)
{
    static const double scales[ROWS] = {1, 1, 3, 0, 2}, ws[ROWS] = {2, 0, 1, 3, 1.5};
    struct path path = path_named("condot");
    struct path_coefs c = path_at(&path, 0.6);
    enum prediction is;
    struct pulled pulled;
    struct predictor of;
    struct guidance g;
    struct mixture m;
    double x[N], got[N], log_p, grad[DIM];

    (void)state;
    mixture_plane(&m);
    draw_points(x);
    of = pull(&pulled, &m, &path, PREDICT_VELOCITY, labels, scales);
    assert_int_equal(guidance_init(&g, of, ws, NULL, NULL), OK);
    assert_int_equal(guidance_predict(&g, got, &is, NULL, NULL, x, &c, PREDICT_VELOCITY, NULL), OK);
    assert_int_equal(pulled.exact.calls, 1);
    for (int i = 0; i < ROWS; i++) {
        struct mixture_value any, with;

        assert_int_equal(mixture_at(&any, &m, &c, x + i * DIM, MIXTURE_ANY, NULL), OK);
        assert_int_equal(mixture_at(&with, &m, &c, x + i * DIM, labels[i], NULL), OK);
        assert_int_equal(mixture_posterior(&log_p, grad, &m, &c, x + i * DIM, labels[i], NULL), OK);
        for (int k = 0; k < DIM; k++)
            near(got[i * DIM + k],
                 (1 - ws[i]) * any.u[k] + ws[i] * with.u[k] + scales[i] * c.b * grad[k], 1e-9,
                 "both");
    }
    guidance_release(&g);
    classifier_guidance_release(&pulled.guide);
    mixture_release(&m);
}

/* Near noise, and where no row has a scale, the classifier is not asked and nothing changes; beside
 * rows that are pulled, a row of scale 0 keeps its bits. */
static void leaves_alone(void **state)
{
    static const double none[ROWS] = {0}, some[ROWS] = {0, 1, 0, 2, 0};
    struct path path = path_named("condot");
    struct mixture_oracle oracle;
    struct predictor of, plain;
    struct pulled pulled;
    struct mixture m;
    double x[N], got[N], want[N];

    (void)state;
    mixture_plane(&m);
    draw_points(x);
    of = pull(&pulled, &m, &path, PREDICT_VELOCITY, labels, some);
    oracle = pulled.oracle;
    plain = predictor_of_mixture(&oracle);
    for (int k = 0; k < 3; k++) {
        static const double times[] = {0, 0.9e-3, 0.5};

        assert_int_equal(of.predict(of.self, got, x, times[k], BRANCH_GUIDED, NULL), OK);
        assert_int_equal(plain.predict(plain.self, want, x, times[k], BRANCH_GUIDED, NULL), OK);
        assert_int_equal(pulled.exact.calls, k == 2);
        for (int i = 0; i < ROWS; i++) {
            bool same = !memcmp(got + i * DIM, want + i * DIM, DIM * sizeof *got);

            assert_true(same == (k < 2 || some[i] == 0));
        }
    }
    classifier_guidance_release(&pulled.guide);
    of = pull(&pulled, &m, &path, PREDICT_VELOCITY, labels, none);
    assert_int_equal(of.predict(of.self, got, x, 0.5, BRANCH_GUIDED, NULL), OK);
    assert_memory_equal(got, want, sizeof got);
    assert_int_equal(pulled.exact.calls, 0);
    classifier_guidance_release(&pulled.guide);
    mixture_release(&m);
}

static void refuses_scales(void **state)
{
    static const double bad[][ROWS] = {{1, -0.5, 1, 1, 1}, {1, 1, 1, 1, (double)NAN}, {HUGE_VAL}};
    struct path path = path_named("condot");
    struct mixture_oracle oracle = {.rows = ROWS};
    struct mixture m;

    (void)state;
    mixture_plane(&m);
    oracle.mixture = &m;
    for (int k = 0; k < 3; k++) {
        struct classifier_guidance c;
        struct error err = {0};

        assert_int_equal(classifier_guidance_init(&c, predictor_of_mixture(&oracle),
                                                  (struct label_gradient){exact_gradient, NULL},
                                                  &path, PREDICT_VELOCITY, bad[k], &err),
                         E_ARG);
        assert_non_null(strstr(err.text, "scale of picture"));
        classifier_guidance_release(&c);
    }
    mixture_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_classifier_free),
        cmocka_unit_test(adds_to_guidance),
        cmocka_unit_test(leaves_alone),
        cmocka_unit_test(refuses_scales),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
