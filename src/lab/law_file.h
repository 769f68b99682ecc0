/*
 * law_file.h - a mixture of Gaussians in the plane, from a file
 */
#ifndef IMGEN_LAB_LAW_FILE_H
#define IMGEN_LAB_LAW_FILE_H

#include "lab/law.h"

enum { LAW_FILE_PARTS = 256 };

/* An INI file has a section for each part, of any name, in any order:
 *
 *     [left]
 *     mean = -1, 0
 *     std = 0.4              ; or cov = xx, xy, yy
 *     weight = 2             ; 1 unless said; weights are divided by their sum
 *     label = 0              ; 0 unless said; 0 .. LAW_LABELS - 1
 *
 * and a JSON file the same keys: {"parts": [{"mean": [-1, 0], "std": 0.4}, ...]}.  Numbers are
 * finite, means at most 100 in size, deviations 0.001 to 100.  E_IO; E_FORMAT naming file, part and
 * key. */
enum status law_read_file(struct law *l, const char *path, struct error *err);
/* The same from memory; name: for messages, its ending says which. */
enum status law_read_text(struct law *l, const char *name, const char *text, size_t bytes,
                          struct error *err);

#endif
