/*
 * imgen/speed.h - how fast this machine is at the library's work
 */
#ifndef IMGEN_SPEED_H
#define IMGEN_SPEED_H

#include "imgen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a share is a share of. */
enum imgen_limit {
    IMGEN_LIMIT_NONE,       /* there is no share                                       */
    IMGEN_LIMIT_ARITHMETIC, /* the machine's peak of multiply-adds                     */
    IMGEN_LIMIT_MEMORY,     /* the memory's bandwidth, where that is the nearer limit  */
    IMGEN_LIMIT_TIME,       /* the time of the whole step that the row is a part of    */
    IMGEN_LIMIT_RATIO,      /* the speed of another row's case: so many times as fast  */
};

/* One measurement, or, with seconds 0, the mean or the least share of those before it.  Peak and
 * bandwidth are measured again beside each run, and a share is the median of the runs' own shares.
 */
struct imgen_bench_row {
    const char *name;
    double seconds, spread; /* median; (largest - smallest) / median                  */
    double flops, bytes;    /* of one run, 0: does not apply; padding is not counted  */
    double share;
    enum imgen_limit limit; /* of what                                                */
    int64_t memory;         /* bytes of intermediate values and scratch, or 0         */
    int64_t resident;       /* of a whole run: bytes the process had behind it, or 0  */
};
typedef int imgen_bench_callback(const struct imgen_bench_row *row, void *user);

struct imgen_machine {
    int threads;
    double peak_flops; /* float32 fused multiply-adds, measured, all threads together */
    double bandwidth;  /* bytes a second from memory, measured                        */
};
/* filter: run only the cases whose name, or whose family's name, contains it; or NULL: all but
 * "sd3" and "sd3 1024", which take gigabytes and minutes.  runs: of each case, behind one that
 * warms up, 1 to 99; 0: 9, of a case that takes 4 s 5, and of one that takes 10 s 3. */
IMGEN_API enum imgen_status imgen_bench(int threads, const char *filter, int runs,
                                        struct imgen_machine *machine,
                                        imgen_bench_callback *callback, void *user,
                                        struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
