/*
 * grid_clips.c - the frames of clips on one sheet: `imgen grid CLIP...`
 *
 * Whether a thing moves evenly, keeps its colour and arrives is seen best when the frames lie side
 * by side.  A row is a clip, whatever its file: an animation or a folder of frames.  Of a long one
 * the first frame, the last and some between are shown, evenly apart, so that rows can be compared;
 * clips need not have one size.
 *
 *     red.webp, 16 frames of 32 x 32, 8 a second
 *     [] [] [] [] [] [] [] []
 *     frames, 5 frames of 64 x 48
 *     [  ] [  ] [  ] [  ] [  ]
 */
#include "grid.h"

#include "canvas.h"
#include "picture_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = 16,
    GAP = 2,
    TEXT = 2,
    TEXT_HEIGHT = 7 * TEXT,
    ROW_GAP = 12,
    INK = 60,
    FRAME_WIDTH = 64,   /* about so wide is a frame drawn ...   */
    SHEET_WIDTH = 1600, /* ... unless the sheet gets wider    */
    SHEET_SIDE = 16384,
    CLIPS = 256,
    WORDS = 160,
};

struct row {
    struct imgen_clip clip;
    char words[WORDS];
    int64_t shown, zoom, width, height; /* of what is drawn */
};

struct sheet {
    const struct grid_options *options;
    struct row row[CLIPS];
    int n;
    int64_t width, height;
};

static void describe(struct row *r, const char *word)
{
    const struct imgen_clip *c = &r->clip;
    size_t n = strlen(word), from = n > 60 ? n - 60 : 0; /* its end says more */
    char rate[32] = "";

    if (c->rate > 0)
        snprintf(rate, sizeof rate, ", %g a second", c->rate);
    snprintf(r->words, sizeof r->words, "%s, %" PRId64 " frame%s of %" PRId64 " x %" PRId64 "%s",
             word + from, c->frames, c->frames == 1 ? "" : "s", c->width, c->height, rate);
}

static void lay_out(struct row *r, const struct grid_options *o)
{
    int64_t width = r->clip.width, zoom = (FRAME_WIDTH + width / 2) / width;

    r->shown = o->shown && o->shown < r->clip.frames ? o->shown : r->clip.frames;
    while (zoom > 1 && zoom * width * r->shown > SHEET_WIDTH)
        zoom--;
    r->zoom = o->zoom ? o->zoom : zoom > 1 ? zoom : 1;
    r->width = r->shown * (r->zoom * width + GAP) - GAP;
    r->height = r->zoom * r->clip.height;
}

static int read_clip(struct sheet *s, const char *word)
{
    struct row *r = &s->row[s->n++];
    struct imgen_error err;

    if (imgen_clip_read(&r->clip, word, 0, &err))
        return command_failed(&command_grid, &err);
    describe(r, word);
    lay_out(r, s->options);
    return EXIT_DONE;
}

static int measure(struct sheet *s)
{
    s->height = MARGIN;
    for (int i = 0; i < s->n; i++) {
        int64_t words = canvas_text_width(s->row[i].words, TEXT);

        s->width = s->row[i].width > s->width ? s->row[i].width : s->width;
        s->width = words > s->width ? words : s->width;
        s->height += 3 * TEXT_HEIGHT / 2 + s->row[i].height + ROW_GAP;
    }
    s->width += 2 * MARGIN;
    s->height += MARGIN - ROW_GAP;
    if (s->width <= SHEET_SIDE && s->height <= SHEET_SIDE)
        return EXIT_DONE;
    return command_misused(&command_grid,
                           "a sheet of %" PRId64 " x %" PRId64 " pixels is larger than %d: fewer "
                           "clips, or --shown, or --zoom 1",
                           s->width, s->height, SHEET_SIDE);
}

/* Frame t as canvas_picture wants it, alpha over white, in x [height, width, 3]. */
static void frame_floats(float *x, const struct imgen_clip *c, int64_t t)
{
    const uint8_t *p = c->pixels + t * c->height * c->width * c->channels;
    bool alpha = c->channels == 2 || c->channels == 4;

    for (int64_t i = 0; i < c->height * c->width; i++, p += c->channels) {
        float cover = alpha ? (float)p[c->channels - 1] / 255 : 1;

        for (int k = 0; k < 3; k++)
            x[3 * i + k] =
                ((float)p[c->channels > 2 ? k : 0] * cover + 255 * (1 - cover)) / 127.5f - 1;
    }
}

static bool draw_row(struct canvas *to, const struct row *r, int64_t top)
{
    const struct imgen_clip *c = &r->clip;
    float *x = calloc((size_t)(c->height * c->width), 3 * sizeof *x);

    canvas_text(to, MARGIN, top, TEXT, INK, r->words);
    for (int64_t k = 0; x && k < r->shown; k++) {
        int64_t t =
            r->shown > 1 ? (2 * k * (c->frames - 1) + r->shown - 1) / (2 * (r->shown - 1)) : 0;

        frame_floats(x, c, t);
        canvas_picture(to, MARGIN + k * (r->zoom * c->width + GAP), top + 3 * TEXT_HEIGHT / 2, x,
                       c->height, c->width, 3, r->zoom);
    }
    free(x);
    return x != NULL;
}

static int write_sheet(const struct sheet *s)
{
    struct imgen_image image;
    struct canvas canvas;
    struct imgen_error err;
    int64_t top = MARGIN;
    bool drawn = true;
    int code = EXIT_DONE;

    if (!canvas_init(&canvas, s->width, s->height))
        return command_broken(&command_grid, "no memory for %s", s->options->output);
    for (int i = 0; i < s->n && drawn; i++) {
        drawn = draw_row(&canvas, &s->row[i], top);
        top += 3 * TEXT_HEIGHT / 2 + s->row[i].height + ROW_GAP;
    }
    image = (struct imgen_image){canvas.height, canvas.width, 3, canvas.pixels};
    if (!drawn)
        code = command_broken(&command_grid, "no memory for a frame");
    else if (imgen_image_write(s->options->output, &image, &err))
        code = command_failed(&command_grid, &err);
    canvas_release(&canvas);
    return code;
}

int grid_clips(const struct grid_options *o, int n_words, char **words)
{
    struct sheet *s;
    int code = EXIT_DONE;

    if (n_words > CLIPS)
        return command_misused(&command_grid, "%d clips on one sheet, and at most %d", n_words,
                               CLIPS);
    if (!picture_name_ends(o->output))
        return command_misused(&command_grid, "--output: a sheet of frames is a .png, not '%s'",
                               o->output);
    if (!(s = calloc(1, sizeof *s)))
        return command_broken(&command_grid, "no memory");
    s->options = o;
    for (int i = 0; i < n_words && !code; i++)
        code = read_clip(s, words[i]);
    if (!code && !(code = measure(s)) && !(code = write_sheet(s)))
        puts(o->output);
    for (int i = 0; i < s->n; i++)
        imgen_clip_release(&s->row[i].clip);
    free(s);
    return code;
}
