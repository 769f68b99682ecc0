/*
 * demo.h - what the parts of `imgen demo` share
 */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include "canvas.h"
#include "cli.h"
#include "progress.h"

/* A trained model that is being shown. */
struct demo {
    struct imgen_model *model;
    struct imgen_model_info info; /* square pictures with three channels */
    int threads;
    int64_t count; /* pictures to measure at each scale, at least */
    struct progress progress;
};

/* Of the pictures asked for at one guidance scale, how many show what was asked. */
struct demo_share {
    double scale;
    int64_t obeyed, asked;
};
enum { DEMO_COLUMNS = 5, DEMO_SHARES = DEMO_COLUMNS + 1 };

/* Draw requests against guidance scales into a PNG.  share: [*n_shares], a column each, then the
 * model's default scale where no column has it.  Returns an exit code. */
int demo_draw_guidance(struct demo *d, const char *path, struct demo_share share[DEMO_SHARES],
                       int *n_shares);
/* Draw the way of a few pictures from noise to data into a PNG.  Returns an exit code. */
int demo_draw_path(struct demo *d, const char *path);

/* For both: write a canvas; words on it. */
int demo_write(const char *path, const struct canvas *c);
enum { DEMO_TEXT = 2, DEMO_TEXT_HEIGHT = 7 * DEMO_TEXT, DEMO_INK = 40, DEMO_MARGIN = 20 };
/* A line of text, its middle at `centre`. */
void demo_centre(struct canvas *c, int64_t centre, int64_t top, const char *text);
/* Zoom at which pictures are about `pixels` wide. */
int64_t demo_zoom(const struct demo *d, int64_t pixels);

#endif
