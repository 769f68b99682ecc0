/*
 * models.c - models with random weights, for tests of what surrounds a network
 */
#include "support/models.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct model *model_random(const char *description, uint64_t seed)
{
    struct rng r = rng_stream(seed, RNG_TEST, 0);
    struct error err = {0};
    struct model *m = NULL;
    char text[1024];

    snprintf(text, sizeof text, "{\"format\": 1, %s}", description);
    if (model_from_text(&m, text, "test", &err))
        fail_msg("%s", err.text);
    assert_int_equal(params_alloc(m->network->params, false, NULL), OK);
    params_init(m->network->params, seed);
    for (int64_t i = 0; i < params_count(m->network->params); i++) {
        struct param *p = params_at(m->network->params, i);

        for (int64_t k = 0; k < shape_count(p->shape) && p->trained; k++)
            p->value[k] += (float)(0.05 * rng_normal(&r));
    }
    return m;
}

void model_save_random(const char *path, const char *description, uint64_t seed)
{
    struct model *m = model_random(description, seed);

    assert_int_equal(model_save(m, path, NULL, NULL), OK);
    model_free(m);
}
