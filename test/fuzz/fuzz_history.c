/*
 * fuzz_history.c - any bytes as the log of a run, read and drawn
 */
#include "train/curves.h"
#include "train/history.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* The losses over the steps, as a report draws them. */
static void draw(const struct history *h)
{
    double *x = calloc((size_t)h->n_rows + 1, sizeof *x);
    double *y = calloc((size_t)h->n_rows + 1, sizeof *y);
    const struct curve curve = {"loss", x, y, h->n_rows};
    struct text t;

    text_init(&t, NULL, 0);
    for (int64_t i = 0; x && y && i < h->n_rows; i++) {
        x[i] = (double)h->rows[i].step;
        y[i] = h->rows[i].loss;
    }
    if (x && y)
        for (int k = 0; k < 2; k++)
            curves_svg(&t, &(struct curves){"loss", "step", &curve, 1, 0, k});
    text_release(&t);
    free(x);
    free(y);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct history h;

    if (!history_parse(&h, (const char *)bytes, n, &err)) {
        for (int64_t i = 0; i < h.n_rows; i++)
            MUST(h.rows[i].step >= 0, "a step before the first");
        draw(&h);
    }
    history_release(&h);
    return 0;
}
