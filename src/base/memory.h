/*
 * memory.h - asking for memory of a size that comes from outside
 *
 * Sizes read from files and options are multiplied here, with the overflow checked, and a refusal
 * is a sentence.  Memory is zeroed and aligned to 64 bytes (a cache line, an AVX-512 register).
 */
#ifndef IMGEN_BASE_MEMORY_H
#define IMGEN_BASE_MEMORY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* *out = count * size zeroed bytes, to be given to free(); NULL on failure (E_MEMORY).
 * `what` names the thing in the message: "the pixels of cat.png".  count 0 gives a valid pointer.
 */
enum status mem_new(void **out, uint64_t count, uint64_t size, const char *what, struct error *err);

/* The same for a block that is large and stays long: its pages come when they are first touched, as
 * huge pages (2 MiB) where the block has room for one, and go back to the system when it is freed,
 * by mem_block_free with the same count and size (NULL is fine). */
enum status mem_block_new(void **out, uint64_t count, uint64_t size, const char *what,
                          struct error *err);
void mem_block_free(void *block, uint64_t count, uint64_t size);

/* Addresses of so many bytes with no memory behind them: nothing may be read or written there.  For
 * what is only counted.  Freed by mem_block_free. */
enum status mem_block_imagine(void **out, uint64_t count, uint64_t size, const char *what,
                              struct error *err);

/* How many of its bytes have no memory yet because nothing touched them. */
int64_t mem_block_missing(const void *block, uint64_t count, uint64_t size);

/* Bytes of memory that this process has now, and the most it ever had, programs and libraries
 * included; 0 where the system does not say. */
int64_t mem_resident(void);
int64_t mem_peak(void);

/* Bytes that this process may still take before others, or the group that it is run in, lack them:
 * by what the system says at this moment; 0 where it does not. */
int64_t mem_available(void);

/* Whether so many bytes are to be had at this moment: asked for, never touched, and given back.
 * Before a call of a library that ends the program where its own memory is missing.  E_MEMORY. */
enum status mem_at_hand(uint64_t bytes, const char *what, struct error *err);

/* Grow *array (heap, of elements of `size` bytes) so that it holds at least `want` elements; *room
 * is its present capacity and is updated.  Contents are kept; on failure nothing changes. */
enum status mem_grow(void **array, int64_t *room, int64_t want, size_t size, struct error *err);

/* strdup with the failure told. *out is freed by the caller. */
enum status mem_text(char **out, const char *text, struct error *err);

#endif
