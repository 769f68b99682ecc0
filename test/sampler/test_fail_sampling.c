/*
 * test_fail_sampling.c - too little memory at every point of setting up and running a solver
 */
#include "diffusion/loss.h"
#include "sampler/sampler.h"
#include "support/failing.h"
#include "support/mixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 2, STEPS = 3 };

static bool go_on(void *self, const struct sampling_progress *p)
{
    (void)self;
    return p->step <= STEPS + 100;
}

/* Everything that asks for memory, from the mixture to the last step. */
static enum status whole_run(const char *solver, struct error *err)
{
    static const double weight[2] = {0.4, 0.6}, mean[2] = {-1, 1}, cov[2] = {0.1, 0.2};
    static const double w[ROWS] = {1, 3}, times[STEPS + 1] = {0, 0.3, 0.7, 1};
    static const int32_t label[ROWS] = {0, 1};
    struct mixture m = {0};
    struct guidance guidance = {0};
    struct mixture_oracle oracle = {.mixture = &m, .label = label, .rows = ROWS};
    struct field field = {.guidance = &guidance};
    struct noise_of noise = {1, ROWS, 1};
    struct sampling_request request = {.times = times,
                                       .steps = STEPS,
                                       .field = &field,
                                       .progress = go_on,
                                       .draw = noise_draw,
                                       .draw_self = &noise,
                                       .wants_preview = true};
    double x[ROWS] = {0.3, -0.4};
    enum status st;

    if ((st = path_init(&field.path, "cosine", err)) ||
        (st = sampler_find(&request.sampler, solver, err)) ||
        (st = mixture_init(&m, 1, 2, weight, mean, cov, label, err)))
        goto out;
    oracle.path = field.path;
    choice_defaults(request.values, &request.sampler->is);
    if ((st = guidance_init(&guidance, predictor_of_mixture(&oracle), w, NULL, err)))
        goto out;
    st = sampling_run(x, &request, NULL, err);
out:
    guidance_release(&guidance);
    mixture_release(&m);
    return st;
}

static void sampling_without_memory(void **state)
{
    (void)state;
    for (int i = 0; sampler_at(i); i++) {
        int64_t k = 0;

        if (sampler_at(i)->of_variance)
            continue; /* refused before it asks for any */
        for (;; k++) {
            struct error err = {0};
            enum status st;

            failing_arm(FAILING_MEMORY, k);
            st = whole_run(sampler_at(i)->is.name, &err);
            if (!failing_disarm()) {
                assert_int_equal(st, OK);
                break;
            }
            assert_int_equal(st, E_MEMORY);
            assert_true(strlen(err.text) > 10);
        }
        assert_true(k >= 5 + 2 + sampler_at(i)->work);
    }
}

static void batches_without_memory(void **state)
{
    int64_t k = 0;

    (void)state;
    for (;; k++) {
        struct flow_batch b;
        enum status st;

        failing_arm(FAILING_MEMORY, k);
        st = flow_batch_init(&b, 4, 10, NULL);
        flow_batch_release(&b);
        if (!failing_disarm())
            break;
        assert_int_equal(st, E_MEMORY);
    }
    assert_int_equal(k, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampling_without_memory),
        cmocka_unit_test(batches_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
