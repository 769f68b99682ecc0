/*
 * loader.c - shuffled batches, prepared in the background
 *
 * Three wishes pull at a loader: every picture once an epoch, in an order nobody can guess; a
 * resumed run must see exactly what the uncut run would have seen; and training must not wait for
 * JPEG.
 *
 * Order.  Shuffling an array would need memory for it and, to resume, either the array or the
 * shuffle again.  Instead the position in the epoch is encrypted: a four-round Feistel network is a
 * permutation of 0 .. 4^b - 1 whatever its round function is (Luby and Rackoff 1988), and walking
 * the cycle until the number is below count (fewer than four steps on average) makes it a
 * permutation of 0 .. count-1.  The round keys come from (seed, epoch), so there is nothing to
 * store and any sample can be asked for directly.
 *
 * Prefetch.  A ring of slots lies between one thread and the caller:
 *
 *        made, counted up by the thread             taken, counted up by the caller
 *            |                                          |
 *      slot  made % SLOTS   <-- at most SLOTS - 1 ahead of it
 *
 * The slot handed out last stays untouched until the next call, so the caller trains from it
 * without a copy.  Both counters live under one mutex; waiting is by condition variable.  An error
 * ends the thread and waits in the ring's last place until its batch is due.
 */
#include "data/loader.h"

#include "base/memory.h"
#include "base/rng.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, ROUNDS = 4 };

struct slot {
    float *pixels;
    int32_t *labels;
    char (*captions)[CAPTION_TEXT];
};

struct loader {
    const struct dataset *set;
    int64_t batch, first_sample;
    uint64_t seed;
    bool flip;
    struct slot slots[SLOTS];

    pthread_t thread;
    bool started;
    pthread_mutex_t lock;  /* guards all below */
    pthread_cond_t change; /* one of them did  */
    int64_t made, taken;   /* batches          */
    bool stop, failed;
    struct error error;
};

/* SplitMix64's finalizer (Steele, Lea and Flood 2014): every bit of x moves every bit of the
 * result. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* A permutation of 0 .. 4^bits - 1: halves of `bits` bits change places ROUNDS times. */
static uint64_t feistel(uint64_t x, int bits, const uint64_t key[ROUNDS])
{
    uint64_t mask = (UINT64_C(1) << bits) - 1, left = x >> bits, right = x & mask;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t next = left ^ (mix(right + key[i]) & mask);

        left = right;
        right = next;
    }
    return left << bits | right;
}

int64_t loader_index(uint64_t seed, int64_t count, int64_t s)
{
    uint64_t key[ROUNDS], n = (uint64_t)count, x;
    struct rng g;
    int bits = 1;

    MUST(count > 0 && s >= 0, "sample %" PRId64 " of %" PRId64 " pictures", s, count);
    if (count == INT64_MAX)
        return s;
    g = rng_stream(seed, RNG_SHUFFLE, (uint64_t)(s / count));
    x = (uint64_t)(s % count);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t high = rng_u32(&g);

        key[i] = high << 32 | rng_u32(&g);
    }
    while (bits < 32 && n > UINT64_C(1) << 2 * bits)
        bits++;
    do {
        x = feistel(x, bits, key);
    } while (x >= n);
    return (int64_t)x;
}

/* Rows of one picture, or of all frames of a clip. */
static void mirror(float *pixels, int64_t height, int64_t width, int64_t channels)
{
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width / 2; j++)
            for (int64_t k = 0; k < channels; k++) {
                float *a = pixels + (i * width + j) * channels + k;
                float *b = pixels + (i * width + width - 1 - j) * channels + k, t = *a;

                *a = *b;
                *b = t;
            }
}

static enum status sample_make(const struct loader *l, int64_t s, float *pixels, int32_t *label,
                               char caption[CAPTION_TEXT], struct error *err)
{
    const struct dataset *d = l->set;
    enum status st;

    if ((st = dataset_get(d, loader_index(l->seed, d->count, s), pixels, label, caption, err)))
        return st;
    if (l->flip) {
        struct rng g = rng_stream(l->seed, RNG_AUGMENT, (uint64_t)s);

        if (rng_below(&g, 2))
            mirror(pixels, dataset_length(d) / (d->width * d->channels), d->width, d->channels);
    }
    return OK;
}

static enum status batch_make(const struct loader *l, int64_t number, struct error *err)
{
    const struct dataset *d = l->set;
    const struct slot *slot = &l->slots[number % SLOTS];
    int64_t each = dataset_length(d), first = l->first_sample + number * l->batch;
    enum status st;

    for (int64_t k = 0; k < l->batch; k++)
        if ((st = sample_make(l, first + k, slot->pixels + k * each, &slot->labels[k],
                              slot->captions[k], err)))
            return st;
    return OK;
}

/* Wait for a slot the caller is not reading; false when it is time to stop. */
static bool slot_wait(struct loader *l, int64_t number)
{
    bool go;

    pthread_mutex_lock(&l->lock);
    while (!l->stop && number - l->taken >= SLOTS - 1)
        pthread_cond_wait(&l->change, &l->lock);
    go = !l->stop;
    pthread_mutex_unlock(&l->lock);
    return go;
}

static void *work(void *arg)
{
    struct loader *l = arg;
    struct error error = {0};
    bool failed = false;

    for (int64_t number = 0; !failed && slot_wait(l, number); number++) {
        failed = batch_make(l, number, &error) != OK;
        pthread_mutex_lock(&l->lock);
        if (failed) {
            l->failed = true;
            l->error = error;
        } else {
            l->made++;
        }
        pthread_cond_signal(&l->change);
        pthread_mutex_unlock(&l->lock);
    }
    return NULL;
}

static enum status slots_new(struct loader *l, struct error *err)
{
    const struct dataset *d = l->set;
    uint64_t each = (uint64_t)dataset_length(d) * sizeof(float);
    enum status st;

    for (int i = 0; i < SLOTS; i++)
        if ((st =
                 mem_new((void **)&l->slots[i].pixels, (uint64_t)l->batch, each, "a batch", err)) ||
            (st = mem_new((void **)&l->slots[i].labels, (uint64_t)l->batch, sizeof(int32_t),
                          "the labels of a batch", err)) ||
            (st = mem_new((void **)&l->slots[i].captions, (uint64_t)l->batch,
                          sizeof *l->slots[i].captions, "the captions of a batch", err)))
            return st;
    return OK;
}

/* Signals are for the program's own threads: this one blocks them all. */
static enum status thread_start(struct loader *l, struct error *err)
{
    sigset_t all, before;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&l->thread, NULL, work, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code)
        return fail(err, E_IO, "no thread for loading pictures: %s", strerror(code));
    l->started = true;
    return OK;
}

enum status loader_new(struct loader **out, const struct dataset *d, int64_t batch, uint64_t seed,
                       int64_t first_sample, bool flip, struct error *err)
{
    struct loader *l = NULL;
    enum status st;

    MUST(batch > 0 && first_sample >= 0, "batch %" PRId64 " from sample %" PRId64, batch,
         first_sample);
    *out = NULL;
    if ((st = mem_new((void **)&l, 1, sizeof *l, "a loader", err)))
        return st;
    l->set = d;
    l->batch = batch;
    l->first_sample = first_sample;
    l->seed = seed;
    l->flip = flip;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->change, NULL);
    if ((st = slots_new(l, err)) || (st = thread_start(l, err))) {
        loader_free(l);
        return st;
    }
    *out = l;
    return OK;
}

enum status loader_next(struct loader *l, struct batch *b, struct error *err)
{
    const struct slot *slot;
    bool ready;

    pthread_mutex_lock(&l->lock);
    while (l->made == l->taken && !l->failed)
        pthread_cond_wait(&l->change, &l->lock);
    ready = l->made > l->taken;
    if (!ready && err)
        *err = l->error;
    if (ready) {
        slot = &l->slots[l->taken % SLOTS];
        *b = (struct batch){slot->pixels, slot->labels, slot->captions, l->batch,
                            l->first_sample + l->taken * l->batch};
        l->taken++; /* frees the slot before this one */
        pthread_cond_signal(&l->change);
    }
    pthread_mutex_unlock(&l->lock);
    return ready ? OK : l->error.status;
}

void loader_free(struct loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->change);
    pthread_mutex_unlock(&l->lock);
    if (l->started)
        pthread_join(l->thread, NULL);
    for (int i = 0; i < SLOTS; i++) {
        free(l->slots[i].pixels);
        free(l->slots[i].labels);
        free(l->slots[i].captions);
    }
    pthread_cond_destroy(&l->change);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
