/*
 * report.h - a run on one page
 */
#ifndef IMGEN_TRAIN_REPORT_H
#define IMGEN_TRAIN_REPORT_H

#include "base/error.h"

/* Write FOLDER/report.html from FOLDER/log.jsonl and the sheets FOLDER/samples-*.png: curves,
 * sheets over time, loss against t, configuration.  One file that asks for nothing else.  Equal
 * folders give equal bytes.  E_IO (no log, say), E_FORMAT, E_MEMORY. */
enum status report_write(const char *folder, struct error *err);

#endif
