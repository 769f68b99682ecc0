/*
 * imgen.h - image generators by flow matching: train, sample, look inside
 *
 *     struct imgen_model *model = NULL;
 *     struct imgen_request request;
 *     struct imgen_error err;
 *
 *     if (imgen_model_open(&model, "model.safetensors", &err))
 *         return complain(err.text);
 *     imgen_request_init(&request, model);
 *     imgen_model_find_label(model, "red star", &item.label, &err);
 *     ...
 *     imgen_sample(model, &request, pixels, &err);
 *
 * Time runs from t = 0 (noise) to t = 1 (data).  The guidance scale is w: 0 unguided, 1 as trained,
 * above 1 strengthened.  Arrays are dense, outermost dimension first, channels last.
 *
 * Threads are OpenMP's.  On a machine that also does other work set GOMP_SPINCOUNT=2000 in the
 * environment before the program starts (the imgen program does): otherwise libgomp's wait for each
 * other by spinning.
 *
 * There are no globals: any number of models and calls may live side by side in any number of
 * threads; one model may serve several calls of imgen_sample at once.  The library never prints and
 * never exits. What the outside world can cause is returned as a status, with one sentence in a
 * struct imgen_error that names the thing and the numbers; err may be NULL.  Breaking a promise
 * made here (a wrong shape, a NULL where none is allowed) aborts with a message.
 */
#ifndef IMGEN_H
#define IMGEN_H

#include "imgen/autoencoder.h"
#include "imgen/base.h"
#include "imgen/cluster.h"
#include "imgen/data.h"
#include "imgen/flow.h"
#include "imgen/lab.h"
#include "imgen/measure.h"
#include "imgen/model.h"
#include "imgen/option.h"
#include "imgen/picture.h"
#include "imgen/sample.h"
#include "imgen/speed.h"
#include "imgen/tensor.h"
#include "imgen/train.h"
#include "imgen/weights.h"

#endif
