/*
 * fuzz_unigram.c - any bytes as a spiece.model, and any bytes as a text encoded by it
 *
 * The first two bytes say how long the model is; the rest is the text, which a small model that
 * works encodes, too.
 */
#include "text/unigram.h"
#include "text/unigram_model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void text_encode(const struct unigram *u, const uint8_t *text, size_t n)
{
    struct error err = {0};
    struct ids ids = {0};
    char *spelled;
    size_t length;

    if (!unigram_normalise(u, &spelled, &length, (const char *)text, n, &err))
        MUST(!spelled[length], "no end");
    else
        MUST(err.text[0] && !spelled, "a failure without a sentence");
    if (!unigram_encode(u, &ids, (const char *)text, n, &err))
        for (int64_t i = 0; i < ids.n; i++)
            MUST(ids.id[i] >= 0, "id %d", ids.id[i]);
    ids_release(&ids);
    free(spelled);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint8_t small[] = "\x0A\x09\x0A\x05<unk>\x18\x02"
                                   "\x0A\x05\x0A\x03\xE2\x96\x81"
                                   "\x0A\x03\x0A\x01"
                                   "a"
                                   "\x0A\x04\x0A\x02\xC3\xA9";
    struct error err = {0};
    struct unigram *u;
    size_t split;

    if (n < 2)
        return 0;
    split = bytes[0] | (size_t)bytes[1] << 8;
    bytes += 2;
    n -= 2;
    split = split < n ? split : n;
    if (unigram_open_bytes(&u, bytes, split, "fuzz", &err))
        MUST(err.text[0] && !u, "a failure without a sentence");
    else
        text_encode(u, bytes + split, n - split);
    unigram_close(u);
    MUST(!unigram_open_bytes(&u, small, sizeof small - 1, "small", &err), "%s", err.text);
    text_encode(u, bytes + split, n - split);
    unigram_close(u);
    return 0;
}
