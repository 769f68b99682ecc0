/*
 * video_plugin.h - what a plugin for compressed video gives to the library, and what it is given
 *
 * The two are compiled apart and meet at run time, so that a plugin stands on this file alone, and
 * neither knows a name of the other but one: the plugin lets out `imgen_video_plugin`.  Whatever
 * changes here changes VIDEO_PLUGIN_VERSION.
 */
#ifndef IMGEN_IO_VIDEO_PLUGIN_H
#define IMGEN_IO_VIDEO_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

enum { VIDEO_PLUGIN_VERSION = 1, VIDEO_SAYS = 256 };

/* How a call of a plugin ended; `says` then has a sentence, except after VIDEO_STOPPED. */
enum video_end {
    VIDEO_DONE,
    VIDEO_DAMAGED,     /* the bytes are not what they should be    */
    VIDEO_UNSUPPORTED, /* understood, and not for this plugin      */
    VIDEO_NO_MEMORY,
    VIDEO_STOPPED, /* a callback did not return 0              */
};

/* Callbacks return 0 to go on. */
struct video_reading {
    const uint8_t *bytes;
    size_t n;
    const char *format;                                      /* "mp4" or "webm"             */
    int64_t most;                                            /* frames, at least 1          */
    int64_t pixels;                                          /* of a frame, at most         */
    int (*begin)(void *user, int64_t height, int64_t width); /* once, before the first frame */
    int (*frame)(void *user, const uint8_t *rgb);            /* [height, width, 3]          */
    void *user;
    double rate; /* out: frames a second, 0: the file does not say */
};

struct video_writing {
    const char *format;
    int64_t frames, height, width, channels; /* channels: 1 or 3                       */
    const uint8_t *pixels;                   /* [frames, height, width, channels]      */
    double rate;                             /* frames a second, 0.01 .. 1000          */
    int quality;                             /* 1 .. 100                               */
    int (*put)(void *user, const uint8_t *bytes, size_t n); /* the whole file, once    */
    void *user;
};

struct video_plugin {
    int version;
    const char *engine; /* "FFmpeg 59.27.100" */
    enum video_end (*read)(struct video_reading *r, char says[VIDEO_SAYS]);
    enum video_end (*write)(const struct video_writing *w, char says[VIDEO_SAYS]);
};

/* The one name that a plugin lets out. */
typedef const struct video_plugin *video_plugin_entry(void);

#endif
