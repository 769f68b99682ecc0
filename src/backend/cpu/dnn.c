/*
 * dnn.c - the only file that includes oneDNN's header
 *
 * Version 2 describes a memory by a struct and an operation by another, from which the primitive's
 * description is made; version 3 hides the memory's description behind a handle and makes the
 * primitive's description in one call.  Both differences are folded into struct layout and the
 * describe_ functions below; the rest of the file reads the same for both.
 *
 * A primitive fixes at creation how many threads it will use and splits its sums accordingly.  All
 * are created with OpenMP set to one thread and run inside a parallel region, where oneDNN stays on
 * the calling thread: the bits then depend on the shapes alone.  (Letting oneDNN run on all threads
 * is no faster where there are many tiles, and changes sums with the number of threads.)
 *
 * Where memory is missing while a primitive is made, oneDNN 2.6 calls code it could not write, or
 * lets a C++ exception through.  So more than it takes must be at hand before.  (To run one takes a
 * few hundred bytes for its list of operands, and nobody can be asked for those.)
 *
 * A memory object holds an address, so threads need objects of their own: one set a lane, made
 * beforehand.  Scratch comes from the caller.  The primitive itself may be run by many threads.
 */
#include "backend/cpu/dnn.h"

#include "base/memory.h"
#include "base/whole.h"

#include <dnnl.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { OPERANDS = 3, SCRATCH = OPERANDS, MEMORIES };
enum { AT_HAND = 32 << 20 }; /* a dozen kernels of 256 KiB each, and their descriptions */

struct lane {
    dnnl_stream_t stream;
    dnnl_memory_t memory[MEMORIES]; /* a, b, c, scratch */
};

struct dnn {
    dnnl_engine_t engine;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    int arg[OPERANDS]; /* oneDNN's names of a, b and c; 0: absent       */
    int packed;        /* which operand is packed, or -1                */
    dnnl_dims_t dims;  /* sizes of the packed operand                   */
    size_t packed_bytes, scratch_bytes;
    int lanes;
    struct lane *lane;
};

/* --- the two versions ------------------------------------------------------------------------- */

#if DNNL_VERSION_MAJOR >= 3

typedef const_dnnl_memory_desc_t layout_ref;

struct layout {
    dnnl_memory_desc_t md;
};

static dnnl_status_t layout_steps(struct layout *l, int rank, const dnnl_dims_t dims,
                                  const dnnl_dims_t steps)
{
    return dnnl_memory_desc_create_with_strides(&l->md, rank, dims, dnnl_f32, steps);
}

static dnnl_status_t layout_tag(struct layout *l, int rank, const dnnl_dims_t dims,
                                dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(&l->md, rank, dims, dnnl_f32, tag);
}

static layout_ref layout_of(const struct layout *l)
{
    return l->md;
}

static void layout_release(struct layout *l)
{
    if (l->md)
        dnnl_memory_desc_destroy(l->md);
}

/* l: x, weights, y. */
static dnnl_status_t describe_conv(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                   enum dnn_conv_kind kind, const struct layout l[OPERANDS],
                                   const dnnl_dims_t stride, const dnnl_dims_t before,
                                   const dnnl_dims_t after, dnnl_primitive_desc_t forward,
                                   dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t dense = {0, 0};

    if (kind == DNN_CONV_FORWARD)
        return dnnl_convolution_forward_primitive_desc_create(
            out, engine, dnnl_forward_training, dnnl_convolution_direct, l[0].md, l[1].md, NULL,
            l[2].md, stride, dense, before, after, attr);
    if (kind == DNN_CONV_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(
            out, engine, dnnl_convolution_direct, l[0].md, l[1].md, l[2].md, stride, dense, before,
            after, forward, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(
        out, engine, dnnl_convolution_direct, l[0].md, l[1].md, NULL, l[2].md, stride, dense,
        before, after, forward, attr);
}

#else

typedef const dnnl_memory_desc_t *layout_ref;

struct layout {
    dnnl_memory_desc_t md;
};

static dnnl_status_t layout_steps(struct layout *l, int rank, const dnnl_dims_t dims,
                                  const dnnl_dims_t steps)
{
    return dnnl_memory_desc_init_by_strides(&l->md, rank, dims, dnnl_f32, steps);
}

static dnnl_status_t layout_tag(struct layout *l, int rank, const dnnl_dims_t dims,
                                dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(&l->md, rank, dims, dnnl_f32, tag);
}

static layout_ref layout_of(const struct layout *l)
{
    return &l->md;
}

static void layout_release(struct layout *l)
{
    (void)l;
}

/* l: x, weights, y. */
static dnnl_status_t describe_conv(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                   enum dnn_conv_kind kind, const struct layout l[OPERANDS],
                                   const dnnl_dims_t stride, const dnnl_dims_t before,
                                   const dnnl_dims_t after, dnnl_primitive_desc_t forward,
                                   dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t bad;

    if (kind == DNN_CONV_FORWARD)
        bad = dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct,
                                                 &l[0].md, &l[1].md, NULL, &l[2].md, stride, before,
                                                 after);
    else if (kind == DNN_CONV_DATA)
        bad = dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &l[0].md,
                                                       &l[1].md, &l[2].md, stride, before, after);
    else
        bad = dnnl_convolution_backward_weights_desc_init(
            &d, dnnl_convolution_direct, &l[0].md, &l[1].md, NULL, &l[2].md, stride, before, after);
    return bad ? bad : dnnl_primitive_desc_create(out, &d, attr, engine, forward);
}

#endif

/* --- both ------------------------------------------------------------------------------------- */

static enum status refused(dnnl_status_t bad, const char *what, struct error *err)
{
    if (bad == dnnl_out_of_memory)
        return fail(err, E_MEMORY, "oneDNN: no memory for %s", what);
    return fail(err, E_UNSUPPORTED, "oneDNN refuses %s (status %d)", what, (int)bad);
}

static layout_ref layout_asked(const struct dnn *p, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(p->desc, what, 0);
}

/* The attribute that scratch comes from the caller. */
static dnnl_status_t attr_new(dnnl_primitive_attr_t *out)
{
    dnnl_status_t bad = dnnl_primitive_attr_create(out);

    return bad ? bad : dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
}

static dnnl_status_t lane_init(struct lane *l, const struct dnn *p, const layout_ref md[OPERANDS])
{
    dnnl_status_t bad = dnnl_stream_create(&l->stream, p->engine, dnnl_stream_default_flags);

    for (int k = 0; k < OPERANDS && !bad; k++)
        if (p->arg[k])
            bad = dnnl_memory_create(&l->memory[k], md[k], p->engine, DNNL_MEMORY_NONE);
    if (!bad)
        bad = dnnl_memory_create(&l->memory[SCRATCH], layout_asked(p, dnnl_query_scratchpad_md),
                                 p->engine, DNNL_MEMORY_NONE);
    return bad;
}

/* The primitive of p->desc, and one set of memory objects a lane. */
static enum status finish(struct dnn *p, const layout_ref md[OPERANDS], int lanes, const char *what,
                          struct error *err)
{
    dnnl_status_t bad;
    enum status st;

    if ((bad = dnnl_primitive_create(&p->primitive, p->desc)))
        return refused(bad, what, err);
    p->scratch_bytes =
        whole_lines(dnnl_memory_desc_get_size(layout_asked(p, dnnl_query_scratchpad_md)));
    if (p->packed >= 0)
        p->packed_bytes = whole_lines(dnnl_memory_desc_get_size(md[p->packed]));
    p->lanes = lanes;
    if ((st = mem_new((void **)&p->lane, (uint64_t)lanes, sizeof(*p->lane), what, err)))
        return st;
    for (int i = 0; i < lanes; i++)
        if ((bad = lane_init(&p->lane[i], p, md)))
            return refused(bad, what, err);
    return OK;
}

static enum status dnn_new(struct dnn **out, const char *what, struct error *err)
{
    dnnl_status_t bad;
    enum status st;

    *out = NULL;
    if ((st = mem_at_hand(AT_HAND, what, err)) ||
        (st = mem_new((void **)out, 1, sizeof(**out), what, err)))
        return st;
    if ((bad = dnnl_engine_create(&(*out)->engine, dnnl_cpu, 0)))
        return refused(bad, what, err);
    return OK;
}

void dnn_free(struct dnn *p)
{
    if (!p)
        return;
    for (int i = 0; p->lane && i < p->lanes; i++) {
        for (int k = 0; k < MEMORIES; k++)
            if (p->lane[i].memory[k])
                dnnl_memory_destroy(p->lane[i].memory[k]);
        if (p->lane[i].stream)
            dnnl_stream_destroy(p->lane[i].stream);
    }
    free(p->lane);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->desc)
        dnnl_primitive_desc_destroy(p->desc);
    if (p->engine)
        dnnl_engine_destroy(p->engine);
    free(p);
}

/* l: x, weights, y.  The backward products want to know the forward one they belong to. */
static enum status conv_build(struct dnn *p, enum dnn_conv_kind kind, const struct dnn_conv *s,
                              const struct layout l[OPERANDS], int lanes, struct error *err)
{
    const dnnl_dims_t stride = {s->stride, s->stride};
    const dnnl_dims_t before = {s->top, s->left}, after = {s->bottom, s->right};
    dnnl_primitive_desc_t forward = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t bad = attr_new(&attr);
    layout_ref md[OPERANDS];

    if (!bad && kind != DNN_CONV_FORWARD)
        bad = describe_conv(&forward, p->engine, DNN_CONV_FORWARD, l, stride, before, after, NULL,
                            attr);
    if (!bad)
        bad = describe_conv(&p->desc, p->engine, kind, l, stride, before, after, forward, attr);
    if (forward)
        dnnl_primitive_desc_destroy(forward);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (bad)
        return refused(bad, "a convolution", err);
    if (kind == DNN_CONV_FORWARD) {
        p->arg[0] = DNNL_ARG_SRC, p->arg[1] = DNNL_ARG_WEIGHTS, p->arg[2] = DNNL_ARG_DST;
        md[0] = layout_of(&l[0]), md[2] = layout_of(&l[2]);
        md[1] = layout_asked(p, dnnl_query_weights_md);
    } else if (kind == DNN_CONV_DATA) {
        p->arg[0] = DNNL_ARG_DIFF_DST, p->arg[1] = DNNL_ARG_WEIGHTS, p->arg[2] = DNNL_ARG_DIFF_SRC;
        md[0] = layout_of(&l[2]), md[2] = layout_of(&l[0]);
        md[1] = layout_asked(p, dnnl_query_weights_md);
    } else {
        p->arg[0] = DNNL_ARG_SRC, p->arg[1] = DNNL_ARG_DIFF_DST, p->arg[2] = DNNL_ARG_DIFF_WEIGHTS;
        md[0] = layout_of(&l[0]), md[1] = layout_of(&l[2]);
        md[2] = layout_asked(p, dnnl_query_diff_weights_md);
    }
    return finish(p, md, lanes, "a convolution", err);
}

enum status dnn_conv(struct dnn **out, enum dnn_conv_kind kind, const struct dnn_conv *s, int lanes,
                     struct error *err)
{
    const dnnl_dims_t x = {s->N, s->I, s->H, s->W}, w = {s->O, s->I, s->kh, s->kw};
    const dnnl_dims_t y = {s->N, s->O, s->OH, s->OW};
    struct layout l[OPERANDS] = {0};
    int threads = omp_get_max_threads();
    enum status st;

    if ((st = dnn_new(out, "a convolution", err)))
        goto out;
    (*out)->packed = kind == DNN_CONV_WEIGHTS ? 2 : 1;
    memcpy((*out)->dims, w, sizeof(w));
    if (layout_tag(&l[0], 4, x, dnnl_nhwc) || layout_tag(&l[1], 4, w, dnnl_format_tag_any) ||
        layout_tag(&l[2], 4, y, dnnl_nhwc)) {
        st = refused(dnnl_invalid_arguments, "the layout of a picture", err);
        goto out;
    }
    omp_set_num_threads(1);
    st = conv_build(*out, kind, s, l, lanes, err);
    omp_set_num_threads(threads);
out:
    for (int k = 0; k < OPERANDS; k++)
        layout_release(&l[k]);
    if (st) {
        dnn_free(*out);
        *out = NULL;
    }
    return st;
}

static layout_ref packed_layout(const struct dnn *p)
{
    return layout_asked(p, p->packed == 2 ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
}

bool dnn_same_packing(const struct dnn *p, const struct dnn *q)
{
    return dnnl_memory_desc_equal(packed_layout(p), packed_layout(q)) != 0;
}

static enum status reorder_build(struct dnn *p, layout_ref from, layout_ref to, int lanes,
                                 struct error *err)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t bad = attr_new(&attr);

    if (!bad)
        bad = dnnl_reorder_primitive_desc_create(&p->desc, from, p->engine, to, p->engine, attr);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (bad)
        return refused(bad, "a change of layout", err);
    p->arg[0] = DNNL_ARG_FROM;
    p->arg[2] = DNNL_ARG_TO;
    p->packed = -1;
    return finish(p, (layout_ref[]){from, NULL, to}, lanes, "a change of layout", err);
}

/* Copying moves every value to its place whatever the number of threads, so these are made for all
 * of them. */
static enum status reorder_new(struct dnn **out, const struct dnn *p, const int64_t step[4],
                               bool into, int lanes, struct error *err)
{
    struct layout plain = {0};
    dnnl_dims_t steps = {0};
    enum status st;

    MUST(p->packed >= 0, "a primitive without packed operand");
    for (int k = 0; k < 4; k++)
        steps[k] = step[k];
    if ((st = dnn_new(out, "a change of layout", err)))
        goto out;
    if (layout_steps(&plain, 4, p->dims, steps))
        st = refused(dnnl_invalid_arguments, "the layout of weights", err);
    else if (into)
        st = reorder_build(*out, layout_of(&plain), packed_layout(p), lanes, err);
    else
        st = reorder_build(*out, packed_layout(p), layout_of(&plain), lanes, err);
out:
    layout_release(&plain);
    if (st) {
        dnn_free(*out);
        *out = NULL;
    }
    return st;
}

enum status dnn_pack(struct dnn **out, const struct dnn *p, const int64_t step[4], int lanes,
                     struct error *err)
{
    return reorder_new(out, p, step, true, lanes, err);
}

enum status dnn_unpack(struct dnn **out, const struct dnn *p, const int64_t step[4], int lanes,
                       struct error *err)
{
    return reorder_new(out, p, step, false, lanes, err);
}

size_t dnn_packed_bytes(const struct dnn *p)
{
    return p->packed_bytes;
}

size_t dnn_scratch_bytes(const struct dnn *p)
{
    return p->scratch_bytes;
}

void dnn_run(const struct dnn *p, int lane, const float *a, const float *b, float *c, void *scratch)
{
    const struct lane *l = &p->lane[lane];
    /* oneDNN's handles are not const, but it does not write to sources. */
    void *address[OPERANDS] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, c};
    dnnl_exec_arg_t args[MEMORIES];
    dnnl_status_t bad = dnnl_success;
    int n = 0;

    for (int k = 0; k < OPERANDS; k++) {
        if (!p->arg[k])
            continue;
        bad = dnnl_memory_set_data_handle(l->memory[k], address[k]);
        MUST(!bad, "oneDNN takes no address (status %d)", (int)bad);
        args[n++] = (dnnl_exec_arg_t){p->arg[k], l->memory[k]};
    }
    bad = dnnl_memory_set_data_handle(l->memory[SCRATCH], scratch);
    MUST(!bad, "oneDNN takes no scratch (status %d)", (int)bad);
    args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, l->memory[SCRATCH]};
    bad = dnnl_primitive_execute(p->primitive, l->stream, n, args);
    MUST(!bad, "oneDNN stopped (status %d)", (int)bad);
}
