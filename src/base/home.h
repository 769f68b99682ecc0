/*
 * home.h - where this library lies, and with it what is installed beside it
 */
#ifndef IMGEN_BASE_HOME_H
#define IMGEN_BASE_HOME_H

enum { HOME_PATH = 4096 };

/* The folder of this library, or of the program that holds it, with the slash; "" when nobody says.
 */
void home_find(char out[HOME_PATH]);

#endif
