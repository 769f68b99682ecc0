/*
 * memory.c - asking for memory of a size that comes from outside
 *
 * calloc would check the product but not align; aligned_alloc aligns but neither checks nor zeroes.
 * Large blocks come zeroed from the system, so memset touches pages twice only for small ones.
 */
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64 };

enum status mem_new(void **out, uint64_t count, uint64_t size, const char *what, struct error *err)
{
    uint64_t bytes;

    *out = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - ALIGN)
        return fail(err, E_MEMORY,
                    "%s: %" PRIu64 " times %" PRIu64 " bytes is more than a machine has", what,
                    count, size);
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    *out = aligned_alloc(ALIGN, bytes ? bytes : ALIGN);
    if (!*out)
        return fail(err, E_MEMORY, "%s: no memory for %" PRIu64 " bytes", what, bytes);
    memset(*out, 0, bytes ? bytes : ALIGN);
    return OK;
}

/* Not malloc: a block this large, freed, would change from what size on malloc itself maps. */
enum status mem_at_hand(uint64_t bytes, const char *what, struct error *err)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return fail(err, E_MEMORY, "%s: no memory for %" PRIu64 " bytes", what, bytes);
    munmap(p, bytes);
    return OK;
}

enum status mem_grow(void **array, int64_t *room, int64_t want, size_t size, struct error *err)
{
    int64_t n = *room ? *room : 16;
    uint64_t bytes;
    void *bigger;

    if (want <= *room)
        return OK;
    while (n < want) {
        if (n > INT64_MAX / 2)
            return fail(err, E_MEMORY, "no memory for %" PRId64 " elements", want);
        n *= 2;
    }
    if (__builtin_mul_overflow((uint64_t)n, (uint64_t)size, &bytes) || bytes > PTRDIFF_MAX)
        return fail(err, E_MEMORY, "no memory for %" PRId64 " elements of %zu bytes", want, size);
    bigger = realloc(*array, bytes);
    if (!bigger)
        return fail(err, E_MEMORY, "no memory for %" PRIu64 " bytes", bytes);
    *array = bigger;
    *room = n;
    return OK;
}

enum status mem_text(char **out, const char *text, struct error *err)
{
    *out = strdup(text);
    if (!*out)
        return fail(err, E_MEMORY, "no memory for a text of %zu bytes", strlen(text));
    return OK;
}
