/*
 * convert.c - a model's file into another type or format, for users of the library
 */
#include "api/api.h"

#include "base/memory.h"
#include "io/convert.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct imgen_conversion {
    struct conversion *of;
    imgen_conversion_progress *progress;
    void *user;
};

enum imgen_status imgen_conversion_open(struct imgen_conversion **out, const char *in,
                                        const char *type, const char *format,
                                        struct imgen_error *err)
{
    bool gguf = strcasecmp(format, "GGUF") == 0;
    struct imgen_conversion *c = NULL;
    struct error e = {0};
    enum status st = OK;

    *out = NULL;
    if (!gguf && strcasecmp(format, "safetensors") != 0)
        st = fail(&e, E_ARG, "there is no format '%.40s'; safetensors and GGUF are", format);
    if (st || (st = mem_new((void **)&c, 1, sizeof *c, "a conversion", &e)) ||
        (st = conversion_open(&c->of, in, type, gguf, &e)))
        imgen_conversion_close(c);
    else
        *out = c;
    return api_status(err, &e, st);
}

void imgen_conversion_close(struct imgen_conversion *c)
{
    if (!c)
        return;
    conversion_close(c->of);
    free(c);
}

int imgen_conversion_row(const struct imgen_conversion *c, int64_t i,
                         struct imgen_conversion_row *out)
{
    struct conversion_row row;

    if (i < 0 || i >= conversion_count(c->of))
        return 0;
    conversion_at(c->of, i, &row);
    *out = (struct imgen_conversion_row){
        .name = *row.name ? row.name : NULL,
        .old_name = row.old_name,
        .from = file_dtype_name(row.from),
        .to = file_dtype_name(row.to),
        .rank = row.rank,
        .old_bytes = row.old_bytes,
        .bytes = row.bytes,
    };
    memcpy(out->dim, row.dim, sizeof out->dim);
    return 1;
}

static bool relay(uint64_t done, uint64_t total, void *user)
{
    const struct imgen_conversion *c = user;

    return c->progress(done, total, c->user) != 0;
}

enum imgen_status imgen_conversion_run(struct imgen_conversion *c, const char *out,
                                       imgen_conversion_progress *progress, void *user,
                                       struct imgen_error *err)
{
    struct error e = {0};
    enum status st;

    c->progress = progress;
    c->user = user;
    st = conversion_run(c->of, out, progress ? relay : NULL, c, &e);
    return api_status(err, &e, st);
}
