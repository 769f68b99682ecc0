/*
 * fuzz_adapter.c - any bytes as the file of an adapter
 *
 * A file is read for a small network whose layers have names in both layouts, and gives an adapter
 * of at least one layer, or a sentence and a network as it was.
 */
#include "base/error.h"
#include "io/weights.h"
#include "model/adapter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct network *network(void)
{
    const struct network_kind *kind;
    struct network *net;
    json_t *config =
        json_pack("{si si si si si si si si}", "size", 8, "channels", 2, "width", 16, "heads", 2,
                  "depth", 2, "context_width", 6, "pooled_width", 4, "patch", 2);

    MUST(!network_kind_find(&kind, "mmdit", NULL) &&
             !network_from_json(&net, kind, config, false, NULL),
         "there is no small network");
    json_decref(config);
    return net;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct network *net;
    struct adapter *a;
    struct weights *w;
    enum status st;

    if (weights_open_bytes(&w, bytes, n, "fuzz", &err))
        return 0;
    net = network();
    st = adapter_read(&a, net, w, 0.5, &err);
    MUST(!st == (a != NULL) && (!st || err.text[0]), "neither an adapter nor a sentence");
    MUST(!a || adapter_layers(a) > 0, "an adapter of nothing");
    adapter_free(a);
    for (int64_t i = 0; i < params_count(net->params); i++)
        MUST(!params_at(net->params, i)->low_rank, "something is still added");
    network_free(net);
    weights_close(w);
    return 0;
}
