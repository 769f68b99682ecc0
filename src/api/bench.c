/*
 * bench.c - speed, for users of the library
 */
#include "api/api.h"

#include "eval/speed.h"

struct relay {
    imgen_bench_callback *callback;
    void *user;
};

_Static_assert((int)IMGEN_LIMIT_NONE == SPEED_NONE && (int)IMGEN_LIMIT_RATIO == SPEED_RATIO,
               "both lists of limits are in the same order");

static bool relay(const struct speed_row *row, void *user)
{
    const struct relay *to = user;
    struct imgen_bench_row out = {
        .name = row->name,
        .seconds = row->seconds,
        .spread = row->spread,
        .flops = row->flops,
        .bytes = row->bytes,
        .share = row->share,
        .limit = (enum imgen_limit)row->limit,
        .memory = row->memory,
        .resident = row->resident,
    };

    return to->callback(&out, to->user) != 0;
}

enum imgen_status imgen_bench(int threads, const char *filter, int runs,
                              struct imgen_machine *machine, imgen_bench_callback *callback,
                              void *user, struct imgen_error *err)
{
    struct relay to = {callback, user};
    struct error e = {0};
    struct machine m;

    speed_machine(&m, api_threads(threads));
    *machine = (struct imgen_machine){m.threads, m.peak_flops, m.bandwidth};
    if (runs < 0 || runs > SPEED_RUNS_MOST)
        return api_status(err, &e,
                          fail(&e, E_ARG, "%d runs are not 0 to %d", runs, SPEED_RUNS_MOST));
    return api_status(err, &e, speed_run(&m, filter, runs, relay, &to, &e));
}
