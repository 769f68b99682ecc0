/*
 * tfevents.h - event files that TensorBoard reads: numbers and pictures over steps
 */
#ifndef IMGEN_IO_TFEVENTS_H
#define IMGEN_IO_TFEVENTS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct tfevents;

/* Begin a new file in the folder, for events after `step`: TensorBoard forgets what older files of
 * the folder say of later steps.  Its name carries the time and the step.  E_IO, E_MEMORY. */
enum status tfevents_open(struct tfevents **out, const char *folder, int64_t step,
                          struct error *err);
void tfevents_close(struct tfevents *f); /* NULL is fine */

/* Append; a failure is told by tfevents_flush, which is due after each group of events. */
void tfevents_scalar(struct tfevents *f, int64_t step, const char *tag, double value);
/* The picture in a PNG file.  E_IO, E_FORMAT when it is none, E_MEMORY. */
enum status tfevents_png(struct tfevents *f, int64_t step, const char *tag, const char *path,
                         struct error *err);
enum status tfevents_flush(struct tfevents *f, struct error *err);

/* CRC-32C (Castagnoli), as records are framed with. */
uint32_t tfevents_crc(const uint8_t *bytes, size_t n);

#endif
