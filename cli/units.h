/*
 * units.h - numbers as people say them
 */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

enum { UNITS_ROOM = 48 };

/* Each writes into out and returns it. */
const char *units_bytes(char out[UNITS_ROOM], double bytes);            /* "28.1 MiB"         */
const char *units_si(char out[UNITS_ROOM], double x, const char *unit); /* "12.3 GFLOP"       */
const char *units_time(char out[UNITS_ROOM], double seconds);           /* "24.8 ms"     */
const char *units_seconds(char out[UNITS_ROOM], double seconds);        /* "3 min 20 s"       */

#endif
