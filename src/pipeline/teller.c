/*
 * teller.c - how far a request is: what its callback is told, and when
 *
 * A step of a large network takes many seconds, encoders and autoencoders as long again, and a
 * person wants to see that something happens and to stop it at once.  Tapes ask between any two of
 * their operations (graph_set_watch), which may be every microsecond; a callback of somebody else's
 * may be slow.  So what stands between is a look at the clock, and the callback is called when a
 * phase or a step begins, when a step is done, and every so often besides.
 *
 * How much of a step is done is known only as far as one knows how many runs of networks a step
 * takes: solvers ask several times, and guidance may run a network twice.  The last step tells.
 * That another run has begun is seen by its share, which has become less.
 */
#include "pipeline/teller.h"

#include "base/clock.h"

#include <math.h>

void teller_begin(struct teller *t, enum generate_phase phase, int step)
{
    t->now.phase = phase;
    t->now.share = 0;
    if (phase == PHASE_STEP)
        t->now.step = step;
    t->told = -HUGE_VAL;
    t->last = 0;
    t->runs = 0;
}

bool teller_tell(struct teller *t)
{
    if (!t->tell)
        return true;
    if (t->every > 0)
        t->told = clock_seconds();
    return t->tell(&t->now, t->user);
}

/* Of all batches, with so much of the present one's steps done. */
static double share_of_all(const struct generate_progress *p, double steps)
{
    return ((double)p->first + steps * (double)p->count) / (double)p->n;
}

bool teller_watch(double done, void *teller)
{
    struct teller *t = teller;
    struct generate_progress *p = &t->now;
    double whole, share;

    t->runs += done < t->last;
    t->last = done;
    if (t->every > 0 && clock_seconds() - t->told < t->every)
        return true;
    whole = t->usual > t->runs ? t->usual : t->runs + 1;
    share = p->phase == PHASE_STEP ? (t->runs + done) / whole : done;
    p->share = fmax(p->share, fmin(share, 1)); /* the first step promises too much */
    if (p->phase == PHASE_STEP && p->steps)
        p->done = share_of_all(p, (p->step - 1 + p->share) / p->steps);
    return teller_tell(t);
}

bool teller_stepped(struct teller *t)
{
    struct generate_progress *p = &t->now;
    bool goes_on;

    t->usual = t->runs + 1;
    p->phase = PHASE_STEPPED;
    p->share = 1;
    if (p->steps)
        p->done = share_of_all(p, (double)p->step / p->steps);
    goes_on = teller_tell(t);
    p->x = p->data = p->preview = NULL;
    teller_begin(t, PHASE_STEP, p->step + 1);
    return goes_on;
}

bool teller_end(struct teller *t)
{
    t->now.share = 1;
    return teller_tell(t);
}

void teller_attach(struct teller *t, struct graph *g)
{
    if (t->tell && g)
        graph_set_watch(g, teller_watch, t);
}
