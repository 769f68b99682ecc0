/*
 * parity_file_cases.c - files that a strict reader takes, and files that it refuses
 *
 * A folder with a manifest.json, a list of { "file": name, "valid": whether a strict reader accepts
 * it }.  A valid file must open and give numbers for every tensor; an invalid one must be refused
 * with a sentence.
 */
#include "parity.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_ROOM = 4096 };

static bool there(const char *folder, const char *name)
{
    char path[PATH_ROOM];
    struct stat info;

    return snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_ROOM && !stat(path, &info);
}

static bool owns_cases(const char *folder)
{
    return there(folder, "manifest.json") && there(folder, "valid") && there(folder, "invalid");
}

static enum status read_all(const struct weights *w, struct error *err)
{
    enum status st = OK;

    for (int64_t i = 0; i < weights_count(w) && !st; i++) {
        const struct file_tensor *t = weights_at(w, i);
        double *x = NULL;

        if (!(st = mem_new((void **)&x, (uint64_t)file_tensor_count(t), sizeof *x, t->name, err)))
            st = file_tensor_f64(t, x, err);
        free(x);
    }
    return st;
}

static void check_case(struct parity_report *r, const char *folder, const char *name, bool valid)
{
    char path[PATH_ROOM];
    struct error why = {0};
    struct weights *w = NULL;
    enum status st;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_ROOM) {
        parity_claim(r, name, false, "its path is too long");
        return;
    }
    if (!(st = weights_open(&w, path, &why)))
        st = read_all(w, &why);
    weights_close(w);
    if (valid)
        parity_claim(r, name, !st, "refused: %s", why.text);
    else
        parity_claim(r, name, st && *why.text && !(st == E_IO || st == E_MEMORY),
                     st ? "not judged: %s" : "taken%s", why.text);
}

static enum status read_manifest(json_t **out, const char *folder, struct error *err)
{
    char path[PATH_ROOM];
    uint8_t *text = NULL;
    uint64_t n;
    enum status st;

    snprintf(path, sizeof path, "%s/manifest.json", folder);
    if (!(st = file_read(&text, &n, path, CONFIG_BYTES, err)))
        st = config_parse(out, (const char *)text, n, CONFIG_BYTES, path, err);
    free(text);
    return st;
}

static enum status cases_check(struct parity_report *r, struct parity_fixture *f,
                               const struct parity_options *options, struct error *err)
{
    json_t *manifest = NULL;
    enum status st;

    (void)options;
    if ((st = read_manifest(&manifest, f->folder, err)))
        return st;
    for (size_t i = 0; i < json_array_size(manifest) && !st; i++) {
        const json_t *entry = json_array_get(manifest, i);
        const char *name = NULL;
        bool valid = false;

        if (!(st = config_text(&name, entry, "file", NULL, err)) &&
            !(st = config_need(entry, "file", err)) && !(st = config_need(entry, "valid", err)) &&
            !(st = config_bool(&valid, entry, "valid", false, err)))
            check_case(r, f->folder, name, valid);
    }
    json_decref(manifest);
    return st;
}

const struct parity_checker parity_file_cases = {
    .kind = "file_cases", .owns = owns_cases, .check = cases_check};
