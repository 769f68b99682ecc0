/*
 * cmd_data.c - look at a data set before anything is trained on it
 *
 * The set is opened exactly as training opens it, from the [data] section of a configuration, so
 * what the preview shows is what the network will see.  Counting labels means reading pictures: a
 * thousand by default, all of them with --verify (of an endless set, ten thousand).
 *
 * On a sheet of clips each row is a clip and each column one of its frames.
 */
#include "cli.h"
#include "interrupt.h"
#include "json_out.h"
#include "progress.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COUNTED_USUALLY = 1000,
    COUNTED_ENDLESS = 10000,
    COMPLAINTS = 10,
    SHEET_WIDTH = 768,
    LABELS_SHOWN = 1000, /* of more, how many were met */
    CAPTIONS_SHOWN = 8,
};

struct data_options {
    bool help, verify, json, quiet;
    struct imgen_text_list settings;
    char *output;
    int64_t rows, columns, first, count, zoom;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"set", "a key of the configuration, over the file; may be given often", IMGEN_OPTION_TEXTS,
     offsetof(struct data_options, settings), .value = "SECTION.KEY=VALUE"},
    {"output", "write a sheet of the first pictures here", IMGEN_OPTION_TEXT,
     offsetof(struct data_options, output), .letter = 'o', .value = "FILE"},
    {"rows", "of the sheet", IMGEN_OPTION_INT, offsetof(struct data_options, rows), "8", .lo = 1,
     .hi = 256},
    {"columns", "of the sheet; of clips each row shows the frames of one", IMGEN_OPTION_INT,
     offsetof(struct data_options, columns), "8", .lo = 1, .hi = 256},
    {"zoom", "draw each pixel of the sheet so many times; 0: as fits", IMGEN_OPTION_INT,
     offsetof(struct data_options, zoom), "0", .lo = 0, .hi = 64},
    {"first", "number of the first picture shown and read", IMGEN_OPTION_INT,
     offsetof(struct data_options, first), "0", .lo = 0, .hi = 1e15},
    {"count", "pictures read to count labels; 0: 1000, with --verify all (10000 when endless)",
     IMGEN_OPTION_INT, offsetof(struct data_options, count), "0", .lo = 0, .hi = 1e15},
    {"verify", "read every picture and fail where one cannot be read", IMGEN_OPTION_BOOL,
     offsetof(struct data_options, verify), .letter = 0},
    {"json", "print as JSON", IMGEN_OPTION_BOOL, offsetof(struct data_options, json), .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct data_options, quiet),
     .letter = 'q'},
    {0},
};

/* An open set, and what reading it found. */
struct survey {
    const struct data_options *options;
    struct imgen_data *data;
    struct imgen_data_info info;
    float *pixels;      /* one picture                        */
    int64_t *per_label; /* [n_labels + 1]; the last: no label */
    int64_t read, unreadable;
    char captions[CAPTIONS_SHOWN][IMGEN_CAPTION]; /* a sample of those read, evenly spread */
    int n_captions;
    size_t longest; /* bytes of the longest one */
    struct progress progress;
};

static int64_t frames_of(const struct survey *s)
{
    return s->info.frames > 1 ? s->info.frames : 1;
}

static int64_t length_of(const struct survey *s)
{
    return frames_of(s) * s->info.height * s->info.width * s->info.channels;
}

/* What the set is made of. */
static const char *items_of(const struct survey *s)
{
    return frames_of(s) > 1 ? "clips" : "pictures";
}

/* ---- The sheet ---- */

static int fill_sheet(const struct survey *s, float *x, int64_t n)
{
    struct imgen_error err;
    int label;

    for (int64_t i = 0; i < n; i++) {
        float *to = x + i * length_of(s);

        if (s->options->first + i >= s->info.count) {
            for (int64_t k = 0; k < length_of(s); k++)
                to[k] = 1; /* the set has ended: the place stays white */
        } else if (imgen_data_get(s->data, s->options->first + i, to, &label, NULL, &err)) {
            return command_failed(&command_data, &err);
        }
    }
    return EXIT_DONE;
}

static int write_sheet(const struct survey *s)
{
    const struct data_options *o = s->options;
    bool clips = frames_of(s) > 1;
    int64_t columns = clips ? frames_of(s) : o->columns, n = clips ? o->rows : o->rows * columns;
    int64_t fits = SHEET_WIDTH / (columns * s->info.width);
    struct imgen_sheet sheet = {
        .rows = o->rows,
        .columns = columns,
        .height = s->info.height,
        .width = s->info.width,
        .channels = s->info.channels,
        .gap = 2,
        .zoom = o->zoom    ? o->zoom
                : fits > 1 ? fits
                           : 1,
        .ground = 255,
    };
    struct imgen_image image = {0};
    struct imgen_error err;
    float *x = calloc((size_t)n, (size_t)length_of(s) * sizeof *x);
    int code;

    if (!x)
        return command_broken(&command_data, "no memory for a sheet of %" PRId64 " %s", n,
                              items_of(s));
    code = fill_sheet(s, x, n);
    if (!code &&
        (imgen_sheet_draw(&image, x, &sheet, &err) || imgen_image_write(o->output, &image, &err)))
        code = command_failed(&command_data, &err);
    imgen_image_release(&image);
    free(x);
    return code;
}

/* ---- Reading ---- */

static int64_t pictures_to_read(const struct survey *s)
{
    const struct data_options *o = s->options;
    int64_t left = s->info.count == INT64_MAX ? INT64_MAX : s->info.count - o->first;
    int64_t want = o->count ? o->count : COUNTED_USUALLY;

    if (!o->count && o->verify)
        want = s->info.count == INT64_MAX ? COUNTED_ENDLESS : left;
    return want < left ? want : left < 0 ? 0 : left;
}

/* Of the i-th of n pictures that are read.  The name of its class is no news: classes are listed.
 */
static void note_caption(struct survey *s, int64_t i, int64_t n, int label, const char *caption)
{
    const char *name = label >= 0 ? imgen_data_label(s->data, label) : NULL;

    if (!*caption || (name && s->info.n_labels <= LABELS_SHOWN && !strcmp(caption, name)))
        return;
    if (strlen(caption) > s->longest)
        s->longest = strlen(caption);
    if (s->n_captions < CAPTIONS_SHOWN && i >= s->n_captions * n / CAPTIONS_SHOWN)
        strcpy(s->captions[s->n_captions++], caption);
}

/* A picture that cannot be read is counted, and the first few are named: a folder with a hundred
 * broken files is better known whole. */
static int read_pictures(struct survey *s)
{
    int64_t n = pictures_to_read(s), first = s->options->first;

    for (int64_t i = 0; i < n && !interrupt_asked(); i++) {
        char caption[IMGEN_CAPTION];
        struct imgen_error err;
        int label;

        if (imgen_data_get(s->data, first + i, s->pixels, &label, caption, &err)) {
            if (s->unreadable++ < COMPLAINTS) {
                progress_end(&s->progress);
                command_failed(&command_data, &err);
            }
        } else {
            s->per_label[label >= 0 && label < s->info.n_labels ? label : s->info.n_labels]++;
            note_caption(s, i, n, label, caption);
        }
        s->read++;
        if (progress_due(&s->progress, false))
            progress_say(&s->progress, "read %" PRId64 " of %" PRId64 " %s", s->read, n,
                         items_of(s));
    }
    progress_end(&s->progress);
    if (interrupt_asked())
        return EXIT_STOPPED;
    return s->unreadable ? EXIT_FAILED : EXIT_DONE;
}

/* ---- The report ---- */

static void print_survey(const struct survey *s)
{
    const struct imgen_data_info *d = &s->info;
    int met = 0;

    if (d->count == INT64_MAX)
        printf("%s: endless %s", d->format, items_of(s));
    else
        printf("%s: %" PRId64 " %s", d->format, d->count, items_of(s));
    if (frames_of(s) > 1)
        printf(" of %d frames", d->frames);
    printf(" of %d x %d, %d channel%s, %d labels\n", d->width, d->height, d->channels,
           d->channels == 1 ? "" : "s", d->n_labels);
    printf("among %" PRId64 " %s from number %" PRId64 " on:\n", s->read, items_of(s),
           s->options->first);
    for (int i = 0; i < d->n_labels; i++) {
        met += s->per_label[i] > 0;
        if (d->n_labels <= LABELS_SHOWN)
            printf("  %4d  %-24s %8" PRId64 "\n", i, imgen_data_label(s->data, i), s->per_label[i]);
    }
    if (d->n_labels > LABELS_SHOWN)
        printf("        %-24s %8d\n", "labels met", met);
    if (s->per_label[d->n_labels])
        printf("        %-24s %8" PRId64 "\n", "without a label", s->per_label[d->n_labels]);
    if (s->n_captions)
        printf("captions, the longest of %zu bytes:\n", s->longest);
    for (int i = 0; i < s->n_captions; i++)
        printf("        %s\n", s->captions[i]);
    if (s->unreadable)
        printf("        %-24s %8" PRId64 "\n", "cannot be read", s->unreadable);
    else if (s->options->verify)
        printf("verified: all %" PRId64 " could be read\n", s->read);
    if (s->options->output)
        printf("%s\n", s->options->output);
}

static void print_survey_json(const struct survey *s)
{
    const struct imgen_data_info *d = &s->info;
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "format", d->format);
    if (d->count == INT64_MAX)
        json_out_null(&j, "count");
    else
        json_out_int(&j, "count", d->count);
    json_out_int(&j, "frames", d->frames);
    json_out_int(&j, "height", d->height);
    json_out_int(&j, "width", d->width);
    json_out_int(&j, "channels", d->channels);
    json_out_int(&j, "first", s->options->first);
    json_out_int(&j, "read", s->read);
    json_out_int(&j, "unreadable", s->unreadable);
    json_out_int(&j, "without_label", s->per_label[d->n_labels]);
    json_out_open(&j, "labels", '[');
    for (int i = 0; i < d->n_labels; i++) {
        json_out_open(&j, NULL, '{');
        json_out_text(&j, "name", imgen_data_label(s->data, i));
        json_out_int(&j, "count", s->per_label[i]);
        json_out_close(&j);
    }
    json_out_close(&j);
    json_out_open(&j, "captions", '{');
    json_out_int(&j, "longest", (int64_t)s->longest);
    json_out_open(&j, "sample", '[');
    for (int i = 0; i < s->n_captions; i++)
        json_out_text(&j, NULL, s->captions[i]);
    json_out_close(&j);
    json_out_close(&j);
    json_out_text(&j, "output", s->options->output);
    json_out_close(&j);
}

static int survey(struct survey *s)
{
    int code;

    if (s->options->first >= s->info.count)
        return command_misused(&command_data, "--first %" PRId64 ": the set has %" PRId64 " %s",
                               s->options->first, s->info.count, items_of(s));
    s->pixels = calloc((size_t)length_of(s), sizeof *s->pixels);
    s->per_label = calloc((size_t)s->info.n_labels + 1, sizeof *s->per_label);
    if (!s->pixels || !s->per_label)
        return command_broken(&command_data, "no memory for a picture");
    if (s->options->output && (code = write_sheet(s)))
        return code;
    code = read_pictures(s);
    if (s->options->json)
        print_survey_json(s);
    else
        print_survey(s);
    return code;
}

static int run(const struct data_options *o, int n_words, char **words)
{
    struct imgen_training t = {
        .config = n_words ? words[0] : NULL,
        .settings = (const char *const *)o->settings.at,
        .n_settings = o->settings.n,
    };
    struct survey s = {.options = o};
    struct imgen_error err;
    int code;

    if (n_words > 1)
        return command_misused(&command_data, "one configuration at a time, not %d", n_words);
    if (!n_words && !o->settings.n)
        return command_misused(&command_data, "which set?");
    if (imgen_data_open(&s.data, &t, &err))
        return command_failed(&command_data, &err);
    interrupt_watch("\nstopping\n");
    progress_start(&s.progress, o->quiet);
    imgen_data_info(s.data, &s.info);
    code = survey(&s);
    imgen_data_close(s.data);
    free(s.pixels);
    free(s.per_label);
    return code;
}

static int cmd_data(int argc, char **argv)
{
    struct data_options o = {0};
    int n_words, code;

    if (command_read(&command_data, &o, NULL, argc, argv, &n_words, &code))
        code = run(&o, n_words, argv + 1);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_data = {
    .is = {"data", "[CONFIG.ini] [flags]", "preview a data set and verify it", rows},
    .details =
        "Opens the [data] section of a configuration as training does, counts labels, shows\n"
        "some captions and the length of the longest, and, with -o, draws the first pictures,\n"
        "or of the first clips a row of frames each.\n"
        "\n"
        "    imgen data --set data.format=shapes --set data.size=32 -o shapes.png\n"
        "    imgen data --set data.format=moving --set data.frames=12 -o moving.png\n"
        "    imgen data config/cifar10.ini --verify",
    .run = cmd_data,
};
