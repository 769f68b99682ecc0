/*
 * law_picture.h - points where a picture is dark
 */
#ifndef IMGEN_LAB_LAW_PICTURE_H
#define IMGEN_LAB_LAW_PICTURE_H

#include "io/image.h"
#include "lab/law.h"

/* A board of at most BOARD_SIDE cells a side, the longer side 4 units, with weight where the
 * picture over white is darker than an eighth; label 0 is the left half of the ink, 1 the right.
 * E_IO, E_FORMAT, E_MEMORY; E_ARG when nothing is dark. */
enum status law_read_picture(struct law *l, const char *path, struct error *err);
/* The same of a picture in memory; name: for messages. */
enum status law_of_picture(struct law *l, const struct image *im, const char *name,
                           struct error *err);

#endif
