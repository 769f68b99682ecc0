/*
 * bench_codec.c - a large picture through the decoder of Stable Diffusion 3, in a limit of memory
 *
 *     bench_codec SIDE [MEMORY [TILE [OVERLAP [noise]]]]
 *
 * Decodes random latents to a picture of SIDE x SIDE through the 16-channel decoder with random
 * weights, within MEMORY megabytes (0: no limit), or in tiles of TILE cells that share OVERLAP;
 * says how, in what time, and the most that was resident.  A second picture, decoded whole in the
 * same process afterwards where SIDE is at most 1024, tells by PSNR what cutting has changed, for
 * pictures in -1 .. 1.
 *
 * A network that was not trained is as good as any here: memory and time depend on shapes alone,
 * and norms and attention tie a place to the whole picture in it as in a trained one.  The latents
 * are not noise, of which each tile has the same statistics, but sums of noise at all scales with
 * equal power an octave, as pictures have: one side of the picture is unlike the other.  `noise` asks for
 * noise all the same.
 */
#include "base/clock.h"
#include "base/rng.h"
#include "model/vae.h"
#include "pipeline/codec.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { LATENTS = 16, FACTOR = 8, CHANNELS = 3, WHOLE = 1024 };

static int64_t peak_bytes(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    int64_t kib = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %" SCNd64, &kib) == 1)
            break;
    if (f)
        fclose(f);
    return 1024 * kib;
}

/* A grid of cells of `step` places, each with random values, between which it goes over linearly.
 */
static void add_octave(float *z, int64_t side, int64_t step, uint64_t key)
{
    int64_t n = side / step + 2;
    float *grid = malloc((size_t)(n * n) * LATENTS * sizeof *grid);
    struct rng r = rng_stream(1, RNG_TEST, key);

    if (!grid)
        return;
    rng_normals(&r, grid, n * n * LATENTS);
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++)
            for (int64_t c = 0; c < LATENTS; c++) {
                const float *at = grid + ((y / step) * n + x / step) * LATENTS + c;
                float v = (float)(y % step) / (float)step, u = (float)(x % step) / (float)step;

                z[(y * side + x) * LATENTS + c] +=
                    (1 - v) * ((1 - u) * at[0] + u * at[LATENTS]) +
                    v * ((1 - u) * at[n * LATENTS] + u * at[(n + 1) * LATENTS]);
            }
    free(grid);
}

/* Octaves from single places to places of `most`, of deviation 1 together. */
static float *make_latents(int64_t side, int64_t most)
{
    int64_t n = side * side * LATENTS, octaves = 0;
    float *z = calloc((size_t)n, sizeof *z);

    for (int64_t step = 1; z && step <= most; step *= 2)
        add_octave(z, side, step, (uint64_t)++octaves);
    for (int64_t i = 0; z && i < n; i++)
        z[i] /= sqrtf((float)octaves);
    return z;
}

static enum status make_codec(struct codec **out, struct network **net, struct error *err)
{
    json_t *config = json_pack("{s:i, s:s}", "latent_channels", LATENTS, "halves", "decoder");
    char hash[65];
    enum status st;

    if (!config)
        return fail(err, E_MEMORY, "no memory for a configuration");
    st = network_from_json(net, &network_vae, config, false, err);
    json_decref(config);
    if (st)
        return st;
    params_init((*net)->params, 1);
    snprintf(hash, sizeof hash, "%064d", 0);
    return codec_new(out, *net, hash, omp_get_max_threads(), err);
}

static void say(const struct codec_plan *p, double seconds, int64_t peak)
{
    const struct tiling *t = &p->tiling;

    printf("%" PRId64 " x %" PRId64 ": ", t->width, t->height);
    if (p->strips.n)
        printf("in strips, %d spans, %" PRId64 " runs", p->strips.n, p->strips.runs);
    else if (tiling_count(t) > 1)
        printf("in %" PRId64 " x %" PRId64 " tiles of %" PRId64 " cells that share %" PRId64,
               t->across.n, t->down.n, t->across.tile, t->overlap);
    else
        printf("whole");
    printf("; planned %.0f MB; %.1f s; at most %.0f MB resident\n", 1e-6 * (double)p->bytes,
           seconds, 1e-6 * (double)peak);
    for (int i = 0; i < p->strips.n; i++)
        printf("  steps %d to %d: %" PRId64 " rows a strip, %" PRId64
               " more on each side, %d norms\n",
               p->strips.span[i].first, p->strips.span[i].last - 1, p->strips.span[i].rows,
               p->strips.span[i].reach, p->strips.span[i].norms);
    fflush(stdout);
}

static enum status decode(struct codec *c, float *picture, const float *z, int64_t side,
                          const struct codec_limits *l, struct error *err)
{
    double start = clock_seconds();
    struct codec_plan plan;
    enum status st;

    if ((st = codec_plan(&plan, c, HALVES_DECODER, 1, side, side, l, err)) ||
        (st = codec_decode(c, picture, z, 1, side, side, l, err)))
        return st;
    say(&plan, clock_seconds() - start, peak_bytes());
    return OK;
}

static void compare(const float *a, const float *b, int64_t n)
{
    double squares = 0, sum = 0, power = 0;

    for (int64_t i = 0; i < n; i++) {
        squares += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        sum += (double)b[i];
        power += (double)b[i] * (double)b[i];
    }
    printf("PSNR of the two %.1f dB; the whole one's deviation is %.2f\n",
           10 * log10(4 / (squares / (double)n)),
           sqrt(power / (double)n - sum / (double)n * (sum / (double)n)));
}

int main(int argc, char **argv)
{
    const struct codec_limits whole = {0};
    int64_t side = argc > 1 ? atoll(argv[1]) / FACTOR * FACTOR : 0;
    struct codec_limits l = {.memory = argc > 2 ? atoll(argv[2]) * 1000000 : 0,
                             .tile = argc > 3 ? atoll(argv[3]) : 0,
                             .overlap = argc > 4 ? atoll(argv[4]) : 0};
    struct network *net = NULL;
    struct error err = {0};
    struct codec *c = NULL;
    float *z = NULL, *picture = NULL, *other = NULL;
    enum status st;

    if (side < FACTOR) {
        fprintf(stderr, "usage: bench_codec SIDE [MEGABYTES [TILE [OVERLAP [noise]]]]\n");
        return 2;
    }
    z = make_latents(side / FACTOR, argc > 5 ? 1 : side / FACTOR);
    picture = malloc((size_t)(side * side * CHANNELS) * sizeof *picture);
    if (!z || !picture)
        st = fail(&err, E_MEMORY, "no memory for a picture of %" PRId64, side);
    else if (!(st = make_codec(&c, &net, &err)) && !(st = decode(c, picture, z, side, &l, &err)) &&
             side <= WHOLE && (l.memory || l.tile)) {
        other = malloc((size_t)(side * side * CHANNELS) * sizeof *other);
        st = other ? decode(c, other, z, side, &whole, &err)
                   : fail(&err, E_MEMORY, "no memory for a second picture");
        if (!st)
            compare(picture, other, side * side * CHANNELS);
    }
    if (st)
        fprintf(stderr, "bench_codec: %s\n", err.text);
    codec_free(c);
    network_free(net);
    free(z);
    free(picture);
    free(other);
    return st != OK;
}
