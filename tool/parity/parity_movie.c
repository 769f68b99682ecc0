/*
 * parity_movie.c - time grids, tiles and losses of videos (movie-gen)
 *
 *     schedules             linear-quadratic grids, among them those whose linear half ends at one
 *                           time for any number of steps; another reading is not the library's
 *     linear                equal steps
 *     euler_gaussian_check  Euler's steps on such grids, on data whose velocity is known
 *     point_mass_check      a sentence, and done: where all data are one point, any grid ends there
 *     tae_temporal_tiling   tiles of frames, encoded and decoded, and how they are blended
 *     spatial_tiling        the same rule along any axis
 *     multidiffusion        windows and what each of them counts
 *     opl_check             the penalty of latents that stand out, and its gradient
 *
 * Numbers are written with ten digits.
 */
#include "oracle.h"

#include "model/video_vae.h"
#include "pipeline/frame_tiles.h"
#include "train/outlier.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { TEXT = 96, PLACES = 4096, TINY_FACTOR = 4 };

static const struct parity_limit limit = {.absolute = 1e-9};

static enum status whole_read(int64_t *out, const json_t *object, const char *key, int64_t most,
                              struct error *err)
{
    double value;
    enum status st = real_read(&value, object, key, err);

    if (st)
        return st;
    if (!(value >= 1 && value <= (double)most && value == floor(value)))
        return fail(err, E_FORMAT, "%s is %g, no number of 1 .. %" PRId64, key, value, most);
    *out = (int64_t)value;
    return OK;
}

/* ---- Time grids ---- */

static enum status grid_open(struct grid *grid, const char *name, double emulated,
                             struct error *err)
{
    enum status st = grid_init(grid, name, err);

    return st || !(emulated > 0) ? st : grid_set(grid, "emulated", emulated, err);
}

static enum status grid_compare(struct parity_report *r, struct parity_fixture *f, const char *name,
                                const struct grid *grid, int64_t steps, const json_t *times,
                                struct error *err)
{
    double *want, t[STEPS_MAX + 1];
    enum status st;

    if ((st = grid_fill(t, grid, (int)steps, 0, 1, err)) ||
        (st = numbers_read(&want, NULL, f, times, steps + 1, name, err)))
        return st;
    parity_compare_f64(r, name, t, want, steps + 1, limit);
    return OK;
}

static enum status schedule_check(struct parity_report *r, struct parity_fixture *f,
                                  const json_t *row, struct error *err)
{
    const char *kind = json_string_value(json_object_get(row, "kind"));
    double emulated = 0;
    struct grid grid;
    char name[TEXT];
    int64_t steps = 0;
    enum status st;

    if ((st = whole_read(&steps, row, "steps", STEPS_MAX, err)))
        return st;
    snprintf(name, sizeof name, "%s, %" PRId64 " steps", kind ? kind : "?", steps);
    if (kind && strcmp(kind, "fixed_tau") == 0) {
        double end;

        if ((st = real_read(&end, row, "tau", err)))
            return st;
        emulated = (double)(steps / 2) / end;
    } else if (kind && strcmp(kind, "smooth") == 0) {
        if ((st = real_read(&emulated, row, "emulated_linear_steps", err)))
            return st;
        snprintf(name, sizeof name, "%" PRId64 " steps like %g", steps, emulated);
    } else {
        parity_skip(r, name, "a reading of the paper whose slope jumps");
        return OK;
    }
    if ((st = grid_open(&grid, "linear_quadratic", emulated, err)))
        return st;
    return grid_compare(r, f, name, &grid, steps, json_object_get(row, "t"), err);
}

static enum status schedules_check(struct parity_report *r, struct parity_fixture *f,
                                   const json_t *part, struct error *err)
{
    enum status st = OK;
    json_t *row;
    size_t i;

    report_group(r, "linear-quadratic grids");
    json_array_foreach((json_t *)part, i, row)
    {
        if ((st = schedule_check(r, f, row, err)))
            return st;
    }
    return st;
}

static enum status linear_check(struct parity_report *r, struct parity_fixture *f,
                                const json_t *part, struct error *err)
{
    enum status st;
    const char *key;
    json_t *times;

    report_group(r, "linear grids");
    json_object_foreach((json_t *)part, key, times)
    {
        struct grid grid;

        if (!json_is_array(times) || json_array_size(times) < 2 ||
            json_array_size(times) > STEPS_MAX + 1)
            return fail(err, E_FORMAT, "linear grid %s", key);
        if ((st = grid_open(&grid, "uniform", 0, err)) ||
            (st = grid_compare(r, f, key, &grid, (int64_t)json_array_size(times) - 1, times, err)))
            return st;
    }
    return OK;
}

/* ---- Euler's steps where the velocity is known ---- */

/* The mean velocity at (x, t) of data N(mean, std^2) on X_t = t X_1 + (1 - (1 - s) t) X_0. */
static double velocity(double x, double t, double mean, double std)
{
    const double keep = 1 - 1e-5;
    double k = 1 - keep * t, variance = t * t * std * std + k * k;

    return mean + (t * std * std - keep * k) / variance * (x - t * mean);
}

static enum status euler_run(double *x, const char *name, double mean, double std,
                             struct error *err)
{
    double t[STEPS_MAX + 1], emulated = 0;
    struct grid grid;
    enum status st;
    int steps;

    if (sscanf(name, "smooth_%d_N%lf", &steps, &emulated) != 2 &&
        sscanf(name, "linear_%d", &steps) != 1)
        return fail(err, E_FORMAT, "a result of '%s', no grid", name);
    if ((st = grid_open(&grid, emulated > 0 ? "linear_quadratic" : "uniform", emulated, err)) ||
        (st = grid_fill(t, &grid, steps, 0, 1, err)))
        return st;
    for (int i = 0; i < steps; i++)
        *x += (t[i + 1] - t[i]) * velocity(*x, t[i], mean, std);
    return OK;
}

static enum status euler_case(struct parity_report *r, const json_t *row, struct error *err)
{
    double mean, std, start;
    const char *name;
    enum status st;
    json_t *value;

    if ((st = real_read(&mean, row, "m", err)) || (st = real_read(&std, row, "s", err)) ||
        (st = real_read(&start, row, "x0", err)))
        return st;
    json_object_foreach(json_object_get(row, "results"), name, value)
    {
        double got = start, want = json_number_value(value);

        if ((st = euler_run(&got, name, mean, std, err)))
            return st;
        parity_compare_f64(r, name, &got, &want, 1, limit);
    }
    return OK;
}

static enum status euler_check(struct parity_report *r, struct parity_fixture *f,
                               const json_t *part, struct error *err)
{
    enum status st;
    json_t *row;
    size_t i;

    (void)f;
    report_group(r, "Euler's steps on Gaussian data");
    json_array_foreach(json_object_get(part, "cases"), i, row)
    {
        if ((st = euler_case(r, row, err)))
            return st;
    }
    return OK;
}

/* Data that are one point: the end is that point and what sigma_min leaves of the beginning. */
static enum status point_check(struct parity_report *r, struct parity_fixture *f,
                               const json_t *part, struct error *err)
{
    static const char *const grids[] = {"linear_7", "linear_50", "smooth_50_N250"};
    const double point = 0.7, start = -1.3, end = point + 1e-5 * start;

    (void)f, (void)part;
    report_group(r, "Euler's steps to a point");
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        double got = start;
        enum status st = euler_run(&got, grids[i], point, 0, err);

        if (st)
            return st;
        parity_compare_f64(r, grids[i], &got, &end, 1, limit);
    }
    return OK;
}

/* ---- Tiles ---- */

/* First and last places of the tiles, as pairs, `scale` to a cell. */
static enum status bounds_compare(struct parity_report *r, struct parity_fixture *f,
                                  const char *name, const struct frame_tiles *t, int64_t scale,
                                  const json_t *row, const char *key, struct error *err)
{
    double *want, *got;
    enum status st;

    if ((st = member_read(&want, NULL, f, row, key, 2 * t->n, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)(2 * t->n), sizeof *got, err)))
        return st;
    for (int64_t i = 0; i < t->n; i++) {
        int64_t first = frame_tile_first(t, i);

        got[2 * i] = (double)(first * scale);
        got[2 * i + 1] = (double)((first + frame_tile_cells(t, i)) * scale);
    }
    parity_compare_f64(r, name, got, want, 2 * t->n, limit);
    return OK;
}

/* One array of weights a tile; some rows have none. */
static enum status weights_compare(struct parity_report *r, struct parity_fixture *f,
                                   const char *name, const struct frame_tiles *t, int64_t scale,
                                   const json_t *rows, struct error *err)
{
    double *want, got[PLACES];
    enum status st;

    if (!rows)
        return OK;
    if (json_array_size(rows) != (size_t)t->n || t->tile * scale > PLACES)
        return fail(err, E_FORMAT, "%s: weights of %zu tiles, there are %" PRId64, name,
                    json_array_size(rows), t->n);
    for (int64_t i = 0; i < t->n; i++) {
        int64_t n = frame_tile_cells(t, i) * scale;

        if ((st = numbers_read(&want, NULL, f, json_array_get(rows, (size_t)i), n, name, err)))
            return st;
        frame_tile_weights(got, t, i, scale);
        parity_compare_f64(r, name, got, want, n, limit);
    }
    return OK;
}

/* How decoded frames are cut and blended: tiles of `tile` cells of `factor` frames. */
static enum status decoder_check(struct parity_report *r, struct parity_fixture *f,
                                 const json_t *row, int64_t tile, int64_t overlap, int64_t factor,
                                 struct error *err)
{
    struct frame_tiles t;
    int64_t cells = 0;
    char name[TEXT];
    enum status st;

    if ((st = whole_read(&cells, row, "latent_frames", PLACES, err)) ||
        (st = frame_tiles_plan(&t, cells, tile, overlap, err)))
        return st;
    snprintf(name, sizeof name, "%" PRId64 " latent frames decoded", cells);
    if ((st = bounds_compare(r, f, name, &t, 1, row, "tiles_latent", err)))
        return st;
    if (json_object_get(row, "tiles_pixel") &&
        (st = bounds_compare(r, f, name, &t, factor, row, "tiles_pixel", err)))
        return st;
    return weights_compare(r, f, name, &t, factor, json_object_get(row, "weights"), err);
}

/* Frames of the latents, of all tiles together and of each. */
static enum status encoder_check(struct parity_report *r, struct parity_fixture *f,
                                 const struct network *net, const json_t *row, struct error *err)
{
    int64_t frames = 0, factor = net->io.frame_factor, cells, left;
    double *want, got[3], *each;
    struct frame_tiles t;
    char name[TEXT];
    enum status st;

    if ((st = whole_read(&frames, row, "pixel_frames", PLACES, err)))
        return st;
    cells = autoencoder_latent_frames(net, frames);
    if ((st = frame_tiles_plan(&t, cells, 32 / factor, 0, err)) ||
        (st = member_read(&want, NULL, f, row, "latent_frames_per_tile", t.n, err)) ||
        (st = fixture_new(f, (void **)&each, (uint64_t)t.n, sizeof *each, err)))
        return st;
    snprintf(name, sizeof name, "%" PRId64 " frames encoded", frames);
    for (int64_t i = 0; i < t.n; i++) {
        left = frames - frame_tile_first(&t, i) * factor;
        left = left < t.tile * factor ? left : t.tile * factor;
        each[i] = (double)autoencoder_latent_frames(net, left);
    }
    parity_compare_f64(r, name, each, want, t.n, limit);
    got[0] = (double)cells;
    got[1] = (double)(cells * factor);
    got[2] = (double)(cells * factor - frames);
    for (int k = 0; k < 3; k++) {
        static const char *const keys[] = {"latent_frames", "decoded_frames",
                                           "spurious_frames_dropped"};

        if ((st = member_read(&want, NULL, f, row, keys[k], 1, err)))
            return st;
        parity_compare_f64(r, name, &got[k], want, 1, limit);
    }
    return OK;
}

/* The published form: 8 frames a latent's, tiles of 4 that share 2; and the tiny one of 4. */
static enum status time_tiles_check(struct parity_report *r, struct parity_fixture *f,
                                    const json_t *part, struct error *err)
{
    json_t *config = json_object(), *row;
    struct network *net = NULL;
    enum status st;
    size_t i;

    report_group(r, "tiles of frames");
    if (!config)
        return fail(err, E_MEMORY, "no memory for a configuration");
    st = network_declare_json(&net, &network_video_vae, config, err);
    json_decref(config);
    if (st)
        return st;
    json_array_foreach(json_object_get(part, "decoder"), i, row)
    {
        if ((st = decoder_check(r, f, row, 4, 2, net->io.frame_factor, err)))
            goto out;
    }
    json_array_foreach(json_object_get(part, "encoder"), i, row)
    {
        if ((st = encoder_check(r, f, net, row, err)))
            goto out;
    }
    row = json_object_get(part, "decoder_tiny_4x");
    if (row)
        st = decoder_check(r, f, row, 2, 1, TINY_FACTOR, err);
out:
    network_free(net);
    return st;
}

static enum status axis_check(struct parity_report *r, struct parity_fixture *f, const json_t *part,
                              struct error *err)
{
    struct frame_tiles t;
    char name[TEXT];
    enum status st;
    json_t *row;
    size_t i;

    report_group(r, "tiles along an axis");
    json_array_foreach(json_object_get(part, "cases"), i, row)
    {
        int64_t size = 0, tile = 0, overlap = 0;

        if ((st = whole_read(&size, row, "size", PLACES, err)) ||
            (st = whole_read(&tile, row, "tile", PLACES, err)) ||
            (st = whole_read(&overlap, row, "overlap", PLACES, err)) ||
            (st = frame_tiles_plan(&t, size, tile, overlap, err)))
            return st;
        snprintf(name, sizeof name, "%" PRId64 " places, tiles of %" PRId64, size, tile);
        if ((st = bounds_compare(r, f, name, &t, 1, row, "tiles", err)) ||
            (st = weights_compare(r, f, name, &t, 1, json_object_get(row, "weights"), err)))
            return st;
    }
    return OK;
}

static enum status windows_check(struct parity_report *r, struct parity_fixture *f,
                                 const json_t *part, struct error *err)
{
    struct frame_tiles t;
    char name[TEXT];
    enum status st;
    json_t *row;
    size_t i;

    report_group(r, "windows");
    json_array_foreach(json_object_get(part, "cases"), i, row)
    {
        int64_t frames = 0, window = 0, overlap = 0;

        if ((st = whole_read(&frames, row, "frames", PLACES, err)) ||
            (st = whole_read(&window, row, "window", PLACES, err)) ||
            (st = whole_read(&overlap, row, "overlap", PLACES, err)) ||
            (st = frame_windows_plan(&t, frames, window, overlap, err)))
            return st;
        snprintf(name, sizeof name, "%" PRId64 " frames, windows of %" PRId64, frames, window);
        if ((st = bounds_compare(r, f, name, &t, 1, row, "windows", err)) ||
            (st = weights_compare(r, f, name, &t, 1, json_object_get(row, "normalised"), err)))
            return st;
    }
    return OK;
}

/* ---- The penalty ---- */

/* X [C, H, W] of the file as [1, H, W, C]. */
static enum status latent_read(float **out, int64_t shape[3], struct parity_fixture *f,
                               const json_t *part, struct error *err)
{
    double *x, *sizes;
    int64_t places;
    enum status st;

    if ((st = member_read(&sizes, NULL, f, part, "shape", 3, err)))
        return st;
    for (int k = 0; k < 3; k++) {
        if (!(sizes[k] >= 1 && sizes[k] <= PLACES))
            return fail(err, E_FORMAT, "a latent with a side of %g", sizes[k]);
        shape[k] = (int64_t)sizes[k];
    }
    places = shape[1] * shape[2];
    if ((st = member_read(&x, NULL, f, part, "X", shape[0] * places, err)) ||
        (st = fixture_new(f, (void **)out, (uint64_t)(shape[0] * places), sizeof **out, err)))
        return st;
    for (int64_t i = 0; i < shape[0] * places; i++)
        (*out)[i % places * shape[0] + i / places] = (float)x[i];
    return OK;
}

static enum status penalty_run(float *value, float *slope, const float *z, const int64_t shape[3],
                               double reach, int threads, struct error *err)
{
    struct tensor *x, *y;
    struct graph *g;
    enum status st;

    if ((st = graph_new(&g, 0, threads, err)))
        return st;
    x = graph_input(g, SHAPE(1, shape[1], shape[2], shape[0]), z);
    graph_want_grad(x);
    y = outlier_loss(g, x, reach);
    graph_keep(g, y);
    graph_backward(g, y);
    graph_keep(g, x->grad);
    if (!(st = graph_run(g, err))) {
        graph_read(g, y, value);
        graph_read(g, x->grad, slope);
    }
    graph_free(g);
    return st;
}

static enum status penalty_case(struct parity_report *r, struct parity_fixture *f,
                                const json_t *row, const float *z, const int64_t shape[3],
                                int threads, struct error *err)
{
    const struct parity_limit to = {.absolute = 1e-5};
    int64_t places = shape[1] * shape[2], n = shape[0] * places;
    double reach, value, *want, *got;
    char name[TEXT];
    float *slope, found;
    enum status st;

    if ((st = real_read(&reach, row, "r", err)) ||
        (st = member_read(&want, NULL, f, row, "gradient", n, err)) ||
        (st = fixture_new(f, (void **)&slope, (uint64_t)n, sizeof *slope, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)n, sizeof *got, err)) ||
        (st = penalty_run(&found, slope, z, shape, reach, threads, err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        got[i] = (double)slope[i % places * shape[0] + i / places];
    snprintf(name, sizeof name, "reach %g, gradient", reach);
    parity_compare_f64(r, name, got, want, n, to);
    if ((st = member_read(&want, NULL, f, row, "value", 1, err)))
        return st;
    value = (double)found;
    snprintf(name, sizeof name, "reach %g, value", reach);
    parity_compare_f64(r, name, &value, want, 1, to);
    return OK;
}

static enum status penalty_check(struct parity_report *r, struct parity_fixture *f,
                                 const json_t *part, int threads, struct error *err)
{
    int64_t shape[3];
    enum status st;
    json_t *row;
    float *z;
    size_t i;

    report_group(r, "outlier penalty");
    if ((st = latent_read(&z, shape, f, part, err)))
        return st;
    json_array_foreach(json_object_get(part, "cases"), i, row)
    {
        if ((st = penalty_case(r, f, row, z, shape, threads, err)))
            return st;
    }
    return OK;
}

/* ---- The file ---- */

static enum status movie_check(struct parity_report *r, struct parity_fixture *f,
                               const struct parity_options *options, struct error *err)
{
    static const struct {
        const char *key;
        enum status (*check)(struct parity_report *r, struct parity_fixture *f, const json_t *part,
                             struct error *err);
    } parts[] = {{"schedules", schedules_check},
                 {"linear", linear_check},
                 {"euler_gaussian_check", euler_check},
                 {"point_mass_check", point_check},
                 {"tae_temporal_tiling", time_tiles_check},
                 {"spatial_tiling", axis_check},
                 {"multidiffusion", windows_check}};
    const json_t *root = fixture_part(f, "")->json, *penalty = json_object_get(root, "opl_check");
    enum status st;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const json_t *part = json_object_get(root, parts[i].key);

        if (part && (st = parts[i].check(r, f, part, err)))
            return st;
    }
    return penalty ? penalty_check(r, f, penalty, options->threads, err) : OK;
}

static bool movie_knows(const json_t *root)
{
    return json_object_get(root, "tae_temporal_tiling") && json_object_get(root, "schedules");
}

const struct parity_checker parity_movie = {
    .kind = "movie",
    .parts = {""},
    .knows = movie_knows,
    .check = movie_check,
};
