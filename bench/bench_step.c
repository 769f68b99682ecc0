/*
 * bench_step.c - whole steps of training and sampling, and where their time goes
 *
 *     bench_step [threads]
 *
 * A training step is everything between two batches, AdamW and the averaged weights included; a
 * sampling step evaluates both branches of guidance and moves the state.  Below each stand the ops
 * that take more than a hundredth of it, and what is no op at all.
 */
#include "table.h"

int main(int argc, char **argv)
{
    return table_main(argc, argv,
                      (const char *const[]){"training step", "sampling step", "encoder", "decoder", NULL});
}
