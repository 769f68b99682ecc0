/*
 * text_to_picture.c - a prompt in, a picture out, by Stable Diffusion 3, in a program of your own
 *
 *     cc text_to_picture.c $(pkg-config --cflags --libs imgen) -o text_to_picture
 *     ./text_to_picture sd3.5_medium.safetensors "a lighthouse at dusk" dusk.png
 *
 * MODEL is a published file or folder; text encoders that are not inside of it are looked for
 * beside it, and the vocabulary of T5 (spiece.model) too.  Ctrl-C stops within a fraction of a
 * step: the handler sets a flag, and the progress callback, which is called between the operations
 * of the network, looks at it.  Behind PICTURE: the width, the height, and how many steps.
 */
#include <imgen.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static int on_progress(const struct imgen_progress *p, void *user)
{
    static const char *const busy[] = {"reading the prompt", "encoding", "step", "step",
                                       "decoding"};

    fprintf(user, "\r%-20s", busy[p->phase]);
    if (p->phase == IMGEN_STEP || p->phase == IMGEN_STEPPED)
        fprintf(user, "%d/%d  ", p->step, p->steps);
    fprintf(user, "%3.0f %%   ", 100 * p->share);
    return !stopped; /* 0 stops */
}

static int make(struct imgen_model *model, int argc, char **argv, struct imgen_error *err)
{
    const char *const prompts[] = {argv[2]};
    const char *const numbers[] = {"guidance.negative=blurry"};
    struct imgen_item item = {.label = 0, .seed = 42}; /* prompt 0 */
    struct imgen_model_info info;
    struct imgen_request request;
    struct imgen_recipe recipe;
    struct imgen_image image;
    int bad;

    if (argc > 5 && imgen_model_resize(model, atoi(argv[4]), atoi(argv[5]), err))
        return 1;
    imgen_model_info(model, &info);
    imgen_request_init(&request, model);
    item.cfg_scale = info.cfg_scale;
    request.items = &item;
    request.n_items = 1;
    request.prompts = prompts;
    request.n_prompts = 1;
    request.numbers = numbers;
    request.n_numbers = 1;
    request.progress = on_progress;
    request.user = stderr;
    if (argc > 6)
        request.steps = atoi(argv[6]);
    image = (struct imgen_image){info.height, info.width, info.channels, NULL};
    image.pixels = calloc((size_t)info.height * (size_t)info.width, (size_t)info.channels);
    bad = !image.pixels || imgen_sample(model, &request, image.pixels, err) ||
          imgen_recipe_make(&recipe, model, &request, 0, err) ||
          imgen_picture_write(argv[3], &image, &recipe, err);
    fputc('\n', stderr);
    free(image.pixels);
    return bad;
}

/* What reads the prompt, and what is not there to read it. */
static void tell_parts(const struct imgen_model *model)
{
    struct imgen_model_part part;

    for (int i = 0; imgen_model_part(model, i, &part); i++)
        printf("%-12s %s\n", part.role, part.path ? part.path : "none");
}

int main(int argc, char **argv)
{
    struct imgen_error err = {
        IMGEN_OK, "usage: text_to_picture MODEL PROMPT PICTURE.png [WIDTH HEIGHT [STEPS]]"};
    struct imgen_model *model = NULL;
    int bad = argc < 4 || imgen_model_open(&model, argv[1], &err);

    signal(SIGINT, stop);
    if (!bad) {
        tell_parts(model);
        bad = make(model, argc, argv, &err);
    }
    if (bad)
        fprintf(stderr, "%s\n", *err.text ? err.text : "no memory for a picture");
    imgen_model_close(model);
    return bad;
}
