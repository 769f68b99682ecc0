/*
 * test_latent_space.c - an orthonormal autoencoder changes nothing: theory.md 6.1, S31
 *
 * P has orthonormal columns; the encoder is its transpose, the decoder P itself.  Pictures are a
 * mixture in six dimensions that lies in the plane of the columns, N(P m, P C P^T) part by part,
 * and their latents the mixture of (m, C) in two.  Noise in the plane is the noise of latents, so
 * all of it must agree, point by point and not on the average: paths and targets, every field at
 * points that lie off the plane too, guidance, and the trajectory of every solver at every step,
 * those of the SDE included.  The law of what is decoded is that of the pictures.
 */
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { D = 6, L = 2 };

static double P[D][L];
static struct mixture latents, pictures;

/* --- the autoencoder ----------------------------------------------------------------------------
 */

static void encode(double z[L], const double x[D])
{
    for (int l = 0; l < L; l++) {
        z[l] = 0;
        for (int k = 0; k < D; k++)
            z[l] += P[k][l] * x[k];
    }
}

static void decode(double x[D], const double z[L])
{
    for (int k = 0; k < D; k++) {
        x[k] = 0;
        for (int l = 0; l < L; l++)
            x[k] += P[k][l] * z[l];
    }
}

/* P C P^T. */
static void decode_covariance(double out[D * D], const double c[L * L])
{
    double half[D][L]; /* P C */

    for (int k = 0; k < D; k++)
        for (int l = 0; l < L; l++)
            half[k][l] = P[k][0] * c[l] + P[k][1] * c[L + l];
    for (int k = 0; k < D; k++)
        decode(out + k * D, half[k]);
}

/* Gram and Schmidt, twice over, so that rounding is all that is left of what was not orthogonal. */
static void draw_columns(void)
{
    struct rng r = rng_stream(61, RNG_TEST, 0);

    for (int k = 0; k < D * L; k++)
        P[k / L][k % L] = rng_normal(&r);
    for (int turn = 0; turn < 2; turn++)
        for (int l = 0; l < L; l++) {
            double along = 0, square = 0;

            for (int k = 0; k < D && l; k++)
                along += P[k][0] * P[k][l];
            for (int k = 0; k < D; k++) {
                P[k][l] -= along * P[k][0];
                square += P[k][l] * P[k][l];
            }
            for (int k = 0; k < D; k++)
                P[k][l] /= sqrt(square);
        }
}

/* The mixture that is decoded part by part: mean P m, covariance P C P^T. */
static void decode_mixture(struct mixture *out, const struct mixture *m)
{
    double mean[8 * D], cov[8 * D * D];

    assert_true(m->parts <= 8);
    for (int k = 0; k < m->parts; k++) {
        decode(mean + k * D, m->mean + k * L);
        decode_covariance(cov + k * D * D, m->cov + k * L * L);
    }
    assert_int_equal(mixture_init(out, D, m->parts, m->weight, mean, cov, m->label, NULL), OK);
}

static int setup(void **state)
{
    (void)state;
    draw_columns();
    mixture_plane(&latents);
    decode_mixture(&pictures, &latents);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mixture_release(&latents);
    mixture_release(&pictures);
    return 0;
}

static void near_all(const double *got, const double *want, int n, double e, const char *what)
{
    for (int k = 0; k < n; k++)
        near(got[k], want[k], e, what);
}

/* --- data, paths and targets --------------------------------------------------------------------
 */

/* z = (E(x) - shift) scale and back: (6.1). */
static void test_round_trip(void **state)
{
    const double scale = 1.5305, shift = 0.0609;
    struct rng r = rng_stream(62, RNG_TEST, 0);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        double x[D], z[L], again[D];

        mixture_sample(z, &latents, MIXTURE_ANY, &r);
        decode(x, z);
        encode(z, x);
        for (int l = 0; l < L; l++) {
            z[l] = (z[l] - shift) * scale;
            z[l] = z[l] / scale + shift;
        }
        decode(again, z);
        near_all(again, x, D, 1e-12, "a picture");
    }
}

/* E(alpha z + beta eps) = alpha E(z) + beta E(eps), and so for the velocity that is learned. */
static void test_paths_and_targets(void **state)
{
    struct rng r = rng_stream(63, RNG_TEST, 0);

    (void)state;
    for (int i = 0; i < N_PATHS * 20; i++) {
        struct path path = path_number(i % N_PATHS);
        struct path_coefs c = path_at(&path, 0.02 + 0.96 * rng_uniform(&r));
        double z[D], eps[D], x[D], u[D], ez[L], eeps[L], want[L], got[L];

        mixture_sample(z, &pictures, MIXTURE_ANY, &r);
        for (int k = 0; k < D; k++) {
            eps[k] = rng_normal(&r);
            x[k] = c.alpha * z[k] + c.beta * eps[k];
            u[k] = c.dalpha * z[k] + c.dbeta * eps[k];
        }
        encode(ez, z);
        encode(eeps, eps);
        for (int l = 0; l < L; l++)
            want[l] = c.alpha * ez[l] + c.beta * eeps[l];
        encode(got, x);
        near_all(got, want, L, 1e-12, "a point of the path");
        for (int l = 0; l < L; l++)
            want[l] = c.dalpha * ez[l] + c.dbeta * eeps[l];
        encode(got, u);
        near_all(got, want, L, 1e-12, "its velocity");
    }
}

/* --- fields -------------------------------------------------------------------------------------
 */

/* At x, wherever it lies: what is encoded of a field is the latents' field at what is encoded of x,
 * and the picture expected is the decoded latent expected. */
static void check_fields(const struct path_coefs *c, const double x[D], int32_t y)
{
    struct mixture_value of, at;
    double z[L], got[D], beside = 0, expected[D];

    encode(z, x);
    assert_int_equal(mixture_at(&of, &pictures, c, x, y, NULL), OK);
    assert_int_equal(mixture_at(&at, &latents, c, z, y, NULL), OK);
    encode(got, of.u);
    near_all(got, at.u, L, 1e-9, "velocity");
    encode(got, of.s);
    near_all(got, at.s, L, 1e-9, "score");
    encode(got, of.eps);
    near_all(got, at.eps, L, 1e-9, "noise");
    decode(expected, at.z);
    near_all(of.z, expected, D, 1e-9, "picture");
    /* Beside the plane there is noise alone: 4 dimensions of N(0, beta^2). */
    decode(got, z);
    for (int k = 0; k < D; k++)
        beside += (x[k] - got[k]) * (x[k] - got[k]);
    near(of.log_p,
         at.log_p - beside / (2 * c->beta * c->beta) -
             (D - L) * (log(c->beta) + 0.5 * log(8 * atan(1))),
         1e-8, "log p");
}

static void test_fields(void **state)
{
    static const int32_t labels[] = {MIXTURE_ANY, 0, 1, 2};
    struct rng r = rng_stream(64, RNG_TEST, 0);

    (void)state;
    for (int i = 0; i < N_PATHS * 20; i++) {
        struct path path = path_number(i % N_PATHS);
        struct path_coefs c = path_at(&path, 0.02 + 0.96 * rng_uniform(&r));
        double z[L], x[D];

        mixture_sample(z, &latents, MIXTURE_ANY, &r);
        decode(x, z);
        for (int k = 0; k < D; k++)
            x[k] = c.alpha * x[k] + c.beta * rng_normal(&r);
        for (int y = 0; y < 4; y++)
            check_fields(&c, x, labels[y]);
    }
}

/* --- trajectories -------------------------------------------------------------------------------
 */

enum { ROWS = 3, STEPS = 12 };

/* A run, and every state it passed; dim numbers a row.  Noise is drawn for pictures: latents see
 * what is encoded of it. */
struct track {
    int dim;
    double at[STEPS][ROWS * D];
};

static void draw(void *self, double *out, int64_t step)
{
    const struct track *t = self;
    double noise[ROWS * D];

    noise_draw(&(struct noise_of){65, ROWS, D}, noise, step);
    for (int i = 0; i < ROWS; i++)
        if (t->dim == D)
            memcpy(out + i * D, noise + i * D, D * sizeof *out);
        else
            encode(out + i * L, noise + i * D);
}

static bool keep(void *self, const struct sampling_progress *p)
{
    struct track *t = self;

    memcpy(t->at[p->step - 1], p->x, (size_t)(ROWS * t->dim) * sizeof *p->x);
    return true;
}

static void run(struct track *t, double *x, const struct mixture *m, const struct path *path,
                const struct sampler *sampler)
{
    static const int32_t label[ROWS] = {0, 1, 2};
    static const double scale[ROWS] = {1, 3, 0};
    struct mixture_oracle oracle = {.mixture = m, .path = *path, .rows = ROWS, .label = label};
    struct guidance guidance;
    struct field field = {.path = *path, .guidance = &guidance};
    double times[STEPS + 1];
    struct sampling_request request = {.sampler = sampler,
                                       .times = times,
                                       .steps = STEPS,
                                       .field = &field,
                                       .draw = draw,
                                       .draw_self = t,
                                       .progress = keep,
                                       .self = t};
    struct error err = {0};
    struct grid grid;

    t->dim = m->dim;
    choice_defaults(request.values, &sampler->is);
    assert_int_equal(diffusion_find(&request.diffusion.kind, "constant", NULL), OK);
    request.diffusion.scale = 0.3;
    if (grid_init(&grid, "uniform", &err) || grid_fill(times, &grid, STEPS, 0.05, 0.95, &err) ||
        guidance_init(&guidance, predictor_of_mixture(&oracle), scale, NULL, &err) ||
        sampling_run(x, &request, NULL, &err))
        fail_msg("%s: %s", sampler->is.name, err.text);
    guidance_release(&guidance);
}

/* Guided and not, every solver of fixed steps on three paths; adaptive ones measure their error in
 * all dimensions of what they are given and choose other times, and a variance is nothing that the
 * mixture says. */
static void test_trajectories(void **state)
{
    static const char *const paths[] = {"condot", "cosine", "vp_linear"};

    (void)state;
    for (int p = 0; p < 3; p++)
        for (int k = 0; sampler_at(k); k++) {
            struct path path = path_named(paths[p]);
            struct track of, at;
            double x[ROWS * D], z[ROWS * L], got[L];

            if (sampler_at(k)->adaptive || sampler_at(k)->of_variance)
                continue;
            for (int i = 0; i < ROWS; i++) {
                sampling_start(x + i * D, &path, 66, (uint64_t)i, D);
                encode(z + i * L, x + i * D);
            }
            run(&of, x, &pictures, &path, sampler_at(k));
            run(&at, z, &latents, &path, sampler_at(k));
            for (int s = 0; s < STEPS; s++)
                for (int i = 0; i < ROWS; i++) {
                    encode(got, of.at[s] + i * D);
                    near_all(got, at.at[s] + i * L, L, 1e-9, sampler_at(k)->is.name);
                }
        }
}

/* To the end: Euler's last step on the straight path takes away all that lies beside the plane, so
 * that the picture made is the decoded latent made. */
static void test_decoded(void **state)
{
    struct path path = path_named("condot");
    double x[ROWS * D], z[ROWS * L], want[D];

    (void)state;
    for (int i = 0; i < ROWS; i++) {
        sampling_start(x + i * D, &path, 67, (uint64_t)i, D);
        encode(z + i * L, x + i * D);
    }
    solve(x, ROWS, &pictures, &path, 1, 3, "euler", 20, 0, 1);
    solve(z, ROWS, &latents, &path, 1, 3, "euler", 20, 0, 1);
    for (int i = 0; i < ROWS; i++) {
        decode(want, z + i * L);
        near_all(x + i * D, want, D, 1e-9, "the picture made");
    }
}

/* --- laws ---------------------------------------------------------------------------------------
 */

/* The law of decoded latents, label by label, at the end of every path: its moments are those of
 * the pictures. */
static void test_law(void **state)
{
    (void)state;
    for (int p = 0; p < N_PATHS; p++)
        for (int32_t y = MIXTURE_ANY; y <= 2; y++) {
            struct path path = path_number(p);
            struct path_coefs c = path_at(&path, 1);
            double mean[D], cov[D * D], m[L], s[L * L], want_mean[D], want_cov[D * D];

            c.beta = 0; /* some paths end with a little noise, which latents have less of */
            assert_int_equal(mixture_moments(mean, cov, &pictures, &c, y, NULL), OK);
            assert_int_equal(mixture_moments(m, s, &latents, &c, y, NULL), OK);
            decode(want_mean, m);
            decode_covariance(want_cov, s);
            near_all(mean, want_mean, D, 1e-12, "mean");
            near_all(cov, want_cov, D * D, 1e-12, "covariance");
            near(mixture_prior(&pictures, 0), mixture_prior(&latents, 0), 1e-15, "prior");
        }
}

/* Made in latents that were scaled and shifted, (6.1), and decoded: 20000 pictures have the law of
 * the data in every direction of the space. */
static void test_law_of_samples(void **state)
{
    enum { N = 20000 };
    const double scale = 1.5305, shift = 0.0609;
    struct path path = path_named("condot");
    struct path_coefs end = path_at(&path, 1);
    double mean[5 * L], cov[5 * L * L], want[D], spread[D * D];
    double sum[D] = {0}, square[D * D] = {0}, *z = calloc(N * L, sizeof *z);
    struct mixture scaled;

    (void)state;
    for (int k = 0; k < 5 * L; k++)
        mean[k] = (latents.mean[k] - shift) * scale;
    for (int k = 0; k < 5 * L * L; k++)
        cov[k] = latents.cov[k] * scale * scale;
    assert_int_equal(mixture_init(&scaled, L, 5, latents.weight, mean, cov, latents.label, NULL),
                     OK);
    for (int i = 0; i < N; i++)
        sampling_start(z + i * L, &path, 68, (uint64_t)i, L);
    solve(z, N, &scaled, &path, MIXTURE_ANY, 0, "heun", 60, 0, 1);
    assert_int_equal(mixture_moments(want, spread, &pictures, &end, MIXTURE_ANY, NULL), OK);
    for (int i = 0; i < N; i++) {
        double x[D], at[L] = {z[i * L] / scale + shift, z[i * L + 1] / scale + shift};

        decode(x, at);
        for (int k = 0; k < D; k++)
            sum[k] += x[k] / N;
        for (int k = 0; k < D * D; k++)
            square[k] += (x[k / D] - want[k / D]) * (x[k % D] - want[k % D]) / N;
    }
    for (int k = 0; k < D; k++)
        assert_true(fabs(sum[k] - want[k]) <= 5 * sqrt(spread[k * D + k] / N) + 0.005);
    for (int k = 0; k < D * D; k++)
        assert_true(fabs(square[k] - spread[k]) <= 0.05);
    mixture_release(&scaled);
    free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_paths_and_targets),
        cmocka_unit_test(test_fields),         cmocka_unit_test(test_trajectories),
        cmocka_unit_test(test_decoded),        cmocka_unit_test(test_law),
        cmocka_unit_test(test_law_of_samples),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
