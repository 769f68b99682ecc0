/*
 * start.c - the noise that a picture begins with
 *
 * Any standard normal numbers do.  Ours are keyed by seed and picture; but a seed that somebody
 * published means the numbers of the program it was used in, and those come from one generator,
 * one plane of a channel after the other, where our pictures keep the channels of a pixel together.
 */
#include "sampler/start.h"

#include "base/memory.h"
#include "base/torch_rng.h"
#include "sampler/sampler.h"

#include <stdlib.h>

const struct choice *start_rng_at(int i)
{
    static const struct choice all[] = {
        [START_IMGEN] = {.name = "imgen", .summary = "streams of this program's own"},
        [START_TORCH_CPU] = {.name = "torch-cpu",
                             .summary = "the numbers that PyTorch draws on a CPU: seeds of others"},
    };

    return i >= 0 && i < (int)(sizeof all / sizeof *all) ? &all[i] : NULL;
}

static enum status torch_draw(double *x, double scale, uint64_t seed, int64_t pixels,
                              int64_t channels, struct error *err)
{
    struct torch_rng r = torch_rng_seed(seed);
    float *planes = NULL;
    enum status st;

    if ((st = mem_new((void **)&planes, (uint64_t)(pixels * channels), sizeof *planes,
                      "the noise of a picture", err)))
        return st;
    torch_rng_normals(&r, planes, pixels * channels);
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < channels; c++)
            x[i * channels + c] = scale * (double)planes[c * pixels + i];
    free(planes);
    return OK;
}

enum status start_draw(double *x, enum start_rng rng, const struct path *path, uint64_t seed,
                       int64_t pixels, int64_t channels, struct error *err)
{
    if (rng == START_TORCH_CPU)
        return torch_draw(x, path->kind->variance_exploding ? path_at(path, 0).beta : 1, seed,
                          pixels, channels, err);
    sampling_start(x, path, seed, 0, pixels * channels);
    return OK;
}
