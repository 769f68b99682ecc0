/*
 * cluster.c - plans for many machines, for users of the library
 *
 * The public structs are the library's own under public names, with one layout, which the compiler
 * is asked about: so they are copied whole, and there is one list of members to keep.
 */
#include "api/api.h"

#include "train/cluster.h"

#include <string.h>

_Static_assert(sizeof(struct imgen_workload) == sizeof(struct workload) &&
                   offsetof(struct imgen_workload, values) == offsetof(struct workload, values) &&
                   offsetof(struct imgen_workload, forward) == offsetof(struct workload, forward),
               "workloads have one layout");
_Static_assert(sizeof(struct imgen_cluster) == sizeof(struct cluster) &&
                   offsetof(struct imgen_cluster, flops) == offsetof(struct cluster, flops) &&
                   offsetof(struct imgen_cluster, node) == offsetof(struct cluster, node),
               "clusters have one layout");
_Static_assert(sizeof(struct imgen_cluster_plan) == sizeof(struct cluster_plan) &&
                   offsetof(struct imgen_cluster_plan, seconds) ==
                       offsetof(struct cluster_plan, seconds) &&
                   offsetof(struct imgen_cluster_plan, fits) == offsetof(struct cluster_plan, fits),
               "plans have one layout");
_Static_assert((int)IMGEN_SHARD_ALL == (int)SHARD_ALL &&
                   (int)IMGEN_ATTEND_EXCHANGE == (int)ATTEND_EXCHANGE,
               "choices are numbered alike");

static enum status count(struct workload *out, struct network *net,
                         const struct imgen_workload_question *q, struct error *err)
{
    const struct workload_half half = {q->frames, q->height, q->width, q->decodes};
    const struct workload_question asked = {q->samples, q->trains, q->repeats, q->tokens};

    if (net->io.factor)
        return workload_find_half(out, net, &half, err);
    if (q->samples < 1)
        return fail(err, E_ARG, "a pass of no samples");
    return workload_find(out, net, &asked, err);
}

enum imgen_status imgen_workload(struct imgen_workload *out, const struct imgen_training *t,
                                 const struct imgen_workload_question *q, struct imgen_error *err)
{
    struct experiment x = {0};
    struct workload found = {0};
    struct network *net = NULL;
    struct error e = {0};
    enum status st;

    if (!(st = api_experiment(&x, t, &e)) &&
        !(st = network_declare(&net, network_kind_at(x.model.network), x.network, &e)))
        st = count(&found, net, q, &e);
    memcpy(out, &found, sizeof found);
    network_free(net);
    experiment_release(&x);
    return api_status(err, &e, st);
}

enum imgen_status imgen_cluster_divide(struct imgen_cluster_plan *out,
                                       const struct imgen_cluster *c,
                                       const struct imgen_workload *w, struct imgen_error *err)
{
    struct cluster_plan plan = {0};
    struct workload counted;
    struct cluster cluster;
    struct error e = {0};
    enum status st;

    memcpy(&counted, w, sizeof counted);
    memcpy(&cluster, c, sizeof cluster);
    st = cluster_divide(&plan, &cluster, &counted, &e);
    memcpy(out, &plan, sizeof plan);
    return api_status(err, &e, st);
}
