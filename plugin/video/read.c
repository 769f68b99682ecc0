/*
 * read.c - a file of compressed video to frames, by FFmpeg
 *
 *     bytes -> AVIOContext -> demuxer -> packets of one stream -> decoder -> frame -> RGB
 *
 * The bytes are hostile.  Which demuxer reads them was decided by their first bytes, not by
 * FFmpeg's guessing, which knows formats that open other files; there is no file or network
 * behind the context, only memory.  The decoder is told the most pixels that a frame may have, and
 * every frame is handed out before the next is decoded, so that whoever counts them can stop.  What
 * cannot be decoded is an error, not a hole: frames are evenly in time.
 *
 * Colours are as the stream says; where it does not, BT.601 of limited range, as in Y4M.  Frames
 * are as they were coded: a note that they should be turned for showing is not followed.
 */
#include "ffmpeg.h"

#include <stdio.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

enum { BUFFER = 1 << 15, ALIGN = 64 };

struct source {
    const uint8_t *bytes;
    int64_t n, at;
};

struct reader {
    struct video_reading *asked;
    char *says;
    struct source source;
    AVIOContext *io;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    struct SwsContext *scaler;
    uint8_t *wide[4]; /* a frame in RGB as the scaler writes it, with room behind each row ... */
    int row[4];       /* ... of so many bytes                                                  */
    uint8_t *rgb;     /* and without                                                           */
    int stream, height, width;
    enum AVPixelFormat pixels;
    int64_t frames;
};

/* ---- Memory as a file ---- */

static int read_bytes(void *user, uint8_t *to, int most)
{
    struct source *s = user;
    int64_t n = s->n - s->at < most ? s->n - s->at : most;

    if (n <= 0)
        return AVERROR_EOF;
    memcpy(to, s->bytes + s->at, (size_t)n);
    s->at += n;
    return (int)n;
}

static int64_t seek_bytes(void *user, int64_t offset, int whence)
{
    struct source *s = user;
    int64_t at = offset;

    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return s->n;
    if (whence == SEEK_CUR)
        at += s->at;
    else if (whence == SEEK_END)
        at += s->n;
    else if (whence != SEEK_SET)
        return AVERROR(EINVAL);
    if (at < 0 || at > s->n)
        return AVERROR(EINVAL);
    return s->at = at;
}

/* ---- Opening ---- */

static enum video_end no_memory(struct reader *r)
{
    return video_end_of(AVERROR(ENOMEM), "reading video", r->says);
}

static enum video_end open_file(struct reader *r)
{
    const AVInputFormat *format =
        av_find_input_format(strcmp(r->asked->format, "mp4") ? "matroska" : "mov");
    unsigned char *buffer = av_malloc(BUFFER);
    int code;

    if (!buffer)
        return no_memory(r);
    r->source = (struct source){r->asked->bytes, (int64_t)r->asked->n, 0};
    r->io = avio_alloc_context(buffer, BUFFER, 0, &r->source, read_bytes, NULL, seek_bytes);
    if (!r->io) {
        av_free(buffer);
        return no_memory(r);
    }
    r->file = avformat_alloc_context();
    if (!r->file)
        return no_memory(r);
    r->file->pb = r->io;
    r->file->flags |= AVFMT_FLAG_CUSTOM_IO;
    code = avformat_open_input(&r->file, "", format, NULL); /* frees it when it fails */
    return code < 0 ? video_end_of(code, "the container", r->says) : VIDEO_DONE;
}

static enum video_end open_stream(struct reader *r)
{
    const AVCodec *decoder = NULL;
    int code = avformat_find_stream_info(r->file, NULL);

    if (code < 0)
        return video_end_of(code, "the streams", r->says);
    r->stream = av_find_best_stream(r->file, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    if (r->stream < 0)
        return video_end_of(r->stream, "no stream of pictures", r->says);
    r->codec = avcodec_alloc_context3(decoder);
    if (!r->codec)
        return no_memory(r);
    code = avcodec_parameters_to_context(r->codec, r->file->streams[r->stream]->codecpar);
    if (code < 0)
        return video_end_of(code, "the stream", r->says);
    r->codec->thread_count = 1;
    r->codec->max_pixels = r->asked->pixels;
    r->codec->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    code = avcodec_open2(r->codec, decoder, NULL);
    return code < 0 ? video_end_of(code, "the decoder", r->says) : VIDEO_DONE;
}

/* ---- Frames ---- */

/* The scaler for frames of this size and kind; all have to be of one. */
static enum video_end open_scaler(struct reader *r)
{
    const AVFrame *f = r->frame;
    const int *from;

    r->height = f->height;
    r->width = f->width;
    r->pixels = (enum AVPixelFormat)f->format;
    if (r->asked->begin(r->asked->user, r->height, r->width))
        return VIDEO_STOPPED;
    r->rgb = av_malloc((size_t)r->height * (size_t)r->width * 3);
    r->scaler =
        sws_getContext(r->width, r->height, r->pixels, r->width, r->height, AV_PIX_FMT_RGB24,
                       SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!r->rgb ||
        av_image_alloc(r->wide, r->row, r->width + ALIGN, r->height, AV_PIX_FMT_RGB24, ALIGN) < 0)
        return no_memory(r);
    if (!r->scaler)
        return video_end_of(AVERROR(ENOSYS), "the colours", r->says);
    from = sws_getCoefficients(f->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_ITU601
                                                                      : (int)f->colorspace);
    sws_setColorspaceDetails(r->scaler, from, f->color_range == AVCOL_RANGE_JPEG,
                             sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    return VIDEO_DONE;
}

static enum video_end give_frame(struct reader *r)
{
    const uint8_t *const *from = (const uint8_t *const *)r->frame->data;
    enum video_end end = r->scaler ? VIDEO_DONE : open_scaler(r);

    if (end)
        return end;
    if (r->frame->height != r->height || r->frame->width != r->width ||
        r->frame->format != (int)r->pixels) {
        snprintf(r->says, VIDEO_SAYS, "frame %lld is %d x %d, those before are %d x %d",
                 (long long)r->frames, r->frame->width, r->frame->height, r->width, r->height);
        return VIDEO_UNSUPPORTED;
    }
    sws_scale(r->scaler, from, r->frame->linesize, 0, r->height, r->wide, r->row);
    av_image_copy_plane(r->rgb, 3 * r->width, r->wide[0], r->row[0], 3 * r->width, r->height);
    r->frames++;
    return r->asked->frame(r->asked->user, r->rgb) ? VIDEO_STOPPED : VIDEO_DONE;
}

/* All frames that the decoder has ready. */
static enum video_end take_frames(struct reader *r)
{
    while (r->frames < r->asked->most) {
        int code = avcodec_receive_frame(r->codec, r->frame);
        enum video_end end;

        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return VIDEO_DONE;
        if (code < 0)
            return video_end_of(code, "a frame", r->says);
        end = give_frame(r);
        av_frame_unref(r->frame);
        if (end)
            return end;
    }
    return VIDEO_DONE;
}

/* packet NULL: there are no more. */
static enum video_end decode(struct reader *r, const AVPacket *packet)
{
    int code = avcodec_send_packet(r->codec, packet);

    return code < 0 ? video_end_of(code, "a frame", r->says) : take_frames(r);
}

static enum video_end read_all(struct reader *r)
{
    enum video_end end = VIDEO_DONE;
    int code = 0;

    while (!end && r->frames < r->asked->most && (code = av_read_frame(r->file, r->packet)) >= 0) {
        if (r->packet->stream_index == r->stream)
            end = decode(r, r->packet);
        av_packet_unref(r->packet);
    }
    if (end || r->frames >= r->asked->most)
        return end;
    if (code != AVERROR_EOF)
        return video_end_of(code, "the container", r->says);
    if ((end = decode(r, NULL)))
        return end;
    if (r->io->error < 0)
        return video_end_of(r->io->error, "the container", r->says);
    return VIDEO_DONE;
}

static void close_all(struct reader *r)
{
    av_free(r->rgb);
    av_freep(&r->wide[0]);
    sws_freeContext(r->scaler);
    av_frame_free(&r->frame);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->codec);
    avformat_close_input(&r->file);
    if (r->io)
        av_freep(&r->io->buffer);
    avio_context_free(&r->io);
}

static double rate_of(const struct reader *r)
{
    AVRational rate = r->file->streams[r->stream]->avg_frame_rate;

    return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
}

enum video_end video_read(struct video_reading *asked, char says[VIDEO_SAYS])
{
    struct reader r = {.asked = asked, .says = says, .packet = av_packet_alloc()};
    enum video_end end = VIDEO_DONE;

    r.frame = av_frame_alloc();
    if (!r.packet || !r.frame)
        end = no_memory(&r);
    if (!end && !(end = open_file(&r)) && !(end = open_stream(&r)) && !(end = read_all(&r)))
        asked->rate = rate_of(&r);
    close_all(&r);
    return end;
}
