/*
 * plugin.c - the plugin for video: its one name, and what its files share
 *
 * FFmpeg tells its sorrows to stderr unless somebody listens, and a library prints nothing: so it
 * is told to be quiet when the plugin is asked for.  That is a switch of the whole process; a
 * program that uses FFmpeg itself may turn it back.
 */
#include "ffmpeg.h"

#include <stdio.h>

#include <libavcodec/avcodec.h>
#include <libavutil/error.h>
#include <libavutil/log.h>

enum video_end video_end_of(int code, const char *what, char says[VIDEO_SAYS])
{
    char name[AV_ERROR_MAX_STRING_SIZE] = "";

    av_strerror(code, name, sizeof name);
    snprintf(says, VIDEO_SAYS, "%s: %s", what, name);
    if (code == AVERROR(ENOMEM))
        return VIDEO_NO_MEMORY;
    if (code == AVERROR_DECODER_NOT_FOUND || code == AVERROR_ENCODER_NOT_FOUND ||
        code == AVERROR_PATCHWELCOME || code == AVERROR(ENOSYS))
        return VIDEO_UNSUPPORTED;
    return VIDEO_DAMAGED;
}

__attribute__((visibility("default"))) const struct video_plugin *imgen_video_plugin(void);

const struct video_plugin *imgen_video_plugin(void)
{
    static const struct video_plugin plugin = {
        .version = VIDEO_PLUGIN_VERSION,
        .engine = "FFmpeg, " LIBAVCODEC_IDENT,
        .read = video_read,
        .write = video_write,
    };

    av_log_set_level(AV_LOG_QUIET);
    return &plugin;
}
