/*
 * bench_attention.c - attention forward and backward against the processor's multiply-add peak
 *
 *     bench_attention [threads]
 *
 * 2 T^2 D multiply-adds forward and 5 T^2 D backward are counted (scores, values; scores again, and
 * the four gradients' products); the exponentials and the packing are not.  The cases with both
 * hold 4,096 tokens, so a tape of the same size at every T says that memory is linear in T.  Behind
 * them stands the forward alone, of one block of Stable Diffusion 3, in float32 and with factors of
 * bf16.
 */
#include "table.h"

int main(int argc, char **argv)
{
    return table_main(argc, argv, (const char *const[]){"attention", NULL});
}
