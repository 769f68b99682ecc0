/*
 * cluster.h - a workload divided among many machines: memory, operations and messages of each
 */
#ifndef IMGEN_TRAIN_CLUSTER_H
#define IMGEN_TRAIN_CLUSTER_H

#include "train/workload.h"

/* What of the state is shared out among the ranks that hold the same part of the network. */
enum cluster_sharding {
    SHARD_NOTHING,   /* every one has it all                                                   */
    SHARD_OPTIMIZER, /* moments and master weights                                             */
    SHARD_ALL,       /* gradients and weights too, which are gathered a block at a time        */
};
const char *cluster_sharding_name(int i); /* NULL past the last */

/* How ranks that hold some tokens each attend to those of the others. */
enum cluster_attending {
    ATTEND_GATHER,   /* keys and values of all come to each                                    */
    ATTEND_EXCHANGE, /* all tokens of some heads come to each, in the place of some of all     */
};
const char *cluster_attending_name(int i);

/* Ranks are data x context x tensor, tensor fastest: neighbours share out matrices. */
struct cluster {
    int64_t ranks, tensor, context;
    int64_t batch; /* samples of a step, of all ranks; of sampling, evaluations side by side   */
    int64_t steps; /* that are counted: 1, or those of a solver                                */
    int sharding;  /* enum cluster_sharding                                                    */
    int attending; /* enum cluster_attending                                                   */
    bool average;  /* keep a moving average of the weights                                     */
    int64_t value_bytes; /* of a value and of a weight that is computed with: 2 or 4           */

    double flops;        /* of a rank at best, operations a second                             */
    double share;        /* of them that products reach                                        */
    double memory;       /* bytes of a rank                                                    */
    int64_t node;        /* ranks that stand together                                          */
    double node_link;    /* bytes a second of a rank to another of its node ...                */
    double network_link; /* ... and to others                                                  */
};

/* Of one rank.  Bytes, operations, and seconds of all counted steps. */
struct cluster_plan {
    int64_t data;   /* ranks over which samples are dealt */
    int64_t passes; /* one after the other in a step      */
    struct {
        double weights;   /* as computed with, and master weights where those are narrower     */
        double gradients; /* float32                                                           */
        double moments;   /* of the optimizer, float32                                         */
        double average;   /* float32                                                           */
        double gathered;  /* weights of others that are at hand for now, and their gradients   */
        double values;    /* of its part of the network, on its part of the tokens             */
        double exchanged; /* tokens, keys and values of others that are at hand for now        */
        double all;
    } bytes;
    double flops; /* of its products */
    struct {
        double tensor;  /* tokens, within the group that shares out matrices                   */
        double context; /* keys and values                                                     */
        double weights; /* weights and gradients                                               */
    } moved;            /* bytes that come in */
    struct {
        double arithmetic, tensor, context, weights;
        double least; /* all messages hidden behind arithmetic and each other, but for those on one
                         link                                                                  */
        double most;  /* nothing hidden */
    } seconds;
    bool fits; /* bytes.all within the rank's memory */
};

/* E_ARG, naming what does not divide what. */
enum status cluster_divide(struct cluster_plan *out, const struct cluster *c,
                           const struct workload *w, struct error *err);

#endif
