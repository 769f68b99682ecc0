/*
 * published.c - what the names of tensors in published files say: which part of a model they are
 *
 * Stable Diffusion is published as one file that holds several networks, each under a prefix that
 * goes back to the training code of its time.  Besides the weights such files hold leftovers, which
 * nobody wants and no error should name.
 */
#include "io/published.h"

#include <stddef.h>
#include <string.h>

static const struct published_part parts[] = {
    {"diffusion", "model.diffusion_model.", "the network that is sampled"},
    {"autoencoder", "first_stage_model.", "pictures to latents and back"},
    {"clip-l", "text_encoders.clip_l.", "the text encoder CLIP-L"},
    {"clip-g", "text_encoders.clip_g.", "the text encoder OpenCLIP bigG"},
    {"t5xxl", "text_encoders.t5xxl.", "the text encoder T5-XXL"},
    {"clip-l", "cond_stage_model.", "the text encoder of Stable Diffusion 1"},
    {"clip-l", "conditioner.embedders.0.", "the first text encoder of SDXL"},
    {"clip-g", "conditioner.embedders.1.", "the second text encoder of SDXL"},
};
enum { N_PARTS = sizeof parts / sizeof *parts };

const struct published_part *published_part(int i)
{
    return i >= 0 && i < N_PARTS ? &parts[i] : NULL;
}

static bool begins(const char *text, const char *begin)
{
    return !strncmp(text, begin, strlen(begin));
}

const struct published_part *published_part_of(const char *tensor)
{
    for (int i = 0; i < N_PARTS; i++)
        if (begins(tensor, parts[i].prefix))
            return &parts[i];
    return NULL;
}

static bool is_leaf(const char *tensor, const char *const *leaves, size_t n)
{
    const char *dot = strrchr(tensor, '.'), *leaf = dot ? dot + 1 : tensor;

    for (size_t i = 0; i < n; i++)
        if (!strcmp(leaf, leaves[i]))
            return true;
    return false;
}

bool published_marks_float8(const char *tensor)
{
    static const char *const marks[] = {"scaled_fp8", "scale_input", "input_scale"};

    return is_leaf(tensor, marks, sizeof marks / sizeof *marks);
}

bool published_spare(const char *tensor)
{
    static const char *const leaves[] = {"logit_scale", "position_ids", "spiece_model"};
    const struct published_part *part = published_part_of(tensor);
    const char *name = tensor + (part ? strlen(part->prefix) : 0);

    return begins(name, "model_ema.") || begins(name, "loss.") ||
           is_leaf(tensor, leaves, sizeof leaves / sizeof *leaves) ||
           published_marks_float8(tensor);
}
