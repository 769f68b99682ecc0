/*
 * info_clip.c - an animation or a folder of frames, for `imgen info`
 *
 * What people ask of a clip before they train on it: how many frames, how large, how fast.  The
 * recipe that an APNG may carry is shown as that of a picture.
 */
#include "info.h"

#include <inttypes.h>
#include <stdio.h>

static void print(const char *path, const struct imgen_clip *c)
{
    char rate[32] = "not said";

    if (c->rate > 0)
        snprintf(rate, sizeof rate, "%g frames a second", c->rate);
    info_plain(path);
    printf(": a %s\n", c->frames > 1 ? "clip" : "picture");
    printf("  frames           %" PRId64 "\n", c->frames);
    printf("  size             %" PRId64 " x %" PRId64 ", %" PRId64 " channel%s\n", c->width,
           c->height, c->channels, c->channels == 1 ? "" : "s");
    printf("  rate             %s\n", rate);
}

static void print_json(const char *path, const struct imgen_clip *c, const char *hash)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "path", path);
    json_out_text(&j, "kind", "clip");
    json_out_text(&j, "hash", hash);
    json_out_int(&j, "frames", c->frames);
    json_out_int(&j, "width", c->width);
    json_out_int(&j, "height", c->height);
    json_out_int(&j, "channels", c->channels);
    json_out_real(&j, "rate", c->rate);
    json_out_close(&j);
}

int info_clip(const char *path, const struct info_options *o)
{
    struct imgen_clip clip = {0};
    struct imgen_error err;
    char hash[65] = "";

    if (imgen_clip_read(&clip, path, 0, &err) || imgen_clip_hash(hash, path, &err)) {
        imgen_clip_release(&clip);
        return command_failed(&command_info, &err);
    }
    if (o->json)
        print_json(path, &clip, hash);
    else
        print(path, &clip);
    imgen_clip_release(&clip);
    return EXIT_DONE;
}
