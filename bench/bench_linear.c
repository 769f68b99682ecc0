/*
 * bench_linear.c - linear layers against the processor's multiply-add peak
 *
 *     bench_linear [threads]
 *
 * Forward (linear), backward data (linear_dx) and backward weights (linear_dw) of the layers of
 * DiT-S, DiT-B and Stable Diffusion 3, then those that condition a block, with one row a picture.
 * Times include packing the weights, as in training, and whatever is fused: bias, activation.
 */
#include "table.h"

int main(int argc, char **argv)
{
    return table_main(argc, argv, (const char *const[]){"linear", NULL});
}
