/*
 * panel_kernel.h - the product of panel.h for one kind of numbers and one width of vector; included
 * by panel.c once for each
 *
 * The includer defines, and this file takes back at its end:
 *     PANEL_NAME(x)       x with the variant's suffix
 *     PANEL_TARGET        the function attribute that allows its instructions, or nothing
 *     PANEL_BYTES         of a vector
 *     PANEL_ROWS          rows of the block of C that is held in registers, 4 or 6
 *     PANEL_VECS          vectors in each of its rows
 *     PANEL_TYPE          of an element of C: float or int32_t
 *     PANEL_MAC(s, a, b)  s + the products of the words a and b; a, b vectors of int32_t
 *
 * PANEL_ROWS * PANEL_VECS sums, PANEL_VECS vectors of B and one of A must fit into the registers,
 * and there must be at least eight sums to keep two multiply-add units of latency four busy.
 */

typedef int32_t PANEL_NAME(vec)
    __attribute__((vector_size(PANEL_BYTES), aligned(sizeof(int32_t)), may_alias));
typedef PANEL_TYPE PANEL_NAME(sum)
    __attribute__((vector_size(PANEL_BYTES), aligned(sizeof(int32_t)), may_alias));

/* C [rows, PANEL_VECS vectors].  The loops over rows and vectors have constant bounds once this is
 * inlined, and disappear; `sum` is then a set of registers. */
PANEL_TARGET static inline __attribute__((always_inline)) void
PANEL_NAME(block)(struct panel_product p, int rows)
{
    enum { LANES = PANEL_BYTES / sizeof(int32_t) };
    PANEL_NAME(sum) sum[PANEL_ROWS][PANEL_VECS];
    PANEL_NAME(vec) b[PANEL_VECS];

    PANEL_UNROLL
    for (int i = 0; i < rows; i++) {
        PANEL_UNROLL
        for (int v = 0; v < PANEL_VECS; v++)
            sum[i][v] = (PANEL_NAME(sum)){0};
    }
    for (int64_t l = 0; l < p.words; l++) {
        PANEL_UNROLL
        for (int v = 0; v < PANEL_VECS; v++)
            b[v] = *(const PANEL_NAME(vec) *)(p.b + l * p.b_word + v * LANES);
        PANEL_UNROLL
        for (int i = 0; i < rows; i++) {
            const PANEL_NAME(vec) a =
                (PANEL_NAME(vec)){0} + (int32_t)p.a[i * p.a_row + l * p.a_word];

            PANEL_UNROLL
            for (int v = 0; v < PANEL_VECS; v++)
                sum[i][v] = PANEL_MAC(sum[i][v], a, b[v]);
        }
    }
    PANEL_UNROLL
    for (int i = 0; i < rows; i++) {
        PANEL_UNROLL
        for (int v = 0; v < PANEL_VECS; v++) {
            if (p.d)
                sum[i][v] += *(const PANEL_NAME(sum) *)(p.d + i * p.d_row + v * LANES);
            *(PANEL_NAME(sum) *)(p.c + i * p.c_row + v * LANES) = sum[i][v];
        }
    }
}

PANEL_TARGET static inline __attribute__((always_inline)) void
PANEL_NAME(step)(struct panel_product *p, int rows)
{
    PANEL_NAME(block)(*p, rows);
    p->c += rows * p->c_row;
    p->a += rows * p->a_row;
    if (p->d)
        p->d += rows * p->d_row;
    p->m -= rows;
}

/* A strip of B, its words one behind another. */
PANEL_TARGET static inline __attribute__((always_inline)) void
PANEL_NAME(bring)(panel_word *near, const struct panel_product *p, int64_t wide)
{
    const int64_t lanes = PANEL_BYTES / sizeof(int32_t);

    for (int64_t l = 0; l < p->words; l++)
        for (int64_t v = 0; v < wide; v += lanes)
            *(PANEL_NAME(vec) *)(near + l * wide + v) =
                *(const PANEL_NAME(vec) *)(p->b + l * p->b_word + v);
}

/* Strips of PANEL_VECS vectors, each from the first row to the last.  One that is narrower than the
 * panel has its words apart, in a few sets of the first-level cache: many rows meet a copy of it. */
PANEL_TARGET static void PANEL_NAME(mul)(const struct panel_product *whole)
{
    enum { WIDE = PANEL_VECS * PANEL_BYTES / sizeof(int32_t), NARROW = WIDE < (int)PANEL_COLS };
    _Alignas(PANEL_BYTES) panel_word near[NARROW ? PANEL_NEAR * WIDE : WIDE];
    bool brings = NARROW && whole->m >= PANEL_TALL && whole->words <= PANEL_NEAR;

    for (int64_t j = 0; j < PANEL_COLS; j += WIDE) {
        struct panel_product p = *whole;

        p.c += j;
        p.b += j;
        if (p.d)
            p.d += j;
        if (brings) {
            PANEL_NAME(bring)(near, &p, WIDE);
            p.b = near;
            p.b_word = WIDE;
        }
        while (p.m >= PANEL_ROWS)
            PANEL_NAME(step)(&p, PANEL_ROWS);
        if (p.m >= 4)
            PANEL_NAME(step)(&p, 4);
        if (p.m >= 2)
            PANEL_NAME(step)(&p, 2);
        if (p.m)
            PANEL_NAME(step)(&p, 1);
    }
}

#undef PANEL_NAME
#undef PANEL_TARGET
#undef PANEL_BYTES
#undef PANEL_ROWS
#undef PANEL_VECS
#undef PANEL_TYPE
#undef PANEL_MAC
