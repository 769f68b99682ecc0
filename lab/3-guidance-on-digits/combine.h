/*
 * combine.h - classifier-free guidance, to be written in combine.c
 */
#ifndef COMBINE_H
#define COMBINE_H

/* out[0 .. n-1] = the guided prediction of scale w, from the predictions without and with the
 * label; (3.8).  w = 0 must give the first and w = 1 the second. */
void combine(double *out, const double *unguided, const double *guided, double w, int n);

#endif
