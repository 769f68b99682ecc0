/*
 * codec_video.c - clips to latents and back, a tile of frames at a time
 *
 * What an autoencoder of videos takes grows with the number of frames, and how many fit would be a
 * matter of the machine.  So a clip of up to VIDEO_TILE frames goes through whole, with others in a
 * batch where they are small, and a longer one in tiles of that many (pipeline/frame_tiles.h):
 * without an overlap on the way in, and half a tile of it, blended, on the way out.  Polyak et al.
 * 2024, section 3.1.4; movie-gen.md 2.4.
 *
 * An autoencoder of pictures serves as well: then a clip is so many pictures.
 */
#include "pipeline/codec_video.h"

#include "base/memory.h"
#include "base/whole.h"
#include "io/clip.h"
#include "pipeline/codec_half.h"
#include "pipeline/frame_tiles.h"

#include <inttypes.h>
#include <stdlib.h>

/* Enough to fill the machine, few enough that values stay small. */
enum { BATCH_PIXELS = 1 << 16, BATCH_MAX = 64 };

/* One half at work on clips of one size. */
struct video_work {
    struct codec *codec;
    struct graph *graph;
    const struct codec_limits *limits;
    struct video_size size;
    struct frame_tiles tiles;
    struct frame_sizes sizes;
    bool decodes, code; /* encode: leave the code as it is; else its mean */
    int64_t batch, done, runs;
};

static const struct network_io *io_of(const struct codec *c)
{
    return &codec_network(c)->io;
}

static bool of_pictures(const struct codec *c)
{
    return !io_of(c)->frames;
}

int64_t codec_frames(const struct codec *c, int64_t frames)
{
    return of_pictures(c) ? frames : autoencoder_latent_frames(codec_network(c), frames);
}

static enum status work_init(struct video_work *w, struct codec *c, enum autoencoder_halves half,
                             const struct video_size *size, int64_t n, struct error *err)
{
    const struct network_io *io = io_of(c);
    int64_t cells = codec_frames(c, size->frames);
    int64_t asked = w->limits->frames ? w->limits->frames : VIDEO_TILE;
    int64_t tile = whole_max(asked / io->frame_factor, 2);
    int64_t places = size->height / io->factor * (size->width / io->factor);
    enum status st;

    if (size->frames < 1 || size->frames > CLIP_FRAMES || asked < 1)
        return fail(err, E_ARG,
                    "a clip of %" PRId64 " frames in tiles of %" PRId64 ": 1 to %d have a latent",
                    size->frames, asked, CLIP_FRAMES);
    if ((st = autoencoder_check_size(codec_network(c), size->height, size->width, err)))
        return st;
    w->codec = c;
    w->size = *size;
    w->decodes = half == HALVES_DECODER;
    w->sizes = (struct frame_sizes){.frames = size->frames,
                                    .factor = io->frame_factor,
                                    .frame = size->height * size->width * io->in_channels,
                                    .latent = places * io->latent_channels * (w->code ? 2 : 1)};
    if ((st = frame_tiles_plan(&w->tiles, cells, tile, w->decodes && cells > tile ? tile / 2 : 0,
                               err)))
        return st;
    w->batch = w->tiles.n > 1
                   ? 1
                   : whole_clamp(BATCH_PIXELS / (size->frames * size->height * size->width), 1,
                                 whole_min(n, BATCH_MAX));
    w->runs = w->tiles.n > 1 ? n * w->tiles.n : whole_parts(n, w->batch);
    w->graph = codec_graph(c);
    return OK;
}

/* frames: of the clip, or, where it decodes, of the latent. */
static struct tensor *record_tile(struct video_work *w, int64_t rows, int64_t frames,
                                  const float *x)
{
    const struct network *net = codec_network(w->codec);
    const struct network_io *io = &net->io;
    int64_t height = w->size.height / io->factor, width = w->size.width / io->factor;
    struct graph *g = w->graph;
    struct tensor *y;

    graph_reset(g);
    if (w->decodes) {
        y = graph_input(g, SHAPE(rows, frames, height, width, io->latent_channels), x);
        y = autoencoder_decode(g, net, y);
    } else {
        y = graph_input(g, SHAPE(rows, frames, w->size.height, w->size.width, io->in_channels), x);
        y = autoencoder_encode(g, net, y);
        if (!w->code)
            y = autoencoder_latents(g, net, y, NULL);
    }
    return y;
}

/* Asked between the operations of a run. */
static bool within_run(double done, void *user)
{
    const struct video_work *w = user;
    const struct codec_limits *l = w->limits;

    return l->watch(((double)w->done + done) / (double)w->runs, l->watch_user);
}

static enum status tell(struct video_work *w, struct error *err)
{
    const struct codec_limits *l = w->limits;

    w->done++;
    if (!l->progress || l->progress(w->done, w->runs, l->user))
        return OK;
    return fail(err, E_CANCELLED, "stopped after %" PRId64 " of %" PRId64 " runs", w->done,
                w->runs);
}

static enum status run_tile(struct video_work *w, float *out, const float *in, int64_t rows,
                            int64_t frames, int64_t kept, struct error *err)
{
    struct tensor *y = record_tile(w, rows, frames, in);
    enum status st;

    if (kept)
        y = autoencoder_cut(w->graph, y, kept);
    graph_keep(w->graph, y);
    if ((st = graph_run(w->graph, err)))
        return st;
    graph_read(w->graph, y, out);
    return tell(w, err);
}

static enum status map_tile(float *out, const float *in, int64_t frames, void *user,
                            struct error *err)
{
    return run_tile(user, out, in, 1, frames, 0, err);
}

/* Whole clips, several at once.  The last batch is filled up with clips that were done before:
 * another size of batch would be another plan. */
static enum status map_whole(struct video_work *w, float *out, const float *in, int64_t n,
                             struct error *err)
{
    int64_t clip = w->size.frames * w->sizes.frame, latent = w->tiles.cells * w->sizes.latent;
    int64_t from = w->decodes ? latent : clip, to = w->decodes ? clip : latent;
    enum status st = OK;

    for (int64_t first = 0; first < n && !st; first += w->batch) {
        int64_t at = whole_min(first, n - w->batch);

        st = run_tile(w, out + at * to, in + at * from, w->batch,
                      w->decodes ? w->tiles.cells : w->size.frames, w->decodes ? w->size.frames : 0,
                      err);
    }
    return st;
}

static enum status map_videos(struct video_work *w, float *out, const float *in, int64_t n,
                              struct error *err)
{
    int64_t clip = w->size.frames * w->sizes.frame, latent = w->tiles.cells * w->sizes.latent;
    enum status st = OK;

    if (w->limits->watch)
        graph_set_watch(w->graph, within_run, w);
    if (w->tiles.n == 1)
        st = map_whole(w, out, in, n, err);
    for (int64_t i = 0; w->tiles.n > 1 && i < n && !st; i++)
        st = w->decodes ? frame_tiles_decode(out + i * clip, in + i * latent, &w->tiles, w->sizes,
                                             map_tile, w, err)
                        : frame_tiles_encode(out + i * latent, in + i * clip, &w->tiles, w->sizes,
                                             map_tile, w, err);
    graph_set_watch(w->graph, NULL, NULL);
    return st;
}

static enum status draw_all(struct video_work *w, float *latents, const float *videos, int64_t n,
                            struct error *err)
{
    int64_t length = w->tiles.cells * w->sizes.latent, C = io_of(w->codec)->latent_channels;
    float *code = NULL;
    enum status st;

    if ((st = mem_new((void **)&code, (uint64_t)n, (uint64_t)length * sizeof *code,
                      "means and variances of latents", err)))
        return st;
    st = map_videos(w, code, videos, n, err);
    for (int64_t i = 0; i < n && !st; i++)
        st = codec_draw(w->codec, w->limits->seed, latents + i * length / 2, code + i * length,
                        length / (2 * C), w->limits->first + (uint64_t)i, err);
    free(code);
    return st;
}

static const struct codec_limits unlimited = {0};

enum status codec_encode_videos(struct codec *c, float *latents, const float *videos, int64_t n,
                                const struct video_size *size, const struct codec_limits *l,
                                struct error *err)
{
    struct video_work w = {.limits = l ? l : &unlimited};
    enum status st;

    if (of_pictures(c))
        return codec_encode(c, latents, videos, n * size->frames, size->height, size->width, l,
                            err);
    w.code = w.limits->sample && io_of(c)->gaussian;
    if ((st = work_init(&w, c, HALVES_ENCODER, size, n, err)))
        return st;
    return w.code ? draw_all(&w, latents, videos, n, err) : map_videos(&w, latents, videos, n, err);
}

enum status codec_decode_videos(struct codec *c, float *videos, const float *latents, int64_t n,
                                const struct video_size *size, const struct codec_limits *l,
                                struct error *err)
{
    struct video_work w = {.limits = l ? l : &unlimited};
    enum status st;

    if (of_pictures(c))
        return codec_decode(c, videos, latents, n * size->frames, size->height, size->width, l,
                            err);
    if ((st = work_init(&w, c, HALVES_DECODER, size, n, err)))
        return st;
    return map_videos(&w, videos, latents, n, err);
}

enum status codec_video_joints(int64_t *joint, int64_t *n, struct codec *c,
                               const struct video_size *size, const struct codec_limits *l,
                               struct error *err)
{
    struct video_work w = {.limits = l ? l : &unlimited};
    enum status st;

    *n = 0;
    if (of_pictures(c))
        return OK;
    if (!(st = work_init(&w, c, HALVES_DECODER, size, 1, err)))
        *n = frame_tiles_joints(joint, &w.tiles, size->frames, w.sizes.factor);
    return st;
}

enum status codec_videos_bytes(struct codec *c, enum autoencoder_halves half, int64_t *bytes,
                               int64_t n, const struct video_size *size, struct error *err)
{
    struct video_work w = {.limits = &unlimited};
    struct codec_plan plan;
    struct graph_stats stats;
    struct tensor *y;
    enum status st;

    if (of_pictures(c)) {
        st = codec_plan(&plan, c, half, n * size->frames, size->height, size->width, NULL, err);
        *bytes = st ? 0 : plan.bytes;
        return st;
    }
    if ((st = work_init(&w, c, half, size, n, err)))
        return st;
    y = record_tile(&w, w.batch, w.decodes ? w.tiles.tile : size->frames, NULL);
    graph_keep(w.graph, y);
    if ((st = graph_measure(w.graph, &stats, err)))
        return st;
    *bytes = params_numbers(codec_network(c)->params) * (int64_t)sizeof(float) + stats.held_bytes +
             stats.scratch_bytes + stats.arena_bytes;
    if (w.tiles.n > 1)
        *bytes += w.tiles.tile * whole_max(w.sizes.factor * w.sizes.frame, w.sizes.latent) *
                  (int64_t)sizeof(float);
    return OK;
}
