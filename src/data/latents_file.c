/*
 * latents_file.c - where the files of a cache of latents lie, and what they may hold
 *
 * A part is named by its first picture, with zeros in front, so that a listing by name is one by
 * picture.  Only a name that would be written like this again is a part's: another that begins
 * alike is somebody else's file, and is left alone.
 */
#include "data/latents_file.h"

#include "data/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 64 };

static void part_name(char out[NAME], int64_t first)
{
    snprintf(out, NAME, "latents-%012" PRId64 ".safetensors", first);
}

enum status latents_part_path(char **out, const char *folder, int64_t first, struct error *err)
{
    char name[NAME];

    part_name(name, first);
    return listing_path(out, folder, name, err);
}

int64_t latents_part_named(const char *name)
{
    char same[NAME];
    int64_t first;

    if (sscanf(name, "latents-%" SCNd64, &first) != 1 || first < 0 || first > LATENTS_PICTURES)
        return -1;
    part_name(same, first);
    return strcmp(name, same) ? -1 : first;
}

enum status latents_index_path(char **out, const char *folder, struct error *err)
{
    return listing_path(out, folder, "latents.json", err);
}
