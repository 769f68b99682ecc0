/*
 * consumer.c - the smallest program that uses the installed library
 */
#include <imgen.h>

#include <stdio.h>

int main(void)
{
    return puts(imgen_version()) < 0;
}
