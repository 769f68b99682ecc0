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
TILE_NAME(block)(struct tile c, struct tile a, struct tile b, int64_t k, int rows, int vecs,
                 bool dense, bool add)
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
    for (int64_t l = 0; l < k; l++) {
        TILE_UNROLL
        for (int v = 0; v < vecs; v++)
            x[v] = *(const TILE_NAME(vec) *)(b.at + l * b.row + v * LANES);
        TILE_UNROLL
        for (int i = 0; i < rows; i++) {
            const float s = a.at[i * row + l * col];

            TILE_UNROLL
            for (int v = 0; v < vecs; v++)
                sum[i][v] = TILE_FMA(s, x[v], sum[i][v]);
        }
    }
    TILE_UNROLL
    for (int i = 0; i < rows; i++) {
        TILE_UNROLL
        for (int v = 0; v < vecs; v++)
            *(TILE_NAME(vec) *)(c.at + i * c.row + v * LANES) = sum[i][v];
    }
}

/* All m rows of C, vecs vectors wide. */
TILE_TARGET static inline __attribute__((always_inline)) void
TILE_NAME(panel)(struct tile c, struct tile a, struct tile b, int64_t m, int64_t k, int vecs,
                 bool dense, bool add)
{
    for (; m >= TILE_ROWS; m -= TILE_ROWS) {
        TILE_NAME(block)(c, a, b, k, TILE_ROWS, vecs, dense, add);
        c.at += TILE_ROWS * c.row;
        a.at += TILE_ROWS * (dense ? a.row : 1);
    }
    if (m >= 4) {
        TILE_NAME(block)(c, a, b, k, 4, vecs, dense, add);
        c.at += 4 * c.row;
        a.at += 4 * (dense ? a.row : 1);
        m -= 4;
    }
    for (; m > 0; m--) {
        TILE_NAME(block)(c, a, b, k, 1, vecs, dense, add);
        c.at += c.row;
        a.at += dense ? a.row : 1;
    }
}

TILE_TARGET static inline __attribute__((always_inline)) void
TILE_NAME(panels)(struct tile c, struct tile a, struct tile b, int64_t m, int64_t n, int64_t k,
                  bool dense, bool add)
{
    enum { LANES = TILE_BYTES / sizeof(float) };

    for (; n >= TILE_VECS * LANES; n -= TILE_VECS * LANES) {
        TILE_NAME(panel)(c, a, b, m, k, TILE_VECS, dense, add);
        c.at += TILE_VECS * LANES;
        b.at += TILE_VECS * LANES;
    }
#if TILE_VECS * TILE_BYTES > 64 /* else a multiple of TILE_LANES leaves nothing over */
    if (n == 3 * LANES)
        TILE_NAME(panel)(c, a, b, m, k, 3, dense, add);
    else if (n == 2 * LANES)
        TILE_NAME(panel)(c, a, b, m, k, 2, dense, add);
    else if (n == LANES)
        TILE_NAME(panel)(c, a, b, m, k, 1, dense, add);
#endif
}

/* One function for each way of reading A and of starting the sums. */
TILE_TARGET static void TILE_NAME(mul)(struct tile c, struct tile a, struct tile b, int64_t m,
                                       int64_t n, int64_t k, bool add)
{
    if (a.col == 1 && add)
        TILE_NAME(panels)(c, a, b, m, n, k, true, true);
    else if (a.col == 1)
        TILE_NAME(panels)(c, a, b, m, n, k, true, false);
    else if (add)
        TILE_NAME(panels)(c, a, b, m, n, k, false, true);
    else
        TILE_NAME(panels)(c, a, b, m, n, k, false, false);
}

#undef TILE_NAME
#undef TILE_TARGET
#undef TILE_BYTES
#undef TILE_ROWS
#undef TILE_VECS
#undef TILE_FMA
