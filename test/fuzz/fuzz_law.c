/*
 * fuzz_law.c - any bytes as a mixture in an INI or a JSON file
 *
 * A law that was read must have finite fields in the middle of its path.
 */
#include "lab/law_file.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct path_coefs c = {.alpha = 0.5, .beta = 0.5};
    const double x[2] = {0.25, -0.5};

    for (int json = 0; json < 2; json++) {
        struct law l = {0};
        struct error err = {0};
        struct mixture_value v;

        if (law_read_text(&l, json ? "fuzz.json" : "fuzz.ini", (const char *)data, size, &err)) {
            MUST(err.text[0], "a failure without a sentence");
        } else {
            MUST(!law_at(&v, &l, &c, x, LAW_ANY, &err), "%s", err.text);
            MUST(isfinite(v.log_p) && isfinite(v.s[0]) && isfinite(v.u[1]), "a field not finite");
        }
        law_release(&l);
    }
    return 0;
}
