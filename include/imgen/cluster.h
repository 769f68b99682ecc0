/*
 * imgen/cluster.h - what a model would take, on one machine or on many, before any of it exists
 *
 * Two questions.  The first is what a pass of a network takes: its tape is recorded as training
 * records it, on weights without memory, and counted.  The second is how that is divided among many
 * ranks, a graphics processor each.  The answer to the second is a model: no latencies, no
 * stragglers, every rank at full speed; of one rank it is what the planner of a run has.
 */
#ifndef IMGEN_CLUSTER_H
#define IMGEN_CLUSTER_H

#include "imgen/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Operations, 2 a multiply-add. */
struct imgen_work {
    double linear;    /* of linear layers and convolutions                                      */
    double attention; /* of attention                                                           */
    double other;     /* of all else that says: norms, activations, sums                        */
};

struct imgen_workload {
    int64_t weights;
    int64_t blocks;  /* of a transformer; 0: it is none                                         */
    int64_t split;   /* weights in matrices of blocks ...                                       */
    int64_t whole;   /* ... in their other parameters ...                                       */
    int64_t outside; /* ... and outside of blocks; the three are all                            */
    int64_t tokens, width, heads; /* of a sample's self-attention                              */
    int64_t selves;               /* self-attentions, in all blocks ...                        */
    int64_t branches;             /* ... and those, cross-attentions and feed-forwards         */
    int64_t samples;              /* side by side in the pass                                  */
    bool trains, repeats;         /* as asked                                                  */
    struct imgen_work forward;    /* of the pass without its backward ...                      */
    struct imgen_work pass;       /* ... and with it, and with what is computed again          */
    int64_t values; /* bytes of float32 values alive at once, weights and gradients apart       */
};

struct imgen_workload_question {
    int64_t samples; /* 1 or more                                                               */
    bool trains;     /* forward and backward; else the forward alone                            */
    bool repeats;    /* insides of blocks are forgotten and computed again                      */
    int64_t tokens;  /* of an encoded text, for a network that takes any number                 */
    /* Of a clip, where the network is an autoencoder, one half of which is counted, forward.   */
    int64_t frames, height, width;
    bool decodes;
};

/* The network that a training configuration names, at the size that its own section says; nothing
 * else of the configuration is looked at, and no data.  E_ARG, IMGEN_E_FORMAT, IMGEN_E_IO as
 * imgen_train. */
IMGEN_API enum imgen_status imgen_workload(struct imgen_workload *out,
                                           const struct imgen_training *t,
                                           const struct imgen_workload_question *q,
                                           struct imgen_error *err);

/* What is shared out among the ranks that hold the same part of the network: nothing; moments and
 * master weights; or gradients and weights too, gathered a block at a time. */
enum imgen_sharding { IMGEN_SHARD_NOTHING, IMGEN_SHARD_OPTIMIZER, IMGEN_SHARD_ALL };
/* How ranks that hold some tokens each attend to those of others: keys and values of all come to
 * each, or all tokens of some heads. */
enum imgen_attending { IMGEN_ATTEND_GATHER, IMGEN_ATTEND_EXCHANGE };

/* Ranks are data x context x tensor, tensor fastest. */
struct imgen_cluster {
    int64_t ranks, tensor, context;
    int64_t batch;       /* samples of a step, of all ranks; of sampling, evaluations           */
    int64_t steps;       /* that are counted: 1, or those of a solver                           */
    int sharding;        /* enum imgen_sharding                                                 */
    int attending;       /* enum imgen_attending                                                */
    bool average;        /* keep a moving average of the weights                                */
    int64_t value_bytes; /* of a value, and of a weight that is computed with: 2 or 4           */
    double flops;        /* of a rank at best, operations a second                              */
    double share;        /* of them that products reach                                         */
    double memory;       /* bytes of a rank                                                     */
    int64_t node;        /* ranks that stand together                                           */
    double node_link;    /* bytes a second from rank to rank, within a node ...                 */
    double network_link; /* ... and between nodes                                               */
};

/* Of one rank: bytes, operations, and seconds of all counted steps. */
struct imgen_cluster_plan {
    int64_t data;   /* ranks over which samples are dealt */
    int64_t passes; /* one after the other in a step      */
    struct {
        double weights, gradients, moments, average;
        double gathered;  /* weights of others that are at hand for now, and their gradients    */
        double values;    /* of its part of the network, on its part of the tokens              */
        double exchanged; /* tokens, keys and values of others that are at hand for now         */
        double all;
    } bytes;
    double flops;
    struct {
        double tensor, context, weights; /* bytes that come in, by what for */
    } moved;
    struct {
        double arithmetic, tensor, context, weights;
        double least; /* all messages hidden behind arithmetic and each other, but for those on
                         one link                                                               */
        double most;  /* nothing hidden */
    } seconds;
    bool fits;
};

/* E_ARG, naming what does not divide what. */
IMGEN_API enum imgen_status imgen_cluster_divide(struct imgen_cluster_plan *out,
                                                 const struct imgen_cluster *c,
                                                 const struct imgen_workload *w,
                                                 struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
