/*
 * parity_noise.c - seeded noise of the widely used generator (tensors called seed<S>.n<N>)
 *
 * The limit is the fixture's own: it was drawn by approximate vector functions.
 */
#include "parity.h"

#include "base/text.h"
#include "base/torch_rng.h"

#include <stdlib.h>
#include <string.h>

static const struct parity_limit limit = {.absolute = 2e-5};

/* "seed42.n1000" -> 42 and 1000. */
static bool name_read(const char *name, uint64_t *seed, int64_t *n)
{
    char digits[24];
    const char *dot = strstr(name, ".n");
    size_t length = dot ? (size_t)(dot - name) : 0;

    if (strncmp(name, "seed", 4) || length < 5 || length - 4 >= sizeof digits)
        return false;
    memcpy(digits, name + 4, length - 4);
    digits[length - 4] = 0;
    return text_to_seed(digits, seed) && text_to_int(dot + 2, n) && *n >= 0;
}

static enum status noise_check(struct parity_report *r, struct parity_fixture *f,
                               const struct parity_options *options, struct error *err)
{
    const struct parity_part *part = fixture_part(f, "");

    (void)options;
    for (int64_t i = 0; i < weights_count(part->file); i++) {
        const char *name = weights_at(part->file, i)->name;
        struct parity_array want;
        struct torch_rng rng;
        uint64_t seed;
        int64_t n;
        float *got;
        enum status st;

        if (!name_read(name, &seed, &n)) {
            parity_skip(r, name, "no seed<S>.n<N>");
            continue;
        }
        if ((st = fixture_f32(f, &want, part, name, err)) ||
            (st = fixture_new(f, (void **)&got, (uint64_t)want.n, sizeof *got, err)))
            return st;
        rng = torch_rng_seed(seed);
        torch_rng_normals(&rng, got, want.n);
        parity_compare_f32(r, name, got, want.v, want.n, limit);
    }
    return OK;
}

static bool noise_knows(const struct weights *file)
{
    uint64_t seed;
    int64_t n;

    return weights_count(file) && name_read(weights_at(file, 0)->name, &seed, &n);
}

const struct parity_checker parity_torch_noise = {
    .kind = "torch_noise",
    .parts = {""},
    .knows_tensors = noise_knows,
    .check = noise_check,
};
