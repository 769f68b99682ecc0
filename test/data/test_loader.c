/*
 * test_loader.c - every picture once an epoch, exact resume, errors from the thread
 */
#include "base/memory.h"
#include "base/rng.h"
#include "data/loader.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 3 };

/* A set of 1 x 3 pictures that hold their own number: (i, i + 0.25, i + 0.5), label i % 7; picture
 * `broken` cannot be read. */
struct counting {
    int64_t broken;
};

static enum status counting_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                                char caption[CAPTION_TEXT], struct error *err)
{
    const struct counting *impl = d->impl;

    (void)caption;
    if (i == impl->broken) /* cmocka has a macro named fail */
        return (fail)(err, E_FORMAT, "picture %d is broken", (int)i);
    for (int k = 0; k < WIDTH; k++)
        pixels[k] = (float)i + 0.25f * (float)k;
    *label = (int32_t)(i % 7);
    return OK;
}

static const struct dataset_format counting = {.name = "counting", .get = counting_get};

static struct dataset counting_set(int64_t count, struct counting *impl)
{
    return (struct dataset){.format = &counting,
                            .count = count,
                            .height = 1,
                            .width = WIDTH,
                            .channels = 1,
                            .n_classes = 0,
                            .impl = impl};
}

static void every_index_once_an_epoch(void **state)
{
    const int64_t counts[] = {1, 2, 3, 5, 16, 17, 64, 1000, 4096, 4097};

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            int64_t n = counts[c];
            char *seen = calloc((size_t)n, 1);

            assert_non_null(seen);
            for (int64_t s = epoch * n; s < (epoch + 1) * n; s++) {
                int64_t i = loader_index(99, n, s);

                assert_true(i >= 0 && i < n && !seen[i]);
                seen[i] = 1;
            }
            free(seen);
        }
}

static void order_belongs_to_seed_and_epoch(void **state)
{
    const int64_t n = 1000;
    int fixed = 0, same_seed = 0, same_epoch = 0, neighbours = 0;

    (void)state;
    for (int64_t s = 0; s < n; s++) {
        int64_t i = loader_index(1, n, s);

        assert_true(i == loader_index(1, n, s));
        fixed += i == s;
        same_seed += i == loader_index(1, n, s + n);
        same_epoch += i == loader_index(2, n, s);
        neighbours += s && llabs(i - loader_index(1, n, s - 1)) <= 1;
    }
    /* Each has expectation 1 or 2 in a random order. */
    assert_true(fixed < 10 && same_seed < 10 && same_epoch < 10 && neighbours < 12);
}

/* Where the first sample of an epoch falls is uniform over 10 pictures: chi-square, 9 degrees. */
static void order_is_fair(void **state)
{
    int hits[10] = {0};
    double chi = 0;

    (void)state;
    for (int64_t epoch = 0; epoch < 10000; epoch++)
        hits[loader_index(5, 10, epoch * 10)]++;
    for (int i = 0; i < 10; i++)
        chi += (hits[i] - 1000.0) * (hits[i] - 1000.0) / 1000;
    assert_true(chi < 27.9); /* one in a thousand */
}

static void extremes_of_count(void **state)
{
    (void)state;
    assert_true(loader_index(3, INT64_MAX, 12345) == 12345);
    for (int64_t s = 0; s < 50; s++) {
        int64_t i = loader_index(3, INT64_MAX - 1, s);

        assert_true(i >= 0 && i < INT64_MAX - 1);
        assert_int_equal(loader_index(3, 1, s), 0);
    }
}

/* Batches follow loader_index, cross the ends of epochs, and keep picture and label together. */
static void batches_are_the_samples(void **state)
{
    struct counting impl = {-1};
    struct dataset d = counting_set(23, &impl);
    struct loader *l = NULL;
    struct batch b;
    struct error err = {0};

    (void)state;
    assert_int_equal(loader_new(&l, &d, 5, 42, 0, false, &err), OK);
    for (int64_t step = 0; step < 40; step++) {
        assert_int_equal(loader_next(l, &b, &err), OK);
        assert_true(b.n == 5 && b.first_sample == 5 * step);
        for (int64_t k = 0; k < b.n; k++) {
            int64_t i = loader_index(42, 23, b.first_sample + k);

            for (int64_t j = 0; j < WIDTH; j++)
                assert_true(b.pixels[k * WIDTH + j] == (float)i + 0.25f * (float)j);
            assert_int_equal(b.labels[k], i % 7);
        }
    }
    loader_free(l);
}

/* Whatever the batch size and the starting point, sample s is the same, mirrored or not. */
static void resume_is_exact(void **state)
{
    struct counting impl = {-1};
    struct dataset d = counting_set(31, &impl);
    float straight[300 * WIDTH];
    int32_t labels[300];
    struct loader *l = NULL;
    struct batch b;
    struct error err = {0};
    int mirrored = 0;

    (void)state;
    assert_int_equal(loader_new(&l, &d, 10, 7, 0, true, &err), OK);
    for (int64_t s = 0; s < 300; s += 10) {
        assert_int_equal(loader_next(l, &b, &err), OK);
        memcpy(straight + s * WIDTH, b.pixels, 10 * WIDTH * sizeof(float));
        memcpy(labels + s, b.labels, 10 * sizeof(int32_t));
    }
    loader_free(l);
    for (int64_t from = 0; from < 60; from += 7) {
        assert_int_equal(loader_new(&l, &d, 3, 7, from, true, &err), OK);
        for (int64_t s = from; s < from + 60; s += 3) {
            assert_int_equal(loader_next(l, &b, &err), OK);
            assert_true(b.first_sample == s);
            assert_memory_equal(b.pixels, straight + s * WIDTH, 3 * WIDTH * sizeof(float));
            assert_memory_equal(b.labels, labels + s, 3 * sizeof(int32_t));
        }
        loader_free(l);
    }
    for (int64_t s = 0; s < 300; s++)
        mirrored += straight[s * WIDTH] > straight[s * WIDTH + 2];
    assert_in_range(mirrored, 110, 190); /* half of 300, over four deviations */
}

/* The error comes when its batch is due, not before, and stays. */
static void errors_come_in_their_turn(void **state)
{
    struct counting impl = {-1};
    struct dataset d = counting_set(40, &impl);
    struct loader *l = NULL;
    struct batch b;
    struct error err = {0};

    (void)state;
    impl.broken = loader_index(1, 40, 17);
    assert_int_equal(loader_new(&l, &d, 4, 1, 0, false, &err), OK);
    for (int64_t step = 0; step < 4; step++)
        assert_int_equal(loader_next(l, &b, &err), OK);
    for (int again = 0; again < 2; again++) {
        err = (struct error){0};
        assert_int_equal(loader_next(l, &b, &err), E_FORMAT);
        assert_non_null(strstr(err.text, "is broken"));
    }
    assert_int_equal(loader_next(l, &b, NULL), E_FORMAT);
    loader_free(l);
}

/* Leaving early, at any moment, neither hangs nor leaks. */
static void stops_at_any_time(void **state)
{
    struct counting impl = {-1};
    struct dataset d = counting_set(100, &impl);

    (void)state;
    for (int taken = 0; taken < 20; taken++) {
        struct loader *l = NULL;
        struct batch b;

        assert_int_equal(loader_new(&l, &d, 2, 3, 0, false, NULL), OK);
        for (int i = 0; i < taken; i++)
            assert_int_equal(loader_next(l, &b, NULL), OK);
        loader_free(l);
    }
    loader_free(NULL);
}

struct reader {
    struct dataset *set;
    double sum;
};

static void *reader_run(void *arg)
{
    struct reader *r = arg;
    struct loader *l = NULL;
    struct batch b;

    if (loader_new(&l, r->set, 8, 5, 0, true, NULL))
        return NULL;
    for (int i = 0; i < 20 && !loader_next(l, &b, NULL); i++)
        for (int64_t k = 0; k < b.n * r->set->height * r->set->width * r->set->channels; k++)
            r->sum += (double)b.pixels[k];
    loader_free(l);
    return NULL;
}

/* One set, four loaders in four threads: all see the same numbers. */
static void sets_are_shared(void **state)
{
    struct dataset_config c = {.format = "shapes", .size = 16, .seed = 4};
    struct dataset *d = NULL;
    struct reader readers[4];
    pthread_t threads[4];

    (void)state;
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    for (int i = 0; i < 4; i++) {
        readers[i] = (struct reader){d, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &readers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(readers[0].sum != 0);
    for (int i = 1; i < 4; i++)
        assert_true(readers[i].sum == readers[0].sum);
    dataset_close(d);
}

static void refuses_batches_past_memory(void **state)
{
    struct counting impl = {-1};
    struct dataset d = counting_set(10, &impl);
    struct loader *l = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(loader_new(&l, &d, INT64_MAX / 4, 1, 0, false, &err), E_MEMORY);
    assert_null(l);
    assert_true(strlen(err.text) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_once_an_epoch),
        cmocka_unit_test(order_belongs_to_seed_and_epoch),
        cmocka_unit_test(order_is_fair),
        cmocka_unit_test(extremes_of_count),
        cmocka_unit_test(batches_are_the_samples),
        cmocka_unit_test(resume_is_exact),
        cmocka_unit_test(errors_come_in_their_turn),
        cmocka_unit_test(stops_at_any_time),
        cmocka_unit_test(sets_are_shared),
        cmocka_unit_test(refuses_batches_past_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
