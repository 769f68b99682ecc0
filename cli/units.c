/*
 * units.c - numbers as people say them
 *
 * Three digits are what a glance takes in; more would promise an exactness that times and sizes of
 * a run do not have.
 */
#include "units.h"

#include <math.h>
#include <stdio.h>

/* x divided down by `base` until it fits three digits before the point. */
static const char *scaled(char out[UNITS_ROOM], double x, double base, const char *const *prefix,
                          int n, const char *unit)
{
    int k = 0;

    for (; x >= 999.5 && k < n - 1; k++)
        x /= base;
    snprintf(out, UNITS_ROOM, "%.*f %s%s",
             x >= 99.95 || (k == 0 && x == floor(x)) ? 0
             : x >= 9.995                            ? 1
                                                     : 2,
             x, prefix[k], unit);
    return out;
}

const char *units_bytes(char out[UNITS_ROOM], double bytes)
{
    static const char *const prefix[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};

    return scaled(out, bytes, 1024, prefix, 6, "B");
}

const char *units_si(char out[UNITS_ROOM], double x, const char *unit)
{
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P", "E"};

    return scaled(out, x, 1000, prefix, 7, unit);
}

const char *units_time(char out[UNITS_ROOM], double s)
{
    static const char *const prefix[] = {"n", "u", "m", ""};

    return scaled(out, 1e9 * s, 1000, prefix, 4, "s");
}

const char *units_seconds(char out[UNITS_ROOM], double s)
{
    enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

    if (!(s >= 0 && s < 1e12))
        snprintf(out, UNITS_ROOM, "unknown");
    else if (s < 1)
        snprintf(out, UNITS_ROOM, "%.2g s", s);
    else if (s < 9.95)
        snprintf(out, UNITS_ROOM, "%.1f s", s);
    else if (s < MINUTE)
        snprintf(out, UNITS_ROOM, "%.0f s", s);
    else if (s < HOUR)
        snprintf(out, UNITS_ROOM, "%d min %02d s", (int)s / MINUTE, (int)s % MINUTE);
    else if (s < DAY)
        snprintf(out, UNITS_ROOM, "%d h %02d min", (int)s / HOUR, (int)s % HOUR / MINUTE);
    else
        snprintf(out, UNITS_ROOM, "%.0f d %02d h", floor(s / DAY), (int)(fmod(s, DAY) / HOUR));
    return out;
}
