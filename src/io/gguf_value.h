/*
 * gguf_value.h - reading the header of a GGUF file: numbers, texts, metadata
 */
#ifndef IMGEN_IO_GGUF_VALUE_H
#define IMGEN_IO_GGUF_VALUE_H

#include "io/gguf_format.h"

/* The header, read from begin up to at; end is that of the file. */
struct gguf_cursor {
    const uint8_t *begin, *at, *end;
};

static inline uint64_t gguf_left(const struct gguf_cursor *c)
{
    return (uint64_t)(c->end - c->at);
}

/* The next n bytes into out; E_FORMAT where the file ends before. */
enum status gguf_take(void *out, struct gguf_cursor *c, size_t n, struct error *err);
/* The next text, a heap string: E_FORMAT unless it is whole and UTF-8 without a zero; E_MEMORY.
 * what: "the name of a tensor". */
enum status gguf_take_text(char **out, struct gguf_cursor *c, const char *what, struct error *err);

/* One entry.  The value is text; whole numbers, alone or up to FILE_RANK of them in an array, are
 * there as numbers too: they are alignments and shapes. */
struct gguf_entry {
    char *key, *value;
    enum gguf_value type;
    int n_shape; /* numbers in shape; -1 for other values */
    int64_t shape[FILE_RANK];
};
/* E_FORMAT for what is cut short, unknown types, and keys that are empty; E_UNSUPPORTED for arrays
 * of arrays; E_MEMORY.  *out must be released even on failure. */
enum status gguf_entry_read(struct gguf_entry *out, struct gguf_cursor *c, struct error *err);
void gguf_entry_release(struct gguf_entry *e);

#endif
