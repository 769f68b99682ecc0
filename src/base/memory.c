/*
 * memory.c - asking for memory of a size that comes from outside
 *
 * calloc would check the product but not align; aligned_alloc aligns but neither checks nor zeroes.
 * Large blocks come zeroed from the system, so memset touches pages twice only for small ones.
 *
 * Blocks that stay (arenas, parameters) are mapped here rather than by malloc.  Their pages come
 * zeroed when they are touched, so nothing is written twice and what is never used costs nothing;
 * they begin at a multiple of 2 MiB and ask for huge pages, which a walk over gigabytes of weights
 * misses in the TLB a hundred times less often; and freeing one gives it back at once, where malloc
 * would learn from it to keep blocks of that size.  A last piece below 2 MiB takes small pages.
 */
#include "base/memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGN = 64, PAGE = 4096, HUGE_PAGE = 2 << 20 };

static enum status too_many(uint64_t count, uint64_t size, const char *what, struct error *err)
{
    return fail(err, E_MEMORY, "%s: %" PRIu64 " times %" PRIu64 " bytes is more than a machine has",
                what, count, size);
}

enum status mem_new(void **out, uint64_t count, uint64_t size, const char *what, struct error *err)
{
    uint64_t bytes;

    *out = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - ALIGN)
        return too_many(count, size, what, err);
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    *out = aligned_alloc(ALIGN, bytes ? bytes : ALIGN);
    if (!*out)
        return fail(err, E_MEMORY, "%s: no memory for %" PRIu64 " bytes", what, bytes);
    memset(*out, 0, bytes ? bytes : ALIGN);
    return OK;
}

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* A mapping can begin anywhere: one that is longer holds one that begins where we want. */
enum status mem_block_new(void **out, uint64_t count, uint64_t size, const char *what,
                          struct error *err)
{
    uint64_t bytes, before;
    unsigned char *p;

    *out = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - 2 * HUGE_PAGE)
        return too_many(count, size, what, err);
    if (bytes < HUGE_PAGE)
        return mem_new(out, count, size, what, err);
    bytes = whole_pages(bytes);
    p = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return fail(err, E_MEMORY, "%s: no memory for %" PRIu64 " bytes", what, bytes);
    before = -(uintptr_t)p % HUGE_PAGE;
    if (before)
        munmap(p, before);
    munmap(p + before + bytes, HUGE_PAGE - before);
    *out = p + before;
    madvise(*out, bytes, MADV_HUGEPAGE); /* a wish: kernels without huge pages refuse it */
    return OK;
}

enum status mem_block_imagine(void **out, uint64_t count, uint64_t size, const char *what,
                              struct error *err)
{
    uint64_t bytes;

    *out = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - 2 * HUGE_PAGE)
        return too_many(count, size, what, err);
    if (bytes < HUGE_PAGE)
        return mem_new(out, count, size, what, err);
    *out = mmap(NULL, whole_pages(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (*out != MAP_FAILED)
        return OK;
    *out = NULL;
    return fail(err, E_MEMORY, "%s: no addresses for %" PRIu64 " bytes", what, bytes);
}

void mem_block_free(void *block, uint64_t count, uint64_t size)
{
    if (block && count * size >= HUGE_PAGE)
        munmap(block, whole_pages(count * size));
    else
        free(block);
}

int64_t mem_block_missing(const void *block, uint64_t count, uint64_t size)
{
    enum { PAGES = 4096 };
    unsigned char present[PAGES];
    uint64_t pages = block && count * size >= HUGE_PAGE ? whole_pages(count * size) / PAGE : 0;
    int64_t missing = 0;

    for (uint64_t at = 0; at < pages; at += PAGES) {
        uint64_t n = pages - at < PAGES ? pages - at : PAGES;

        if (mincore((unsigned char *)(uintptr_t)block + at * PAGE, n * PAGE, present))
            return 0;
        for (uint64_t i = 0; i < n; i++)
            missing += present[i] & 1 ? 0 : PAGE;
    }
    return missing;
}

/* The head of a small file that the kernel writes. */
static bool read_head(char *text, size_t room, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

int64_t mem_resident(void)
{
    char text[128];
    int64_t pages;

    if (!read_head(text, sizeof text, "/proc/self/statm") ||
        sscanf(text, "%*d %" SCNd64, &pages) != 1)
        return 0;
    return pages * sysconf(_SC_PAGESIZE);
}

/* What the control group may have, less what this process has: what the group has taken itself
 * would count the file system's cache too, which goes when memory is asked for. */
static int64_t left_in_group(void)
{
    int64_t most;
    char text[64];

    if (!read_head(text, sizeof text, "/sys/fs/cgroup/memory.max") ||
        sscanf(text, "%" SCNd64, &most) != 1)
        return INT64_MAX;
    most -= mem_resident();
    return most > 0 ? most : 1;
}

int64_t mem_available(void)
{
    int64_t kib, group = left_in_group();
    char text[512], *at;

    if (!read_head(text, sizeof text, "/proc/meminfo") || !(at = strstr(text, "MemAvailable:")) ||
        sscanf(at, "MemAvailable: %" SCNd64, &kib) != 1)
        return 0;
    return kib * 1024 < group ? kib * 1024 : group;
}

int64_t mem_peak(void)
{
    char text[2048], *at;
    int64_t kib;

    if (!read_head(text, sizeof text, "/proc/self/status") || !(at = strstr(text, "VmHWM:")) ||
        sscanf(at, "VmHWM: %" SCNd64, &kib) != 1)
        return 0;
    return kib * 1024;
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
