/*
 * sample.c - one picture from a model, in a program of your own
 *
 *     cc sample.c $(pkg-config --cflags --libs imgen) -o sample
 *     ./sample demo/model.safetensors "red star" star.png
 */
#include <imgen.h>

#include <stdio.h>
#include <stdlib.h>

static int on_progress(const struct imgen_progress *p, void *user)
{
    fprintf(user, "\r%3.0f %%%s", 100 * p->done, p->done < 1 ? "" : "\n");
    return 1; /* 0 would stop, also inside of a step */
}

static int make(struct imgen_model *model, char **argv, struct imgen_error *err)
{
    struct imgen_model_info info;
    struct imgen_request request;
    struct imgen_recipe recipe;
    struct imgen_item item = {.seed = 42};
    struct imgen_image image;
    int bad;

    imgen_model_info(model, &info);
    printf("%s: %d x %d, %d labels\n", info.network, info.width, info.height, info.n_labels);
    imgen_request_init(&request, model);
    request.items = &item;
    request.n_items = 1;
    request.progress = on_progress;
    request.user = stderr;
    item.cfg_scale = info.guided ? info.cfg_scale : 1;
    image = (struct imgen_image){info.height, info.width, info.channels, NULL};
    image.pixels = calloc((size_t)info.height * (size_t)info.width, (size_t)info.channels);
    bad = !image.pixels || imgen_model_find_label(model, argv[2], &item.label, err) ||
          imgen_sample(model, &request, image.pixels, err) ||
          imgen_recipe_make(&recipe, model, &request, 0, err) ||
          imgen_picture_write(argv[3], &image, &recipe, err);
    free(image.pixels);
    return bad;
}

int main(int argc, char **argv)
{
    struct imgen_error err = {IMGEN_OK, "usage: sample MODEL LABEL PICTURE.png"};
    struct imgen_model *model = NULL;
    int bad = argc != 4 || imgen_model_open(&model, argv[1], &err) || make(model, argv, &err);

    if (bad)
        fprintf(stderr, "%s\n", *err.text ? err.text : "no memory for a picture");
    imgen_model_close(model);
    return bad;
}
