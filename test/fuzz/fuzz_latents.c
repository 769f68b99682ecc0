/*
 * fuzz_latents.c - any bytes as a part and as the index of a cache of latents
 *
 * The index stands under a checksum that no random change survives.  So the input is also sealed:
 * if it is an object of JSON at all, it is given the checksum that it should have.
 */
#include "base/json.h"
#include "data/latents_index.h"
#include "data/latents_part.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void try_index(const char *text, size_t n)
{
    struct latents_index x;
    struct error err = {0};
    int64_t count = 0;

    if (latents_index_parse(&x, text, n, "fuzz", &err)) {
        MUST(err.text[0], "a failure without a sentence");
    } else {
        for (int64_t k = 0; k < x.n_parts; k++)
            count += x.parts[k].count;
        MUST(count == x.count && x.n_parts > 0, "parts");
        for (int64_t c = 0; c < x.channels; c++)
            MUST(isfinite(x.mean[c]) && x.deviation[c] > 0, "statistics");
    }
    latents_index_release(&x);
}

static void try_sealed(const char *bytes, size_t n)
{
    char checksum[HASH_TEXT], *text = NULL;
    struct hash h;
    json_t *root;

    if (config_parse(&root, bytes, n, CONFIG_BYTES, "fuzz", NULL))
        return;
    json_object_del(root, "checksum");
    if (json_is_object(root) && !config_dump(&text, root, NULL)) {
        hash_begin(&h);
        hash_add(&h, text, strlen(text));
        hash_end(&h, checksum);
        free(text);
        json_object_set_new(root, "checksum", json_string(checksum));
        if (!config_dump(&text, root, NULL))
            try_index(text, strlen(text));
        free(text);
    }
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct latents_part p;
    struct error err = {0};

    MUST(!latents_part_open_bytes(&p, bytes, n, "fuzz", &err) || err.text[0],
         "a failure without a sentence");
    latents_part_close(&p);
    try_index((const char *)bytes, n);
    try_sealed((const char *)bytes, n);
    return 0;
}
