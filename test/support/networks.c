/*
 * networks.c - networks from settings, and whether their gradients are slopes
 *
 * One direction through all parameters asks every gradient at once: a wrong one of any size shows
 * in the sum, and two runs a step are enough.
 */
#include "support/networks.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum status network_of(struct network **out, const char *kind_name, const char *const *settings,
                       bool memory, struct error *err)
{
    const struct network_kind *kind;
    struct option_group group = {0};
    struct option_set set = {&group, 1};
    enum status st;
    void *config;

    *out = NULL;
    assert_int_equal(network_kind_find(&kind, kind_name, NULL), OK);
    config = calloc(1, kind->config_bytes);
    assert_non_null(config);
    group = (struct option_group){"", kind->options, config, NULL};
    assert_int_equal(options_default(&set, NULL), OK);
    for (; *settings; settings++)
        assert_int_equal(options_assign(&set, *settings, NULL), OK);
    st = memory ? network_new(out, kind, config, true, err)
                : network_declare(out, kind, config, err);
    options_release(&set);
    free(config);
    return st;
}

struct network *network_must(const char *kind, const char *const *settings, bool memory)
{
    struct error err = {0};
    struct network *net;

    if (network_of(&net, kind, settings, memory, &err))
        fail_msg("%s", err.text);
    return net;
}

void network_fill(struct network *net, uint64_t seed)
{
    struct rng r = rng_stream(seed, RNG_TEST, 2);

    params_init(net->params, seed);
    for (int64_t i = 0; i < params_count(net->params); i++) {
        struct param *p = params_at(net->params, i);

        for (int64_t k = 0; p->trained && k < shape_count(p->shape); k++)
            p->value[k] += (float)(0.2 * rng_normal(&r));
    }
}

void check_slope(const char *name, struct network *net, network_loss *loss, void *user,
                 uint64_t seed, double step, double within)
{
    int64_t n = params_n_trained(net->params);
    float *values = params_values(net->params), *grads = params_grads(net->params);
    float *from = malloc((size_t)n * sizeof *from), *along = malloc((size_t)n * sizeof *along);
    struct rng r = rng_stream(seed, RNG_TEST, 3);
    double slope[2], want = 0, size = 0, got, away = step;

    assert_true(from && along);
    loss(net, true, user);
    memcpy(from, values, (size_t)n * sizeof *from);
    rng_normals(&r, along, n);
    for (int64_t i = 0; i < n; i++) {
        want += (double)grads[i] * (double)along[i];
        size += (double)grads[i] * (double)grads[i];
    }
    for (int k = 0; k < 2; k++, away /= 2) {
        double side[2];

        for (int s = 0; s < 2; s++) {
            for (int64_t i = 0; i < n; i++)
                values[i] = from[i] + (float)((s ? 1 : -1) * away) * along[i];
            side[s] = loss(net, false, user);
        }
        slope[k] = (side[1] - side[0]) / (2 * away);
    }
    memcpy(values, from, (size_t)n * sizeof *from);
    got = (4 * slope[1] - slope[0]) / 3; /* Richardson: the error of second order is gone */
    if (fabs(got - want) > within * sqrt(size))
        fail_msg("%s: a slope of %g along a direction, the gradients say %g (of size %g)", name,
                 got, want, sqrt(size));
    free(from);
    free(along);
}
