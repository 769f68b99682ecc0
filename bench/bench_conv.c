/*
 * bench_conv.c - convolutions against the processor's multiply-add peak
 *
 *     bench_conv [threads]
 *
 * Forward (conv2d), backward data (conv_dx) and backward weights (conv_dw) at the levels of a U-Net
 * and of an autoencoder, and the first and last layers with their few channels.  Multiplications
 * with the zeros of padding are not counted, since they need not be done.
 */
#include "table.h"

int main(int argc, char **argv)
{
    return table_main(argc, argv, (const char *const[]){"conv", NULL});
}
