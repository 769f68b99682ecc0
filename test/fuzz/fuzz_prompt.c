/*
 * fuzz_prompt.c - any bytes as a weighted prompt, and its rows of ids
 *
 * Segments are never longer than the prompt together, weights are finite, and every row begins and
 * ends.
 */
#include "text/prompt.h"

#include "text/clip_bpe.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void rows_check(const struct prompt *p, int64_t most)
{
    const struct prompt_clip_how how = {.pad = CLIP_G_PAD, .most = most};
    static struct clip_bpe *b; /* opened once, for speed; reachable to the end */
    struct prompt_rows rows;
    struct error err = {0};

    MUST(b || !clip_bpe_open_bytes(&b, "a a\naa a\n", 9, "small", &err), "%s", err.text);
    MUST(!prompt_clip(&rows, b, p, &how, &err), "%s", err.text);
    MUST(rows.rows >= 1 && rows.rows <= most, "%d rows", (int)rows.rows);
    for (int64_t row = 0; row < rows.rows; row++) {
        const int32_t *id = rows.id + row * CLIP_ROW;
        int i = 1;

        while (i < CLIP_ROW && id[i] != clip_bpe_end(b))
            i++;
        MUST(id[0] == clip_bpe_begin(b) && i < CLIP_ROW, "row %d has no end", (int)row);
        MUST(row == rows.rows - 1 || i > CLIP_CONTENT - 7, "row %d has %d ids", (int)row, i);
    }
    prompt_rows_release(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct prompt p;
    size_t used = 0;

    if (prompt_parse(&p, (const char *)bytes, n, &err)) {
        MUST(err.text[0] && !p.segment, "a failure without a sentence");
        return 0;
    }
    for (int64_t i = 0; i < p.n; i++) {
        MUST(p.segment[i].n && isfinite(p.segment[i].weight), "segment %d", (int)i);
        used += p.segment[i].n;
    }
    MUST(used <= n, "%zu bytes of %zu", used, n);
    rows_check(&p, 1);
    rows_check(&p, 4);
    prompt_release(&p);
    return 0;
}
