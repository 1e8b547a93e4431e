/* SPDX-License-Identifier: Apache-2.0 */
/* What memory compiles are thought to need. */
#include "jit_memory.h"
#include "unit_check.h"

#define MIB (UINT64_C(1) << 20)

static uint64_t estimate(enum jit_lto lto, const uint64_t *sizes, size_t n, unsigned threads)
{
        struct fmt_input inputs[8] = {0};
        const struct fmt_variant variant = {.inputs = inputs, .n_inputs = n};
        const struct jit_policy policy = {.opt = 3, .lto = lto};
        REQUIRE(n <= 8);
        for (size_t i = 0; i < n; i++)
                inputs[i] = (struct fmt_input){.kind = FMT_INPUT_MODULE, .size = sizes[i]};
        return jit_memory_estimate(&variant, &policy, MIB, threads);
}

/* More than was measured (jit_memory.c), by less than three times. */
static void expect_about(uint64_t estimated, uint64_t measured)
{
        REQUIRE(estimated >= measured * MIB && estimated < 3 * measured * MIB);
}

static void test_estimates(void)
{
        static const uint64_t sqlite[] = {2133 << 10, 115 << 10, 91 << 10};
        static const uint64_t zstd[] = {254 << 10, 126 << 10, 115 << 10, 106 << 10, 99 << 10,
                84 << 10, 78 << 10, 950 << 10};
        static const uint64_t endless[] = {UINT64_MAX, UINT64_MAX, UINT64_MAX / 2};
        expect_about(estimate(JIT_LTO_THIN, sqlite, 3, 1), 119);
        expect_about(estimate(JIT_LTO_THIN, sqlite, 3, 8), 139);
        expect_about(estimate(JIT_LTO_FULL, sqlite, 3, 2), 304);
        expect_about(estimate(JIT_LTO_FULL, zstd, 8, 2), 239);
        /* Threads hold the largest modules, not all of the same size. */
        REQUIRE(estimate(JIT_LTO_THIN, sqlite, 3, 2) - estimate(JIT_LTO_THIN, sqlite, 3, 1) <
                20 * MIB);
        REQUIRE(estimate(JIT_LTO_THIN, zstd, 8, 2) > estimate(JIT_LTO_THIN, zstd, 8, 1));
        /* Full LTO's does not depend on threads. */
        REQUIRE(estimate(JIT_LTO_FULL, zstd, 8, 2) == estimate(JIT_LTO_FULL, zstd, 8, 64));
        /* Sizes come from the image. */
        REQUIRE(estimate(JIT_LTO_THIN, endless, 3, 3) >= UINT64_C(1) << 48);
        REQUIRE(estimate(JIT_LTO_THIN, NULL, 0, 1) >= 32 * MIB);
}

int main(void)
{
        test_estimates();
        return 0;
}
