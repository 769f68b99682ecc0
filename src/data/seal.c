/*
 * seal.c - descriptions that carry a checksum of what they say, and of what they describe
 *
 * A latent that was damaged on the disk trains as well as any other, and nobody sees it; and a
 * sound latent whose description was damaged belongs to other pictures.  So both stand under one
 * checksum, which stands in the description itself.  It is over the text of the object without it:
 * written by the same rules from what was read, it must give the same letters.
 */
#include "data/seal.h"

#include <stdlib.h>
#include <string.h>

static enum status checksum_of(char out[HASH_TEXT], const json_t *root, const void *bytes,
                               uint64_t n, struct error *err)
{
    struct hash h;
    char *text;
    enum status st;

    if ((st = config_dump(&text, root, err)))
        return st;
    hash_begin(&h);
    hash_add(&h, text, strlen(text));
    hash_add(&h, "\n", bytes ? 1 : 0);
    hash_add(&h, bytes, n);
    hash_end(&h, out);
    free(text);
    return OK;
}

enum status seal_close(char **out, json_t *root, const void *bytes, uint64_t n, struct error *err)
{
    char checksum[HASH_TEXT];
    enum status st;

    *out = NULL;
    if ((st = checksum_of(checksum, root, bytes, n, err)))
        return st;
    if (json_object_set_new(root, "checksum", json_string(checksum)))
        return fail(err, E_MEMORY, "no memory for a checksum");
    return config_dump(out, root, err);
}

enum status seal_open(json_t *root, const void *bytes, uint64_t n, struct error *err)
{
    char claimed[HASH_TEXT], found[HASH_TEXT];
    enum status st;

    if ((st = config_hash(claimed, root, "checksum", err)))
        return st;
    json_object_del(root, "checksum");
    if ((st = checksum_of(found, root, bytes, n, err)))
        return st;
    return seal_compare(claimed, found, err);
}

enum status seal_compare(const char *claimed, const char *found, struct error *err)
{
    if (!strcmp(claimed, found))
        return OK;
    return fail(err, E_FORMAT, "damaged: its checksum is %s, that of its content %s", claimed,
                found);
}
