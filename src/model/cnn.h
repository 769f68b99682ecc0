/*
 * cnn.h - a small convolutional classifier, whose features measures and losses compare (cnn.c)
 */
#ifndef IMGEN_MODEL_CNN_H
#define IMGEN_MODEL_CNN_H

#include "base/option.h"
#include "model/network.h"

enum { CNN_STAGES = 8 };

struct cnn_config {
    int64_t size, channels; /* pictures [size, size, channels]             */
    int64_t frames;         /* clips [frames, size, size, channels]; 1: pictures */
    int64_t classes;        /* at least 2                                  */
    int64_t width;          /* channels of the first stage                 */
    struct real_list mult;  /* channels of each stage over the width       */
    int64_t blocks;         /* convolutions a stage                        */
    int64_t groups;         /* of group norm                               */
};

extern const struct network_kind network_cnn;

/* Features of a picture or clip: channels of the last stage. */
int64_t cnn_features(const struct network *net);

/* Record x [N, H, W, C], of clips [N, T, H, W, C], -1 .. 1, to what every stage makes of it:
 * stage[k] [N t, h, w, channels of stage k], t frames that are left of a clip there, 1 of a
 * picture.  Returns how many stages there are. */
int cnn_stages(struct graph *g, const struct network *net, struct tensor *x,
               struct tensor *stage[CNN_STAGES]);

/* Record x, as above, to logits [N, classes]; *features: the [N, D] that they are a
 * linear function of, or NULL. */
struct tensor *cnn_forward(struct graph *g, const struct network *net, struct tensor *x,
                           struct tensor **features);

#endif
