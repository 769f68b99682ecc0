/*
 * write.c - frames to a file of compressed video, by FFmpeg
 *
 *     frames -> YUV -> encoder -> packets -> muxer -> bytes
 *
 * MP4 has H.264, WebM VP9, which browsers and telephones show; where FFmpeg was built without the
 * libraries that make them, MPEG-4 and VP8.  Sides that are even have their colours at half the
 * size, since only that is shown everywhere, odd ones at full size.  One thread and no dates:
 * equal clips give equal bytes.
 *
 * A quality of 100 is the constant quality at which nobody sees a difference (about 10 of 51),
 * not the exactness that the other formats of clips have: that would be shown nowhere.
 */
#include "ffmpeg.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

enum { RATE_MOST = 100000, PADDING = 64 };

struct writer {
    const struct video_writing *asked;
    char *says;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *given, *frame; /* as it came, with room behind each row; as it is coded */
    struct SwsContext *scaler;
};

/* The coders of a format, the better one first, and the range of their constant quality. */
static const struct coder {
    const char *format, *name;
    double best, worst;
} coders[] = {
    {"mp4", "libx264", 10, 51},
    {"mp4", "mpeg4", 2, 31},
    {"webm", "libvpx-vp9", 10, 63},
    {"webm", "libvpx", 6, 63},
};

static enum video_end no_memory(struct writer *w)
{
    return video_end_of(AVERROR(ENOMEM), "writing video", w->says);
}

static enum video_end find_coder(const struct coder **out, const AVCodec **codec, struct writer *w)
{
    for (size_t i = 0; i < sizeof coders / sizeof *coders; i++) {
        *out = &coders[i];
        *codec = strcmp(coders[i].format, w->asked->format)
                     ? NULL
                     : avcodec_find_encoder_by_name(coders[i].name);
        if (*codec)
            return VIDEO_DONE;
    }
    snprintf(w->says, VIDEO_SAYS, "this FFmpeg has no encoder for %s", w->asked->format);
    return VIDEO_UNSUPPORTED;
}

static void set_quality(struct writer *w, const struct coder *coder)
{
    double q = coder->best + (coder->worst - coder->best) * (100 - w->asked->quality) / 99;

    if (!strcmp(coder->name, "mpeg4")) {
        w->codec->flags |= AV_CODEC_FLAG_QSCALE;
        w->codec->global_quality = (int)lrint(q) * FF_QP2LAMBDA;
        return;
    }
    av_opt_set_double(w->codec->priv_data, "crf", rint(q), 0);
    w->codec->bit_rate = 0;
}

/* ---- Opening ---- */

static enum video_end open_codec(struct writer *w)
{
    const struct video_writing *a = w->asked;
    bool even = a->height % 2 == 0 && a->width % 2 == 0;
    const struct coder *coder;
    const AVCodec *codec;
    enum video_end end = find_coder(&coder, &codec, w);
    AVCodecContext *c;
    int code;

    if (end)
        return end;
    c = w->codec = avcodec_alloc_context3(codec);
    if (!c)
        return no_memory(w);
    c->height = (int)a->height;
    c->width = (int)a->width;
    c->framerate = av_d2q(a->rate, RATE_MOST);
    c->time_base = av_inv_q(c->framerate);
    c->pix_fmt = even ? AV_PIX_FMT_YUV420P : AV_PIX_FMT_YUV444P;
    c->colorspace = AVCOL_SPC_SMPTE170M;
    c->color_primaries = AVCOL_PRI_SMPTE170M;
    c->color_trc = AVCOL_TRC_SMPTE170M;
    c->color_range = AVCOL_RANGE_MPEG;
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    if (w->file->oformat->flags & AVFMT_GLOBALHEADER)
        c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    set_quality(w, coder);
    code = avcodec_open2(c, codec, NULL);
    if (code < 0) {
        snprintf(w->says, VIDEO_SAYS, "%s does not write %lld x %lld pixels", coder->name,
                 (long long)a->width, (long long)a->height);
        return VIDEO_UNSUPPORTED;
    }
    return VIDEO_DONE;
}

static enum video_end open_file(struct writer *w)
{
    int code = avformat_alloc_output_context2(&w->file, NULL, w->asked->format, NULL);

    if (code < 0)
        return video_end_of(code, "the container", w->says);
    w->file->flags |= AVFMT_FLAG_BITEXACT;
    code = avio_open_dyn_buf(&w->file->pb);
    return code < 0 ? video_end_of(code, "the container", w->says) : VIDEO_DONE;
}

static enum video_end open_stream(struct writer *w)
{
    int code;

    w->stream = avformat_new_stream(w->file, NULL);
    if (!w->stream)
        return no_memory(w);
    w->stream->time_base = w->codec->time_base;
    w->stream->avg_frame_rate = w->codec->framerate;
    if ((code = avcodec_parameters_from_context(w->stream->codecpar, w->codec)) < 0 ||
        (code = avformat_write_header(w->file, NULL)) < 0)
        return video_end_of(code, "the container", w->says);
    return VIDEO_DONE;
}

/* Memory for a frame; not 0: there is none. */
static int make_frame(const struct writer *w, AVFrame **out, enum AVPixelFormat format, int width)
{
    *out = av_frame_alloc();
    if (!*out)
        return AVERROR(ENOMEM);
    (*out)->format = format;
    (*out)->height = (int)w->asked->height;
    (*out)->width = width;
    return av_frame_get_buffer(*out, 0);
}

static enum video_end open_frames(struct writer *w)
{
    const struct video_writing *a = w->asked;
    int height = (int)a->height, width = (int)a->width;
    enum AVPixelFormat from = a->channels == 1 ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24;

    w->packet = av_packet_alloc();
    w->scaler =
        sws_getContext(width, height, from, width, height, w->codec->pix_fmt,
                       SWS_BICUBIC | SWS_FULL_CHR_H_INP | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!w->packet || !w->scaler)
        return no_memory(w);
    sws_setColorspaceDetails(w->scaler, sws_getCoefficients(SWS_CS_DEFAULT), 1,
                             sws_getCoefficients(SWS_CS_ITU601), 0, 0, 1 << 16, 1 << 16);
    return make_frame(w, &w->given, from, width + PADDING) ||
                   make_frame(w, &w->frame, w->codec->pix_fmt, width)
               ? no_memory(w)
               : VIDEO_DONE;
}

/* ---- Frames ---- */

static enum video_end put_packets(struct writer *w)
{
    for (;;) {
        int code = avcodec_receive_packet(w->codec, w->packet);

        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return VIDEO_DONE;
        if (code < 0)
            return video_end_of(code, "a frame", w->says);
        w->packet->duration = 1;
        av_packet_rescale_ts(w->packet, w->codec->time_base, w->stream->time_base);
        w->packet->stream_index = w->stream->index;
        code = av_interleaved_write_frame(w->file, w->packet);
        if (code < 0)
            return video_end_of(code, "a frame", w->says);
    }
}

/* frame NULL: there are no more. */
static enum video_end encode(struct writer *w, const AVFrame *frame)
{
    int code = avcodec_send_frame(w->codec, frame);

    return code < 0 ? video_end_of(code, "a frame", w->says) : put_packets(w);
}

static enum video_end put_frame(struct writer *w, int64_t t)
{
    const struct video_writing *a = w->asked;
    const uint8_t *from = a->pixels + t * a->height * a->width * a->channels;
    int row = (int)(a->width * a->channels), code = av_frame_make_writable(w->frame);

    if (code < 0)
        return video_end_of(code, "a frame", w->says);
    av_image_copy_plane(w->given->data[0], w->given->linesize[0], from, row, row, (int)a->height);
    sws_scale(w->scaler, (const uint8_t *const *)w->given->data, w->given->linesize, 0,
              (int)a->height, w->frame->data, w->frame->linesize);
    w->frame->pts = t;
    return encode(w, w->frame);
}

static enum video_end write_all(struct writer *w)
{
    enum video_end end = VIDEO_DONE;
    int code;

    for (int64_t t = 0; t < w->asked->frames && !end; t++)
        end = put_frame(w, t);
    if (end || (end = encode(w, NULL)))
        return end;
    code = av_write_trailer(w->file);
    return code < 0 ? video_end_of(code, "the container", w->says) : VIDEO_DONE;
}

/* The gathered bytes go to whoever asked, when all went well. */
static enum video_end close_all(struct writer *w, enum video_end end)
{
    uint8_t *bytes = NULL;
    int n = w->file && w->file->pb ? avio_close_dyn_buf(w->file->pb, &bytes) : 0;

    if (!end && n <= 0)
        end = no_memory(w);
    if (!end && w->asked->put(w->asked->user, bytes, (size_t)n))
        end = VIDEO_STOPPED;
    av_free(bytes);
    sws_freeContext(w->scaler);
    av_frame_free(&w->given);
    av_frame_free(&w->frame);
    av_packet_free(&w->packet);
    avcodec_free_context(&w->codec);
    avformat_free_context(w->file);
    return end;
}

enum video_end video_write(const struct video_writing *asked, char says[VIDEO_SAYS])
{
    struct writer w = {.asked = asked, .says = says};
    enum video_end end;

    if (!(end = open_file(&w)) && !(end = open_codec(&w)) && !(end = open_stream(&w)) &&
        !(end = open_frames(&w)))
        end = write_all(&w);
    return close_all(&w, end);
}
