/*
 * test_latent_law.c - latents measured, previewed and shifted, against sums taken plainly
 */
#include "train/latent_law.h"

#include "io/image.h"
#include "support/networks.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PICTURES = 40, SIDE = 16, FACTOR = 2, PLACES = 8 * 8, CELLS = PICTURES * PLACES };
enum { CODES = 5, COLOURS = 3 };

static const char *const gaussian[] = {"size=16",  "channels=3", "latent_channels=5", "width=4",
                                       "mult=1,2", "blocks=1",   "groups=2",          NULL};
static const char *const plain[] = {
    "size=16", "channels=3", "latent_channels=5", "width=4", "levels=1", "blocks=1", NULL};

struct bench {
    struct network *net;
    struct dataset *set;
    struct graph *graph;
    float z[CELLS * CODES], log_variance[CELLS * CODES], colour[CELLS * COLOURS];
};

/* Latents of the set's first pictures, and the mean colour under each. */
static void encode_plainly(struct bench *b)
{
    static float pixels[SIDE * SIDE * COLOURS], code[PLACES * 2 * CODES];
    int64_t row = b->net->io.gaussian ? 2 * CODES : CODES;

    memset(b->colour, 0, sizeof b->colour);
    for (int64_t i = 0; i < PICTURES; i++) {
        struct tensor *c;

        assert_int_equal(dataset_get(b->set, i, pixels, NULL, NULL, NULL), OK);
        graph_reset(b->graph);
        c = autoencoder_encode(b->graph, b->net,
                               graph_input(b->graph, SHAPE(1, SIDE, SIDE, COLOURS), pixels));
        graph_keep(b->graph, c);
        assert_int_equal(graph_run(b->graph, NULL), OK);
        graph_read(b->graph, c, code);
        for (int64_t k = 0; k < PLACES * row; k++) {
            float *to = k % row < CODES ? b->z : b->log_variance;

            to[(i * PLACES + k / row) * CODES + k % row % CODES] = code[k];
        }
        for (int64_t k = 0; k < SIDE * SIDE * COLOURS; k++) {
            int64_t y = k / COLOURS / SIDE / FACTOR, x = k / COLOURS % SIDE / FACTOR;

            b->colour[(i * PLACES + y * 8 + x) * COLOURS + k % COLOURS] +=
                pixels[k] / (FACTOR * FACTOR);
        }
    }
}

static void bench_init(struct bench *b, const char *kind, const char *const *settings)
{
    const struct dataset_config c = {.format = "shapes", .size = SIDE, .seed = 3};
    struct error err = {0};

    if (network_of(&b->net, kind, settings, true, &err))
        fail_msg("%s", err.text);
    network_fill(b->net, 4);
    assert_int_equal(dataset_open(&b->set, &c, NULL), OK);
    assert_int_equal(graph_new(&b->graph, 0, 2, NULL), OK);
    encode_plainly(b);
}

static void bench_free(struct bench *b)
{
    graph_free(b->graph);
    dataset_close(b->set);
    network_free(b->net);
}

static struct latent_survey survey_of(const struct bench *b)
{
    return (struct latent_survey){
        .net = b->net, .set = b->set, .graph = b->graph, .limit = PICTURES, .batch = 7};
}

static void check_moments(const struct bench *b, const struct latent_law *l)
{
    for (int c = 0; c < CODES; c++) {
        double mean = 0, square = 0, noise = 0, deviation;

        for (int i = c; i < CELLS * CODES; i += CODES) {
            mean += (double)b->z[i] / CELLS;
            square += (double)b->z[i] * (double)b->z[i] / CELLS;
            noise += b->net->io.gaussian ? exp((double)b->log_variance[i]) / CELLS : 0;
        }
        deviation = sqrt(square - mean * mean + noise);
        assert_true(fabs(l->mean[c] - mean) < 1e-6 * deviation);
        assert_true(fabs(l->deviation[c] - deviation) < 1e-6 * deviation);
    }
}

/* The best linear view leaves errors that are orthogonal to all it knows; the network must tell the
 * same numbers as the law. */
static void check_preview(const struct bench *b, const struct latent_law *l)
{
    static float z[CELLS * CODES], seen[CELLS * COLOURS];
    double left = 0, total = 0;

    memcpy(z, b->z, sizeof z);
    latents_scale(b->net, z, CELLS);
    latents_preview(b->net, seen, z, CELLS);
    for (int k = 0; k < COLOURS; k++) {
        double sum = 0, mean = 0, with[CODES] = {0};

        for (int i = 0; i < CELLS; i++)
            mean += (double)b->colour[i * COLOURS + k] / CELLS;
        for (int i = 0; i < CELLS; i++) {
            double colour = (double)b->colour[i * COLOURS + k];
            double error = (double)seen[i * COLOURS + k] - colour;

            sum += error / CELLS;
            left += error * error;
            total += (colour - mean) * (colour - mean);
            for (int c = 0; c < CODES; c++)
                with[c] += error * (double)z[i * CODES + c] / CELLS;
        }
        assert_true(fabs(sum) < 1e-5);
        for (int c = 0; c < CODES; c++)
            assert_true(fabs(with[c]) < 1e-5);
    }
    assert_true(fabs(l->unexplained - left / total) < 1e-4);
    assert_true(l->unexplained < 1);
}

static void check_density(const struct latent_law *l)
{
    for (int64_t c = 0; c < l->channels; c++) {
        double sum = 0;

        for (int k = 0; k < LATENT_BINS; k++)
            sum += l->density[c * LATENT_BINS + k] * 2 * LATENT_REACH / LATENT_BINS;
        assert_true(sum > 0.95 && sum < 1 + 1e-9);
    }
}

static void check_kind(const char *kind, const char *const *settings)
{
    static struct bench b;
    struct latent_law l;
    struct latent_survey s;

    bench_init(&b, kind, settings);
    s = survey_of(&b);
    assert_int_equal(latent_law_measure(&l, &s, NULL), OK);
    assert_int_equal(l.pictures, PICTURES);
    check_moments(&b, &l);
    assert_int_equal(latent_law_apply(&l, b.net, NULL), OK);
    check_preview(&b, &l);
    check_density(&l);
    latent_law_release(&l);
    bench_free(&b);
}

static void test_measure(void **state)
{
    (void)state;
    check_kind("vae", gaussian);
    check_kind("tae", plain);
}

/* A channel that says nothing is not blown up, and the preview does without it. */
static void test_dead(void **state)
{
    static struct bench b;
    struct param *weight, *bias;
    struct latent_survey s;
    struct latent_law l;

    (void)state;
    bench_init(&b, "tae", plain);
    weight = params_find(b.net->params, "encoder.4.weight");
    bias = params_find(b.net->params, "encoder.4.bias");
    assert_true(weight && bias && weight->shape.dim[0] == CODES);
    memset(weight->value, 0, sizeof(float) * (size_t)shape_count(weight->shape) / CODES);
    bias->value[0] = 0.5f;
    s = survey_of(&b);
    assert_int_equal(latent_law_measure(&l, &s, NULL), OK);
    assert_true(l.mean[0] == 0.5 && l.deviation[0] < 1e-6);
    assert_int_equal(latent_law_apply(&l, b.net, NULL), OK);
    assert_true(b.net->io.scale->at[0] == 1 && b.net->io.shift->at[0] == 0.5);
    for (int k = 0; k < COLOURS; k++)
        assert_true(fabs(b.net->io.preview->at[k]) < 1e-9);
    latent_law_release(&l);
    bench_free(&b);
}

/* All of it for a folder, by other weights than the network's own, which stay in use. */
static void test_settle(void **state)
{
    static struct bench b;
    char folder[TEMP_PATH], path[TEMP_PATH];
    struct latent_survey s;
    struct image drawn;
    float *zeros;

    (void)state;
    bench_init(&b, "vae", gaussian);
    zeros = calloc((size_t)params_n_values(b.net->params), sizeof *zeros);
    assert_non_null(zeros);
    temp_dir_new(folder);
    s = survey_of(&b);
    assert_int_equal(latent_law_settle(&s, b.net, zeros, folder, NULL), OK);
    assert_true(b.net->io.shift->n == CODES && b.net->io.shift->at[0] == 0);
    assert_true(params_at(b.net->params, 0)->value == params_at(b.net->params, 0)->own);
    assert_int_equal(image_read(&drawn, temp_path(path, folder, "latents.png"), NULL), OK);
    image_release(&drawn);
    temp_dir_remove(folder);
    free(zeros);
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_dead),
        cmocka_unit_test(test_settle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
