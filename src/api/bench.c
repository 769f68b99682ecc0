/*
 * bench.c - speed, for users of the library
 */
#include "api/api.h"

#include "eval/speed.h"

struct relay {
    imgen_bench_callback *callback;
    void *user;
};

static bool relay(const struct speed_row *row, void *user)
{
    const struct relay *to = user;
    struct imgen_bench_row out = {row->name,  row->seconds, row->spread,
                                  row->flops, row->bytes,   row->share};

    return to->callback(&out, to->user) != 0;
}

enum imgen_status imgen_bench(int threads, const char *filter, struct imgen_machine *machine,
                              imgen_bench_callback *callback, void *user, struct imgen_error *err)
{
    struct relay to = {callback, user};
    struct error e = {0};
    struct machine m;

    speed_machine(&m, api_threads(threads));
    *machine = (struct imgen_machine){m.threads, m.peak_flops, m.bandwidth};
    return api_status(err, &e, speed_run(&m, filter, relay, &to, &e));
}
