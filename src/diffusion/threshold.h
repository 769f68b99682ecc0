/*
 * threshold.h - keeping the predicted picture inside the range that pictures have
 */
#ifndef IMGEN_DIFFUSION_THRESHOLD_H
#define IMGEN_DIFFUSION_THRESHOLD_H

#include "base/error.h"

#include <stdint.h>

/* Dynamic thresholding: per row of data [rows, n], with s the larger of 1 and the given quantile of
 * |data|, in (0, 1], data is clipped to [-s, s] and divided by s.  E_MEMORY. */
enum status threshold_clip(double *data, int64_t rows, int64_t n, double quantile,
                           struct error *err);

#endif
