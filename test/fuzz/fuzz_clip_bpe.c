/*
 * fuzz_clip_bpe.c - any bytes as merges, and any bytes as a text encoded by them
 *
 * The first two bytes say how long the merges are; the rest is the text.  The text is encoded by a
 * small vocabulary that works, too, so that merging is reached whatever the merges are.
 */
#include "text/clip_bpe.h"
#include "text/clip_merges.h"

#include <stdbool.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void text_encode(const struct clip_bpe *b, const uint8_t *text, size_t n)
{
    struct error err = {0};
    struct ids ids = {0};

    for (int special = 0; special < 2; special++) {
        ids.n = 0;
        MUST(!clip_bpe_encode(b, &ids, (const char *)text, n, (enum clip_bpe_special)special, &err),
             "%s", err.text);
        for (int64_t i = 0; i < ids.n; i++)
            MUST(ids.id[i] >= 0 && ids.id[i] <= clip_bpe_end(b), "id %d", ids.id[i]);
    }
    ids_release(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char small[] = "a a\naa a\na a</w>\na aa</w>\n\xC3\x8E \xC2\xA3\ni \xC3\x8C\n";
    static struct clip_bpe *good; /* opened once, for speed; reachable to the end */
    struct error err = {0};
    struct clip_bpe *b;
    size_t split;

    if (!good)
        MUST(!clip_bpe_open_bytes(&good, small, sizeof small - 1, "small", &err), "%s", err.text);
    if (n < 2)
        return 0;
    split = bytes[0] | (size_t)bytes[1] << 8;
    bytes += 2;
    n -= 2;
    split = split < n ? split : n;
    if (clip_bpe_open_bytes(&b, bytes, split, "fuzz", &err))
        MUST(err.text[0] && !b, "a failure without a sentence");
    else
        text_encode(b, bytes + split, n - split);
    clip_bpe_close(b);
    text_encode(good, bytes + split, n - split);
    return 0;
}
