/*
 * peak.h - what this machine can do at best, measured
 */
#ifndef IMGEN_BACKEND_CPU_PEAK_H
#define IMGEN_BACKEND_CPU_PEAK_H

#include <stdint.h>

/* Float32 operations a second of `threads` threads in fused multiply-adds on registers, the widest
 * vectors the processor has; a multiply-add counts as two.  The best of several short tries, about
 * 0.1 s. */
double cpu_peak_flops(int threads);

/* Bytes a second of to = from / 2 over n floats, read once and written once (8 bytes an element;
 * the fetch of the written line is not counted).  The memory's bandwidth when the arrays are far
 * larger than the caches. */
double cpu_copy_rate(float *to, const float *from, int64_t n, int threads);

/* The best of several such copies of 128 MiB.  0 when there is no memory for the arrays.  About
 * 0.2 s. */
double cpu_memory_bandwidth(int threads);

/* The name of the processor as the system tells it, cut to fit: "AMD EPYC, AVX-512".  Returns buf.
 */
enum { CPU_NAME = 128 };
const char *cpu_name(char buf[CPU_NAME]);

#endif
