/*
 * fuzz_shards.c - any bytes as the index of a model in several files
 *
 * What is accepted may name no file outside its folder, none twice, and for each tensor one of
 * them.
 */
#include "base/error.h"
#include "io/shards.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct shards s;

    if (shards_parse(&s, bytes, n, &err)) {
        MUST(err.text[0] && !s.root && !s.n, "a failure without a sentence, or half a result");
        return;
    }
    MUST(s.n > 0 && s.n_files > 0 && s.n_files <= s.n, "an empty index");
    for (int i = 0; i < s.n_files; i++) {
        MUST(*s.file[i] && !strpbrk(s.file[i], "/\\") && !strstr(s.file[i], ".."), "leads out");
        for (int k = 0; k < i && k < 64; k++)
            MUST(strcmp(s.file[i], s.file[k]) != 0, "a file twice");
    }
    for (int64_t i = 0; i < s.n; i++)
        MUST(s.tensor[i].file >= 0 && s.tensor[i].file < s.n_files, "a tensor in no file");
    shards_release(&s);
}

/* As an index, and as what one holds, which the fuzzer would hardly come to by itself. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char before[] = "{\"weight_map\": ", after[] = "}";
    size_t begin = strlen(before), end = strlen(after);
    uint8_t *index = malloc(begin + n + end);

    check(bytes, n);
    if (!index)
        return 0;
    memcpy(index, before, begin);
    memcpy(index + begin, bytes, n);
    memcpy(index + begin + n, after, end);
    check(index, begin + n + end);
    free(index);
    return 0;
}
