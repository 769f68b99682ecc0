/*
 * sample_options.c - the flags of `imgen sample`
 */
#include "sample.h"

#include <stddef.h>

const struct imgen_option sample_rows[] = {
    ROW_HELP,
    {"label", "what to show, by name or number; 'none': anything", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, label), .letter = 'l', .value = "NAME"},
    {"labels", "several, each with the same seeds", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, labels), .value = "NAME,NAME,..."},
    {"prompt", "what to show, of a model that reads texts; may be given often", IMGEN_OPTION_TEXTS,
     offsetof(struct sample_options, prompt), .letter = 'p', .value = "TEXT"},
    {"prompts",
     "a file with a prompt a line ('-': standard input), or a configuration (.ini): "
     "captions of 32 of its held-out pictures",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, prompts), .value = "FILE"},
    {"init_img",
     "a picture to make others of, of any size, or that a clip begins with; or, of a model that "
     "makes clips larger, the clip",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, init), .letter = 'i', .value = "PICTURE"},
    {"mask", "where it is made anew: white; black keeps it; as large as that picture",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, mask), .value = "PICTURE"},
    {"strength", "how far from it: 0 is the picture itself, 1 leaves nothing of it",
     IMGEN_OPTION_REAL, offsetof(struct sample_options, strength), "0.75", .lo = 0, .hi = 1},
    {"width", "of the pictures, where the model makes several sizes", IMGEN_OPTION_INT,
     offsetof(struct sample_options, width), "0", .lo = 0, .hi = 16384, .letter = 'W'},
    {"height", "the same", IMGEN_OPTION_INT, offsetof(struct sample_options, height), "0", .lo = 0,
     .hi = 16384, .letter = 'H'},
    {"frames", "of a clip, of a model of clips; 1: a picture; 0: as it was trained",
     IMGEN_OPTION_INT, offsetof(struct sample_options, frames), "0", .lo = 0, .hi = 1024},
    {"tile",
     "larger and longer than the model was trained for: of overlapping tiles of its own size, "
     "blended in every step (MultiDiffusion)",
     IMGEN_OPTION_BOOL, offsetof(struct sample_options, tile), .letter = 0},
    {"tile_overlap", "part of a tile's sides, and of its frames, that neighbours share",
     IMGEN_OPTION_REAL, offsetof(struct sample_options, tile_overlap), "0.5", .lo = 0, .hi = 0.9},
    {"rate", "frames a second at which a clip's file is shown", IMGEN_OPTION_REAL,
     offsetof(struct sample_options, rate), "8", .lo = 0.01, .hi = 1000},
    PART_ROWS(offsetof(struct sample_options, parts)),
    LORA_ROW(offsetof(struct sample_options, lora)),
    {"batch_count", "pictures of each label or prompt", IMGEN_OPTION_INT,
     offsetof(struct sample_options, batch_count), "1", .lo = 1, .hi = SAMPLE_PICTURES,
     .letter = 'n'},
    {"seed", "of the first picture, the next take seed + 1, ...; -1: a random one",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, seed), "42", .letter = 's', .value = "N"},
    SOLVER_ROWS(offsetof(struct sample_options, solver)),
    {"from", "make the picture again whose recipe this PNG carries", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, from), .value = "PICTURE.png"},
    {"output",
     "file; several pictures become NAME-000.png, NAME-001.png, ...; clips: .webp, .png or .apng, "
     ".y4m, .mp4, .webm, or a folder of frames",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, output), "output.png", .letter = 'o',
     .value = "NAME.png"},
    {"grid", "one sheet, a row for each label or prompt, in place of single files",
     IMGEN_OPTION_BOOL, offsetof(struct sample_options, grid), .letter = 0},
    {"zoom", "draw each pixel of the sheet so many times; 0: as fits", IMGEN_OPTION_INT,
     offsetof(struct sample_options, zoom), "0", .lo = 0, .hi = 64},
    {"preview", "every N steps write NAME-preview.png: how the pictures would end; 0: never",
     IMGEN_OPTION_INT, offsetof(struct sample_options, preview), "0", .lo = 0, .hi = 1000},
    {"preview_autoencoder",
     "a tiny autoencoder to show previews of latents by; default: a pixel a latent",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, preview_autoencoder), .value = "PATH"},
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,
     offsetof(struct sample_options, threads), "0", .lo = 0, .hi = 1024, .letter = 't'},
    {"memory_limit",
     "most memory that it may need, \"8G\": more is refused; 0: no limit; default: what is free, "
     "for "
     "large models",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, memory_limit), .value = "SIZE"},
    {"dry_run", "say what it would take, in memory and seconds a step, and make nothing",
     IMGEN_OPTION_BOOL, offsetof(struct sample_options, dry_run), .letter = 0},
    {"json", "print the result as JSON", IMGEN_OPTION_BOOL, offsetof(struct sample_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct sample_options, quiet),
     .letter = 'q'},
    {"verbose", "say what is asked of the model", IMGEN_OPTION_BOOL,
     offsetof(struct sample_options, verbose), .letter = 'v'},
    {0},
};

_Static_assert(sizeof sample_rows / sizeof *sample_rows <= SAMPLE_ROWS, "more flags than room");
