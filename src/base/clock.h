/*
 * clock.h - how long things take
 */
#ifndef IMGEN_BASE_CLOCK_H
#define IMGEN_BASE_CLOCK_H

/* Seconds of a clock that only goes forward, from an arbitrary beginning. */
double clock_seconds(void);

#endif
