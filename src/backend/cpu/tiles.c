/*
 * tiles.c - a parallel loop over independent tiles
 *
 * Tiles are handed out one at a time to whoever is free, since neighbours on the machine and uneven
 * last tiles make a fixed share wait; which thread does a tile changes nothing in it.
 *
 * oneDNN uses threads of its own unless it finds itself inside a parallel region, and a region with
 * a single thread does not count as one.  So the region always has all of the caller's threads,
 * even for a single tile: those without a lane go home.  With one thread in all, oneDNN has no
 * others to use.
 */
#include "backend/cpu/tiles.h"

#include <omp.h>

int tiles_lanes(void)
{
    return omp_get_max_threads();
}

void tiles_run(int64_t n, int lanes, tile_fn *fn, void *user)
{
    int64_t next = 0;

    if (n <= 0)
        return;
#pragma omp parallel
    {
        int lane = omp_get_thread_num();

        while (lane < lanes) {
            int64_t tile;

#pragma omp atomic capture
            tile = next++;
            if (tile >= n)
                break;
            fn(user, tile, lane);
        }
    }
}
