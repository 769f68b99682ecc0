/*
 * network.c - what every architecture offers
 *
 * Architectures differ in their configuration and their forward; building, listing and freeing are
 * the same for all and stand here.  Adding one is a file and a row of KINDS.
 */
#include "model/network.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KINDS(X) \
    X(unet) X(dit) X(pixart) X(mmdit) X(classifier) X(classifier_dit) X(cnn) X(vae) X(tae)

#define DECLARE(name) extern const struct network_kind network_##name;
KINDS(DECLARE)

const struct network_kind *network_kind_at(int i)
{
#define ROW(name) &network_##name,
    static const struct network_kind *const kinds[] = {KINDS(ROW)};

    return i >= 0 && i < (int)(sizeof kinds / sizeof *kinds) ? kinds[i] : NULL;
}

enum status network_kind_find(const struct network_kind **out, const char *name, struct error *err)
{
    const char *names[16];
    const char *near;
    int n = 0;

    for (; network_kind_at(n); n++) {
        names[n] = network_kind_at(n)->name;
        if (!strcmp(names[n], name)) {
            *out = network_kind_at(n);
            return OK;
        }
    }
    near = text_nearest(name, names, n);
    return fail(err, E_ARG, "there is no network '%s'%s%s%s", name, near ? "; did you mean '" : "",
                near ? near : "", near ? "'?" : "");
}

static void config_release(const struct network_kind *kind, void *config)
{
    struct option_group group = {"", kind->options, config, NULL};
    struct option_set set = {&group, 1};

    if (config)
        options_release(&set);
    free(config);
}

enum status network_declare(struct network **out, const struct network_kind *kind, void *config,
                            struct error *err)
{
    struct network *net = NULL;
    void *own = NULL;
    enum status st;

    *out = NULL;
    if ((st = kind->check(config, err)) ||
        (st = mem_new((void **)&net, 1, sizeof *net, "a network", err)) ||
        (st = mem_new(&own, 1, kind->config_bytes, "a configuration", err)) ||
        (st = params_new(&net->params, err)))
        goto out;
    memcpy(own, config, kind->config_bytes);
    net->kind = kind;
    kind->io(own, &net->io);
    net->layers = kind->declare(own, scope_root(net->params));
    if (net->layers) {
        net->config = own;
        memset(config, 0, kind->config_bytes); /* its texts and lists are the network's now */
        *out = net;
        return OK;
    }
    st = fail(err, E_MEMORY, "no memory for the layers of a %s", kind->name);
out:
    free(own);
    network_free(net);
    return st;
}

enum status network_new(struct network **out, const struct network_kind *kind, void *config,
                        bool gradients, struct error *err)
{
    enum status st;

    if ((st = network_declare(out, kind, config, err)))
        return st;
    if ((st = params_alloc((*out)->params, gradients, err))) {
        network_free(*out);
        *out = NULL;
    }
    return st;
}

enum status network_from_json(struct network **out, const struct network_kind *kind, json_t *config,
                              bool gradients, struct error *err)
{
    struct option_group group = {"", kind->options, NULL, NULL};
    struct option_set set = {&group, 1};
    enum status st;

    *out = NULL;
    if ((st = mem_new(&group.config, 1, kind->config_bytes, "a configuration", err)))
        return st;
    if (!(st = options_default(&set, err)) && !(st = options_from_json(&set, config, err)))
        st = network_new(out, kind, group.config, gradients, err);
    options_release(&set);
    free(group.config);
    return st;
}

void network_free(struct network *net)
{
    if (!net)
        return;
    params_free(net->params);
    if (net->config)
        config_release(net->kind, (void *)(uintptr_t)net->config);
    free(net->layers);
    free(net);
}

struct tensor *network_forward(struct graph *g, const struct network *net, struct network_input in)
{
    return net->kind->forward(g, net, in);
}

bool network_keeps_values(const struct network_input *in, int layer)
{
    return in->identity && in->identity[layer];
}

struct tensor *network_attention(struct graph *g, const struct network_input *in, int layer,
                                 struct tensor *qkv, int64_t heads, enum qkv_order order)
{
    return network_keeps_values(in, layer) ? op_attention_identity(g, qkv, heads, order)
                                           : op_attention(g, qkv, heads, order);
}

void network_count_attention(struct network_io *io, int64_t n)
{
    io->n_attention = (int)n;
    io->middle = (int)((n - 1) / 2);
    io->n_middle = n % 2 ? 1 : 2;
}

void network_show(const struct network *net, struct tensor *value, const char *fmt, ...)
{
    char name[96];
    va_list ap;

    if (!net->tap)
        return;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    net->tap(name, value, net->tap_user);
}
