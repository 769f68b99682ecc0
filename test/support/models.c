/*
 * models.c - models with random weights, for tests of what surrounds a network
 */
#include "support/models.h"

#include "base/memory.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void model_disturb(struct model *m, uint64_t seed, double deviation)
{
    struct rng r = rng_stream(seed, RNG_TEST, 0);

    for (int64_t i = 0; i < params_count(m->network->params); i++) {
        struct param *p = params_at(m->network->params, i);

        for (int64_t k = 0; k < shape_count(p->shape) && p->trained; k++)
            p->value[k] += (float)(deviation * rng_normal(&r));
    }
}

struct model *model_random(const char *description, uint64_t seed)
{
    struct error err = {0};
    struct model *m = NULL;
    char text[1024];

    snprintf(text, sizeof text, "{\"format\": 1, %s}", description);
    if (model_from_text(&m, text, "test", &err))
        fail_msg("%s", err.text);
    assert_int_equal(params_alloc(m->network->params, false, NULL), OK);
    params_init(m->network->params, seed);
    model_disturb(m, seed, 0.05);
    return m;
}

struct model *model_saved(const char *path, const char *description, uint64_t seed)
{
    struct model *m = model_random(description, seed);

    assert_int_equal(model_save(m, path, NULL, NULL), OK);
    return m;
}

void model_save_random(const char *path, const char *description, uint64_t seed)
{
    model_free(model_saved(path, description, seed));
}

struct model *model_of(const char *kind_name, const char *path, const char *const *settings,
                       bool gradients)
{
    struct model_options options = {.time_scale = 1000};
    double path_values[CHOICE_VALUES] = {0};
    const struct network_kind *kind;
    struct option_group group = {.section = ""};
    struct option_set set = {&group, 1};
    struct model *m;
    void *config;

    assert_int_equal(network_kind_find(&kind, kind_name, NULL), OK);
    while (network_kind_at(options.network) != kind)
        options.network++;
    while (path && strcmp(path_kind_at(options.path)->is.name, path) != 0)
        options.path++;
    choice_defaults(path_values, &path_kind_at(options.path)->is);
    assert_int_equal(mem_new(&config, 1, kind->config_bytes, "c", NULL), OK);
    group.rows = kind->options;
    group.config = config;
    assert_int_equal(options_default(&set, NULL), OK);
    for (; *settings; settings++)
        assert_int_equal(options_assign(&set, *settings, NULL), OK);
    assert_int_equal(model_new(&m, &options, path_values, config, NULL), OK);
    assert_int_equal(params_alloc(m->network->params, gradients, NULL), OK);
    free(config);
    params_init(m->network->params, 3);
    m->sample = (struct sample_defaults){.shift = 3, .steps = 4, .cfg_scale = 2};
    return m;
}
