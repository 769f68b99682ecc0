/*
 * demo_run.h - the folder in which the demo's model is trained
 */
#ifndef CLI_DEMO_RUN_H
#define CLI_DEMO_RUN_H

#include "imgen.h"

#include <stdbool.h>

/* The built-in configuration: config/demo.ini as it was when the program was built. */
extern const char demo_config[];

enum { DEMO_RUN_PATH = 4096 };

/* Make FOLDER and FOLDER/run ready for a run of demo_config with these settings over it.  Where a
 * run of the very same configuration stands, *resumes; any other one is removed, and so is that one
 * when `fresh`.  Returns an exit code. */
int demo_run_prepare(const char *folder, const struct imgen_text_list *settings, bool fresh,
                     bool *resumes);

#endif
