/*
 * network.c - what every architecture offers
 *
 * Architectures differ in their configuration and their forward; building, listing and freeing are
 * the same for all and stand here.  Adding one is a file and a row of KINDS.
 */
#include "model/network.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define KINDS(X)      \
    X(unet)           \
    X(dit)            \
    X(pixart)         \
    X(mmdit)          \
    X(classifier)     \
    X(classifier_dit) \
    X(cnn)            \
    X(vae)            \
    X(tae)            \
    X(video_vae)      \
    X(movie)
/* clang-format on */

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

/* Memory for the parameters of *out, or no network at all. */
static enum status give_memory(struct network **out, bool gradients, struct error *err)
{
    enum status st = params_alloc((*out)->params, gradients, err);

    if (st) {
        network_free(*out);
        *out = NULL;
    }
    return st;
}

enum status network_new(struct network **out, const struct network_kind *kind, void *config,
                        bool gradients, struct error *err)
{
    enum status st = network_declare(out, kind, config, err);

    return st ? st : give_memory(out, gradients, err);
}

enum status network_declare_json(struct network **out, const struct network_kind *kind,
                                 json_t *config, struct error *err)
{
    struct option_group group = {"", kind->options, NULL, NULL};
    struct option_set set = {&group, 1};
    enum status st;

    *out = NULL;
    if ((st = mem_new(&group.config, 1, kind->config_bytes, "a configuration", err)))
        return st;
    if (!(st = options_default(&set, err)) && !(st = options_from_json(&set, config, err)))
        st = network_declare(out, kind, group.config, err);
    options_release(&set);
    free(group.config);
    return st;
}

enum status network_from_json(struct network **out, const struct network_kind *kind, json_t *config,
                              bool gradients, struct error *err)
{
    enum status st = network_declare_json(out, kind, config, err);

    return st ? st : give_memory(out, gradients, err);
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

static bool takes_side(const struct network_io *io, int64_t side)
{
    return io->step > 0 && side > 0 && side % io->step == 0 && side <= io->most;
}

enum status network_does_not_fit(const struct param *p, const struct param *q, struct error *err)
{
    char here[SHAPE_TEXT], there[SHAPE_TEXT];

    return fail(err, E_ARG, "%s: %s cannot become %s", p->name, shape_text(there, q->shape),
                shape_text(here, p->shape));
}

enum status network_begin_as(struct network *to, const struct network *from, struct error *err)
{
    if (to->kind != from->kind)
        return fail(err, E_ARG, "a '%s' does not begin as a '%s'", to->kind->name,
                    from->kind->name);
    for (int64_t i = 0; i < params_count(from->params); i++) {
        const struct param *q = params_at(from->params, i);
        struct param *p = params_find(to->params, q->name);
        enum status st = OK;

        if (!p)
            return fail(err, E_ARG, "%s: this network has none", q->name);
        if (shape_equal(p->shape, q->shape))
            param_read(p->value, q);
        else
            st = to->kind->grow ? to->kind->grow(p, q, err) : network_does_not_fit(p, q, err);
        if (st)
            return st;
    }
    return OK;
}

enum status network_check_size(const struct network *net, int64_t height, int64_t width,
                               struct error *err)
{
    const struct network_io *io = &net->io;

    if ((height == io->height && width == io->width) ||
        (takes_side(io, height) && takes_side(io, width)))
        return OK;
    if (!io->step)
        return fail(err, E_ARG,
                    "a size of %" PRId64 " x %" PRId64 ": the network takes %" PRId64 " x %" PRId64,
                    height, width, io->height, io->width);
    return fail(err, E_ARG,
                "a size of %" PRId64 " x %" PRId64
                ": the network takes sides that are multiples of "
                "%" PRId64 ", at most %" PRId64,
                height, width, io->step, io->most);
}

enum status network_resize(struct network *net, int64_t height, int64_t width, struct error *err)
{
    enum status st = network_check_size(net, height, width, err);

    if (st)
        return st;
    net->io.height = height;
    net->io.width = width;
    return OK;
}

enum status network_check_frames(const struct network *net, int64_t frames, struct error *err)
{
    const struct network_io *io = &net->io;

    if (!io->frames)
        return fail(err, E_ARG, "a video of %" PRId64 " frames: the %s takes pictures", frames,
                    net->kind->name);
    if (frames > 0 && (!io->frames_most || frames <= io->frames_most))
        return OK;
    if (!io->frames_most)
        return fail(err, E_ARG, "a video of %" PRId64 " frames: the %s takes 1 or more", frames,
                    net->kind->name);
    return fail(err, E_ARG, "a video of %" PRId64 " frames: the %s takes 1 to %" PRId64, frames,
                net->kind->name, io->frames_most);
}

enum status network_set_frames(struct network *net, int64_t frames, struct error *err)
{
    enum status st = network_check_frames(net, frames, err);

    if (!st)
        net->io.frames = frames;
    return st;
}

struct shape network_shape(const struct network *net, int64_t n, int64_t channels)
{
    const struct network_io *io = &net->io;

    return io->frames ? SHAPE(n, io->frames, io->height, io->width, channels)
                      : SHAPE(n, io->height, io->width, channels);
}

int64_t network_places(const struct network *net)
{
    return shape_count(network_shape(net, 1, 1));
}

enum status network_check_ids(const struct network *net, const int32_t *ids, int64_t n, int64_t L,
                              struct error *err)
{
    const struct network_io *io = &net->io;

    if (L < 1 || (io->n_positions && L > io->n_positions))
        return fail(err, E_ARG, "a text of %" PRId64 " tokens: the %s takes 1 to %" PRId64, L,
                    net->kind->name, io->n_positions ? io->n_positions : INT64_MAX);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= io->vocabulary)
            return fail(err, E_ARG,
                        "token %" PRId64 " has the id %" PRId32 ", the %s has ids below "
                        "%" PRId64,
                        i, ids[i], net->kind->name, io->vocabulary);
    return OK;
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
