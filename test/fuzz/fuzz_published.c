/*
 * fuzz_published.c - any bytes as a published file of every kind of network
 *
 * What a file of weights says is enough to build a network, so its shapes are hostile too.  Each
 * reader gives a network, all of whose parameters have values, or a sentence and none.
 */
#include "base/error.h"
#include "io/weights.h"
#include "model/clip.h"
#include "model/mmdit.h"
#include "model/t5.h"
#include "model/vae.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check(enum status st, struct network *net, const struct error *err)
{
    MUST(!st == (net != NULL) && (!st || err->text[0]), "neither a network nor a sentence");
    for (int64_t i = 0; net && i < params_count(net->params); i++)
        MUST(params_at(net->params, i)->value, "a parameter without a value");
    network_free(net);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct network *net;
    struct weights *w;
    enum status st;

    if (weights_open_bytes(&w, bytes, n, "fuzz", &err))
        return 0;
    st = mmdit_open_published(&net, w, NULL, false, &err);
    check(st, net, &err);
    st = clip_open_published(&net, w, CLIP_L, NULL, &err);
    check(st, net, &err);
    st = clip_open_published(&net, w, CLIP_G, NULL, &err);
    check(st, net, &err);
    st = t5_open_published(&net, w, NULL, &err);
    check(st, net, &err);
    st = vae_open_published(&net, w, NULL, HALVES_BOTH, &err);
    check(st, net, &err);
    weights_close(w);
    return 0;
}
