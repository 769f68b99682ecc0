/*
 * video.c - MP4 and WebM, by a plugin
 *
 * What decodes and encodes these is FFmpeg, which brings more than a hundred packages: too much to
 * ask of everybody who draws a picture.  So it stands behind a shared object of its own, found and
 * opened when such a file is first met, and everything else works without.  This file knows the
 * formats by their first bytes, finds the plugin, and says what is missing where it is not there.
 *
 *     PREFIX/lib/libimgen.so   ->  PREFIX/lib/imgen/video.so
 *     build/libimgen.so        ->  build/plugin/video.so
 *
 * The plugin is opened for each call and never unloaded, so that only the first one takes time, and
 * nothing has to be remembered here.  Limits on sizes, frames and pixels are those of all clips
 * (clip_add), and hold before a frame is kept.
 */
#include "io/clip_codec.h"

#include "base/home.h"
#include "io/video_plugin.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* ISO base media: a box "ftyp" first.  Matroska: an EBML header. */
bool mp4_is(const uint8_t *bytes, size_t n)
{
    return n >= 12 && !memcmp(bytes + 4, "ftyp", 4);
}

bool webm_is(const uint8_t *bytes, size_t n)
{
    static const uint8_t ebml[] = {0x1A, 0x45, 0xDF, 0xA3};

    return n >= 12 && !memcmp(bytes, ebml, sizeof ebml);
}

/* ---- The plugin ---- */

static enum status open_at(const struct video_plugin **out, const char *path, struct error *err)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    video_plugin_entry *entry = NULL;
    void *symbol;

    if (!handle)
        return fail(err, E_UNSUPPORTED,
                    "the plugin for video cannot be loaded; it wants FFmpeg's libraries "
                    "(libavformat, libavcodec, libswscale, libavutil) as they were when it was "
                    "built: %.400s",
                    dlerror());
    symbol = dlsym(handle, "imgen_video_plugin");
    memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from an object to a function */
    *out = entry ? entry() : NULL;
    dlclose(handle);
    if (!*out || (*out)->version != VIDEO_PLUGIN_VERSION)
        return fail(err, E_UNSUPPORTED, "%s is a plugin of another version", path);
    return OK;
}

static enum status find_plugin(const struct video_plugin **out, struct error *err)
{
    static const char *const places[] = {"imgen/video.so", "plugin/video.so"};
    char path[HOME_PATH + 32];
    size_t n;

    home_find(path);
    n = strlen(path);
    for (size_t i = 0; i < sizeof places / sizeof *places && n; i++) {
        strcpy(path + n, places[i]);
        if (!access(path, R_OK))
            return open_at(out, path, err);
    }
    path[n] = 0;
    return fail(err, E_UNSUPPORTED,
                "MP4 and WebM want the plugin for video, which is not in %.300simgen/: install "
                "FFmpeg's libraries (Debian: libavformat-dev libavcodec-dev libswscale-dev "
                "libavutil-dev) and build imgen again; WebP, APNG, GIF and Y4M need none",
                path);
}

enum status video_check(struct error *err)
{
    const struct video_plugin *plugin;

    return find_plugin(&plugin, err);
}

/* ---- Reading ---- */

struct reading {
    struct clip *clip;
    struct error *err;
    enum status st; /* what a callback said when it stopped */
};

static int begin(void *user, int64_t height, int64_t width)
{
    struct reading *r = user;

    r->st = clip_begin(r->clip, height, width, 3, r->err);
    return r->st;
}

static int add(void *user, const uint8_t *rgb)
{
    struct reading *r = user;

    r->st = clip_add(r->clip, rgb, r->err);
    return r->st;
}

/* How a call ended, as a status; stopped: what the callback said. */
static enum status status_of(enum video_end end, enum status stopped, const char *says,
                             struct error *err)
{
    switch (end) {
    case VIDEO_DONE:
        return OK;
    case VIDEO_STOPPED:
        return stopped;
    case VIDEO_NO_MEMORY:
        return fail(err, E_MEMORY, "%s", says);
    case VIDEO_UNSUPPORTED:
        return fail(err, E_UNSUPPORTED, "%s", says);
    default:
        return fail(err, E_FORMAT, "%s", says);
    }
}

static enum status decode(struct clip *out, const char *format, const uint8_t *bytes, size_t n,
                          int64_t most, struct error *err)
{
    struct reading r = {out, err, OK};
    struct video_reading reading = {.bytes = bytes,
                                    .n = n,
                                    .format = format,
                                    .most = most,
                                    .pixels = IMAGE_PIXELS,
                                    .begin = begin,
                                    .frame = add,
                                    .user = &r};
    const struct video_plugin *plugin;
    char says[VIDEO_SAYS] = "";
    enum status st;

    if ((st = find_plugin(&plugin, err)))
        return st;
    st = status_of(plugin->read(&reading, says), r.st, says, err);
    out->rate = reading.rate;
    return st;
}

enum status mp4_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                       struct error *err)
{
    return decode(out, "mp4", bytes, n, most, err);
}

enum status webm_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                        struct error *err)
{
    return decode(out, "webm", bytes, n, most, err);
}

/* ---- Writing ---- */

struct writing {
    struct byte_buffer *to;
    struct error *err;
    enum status st;
};

static int put(void *user, const uint8_t *bytes, size_t n)
{
    struct writing *w = user;

    w->st = byte_buffer_put(w->to, bytes, n, w->err);
    return w->st;
}

static enum status encode(struct byte_buffer *out, const char *format, const struct clip *c,
                          int quality, struct error *err)
{
    struct writing w = {out, err, OK};
    const struct video_writing writing = {.format = format,
                                          .frames = c->frames,
                                          .height = c->height,
                                          .width = c->width,
                                          .channels = c->channels,
                                          .pixels = c->pixels,
                                          .rate = c->rate,
                                          .quality = quality,
                                          .put = put,
                                          .user = &w};
    const struct video_plugin *plugin;
    char says[VIDEO_SAYS] = "";
    enum status st;

    if (c->channels != 1 && c->channels != 3)
        return fail(err, E_ARG, "video has no alpha");
    if ((st = find_plugin(&plugin, err)))
        return st;
    return status_of(plugin->write(&writing, says), w.st, says, err);
}

enum status mp4_encode(struct byte_buffer *out, const struct clip *c, int quality,
                       struct error *err)
{
    return encode(out, "mp4", c, quality, err);
}

enum status webm_encode(struct byte_buffer *out, const struct clip *c, int quality,
                        struct error *err)
{
    return encode(out, "webm", c, quality, err);
}
