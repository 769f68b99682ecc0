/*
 * shards.c - the index of a model that is cut into several files
 *
 * Weights past some gigabytes are published in pieces, and a small JSON file tells which tensor
 * lies in which.  It names files, and comes from a stranger: a name may not lead out of the folder
 * of the index.  A dictionary from names of files to their numbers keeps the reading linear in the
 * number of tensors, whoever wrote it.
 */
#include "io/shards.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_LIMIT = 100000000 };

static bool leads_out(const char *file)
{
    return !*file || strpbrk(file, "/\\") || strstr(file, "..");
}

/* *out = the number of a file, counted on when it is new. */
static enum status file_number(int *out, struct shards *s, json_t *known, const char *file,
                               struct error *err)
{
    const json_t *number = json_object_get(known, file);
    char shown[UTF8_SHOWN];

    if (number) {
        *out = (int)json_integer_value(number);
        return OK;
    }
    if (leads_out(file))
        return fail(err, E_FORMAT, "the index names the file \"%s\", which is not one beside it",
                    utf8_shown(shown, file));
    if (s->n_files == SHARDS_MOST)
        return fail(err, E_FORMAT, "the index names more than %d files", SHARDS_MOST);
    if (json_object_set_new(known, file, json_integer(s->n_files)))
        return fail(err, E_MEMORY, "no memory for the files of an index");
    *out = s->n_files;
    s->file[s->n_files++] = file;
    return OK;
}

static enum status read_map(struct shards *s, json_t *map, json_t *known, struct error *err)
{
    uint64_t n = json_object_size(map);
    char shown[UTF8_SHOWN];
    const char *name;
    json_t *file;
    enum status st;

    if ((st = mem_new((void **)&s->tensor, n, sizeof *s->tensor, "an index", err)) ||
        (st = mem_new((void **)&s->file, SHARDS_MOST, sizeof *s->file, "an index", err)))
        return st;
    json_object_foreach(map, name, file)
    {
        struct shard_entry *e = &s->tensor[s->n];

        if (!json_is_string(file))
            return fail(err, E_FORMAT, "the index gives tensor %s no name of a file",
                        utf8_shown(shown, name));
        if ((st = file_number(&e->file, s, known, json_string_value(file), err)))
            return st;
        e->tensor = name;
        s->n++;
    }
    return OK;
}

enum status shards_parse(struct shards *out, const uint8_t *text, uint64_t n, struct error *err)
{
    json_t *known = json_object(), *map;
    enum status st;

    *out = (struct shards){0};
    if (!known)
        return fail(err, E_MEMORY, "no memory for an index");
    if ((st = config_parse(&out->root, (const char *)text, n, INDEX_LIMIT, "index", err)))
        goto out;
    map = json_object_get(out->root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0)
        st = fail(err, E_FORMAT, "no \"weight_map\" with tensors: not the index of a model");
    else
        st = read_map(out, map, known, err);
out:
    json_decref(known);
    if (st)
        shards_release(out);
    return st;
}

void shards_release(struct shards *s)
{
    json_decref(s->root);
    free(s->file);
    free(s->tensor);
    *s = (struct shards){0};
}
