/*
 * ticks.c - round numbers along an axis
 *
 * A reader counts in ones, twos and fives; the step is the smallest of those, times a power of ten,
 * that gives no more ticks than there is room for.  On a logarithmic axis the ticks are powers of
 * ten, or every second, third ... of them where there are many, and where there is less than two
 * decades the twos and fives between them too.
 */
#include "plot/ticks.h"

#include <math.h>
#include <stdio.h>

/* U+2212: as wide as a plus, unlike the hyphen. */
static const char minus[] = "\xe2\x88\x92";

static void label_plain(struct tick *t, int decimals)
{
    snprintf(t->label, sizeof t->label, "%s%.*f", t->at < 0 ? minus : "", decimals, fabs(t->at));
    for (char *c = t->label; *c; c++)
        if (*c == ',') /* a locale's point */
            *c = '.';
}

static double round_step(double least)
{
    double power = pow(10, floor(log10(least)));

    for (int i = 0; i < 3; i++) {
        const double step[] = {1, 2, 5};

        if (step[i] * power >= least * (1 - 1e-9))
            return step[i] * power;
    }
    return 10 * power;
}

static int linear(struct tick *out, double lo, double hi, int about)
{
    double step = round_step((hi - lo) / about), slack = 1e-9 * step;
    int decimals = (int)fmax(0, ceil(-log10(step) - 1e-9)), n = 0;

    for (double i = ceil((lo - slack) / step); i * step <= hi + slack && n < TICKS_MAX; i++) {
        out[n].at = i == 0 ? 0 : i * step;
        label_plain(&out[n++], decimals > 9 ? 9 : decimals);
    }
    return n;
}

static void label_power(struct tick *t, int mantissa, int power)
{
    if (power >= -2 && power <= 4)
        label_plain(t, power < 0 ? -power : 0);
    else if (mantissa == 1)
        snprintf(t->label, sizeof t->label, "10^{%s%d}", power < 0 ? minus : "",
                 power < 0 ? -power : power);
    else
        snprintf(t->label, sizeof t->label,
                 "%d\xc2\xb7"
                 "10^{%s%d}",
                 mantissa, power < 0 ? minus : "", power < 0 ? -power : power);
}

static int powers(struct tick *out, double lo, double hi, int about)
{
    double first = log10(lo), last = log10(hi);
    bool between = last - first < 2;
    int every = (int)fmax(1, ceil((last - first) / about)), n = 0;

    for (int p = (int)floor(first); p <= (int)ceil(last); p++)
        for (int i = 0; i < (between ? 3 : 1) && n < TICKS_MAX; i++) {
            const int mantissa[] = {1, 2, 5};
            double at = mantissa[i] * pow(10, p);

            if (p % every || at < lo * (1 - 1e-9) || at > hi * (1 + 1e-9))
                continue;
            out[n].at = at;
            label_power(&out[n++], mantissa[i], p);
        }
    return n;
}

int ticks_make(struct tick out[TICKS_MAX], double lo, double hi, bool logarithmic, int about)
{
    return logarithmic ? powers(out, lo, hi, about) : linear(out, lo, hi, about);
}
