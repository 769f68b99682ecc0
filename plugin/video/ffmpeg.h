/*
 * ffmpeg.h - what the files of the plugin share
 */
#ifndef PLUGIN_VIDEO_FFMPEG_H
#define PLUGIN_VIDEO_FFMPEG_H

#include "io/video_plugin.h"

/* video_plugin.h says what they do. */
enum video_end video_read(struct video_reading *r, char says[VIDEO_SAYS]);
enum video_end video_write(const struct video_writing *w, char says[VIDEO_SAYS]);

/* Write "<what>: <what FFmpeg calls its error code>", and return how the call ended. */
enum video_end video_end_of(int code, const char *what, char says[VIDEO_SAYS]);

#endif
