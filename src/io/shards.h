/*
 * shards.h - the index of a model that is cut into several files
 *
 *     { "metadata": {...}, "weight_map": { NAME OF TENSOR: NAME OF FILE, ... } }
 */
#ifndef IMGEN_IO_SHARDS_H
#define IMGEN_IO_SHARDS_H

#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

struct shard_entry {
    const char *tensor;
    int file; /* of shards.file */
};

struct shards {
    json_t *root;               /* owns the names                                */
    const char **file;          /* [n_files] in the order in which they are first named */
    struct shard_entry *tensor; /* [n]                                           */
    int n_files;
    int64_t n;
};

enum { SHARDS_MOST = 4096 }; /* files */

/* E_FORMAT for what is no index, for one without tensors, and for names of files with a separator,
 * with "..", or that are empty: an index speaks of its own folder alone.  E_MEMORY.  *out is zeroed
 * on failure. */
enum status shards_parse(struct shards *out, const uint8_t *text, uint64_t n, struct error *err);
void shards_release(struct shards *s); /* fine on a zeroed one */

#endif
