/*
 * tile_kernel.h - the product of tile.h for one width of vector; included by tile.c once for each
 *
 * The includer defines, and this file takes back at its end:
 *     TILE_NAME(x)       x with the variant's suffix
 *     TILE_TARGET        the function attribute that allows its instructions, or nothing
 *     TILE_BYTES         of a vector
 *     TILE_ROWS          rows of the block of C that is held in registers
 *     TILE_VECS          vectors in each of its rows
 *     TILE_FMA(a, x, y)  a x + y for a number a and vectors x, y
 *
 * TILE_ROWS * TILE_VECS sums, TILE_VECS vectors of B and one of A must fit into the registers, and
 * there must be at least eight sums to keep two multiply-add units of latency four busy.
 */

typedef float TILE_NAME(vec)
    __attribute__((vector_size(TILE_BYTES), aligned(sizeof(float)), may_alias));

/* C [rows, vecs vectors].  All loops over rows and vecs have constant bounds once this is inlined,
 * and disappear; `sum` is then a set of registers.  `dense` says that a.col is 1, else a.row is. */
TILE_TARGET static inline __attribute__((always_inline)) void
TILE_NAME(block)(struct tile c, struct tile a, struct tile b, int64_t k,
                 const struct tile_terms terms[2], int rows, int vecs, bool dense, bool add)
{
    enum { LANES = TILE_BYTES / sizeof(float) };
    const int64_t row = dense ? a.row : 1, col = dense ? 1 : a.col;
    TILE_NAME(vec) sum[TILE_ROWS][TILE_VECS], x[TILE_VECS];

    TILE_UNROLL
    for (int i = 0; i < rows; i++) {
        TILE_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] =
                add ? *(const TILE_NAME(vec) *)(c.at + i * c.row + v * LANES) : (TILE_NAME(vec)){0};
    }
    for (int64_t t = 0; t < terms[0].n; t++)
        for (int64_t u = 0; u < terms[1].n; u++) {
            const float *at = a.at + t * terms[0].a + u * terms[1].a;
            const float *bt = b.at + t * terms[0].b + u * terms[1].b;

            for (int64_t l = 0; l < k; l++, at += col, bt += b.row) {
                TILE_UNROLL
                for (int v = 0; v < vecs; v++)
                    x[v] = *(const TILE_NAME(vec) *)(bt + v * LANES);
                TILE_UNROLL
                for (int i = 0; i < rows; i++) {
                    const float s = at[i * row];

                    TILE_UNROLL
                    for (int v = 0; v < vecs; v++)
                        sum[i][v] = TILE_FMA(s, x[v], sum[i][v]);
                }
            }
        }
    TILE_UNROLL
    for (int i = 0; i < rows; i++) {
        TILE_UNROLL
        for (int v = 0; v < vecs; v++)
            *(TILE_NAME(vec) *)(c.at + i * c.row + v * LANES) = sum[i][v];
    }
}

/* All m rows of C, vecs vectors wide.  Eight rows are twice four, since a block of one or two rows
 * has too few sums to keep the units busy. */
TILE_TARGET static inline __attribute__((always_inline)) void
TILE_NAME(panel)(struct tile c, struct tile a, struct tile b, int64_t m, int64_t k,
                 const struct tile_terms terms[2], int vecs, bool dense, bool add)
{
    for (; m >= TILE_ROWS && m != 8; m -= TILE_ROWS) {
        TILE_NAME(block)(c, a, b, k, terms, TILE_ROWS, vecs, dense, add);
        c.at += TILE_ROWS * c.row;
        a.at += TILE_ROWS * (dense ? a.row : 1);
    }
    for (; m >= 4; m -= 4) {
        TILE_NAME(block)(c, a, b, k, terms, 4, vecs, dense, add);
        c.at += 4 * c.row;
        a.at += 4 * (dense ? a.row : 1);
    }
    for (; m > 0; m--) {
        TILE_NAME(block)(c, a, b, k, terms, 1, vecs, dense, add);
        c.at += c.row;
        a.at += dense ? a.row : 1;
    }
}

TILE_TARGET static inline __attribute__((always_inline)) void
TILE_NAME(panels)(struct tile c, struct tile a, struct tile b, int64_t m, int64_t n, int64_t k,
                  const struct tile_terms terms[2], bool dense, bool add)
{
    enum { LANES = TILE_BYTES / sizeof(float) };

    for (; n >= TILE_VECS * LANES; n -= TILE_VECS * LANES) {
        TILE_NAME(panel)(c, a, b, m, k, terms, TILE_VECS, dense, add);
        c.at += TILE_VECS * LANES;
        b.at += TILE_VECS * LANES;
    }
#if TILE_VECS * TILE_BYTES > 64 /* else a multiple of TILE_LANES leaves nothing over */
    if (n == 3 * LANES)
        TILE_NAME(panel)(c, a, b, m, k, terms, 3, dense, add);
    else if (n == 2 * LANES)
        TILE_NAME(panel)(c, a, b, m, k, terms, 2, dense, add);
    else if (n == LANES)
        TILE_NAME(panel)(c, a, b, m, k, terms, 1, dense, add);
#endif
}

/* One function for each way of reading A and of starting the sums. */
TILE_TARGET static void TILE_NAME(mul)(struct tile c, struct tile a, struct tile b, int64_t m,
                                       int64_t n, int64_t k, const struct tile_terms terms[2],
                                       bool add)
{
    if (a.col == 1 && add)
        TILE_NAME(panels)(c, a, b, m, n, k, terms, true, true);
    else if (a.col == 1)
        TILE_NAME(panels)(c, a, b, m, n, k, terms, true, false);
    else if (add)
        TILE_NAME(panels)(c, a, b, m, n, k, terms, false, true);
    else
        TILE_NAME(panels)(c, a, b, m, n, k, terms, false, false);
}

#undef TILE_NAME
#undef TILE_TARGET
#undef TILE_BYTES
#undef TILE_ROWS
#undef TILE_VECS
#undef TILE_FMA
