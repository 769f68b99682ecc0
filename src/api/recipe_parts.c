/*
 * recipe_parts.c - of a model of several files, which parts made a picture
 *
 * A recipe names files and never places.  Parts of a model usually lie about the model, though, in
 * its folder or beside it, and are found again by how the model's folder calls them, which also
 * holds when all of them are moved together.  A part that somebody keeps elsewhere is named by the
 * last word of its path.
 */
#include "api/recipe.h"

#include "api/api.h"
#include "base/memory.h"
#include "data/listing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The folder that the parts lie about; heap. */
static enum status home_of(char **out, const struct imgen_model *m, struct error *err)
{
    enum status st = mem_text(out, m->path, err);
    char *slash = st || path_is_folder(m->path) ? NULL : strrchr(*out, '/');

    if (slash)
        slash[slash == *out] = 0;
    else if (!st && !path_is_folder(m->path))
        strcpy(*out, *m->path ? "." : "");
    return st;
}

static enum status put_part(struct imgen_recipe_part *to, const struct model_part *part,
                            const char *home, struct error *err)
{
    size_t n = strlen(home);
    char *seen = NULL;
    const char *name = part->path;
    enum status st;

    if ((st = recipe_put(to->role, sizeof to->role, "a part", part->role, err)) || !part->path)
        return st;
    memcpy(to->hash, part->hash, sizeof to->hash);
    if (!strncmp(name, home, n) && name[n] == '/') {
        name += n + strspn(name + n, "/");
    } else if (path_seen_from(&seen, home, part->path, NULL) || *seen == '/') {
        name = strrchr(part->path, '/');
        name = name ? name + 1 : part->path;
    } else {
        name = seen;
    }
    st = recipe_put(to->file, sizeof to->file, part->role, name, err);
    free(seen);
    return st;
}

enum status recipe_put_parts(struct imgen_recipe *out, struct imgen_model *m, struct error *err)
{
    char *home = NULL;
    enum status st;

    if ((st = model_parts_hash(&m->parts, err)) || (st = home_of(&home, m, err)))
        return st;
    for (int i = 0; i < m->parts.n && !st; i++)
        st = put_part(&out->part[out->n_parts++], &m->parts.at[i], home, err);
    free(home);
    return st;
}

json_t *recipe_parts_json(const struct imgen_recipe *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->n_parts; i++) {
        const struct imgen_recipe_part *p = &r->part[i];

        if (json_array_append_new(
                list, json_pack("{ss ss ss}", "part", p->role, "file", p->file, "hash", p->hash))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

enum status recipe_read_parts(struct imgen_recipe *out, const json_t *root, struct error *err)
{
    json_t *list;
    enum status st;

    if ((st = config_array(&list, root, "parts", err)))
        return st;
    if (json_array_size(list) > IMGEN_PARTS)
        return fail(err, E_FORMAT, "%zu parts are more than %d", json_array_size(list),
                    IMGEN_PARTS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct imgen_recipe_part *to = &out->part[i];
        const char *role, *file;

        if ((st = config_need(one, "part", err)) ||
            (st = config_text(&role, one, "part", "", err)) ||
            (st = config_text(&file, one, "file", "", err)) ||
            (st = recipe_put(to->role, sizeof to->role, "part", role, err)) ||
            (st = recipe_put(to->file, sizeof to->file, "file", file, err)) ||
            (*file && (st = config_hash(to->hash, one, "hash", err))))
            return st;
        out->n_parts++;
    }
    return OK;
}
