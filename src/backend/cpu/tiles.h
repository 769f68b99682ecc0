/*
 * tiles.h - the one way in which this backend uses several threads
 *
 * Work is cut into tiles by its shapes alone, each tile is computed by one thread exactly as any
 * other thread would compute it, and no two tiles write the same place: the number of threads
 * cannot change a bit of the result.
 */
#ifndef IMGEN_BACKEND_CPU_TILES_H
#define IMGEN_BACKEND_CPU_TILES_H

#include <stdint.h>

/* One tile.  lane: which of the threads this is, 0 .. lanes - 1; memory of a lane's own is safe to
 * use until the tile is done. */
typedef void tile_fn(void *user, int64_t tile, int lane);

/* Threads to prepare for: what the caller's OpenMP setting says now. */
int tiles_lanes(void);

/* Call fn for tiles 0 .. n - 1, in any order, on at most `lanes` of the current threads. */
void tiles_run(int64_t n, int lanes, tile_fn *fn, void *user);

#endif
