/*
 * bench_elementwise.c - norms, activations, gates and the optimizer against the memory's bandwidth
 *
 *     bench_elementwise [threads]
 *
 * These do little arithmetic, so the measure is bytes: every input and output of a node once, over
 * its seconds, against a scaled copy measured beside each run.  The tensors hold 100 MB and more,
 * and the copy has just emptied the caches.
 */
#include "table.h"

int main(int argc, char **argv)
{
    return table_main(argc, argv,
                      (const char *const[]){"elementwise", "norms of", "optimizer", NULL});
}
